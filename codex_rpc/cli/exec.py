"""`codex-rpc exec`: one turn in the terminal, in this process.

Owns the options and what they become. How the turn is driven is `conversation`'s, what is seen
of it `view`'s and `event_lines`'.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from attrs import evolve, fields

from codex_rpc.cli.composition import compose
from codex_rpc.cli.conversation import View, Wish, converse
from codex_rpc.cli.event_lines import EventLines
from codex_rpc.cli.main import OSS
from codex_rpc.cli.process import keep_memory_private, start_logging
from codex_rpc.core.manager import SessionManager
from codex_rpc.core.services import Services
from codex_rpc.protocol.errors import CodexError
from codex_rpc.protocol.events import ApprovalRequest
from codex_rpc.protocol.ops import LocalImageInput, TextInput, UserInput
from codex_rpc.protocol.params import ConfigureParams, ResumeParams, SessionOverrides
from codex_rpc.protocol.policy import APPROVAL_POLICIES, SANDBOX_MODES, Decision
from codex_rpc.rpc.stdio import ByteWriter, writer_for

if TYPE_CHECKING:
    from codex_rpc.cli.terminal import Screen

EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT

EPILOG = """\
output: the assistant's text goes to standard output, everything else to standard error; on a
  terminal as it is generated, into a file or a pipe message by message, complete.
keys: Ctrl-C stops the turn, a second one leaves at once.
exit code: 0 the turn was completed, 1 it was not, 2 the command line is wrong, 130 Ctrl-C.

examples:
  codex-rpc exec "explain this folder"
  git diff | codex-rpc exec - > review.md
  codex-rpc exec --resume last "now write a README"
"""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class UsageError(Exception):
    """Raised when what was said on the command line cannot be done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The prompt, and the options of the Codex CLI by their names there."""
    add = parser.add_argument
    add("prompt", nargs="?", metavar="PROMPT", help="what you want; - or nothing: standard input")
    add(
        "--resume", metavar="ID|PATH|last", help="go on with a saved session (last: of this folder)"
    )
    add("-C", "--cd", metavar="DIR", help="the working directory (default: the current one)")
    add("-m", "--model", metavar="NAME", help="the model")
    add("-p", "--profile", metavar="NAME", help="a profile of config.toml")
    asks, modes = ", ".join(APPROVAL_POLICIES), ", ".join(SANDBOX_MODES)
    add(
        *("-a", "--ask-for-approval"),
        metavar="POLICY",
        choices=APPROVAL_POLICIES,
        help=f"when you are asked: {asks}",
    )
    add(
        *("-s", "--sandbox"),
        metavar="MODE",
        choices=SANDBOX_MODES,
        help=f"what commands may do: {modes}",
    )
    add("-i", "--image", metavar="FILE", action="append", default=[], help="show it an image too")
    add("--json", action="store_true", help="write each event as a line of JSON, and nothing else")
    parser.epilog = EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Run the turn; the exit code."""
    try:
        # First, since private forms of pipes are opened through /proc, which a process that
        # keeps its memory private may not do.
        out, err = writer_for(os.dup(1)), writer_for(os.dup(2))
        keep_memory_private()
        start_logging(arguments.log_file)
        services = compose(arguments.overrides)
        wish = _wish(arguments, services)
        return anyio.run(_main, services, wish, out, err, arguments.json)
    except (UsageError, CodexError, OSError) as exc:
        print(f"codex-rpc: {exc}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


async def _main(
    services: Services, wish: Wish, out: ByteWriter, err: ByteWriter, as_json: bool
) -> int:
    screens: list[Screen] = []

    def screen() -> Screen:
        # Programs that read events seldom cause a question, and do not wait for rich.
        from codex_rpc.cli.terminal import Screen

        if not screens:
            screens.append(Screen(2, err))
        return screens[0]

    async def ask(request: ApprovalRequest) -> Decision:
        from codex_rpc.cli.questions import decide

        return await decide(request, screen())

    view: View
    if as_json:
        view = EventLines(out)
    else:
        from codex_rpc.cli.view import TerminalView

        view = TerminalView(out, screen(), out_is_terminal=os.isatty(1))
    async with SessionManager(services) as manager:
        return await converse(manager, wish, view, ask)


def _wish(arguments: argparse.Namespace, services: Services) -> Wish:
    """What was asked for on the command line.

    Raises:
        UsageError, ConfigError: it cannot be done.
    """
    here = Path.cwd()
    cwd = _directory(here / arguments.cd) if arguments.cd is not None else here
    images = [_image(here / image) for image in arguments.image]
    overrides = SessionOverrides(
        model=arguments.model,
        profile=arguments.profile,
        approval_policy=arguments.ask_for_approval,
    )
    if arguments.sandbox is not None:
        # Only the mode is said here; the folders and the rest of the policy are configured.
        said = evolve(overrides, config={"sandbox_mode": arguments.sandbox})
        policy = services.configure(cwd=cwd, overrides=said).sandbox_policy
        overrides = evolve(overrides, sandbox_policy=policy)
    if arguments.resume is not None and OSS in arguments.overrides:
        # Whoever says --oss here means this turn, whatever the session has used before.
        provider = services.configure(cwd=cwd, overrides=overrides).provider
        overrides = evolve(overrides, model_provider=provider.id)
    given = {a.name: getattr(overrides, a.name) for a in fields(SessionOverrides)}
    opening: ConfigureParams | ResumeParams
    if arguments.resume is None:
        opening = ConfigureParams(cwd=str(cwd), **given)
    elif arguments.resume == "last":
        opening = ResumeParams(cwd=str(cwd), last=True, **given)
    else:
        # A session goes on where it was, unless another folder is asked for.
        said_cwd = str(cwd) if arguments.cd is not None else None
        opening = ResumeParams(cwd=said_cwd, **_saved(arguments.resume, here), **given)
    return Wish(opening, UserInput([TextInput(_prompt(arguments.prompt)), *images]))


def _saved(text: str, here: Path) -> dict[str, Any]:
    if _UUID.fullmatch(text):
        return {"session_id": text}
    path = here / text
    if not path.exists():
        raise UsageError(
            f"--resume: {text!r} is no session id (as in 1b4e28ba-2fa1-41d2-883f-0016d3cca427), "
            "no session file, and not `last`"
        )
    return {"path": str(path)}


def _prompt(text: str | None) -> str:
    if text is None or text == "-":
        if sys.stdin is None or (text is None and sys.stdin.isatty()):
            raise UsageError('what is to be done? As in: codex-rpc exec "explain this folder"')
        try:
            text = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError as exc:
            raise UsageError("the prompt on standard input is not UTF-8") from exc
    if not text.strip():
        raise UsageError("the prompt is empty")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise UsageError("the prompt is not UTF-8") from exc
    return text


def _directory(path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(f"-C: {path} is no directory")
    return path.resolve()


def _image(path: Path) -> LocalImageInput:
    if not path.is_file():
        raise UsageError(f"-i: {path} is no file")
    return LocalImageInput(str(path))

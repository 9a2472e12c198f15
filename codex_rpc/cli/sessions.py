"""`codex-rpc sessions`: finding saved sessions, looking at them, and putting them in order.

Owns the options, and what becomes of what goes wrong. What each action does is told by the
modules beside it, of which only that of the action is loaded.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module

import anyio
from anyio.abc import TaskStatus

from codex_rpc.cli.composition import compose
from codex_rpc.cli.process import start_logging
from codex_rpc.cli.session_desk import Desk
from codex_rpc.protocol.errors import CodexError, ConfigError, InvalidParams
from codex_rpc.rpc.stdio import PeerGone, writer_for

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
DEFAULT_LIMIT = 20

EPILOG = """\
A session is named by its id, by the beginning of one that no other has, or as `last`: the one
on top of the list.

exit code: 0 done, 1 not found, refused or damaged, 2 the command line is wrong, 130 Ctrl-C.

examples:
  codex-rpc sessions                       the newest ones
  codex-rpc sessions list --cwd .          those of this folder
  codex-rpc sessions search flaky parser   those in which both words were said or run
  codex-rpc sessions show last
  codex-rpc sessions resume 01a20423 "now write a README"
"""

LOOKING = "codex_rpc.cli.session_looking"
HOUSEKEEPING = "codex_rpc.cli.session_housekeeping"
CONTINUING = "codex_rpc.cli.session_continuing"

ACTIONS = {
    "list": (LOOKING, "show_list", "show the sessions, the newest first"),
    "search": (LOOKING, "show_list", "find sessions by words that were said or run"),
    "show": (LOOKING, "show_session", "print a conversation"),
    "resume": (CONTINUING, "resume", "go on with a session, as `exec` does"),
    "fork": (CONTINUING, "fork", "go on with a copy of a session"),
    "rename": (HOUSEKEEPING, "rename", "give a session another title"),
    "archive": (HOUSEKEEPING, "archive", "put sessions away"),
    "unarchive": (HOUSEKEEPING, "unarchive", "take sessions out of the archive"),
    "delete": (HOUSEKEEPING, "delete", "throw sessions away"),
    "export": (HOUSEKEEPING, "export", "write a session as Markdown, HTML or JSON"),
    "repair": (HOUSEKEEPING, "repair", "show what is damaged, and add what is missing"),
    "doctor": (LOOKING, "examine", "look for damage in all files"),
}
"""Each action's module and function, and what it is for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its options; without one the sessions are listed."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    nothing_said = argparse.ArgumentParser()
    _add_filters(nothing_said)
    parser.set_defaults(action="list", words=None, **vars(nothing_said.parse_args([])))
    for name, (_, _, summary) in ACTIONS.items():
        action = actions.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            allow_abbrev=False,
        )
        _add_options(name, action)


def run(arguments: argparse.Namespace) -> int:
    """Do it; the exit code."""
    module, function, _ = ACTIONS[arguments.action]
    try:
        if module == CONTINUING:
            return int(getattr(import_module(module), function)(arguments))
        start_logging(arguments.log_file)
        desk = Desk(compose(arguments.overrides), writer_for(os.dup(1)), writer_for(os.dup(2)))
        act = getattr(import_module(module), function)
        return anyio.run(_run, act, desk, arguments)
    except (ConfigError, InvalidParams) as exc:
        return _complain(exc.message, EXIT_USAGE)
    except CodexError as exc:
        return _complain(exc.message, EXIT_REFUSED)
    except OSError as exc:
        return _complain(str(exc), EXIT_REFUSED)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


async def _run(
    act: Callable[[Desk, argparse.Namespace], Awaitable[int]],
    desk: Desk,
    arguments: argparse.Namespace,
) -> int:
    code = EXIT_INTERRUPTED
    problem: Exception | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(_stop_on_signal, tasks.cancel_scope)
        try:
            code = await act(desk, arguments)
        except (CodexError, OSError) as exc:
            problem = exc
        except PeerGone:
            # Whoever wanted to read has read enough.
            code = 0
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem
    return code


async def _stop_on_signal(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Stop reading files on Ctrl-C, wherever it is just done."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGINT) as received:
        task_status.started()
        async for _ in received:
            scope.cancel()


def _complain(message: str, code: int) -> int:
    print(f"codex-rpc: {message}", file=sys.stderr)
    return code


def _add_options(action: str, parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    name = "the session: an id, the beginning of one, or `last`"
    match action:
        case "list":
            _add_filters(parser)
            parser.set_defaults(words=None)
        case "search":
            add("words", nargs="+", metavar="WORD", help="all of them have to be found")
            _add_filters(parser)
        case "show":
            add("id", metavar="ID", help=name)
            add("--full", action="store_true", help="with all outputs and thoughts")
            add("--limit", type=_positive, metavar="N", help="only the last N items")
            _add_json(parser)
        case "resume" | "fork":
            add("id", metavar="ID", help=name)
            of_fork = "; --up-to INDEX: the last item that is kept" if action == "fork" else ""
            add(
                "rest",
                nargs=argparse.REMAINDER,
                metavar="...",
                help=f"what you want, and the options of `codex-rpc exec`{of_fork}",
            )
        case "rename":
            add("id", metavar="ID", help=name)
            add("title", nargs="+", metavar="TITLE")
        case "archive" | "unarchive" | "delete":
            add("id", nargs="+", metavar="ID", help=name)
            if action == "delete":
                add("-y", "--yes", action="store_true", help="do not ask")
        case "export":
            add("id", metavar="ID", help=name)
            formats = ("markdown", "html", "json")
            add("--format", choices=formats, help="default: as the file is called, or markdown")
            add("-o", "--output", metavar="FILE", help="a new file (default: standard output)")
        case "repair":
            which = parser.add_mutually_exclusive_group(required=True)
            which.add_argument("id", nargs="?", metavar="ID", help=name)
            which.add_argument("--all", action="store_true", help="all sessions")
            add("-n", "--dry-run", action="store_true", help="add nothing, show what would be")
        case "doctor":
            _add_json(parser)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--cwd", metavar="DIR", help="only sessions of that folder (`.`: this one)")
    add("--archived", action="store_true", help="the archived sessions instead")
    add("--sort", choices=("updated", "created"), default="updated", help="default: updated")
    add(
        "--limit",
        type=_positive,
        metavar="N",
        default=DEFAULT_LIMIT,
        help=f"how many (default: {DEFAULT_LIMIT})",
    )
    add("--cursor", metavar="TEXT", help="go on where the JSON of the page before says")
    _add_json(parser)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000000")
    return int(text)

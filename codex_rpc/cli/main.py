"""The command line: what can be said, and which module does it.

Modules of commands are imported when their command runs, so that serving an editor pays
neither for the terminal's tables nor for anything else it does not need.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from codex_rpc import __version__

DESCRIPTION = """\
A coding agent that an editor drives with JSON-RPC over stdin and stdout.

Without a command it serves: one JSON object per line, or Content-Length framed messages.
"""

EPILOG = """\
first steps:
  codex-rpc demo                       watch a whole session, without key or network
  codex-rpc login                      or export OPENAI_API_KEY=..., then
  codex-rpc doctor                     see whether everything is there
  codex-rpc exec "explain this folder" one turn in the terminal
  codex-rpc exec --oss "explain it"    the same with Ollama on this machine, without a key
  printf '{"jsonrpc":"2.0","id":1,"method":"session/list"}\\n' | codex-rpc

files: $CODEX_HOME/config.toml (default ~/.codex/config.toml), $CODEX_HOME/sessions/
"""

OSS = "oss=true"
"""The `-c` option that `--oss` stands for."""

COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("codex_rpc.cli.serve", "speak JSON-RPC on stdin and stdout (the default)"),
    "acp": ("codex_rpc.cli.acp", "speak the Agent Client Protocol on stdin and stdout"),
    "exec": ("codex_rpc.cli.exec", "run one turn in the terminal"),
    "doctor": ("codex_rpc.cli.doctor", "say what this machine and the configuration give"),
    "sandbox": ("codex_rpc.cli.sandbox", "run a command under the sandbox policy"),
    "sessions": ("codex_rpc.cli.sessions", "find, show, continue and mend saved sessions"),
    "demo": ("codex_rpc.cli.demo", "show a session with a scripted model, a crash and a resume"),
    "login": ("codex_rpc.cli.login", "save an API key of OpenAI"),
    "logout": ("codex_rpc.cli.logout", "forget the saved API key"),
    "schema": ("codex_rpc.cli.schema", "print the JSON Schema of the protocol"),
}
"""Each command's module, which has `add_arguments(parser)` and `run(arguments) -> int`."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command that `argv` (default: the process's) names, and exit with its code."""
    top = _parser("codex-rpc", DESCRIPTION)
    top.epilog = _commands_help() + EPILOG
    top.add_argument("--version", action="version", version=f"codex-rpc {__version__}")
    top.add_argument(
        "command", nargs="?", choices=COMMANDS, default="serve", help=argparse.SUPPRESS
    )
    top.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    top.usage = "codex-rpc [options] [COMMAND ...]"
    before = top.parse_args(sys.argv[1:] if argv is None else argv)

    module_name, summary = COMMANDS[before.command]
    module = import_module(module_name)
    _collect_garbage_again()
    parser = _parser(f"codex-rpc {before.command}", summary[0].upper() + summary[1:] + ".")
    module.add_arguments(parser)
    arguments = parser.parse_args(before.rest)
    for name in ("log_file", "max_message_bytes"):
        if getattr(arguments, name) is None:
            setattr(arguments, name, getattr(before, name))
    arguments.overrides = [*before.overrides, *arguments.overrides]
    if before.oss or arguments.oss:
        # Before all others, so that each of them wins.
        arguments.overrides.insert(0, OSS)
    run: Callable[[argparse.Namespace], int] = module.run
    sys.exit(run(arguments))


def _collect_garbage_again() -> None:
    """Collect garbage from now on, but not among the modules that are loaded by now."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def _parser(prog: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options that may stand before or after the command."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-c",
        "--config",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="override a (dotted) key of config.toml; the value is TOML, or else plain text",
    )
    parser.add_argument(
        "--oss",
        action="store_true",
        help="use a model on this machine: Ollama's, or LM Studio's with oss_provider = "
        '"lmstudio"; -m or -c model=NAME says which (default gpt-oss:20b)',
    )
    parser.add_argument(
        "--log-file", metavar="FILE", help="write the log there instead of to stderr"
    )
    parser.add_argument(
        "--max-message-bytes",
        metavar="N",
        type=_positive,
        help="largest message that is read (default 64 MiB)",
    )
    return parser


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _commands_help() -> str:
    rows = "".join(f"  {name:<10} {summary}\n" for name, (_, summary) in COMMANDS.items())
    return f"commands:\n{rows}  `codex-rpc COMMAND --help` shows the options of one.\n\n"

"""`codex-rpc acp`: the Agent Client Protocol on this process's stdin and stdout."""

from __future__ import annotations

import argparse
from functools import partial

from codex_rpc import __version__
from codex_rpc.acp.front import AcpFront
from codex_rpc.cli.serving import serve_pipes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Beside those that every command has, what clients append to log somebody in."""
    parser.add_argument(
        "--login", action="store_true", help="save an API key instead, as `codex-rpc login` does"
    )
    parser.epilog = (
        "For editors that speak the Agent Client Protocol (Zed, JetBrains, CodeCompanion, avante, "
        "agent-shell and others): let them start `codex-rpc acp`. End of input ends it, saving "
        "everything."
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until the input ends; the exit code."""
    if arguments.login:
        from codex_rpc.cli import login

        return login.run(arguments)
    return serve_pipes(
        arguments,
        lambda manager: partial(AcpFront, manager, version=__version__),
        speaks="Agent Client Protocol",
    )

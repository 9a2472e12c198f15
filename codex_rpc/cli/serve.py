"""`codex-rpc serve`: the endpoint with the native protocol on this process's stdin and stdout."""

from __future__ import annotations

import argparse
from functools import partial

from codex_rpc import __version__
from codex_rpc.cli.serving import serve_pipes
from codex_rpc.rpc.native import NativeFront


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that every command has are enough."""
    parser.epilog = (
        "Reads one JSON object per line, or Content-Length framed messages; answers in kind. "
        "End of input ends it, saving everything."
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until the input ends; the exit code."""
    return serve_pipes(
        arguments,
        lambda manager: partial(NativeFront, manager, version=__version__),
        speaks="JSON-RPC",
    )

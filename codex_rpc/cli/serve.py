"""`codex-rpc serve`: the endpoint on this process's stdin and stdout."""

from __future__ import annotations

import argparse
import sys

import anyio

from codex_rpc import __version__
from codex_rpc.cli.composition import compose
from codex_rpc.cli.process import keep_memory_private, start_logging
from codex_rpc.core.manager import SessionManager
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.rpc.endpoint import serve
from codex_rpc.rpc.framing import MAX_MESSAGE_BYTES
from codex_rpc.rpc.stdio import claim

EXIT_USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that every command has are enough."""
    parser.epilog = (
        "Reads one JSON object per line, or Content-Length framed messages; answers in kind. "
        "End of input ends it, saving everything."
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until the input ends; the exit code."""
    if sys.stdin is not None and sys.stdin.isatty():
        print(
            "codex-rpc: waiting for JSON-RPC messages on standard input "
            "(Ctrl-D ends; `codex-rpc --help` shows what else there is)",
            file=sys.stderr,
        )
    # The descriptors are claimed first: their private forms are opened through /proc, which a
    # process that keeps its memory private may not do.
    reader, writer = claim()
    keep_memory_private()
    try:
        start_logging(arguments.log_file)
        services = compose(arguments.overrides)
    except (ConfigError, OSError) as exc:
        print(f"codex-rpc: {exc}", file=sys.stderr)
        return EXIT_USAGE

    async def main() -> int:
        async with SessionManager(services) as manager:
            return await serve(
                manager,
                reader,
                writer,
                version=__version__,
                max_message_bytes=arguments.max_message_bytes or MAX_MESSAGE_BYTES,
            )

    return anyio.run(main)

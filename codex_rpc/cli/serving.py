"""An endpoint on this process's stdin and stdout, whatever is spoken there."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable

import anyio
import anyio.abc

from codex_rpc.cli.composition import compose
from codex_rpc.cli.process import keep_memory_private, start_logging
from codex_rpc.core.manager import SessionManager
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.rpc.endpoint import serve
from codex_rpc.rpc.framing import MAX_MESSAGE_BYTES
from codex_rpc.rpc.front import FrontMaker
from codex_rpc.rpc.stdio import ByteReader, claim

EXIT_USAGE = 2


def serve_pipes(
    arguments: argparse.Namespace,
    front: Callable[[SessionManager], FrontMaker],
    *,
    speaks: str,
) -> int:
    """Serve until the input ends; the exit code. `speaks` is for whoever starts it by hand."""
    if sys.stdin is not None and sys.stdin.isatty():
        print(
            f"codex-rpc: waiting for {speaks} messages on standard input "
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
        source = UntilSignalled(reader)
        async with anyio.create_task_group() as tg:
            await tg.start(source.watch)
            async with SessionManager(services) as manager:
                code = await serve(
                    manager,
                    source,
                    writer,
                    front(manager),
                    max_message_bytes=arguments.max_message_bytes or MAX_MESSAGE_BYTES,
                )
            tg.cancel_scope.cancel()
        return code

    return anyio.run(main)


class UntilSignalled:
    """A reader whose input ends when the process is asked to end: a clean shutdown either way."""

    def __init__(self, reader: ByteReader) -> None:
        self._reader = reader
        self._signalled = False
        self._reading = anyio.CancelScope()

    async def watch(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Wait for the first polite signal; those that follow have their usual effect."""
        if sys.platform == "win32":
            task_status.started()
            return
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        with anyio.open_signal_receiver(*signals) as received:
            task_status.started()
            async for _ in received:
                break
        self._signalled = True
        self._reading.cancel()

    async def read(self) -> bytes:
        """The next bytes; `b""` at the end or when signalled."""
        if self._signalled:
            return b""
        with anyio.CancelScope() as self._reading:
            return await self._reader.read()
        return b""

    def close(self) -> None:
        """Let go of the descriptor."""
        self._reader.close()

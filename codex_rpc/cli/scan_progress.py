"""A bar for scans that take longer than one waits without asking oneself: only on a terminal.

Whatever is counted, in whichever thread, `Scan` is told; it appears after a second, and
disappears when the scan is over.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio

from codex_rpc.rpc.stdio import ByteWriter, PeerGone

PATIENCE_S = 1.0
PERIOD_S = 0.1
ERASE_S = 1.0
WIDTH = 24


class Scan:
    """How far a scan is."""

    def __init__(self) -> None:
        self._state = (0, 0)

    def __call__(self, done: int, total: int) -> None:
        """So many of so many are done. May be called in any thread."""
        self._state = (done, total)

    @property
    def bar(self) -> str:
        """What is shown of it; "" as long as nothing is known."""
        done, total = self._state
        if not total:
            return ""
        full = WIDTH * done // total
        bar = f"{'█' * full}{'░' * (WIDTH - full)}"
        return f"{bar} {done:,} of {total:,} files"


@asynccontextmanager
async def shown_scan(writer: ByteWriter, fd: int) -> AsyncIterator[Scan]:
    """A scan that is shown on what `writer` writes to, which is `fd`, if that is a terminal."""
    scan = Scan()
    if not os.isatty(fd) or os.environ.get("TERM") == "dumb":
        yield scan
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_show, scan, writer)
        try:
            yield scan
        finally:
            tasks.cancel_scope.cancel()


async def _show(scan: Scan, writer: ByteWriter) -> None:
    await anyio.sleep(PATIENCE_S)
    try:
        while True:
            if scan.bar:
                await writer.write(f"\r{scan.bar}\x1b[K".encode())
            await anyio.sleep(PERIOD_S)
    except PeerGone:
        return
    finally:
        with anyio.move_on_after(ERASE_S, shield=True):
            with suppress(PeerGone):
                await writer.write(b"\r\x1b[K")

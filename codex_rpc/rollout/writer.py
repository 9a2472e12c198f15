"""The log of an open session: the one writer of its file.

Owns the order of appends and the border between the event loop and the thread that writes;
what the bytes do on their way to the disk is `append_file`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
from anyio import CapacityLimiter, to_thread

from codex_rpc.protocol.errors import RolloutWriteFailed
from codex_rpc.protocol.events import TakenOverBy
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import Record
from codex_rpc.rollout.append_file import AppendFile
from codex_rpc.rollout.blobs import BlobFolder
from codex_rpc.rollout.encoding import blobs_line, record_line
from codex_rpc.rollout.files import reason_of
from codex_rpc.rollout.live import LiveNote
from codex_rpc.rollout.paths import text_of
from codex_rpc.rollout.takeover import Takeover


class RolloutLog:
    """The open session file: append only, one writer, locked until closed.

    Calls may overlap; records reach the file in the order in which `append` was called.
    An operation that has begun is not cancelled: `append` that was called has written, or
    queued, its records, and returns or raises only then.
    """

    def __init__(
        self,
        file: AppendFile,
        *,
        blobs: BlobFolder,
        note: LiveNote,
        takeover: Takeover,
        on_closed: Callable[[], None],
    ) -> None:
        self._file = file
        self._blobs = blobs
        self._note = note
        self._takeover = takeover
        self._on_closed = on_closed
        self._incoming: list[Record] = []
        """What appends brought that wait for the one before."""
        self._turn = anyio.Lock()
        # A thread of its own, so that a slow disk takes none from anyone else.
        self._thread = CapacityLimiter(1)
        self._unsaved = 0
        self._closed = False

    @property
    def path(self) -> Path:
        """Where the session is written."""
        return self._file.path

    @property
    def unsaved(self) -> int:
        """How many records are not in the file because writing them, or syncing, failed."""
        return self._unsaved

    async def append(self, records: Sequence[Record]) -> None:
        """Write one step with one `write(2)`, after whatever is still queued.

        Returns when it is written, with `fsync = "record"` when it is durable. Steps that
        wait for the same write may share it.

        Raises:
            RolloutWriteFailed: what is not written is queued in order and goes first next time.
        """
        self._refuse_if_closed()
        self._incoming += records
        with anyio.CancelScope(shield=True):
            async with self._turn:
                self._refuse_if_closed()
                taken, self._incoming = self._incoming, []
                if taken or self._unsaved:
                    await self._run(lambda: self._write(taken))

    async def flush(self) -> None:
        """Try again to write what is queued, and to sync what could not be synced.

        Raises:
            RolloutWriteFailed: as `append`.
        """
        await self.append(())

    async def sync(self) -> None:
        """Make everything written durable, unless `fsync = "never"`.

        Raises:
            RolloutWriteFailed: the device says that it is not; the records in doubt count as
                unsaved, and the next operation writes them once more.
        """
        with anyio.CancelScope(shield=True):
            async with self._turn:
                self._refuse_if_closed()
                await self._run(self._file.sync)

    async def wanted(self) -> TakenOverBy:
        """Wait until another process of the same user asks to take the session over."""
        return await self._takeover.wanted()

    async def close(self, *, discard: bool = False) -> None:
        """Flush, sync, unlock, close. Idempotent.

        Raises:
            RolloutWriteFailed: records are unsaved, and the log stays open unless `discard`;
                or they were lost in closing, and it is closed.
        """
        with anyio.CancelScope(shield=True):
            async with self._turn:
                if self._closed:
                    return
                try:
                    await self._run(self._finish)
                except RolloutWriteFailed:
                    if not discard:
                        raise
                self._closed = True
                self._on_closed()
                try:
                    await self._run(self._release)
                except RolloutWriteFailed:
                    if not discard:
                        raise

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RolloutWriteFailed(text_of(self.path), "the session is closed")

    async def _run(self, work: Callable[[], None]) -> None:
        """Do `work`, which blocks, in the thread; the caller holds the turn."""
        try:
            await to_thread.run_sync(work, limiter=self._thread)
        except OSError as exc:
            raise RolloutWriteFailed(text_of(self.path), reason_of(exc)) from exc
        finally:
            self._unsaved = self._file.unsaved

    def _write(self, records: Sequence[Record]) -> None:
        self._note.announce()
        line_no = self._file.next_line_no
        lines = []
        for record in records:
            lines.append(encoded(record, self._blobs, line_no))
            line_no += lines[-1].count(b"\n")
        self._file.write(lines)

    def _finish(self) -> None:
        self._file.write()
        self._file.sync()

    def _release(self) -> None:
        self._note.withdraw()
        self._file.close()


def encoded(record: Record, blobs: BlobFolder, line_no: int) -> bytes:
    """A record's lines: one, or two where something of an item was stored apart.

    Blocks on files. What cannot be stored apart stays in the item: the file is the truth, and
    whether it can be written is about to be seen.
    """
    if isinstance(record, Item):
        try:
            stored = blobs.stored(record)
        except OSError:
            stored = None
        if stored is not None:
            refs, rest = stored
            return blobs_line(refs) + rest + b"\n"
    return record_line(record, line_no)

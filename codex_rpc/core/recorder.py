"""Between a session and its file: record, then announce; and what happens when the disk says no.

Owns the state of storage (working or failing) and its two announcements. The unsaved bytes
themselves stay in order inside the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from codex_rpc.core.ports import RolloutLog
from codex_rpc.protocol.errors import RolloutWriteFailed
from codex_rpc.protocol.events import EventMsg, StorageFailed, StorageRecovered
from codex_rpc.protocol.records import Record

STORAGE_FAILED_CODE = 1006
PATIENCE_S = 30.0
"""How long a turn waits for storage to come back."""
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 2.0


def _nobody_is_told(_msg: EventMsg) -> None:
    """What becomes of an announcement when the file is closed."""


class Recorder:
    """Writes a session's records and keeps trying when that fails."""

    def __init__(
        self,
        log: RolloutLog,
        announce: Callable[[EventMsg], None],
        *,
        patience_s: float = PATIENCE_S,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self.log = log
        self.patience_s = patience_s
        self.first_retry_s = first_retry_s
        self._announce = announce
        self._failing = False
        self._unsynced = False
        self._last_failure: RolloutWriteFailed | None = None
        self._failed = anyio.Event()
        self._recovered = anyio.Event()

    @property
    def failing(self) -> bool:
        """Whether records are unsaved."""
        return self._failing

    async def record(self, *records: Record) -> None:
        """Write one step. Returns when it is in the file.

        While storage fails this waits for it to come back.

        Raises:
            RolloutWriteFailed: it did not, within the patience; the records stay queued.
        """
        try:
            await self._append(records)
        except RolloutWriteFailed:
            if not await self._storage_is_back():
                raise

    async def wait_for_storage(self) -> None:
        """Wait until everything is saved; returns at once if it is.

        Raises:
            RolloutWriteFailed: it is not, within the patience.
        """
        if self._failing and not await self._storage_is_back():
            assert self._last_failure is not None
            raise self._last_failure

    async def _storage_is_back(self) -> bool:
        """Whether everything is saved, within the patience."""
        with anyio.move_on_after(self.patience_s):
            await self._recovered.wait()
        return not self._failing

    async def record_now(self, *records: Record) -> None:
        """Write one step, or queue it if storage fails; never waits for storage to come back."""
        try:
            await self._append(records)
        except RolloutWriteFailed:
            return  # `_append` has announced it; the records are queued.

    async def sync_now(self) -> None:
        """Make what is written durable, or announce that it is not."""
        if self._failing:
            return
        try:
            await self.log.sync()
        except RolloutWriteFailed as exc:
            self._unsynced = True
            self._on_failure(exc)

    async def _append(self, records: Sequence[Record]) -> None:
        queued = self.log.unsaved
        try:
            # Never half a decision: what the history holds is in the file or in its queue,
            # also when the turn is cancelled at this very moment.
            with anyio.CancelScope(shield=True):
                await self.log.append(records)
        except RolloutWriteFailed as exc:
            self._on_failure(exc)
            raise
        if self._failing and not self._unsynced:
            self._on_recovery(queued)

    def _on_failure(self, exc: RolloutWriteFailed) -> None:
        self._last_failure = exc
        if self._failing:
            return
        self._failing = True
        self._recovered = anyio.Event()
        self._announce(
            StorageFailed(
                code=STORAGE_FAILED_CODE,
                message=f"{exc.message}; it is kept in memory and written when that is possible",
                path=exc.path,
                unsaved=self.log.unsaved,
            )
        )
        self._failed.set()

    def _on_recovery(self, saved: int) -> None:
        self._failing = False
        # Its traceback holds the recorder.
        self._last_failure = None
        self._failed = anyio.Event()
        self._announce(StorageRecovered(saved=saved))
        self._recovered.set()

    async def run(self) -> None:
        """Try again, for as long as storage fails. Ends by cancellation."""
        while True:
            await self._failed.wait()
            pause_s = self.first_retry_s
            while self._failing:
                await anyio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_RETRY_S)
                if self._failing:
                    await self._retry()

    async def _retry(self) -> None:
        queued = self.log.unsaved
        try:
            await self.log.flush()
            if self._unsynced:
                await self.log.sync()
        except RolloutWriteFailed:
            return  # Already announced; the next try comes.
        self._unsynced = False
        if self._failing:
            self._on_recovery(queued)

    async def close(self, *, discard: bool) -> None:
        """Flush, sync and unlock.

        Raises:
            RolloutWriteFailed: records are unsaved and `discard` is false; the file stays open.
        """
        try:
            await self.log.close(discard=discard)
        except RolloutWriteFailed as exc:
            self._on_failure(exc)
            raise
        # Whoever is told holds the recorder as well, and so does a failure by its traceback.
        self._announce = _nobody_is_told
        self._last_failure = None

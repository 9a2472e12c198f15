"""The buffer between a stream's reader and its caller.

Owns the bound, the waking of either side, and the order: every event, then the failure or the
end. It does not know where events come from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from anyio import Event
from anyio.lowlevel import checkpoint

from codex_rpc.protocol.errors import ModelError
from codex_rpc.protocol.model import ModelEvent

MAX_BYTES = 1024 * 1024
"""How much of a stream waits, measured in what the server sent for it, before reading pauses."""

EVENTS_PER_CHECKPOINT = 32
"""A caller that is always given the next event at once still lets others run this often, and so
does a reader: what one session is sent in one piece is not all handled before the next one's."""


class ReadAhead:
    """Model events for one caller, put in by one reader."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self.completed = False
        """Whether everything that was to come is in, and no failure with it."""
        self._waiting: deque[tuple[ModelEvent, int]] = deque()
        self._size = 0
        self._max_bytes = max_bytes
        self._failure: ModelError | None = None
        self._ended = False
        self._taken = 0
        # Made by the side that waits, so that what arrives in one piece wakes the other once.
        self._ready: Event | None = None
        self._room: Event | None = None

    @property
    def full(self) -> bool:
        """Whether the reader should wait for room."""
        return self._size >= self._max_bytes

    def put(self, events: Sequence[ModelEvent], size: int) -> None:
        """Add events that took `size` bytes to tell. Does not wait."""
        for event in events:
            self._waiting.append((event, size))
            self._size += size
            size = 0
        if self._ready is not None:
            self._wake_caller()

    async def room(self) -> None:
        """Wait until half of the buffer is free."""
        if self._size > self._max_bytes // 2:
            self._room = Event()
            await self._room.wait()

    def end(self, failure: ModelError | None = None) -> None:
        """Nothing follows but `failure`. The first end counts."""
        if not self._ended:
            self._ended = True
            self._failure = failure
            self.completed = failure is None
            self._wake_caller()

    def _wake_caller(self) -> None:
        if self._ready is not None:
            self._ready.set()
            self._ready = None

    def __aiter__(self) -> ReadAhead:
        return self

    def _take_end(self) -> Exception:
        # Not in the caller's frame, which is in the traceback: the failure would hold itself.
        failure, self._failure = self._failure, None
        return failure or StopAsyncIteration()

    async def __anext__(self) -> ModelEvent:
        self._taken += 1
        if self._taken % EVENTS_PER_CHECKPOINT == 0:
            await checkpoint()
        while not self._waiting:
            if self._ended:
                raise self._take_end()
            self._ready = Event()
            await self._ready.wait()
        event, size = self._waiting.popleft()
        self._size -= size
        if self._room is not None and self._size <= self._max_bytes // 2:
            self._room.set()
            self._room = None
        return event

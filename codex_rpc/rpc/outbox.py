"""Everything that is written to the peer, in one order, by one task.

Owns the order: answers first, then the sessions' events in fair turns. Events are pulled from
the sessions' own queues and encoded only when the pipe takes them, so that nothing piles up
here while the peer does not read: at most the answers, of which there are no more than
requests, and one batch. Knows no method.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Literal

import anyio
from attrs import define, field

from codex_rpc.core.events import EventQueue, is_delta
from codex_rpc.protocol.events import Event
from codex_rpc.rpc.framing import Framing, encode
from codex_rpc.rpc.stdio import ByteWriter

BATCH_BYTES = 64 * 1024
"""A batch is closed when it has reached this size, which is what a pipe holds."""

TURN_BYTES = 16 * 1024
TURN_EVENTS = 64
"""A session's turn ends at whichever of the two is reached first."""

MAX_WAITING_ANSWERS = 2048
"""How many answers wait before `room` does."""


def _untold(_session_id: str, _event: Event) -> Iterable[bytes]:
    return ()


def _nothing() -> None:
    """What is done for an answer that nobody keeps account of."""


@define(eq=False)
class _Stream:
    """One session's events from its opening to its end."""

    session_id: str
    events: EventQueue
    state: Literal["idle", "rotating", "resting"] = "idle"
    rests_until: float = 0.0
    """Until then its deltas stay where they merge; on the loop's clock."""
    taken: bool = False
    """To its last event; the batch with it may still be on its way."""
    written: bool = False
    """To its last event."""
    successor: _Successor | None = None


@define
class _Successor:
    """The same session, resumed before its last stream was written."""

    stream: _Stream
    answer: bytes
    answer_taken: Callable[[], None]


@define
class _Batch:
    """What goes out with one write."""

    framing: Framing | None
    parts: list[bytes] = field(factory=list)
    size: int = 0
    ended: list[_Stream] = field(factory=list)
    """The streams of which this holds the last event."""

    def add(self, payload: bytes) -> None:
        frame = encode(self.framing, payload)
        self.parts.append(frame)
        self.size += len(frame)

    @property
    def full(self) -> bool:
        return self.size >= BATCH_BYTES


class Outbox:
    """The way to the peer."""

    def __init__(self, writer: ByteWriter, framing: Callable[[], Framing | None]) -> None:
        self._writer = writer
        self._framing = framing
        self._answers: deque[tuple[bytes, Callable[[], None]]] = deque()
        self._streams: dict[str, _Stream] = {}
        """Each session's newest stream, until it is written."""
        self._rotation: deque[_Stream] = deque()
        self._wake = anyio.Event()
        self._room = anyio.Event()
        self._closed = False
        self._unbounded = False
        self._progress = anyio.Event()
        """Set and replaced when a session's last event was written."""
        self._ended = anyio.Event()
        self.rest_s = 0.0
        """How long a session's deltas are left to merge after one has left; other events never
        wait, and take with them what is before them."""
        self._resting: deque[_Stream] = deque()
        """Those with deltas, in the order in which their rest ends."""
        self.encoded: Callable[[str, Event], Iterable[bytes]] = _untold
        """How an event of a session is told; set before the first session is opened."""
        self.observers: list[Callable[[str, Event], None]] = []
        """Told of each event, with its session's id, as it leaves. They never wait or raise."""

    @property
    def finished(self) -> bool:
        """Whether `run` has ended: nothing more will be written."""
        return self._ended.is_set()

    def put(self, payload: bytes, taken: Callable[[], None] = _nothing) -> None:
        """Write an answer before all events that wait. Never waits.

        `taken` is called when it is about to be written, or never will be.
        """
        if self.finished:
            taken()
            return
        self._answers.append((payload, taken))
        self._wake.set()

    def open(
        self,
        session_id: str,
        events: EventQueue,
        payload: bytes,
        taken: Callable[[], None] = _nothing,
    ) -> None:
        """Write the answer that opens a session, and from then on its events.

        If the same session was closed a moment ago, its last events go first.
        """
        stream = _Stream(session_id, events)
        before = self._streams.get(session_id)
        if before is not None and not before.taken and not self.finished:
            before.successor = _Successor(stream, payload, taken)
        else:
            self.put(payload, taken)
            self._connect(stream)
        self._streams[session_id] = stream

    async def room(self) -> None:
        """Wait while the peer leaves more answers unread than it may have requests in flight."""
        while len(self._answers) >= MAX_WAITING_ANSWERS and not self._unbounded:
            # There may be several who wait.
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()

    def lift_limit(self) -> None:
        """From here on there is always room, since no more than a little can come."""
        self._unbounded = True
        self._room.set()

    def end_of(self, session_id: str) -> Callable[[], Awaitable[None]]:
        """To be called later, when the session has been closed: waits until its last event is
        written, or never will be. A later life of the session does not count."""
        return partial(self._wait_for, self._streams.get(session_id))

    async def all_ended(self) -> None:
        """Wait until the last events of all sessions are written, or never will be."""
        for stream in list(self._streams.values()):
            await self._wait_for(stream)

    async def _wait_for(self, stream: _Stream | None) -> None:
        while stream is not None and not stream.written and not self.finished:
            await self._progress.wait()

    def close(self) -> None:
        """Let `run` end when everything is written. Idempotent."""
        self._closed = True
        self._wake.set()

    async def ended(self) -> None:
        """Wait until `run` has ended."""
        await self._ended.wait()

    async def run(self) -> None:
        """Write until closed.

        Raises:
            PeerGone: nothing can be written any more; what waited is dropped.
        """
        try:
            while True:
                batch = self._next_batch()
                if batch.parts or batch.ended:
                    await self._writer.write(b"".join(batch.parts))
                    self._mark_written(batch.ended)
                elif self._closed:
                    return
                else:
                    self._wake = anyio.Event()
                    ends = self._resting[0].rests_until if self._resting else math.inf
                    with anyio.CancelScope(deadline=ends):
                        await self._wake.wait()
        finally:
            self._drop()

    def _mark_written(self, streams: list[_Stream]) -> None:
        for stream in streams:
            stream.written = True
            if self._streams[stream.session_id] is stream:
                del self._streams[stream.session_id]
        if streams:
            self._progress.set()
            self._progress = anyio.Event()

    def _drop(self) -> None:
        self._ended.set()
        self.lift_limit()
        self._progress.set()
        for _, taken in self._answers:
            taken()
        self._answers.clear()

    def _connect(self, stream: _Stream) -> None:
        def ready() -> None:
            if stream.state == "idle" and self._must_rest(stream):
                self._rest(stream)
                self._wake.set()
            elif stream.state != "rotating" and not self._must_rest(stream):
                self._rotate(stream)
                self._wake.set()

        stream.events.on_ready(ready)

    def _rotate(self, stream: _Stream) -> None:
        stream.state = "rotating"
        self._rotation.append(stream)

    def _must_rest(self, stream: _Stream) -> bool:
        return (
            self.rest_s > 0
            and not stream.events.urgent
            and anyio.current_time() < stream.rests_until
        )

    def _rest(self, stream: _Stream) -> None:
        stream.state = "resting"
        self._resting.append(stream)

    def _wake_rested(self) -> None:
        while self._resting:
            stream = self._resting[0]
            if stream.state == "resting":
                if self._must_rest(stream):
                    return
                self._rotate(stream)
            self._resting.popleft()

    def _next_batch(self) -> _Batch:
        batch = _Batch(self._framing())
        while self._answers and not batch.full:
            payload, taken = self._answers.popleft()
            batch.add(payload)
            taken()
        if len(self._answers) < MAX_WAITING_ANSWERS:
            self._room.set()
        self._wake_rested()
        while self._rotation and not batch.full:
            self._take_turn(self._rotation.popleft(), batch)
        return batch

    def _take_turn(self, stream: _Stream, batch: _Batch) -> None:
        end = min(batch.size + TURN_BYTES, BATCH_BYTES)
        for _ in range(TURN_EVENTS):
            if self._must_rest(stream):
                self._rest(stream)
                return
            taken = stream.events.take(1)
            if not taken:
                stream.state = "idle"
                if stream.events.ended:
                    self._end(stream, batch)
                return
            for payload in self.encoded(stream.session_id, taken[0]):
                batch.add(payload)
            for observer in self.observers:
                observer(stream.session_id, taken[0])
            if self.rest_s > 0 and is_delta(taken[0]):
                stream.rests_until = anyio.current_time() + self.rest_s
            if batch.size >= end:
                break
        self._rotation.append(stream)

    def _end(self, stream: _Stream, batch: _Batch) -> None:
        stream.taken = True
        batch.ended.append(stream)
        successor = stream.successor
        if successor is not None:
            batch.add(successor.answer)
            successor.answer_taken()
            self._connect(successor.stream)

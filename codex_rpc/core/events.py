"""The bounded queue between a session and whoever shows its events.

Owns order, room and merging. Invariants:

- Events leave in the order in which they entered.
- Adjacent deltas of one message, or one command's stream, become one while they wait; nothing
  else is merged, and nothing is dropped.
- `put` waits while the queue is full, so a reader that stops makes the session wait, not grow.
  `put_now` always enters: it is for what must be said whatever the reader does (the end of
  what had begun, a turn's closing, trouble with storage), each bounded by what began.
- Deltas that wait hold at most `MAX_PENDING_DELTA` characters; `put` also waits while all that
  waits together is longer than `MAX_PENDING`.

It does not know who reads, nor what a sequence number is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
from attrs import define, evolve, fields, has

from codex_rpc.protocol.events import (
    AgentMessageDelta,
    AgentReasoningDelta,
    Event,
    ExecCommandOutputDelta,
)

MAX_EVENTS = 512
"""How many entries wait before `put` does."""

MAX_PENDING_DELTA = 64 * 1024
"""How many characters of deltas wait before `put` does."""

MAX_PENDING = 16 << 20
"""How many characters of events wait before `put` does."""


class EventsEnded(Exception):
    """Raised by `next` when the queue is closed and empty."""


@define(slots=True)
class _Entry:
    event: Event
    pieces: list[str] | None
    """The texts of merged deltas, the event's own first; None: not a delta."""
    key: object
    size: int = 0
    """In characters, about; of deltas the texts are counted instead."""


def _delta_key(event: Event) -> object:
    """What deltas must share to become one; None if `event` is no delta."""
    msg = event.msg
    match msg:
        case AgentMessageDelta():
            return ("message", msg.item_id, event.id, event.unsaved)
        case AgentReasoningDelta():
            return ("reasoning", msg.item_id, msg.part, event.id, event.unsaved)
        case ExecCommandOutputDelta():
            return ("output", msg.call_id, msg.stream, event.id, event.unsaved)
        case _:
            return None


def is_delta(event: Event) -> bool:
    """Whether it may be told together with one that follows it."""
    return isinstance(event.msg, AgentMessageDelta | AgentReasoningDelta | ExecCommandOutputDelta)


def _text(event: Event) -> str:
    msg = event.msg
    if isinstance(msg, ExecCommandOutputDelta):
        return msg.chunk
    assert isinstance(msg, AgentMessageDelta | AgentReasoningDelta)
    return msg.delta


def _size(value: Any) -> int:
    """How many characters `value` holds, however deep."""
    size = 0
    pending = [value]
    while pending:
        match pending.pop():
            case str() | bytes() as text:
                size += len(text)
            case list() | tuple() as members:
                pending.extend(members)
            case dict() as members:
                pending.extend(members)
                pending.extend(members.values())
            case inner if has(type(inner)):
                pending.extend(getattr(inner, a.name) for a in fields(type(inner)))
    return size


def _merged(entry: _Entry) -> Event:
    event, pieces = entry.event, entry.pieces
    if pieces is None or len(pieces) == 1:
        return event
    text = "".join(pieces)
    if isinstance(event.msg, ExecCommandOutputDelta):
        return evolve(event, msg=evolve(event.msg, chunk=text))
    assert isinstance(event.msg, AgentMessageDelta | AgentReasoningDelta)
    return evolve(event, msg=evolve(event.msg, delta=text))


def _nobody_listens() -> None:
    """What is done about something to take when nobody has said what."""


class EventQueue:
    """Events on their way to one reader."""

    def __init__(
        self, *, max_events: int = MAX_EVENTS, max_pending_delta: int = MAX_PENDING_DELTA
    ) -> None:
        self._entries: deque[_Entry] = deque()
        self._max_events = max_events
        self._max_pending_delta = max_pending_delta
        self._pending_delta = 0
        self._pending = 0
        self._plain = 0
        """How many of the entries are no deltas."""
        self._closed = False
        self._room = anyio.Event()
        self._on_ready = _nobody_listens
        self._drained = anyio.Event()
        self._read = anyio.Event()
        self.tells_items = False
        """Whether the reader wants `ItemRecorded` as well."""

    @property
    def full(self) -> bool:
        """Whether `put` would wait."""
        return (
            len(self._entries) >= self._max_events
            or self._pending_delta >= self._max_pending_delta
            or self._pending >= MAX_PENDING
        )

    @property
    def urgent(self) -> bool:
        """Whether something waits that does not merge, or there will be nothing more."""
        return self._plain > 0 or self._closed

    @property
    def ended(self) -> bool:
        """Closed, and everything was taken."""
        return self._closed and not self._entries

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call `callback`, which must not wait, whenever there is something to take, and again
        when it becomes urgent.

        There is one callback; it is called at once if something waits already.
        """
        self._on_ready = callback
        if self._entries or self._closed:
            callback()

    async def put(self, event: Event) -> None:
        """Add `event`, after waiting for room. Cancelled while waiting: it was not added."""
        if self.full:
            await self.wait_for_room()
        self.put_now(event)

    async def wait_for_room(self) -> None:
        """Wait until `put` would not."""
        while self.full:
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()

    def put_now(self, event: Event) -> None:
        """Add `event`, room or not."""
        assert not self._closed, "an event after the session's last"
        key = _delta_key(event)
        if key is None:
            size = _size(event.msg)
            self._pending += size
            self._plain += 1
            self._entries.append(_Entry(event, None, None, size))
        else:
            text = _text(event)
            self._pending_delta += len(text)
            last = self._entries[-1] if self._entries else None
            if last is not None and last.pieces is not None and last.key == key:
                last.pieces.append(text)
                return
            self._entries.append(_Entry(event, [text], key))
        if len(self._entries) == 1 or (key is None and self._plain == 1):
            self._on_ready()

    def take(self, max_events: int) -> list[Event]:
        """The next events, at most `max_events`; `[]` if nothing waits. Never waits itself."""
        taken: list[Event] = []
        while self._entries and len(taken) < max_events:
            entry = self._entries.popleft()
            if entry.pieces is not None:
                self._pending_delta -= sum(map(len, entry.pieces))
            else:
                self._plain -= 1
            self._pending -= entry.size
            taken.append(_merged(entry))
        if taken:
            self._read.set()
            if not self.full:
                self._room.set()
        if self.ended:
            self._drained.set()
            # Who listens holds the queue as well.
            self._on_ready = _nobody_listens
        return taken

    async def wait_for_reader(self) -> None:
        """Wait until something was taken."""
        await self._read.wait()

    async def next(self) -> Event:
        """The next event, for a reader in the same process that takes them one by one.

        Raises:
            EventsEnded: there will be none.
        """
        while not self._entries:
            if self._closed:
                raise EventsEnded
            ready = anyio.Event()
            self.on_ready(ready.set)
            await ready.wait()
        return self.take(1)[0]

    def close(self) -> None:
        """Nothing more will be put; what waits can still be taken. Idempotent."""
        if not self._closed:
            self._closed = True
            if not self._entries:
                self._drained.set()
            self._on_ready()

    async def drained(self) -> None:
        """Wait until the queue is closed and everything was taken."""
        await self._drained.wait()

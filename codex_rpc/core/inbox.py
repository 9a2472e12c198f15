"""What waits for the turn's task: inputs, and changes of what the turns after run under.

Owns the order of arrival and the bounds. `Gate` holds back whoever submits when too much
waits; the submission loop itself never waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

import anyio
from attrs import define, field

from codex_rpc.protocol.errors import RolloutWriteFailed
from codex_rpc.protocol.events import TakenOverBy
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.ops import Op, UserInput

MAX_WAITING = 64
"""How many inputs, and how many errands, wait before the answer to a submission does."""

Lane = Literal["turn", "errand"]


@define(eq=False)
class CloseRequest:
    """The end of the session, asked for by whoever opened it."""

    discard: bool
    by: TakenOverBy | None = None
    """Who goes on with the session; None: nobody, for now."""
    settled: anyio.Event = field(factory=anyio.Event)
    failure: RolloutWriteFailed | None = None

    def fail(self, failure: RolloutWriteFailed) -> None:
        """The session stays open."""
        self.failure = failure
        self.settled.set()


@define(eq=False)
class RenameRequest:
    """Another title, asked for by whoever looks at sessions."""

    title: str
    settled: anyio.Event = field(factory=anyio.Event)
    is_saved: bool = False
    failure: RolloutWriteFailed | None = None
    """Why not; None: the session ended before it came to it."""


@frozen
class InterruptRequest:
    """The end of one turn, asked for by whoever shows it; it may have ended by then."""

    turn_id: SubmissionId


Wish = Op | CloseRequest | RenameRequest | InterruptRequest
"""What a session can be asked for, by clients and from inside of the process."""


@frozen
class Submission:
    """One operation and the name it goes by."""

    id: SubmissionId
    op: Wish


class Gate:
    """Admits submissions in order of arrival while there is room in their lane."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._room: dict[Lane, int] = {"turn": max_waiting, "errand": max_waiting}
        self._line: deque[tuple[Lane, anyio.Event]] = deque()

    async def enter(self, lane: Lane) -> None:
        """Take a place. Does not even yield when there is room and no line, so that what is
        submitted in one go stays in order with operations that need no place."""
        if not self._line and self._room[lane] > 0:
            self._room[lane] -= 1
            return
        turn = anyio.Event()
        ticket = (lane, turn)
        self._line.append(ticket)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.leave(lane)
            else:
                self._line.remove(ticket)
                self._admit()
            raise

    def leave(self, lane: Lane) -> None:
        """Give a place back."""
        self._room[lane] += 1
        self._admit()

    def open(self) -> None:
        """Let everybody in: nothing is taken any more, and whoever waits has to hear of it."""
        for lane in self._room:
            self._room[lane] += len(self._line)
        self._admit()

    def _admit(self) -> None:
        while self._line and self._room[self._line[0][0]] > 0:
            lane, turn = self._line.popleft()
            self._room[lane] -= 1
            turn.set()


class Mailbox:
    """Submissions in order, with one reader that waits for them."""

    def __init__(self) -> None:
        self._waiting: deque[Submission] = deque()
        self._arrived = anyio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def put(self, submission: Submission) -> None:
        """Add at the end. Never waits: the gate is before."""
        self._waiting.append(submission)
        self._arrived.set()

    async def wait(self) -> None:
        """Return when there is something to take."""
        while not self._waiting:
            self._arrived = anyio.Event()
            await self._arrived.wait()

    def take(self) -> Submission | None:
        """The next one, if there is one."""
        return self._waiting.popleft() if self._waiting else None

    def waiting(self) -> Sequence[Submission]:
        """Those that wait, which stay where they are."""
        return tuple(self._waiting)

    def take_input(self) -> Submission | None:
        """The next one if it is a user's input; an input behind anything else stays, since
        that is to hold for it already."""
        if self._waiting and isinstance(self._waiting[0].op, UserInput):
            return self._waiting.popleft()
        return None

"""The prompts of one session that wait for their turn to end.

A prompt that comes while a turn runs joins it before its next request to the model, and both are
answered when it ends. Owns which prompt belongs to which turn, and what an end is called.

Invariants: each prompt has one answer, after the last update of its turn; a prompt that was
cancelled never starts a turn that goes on, whenever the cancellation comes.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

import anyio
from attrs import define, field

from codex_rpc.acp.wire import TurnFailed
from codex_rpc.core.session import Session
from codex_rpc.protocol.errors import SessionClosed
from codex_rpc.protocol.events import (
    Error,
    Event,
    ShutdownComplete,
    TaskComplete,
    TaskStarted,
    TurnAborted,
    TurnClosing,
    UserMessage,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.ops import Compact, UserInput


@define(eq=False)
class _Prompt:
    number: int
    """Which request it is."""
    turn_id: SubmissionId | None = None
    """None: no turn has taken it yet."""
    is_cancelled: bool = False
    is_submitted: bool = False
    closing: TurnClosing | None = None
    """How its turn ended; None: the session did."""
    settled: anyio.Event = field(factory=anyio.Event)


class Turns:
    """Those of one session."""

    def __init__(self, session: Session, order: anyio.Lock) -> None:
        """`order` is held by whoever changes what the next turn is to be, in order of arrival."""
        self._session = session
        self.order = order
        self._waiting: dict[str, _Prompt] = {}
        """By the id under which it is submitted."""

    async def run(
        self, number: int, make: Callable[[], Awaitable[UserInput | Compact | None]]
    ) -> str:
        """Submit what `make` gives for the request `number`, and wait for the end of the turn; its
        stop reason.

        None is nothing to wait for. Cancelled, the turn is stopped, unless others wait for it too.

        Raises:
            TurnFailed: the turn could not go on.
            CodexError: what `make` raises.
        """
        # Known before anything waits, so that what cancels it may come at any time.
        id_ = SubmissionId(str(uuid.uuid4()))
        prompt = self._waiting[id_] = _Prompt(number)
        try:
            async with self.order:
                op = None if prompt.is_cancelled else await make()
                if prompt.is_cancelled or prompt.settled.is_set():
                    return "cancelled"
                if op is None:
                    return "end_turn"
                prompt.is_submitted = True
                await self._session.submit(op, id_)
            await prompt.settled.wait()
        except SessionClosed:
            # It came before the end of the session, which has stopped it.
            return "cancelled"
        except anyio.get_cancelled_exc_class():
            prompt.is_cancelled = True
            if self._is_alone(prompt):
                self._stop(id_, prompt)
            raise
        finally:
            if not (prompt.is_cancelled and prompt.is_submitted and not prompt.settled.is_set()):
                self._waiting.pop(id_, None)
        return _stop_reason(prompt)

    def cancel(self, up_to: int) -> None:
        """Stop the turns of the prompts that wait and came no later than the request `up_to`;
        nothing if none did."""
        for prompt in self._waiting.values():
            prompt.is_cancelled = prompt.is_cancelled or prompt.number <= up_to
        for id_, prompt in list(self._waiting.items()):
            if prompt.number <= up_to:
                self._stop(id_, prompt)

    @property
    def are_running(self) -> bool:
        """Whether any turn runs, or is about to."""
        return any(prompt.is_submitted for prompt in self._waiting.values())

    def end(self) -> None:
        """The session has ended, and its last updates reach nobody."""
        for id_ in list(self._waiting):
            self._settle(id_, None)

    def observe(self, event: Event) -> None:
        """Take notice of an event that leaves for the client. Never waits."""
        match event.msg:
            case UserMessage(turn_id=turn_id):
                self._taken(event.id, SubmissionId(turn_id))
            case TaskStarted():
                self._taken(event.id, event.id)
            case TaskComplete() | TurnAborted() | Error() as closing:
                for id_, prompt in list(self._waiting.items()):
                    if event.id in (prompt.turn_id, id_):
                        self._settle(id_, closing)
            case ShutdownComplete():
                self.end()

    def _taken(self, id_: str, turn_id: SubmissionId) -> None:
        prompt = self._waiting.get(id_)
        if prompt is not None:
            prompt.turn_id = turn_id
            if prompt.is_cancelled and self._is_alone(prompt):
                self._stop(id_, prompt)

    def _stop(self, id_: str, prompt: _Prompt) -> None:
        # One that no turn has taken yet would begin one of its own name.
        if prompt.is_submitted:
            self._session.interrupt(prompt.turn_id or SubmissionId(id_))

    def _is_alone(self, prompt: _Prompt) -> bool:
        return not any(
            other is not prompt and other.turn_id == prompt.turn_id and not other.is_cancelled
            for other in self._waiting.values()
        )

    def _settle(self, id_: str, closing: TurnClosing | None) -> None:
        prompt = self._waiting.pop(id_)
        prompt.closing = closing
        prompt.settled.set()


def _stop_reason(prompt: _Prompt) -> str:
    match prompt.closing:
        case TaskComplete(stop_reason=stop_reason):
            return stop_reason or "end_turn"
        case Error() if prompt.is_cancelled:
            return "cancelled"
        case Error(stop_reason=str(stop_reason)):
            return stop_reason
        case Error(message=message, code=code):
            raise TurnFailed(message, code)
    return "cancelled"

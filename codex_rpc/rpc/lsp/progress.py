"""Turns as the editor's progress (`$/progress`), for clients that show it.

Owns which turn has which token, and what is said about it when. Looks at the events as they
leave for the client and never makes them wait; knows no session but to interrupt it.
"""

from __future__ import annotations

import logging
from itertools import count
from typing import Any

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from codex_rpc.core.manager import SessionManager
from codex_rpc.protocol.errors import ProtocolError
from codex_rpc.protocol.events import (
    AgentMessageDelta,
    AgentReasoningDelta,
    Error,
    Event,
    EventMsg,
    ExecCommandBegin,
    ExecCommandEnd,
    ItemRecorded,
    McpToolCallBegin,
    McpToolCallEnd,
    PatchApplyBegin,
    PatchApplyEnd,
    PlanUpdate,
    ShutdownComplete,
    TaskComplete,
    TaskStarted,
    TurnAborted,
    UserMessage,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.ops import TextInput
from codex_rpc.rpc.dispatch import Listener
from codex_rpc.rpc.lsp.gate import Gate
from codex_rpc.rpc.outgoing import Outgoing, PeerRefused
from codex_rpc.rpc.stdio import PeerGone

logger = logging.getLogger(__name__)

REPORT_EVERY_S = 0.1
"""How long after a report the next one may follow."""

MAX_SHOWN = 80
"""How many characters a message has: there is little room for it."""

_THINKING = "thinking"


@define(eq=False)
class _Turn:
    """One turn that the client may be shown."""

    session_id: str
    id: SubmissionId
    token: str
    text: str
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    begun: bool = False
    ended: bool = False
    calls: dict[str, str] = field(factory=dict)
    """What runs, by call, in the order of beginning."""
    message: str | None = None
    percentage: int | None = None
    changed: anyio.Event = field(factory=anyio.Event)

    def take(self, msg: EventMsg | ItemRecorded) -> None:
        before = self.message, self.percentage
        match msg:
            case ExecCommandBegin():
                self.calls[msg.call_id] = _command(msg.command)
            case PatchApplyBegin():
                self.calls[msg.call_id] = _patch(msg)
            case McpToolCallBegin():
                self.calls[msg.call_id] = f"{msg.invocation.server}.{msg.invocation.tool}"
            case ExecCommandEnd() | PatchApplyEnd() | McpToolCallEnd():
                self.calls.pop(msg.call_id, None)
            case PlanUpdate():
                self._take_plan(msg)
            case AgentReasoningDelta() | AgentMessageDelta():
                pass
            case _:
                return
        self.message = _short(next(reversed(self.calls.values()), _THINKING))
        if (self.message, self.percentage) != before:
            self.changed.set()

    def _take_plan(self, update: PlanUpdate) -> None:
        if update.plan:
            done = sum(step.status == "completed" for step in update.plan)
            # Editors expect it to rise, which it would not when steps are added.
            self.percentage = max(self.percentage or 0, 100 * done // len(update.plan))

    def report(self) -> dict[str, Any]:
        self.changed = anyio.Event()
        value: dict[str, Any] = {"kind": "report", "message": self.message}
        if self.percentage is not None:
            value["percentage"] = self.percentage
        return value


class Progress:
    """The turns of one connection, as far as they are shown."""

    def __init__(self, manager: SessionManager, gate: Gate, outgoing: Outgoing) -> None:
        self._manager = manager
        self._gate = gate
        self._outgoing = outgoing
        self._numbers = count(1)
        self._texts: dict[str, tuple[str, str]] = {}
        """By session: the turn that is about to begin, and what the user said."""
        self._turns: dict[str, _Turn] = {}
        """By session."""
        self._tasks: TaskGroup | None = None
        self._refused = False

    @property
    def listeners(self) -> dict[str, Listener]:
        """What is done on which notification."""
        return {"window/workDoneProgress/cancel": self.on_cancel}

    async def run(self) -> None:
        """Show turns until cancelled."""
        try:
            async with anyio.create_task_group() as self._tasks:
                await anyio.sleep_forever()
        finally:
            self._tasks = None
            for turn in list(self._turns.values()):
                self._end(turn, "interrupted")

    def observe(self, session_id: str, event: Event) -> None:
        """Take note of an event that leaves for the client. Never waits, never raises."""
        msg = event.msg
        turn = self._turns.get(session_id)
        match msg:
            case UserMessage() if turn is None:
                self._texts[session_id] = msg.turn_id, _text(msg)
            case TaskStarted():
                self._begin(session_id, event.id)
            case ShutdownComplete() if turn is not None:
                self._end(turn, "interrupted")
            case TaskComplete() | TurnAborted() | Error() if _is_of(turn, event):
                assert turn is not None
                self._end(turn, _outcome(msg))
            case _ if turn is not None:
                turn.take(msg)
        if isinstance(msg, ShutdownComplete):
            self._texts.pop(session_id, None)

    def on_cancel(self, params: dict[str, Any]) -> None:
        """The user wants a turn to stop (`window/workDoneProgress/cancel`)."""
        token = params.get("token")
        for turn in self._turns.values():
            if turn.token == token:
                self._stop(turn)

    def _stop(self, turn: _Turn) -> None:
        try:
            # Its end may not have left for the client, and the next one have begun.
            self._manager.session(turn.session_id).interrupt(turn.id)
        except ProtocolError as exc:
            logger.info("a turn was not interrupted: %s", exc.message)

    def _begin(self, session_id: str, turn_id: SubmissionId) -> None:
        of_turn, text = self._texts.pop(session_id, ("", ""))
        if self._tasks is None or self._refused or not self._gate.client.shows_progress:
            return
        before = self._turns.get(session_id)
        if before is not None:
            self._end(before, "interrupted")
        token = f"codex-turn-{next(self._numbers)}"
        said = _short(text) if of_turn == turn_id else ""
        turn = self._turns[session_id] = _Turn(session_id, turn_id, token, said)
        self._tasks.start_soon(self._show, turn)

    def _end(self, turn: _Turn, outcome: str) -> None:
        turn.ended = True
        if self._turns.get(turn.session_id) is turn:
            del self._turns[turn.session_id]
        turn.scope.cancel()
        if turn.begun:
            self._tell(turn, {"kind": "end", "message": outcome})

    async def _show(self, turn: _Turn) -> None:
        # The end is said by whoever sees it, so that it follows the event without delay.
        if turn.ended:
            return
        with turn.scope:
            try:
                await self._outgoing.request(
                    "window/workDoneProgress/create", {"token": turn.token}
                )
            except PeerRefused:
                self._refused = True
                logger.info("the editor shows no progress although it said that it can")
                return
            except PeerGone:
                return
            turn.begun = True
            begin: dict[str, Any] = {"kind": "begin", "title": "Codex", "cancellable": True}
            self._tell(turn, begin | ({"message": turn.text} if turn.text else {}))
            while True:
                await turn.changed.wait()
                self._tell(turn, turn.report())
                await anyio.sleep(REPORT_EVERY_S)

    def _tell(self, turn: _Turn, value: dict[str, Any]) -> None:
        self._outgoing.notify("$/progress", {"token": turn.token, "value": value})


def _is_of(turn: _Turn | None, event: Event) -> bool:
    return turn is not None and turn.id == event.id


def _outcome(msg: EventMsg) -> str:
    if isinstance(msg, TaskComplete):
        return "completed"
    return "interrupted" if isinstance(msg, TurnAborted) else "failed"


def _text(msg: UserMessage) -> str:
    return " ".join(item.text for item in msg.items if isinstance(item, TextInput))


def _command(argv: list[str]) -> str:
    if len(argv) == 3 and argv[1] in ("-c", "-lc"):
        return argv[2]
    return " ".join(argv)


def _patch(msg: PatchApplyBegin) -> str:
    names = [path.replace("\\", "/").rpartition("/")[2] for path in msg.changes]
    return f"patching {', '.join(names)}"


def _short(text: str) -> str:
    # No more is looked at than could be shown.
    line = " ".join(text[: 4 * MAX_SHOWN].split())
    return line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 1]}…"

"""What a session's turns work with, gathered in one place.

The session makes it, and only the session's own tasks change it.
"""

from __future__ import annotations

from datetime import datetime

from attrs import define

from codex_rpc.core.approvals import Approvals
from codex_rpc.core.events import EventQueue
from codex_rpc.core.history import History
from codex_rpc.core.inbox import Gate, Mailbox
from codex_rpc.core.ports import Clock, ModelClient, ToolBox
from codex_rpc.core.recorder import Recorder
from codex_rpc.core.redaction import Redactor
from codex_rpc.protocol.events import Event, EventMsg, ItemRecorded
from codex_rpc.protocol.ids import SessionId, SubmissionId
from codex_rpc.protocol.records import ContextRecord
from codex_rpc.protocol.tools import TurnContext
from codex_rpc.protocol.workspace import Workspace


@define(kw_only=True)
class Surroundings:
    """The parts of one live session."""

    session_id: SessionId
    history: History
    recorder: Recorder
    events: EventQueue
    approvals: Approvals
    inbox: Mailbox
    gate: Gate
    model: ModelClient
    tools: ToolBox
    workspace: Workspace
    clock: Clock
    redactor: Redactor
    instructions: str
    user_instructions: str | None
    context: TurnContext
    model_provider: str
    title: str | None = None
    """The one that was given; None: it goes by its first message."""
    recorded_context: TurnContext | None = None
    interrupted: bool = False
    """The last turn was aborted, and the model has not been told."""
    sent_environment: bytes | None = None
    """The environment message that the server of `previous_response_id` has."""

    async def announce(self, id: SubmissionId, msg: EventMsg) -> None:  # noqa: A002
        """Announce when there is room."""
        await self.events.put(Event(id, msg, self.recorder.failing))

    def announce_now(self, id: SubmissionId, msg: EventMsg | ItemRecorded) -> None:  # noqa: A002
        """Announce whether or not the client reads."""
        self.events.put_now(Event(id, msg, self.recorder.failing))

    @property
    def context_changed(self) -> bool:
        """Whether the file's last context record does not say what holds now."""
        before, now = self.recorded_context, self.context
        return before is None or (
            (before.cwd, before.model, before.approval_policy, before.sandbox_policy)
            != (now.cwd, now.model, now.approval_policy, now.sandbox_policy)
        )

    def context_record(self) -> ContextRecord:
        """The present context, for the session file."""
        self.recorded_context = self.context
        return context_record(self.context, self.model_provider, self.clock.now())


def context_record(context: TurnContext, model_provider: str, now: datetime) -> ContextRecord:
    """`context` as the session file has it."""
    return ContextRecord(
        timestamp=now,
        cwd=str(context.cwd),
        model=context.model,
        model_provider=model_provider,
        approval_policy=context.approval_policy,
        sandbox_policy=context.sandbox_policy,
    )

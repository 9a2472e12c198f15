"""What a tool call may ask of the turn that runs it (`protocol.tools.ToolHost`)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

from attrs import evolve, field

from codex_rpc.core.redaction import RedactedStream
from codex_rpc.core.surroundings import Surroundings
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    EventMsg,
    ExecCommandOutputDelta,
)
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import CallId, SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import Decision
from codex_rpc.protocol.tools import Review, ToolOutcome, TurnContext


@frozen
class CallHost:
    """The side of a turn that a tool sees."""

    env: Surroundings
    turn_id: SubmissionId
    context: TurnContext
    abandoned: dict[CallId, ToolOutcome]
    """Where the turn's closing finds what a cancelled call left."""
    call: Item
    questions: list[str] = field(factory=list)
    """The ids under which something was asked for this call."""
    streams: dict[Literal["stdout", "stderr"], RedactedStream] = field(factory=dict)
    """The command's output on its way to the client, by stream."""

    async def announce(self, msg: EventMsg) -> None:
        """Announce a begin, or progress."""
        if isinstance(msg, ExecCommandOutputDelta):
            stream = self.streams.setdefault(msg.stream, self.env.redactor.stream())
            chunk = stream.feed(msg.chunk)
            if not chunk:
                return
            msg = evolve(msg, chunk=chunk)
        await self.env.announce(self.turn_id, msg)

    def finish(self) -> None:
        """Announce the output that was held back, now that nothing follows."""
        for name, stream in self.streams.items():
            if rest := stream.rest():
                delta = ExecCommandOutputDelta(self.call.call_id or "", name, rest)
                self.env.announce_now(self.turn_id, delta)

    async def ask(self, request: ApprovalRequest, *, scope: Hashable | None = None) -> Decision:
        """Ask the user and wait; an abort cancels the turn."""
        if self.env.approvals.is_approved(scope):
            return "approved_for_session"
        return (await self._answer(request, scope)).decision

    async def review(self, request: ApplyPatchApprovalRequest) -> Review:
        """Ask the user about a patch and wait; an abort cancels the turn."""
        return await self._answer(request, None)

    async def _answer(self, request: ApprovalRequest, scope: Hashable | None) -> Review:
        approvals = self.env.approvals
        request = self._with_own_id(request)
        waiter = approvals.register(self.turn_id, request, scope)
        try:
            await self.announce(request)
            return await waiter.wait()
        finally:
            approvals.withdraw(request.call_id)

    def _with_own_id(self, request: ApprovalRequest) -> ApprovalRequest:
        """`request`, under another id if it is not the first for this call.

        An answer to the one before that comes late, or twice, must not count for this one.
        """
        self.questions.append(request.call_id)
        count = len(self.questions)
        if count == 1:
            return request
        return evolve(request, call_id=f"{request.call_id}#{count}")

    def abandon(self, outcome: ToolOutcome) -> None:
        """Keep `outcome` for the turn's closing."""
        assert self.call.call_id is not None
        self.abandoned[self.call.call_id] = outcome

"""What passes between the session loop and a tool: the call's surroundings in, an outcome out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from attrs import field

from codex_rpc.protocol.events import ApplyPatchApprovalRequest, ApprovalRequest, EventMsg
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.policy import ApprovalPolicy, Decision, SandboxPolicy


@frozen(kw_only=True)
class TurnContext:
    """What holds for a turn from its start to its end."""

    cwd: Path
    """Absolute; where commands run and relative paths begin."""
    approval_policy: ApprovalPolicy
    sandbox_policy: SandboxPolicy
    model: str
    effort: str | None = None
    summary: str | None = None


@frozen
class Review:
    """The user's answer to a patch that was shown."""

    decision: Decision
    edited: Mapping[str, str] = field(factory=dict, repr=False)
    """Whole texts, by path, that are to be written instead."""
    hunks: Mapping[str, Sequence[int]] = field(factory=dict)
    """Which hunks of a file are wanted; of files that are not in it, all."""


@frozen
class ToolOutcome:
    """How a tool call ended."""

    output: str | list[dict[str, Any]]
    """What the model is told (`function_call_output.output`)."""
    events: tuple[EventMsg, ...] = ()
    """Closing events such as `exec_command_end`; announced after the output is recorded."""


class ToolHost(Protocol):
    """What a tool may ask of the turn that runs it."""

    @property
    def context(self) -> TurnContext:
        """The turn's surroundings."""
        ...

    @property
    def turn_id(self) -> SubmissionId:
        """Which turn it is; a turn's calls come one after the other."""
        ...

    async def announce(self, msg: EventMsg) -> None:
        """Announce a begin, or progress. Waits for room when the client reads slowly."""
        ...

    async def ask(self, request: ApprovalRequest, *, scope: Hashable | None = None) -> Decision:
        """Ask the user, and wait for as long as that takes.

        Returns `approved`, `approved_for_session` or `denied`; an `abort` cancels the turn and
        so never returns. If the user has approved `scope` for the session, nobody is asked
        and the answer is `approved_for_session`. None: every request is asked.
        """
        ...

    async def review(self, request: ApplyPatchApprovalRequest) -> Review:
        """Ask the user about a patch, and wait; as `ask`, with what they want changed in it."""
        ...

    def abandon(self, outcome: ToolOutcome) -> None:
        """Leave `outcome` to be recorded and announced although the call is being cancelled.

        To be called after a begin was announced and before the cancellation goes on, when
        nothing of the call runs any more. Does not wait.
        """
        ...

"""What the tests of patches share: rules, a turn that records, and trees to compare."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import orjson
from attrs import define, field

from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    EventMsg,
    PatchApplyEnd,
    TurnDiff,
)
from codex_rpc.protocol.ids import CallId, SubmissionId
from codex_rpc.protocol.policy import ApprovalPolicy, Decision, SandboxMode, SandboxPolicy
from codex_rpc.protocol.tools import Review, ToolOutcome, TurnContext
from codex_rpc.protocol.workspace import NoEditor, Workspace
from codex_rpc.tools.patch.tool import PatchTool

CALL = CallId("call_0")
TURN = SubmissionId("turn_0")


@define
class Rules:
    """Writable are the roots without `.git`; what is named `secret` cannot be read or written."""

    def may_read(self, path: Path, cwd: Path) -> bool:
        return "secret" not in (path.name, path.resolve().name)

    def write_problem(self, path: Path, policy: SandboxPolicy, cwd: Path) -> str | None:
        real = path.resolve()
        if policy.mode == "read-only":
            return "the sandbox is read-only"
        roots = [Path(root).resolve() for root in (cwd, *policy.writable_roots)]
        if not any(real.is_relative_to(root) for root in roots):
            return f"{real} is outside of the writable folders"
        if ".git" in real.parts or real.name == "secret":
            return f"{real} is protected"
        return None


async def at_once(msg: EventMsg) -> None:
    """A client that reads at once."""


@define
class Host:
    """A turn that answers every question alike and keeps what it is told."""

    context: TurnContext
    decision: Decision = "approved"
    answers: Sequence[Review] = ()
    """To the reviews, one after the other; when there are no more, `decision`."""
    turn_id: SubmissionId = TURN
    before_announcing: Callable[[EventMsg], Awaitable[None]] = at_once
    before_answering: Callable[[], Awaitable[None]] | None = None
    announced: list[EventMsg] = field(factory=list)
    asked: list[ApprovalRequest] = field(factory=list)
    reviewed: list[ApplyPatchApprovalRequest] = field(factory=list)
    scopes: list[Hashable | None] = field(factory=list)
    abandoned: list[ToolOutcome] = field(factory=list)

    async def announce(self, msg: EventMsg) -> None:
        await self.before_announcing(msg)
        self.announced.append(msg)

    async def ask(self, request: ApprovalRequest, *, scope: Hashable | None = None) -> Decision:
        self.asked.append(request)
        self.scopes.append(scope)
        if self.before_answering is not None:
            await self.before_answering()
        return self.decision

    async def review(self, request: ApplyPatchApprovalRequest) -> Review:
        count = len(self.reviewed)
        self.reviewed.append(request)
        if self.before_answering is not None:
            await self.before_answering()
        return self.answers[count] if count < len(self.answers) else Review(self.decision)

    def abandon(self, outcome: ToolOutcome) -> None:
        self.abandoned.append(outcome)


def a_host(
    cwd: Path,
    *,
    approval: ApprovalPolicy = "never",
    mode: SandboxMode = "workspace-write",
    roots: tuple[str, ...] = (),
    **settings: Any,
) -> Host:
    policy = SandboxPolicy(mode, writable_roots=roots)
    context = TurnContext(cwd=cwd, approval_policy=approval, sandbox_policy=policy, model="gpt-5")
    return Host(context, **settings)


def patch(*lines: str) -> str:
    """A patch with the envelope around `lines`."""
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def a_tool(workspace: Workspace | None = None, **settings: Any) -> PatchTool:
    return PatchTool(Rules(), workspace=workspace or NoEditor(), **settings)


async def apply(
    text: str, cwd: Path, *, host: Host | None = None, tool: PatchTool | None = None
) -> ToolOutcome:
    """What becomes of a patch in a session in `cwd`."""
    tool = tool or a_tool()
    return await tool.apply(text, cwd, CALL, host or a_host(cwd))


def told(outcome: ToolOutcome) -> dict[str, Any]:
    """What the model is told, taken apart."""
    assert isinstance(outcome.output, str)
    value: dict[str, Any] = orjson.loads(outcome.output)
    return value


def end_of(outcome: ToolOutcome) -> PatchApplyEnd:
    end = outcome.events[0]
    assert isinstance(end, PatchApplyEnd)
    return end


def diff_of(outcome: ToolOutcome) -> str | None:
    """The turn's diff, if it was sent."""
    diffs = [event.unified_diff for event in outcome.events if isinstance(event, TurnDiff)]
    assert len(diffs) <= 1
    return diffs[0] if diffs else None


def tree(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below `folder`: kinds, modes, owners, contents, and the times of files."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        facts: tuple[Any, ...] = (oct(status.st_mode), status.st_uid, status.st_gid)
        if stat.S_ISLNK(status.st_mode):
            facts += (os.readlink(path),)
        elif stat.S_ISREG(status.st_mode):
            facts += (path.read_bytes(), status.st_mtime_ns, status.st_ino, status.st_nlink)
        found[str(path.relative_to(folder))] = facts
    return found

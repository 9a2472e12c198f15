"""What is agreed with the user about a patch, before anything is announced.

Owns whether and how they are asked: about the changes, or with whole texts that they may change.
And whether what was agreed still holds when the patch was worked out anew.
"""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
from attrs import evolve, field

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.events import ApplyPatchApprovalRequest, ProposedFile
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import CallId
from codex_rpc.protocol.tools import Review, ToolHost, ToolOutcome, TurnContext
from codex_rpc.protocol.workspace import Workspace
from codex_rpc.tools.patch.diffs import is_same_change
from codex_rpc.tools.patch.permission import Allowed, Ask, Verdict
from codex_rpc.tools.patch.plan import Plan
from codex_rpc.tools.patch.review import PlannedChange, changes_of, files_of, reviewed
from codex_rpc.tools.patch.routes import Routes, routes_of

REJECTED = "patch rejected by user"


@frozen(kw_only=True)
class Worked:
    """A patch as it fits what is there."""

    plan: Plan
    verdict: Verdict


@frozen(kw_only=True)
class Agreed:
    """What is to be applied."""

    proposed: Worked
    plan: Plan
    """The proposed one, or what the user has made of it."""
    routes: Routes
    auto_approved: bool
    review: Review | None = None
    """The user's answer, if they were shown `files`."""
    files: dict[str, ProposedFile] = field(factory=dict, repr=False)
    told: str = ""
    """How the two plans differ, for the model."""
    again: bool = False
    """It was worked out a second time already."""


class Questions:
    """Asks about patches."""

    def __init__(self, workspace: Workspace, *, review: bool) -> None:
        """`review`: patches are shown as whole texts, if the editor can do that."""
        self._workspace = workspace
        self._is_reviewed = review

    async def ask(self, worked: Worked, call_id: CallId, host: ToolHost) -> Agreed | ToolOutcome:
        """What is agreed about a patch that is not refused; an outcome: it is not to be applied.

        Raises:
            ToolError: it cannot be applied, or the answer does not fit; the message is for the
                model.
        """
        plan, verdict = worked.plan, worked.verdict
        # What can be done nowhere need not be asked about.
        routes = routes_of(plan, self._workspace)
        is_shown = self._is_reviewed and self._workspace.reviews_patches
        if is_shown and host.context.approval_policy != "never":
            return await self._review(worked, call_id, host)
        if isinstance(verdict, Ask):
            request = ApplyPatchApprovalRequest(call_id, plan.changes, verdict.reason)
            if await host.ask(request) == "denied":
                return ToolOutcome(REJECTED)
        auto_approved = isinstance(verdict, Allowed)
        return Agreed(proposed=worked, plan=plan, routes=routes, auto_approved=auto_approved)

    def still(
        self, agreed: Agreed, worked: Worked, context: TurnContext, *, is_announced: bool
    ) -> Agreed | None:
        """What was agreed, with the patch as it is `worked` out anew; None: that comes to
        something else. Blocks.

        Once it `is_announced`, others may have changed what is around: then only the lines that
        go and come count, and that it is those and no others that are like them.
        """
        if agreed.proposed.verdict != worked.verdict:
            return None
        plan, told = worked.plan, ""
        try:
            if agreed.review is not None:
                result = reviewed(plan, agreed.files, agreed.review, context.cwd)
                plan, told = result.plan, result.told
            if not _is_same(agreed.plan, plan, loosely=is_announced):
                return None
            routes = routes_of(plan, self._workspace)
        except ToolError:
            # The answer does not fit any more, or there is a file that cannot be changed any more.
            return None
        return evolve(agreed, proposed=worked, plan=plan, routes=routes, told=told)

    async def _review(
        self, worked: Worked, call_id: CallId, host: ToolHost
    ) -> Agreed | ToolOutcome:
        plan, verdict = worked.plan, worked.verdict
        reason = verdict.reason if isinstance(verdict, Ask) else None
        files = await anyio.to_thread.run_sync(files_of, plan)
        request = ApplyPatchApprovalRequest(call_id, plan.changes, reason, files=files)
        review = await host.review(request)
        if review.decision == "denied":
            return ToolOutcome(REJECTED)
        result = await anyio.to_thread.run_sync(reviewed, plan, files, review, host.context.cwd)
        if plan.edits and not result.plan.edits:
            return ToolOutcome(REJECTED)
        return Agreed(
            proposed=worked,
            plan=result.plan,
            routes=routes_of(result.plan, self._workspace),
            auto_approved=False,
            review=review,
            files=files,
            told=result.told,
        )


def _is_same(plan: Plan, newer: Plan, *, loosely: bool) -> bool:
    """Whether two plans do what a user would call the same, and what is judged alike."""
    if (plan.touched, plan.replaced, _lost(plan)) != (newer.touched, newer.replaced, _lost(newer)):
        return False
    if plan.changes == newer.changes:
        return True
    if not loosely or plan.changes.keys() != newer.changes.keys():
        return False
    return all(map(_is_same_change, changes_of(plan), changes_of(newer)))


def _lost(plan: Plan) -> dict[Path, bytes | None]:
    """What is there no more afterwards, and what was agreed about it is what it was then."""
    moved = {source for source, _ in plan.moves}
    return {
        edit.target: edit.before.content
        for edit in plan.edits
        if edit.before is not None
        and (edit.shown in plan.replaced or (edit.after is None and edit.target not in moved))
    }


def _is_same_change(change: PlannedChange, newer: PlannedChange) -> bool:
    if not (change.has_diff and newer.has_diff):
        return (change.key, change.announced) == (newer.key, newer.announced)
    if (change.key, change.to.target) != (newer.key, newer.to.target):
        return False
    texts = (change.old, change.new, newer.old, newer.new)
    return is_same_change(*(text or b"" for text in texts))

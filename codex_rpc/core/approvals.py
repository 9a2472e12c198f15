"""Questions to the user, and what was approved for the session.

Invariants: a request is registered before it is announced, keyed by its call id; each is
answered once; what nobody answers is not approved. Approvals for the session live as long as
the live session and are never restored from a file.
"""

from __future__ import annotations

from collections.abc import Hashable

import anyio
from attrs import define, field

from codex_rpc.protocol.errors import InvalidParams, InvalidState
from codex_rpc.protocol.events import ApplyPatchApprovalRequest, ApprovalRequest, FileChange
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.ops import ExecApproval, PatchApproval
from codex_rpc.protocol.tools import Review

APPROVED = frozenset({"approved", "approved_for_session"})


@define
class Waiter:
    """One request, from its registration to its answer."""

    turn_id: SubmissionId
    request: ApprovalRequest
    scope: Hashable | None
    claimed: bool = False
    """An answer is on its way; another one comes too late."""
    answer: Review = field(factory=lambda: Review("denied"))
    answered: anyio.Event = field(factory=anyio.Event)

    async def wait(self) -> Review:
        """The user's answer, however long it takes."""
        await self.answered.wait()
        return self.answer


class Approvals:
    """The requests of one session that wait for an answer."""

    def __init__(self) -> None:
        self._waiters: dict[str, Waiter] = {}
        self._scopes: set[Hashable] = set()
        self._announced: dict[SubmissionId, int] = {}

    def is_approved(self, scope: Hashable | None) -> bool:
        """Whether the user has approved exactly this for the session."""
        return scope is not None and scope in self._scopes

    def register(
        self, turn_id: SubmissionId, request: ApprovalRequest, scope: Hashable | None
    ) -> Waiter:
        """Expect an answer to `request`; to be called before it is announced."""
        waiter = Waiter(turn_id, request, scope)
        self._waiters[request.call_id] = waiter
        self._announced[turn_id] = self._announced.get(turn_id, 0) + 1
        return waiter

    def waiting(self) -> list[Waiter]:
        """What has not been answered, in the order of the requests."""
        return [w for w in self._waiters.values() if not w.claimed]

    def claim(self, op: ExecApproval | PatchApproval) -> str:
        """The call id that `op` answers; from now on no other op can.

        Raises:
            InvalidState: nothing of that kind waits under that id; `data.waiting` says what does.
            InvalidParams: it wants something changed that was not shown; the request waits on.
        """
        waiter = self._waiters.get(op.id) or self._only_request_of(SubmissionId(op.id))
        is_patch = isinstance(op, PatchApproval)
        if (
            waiter is None
            or waiter.claimed
            or isinstance(waiter.request, ApplyPatchApprovalRequest) is not is_patch
        ):
            waiting = [w.request.call_id for w in self.waiting()]
            kind = "patch" if is_patch else "command"
            raise InvalidState(
                f"no {kind} approval is waiting for {op.id!r}; "
                + (f"waiting: {', '.join(waiting)}" if waiting else "nothing is waiting"),
                data={"waiting": waiting},
            )
        if isinstance(op, PatchApproval) and op.decision in APPROVED:
            assert isinstance(waiter.request, ApplyPatchApprovalRequest)
            _check_wishes(op, waiter.request)
        waiter.claimed = True
        return waiter.request.call_id

    def _only_request_of(self, turn_id: SubmissionId) -> Waiter | None:
        # Clients of the older protocol answer by the turn's id. That is unambiguous only as
        # long as the turn has asked once: a late answer must not approve another command.
        if self._announced.get(turn_id) != 1:
            return None
        return next((w for w in self._waiters.values() if w.turn_id == turn_id), None)

    def turn_of(self, call_id: str) -> SubmissionId | None:
        """The turn that waits for that answer; None if none does any more."""
        waiter = self._waiters.get(call_id)
        return waiter.turn_id if waiter is not None else None

    def resolve(self, op: ExecApproval | PatchApproval) -> None:
        """Hand the answer to whoever waits; nothing if the turn has ended meanwhile."""
        waiter = self._waiters.get(op.id)
        if waiter is None:
            return
        if op.decision == "approved_for_session" and waiter.scope is not None:
            self._scopes.add(waiter.scope)
        if isinstance(op, PatchApproval):
            waiter.answer = Review(op.decision, op.edited or {}, op.hunks or {})
        else:
            waiter.answer = Review(op.decision)
        waiter.answered.set()

    def withdraw(self, call_id: str) -> None:
        """Nobody waits any longer."""
        self._waiters.pop(call_id, None)

    def turn_ended(self, turn_id: SubmissionId) -> None:
        """Forget what the turn asked."""
        self._announced.pop(turn_id, None)
        for call_id in [c for c, w in self._waiters.items() if w.turn_id == turn_id]:
            del self._waiters[call_id]


def _check_wishes(op: PatchApproval, request: ApplyPatchApprovalRequest) -> None:
    """Make sure that what the user wants changed is something that they were shown.

    To take such an answer for a plain yes would be to write what nobody has agreed to.
    """
    files = request.files or {}
    if not all(path in files for path in op.edited or {}):
        raise InvalidParams("op.edited", "texts by paths of the request's files")
    for path, wanted in (op.hunks or {}).items():
        if request.files is None or path not in request.changes:
            raise InvalidParams("op.hunks", "hunks by paths of a request with files")
        count = _hunks(request.changes[path])
        if not all(0 <= index < count for index in wanted):
            raise InvalidParams("op.hunks", f"for {path}, numbers from 0 to {count - 1}")


def _hunks(change: str | FileChange) -> int:
    """How many there are to choose from; what is announced as a whole is one."""
    if isinstance(change, str) or change.update is None:
        return 1
    lines = change.update.unified_diff.split("\n")
    return max(1, sum(line.startswith("@@") for line in lines))

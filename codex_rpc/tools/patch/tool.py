"""The patch tool: one patch of the model, from the call to the changed files.

Owns the order of a call: everything is worked out, then judged and perhaps asked about, then
applied. Invariants: between the announced begin and the end nothing waits for anything but the
disk and the editor, and a patch that is being applied is finished, or taken back, whoever
interrupts; after a begin there is an end, in the outcome that is returned or in the one that is
left with `host.abandon`.

What is applied is what was agreed and announced. If a document changes under the patch, it is
worked out once more: before the begin, what comes to something else is judged and asked about
again; after it, only what comes to the very changes that were announced is applied. The second
time, and whenever it comes to something else after the begin, nothing is changed and the model is
told to look again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import orjson
from attrs import evolve

from codex_rpc.protocol.converter import structure
from codex_rpc.protocol.errors import BadArguments, InvalidParams, ToolError
from codex_rpc.protocol.events import (
    BackgroundEvent,
    EventMsg,
    PatchApplyBegin,
    PatchApplyEnd,
    TurnDiff,
)
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import CallId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.tools import ToolHost, ToolOutcome, TurnContext
from codex_rpc.protocol.workspace import OpenDocument, Workspace
from codex_rpc.tools.patch import turn_diff
from codex_rpc.tools.patch.applying import Outdated, apply
from codex_rpc.tools.patch.grammar import Operation, UpdateFile, parse_patch
from codex_rpc.tools.patch.patience import GRACE_S, Patience, patience
from codex_rpc.tools.patch.permission import FileRules, Refuse, assess
from codex_rpc.tools.patch.plan import FileEdit, Plan, make_plan, named
from codex_rpc.tools.patch.questions import Agreed, Questions, Worked
from codex_rpc.tools.patch.routes import Routes, opened_for_edits, outdated, unsaved_of
from codex_rpc.tools.patch.writing import NotWritten, Written

NOTHING_CHANGED = "Nothing was changed."
LOOK_AGAIN = "Look at it again before the next patch."
INTERRUPTED = "Interrupted by the user before anything was written."

_MAX_NAMED = 5
"""Files in the name of a step to undo."""


@frozen
class _Arguments:
    """`function_call.arguments` of `apply_patch`."""

    input: str


Prepare = Callable[[], Worked]


class PatchTool:
    """Applies patches for the model, in one session."""

    def __init__(
        self,
        sandbox: FileRules,
        *,
        workspace: Workspace,
        review: bool = False,
        grace_s: float = GRACE_S,
    ) -> None:
        """`sandbox` says which files may be read and written; what is open in `workspace` is
        read and changed there. `review`: patches are shown in an editor that can do that.
        `grace_s` is how long an editor may still take when the user interrupts."""
        self._rules = sandbox
        self._workspace = workspace
        self._questions = Questions(workspace, review=review)
        self._grace_s = grace_s
        self._turn_diff = turn_diff.TurnDiff(self._opened)

    async def call_function(self, call: Item, host: ToolHost) -> ToolOutcome:
        """Answer a `function_call` of `apply_patch`.

        Raises:
            ToolError: the arguments do not fit, or the patch does not.
        """
        return await self.apply(_patch_of(call), host.context.cwd, _id_of(call), host)

    async def call_custom(self, call: Item, host: ToolHost) -> ToolOutcome:
        """Answer a `custom_tool_call` of `apply_patch`.

        Raises:
            ToolError: there is no text, or it is no patch that fits.
        """
        patch = call.value().get("input")
        if not isinstance(patch, str):
            raise BadArguments("failed to parse the tool's input: expected the patch as a text")
        return await self.apply(patch, host.context.cwd, _id_of(call), host)

    async def apply(self, patch: str, cwd: Path, call_id: CallId, host: ToolHost) -> ToolOutcome:
        """Apply `patch`, whose relative paths begin at `cwd`.

        When cancelled while it is applied, it returns only after that is done or taken back.

        Raises:
            ToolError: it is no patch, or does not fit the files; nothing was announced.
        """
        operations = await anyio.to_thread.run_sync(parse_patch, patch)
        prepare = partial(self._prepare, operations, cwd, host.context)
        agreed = await self._agreed(prepare, _paths_of(operations, cwd), call_id, host)
        if isinstance(agreed, ToolOutcome):
            return agreed
        begin = PatchApplyBegin(call_id, agreed.auto_approved, agreed.plan.changes)
        await host.announce(begin)
        outcome = _failed(call_id, f"{INTERRUPTED}\n")
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
            async with patience(self._grace_s) as patient:
                with anyio.CancelScope(shield=True):
                    outcome = await self._write(agreed, prepare, call_id, host, patient)
            if _has_succeeded(outcome):
                await self._show(agreed.plan)
            await anyio.lowlevel.checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            host.abandon(outcome)
            raise
        return outcome

    async def _agreed(
        self, prepare: Prepare, paths: Sequence[Path], call_id: CallId, host: ToolHost
    ) -> Agreed | ToolOutcome:
        """What is to be applied, by what the editor has now; an outcome: nothing is."""
        agreed: Agreed | None = None
        await self._workspace.look(paths)
        for again in (False, True):
            worked = await anyio.to_thread.run_sync(prepare)
            if isinstance(worked.verdict, Refuse):
                await host.announce(BackgroundEvent(worked.verdict.message))
                return ToolOutcome(worked.verdict.message)
            if worked.plan.undeletable:
                # There is nothing that a user could decide about.
                await host.announce(PatchApplyBegin(call_id, True, worked.plan.changes))
                return _undeletable(call_id, worked.plan)
            still = None
            if agreed is not None:
                still = await self._still(agreed, worked, host.context, is_announced=False)
            answer = still or await self._questions.ask(worked, call_id, host)
            if isinstance(answer, ToolOutcome):
                return answer
            agreed = evolve(answer, again=again)
            if not agreed.auto_approved:
                # The user may have taken any time to answer.
                await self._workspace.look(paths)
            changed = await self._outdated(agreed.plan)
            if changed is None:
                return agreed
            problem = f"error: {changed.shown} was changed in the editor. {LOOK_AGAIN}"
        raise ToolError(problem)

    async def _still(
        self, agreed: Agreed, worked: Worked, context: TurnContext, *, is_announced: bool
    ) -> Agreed | None:
        still = partial(self._questions.still, is_announced=is_announced)
        return await anyio.to_thread.run_sync(still, agreed, worked, context)

    async def _outdated(self, plan: Plan) -> FileEdit | None:
        """An edit for a text that is not what the editor has; where that takes no edits, that it
        has not saved."""
        if self._workspace.can_edit or not self._workspace.has_documents:
            return outdated(plan.edits, self._workspace)
        return await anyio.to_thread.run_sync(unsaved_of, plan.edits, self._workspace)

    async def diff_again(self, host: ToolHost) -> TurnDiff | None:
        """The turn's diff, if something else has changed since what its patches touched."""
        diff = await anyio.to_thread.run_sync(
            partial(
                self._turn_diff.again,
                host.turn_id,
                cwd=host.context.cwd,
                may_read=partial(self._may_read, host.context.cwd),
            )
        )
        return None if diff is None else TurnDiff(diff)

    def _opened(self, path: Path) -> OpenDocument | None:
        """What is shown of a file by an editor that makes our changes."""
        return self._workspace.document(path) if self._workspace.can_edit else None

    def _prepare(self, operations: Sequence[Operation], cwd: Path, context: TurnContext) -> Worked:
        plan = make_plan(
            operations,
            cwd=cwd,
            session_cwd=context.cwd,
            may_read=partial(self._may_read, context.cwd),
            opened=opened_for_edits(self._workspace),
        )
        return Worked(plan=plan, verdict=assess(plan, context, self._rules))

    def _may_read(self, session_cwd: Path, path: Path) -> bool:
        return self._rules.may_read(path, session_cwd)

    async def _write(
        self,
        agreed: Agreed,
        prepare: Prepare,
        call_id: CallId,
        host: ToolHost,
        patient: Patience,
    ) -> ToolOutcome:
        """Apply it; to be shielded."""
        started = anyio.current_time()
        agreed, result = await self._apply(agreed, prepare, host, patient)
        plan = agreed.plan
        if isinstance(result, Written):
            stdout = f"Success. Updated the following files:\n{plan.summary}"
            notes = (*result.notes, *await self._unsaved(agreed.routes, host.context.cwd))
            stdout += "".join(f"Note: {note}\n" for note in notes) + agreed.told
            ended = _outcome(call_id, stdout, duration_s=anyio.current_time() - started)
        elif result.left:
            left = "".join(f"- {what}\n" for what in result.left)
            ended = _failed(
                call_id,
                f"{result.message}\nNot all of what was done before that could be taken back:\n"
                f"{left}",
            )
        else:
            return _failed(call_id, f"{result.message}\n{NOTHING_CHANGED}\n")
        diff = await anyio.to_thread.run_sync(
            partial(
                self._turn_diff.after,
                host.turn_id,
                plan,
                cwd=host.context.cwd,
                may_read=partial(self._may_read, host.context.cwd),
            )
        )
        events: tuple[EventMsg, ...] = ended.events
        return ToolOutcome(ended.output, events if diff is None else (*events, TurnDiff(diff)))

    async def _apply(
        self, agreed: Agreed, prepare: Prepare, host: ToolHost, patient: Patience
    ) -> tuple[Agreed, Written | NotWritten]:
        """Apply what was announced, also if a document changes in this moment."""
        label = _label(agreed.plan, host.context.cwd)
        result = await apply(agreed.routes, self._workspace, patient, label=label)
        if isinstance(result, Outdated) and not agreed.again:
            try:
                worked = await anyio.to_thread.run_sync(prepare)
            except ToolError as exc:
                return agreed, NotWritten(f"{exc.message}\n{LOOK_AGAIN}")
            again = await self._still(agreed, worked, host.context, is_announced=True)
            if again is not None:
                agreed = again
                result = await apply(agreed.routes, self._workspace, patient, label=label)
        if isinstance(result, Outdated):
            result = NotWritten(f"{result.reason}. {LOOK_AGAIN}")
        return agreed, result

    async def _unsaved(self, routes: Routes, cwd: Path) -> list[str]:
        """What the user has yet to save of what the editor has changed."""
        if not routes.changes:
            return []
        unsaved = set(await anyio.to_thread.run_sync(self._workspace.unsaved))
        places = [
            change.moved_to or change.path for change in routes.changes if change.after is not None
        ]
        documents = [self._workspace.document(place) for place in places]
        return [
            f"{named(document.path, cwd)} was changed in the editor and is not saved yet"
            for document in documents
            if document is not None and document.path in unsaved
        ]

    async def _show(self, plan: Plan) -> None:
        """Let the user see what was changed first."""
        present = [edit.shown for edit in plan.edits if edit.after is not None]
        if present:
            await self._workspace.show(present[0])


def _paths_of(operations: Sequence[Operation], cwd: Path) -> list[Path]:
    """What a patch has to do with, as the editor would call it."""
    names = [operation.path for operation in operations]
    names += [o.move_to for o in operations if isinstance(o, UpdateFile) and o.move_to is not None]
    # What can be no path is told of when the patch is worked out.
    return [Path(os.path.normpath(cwd / name)) for name in names if "\0" not in name]


def _patch_of(call: Item) -> str:
    text = call.value().get("arguments")
    if not isinstance(text, str):
        raise _bad("expected a JSON object in a string")
    try:
        return structure(orjson.loads(text), _Arguments).input
    except orjson.JSONDecodeError as exc:
        raise _bad(str(exc)) from exc
    except InvalidParams as exc:
        raise _bad(f"{exc.path or 'arguments'}: expected {exc.expected}") from exc


def _bad(what: str) -> BadArguments:
    return BadArguments(f"failed to parse function arguments: {what}")


def _id_of(call: Item) -> CallId:
    assert call.call_id is not None, "the session loop hands on calls that can be answered"
    return call.call_id


def _label(plan: Plan, cwd: Path) -> str:
    """What the step is called in the editor's list of things to undo."""
    names = [named(edit.shown, cwd) for edit in plan.edits]
    more = len(names) - _MAX_NAMED
    listed = ", ".join(names[:_MAX_NAMED])
    return f"Codex: {listed} and {more} more" if more > 0 else f"Codex: {listed}"


def _has_succeeded(outcome: ToolOutcome) -> bool:
    return any(isinstance(event, PatchApplyEnd) and event.success for event in outcome.events)


def _undeletable(call_id: CallId, plan: Plan) -> ToolOutcome:
    stderr = "".join(f"Failed to delete file {path}\n" for path in plan.undeletable)
    if len(plan.changes) > len(plan.undeletable):
        stderr += f"{NOTHING_CHANGED}\n"
    return _failed(call_id, stderr)


def _failed(call_id: CallId, stderr: str) -> ToolOutcome:
    return _outcome(call_id, stderr, success=False)


def _outcome(
    call_id: CallId, text: str, *, success: bool = True, duration_s: float = 0.0
) -> ToolOutcome:
    stdout, stderr = (text, "") if success else ("", text)
    told = {
        "output": text,
        "metadata": {
            "exit_code": 0 if success else 1,
            "duration_seconds": round(duration_s, 1),
        },
    }
    end = PatchApplyEnd(call_id, stdout, stderr, success)
    return ToolOutcome(orjson.dumps(told).decode(), (end,))

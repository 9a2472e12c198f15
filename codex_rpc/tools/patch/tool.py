"""The patch tool: one patch of the model, from the call to the changed files.

Owns the order of a call: everything is worked out, then judged and perhaps asked about, then
written. Invariants: between the announced begin and the end nothing waits for anything but the
disk, and a patch that is being written is finished, or taken back, whoever interrupts; after a
begin there is an end, in the outcome that is returned or in the one that is left with
`host.abandon`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import orjson

from codex_rpc.protocol.converter import structure
from codex_rpc.protocol.errors import BadArguments, InvalidParams
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
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
from codex_rpc.tools.patch import turn_diff
from codex_rpc.tools.patch.grammar import parse_patch
from codex_rpc.tools.patch.permission import Allowed, Ask, FileRules, Refuse, Verdict, assess
from codex_rpc.tools.patch.plan import Plan, make_plan
from codex_rpc.tools.patch.writing import Written, write

REJECTED = "patch rejected by user"
NOTHING_CHANGED = "Nothing was changed."
INTERRUPTED = "Interrupted by the user before anything was written."

SPEC: dict[str, Any] = {
    "type": "function",
    "name": "apply_patch",
    "description": """\
Create, change, move and delete text files. Either the whole patch takes effect or nothing of it.
Depending on the user's settings the user is asked first, and may decline.

A patch:

*** Begin Patch
*** Add File: docs/new.txt
+every line of the new file
+begins with a plus
*** Update File: src/app.py
*** Move to: src/main.py
@@ class App:
@@     def run(self):
         ready = True
-        old_line()
+        new_line()
         finish()
*** Delete File: docs/old.txt
*** End Patch

Paths are relative to the working directory. `*** Move to:` is optional, and may come without any \
change of lines. The lines of an update are the file's own, each behind one character: a blank \
for a line that stays, `-` for one that goes, `+` for one that comes. Give about three lines that \
stay on each side of a change, so that the place is clear. Where that is not enough, begin with \
`@@ ` and a complete line further up, such as the head of the class or function; several of them \
lead from the outer to the inner one. Each new place in the same file begins with `@@`, and \
places go from top to bottom. Put `*** End of File` behind lines that are the last of the file. \
Lines that only come, without any that stay or go, are put right behind the `@@` line, or without \
one at the end of the file. Adding a file that exists replaces it.""",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {
            "input": {
                "type": "string",
                "description": "The patch, from `*** Begin Patch` to `*** End Patch`.",
            },
        },
        "required": ["input"],
        "additionalProperties": False,
    },
}


@frozen
class _Arguments:
    """`function_call.arguments` of `apply_patch`."""

    input: str


class PatchTool:
    """Applies patches for the model, in one session."""

    def __init__(self, sandbox: FileRules) -> None:
        """`sandbox` says which files may be read and written."""
        self._rules = sandbox
        self._turn_diff = turn_diff.TurnDiff()

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

        When cancelled while files are written, it returns only after they are written.

        Raises:
            ToolError: it is no patch, or does not fit the files; nothing was announced.
        """
        prepare = partial(self._prepare, patch, cwd, host.context)
        plan, verdict = await anyio.to_thread.run_sync(prepare)
        if isinstance(verdict, Refuse):
            await host.announce(BackgroundEvent(verdict.message))
            return ToolOutcome(verdict.message)
        if plan.undeletable:
            # There is nothing that a user could decide about.
            await host.announce(PatchApplyBegin(call_id, True, plan.changes))
            return _undeletable(call_id, plan)
        if isinstance(verdict, Ask):
            request = ApplyPatchApprovalRequest(call_id, plan.changes, verdict.reason)
            if await host.ask(request) == "denied":
                return ToolOutcome(REJECTED)
        auto_approved = isinstance(verdict, Allowed)
        await host.announce(PatchApplyBegin(call_id, auto_approved, plan.changes))
        outcome = _failed(call_id, f"{INTERRUPTED}\n")
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
            with anyio.CancelScope(shield=True):
                outcome = await self._write(plan, call_id, host)
            await anyio.lowlevel.checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            host.abandon(outcome)
            raise
        return outcome

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

    def _prepare(self, patch: str, cwd: Path, context: TurnContext) -> tuple[Plan, Verdict]:
        plan = make_plan(
            parse_patch(patch),
            cwd=cwd,
            session_cwd=context.cwd,
            may_read=partial(self._may_read, context.cwd),
        )
        return plan, assess(plan, context, self._rules)

    def _may_read(self, session_cwd: Path, path: Path) -> bool:
        return self._rules.may_read(path, session_cwd)

    async def _write(self, plan: Plan, call_id: CallId, host: ToolHost) -> ToolOutcome:
        started = anyio.current_time()
        result = await anyio.to_thread.run_sync(write, plan.edits)
        if isinstance(result, Written):
            stdout = f"Success. Updated the following files:\n{plan.summary}"
            stdout += "".join(f"Note: {note}\n" for note in result.notes)
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

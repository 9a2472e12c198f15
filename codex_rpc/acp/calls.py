"""What a tool call looks like to a client, from its item.

The same call looks the same while it happens and when its session is loaded, since both come from
here. Pure; knows no session, and not how the call comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from codex_rpc.acp.content import Block, diff, fenced, shortened
from codex_rpc.acp.reading import Reading, reading_of
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import CALL_OUTPUT_KINDS, string_in
from codex_rpc.protocol.shapes import (
    Action,
    Call,
    Command,
    FileChange,
    Outcome,
    Patch,
    Plan,
    ToolCall,
    clean,
)
from codex_rpc.protocol.titles import one_line

Update = dict[str, Any]
"""The `update` of a `session/update`."""

MAX_TITLE = 120


@frozen
class Looks:
    """How a client shows things."""

    terminals: bool = False
    """It draws the output of a command in a terminal (`_meta.terminal_output`)."""
    notices: bool = False
    """It has a place for what is told beside the conversation."""


def looks_of(capabilities: Mapping[str, Any]) -> Looks:
    """What `clientCapabilities` say; whatever makes no sense there says nothing."""
    meta, session = capabilities.get("_meta"), capabilities.get("session")
    return Looks(
        terminals=isinstance(meta, dict) and meta.get("terminal_output") is True,
        notices=isinstance(session, dict) and isinstance(session.get("notices"), dict),
    )


@frozen
class ShownCall:
    """A call that the client has been told of."""

    call_id: str
    action: Action
    update: Update
    """The `tool_call` that told of it."""
    has_terminal: bool = False

    def ends_in_terminal(self, outcome: Outcome) -> bool:
        """Whether `outcome` is what its terminal shows; what never ran has shown nothing there."""
        return self.has_terminal and outcome.exit_code is not None

    @property
    def content(self) -> Sequence[Block]:
        """What was shown of it before there was an output."""
        content: Sequence[Block] = self.update.get("content", ())
        return content

    def changed(self, **members: Any) -> Update:
        """A `tool_call_update` of it."""
        return {"sessionUpdate": "tool_call_update", "toolCallId": self.call_id, **members}


def shown(call: Call, item: Mapping[str, Any], cwd: Path, looks: Looks) -> ShownCall:
    """`call`, of which `item` is the JSON, as a client is told of it; a plan is told otherwise."""
    action = call.action
    told: Update = {"sessionUpdate": "tool_call", "toolCallId": call.call_id}
    match action:
        case Command():
            told |= _command(call.call_id, action, cwd, looks)
        case Patch():
            told |= _patch(action, cwd)
        case ToolCall():
            told |= _tool(action, item, cwd)
    told["status"] = "pending" if item.get("type") in CALL_OUTPUT_KINDS else "completed"
    arguments = _arguments(item)
    if arguments is not None and not isinstance(action, Patch):
        told["rawInput"] = arguments
    has_terminal = looks.terminals and isinstance(action, Command)
    return ShownCall(call.call_id, action, told, has_terminal)


def plan_update(plan: Plan) -> Update:
    """The whole plan."""
    known = ("pending", "in_progress", "completed")
    entries = [
        {
            "content": step,
            "priority": "medium",
            "status": status if status in known else "pending",
        }
        for status, step in plan.steps
    ]
    return {"sessionUpdate": "plan", "entries": entries}


def _command(call_id: str, command: Command, cwd: Path, looks: Looks) -> Update:
    title = call_title(command.script)
    reading = reading_of(command.script)
    folder = cwd / command.cwd if command.cwd else cwd
    told: Update = {
        "title": title or "(an empty command)",
        "kind": "execute" if reading is None else reading.kind,
        "locations": _location_of(reading, folder),
    }
    content: list[Block] = []
    if title != command.script.strip():
        content.append(fenced(clean(shortened(command.script)), "sh"))
    if looks.terminals:
        content.append({"type": "terminal", "terminalId": call_id})
        told["_meta"] = {"terminal_info": {"terminal_id": call_id, "cwd": str(folder)}}
    if content:
        told["content"] = content
    return told


def _location_of(reading: Reading | None, folder: Path) -> list[dict[str, Any]]:
    if reading is None or reading.path is None:
        return []
    location: dict[str, Any] = {"path": str(folder / reading.path)}
    if reading.line is not None:
        location["line"] = reading.line
    return [location]


def _patch(patch: Patch, cwd: Path) -> Update:
    changes = patch.changes
    kinds = {_kind_of(change) for change in changes}
    told: Update = {
        "title": _patch_title(changes),
        "kind": kinds.pop() if len(kinds) == 1 else "edit",
        "content": [block for change in changes for block in _diffs(change, cwd)],
        "locations": [{"path": str(cwd / place)} for c in changes for place in _places(c)],
    }
    return told


def _kind_of(change: FileChange) -> str:
    if change.kind == "Delete":
        return "delete"
    return "move" if change.moved_to is not None and not change.hunks else "edit"


def _places(change: FileChange) -> list[str]:
    return [change.path] if change.moved_to is None else [change.path, change.moved_to]


def _diffs(change: FileChange, cwd: Path) -> list[Block]:
    path = str(cwd / (change.moved_to or change.path))
    match change.kind:
        case "Add":
            return [diff(path, None, "".join(hunk.new for hunk in change.hunks))]
        case "Delete":
            return [diff(path, None, "")]
    return [diff(path, hunk.old, hunk.new) for hunk in change.hunks]


def _patch_title(changes: Sequence[FileChange]) -> str:
    if len(changes) != 1:
        return call_title(f"Edit {len(changes)} files: {_names(changes)}")
    (change,) = changes
    verb = {"Add": "Create", "Update": "Edit", "Delete": "Delete"}[change.kind]
    if change.moved_to is not None:
        verb = "Edit and move" if change.hunks else "Move"
        return call_title(f"{verb} {change.path} to {change.moved_to}")
    return call_title(f"{verb} {change.path}")


def _names(changes: Sequence[FileChange]) -> str:
    return ", ".join(change.path for change in changes)


def _tool(call: ToolCall, item: Mapping[str, Any], cwd: Path) -> Update:
    if item.get("type") == "web_search_call":
        action = item.get("action")
        action = action if isinstance(action, dict) else {}
        if url := string_in(action, "url"):
            return {"title": call_title(f"Open {url}"), "kind": "fetch"}
        query = string_in(action, "query")
        return {
            "title": call_title(f"Search the web: {query}" if query else "Search the web"),
            "kind": "fetch",
        }
    arguments = _arguments(item)
    path = arguments.get("path") if isinstance(arguments, dict) else None
    if call.name == "view_image" and isinstance(path, str):
        return {
            "title": call_title(f"View {path}"),
            "kind": "read",
            "locations": [{"path": str(cwd / path)}],
        }
    return {"title": call_title(call.name) or "(a call without a name)", "kind": "other"}


def call_title(text: str) -> str:
    """`text` as the title of a call: on one line, and fit for a terminal."""
    return one_line(clean(text[: MAX_TITLE * 8]), MAX_TITLE)


def _arguments(item: Mapping[str, Any]) -> Any:
    """What a call was given, as JSON; None: nothing."""
    given = item.get("arguments", item.get("input", item.get("action")))
    if not isinstance(given, str):
        return given
    try:
        return orjson.loads(given)
    except ValueError:
        return {"input": given} if given else None

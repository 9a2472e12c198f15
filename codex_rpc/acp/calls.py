"""What a tool call looks like to a client: from its item, and from that of its output.

The same call looks the same while it happens and when its session is loaded, since both come from
here. Pure; knows no session.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from codex_rpc.acp.content import Block, diff, fenced, image_or_link, text_block
from codex_rpc.acp.reading import Reading, reading_of
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import CALL_OUTPUT_KINDS, string_in
from codex_rpc.protocol.shapes import (
    Action,
    Call,
    Command,
    FileChange,
    Image,
    Outcome,
    Patch,
    Plan,
    Text,
    ToolCall,
    clean,
)
from codex_rpc.protocol.titles import one_line

Update = dict[str, Any]
"""The `update` of a `session/update`."""

MAX_TITLE = 120
MAX_OUTPUT = 64 * 1024
"""Characters of an output that are shown; of a longer one its beginning and end are."""

INTERRUPTED = "interrupted"

_FAILURES = (
    "err: ",
    "error: ",
    "aborted",
    "execution error: ",
    "failed to parse",
    "mcp tool call rejected",
    "not run: ",
    "patch rejected",
    "the tool failed because",
    "unsupported call",
    "[interrupted by the user",
)
"""How the outputs of calls begin that came to nothing; commands and patches say it in figures."""

_OURS = frozenset(
    ("shell", "container.exec", "local_shell", "shell_command", "exec_command", "apply_patch")
)
"""Tools whose calls are commands and patches, unless their arguments make no sense."""


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


def ended(call: ShownCall, outcome: Outcome) -> Update:
    """How `call` came out, whole."""
    has_failed = _has_failed(call.action, outcome)
    update = call.changed(status="failed" if has_failed else "completed")
    raw = {
        name: value
        for name, value in (
            ("exit_code", outcome.exit_code),
            ("duration_seconds", outcome.duration_s),
        )
        if value is not None
    }
    if raw:
        update["rawOutput"] = raw
    if call.ends_in_terminal(outcome) and outcome.exit_code is not None:
        code = None if outcome.exit_code < 0 else outcome.exit_code
        exited = {"terminal_id": call.call_id, "exit_code": code, "signal": None}
        update["_meta"] = {"terminal_exit": exited}
        update["content"] = list(call.content)
        return update
    output = _output(call.action, outcome)
    if isinstance(call.action, Patch):
        # What was changed stays; what went wrong is added.
        if has_failed:
            update["content"] = [*call.content, *output]
    else:
        # Also if that is nothing: a question may have left its words there.
        update["content"] = [*_without_terminal(call.content), *output]
    return update


def left_open(call: ShownCall) -> Update:
    """`call` has no output, and will have none."""
    content = [*_without_terminal(call.content), text_block(INTERRUPTED)]
    return call.changed(status="failed", content=content)


def in_terminal(call_id: str, data: str) -> Update:
    """More of a command's output, for a client with terminals."""
    return {
        "sessionUpdate": "tool_call_update",
        "toolCallId": call_id,
        "_meta": {"terminal_output": {"terminal_id": call_id, "data": data}},
    }


def shortened(text: str) -> str:
    """`text`, or its beginning and end if it is too long, which is said between them."""
    if len(text) <= MAX_OUTPUT:
        return text
    half = MAX_OUTPUT // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[… {left_out:,} characters left out …]\n{text[-half:]}"


# The kinds.


def _command(call_id: str, command: Command, cwd: Path, looks: Looks) -> Update:
    title = _title(command.script)
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
        return _title(f"Edit {len(changes)} files: {_names(changes)}")
    (change,) = changes
    verb = {"Add": "Create", "Update": "Edit", "Delete": "Delete"}[change.kind]
    if change.moved_to is not None:
        verb = "Edit and move" if change.hunks else "Move"
        return _title(f"{verb} {change.path} to {change.moved_to}")
    return _title(f"{verb} {change.path}")


def _names(changes: Sequence[FileChange]) -> str:
    return ", ".join(change.path for change in changes)


def _tool(call: ToolCall, item: Mapping[str, Any], cwd: Path) -> Update:
    if item.get("type") == "web_search_call":
        action = item.get("action")
        action = action if isinstance(action, dict) else {}
        if url := string_in(action, "url"):
            return {"title": _title(f"Open {url}"), "kind": "fetch"}
        query = string_in(action, "query")
        return {
            "title": _title(f"Search the web: {query}" if query else "Search the web"),
            "kind": "fetch",
        }
    arguments = _arguments(item)
    path = arguments.get("path") if isinstance(arguments, dict) else None
    if call.name == "view_image" and isinstance(path, str):
        return {
            "title": _title(f"View {path}"),
            "kind": "read",
            "locations": [{"path": str(cwd / path)}],
        }
    return {"title": _title(call.name) or "(a call without a name)", "kind": "other"}


def _title(text: str) -> str:
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


# The outputs.


def _has_failed(action: Action, outcome: Outcome) -> bool:
    if outcome.exit_code is not None:
        return outcome.exit_code != 0
    match action:
        case Command():
            # Codex says how long it waited for one that goes on running.
            return outcome.duration_s is None
        case Patch():
            return True
        case ToolCall("view_image"):
            return not any(isinstance(block, Image) for block in outcome.blocks)
        case ToolCall(name) if name in _OURS:
            return True
    return outcome.text.startswith(_FAILURES) or '"isError":true' in outcome.text[-64:]


def _output(action: Action, outcome: Outcome) -> list[Block]:
    if isinstance(action, Command):
        text = clean(shortened(outcome.text)).strip("\n")
        return [fenced(text)] if text else []
    blocks: list[Block] = []
    for block in outcome.blocks:
        match block:
            case Text(text):
                if text.strip():
                    blocks.append(_told(shortened(text)))
            case Image(url):
                blocks.append({"type": "content", "content": image_or_link(url)})
    return blocks


_JSON = re.compile(r"\s*[\[{].*[\]}]\s*", re.DOTALL)


def _told(text: str) -> Block:
    return fenced(text, "json") if _JSON.fullmatch(text) else text_block(clean(text))


def _without_terminal(content: Sequence[Block]) -> list[Block]:
    return [block for block in content if block["type"] != "terminal"]

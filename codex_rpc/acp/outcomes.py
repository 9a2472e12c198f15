"""How a tool call came out, from the item of its output.

Owns what counts as a failure, and the form of what came back. The same while it happens and when
the session is loaded. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from codex_rpc.acp.calls import ShownCall, Update
from codex_rpc.acp.content import Block, fenced, image_or_link, shortened, text_block
from codex_rpc.protocol.shapes import Action, Command, Image, Outcome, Patch, Text, ToolCall, clean

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

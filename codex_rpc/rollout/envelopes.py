"""Lines as today's Codex CLI writes them: `{"timestamp", "type", "payload"}`.

Knows which of them carry the conversation, and in which form. Such files are listed and read,
never written.
"""

from __future__ import annotations

import re
from typing import Any

from codex_rpc.protocol.titles import spoken

_START = re.compile(
    rb'\{\s*"timestamp"\s*:\s*"[^"\\]*"\s*,\s*(?:"ordinal"\s*:\s*\d+\s*,\s*)?'
    rb'"type"\s*:\s*"([^"\\]+)"\s*,\s*"payload"\s*:\s*\{(?:\s*"type"\s*:\s*"([^"\\]+)")?'
)
_INJECTED = ("<environment_context>", "<user_instructions>", "# AGENTS.md instructions for ")
ITS_WRITERS_OWN = {"additional_tools", "ghost_snapshot", "compaction_trigger", "other"}
"""Kinds of items that only their writer understands."""
_PRIVATE_MEMBER = "internal_"
"""How the names of members begin that its writer keeps to itself when it asks the model."""

TURN_STARTED = {"task_started", "turn_started"}
TURN_ENDED = {"task_complete", "turn_complete", "turn_aborted"}
TELLING_EVENTS = {*TURN_STARTED, *TURN_ENDED, "thread_rolled_back"}
"""What a session is made of besides its items; other events are for display."""


def start_of(line: bytes) -> tuple[bytes, bytes | None] | None:
    """The `type` of a line and that of its payload, from how it begins; None: not told so."""
    match = _START.match(line)
    return (match[1], match[2]) if match else None


def may_tell(line: bytes) -> bool:
    """Whether a line may say what a session is made of; False spares parsing it."""
    start = start_of(line)
    if start is None:
        return True
    section, name = start
    if section == b"event_msg":
        return name is None or name.decode("utf-8", "replace") in TELLING_EVENTS
    return section in (b"response_item", b"compacted", b"turn_context")


def may_be_item(line: bytes) -> bool:
    """Whether a line may carry a response item; False spares parsing it."""
    start = start_of(line)
    return start is None or start[0] == b"response_item"


def item_in(value: dict[str, Any]) -> dict[str, Any] | None:
    """The response item that a line carries, if it is part of the conversation."""
    payload = value.get("payload")
    if value.get("type") != "response_item" or not isinstance(payload, dict):
        return None
    return conversational(payload)


def conversational(payload: dict[str, Any]) -> dict[str, Any] | None:
    """A response item as the model's API takes it; None if it is no part of the conversation.

    Left out: what the program told the model in its own name, and what only it understands.
    """
    kind = payload.get("type")
    if not isinstance(kind, str) or not kind or kind in ITS_WRITERS_OWN:
        return None
    role = payload.get("role") if kind == "message" else None
    if role in ("developer", "system"):
        return None
    if role == "user" and message_text(payload).lstrip().startswith(_INJECTED):
        return None
    if any(name.startswith(_PRIVATE_MEMBER) for name in payload):
        return {n: v for n, v in payload.items() if not n.startswith(_PRIVATE_MEMBER)}
    return payload


def message_text(item: dict[str, Any]) -> str:
    """The text of a message, its parts on lines of their own; "" if it has none."""
    return "\n".join(_texts(item))


def spoken_text(item: dict[str, Any]) -> str:
    """The text of a message without the files and selections that were handed in with it; with
    them if there is nothing else."""
    return spoken(_texts(item))


def _texts(item: dict[str, Any]) -> list[str]:
    content = item.get("content")
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return [text for text in texts if isinstance(text, str)]

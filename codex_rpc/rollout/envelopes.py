"""Lines as today's Codex CLI writes them: `{"timestamp", "type", "payload"}`.

Knows which of them carry the conversation. Such files are listed and read, never written.
"""

from __future__ import annotations

from typing import Any

_INJECTED = ("<environment_context>", "<user_instructions>")
_ITS_WRITERS_OWN = {"additional_tools"}


def item_in(value: dict[str, Any]) -> dict[str, Any] | None:
    """The response item that a line carries, if it is part of the conversation.

    Left out: what the program told the model in its own name, and what only it understands.
    """
    payload = value.get("payload")
    if value.get("type") != "response_item" or not isinstance(payload, dict):
        return None
    kind = payload.get("type")
    if not isinstance(kind, str) or kind in _ITS_WRITERS_OWN or payload.get("role") == "developer":
        return None
    if payload.get("role") == "user" and message_text(payload).lstrip().startswith(_INJECTED):
        return None
    return payload


def message_text(item: dict[str, Any]) -> str:
    """The text of a message, its parts on lines of their own; "" if it has none."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))

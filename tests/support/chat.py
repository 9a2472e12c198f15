"""Responses of a server that speaks Chat Completions, for `ModelServer` to play."""

from __future__ import annotations

import json
from typing import Any

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
DONE = {"raw": "data: [DONE]\n\n"}


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any
) -> dict[str, Any]:
    """One chunk of a stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    value = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, **more}
    return {"raw": f"data: {json.dumps(value)}\n\n"}


def chat_text(*texts: str, finish: str = "stop", pause_s: float = 0) -> dict[str, Any]:
    """A whole response: a text, streamed in pieces."""
    events = [chunk({"role": "assistant", "content": ""})]
    for text in texts:
        events.append(chunk({"content": text}))
        if pause_s:
            events.append({"sleep": pause_s})
    return {"events": [*events, chunk({}, finish), chunk(usage=USAGE), DONE]}


def chat_calls(*commands: tuple[str, list[str]], finish: str = "tool_calls") -> dict[str, Any]:
    """A whole response: shell calls by id, their arguments in two pieces each."""
    events = [chunk({"role": "assistant", "content": None})]
    for index, (call_id, argv) in enumerate(commands):
        arguments = json.dumps({"command": argv})
        head = {"index": index, "id": call_id, "type": "function"}
        events.append(
            chunk({"tool_calls": [{**head, "function": {"name": "shell", "arguments": ""}}]})
        )
        for piece in (arguments[:7], arguments[7:]):
            fragment = {"index": index, "function": {"arguments": piece}}
            events.append(chunk({"tool_calls": [fragment]}))
    return {"events": [*events, chunk({}, finish), chunk(usage=USAGE), DONE]}


def conversation_in(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of a logged request, without the system's, and without what is injected before
    the user's first words."""
    messages = [dict(m) for m in request["body"]["messages"] if m["role"] != "system"]
    first = messages[0]["content"]
    if isinstance(first, str):
        messages[0]["content"] = first.partition("</environment_context>\n\n")[2]
    else:
        messages[0]["content"] = first[1:]
    return messages

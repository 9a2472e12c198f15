"""Conversations for the real process: a configured home, and model responses to play."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}


def write_config(home: Path, base_url: str, **settings: str) -> None:
    """A config.toml that asks the model server at `base_url`; full access, nobody is asked."""
    values = {
        "model_provider": '"loopback"',
        "approval_policy": '"never"',
        "sandbox_mode": '"danger-full-access"',
        **settings,
    }
    lines = [f"{key} = {value}" for key, value in values.items()]
    lines += [
        "[model_providers.loopback]",
        'name = "loopback"',
        f'base_url = "{base_url}"',
        "stream_max_retries = 2",
    ]
    folder = home / ".codex"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text("\n".join(lines) + "\n")


def text_events(n: int, *texts: str, pause_s: float = 0) -> dict[str, Any]:
    """The n-th response: one message, streamed text by text."""
    item_id = f"msg_{n}"
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": f"resp_{n}"}},
        {
            "type": "response.output_item.added",
            "item": {"type": "message", "id": item_id, "role": "assistant", "content": []},
        },
    ]
    for text in texts:
        events.append({"type": "response.output_text.delta", "item_id": item_id, "delta": text})
        if pause_s:
            events.append({"sleep": pause_s})
    events.append({"type": "response.output_item.done", "item": message(item_id, "".join(texts))})
    return {"events": [*events, completed(n)]}


def call_events(n: int, *commands: list[str], **arguments: Any) -> dict[str, Any]:
    """The n-th response: shell calls `call_<n>_<k>`."""
    calls = [
        {
            "type": "response.output_item.done",
            "item": shell_call(f"call_{n}_{k}", argv, **arguments),
        }
        for k, argv in enumerate(commands)
    ]
    return {
        "events": [
            {"type": "response.created", "response": {"id": f"resp_{n}"}},
            *calls,
            completed(n),
        ]
    }


def message(item_id: str, text: str) -> dict[str, Any]:
    """An assistant's message."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": item_id, "role": "assistant", "content": content}


def shell_call(call_id: str, argv: list[str], **arguments: Any) -> dict[str, Any]:
    """A call of the shell tool."""
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": "shell",
        "arguments": json.dumps({"command": argv, **arguments}),
    }


def completed(n: int) -> dict[str, Any]:
    """The end of the n-th response."""
    return {"type": "response.completed", "response": {"id": f"resp_{n}", "usage": USAGE}}


def conversation_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The input items of a logged request, without the injected messages."""
    return [item for item in request["body"]["input"] if not _is_injected(item)]


def _is_injected(item: dict[str, Any]) -> bool:
    if item.get("type") != "message" or item.get("role") != "user":
        return False
    text = item["content"][0].get("text", "")
    return text.startswith(("<environment_context>", "<user_instructions>", "<interrupted_turn>"))


def text_of(item: dict[str, Any]) -> str:
    """All text of a message item."""
    return "".join(part.get("text", "") for part in item["content"])

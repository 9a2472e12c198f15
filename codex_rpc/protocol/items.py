"""Response items: what the model said and was told, kept as the JSON it arrived in.

An item is never rebuilt from parsed parts, so a field that the model's API adds tomorrow
survives memory, file and the next request unharmed. Only what the session loop itself
needs is looked at: the type, and the call id.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import orjson
from attrs import define

from codex_rpc.protocol.ids import CallId

CALL_OUTPUT_KINDS = {
    "function_call": "function_call_output",
    "local_shell_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
}
"""For each kind of call that the client has to answer, the kind of its output."""

INTERRUPTED_OUTPUT = "aborted"
"""The output of a call that never came to its end."""

_OUTPUT_KINDS = frozenset(CALL_OUTPUT_KINDS.values())


# Not frozen: setting attributes past the freeze takes most of the time that an item takes, and a
# resume makes a hundred thousand.
@define(weakref_slot=False)
class Item:
    """One response item; never changed."""

    raw: bytes
    """The compact JSON object, UTF-8, without a line end."""
    kind: str
    """Its `type`."""
    call_id: CallId | None = None
    """The call that it is, or answers."""

    @classmethod
    def from_value(cls, value: dict[str, Any]) -> Item:
        """Keep `value`, a JSON object with a string `type`.

        Raises:
            ValueError: it has no `type`, or holds what JSON cannot.
        """
        return cls(orjson.dumps(value), _kind_of(value), _call_id_of(value))

    @classmethod
    def from_line(cls, raw: bytes, value: dict[str, Any]) -> Item:
        """Keep the bytes `raw`, of which `value` is the parsed form."""
        return cls(raw, _kind_of(value), _call_id_of(value))

    def value(self) -> dict[str, Any]:
        """The item as a fresh JSON object."""
        parsed: dict[str, Any] = orjson.loads(self.raw)
        return parsed

    @property
    def is_call(self) -> bool:
        """Whether the model waits for an output of this item."""
        return self.kind in CALL_OUTPUT_KINDS and self.call_id is not None

    @property
    def is_output(self) -> bool:
        """Whether this answers a call."""
        return self.kind in _OUTPUT_KINDS

    def with_call_id(self, call_id: CallId) -> Item:
        """The same item under another call id."""
        value = self.value()
        value["call_id"] = call_id
        return Item.from_value(value)


def _kind_of(value: dict[str, Any]) -> str:
    kind = value.get("type")
    if not isinstance(kind, str) or not kind:
        raise ValueError("a response item needs a string `type`")
    return sys.intern(kind)


def _call_id_of(value: dict[str, Any]) -> CallId | None:
    call_id = value.get("call_id")
    if isinstance(call_id, str) and call_id:
        return CallId(call_id)
    # A local_shell_call of some servers carries only an item id; its output refers to that.
    if value.get("type") == "local_shell_call" and isinstance(value.get("id"), str):
        return CallId(value["id"])
    return None


def message_text(value: dict[str, Any]) -> str:
    """What a message of the model says; the text of its refusal if it says nothing else."""
    content = value.get("content")
    said = "".join(part_texts(content, "output_text", "text"))
    return said or "".join(part_texts(content, "refusal", "refusal"))


def string_in(value: dict[str, Any], name: str) -> str | None:
    """The member `name` if it is a text that says something."""
    member = value.get(name)
    return member if isinstance(member, str) and member else None


def is_refusal(value: dict[str, Any]) -> bool:
    """Whether a message of the model says nothing but that it will not."""
    content = value.get("content")
    kinds = [p.get("type") for p in content if isinstance(p, dict)] if content else []
    return "refusal" in kinds and "output_text" not in kinds


def part_texts(parts: Any, kind: str, member: str) -> list[str]:
    """The text `member` of each part of the given kind."""
    return [
        part[member]
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict) and part.get("type") == kind and isinstance(part.get(member), str)
    ]


def user_message(content: Sequence[dict[str, Any]]) -> Item:
    """A user's message with the given content parts."""
    return Item.from_value({"type": "message", "role": "user", "content": list(content)})


def text_message(text: str) -> Item:
    """A user's message with one text."""
    return user_message([{"type": "input_text", "text": text}])


def summary_message(summary: str) -> Item:
    """What stands for the conversation before a compaction.

    It is an assistant's message: the model wrote it, and is to take it for its own.
    """
    content = [{"type": "output_text", "text": summary}]
    return Item.from_value({"type": "message", "role": "assistant", "content": content})


def call_output(call: Item, output: str | list[dict[str, Any]]) -> Item:
    """The answer to `call`."""
    return Item.from_value(
        {"type": CALL_OUTPUT_KINDS[call.kind], "call_id": call.call_id, "output": output}
    )

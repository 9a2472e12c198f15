"""The calls of one Chat Completions stream, put together from their fragments.

Owns the question which call a fragment belongs to. Fragments have an index, and the first of a
call its id and its name; but there are servers that number every call with 0, that give no
index, no id, or both again and again, and that send arguments as an object.
"""

from __future__ import annotations

import uuid
from typing import Any

import orjson
from attrs import define, field

from codex_rpc.model.chat_messages import is_object
from codex_rpc.model.stream_data import count
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import ItemDone

MAX_TRIES = 100


@define
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(factory=list)
    tries: int = 0
    """How often it looked as if another call began."""

    @property
    def is_whole(self) -> bool:
        text = "".join(self.arguments)
        return not text.strip() or is_object(text)

    def item(self, *, cut_off: bool) -> Item:
        text = "".join(self.arguments)
        value = {
            "type": "function_call",
            "name": self.name,
            "arguments": text if text.strip() else "{}",
            "call_id": self.id or f"call_{uuid.uuid4().hex}",
        }
        if cut_off and not is_object(text):
            value |= {"arguments": text, "status": "incomplete"}
        return Item.from_value(value)


class Calls:
    """The calls so far, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._taken: set[str] = set()
        """The ids of those that are gone: what names one again repeats it."""
        self._told: set[tuple[str, str]] = set()
        """The same for those that have no id: names and arguments."""

    @property
    def are_whole(self) -> bool:
        """Whether every call's arguments are a JSON object, or nothing at all."""
        return all(call.is_whole for call in self._calls)

    def add(self, fragment: dict[str, Any]) -> None:
        """Take one element of a delta's `tool_calls`."""
        function = fragment.get("function")
        function = function if isinstance(function, dict) else {}
        id_, name = _string(fragment.get("id")), _string(function.get("name"))
        if id_ in self._taken:
            # Some servers close with the whole answer once more. It must not run twice.
            return
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        arguments = _string(arguments)
        index = count(fragment.get("index"))
        call = self._by_id.get(id_) or self._of(index, id_, name, arguments)
        if index is not None:
            self._by_index[index] = call
        if id_ and not call.id:
            call.id = id_
            self._by_id[id_] = call
        # Whole where it first stands; some repeat it, and none sends it in pieces.
        call.name = call.name or name
        if arguments:
            call.arguments.append(arguments)

    def _of(self, index: int | None, id_: str, name: str, arguments: str) -> _Call:
        """The call that a fragment belongs to which names none that is known."""
        if index is None:
            call = self._calls[-1] if self._calls else None
        else:
            call = self._by_index.get(index)
        if call is None or _begins(call, index, id_, name, arguments):
            call = _Call()
            self._calls.append(call)
        return call

    def take(self, *, cut_off: bool) -> list[ItemDone]:
        """The calls, which then are gone. Where the answer was cut off, one that lacks a part of
        its arguments is marked as incomplete."""
        # LM Studio begins calls of which nothing ever comes.
        calls = [call for call in self._calls if call.name or call.arguments]
        told = {(call.name, "".join(call.arguments)) for call in calls}
        calls = [call for call in calls if (call.name, "".join(call.arguments)) not in self._told]
        self._told |= told
        self._calls = []
        self._taken.update(self._by_id)
        self._by_id, self._by_index = {}, {}
        return [ItemDone(call.item(cut_off=cut_off)) for call in calls]


def _begins(call: _Call, index: int | None, id_: str, name: str, arguments: str) -> bool:
    """Whether a fragment begins another call than `call`, which its index or its place suggest."""
    if id_ and call.id:
        # With an index, only a name tells a new call from an id that is made up each time.
        return bool(name) or index is None
    if not name or not call.name:
        return False
    if name != call.name:
        return True
    # Whether arguments are whole takes as long as they are: not asked for every fragment.
    may_follow = call.arguments and call.arguments[-1].rstrip().endswith("}")
    if not (may_follow and arguments.lstrip().startswith("{")):
        return False
    # Nor is it for each of many that look so.
    call.tries += 1
    return call.tries <= MAX_TRIES and call.is_whole


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""

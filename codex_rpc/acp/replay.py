"""A saved conversation as the updates that told of it when it happened. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from attrs import evolve

from codex_rpc.acp import calls, content, outcomes
from codex_rpc.acp.calls import Looks, ShownCall, Update
from codex_rpc.acp.increments import item_name
from codex_rpc.acp.updates import said, thought, thought_id
from codex_rpc.protocol.items import message_text, string_in
from codex_rpc.protocol.shapes import (
    Call,
    Image,
    Message,
    Outcome,
    Plan,
    Reasoning,
    Text,
    shape_of,
)


class Replay:
    """One conversation on its way to the client, item by item."""

    def __init__(self, cwd: Path, looks: Looks) -> None:
        """`cwd`: where paths begin."""
        self._cwd = cwd
        self._looks = looks
        self._open: dict[str, ShownCall] = {}

    def take(self, index: int, item: dict[str, Any]) -> Iterable[Update]:
        """What the item at `index` tells."""
        message_id = string_in(item, "id") or item_name(index)
        shape = shape_of(item)
        match shape:
            case Message("user", blocks):
                return [_user(block, message_id) for block in blocks]
            case Message("assistant"):
                text = message_text(item)
                return (said(text, message_id),) if text else ()
            case Reasoning(texts):
                return [
                    thought(text, thought_id(message_id, part))
                    for part, text in enumerate(texts)
                    if text
                ]
            case Call(action=Plan() as plan):
                return (calls.plan_update(plan),)
            case Call():
                # Two calls are two, also where another program did not name them.
                named = evolve(shape, call_id=shape.call_id or message_id)
                call = calls.shown(named, item, self._cwd, self._looks)
                if call.update["status"] == "pending":
                    self._open[call.call_id] = call
                return (call.update,)
            case Outcome(call_id=call_id):
                opened = self._open.pop(call_id, None)
                return () if opened is None else self._ended(opened, shape)
        return ()

    def end(self) -> Iterator[Update]:
        """Calls that nobody has answered."""
        for call in self._open.values():
            yield outcomes.left_open(call)
        self._open.clear()

    def _ended(self, call: ShownCall, outcome: Outcome) -> Iterator[Update]:
        if call.ends_in_terminal(outcome) and outcome.text:
            yield outcomes.in_terminal(call.call_id, content.shortened(outcome.text))
        yield outcomes.ended(call, outcome)


def _user(block: Text | Image, message_id: str) -> Update:
    shown = (
        content.text(block.text) if isinstance(block, Text) else content.image_or_link(block.url)
    )
    return {"sessionUpdate": "user_message_chunk", "messageId": message_id, "content": shown}

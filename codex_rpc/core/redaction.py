"""Secrets that are known by their value are masked before anything keeps or shows them.

Owns where masking applies: in message text and in the outputs of calls, never in ids,
arguments and what the model encrypted, which have to reach the model again as they were. It
is done before an item enters the history and before it is announced, so that what is live,
on disk and resumed agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from attrs import evolve

from codex_rpc.protocol.events import EventMsg, ExecCommandEnd, McpToolCallEnd, PatchApplyEnd
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.ops import InputItem, SelectionInput, TextInput

MASK = "[redacted]"


class Redactor:
    """Masks the given values, wherever they stand."""

    def __init__(self, secrets: Sequence[str]) -> None:
        # The longest first: a secret may begin with another one.
        self._secrets = tuple(sorted(set(filter(None, secrets)), key=lambda s: (-len(s), s)))
        self._written = tuple(orjson.dumps(secret)[1:-1] for secret in self._secrets)

    def text(self, text: str) -> str:
        """`text`, masked."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def input(self, given: InputItem) -> InputItem:
        """What the user hands in with its text masked."""
        match given:
            case TextInput() | SelectionInput(text=str()):
                return evolve(given, text=self.text(given.text or ""))
            case _:
                return given

    def item(self, item: Item) -> Item:
        """`item` with its message text or call output masked; the same one if nothing is."""
        member = "content" if item.kind == "message" else "output" if item.is_output else None
        # What came from elsewhere may spell a character as an escape; such a spelling of a
        # secret is only seen once the item is taken apart, so anything escaped is.
        if member is None or not (
            b"\\u" in item.raw or any(written in item.raw for written in self._written)
        ):
            return item
        value = item.value()
        masked = self._masked(value.get(member))
        return item if masked == value.get(member) else Item.from_value(value | {member: masked})

    def event(self, msg: EventMsg) -> EventMsg:
        """The end of a call with what it shows masked; any other event as it is."""
        match msg:
            case ExecCommandEnd() | PatchApplyEnd():
                return evolve(msg, stdout=self.text(msg.stdout), stderr=self.text(msg.stderr))
            case McpToolCallEnd():
                return evolve(msg, result=self._masked(msg.result))
            case _:
                return msg

    def stream(self) -> RedactedStream:
        """For a text that comes in pieces."""
        return RedactedStream(self)

    def held_back(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a secret."""
        longest = 0
        for secret in self._secrets:
            start = text.find(secret[0], max(0, len(text) - len(secret) + 1))
            while start >= 0:
                if secret.startswith(text[start:]):
                    longest = max(longest, len(text) - start)
                    break
                start = text.find(secret[0], start + 1)
        return longest

    def _masked(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case list():
                return [self._masked(member) for member in value]
            case dict():
                # An image is not text, and too long to be looked through for nothing.
                return {
                    name: member if name == "image_url" else self._masked(member)
                    for name, member in value.items()
                }
            case _:
                return value


class RedactedStream:
    """One text in pieces: what comes out is, joined, the masked text.

    The end of a piece that may be the beginning of a secret waits for what follows.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown now."""
        text = self._redactor.text(self._held + piece)
        split = len(text) - self._redactor.held_back(text)
        self._held = text[split:]
        return text[:split]

    def rest(self) -> str:
        """What was held back, when nothing follows any more."""
        held, self._held = self._held, ""
        return held

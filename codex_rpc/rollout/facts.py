"""What a list shows of a session file, found in its lines without parsing what is not needed.

How a line begins tells whether it matters: records do, and the user's first message. Other
items are counted as they come, so one that is broken further on counts too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from codex_rpc.protocol.items import string_in
from codex_rpc.rollout.envelopes import (
    ITS_WRITERS_OWN,
    TELLING_EVENTS,
    TURN_ENDED,
    TURN_STARTED,
    item_in,
    may_tell,
    spoken_text,
)
from codex_rpc.rollout.headers import FileHeader
from codex_rpc.rollout.lines import Lines, object_in

_ITEM = b'{"type":"'
_MESSAGE = b'{"type":"message"'
_RECORD = b'{"record_type":"'
_TELLING = tuple(_RECORD + name + b'"' for name in (b"context", b"turn", b"title"))
_START = re.compile(
    rb'\{\s*(?:"(?:id|role|status|name|call_id)"\s*:\s*(?:"[^"\\]*"|null)\s*,\s*)*'
    rb'"(type|record_type)"\s*:\s*"([^"\\]+)"'
)
"""How items and records begin that were not written here."""

_TYPE = b',"type":"'
_MAX_TYPE_AT = 72
_RESPONSE_ITEM = b'response_item","payload":{"type":"'
_EVENT = b'event_msg","payload":{"type":"'
_UNDECIDED = tuple(kind.encode() + b'"' for kind in ("", "message", *ITS_WRITERS_OWN))
"""Whether such an item counts depends on what it says."""
_TELLING_EVENTS = tuple(kind.encode() + b'"' for kind in TELLING_EVENTS)


def facts_in(fd: int, header: FileHeader, check: Callable[[], None]) -> Facts:
    """What the lines of an open file say, as far as it goes now. Raises OSError."""
    facts: _EnvelopedFacts | _PlainFacts
    facts = _EnvelopedFacts(header) if header.enveloped else _PlainFacts(header)
    # Told its size, it is read in pieces of that size: most files are small.
    lines = Lines(fd, check, end=os.fstat(fd).st_size)
    for batch in lines:
        facts.take(batch)
    if lines.tail.fragment:
        facts.take([lines.tail.fragment])
    return facts


class Facts:
    """What the lines so far say."""

    def __init__(self, header: FileHeader) -> None:
        self.cwd = header.cwd
        self.model: str | None = None
        self.model_provider = header.model_provider
        self.title: str | None = None
        self.first_text = ""
        """What the user said first."""
        self.item_count = 0
        self.running: object = None
        """The submission whose turn has begun and not ended."""

    def _item(self, item: dict[str, Any]) -> None:
        self.item_count += 1
        if item.get("type") == "message" and item.get("role") == "user" and not self.first_text:
            self.first_text = spoken_text(item).strip()

    def _context(self, value: dict[str, Any]) -> None:
        self.cwd = string_in(value, "cwd") or self.cwd
        self.model = string_in(value, "model") or self.model
        self.model_provider = string_in(value, "model_provider") or self.model_provider


class _PlainFacts(Facts):
    """Of a file in our format, or in that of the Codex CLI of summer 2025."""

    def take(self, lines: list[bytes]) -> None:
        # Hundreds of thousands of lines pass here, most of them by one of the first branches.
        count = 0
        for line in lines:
            if line.startswith(_ITEM):
                if self.first_text or not line.startswith(_MESSAGE):
                    count += 1
                else:
                    self._parsed(line)
            elif line.startswith(_RECORD):
                if line.startswith(_TELLING):
                    self._parsed(line)
            elif line:
                self._oddly_begun(line)
        self.item_count += count

    def _oddly_begun(self, line: bytes) -> None:
        start = _START.match(line)
        is_item = start is not None and start[1] == b"type"
        if start is not None and is_item and (self.first_text or start[2] != b"message"):
            self.item_count += 1
        else:
            self._parsed(line)

    def _parsed(self, line: bytes) -> None:
        value = object_in(line) or {}
        match value.get("record_type"):
            case "context":
                self._context(value)
            case "title":
                self.title = string_in(value, "title") or self.title
            case "turn":
                if value.get("status") == "started":
                    self.running = value.get("submission_id") or ""
                elif (value.get("submission_id") or "") == self.running:
                    self.running = None
            case None if string_in(value, "type"):
                self._item(value)


class _EnvelopedFacts(Facts):
    """Of a file as today's Codex CLI writes it."""

    def take(self, lines: list[bytes]) -> None:
        for line in lines:
            # As it is written, what tells is in fixed places.
            at = line.find(_TYPE, 0, _MAX_TYPE_AT) + len(_TYPE)
            if line.startswith(_RESPONSE_ITEM, at):
                if not line.startswith(_UNDECIDED, at + len(_RESPONSE_ITEM)):
                    self.item_count += 1
                    continue
            elif line.startswith(_EVENT, at):
                if not line.startswith(_TELLING_EVENTS, at + len(_EVENT)):
                    continue
            elif line and not may_tell(line):
                continue
            self._parsed(line)

    def _parsed(self, line: bytes) -> None:
        value = object_in(line) or {}
        item = item_in(value)
        payload = value.get("payload")
        if item is not None:
            self._item(item)
        elif isinstance(payload, dict):
            match value.get("type"), string_in(payload, "type"):
                case "turn_context", _:
                    self._context({**payload, "model_provider": None})
                case "event_msg", kind if kind in TURN_STARTED:
                    self.running = payload.get("turn_id") or ""
                case "event_msg", kind if kind in TURN_ENDED:
                    self.running = None

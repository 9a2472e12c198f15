"""What a list shows of a session file, found in its lines without parsing what is not needed.

How a line begins tells whether it matters: records do, and the user's first message. Other
items are counted as they come, many at once, so one that is broken further on counts too.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
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
    start_of,
)
from codex_rpc.rollout.headers import FileHeader
from codex_rpc.rollout.lines import CHUNK_BYTES, object_in

_END = b"\n"
_ITEM = b'{"type":"'
_MESSAGE = b'{"type":"message"'
_RECORD = b'{"record_type":"'
_TELLING_RECORDS = ("context", "turn", "title")
_TELLING = tuple(_RECORD + name.encode() + b'"' for name in _TELLING_RECORDS)
_START = re.compile(
    rb'\{\s*(?:"(?:id|role|status|name|call_id)"\s*:\s*(?:"[^"\\]*"|null)\s*,\s*)*'
    rb'"(type|record_type)"\s*:\s*"([^"\\]+)"'
)
"""How items and records begin that were not written here."""


def _one_of(names: Iterable[str]) -> bytes:
    return b"(?:" + "|".join(names).encode() + b')"'


_LINE_WITH_ITEM = _END + _ITEM
_OTHER_LINE = re.compile(
    rb'\n(?!\{"type":"|\{"record_type":"(?!' + _one_of(_TELLING_RECORDS) + rb"))"
)
"""How lines begin that are neither items nor records that tell nothing."""

_RESPONSE_ITEM = b"response_item"
_UNDECIDED = ("message", *ITS_WRITERS_OWN)
"""Whether such an item counts depends on what it says."""
_UNDECIDED_KINDS = {None, *(kind.encode() for kind in _UNDECIDED)}
_ENVELOPED_LINE = re.compile(
    rb'\n(?:\{"timestamp":"[^",\\\n]{0,30}",(?:"ordinal":\d{1,7},)?"type":"('
    rb'response_item(?=","payload":\{"type":"(?:(?!' + _one_of(_UNDECIDED) + rb')[a-z_]+"'
    # The user's own words: not what their program says in their name.
    rb'|message",(?:"id":"[^"\\\n]*",)?"role":"(?:assistant"'
    rb'|user","content":\[\{"type":"input_text","text":"[!$-;=-\[\]-~])))'
    rb'|event_msg(?=","payload":\{"type":"(?!' + _one_of(TELLING_EVENTS) + rb')[a-z_]+")))?'
)
"""How any line begins. The group is its section if it is an item that counts, or an event that
tells nothing; there is none if only parsing it tells."""


def facts_in(fd: int, header: FileHeader, check: Callable[[], None]) -> Facts:
    """What the lines of an open file say, as far as it goes now. Raises OSError."""
    facts: Facts = _EnvelopedFacts(header) if header.enveloped else _PlainFacts(header)
    parts: list[bytes] = []
    for chunk in _chunks(fd, check):
        end = chunk.rfind(_END)
        parts.append(chunk)
        # A line that goes on over many chunks is put together once, at its end.
        if end >= 0:
            block = b"".join(parts)
            facts.take(block, len(block) - len(chunk) + end)
            parts = [chunk[end:]]
    facts.take_line(b"".join(parts).removeprefix(_END))
    return facts


def _chunks(fd: int, check: Callable[[], None]) -> Iterator[bytes]:
    """An open file from its start, as far as it goes now."""
    os.lseek(fd, 0, os.SEEK_SET)
    left = os.fstat(fd).st_size
    while left > 0:
        check()
        chunk = os.read(fd, min(CHUNK_BYTES, left))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk


class Facts(ABC):
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

    def take(self, block: bytes, end: int) -> None:
        """The lines before the line end at `end`, each with the line end before it; if there is
        none before the first, that is the header."""
        at = block.find(_END, 0, end)
        while at >= 0 and not self.first_text:
            self.take_line(_line_at(block, at + 1))
            at = block.find(_END, at + 1, end)
        if at >= 0:
            self._take_rest(block, at, end)

    @abstractmethod
    def take_line(self, line: bytes) -> None:
        """One line, which may be cut off."""

    @abstractmethod
    def _take_rest(self, block: bytes, begin: int, end: int) -> None:
        """As `take`, when it is known what the user said first."""

    def _item(self, item: dict[str, Any]) -> None:
        self.item_count += 1
        if item.get("type") == "message" and item.get("role") == "user" and not self.first_text:
            self.first_text = spoken_text(item).strip()

    def _context(self, value: dict[str, Any]) -> None:
        self.cwd = string_in(value, "cwd") or self.cwd
        self.model = string_in(value, "model") or self.model
        self.model_provider = string_in(value, "model_provider") or self.model_provider


def _line_at(block: bytes, begin: int) -> bytes:
    return block[begin : block.index(_END, begin)]


class _PlainFacts(Facts):
    """Of a file in our format, or in that of the Codex CLI of summer 2025."""

    def _take_rest(self, block: bytes, begin: int, end: int) -> None:
        # Hundreds of thousands of lines pass here, hardly any of which are taken by themselves.
        self.item_count += block.count(_LINE_WITH_ITEM, begin, end)
        for start in _OTHER_LINE.finditer(block, begin, end):
            self.take_line(_line_at(block, start.end()))

    def take_line(self, line: bytes) -> None:
        if line.startswith(_ITEM):
            if self.first_text or not line.startswith(_MESSAGE):
                self.item_count += 1
            else:
                self._parsed(line)
        elif line.startswith(_RECORD):
            if line.startswith(_TELLING):
                self._parsed(line)
        elif line:
            self._oddly_begun(line)

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

    def _take_rest(self, block: bytes, begin: int, end: int) -> None:
        sections = _ENVELOPED_LINE.findall(block, begin, end)
        self.item_count += sections.count(_RESPONSE_ITEM)
        if b"" in sections:
            lines = block[begin + 1 : end].split(_END)
            for line, section in zip(lines, sections, strict=True):
                if not section:
                    self.take_line(line)

    def take_line(self, line: bytes) -> None:
        start = start_of(line)
        if start is not None and start[0] == _RESPONSE_ITEM and start[1] not in _UNDECIDED_KINDS:
            self.item_count += 1
        elif line and may_tell(line):
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

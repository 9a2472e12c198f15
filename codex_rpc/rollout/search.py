"""Words in sessions: in what was said and run, and in which folder, whatever their case.

What commands gave back is not searched, nor what the model thought. Lines are only parsed if
their bytes may hold a word that is still missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from codex_rpc.protocol.errors import RolloutCorrupt, RolloutNotFound
from codex_rpc.protocol.items import string_in
from codex_rpc.rollout.envelopes import item_in, may_be_item, message_text
from codex_rpc.rollout.headers import FileHeader, read_header
from codex_rpc.rollout.lines import Lines, never_cancelled, object_in
from codex_rpc.rollout.reader import reading
from codex_rpc.rollout.summaries import Row

EXCERPT_BEFORE, EXCERPT_AFTER = 40, 120

_PASSED_OVER = (
    b'{"record_type":"',
    b'{"type":"reasoning"',
    b'{"type":"function_call_output"',
    b'{"type":"custom_tool_call_output"',
)
_PLAIN = re.compile(r"[!#-%(-;=?-\[\]-~]+")
"""Words that JSON is only ever seen to write in one way."""
_FOLDS_TO_ASCII = re.compile(
    rb"\xc3\x9f|\xc4\xb0|\xc5[\x89\xbf]|\xc7\xb0|\xe1\xba[\x96-\x9a\x9e]|\xe2\x84\xaa"
    rb"|\xef\xac[\x80-\x86]"
)
"""Characters of which an ASCII letter becomes when case is set aside, as `ß` becomes `ss`."""


class Words:
    """The words of a query: all have to be found, anywhere in a session."""

    def __init__(self, query: str | None) -> None:
        self.missing = [word.casefold() for word in (query or "").split()]
        self.excerpt: str | None = None
        """What is around the first word that was found in the conversation."""
        self._sort_out()

    def _sort_out(self) -> None:
        plain = [word for word in self.missing if _PLAIN.fullmatch(word)]
        self._plain = [word.encode() for word in plain]
        self._may_be_escaped = any(word.isascii() for word in self.missing if word not in plain)
        self._is_not_ascii = any(not word.isascii() for word in self.missing)

    def may_be_in(self, line: bytes) -> bool:
        """False only if no missing word can be in a text that the JSON in `line` holds."""
        if self._may_be_escaped:
            return True
        lowered = line.lower()
        for word in self._plain:
            if word in lowered:
                return True
        if self._is_not_ascii and b"\\u" in line:
            return True
        if line.isascii():
            return False
        return self._is_not_ascii or _FOLDS_TO_ASCII.search(line) is not None

    def look_in(self, text: str | None, *, is_said: bool = False) -> None:
        """Those in `text` are missing no more; an excerpt is taken of what was said or run."""
        if not self.missing or not text:
            return
        folded = text.casefold()
        missing = [word for word in self.missing if word not in folded]
        if is_said and self.excerpt is None and len(missing) < len(self.missing):
            first = next(word for word in self.missing if word in folded)
            self.excerpt = _excerpt(text, folded.index(first))
        if len(missing) < len(self.missing):
            self.missing = missing
            self._sort_out()


def find_words(
    path: Path, row: Row, query: str, check: Callable[[], None] = never_cancelled
) -> Words:
    """Look for the words of `query` in a session, whose row is known."""
    words = Words(query)
    words.look_in(row.title)
    words.look_in(row.session_id)
    words.look_in(row.cwd)
    if not words.missing or row.reason is not None:
        return words
    try:
        with reading(path) as fd:
            header = read_header(fd, path)
            lines = Lines(fd, check, end=os.fstat(fd).st_size)
            for batch in lines:
                if _look_in_lines(words, batch, header):
                    return words
            _look_in_lines(words, [lines.tail.fragment], header)
    except (RolloutCorrupt, RolloutNotFound):
        # It has changed since its row was made; what was found, was there.
        pass
    return words


def _look_in_lines(words: Words, lines: list[bytes], header: FileHeader) -> bool:
    """Look in the items among `lines`; whether nothing is missing any more."""
    for line in lines:
        if line.startswith(_PASSED_OVER) or not words.may_be_in(line):
            continue
        if header.enveloped:
            item = item_in(object_in(line) or {}) if may_be_item(line) else None
        else:
            item = object_in(line)
        for text in _texts_of(item or {}):
            words.look_in(text, is_said=True)
            if not words.missing:
                return True
    return False


def _texts_of(item: dict[str, Any]) -> Iterator[str]:
    """What an item says or runs."""
    match item.get("type"):
        case "message":
            yield message_text(item)
        case "function_call":
            yield string_in(item, "name") or ""
            arguments = string_in(item, "arguments") or ""
            try:
                yield " ".join(_strings_in(orjson.loads(arguments)))
            except ValueError:
                yield arguments
        case "custom_tool_call":
            yield string_in(item, "name") or ""
            yield string_in(item, "input") or ""
        case "local_shell_call" | "web_search_call":
            yield " ".join(_strings_in(item.get("action")))


def _strings_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value, in its order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _strings_in(member)


def _excerpt(text: str, at: int) -> str:
    """What is around a place, on one line."""
    begin, end = max(at - EXCERPT_BEFORE, 0), at + EXCERPT_AFTER
    if begin > 0:
        # Not from the middle of a word, if it is not too long.
        begin = max(begin, text.find(" ", begin, at) + 1)
    excerpt = " ".join(text[begin:end].split())
    return f"{'…' if begin > 0 else ''}{excerpt}{'…' if end < len(text) else ''}"

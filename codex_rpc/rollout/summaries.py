"""One session file as a row of `session/list`, without parsing what the row does not need.

How a line begins tells whether it matters: records do, the user's first message does, and
for a query the lines that may match. Other items are counted as they come, so one that is
broken further on counts too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from codex_rpc.protocol.converter import utc_text
from codex_rpc.protocol.errors import RolloutCorrupt, RolloutNotFound
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.records import SessionSummary
from codex_rpc.rollout.envelopes import item_in, message_text
from codex_rpc.rollout.headers import FileHeader, read_header, string_in
from codex_rpc.rollout.lines import Lines, never_cancelled, object_in
from codex_rpc.rollout.paths import id_in_name, text_of
from codex_rpc.rollout.reader import reading

MAX_TITLE_CHARS = 80
MAX_PREVIEW_CHARS = 200

_PLAIN = re.compile(rb'\{\s*"(type|record_type)"\s*:\s*"([^"\\]+)"')
_ENVELOPED = re.compile(
    rb'\{\s*"timestamp"\s*:\s*"[^"\\]*"\s*,\s*(?:"ordinal"\s*:\s*\d+\s*,\s*)?'
    rb'"type"\s*:\s*"([^"\\]+)"\s*,\s*"payload"\s*:\s*\{(?:\s*"type"\s*:\s*"([^"\\]+)")?'
)
_TELLING_RECORDS = {b"context", b"turn", b"title"}
_TELLING_EVENTS = {b"task_started", b"task_complete", b"turn_aborted"}
_SEARCHED_ITEMS = {b"function_call", b"local_shell_call", b"custom_tool_call"}


class Words:
    """The words of a query: all have to be found, anywhere in a session, whatever their case."""

    def __init__(self, query: str | None) -> None:
        self.missing = [word.casefold() for word in (query or "").split()]

    def may_be_in(self, line: bytes) -> bool:
        """False only if no missing word can be in a text that the JSON in `line` holds."""
        if not self.missing:
            return False
        lowered = line.lower()
        # JSON can write what is not plain ASCII in more than one way.
        return any(
            not word.isascii() or '"' in word or "\\" in word or word.encode() in lowered
            for word in self.missing
        )

    def look_in(self, text: str | None) -> None:
        """Those in `text` are missing no more."""
        if self.missing and text:
            folded = text.casefold()
            self.missing = [word for word in self.missing if word not in folded]


@frozen
class Row:
    """A row, and what it does not show."""

    summary: SessionSummary
    matches: bool
    """The query's words are in the session."""
    can_be_continued: bool
    """It can be read, has items, and is in a format that is written here."""


def summarise(
    path: Path,
    stat: os.stat_result,
    *,
    query: str | None = None,
    live: Set[str] = frozenset(),
    archived: bool = False,
    check: Callable[[], None] = never_cancelled,
) -> Row:
    """The row of one file; one that cannot be read has a row too, which says why."""
    words = Words(query)
    updated_at = datetime.fromtimestamp(stat.st_mtime, UTC)
    try:
        with reading(path) as fd:
            facts = _Facts(read_header(fd, path), words)
            lines = Lines(fd, check)
            for batch in lines:
                for line in batch:
                    facts.take(line)
            facts.take(lines.tail.fragment)
    except (RolloutCorrupt, RolloutNotFound) as exc:
        unreadable = _unreadable(path, stat, updated_at, exc, archived=archived)
        words.look_in(unreadable.title)
        return Row(unreadable, not words.missing, can_be_continued=False)
    header = facts.header
    words.look_in(header.session_id)
    words.look_in(facts.cwd)
    words.look_in(facts.title)
    is_live = header.session_id in live
    status: Literal["clean", "interrupted"] = (
        "interrupted" if facts.running is not None and not is_live else "clean"
    )
    summary = SessionSummary(
        session_id=header.session_id,
        path=text_of(path),
        title=_cut(facts.title or facts.first_text, MAX_TITLE_CHARS),
        preview=_cut(facts.first_text, MAX_PREVIEW_CHARS),
        cwd=facts.cwd,
        model=facts.model,
        model_provider=facts.model_provider,
        created_at=utc_text(header.created_at or updated_at),
        updated_at=utc_text(updated_at),
        item_count=facts.item_count,
        size_bytes=stat.st_size,
        status=status,
        live=is_live,
        archived=archived,
        origin=header.origin,
    )
    can_be_continued = facts.item_count > 0 and not header.enveloped
    return Row(summary, not words.missing, can_be_continued)


class _Facts:
    """What the lines so far say that a row shows."""

    def __init__(self, header: FileHeader, words: Words) -> None:
        self.header = header
        self.cwd = header.cwd
        self.model: str | None = None
        self.model_provider = header.model_provider
        self.title: str | None = None
        self.first_text = ""
        self.item_count = 0
        self.running: object = None
        self._words = words
        self._skip = self._skip_enveloped if header.enveloped else self._skip_plain

    def take(self, line: bytes) -> None:
        """Take in a line, parsing it only if it may say something."""
        if self._skip(line):
            return
        value = object_in(line) or {}
        if self.header.enveloped:
            item = item_in(value)
        else:
            is_item = "record_type" not in value and string_in(value, "type")
            item = value if is_item else None
        if item is not None:
            self.item_count += 1
            self._item(item)
        elif self.header.enveloped:
            self._event(value)
        else:
            self._record(value)

    def _skip_plain(self, line: bytes) -> bool:
        start = _PLAIN.match(line)
        if start is None:
            return False
        section, name = start.groups()
        if section == b"record_type":
            return name not in _TELLING_RECORDS
        if name == b"message" and not self.first_text:
            return False
        if (name == b"message" or name in _SEARCHED_ITEMS) and self._words.may_be_in(line):
            return False
        self.item_count += 1
        return True

    def _skip_enveloped(self, line: bytes) -> bool:
        start = _ENVELOPED.match(line)
        if start is None:
            return False
        section, name = start.groups()
        if section == b"event_msg":
            return name not in _TELLING_EVENTS
        if section != b"response_item":
            return section != b"turn_context"
        # Whether a message counts depends on what it says.
        if name in (None, b"message", b"additional_tools"):
            return False
        if name in _SEARCHED_ITEMS and self._words.may_be_in(line):
            return False
        self.item_count += 1
        return True

    def _item(self, item: dict[str, Any]) -> None:
        if item.get("type") == "message":
            text = message_text(item)
            if item.get("role") == "user" and not self.first_text:
                self.first_text = text.strip()
            self._words.look_in(text)
        elif self._words.missing:
            self._words.look_in(_command_text(item))

    def _record(self, value: dict[str, Any]) -> None:
        match value.get("record_type"):
            case "context":
                self.cwd = string_in(value, "cwd") or self.cwd
                self.model = string_in(value, "model") or self.model
                self.model_provider = string_in(value, "model_provider") or self.model_provider
            case "title":
                self.title = string_in(value, "title") or self.title
            case "turn":
                if value.get("status") == "started":
                    self.running = value.get("submission_id") or ""
                elif (value.get("submission_id") or "") == self.running:
                    self.running = None

    def _event(self, value: dict[str, Any]) -> None:
        payload = value.get("payload")
        if not isinstance(payload, dict):
            return
        match value.get("type"), payload.get("type"):
            case "turn_context", _:
                self.cwd = string_in(payload, "cwd") or self.cwd
                self.model = string_in(payload, "model") or self.model
            case "event_msg", "task_started":
                self.running = payload.get("turn_id") or ""
            case "event_msg", "task_complete" | "turn_aborted":
                self.running = None


def _unreadable(
    path: Path,
    stat: os.stat_result,
    updated_at: datetime,
    exc: RolloutCorrupt | RolloutNotFound,
    *,
    archived: bool,
) -> SessionSummary:
    return SessionSummary(
        session_id=id_in_name(path) or path.stem,
        path=text_of(path),
        title=text_of(Path(path.name)),
        preview="",
        cwd=None,
        model=None,
        model_provider=None,
        created_at=utc_text(updated_at),
        updated_at=utc_text(updated_at),
        size_bytes=stat.st_size,
        status="unreadable",
        reason=exc.data.get("reason", "the link leads nowhere"),
        live=False,
        archived=archived,
        origin="codex-rpc",
    )


def _command_text(item: dict[str, Any]) -> str:
    """What a call runs, as text to search in."""
    action = item.get("action")
    command = action.get("command") if isinstance(action, dict) else None
    parts = [item.get("name"), item.get("arguments"), item.get("input")]
    parts += command if isinstance(command, list) else []
    return " ".join(part for part in parts if isinstance(part, str))


def _cut(text: str, max_chars: int) -> str:
    """`text` on one line, at most `max_chars` long."""
    # Only as much as can matter is looked at: a pasted file is a first message too.
    line = " ".join(text[: max_chars * 8].split())
    return line if len(line) <= max_chars else line[: max_chars - 1].rstrip() + "…"

"""A whole session file as a `SavedSession`: what resume begins with.

Strict on the header, tolerant of every other line: what cannot be used is reported as damage,
by number and size, never by content. Nothing here writes, and no lock is needed.
"""

from __future__ import annotations

import gc
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from attrs import define, field

from codex_rpc.protocol.converter import structure
from codex_rpc.protocol.errors import InvalidParams, RolloutCorrupt, RolloutNotFound
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import APPROVAL_POLICIES, SandboxPolicy
from codex_rpc.protocol.records import Damage, SavedContext, SavedSession
from codex_rpc.rollout.files import open_to_read, reason_of
from codex_rpc.rollout.headers import FileHeader, string_in
from codex_rpc.rollout.lines import UNFINISHED, Lines, Tail, never_cancelled, object_in
from codex_rpc.rollout.paths import text_of

NOT_JSON = "it is not valid JSON"
NOT_AN_OBJECT = "it is not a JSON object"
NO_TYPE = "it is a response item without a type"
NO_SUMMARY = "it is a compacted record without a summary"


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """The descriptor of the regular file at `path`, closed at the end.

    Raises:
        RolloutNotFound: there is none, or a link leads nowhere.
        RolloutCorrupt: it is no regular file, or cannot be opened or, later, read.
    """
    try:
        fd = open_to_read(path)
    except (FileNotFoundError, NotADirectoryError, ValueError) as exc:
        raise RolloutNotFound(
            f"there is no session file at {text_of(path)}", data={"path": text_of(path)}
        ) from exc
    except OSError as exc:
        raise RolloutCorrupt(text_of(path), reason_of(exc)) from exc
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise RolloutCorrupt(text_of(path), "it is a directory")
        if not stat.S_ISREG(mode):
            raise RolloutCorrupt(text_of(path), "it is not a regular file")
        yield fd
    except OSError as exc:
        raise RolloutCorrupt(text_of(path), reason_of(exc)) from exc
    finally:
        os.close(fd)


@frozen
class Loaded:
    """A session, and where its next record goes."""

    session: SavedSession
    tail: Tail


def load(
    fd: int, path: Path, header: FileHeader, *, check: Callable[[], None] = never_cancelled
) -> Loaded:
    """Read an open file, whose header is known, to its end.

    Items are in file order, from the last compaction on, with its summary in front. A torn
    last line is left out and reported; so is every line that cannot be used, with its
    number. Record types that are not known are skipped.
    """
    replay = _Replay(has_state=header.format is not None)
    lines = Lines(fd, check)
    with _no_gc():
        # A hundred thousand lines pass here, so the path of an item is written out.
        items, loads, intern = replay.items, orjson.loads, sys.intern
        line_no = 0
        for batch in lines:
            for line in batch:
                line_no += 1
                try:
                    value = loads(line)
                except ValueError:
                    value = None
                if value.__class__ is not dict:
                    replay.take(line, None, line_no)
                    continue
                kind = value.get("type")
                if (
                    kind.__class__ is str
                    and kind
                    and kind != "local_shell_call"
                    and "call_id" not in value
                    and "record_type" not in value
                    and line[-1] == _BRACE
                ):
                    items.append(Item(line, intern(kind)))
                elif line_no > 1:
                    replay.take(line, value, line_no)
    tail = lines.tail
    if tail.fragment and line_no > 0:
        value = object_in(tail.fragment)
        if value is None:
            replay.damage.append(Damage(line_no + 1, len(tail.fragment), UNFINISHED))
        else:
            replay.take(tail.fragment, value, line_no + 1)
    updated_at = datetime.fromtimestamp(os.fstat(fd).st_mtime, UTC)
    return Loaded(replay.session(header, path, updated_at), tail)


_BRACE = ord("}")


@define
class _Replay:
    """What the lines so far amount to."""

    has_state: bool
    """In a file that this project did not begin, state says nothing."""
    items: list[Item] = field(factory=list)
    damage: list[Damage] = field(factory=list)
    context: dict[str, Any] = field(factory=dict)
    previous_response_id: str | None = None
    seen_item_count: int = 0
    title: str | None = None
    running: object = None
    aborted: bool = False
    """The submission whose turn has begun and not ended."""
    used_call_ids: set[str] = field(factory=set)

    def take(self, line: bytes, value: dict[str, Any] | None, line_no: int) -> None:
        """Use a line, of which `value` is the object; None if it is none."""
        if value is None:
            if line.strip():
                self.damage.append(Damage(line_no, len(line), why_not(line)))
        elif isinstance(value.get("record_type"), str):
            self._record(line, value, line_no)
        else:
            try:
                self.items.append(Item.from_line(line.strip(), value))
            except ValueError:
                self.damage.append(Damage(line_no, len(line), NO_TYPE))

    def _record(self, line: bytes, value: dict[str, Any], line_no: int) -> None:
        match value["record_type"]:
            case "state" if self.has_state:
                self.previous_response_id = string_in(value, "previous_response_id")
                self.seen_item_count = len(self.items) if self.previous_response_id else 0
            case "context":
                self.context = value
            case "turn":
                if value.get("status") == "started":
                    self.running = value.get("submission_id") or ""
                elif (value.get("submission_id") or "") == self.running:
                    self.running = None
                self.aborted = value.get("status") == "aborted"
            case "title":
                self.title = string_in(value, "title") or self.title
            case "compacted":
                summary = value.get("summary")
                if isinstance(summary, str):
                    self._compact(summary)
                else:
                    self.damage.append(Damage(line_no, len(line), NO_SUMMARY))

    def _compact(self, summary: str) -> None:
        """The summary stands for everything before it, and the damage before it is past.

        It is an assistant's message: the model wrote it, and is to take it for its own.
        """
        self.used_call_ids.update(item.call_id for item in self.items if item.call_id)
        content = [{"type": "output_text", "text": summary}]
        message = {"type": "message", "role": "assistant", "content": content}
        self.items[:] = [Item.from_value(message)]
        self.damage.clear()
        self.previous_response_id = None
        self.seen_item_count = 0

    def session(self, header: FileHeader, path: Path, updated_at: datetime) -> SavedSession:
        return SavedSession(
            session_id=header.session_id,
            path=path,
            context=_saved_context(self.context, header),
            items=self.items,
            previous_response_id=self.previous_response_id,
            seen_item_count=self.seen_item_count,
            updated_at=updated_at,
            title=self.title,
            interrupted=self.running is not None or self.aborted,
            damage=tuple(self.damage),
            used_call_ids=frozenset(self.used_call_ids),
        )


def why_not(line: bytes) -> str:
    """Why a line is no JSON object."""
    try:
        orjson.loads(line)
    except ValueError:
        return NOT_JSON
    return NOT_AN_OBJECT


def _saved_context(value: dict[str, Any], header: FileHeader) -> SavedContext:
    """Each member by itself: one that is not valid does not take the others with it."""
    approval = value.get("approval_policy")
    try:
        sandbox = structure(value.get("sandbox_policy"), SandboxPolicy)
    except InvalidParams:
        sandbox = None
    return SavedContext(
        cwd=string_in(value, "cwd") or header.cwd,
        model=string_in(value, "model"),
        model_provider=string_in(value, "model_provider"),
        approval_policy=approval if approval in APPROVAL_POLICIES else None,
        sandbox_policy=sandbox,
    )


@contextmanager
def _no_gc() -> Iterator[None]:
    """Many objects and no garbage: each collection would look at all of them for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

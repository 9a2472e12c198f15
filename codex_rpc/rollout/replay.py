"""What the lines of a session file in our format amount to, one after the other.

Owns the meaning of each record for whoever goes on with the session. It reads no file: lines
come in, and what stands beside the session file comes from `Inline`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from attrs import define, field

from codex_rpc.protocol.converter import structure
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.ids import CallId
from codex_rpc.protocol.items import Item, string_in, summary_message
from codex_rpc.protocol.policy import APPROVAL_POLICIES, SandboxPolicy
from codex_rpc.protocol.records import Damage, SavedContext, SavedSession
from codex_rpc.rollout.blobs import BlobDamaged, BlobFolder
from codex_rpc.rollout.headers import FileHeader
from codex_rpc.rollout.lines import UNFINISHED, Lines, object_in
from codex_rpc.rollout.markers import NOT_WHOLE, START, compaction_in

NOT_JSON = "it is not valid JSON"
NOT_AN_OBJECT = "it is not a JSON object"
NO_TYPE = "it is a response item without a type"

_BRACE = ord("}")
_SOME_TURN = object()
"""A turn that began before what is read."""


@define
class Replay:
    """A session as far as its lines were taken."""

    header: FileHeader
    blobs: BlobFolder | None = None
    """None: what is stored beside the file stays out of the items."""
    items: list[Item] = field(factory=list)
    damage: list[Damage] = field(factory=list)
    items_before: int = 0
    """How many items the first of `items`, a summary, stands for; 0: it is none."""
    _marker_line_no: int = field(default=0, init=False)
    _context: dict[str, Any] = field(factory=dict, init=False)
    _previous_response_id: str | None = field(default=None, init=False)
    _seen_item_count: int = field(default=0, init=False)
    _title: str | None = field(default=None, init=False)
    _running: object = field(default=None, init=False)
    """The submission whose turn has begun and not ended."""
    _aborted: bool = field(default=False, init=False)
    _refs: Sequence[Mapping[str, Any]] = field(default=(), init=False)
    """What of the item in the next line is stored beside the file."""

    def take_all(self, lines: Lines) -> None:
        """Take all of `lines`; a last one that only lacks its end counts."""
        # A hundred thousand lines pass here, so the path of an item is written out. It is that of
        # `_take`, for whatever needs none of its care.
        items, loads, intern = self.items, orjson.loads, sys.intern
        call_id: CallId | None
        line_no = lines.line_count
        for batch in lines:
            for line in batch:
                line_no += 1
                try:
                    value = loads(line)
                except ValueError:
                    value = None
                if value.__class__ is not dict:
                    self._take(line, None, line_no)
                    continue
                kind, call_id = value.get("type"), value.get("call_id")
                if (
                    kind.__class__ is str
                    and kind
                    and (call_id or kind != "local_shell_call")
                    and (call_id.__class__ is str or call_id is None)
                    and "record_type" not in value
                    and line[-1] == _BRACE
                    and not self._refs
                ):
                    items.append(Item(line, intern(kind), call_id or None))
                else:
                    self._take(line, value, line_no)
        fragment = lines.tail.fragment
        if fragment:
            line_no += 1
            value = object_in(fragment)
            if value is not None:
                self._take(fragment, value, line_no)
            elif line_no > 1:
                self.damage.append(Damage(line_no, len(fragment), UNFINISHED))

    def _take(self, line: bytes, value: dict[str, Any] | None, line_no: int) -> None:
        """Use a line, of which `value` is the object; None if it is none."""
        refs, self._refs = self._refs, ()
        if line_no == 1:
            return
        if value is None:
            if line.strip():
                self.damage.append(Damage(line_no, len(line), why_not(line)))
        elif isinstance(value.get("record_type"), str):
            self._record(line, value, line_no)
        else:
            try:
                item = Item.from_line(line.strip(), value)
            except ValueError:
                self.damage.append(Damage(line_no, len(line), NO_TYPE))
            else:
                self.items.append(self._whole(item, value, refs, line_no) if refs else item)

    def _whole(
        self, item: Item, value: dict[str, Any], refs: Sequence[Mapping[str, Any]], line_no: int
    ) -> Item:
        """`item` with what is stored beside the file; what cannot be had stays out."""
        if self.blobs is None:
            return item
        try:
            return Item.from_value(self.blobs.inline(value, refs))
        except BlobDamaged as exc:
            self.damage.append(Damage(line_no, len(item.raw), exc.reason))
            return item

    def _record(self, line: bytes, value: dict[str, Any], line_no: int) -> None:
        match value["record_type"]:
            # In a file that this project did not begin, state says nothing.
            case "state" if self.header.format is not None:
                self._previous_response_id = string_in(value, "previous_response_id")
                self._seen_item_count = len(self.items) if self._previous_response_id else 0
            case "context":
                self._context = value
            case "turn":
                self._turn(value)
            case "title":
                self._title = string_in(value, "title") or self._title
            case "blobs":
                self._refs = blob_refs_in(value)
            case "compacted" if line.startswith(START):
                compaction = compaction_in(value, line_no)
                if compaction is not None:
                    self._compact(*compaction, line_no)
                else:
                    self.damage.append(Damage(line_no, len(line), NOT_WHOLE))

    def _turn(self, value: dict[str, Any]) -> None:
        submission = value.get("submission_id") or ""
        if value.get("status") == "started":
            self._running = submission
        elif self._running is _SOME_TURN or submission == self._running:
            self._running = None
        self._aborted = value.get("status") == "aborted"

    def _compact(self, summary: str, replaces: int, line_no: int) -> None:
        """The summary stands for everything before it, and the damage before it is past."""
        self.items[:] = [summary_message(summary)]
        self.items_before = replaces
        self._marker_line_no = line_no
        self.damage.clear()
        self._previous_response_id = None
        self._seen_item_count = 0
        if self._running is None:
            # Only turns compact, so one was running.
            self._running = _SOME_TURN

    def session(self, path: Path, updated_at: datetime) -> SavedSession:
        """The session."""
        header = self.header
        return SavedSession(
            session_id=header.session_id,
            path=path,
            context=_saved_context(self._context, header),
            items=self.items,
            previous_response_id=self._previous_response_id,
            seen_item_count=self._seen_item_count,
            updated_at=updated_at,
            title=self._title,
            interrupted=self._running is not None or self._aborted,
            damage=tuple(self.damage),
            items_before=self.items_before,
            call_id_suffix=self._call_id_suffix(),
            forked_from=header.forked_from,
        )

    def _call_id_suffix(self) -> str:
        """What no call id before the last compaction ends in.

        Ids after another compaction end in the number of another line, and those that came
        with the items of another session in the end of another id.
        """
        if not self.items_before:
            return ""
        return f"-c{self._marker_line_no}-{self.header.session_id[-4:]}"


def why_not(line: bytes) -> str:
    """Why a line is no JSON object."""
    try:
        orjson.loads(line)
    except ValueError:
        return NOT_JSON
    return NOT_AN_OBJECT


def blob_refs_in(value: dict[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What a `blobs` record lists; whether each is a reference is seen when it is used."""
    refs = value.get("refs")
    return refs if isinstance(refs, list) else ()


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

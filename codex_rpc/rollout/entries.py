"""The items of a session file with their places, read in either direction.

What `session/read` and the making of documents have in common. An item's index counts the
session's items from its start, those that a compaction stands for included, so it stays what
it is while the session grows. Reading backward begins at a known place and needs nothing
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.records import Damage
from codex_rpc.rollout.envelopes import item_in, may_be_item
from codex_rpc.rollout.headers import FileHeader
from codex_rpc.rollout.lines import UNFINISHED, Lines, lines_before, never_cancelled, object_in
from codex_rpc.rollout.markers import NOT_WHOLE, START, compaction_in, markers
from codex_rpc.rollout.replay import NO_TYPE, blob_refs_in, why_not

_RECORD = b'{"record_type":"'


@frozen
class Place:
    """Where a line begins."""

    offset: int
    line_no: int
    index: int
    """Of the next item from here on."""


BEGIN = Place(offset=0, line_no=1, index=0)


@frozen
class Entry:
    """An item, and where it is."""

    place: Place
    """Where the first line that belongs to it begins, that of its blobs if it has any."""
    line_no: int
    line: bytes
    value: dict[str, Any]
    refs: Sequence[Mapping[str, Any]] = ()
    """What of it is stored elsewhere."""

    @property
    def index(self) -> int:
        return self.place.index

    @property
    def byte_count(self) -> int:
        """How large it is when it is whole."""
        sizes = [ref.get("bytes") for ref in self.refs if isinstance(ref, dict)]
        return len(self.line) + sum(size for size in sizes if type(size) is int and size > 0)


@frozen
class _Refs:
    """The line says what of the item in the next line is stored elsewhere."""

    refs: Sequence[Mapping[str, Any]]


@frozen
class _Compaction:
    replaces: int


_Found = dict[str, Any] | _Refs | _Compaction | str | None
"""An item, one of the records that matter here, why a line cannot be used, or nothing."""


def end_of(
    fd: int, header: FileHeader, size: int, check: Callable[[], None] = never_cancelled
) -> Place:
    """The place behind the last line of the first `size` bytes.

    Items are counted from the last compaction on; where there is none, from the start of the
    file, which is then read whole.
    """
    place = BEGIN
    if not header.enveloped:
        marker = next(markers(fd, size, check), None)
        if marker is not None:
            place = Place(marker.offset, marker.line_no, marker.replaces)
    lines = Lines(fd, check, start=place.offset, line_count=place.line_no - 1, end=size)
    index = place.index
    line_no = lines.line_count
    is_item = _is_foreign_item if header.enveloped else _is_item
    for line, _ in _with_fragment(lines):
        line_no += 1
        if line_no > 1 and is_item(line):
            index += 1
    return Place(size, line_no + 1, index)


def forward(
    fd: int, header: FileHeader, start: Place, check: Callable[[], None] = never_cancelled
) -> Iterator[Entry | Damage]:
    """Every item from `start` on, and every line that cannot be used, in their order."""
    offset, line_no, index = start.offset, start.line_no, start.index
    blobs: tuple[Place, _Refs] | None = None
    lines = Lines(fd, check, start=offset, line_count=line_no - 1)
    for line, is_whole in _with_fragment(lines):
        here = Place(offset, line_no, index)
        found = _found_in(line, header, line_no, is_whole=is_whole)
        if isinstance(found, str):
            yield Damage(line_no, len(line), found)
        elif isinstance(found, dict):
            begin, refs = (blobs[0], blobs[1].refs) if blobs else (here, ())
            yield Entry(begin, line_no, line, found, refs)
            index += 1
        elif isinstance(found, _Compaction):
            index = max(index, found.replaces)
        blobs = (here, found) if isinstance(found, _Refs) else None
        offset += len(line) + 1
        line_no += 1


def backward(
    fd: int, header: FileHeader, end: Place, check: Callable[[], None] = never_cancelled
) -> Iterator[Entry | Damage]:
    """Every item before `end`, and every line that cannot be used, the last one first.

    Ends with the item of index 0, or with the header.
    """
    line_no, index = end.line_no, end.index
    held: Entry | None = None
    """An item, until the line before it says whether something of it is stored elsewhere."""
    for offset, line in lines_before(fd, end.offset, check):
        line_no -= 1
        is_whole = offset + len(line) < end.offset
        found = _found_in(line, header, 1 if offset == 0 else line_no, is_whole=is_whole)
        if held is not None:
            if isinstance(found, _Refs):
                place = Place(offset, line_no, held.index)
                held = Entry(place, held.line_no, held.line, held.value, found.refs)
            yield held
            held = None
        if isinstance(found, str):
            yield Damage(line_no, len(line), found)
        elif isinstance(found, dict) and index > 0:
            index -= 1
            held = Entry(Place(offset, line_no, index), line_no, line, found)
        elif isinstance(found, _Compaction):
            index = min(index, found.replaces)


def _with_fragment(lines: Lines) -> Iterator[tuple[bytes, bool]]:
    """Every line, and whether it has its end."""
    for batch in lines:
        for line in batch:
            yield line, True
    if lines.tail.fragment:
        yield lines.tail.fragment, False


def _is_item(line: bytes) -> bool:
    # A record can be damaged, but is no item.
    if line.startswith(_RECORD):
        return False
    try:
        value = orjson.loads(line)
    except ValueError:
        return False
    return value.__class__ is dict and _kind_of(value) is not None


def _is_foreign_item(line: bytes) -> bool:
    return may_be_item(line) and item_in(object_in(line) or {}) is not None


def _kind_of(value: dict[str, Any]) -> str | None:
    """The type of the item that an object is; None if it is none."""
    kind = value.get("type")
    is_record = "record_type" in value and isinstance(value["record_type"], str)
    return kind if isinstance(kind, str) and kind and not is_record else None


def _found_in(line: bytes, header: FileHeader, line_no: int, *, is_whole: bool) -> _Found:
    if line_no == 1:
        return None
    value = object_in(line)
    if value is None:
        if not line.strip():
            return None
        return why_not(line) if is_whole else UNFINISHED
    if header.enveloped:
        return item_in(value)
    record_type = value.get("record_type")
    if isinstance(record_type, str):
        if record_type == "blobs":
            refs = blob_refs_in(value)
            return _Refs(refs) if refs else None
        if line.startswith(START):
            compaction = compaction_in(value, line_no)
            return _Compaction(compaction[1]) if compaction else NOT_WHOLE
        return None
    return value if _kind_of(value) else NO_TYPE

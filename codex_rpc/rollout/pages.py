"""Pages of a session's items, as the file has them: what `session/read` shows.

The whole history, compacted since or not, whoever wrote it. A cursor says where in the file
the next page begins, so a page reads little more than itself: only the first one from the
end reads the file as far back as the last compaction, to know how many items there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.records import Damage, ReadEntry, ReadPage
from codex_rpc.rollout.blobs import BlobDamaged, BlobFolder
from codex_rpc.rollout.cursors import check_limit, cursor_of, position_of
from codex_rpc.rollout.entries import BEGIN, Entry, Place, backward, end_of, forward
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.lines import never_cancelled, object_in, read_at
from codex_rpc.rollout.reader import reading

Direction = Literal["backward", "forward"]

MAX_PAGE_BYTES = 32 << 20
"""A page has fewer items than asked for where they would be larger, but never none."""


def read_page(
    path: Path,
    *,
    cursor: str | None,
    limit: int,
    direction: Direction,
    check: Callable[[], None] = never_cancelled,
    blobs: BlobFolder | None = None,
) -> ReadPage:
    """The page that `cursor` points to; without one the last (backward) or first page.

    An index counts the session's items from its start, so it stays what it is while the
    session grows; so does a cursor. Damage is told for the lines that the page covers: all
    pages together tell each damaged line once. In a damaged file the last page may be empty.
    What is stored beside the file is put back from `blobs`; what cannot be had is damage too,
    and the item is shown without it.

    Raises:
        RolloutNotFound, RolloutCorrupt, RolloutNewer: as for any reading.
        InvalidParams: the cursor belongs to another kind of page, or to what the file was
            before someone changed it; the limit is too small.
    """
    check_limit(limit)
    with reading(path) as fd:
        header = read_header(fd, path)
        begin = _place_of(fd, cursor, direction)
        found: Iterator[Entry | Damage]
        if direction == "backward":
            end = begin or end_of(fd, header, os.fstat(fd).st_size, check)
            found = backward(fd, header, end, check)
        else:
            found = forward(fd, header, begin or BEGIN, check)
        page = _Page(blobs)
        for entry in found:
            if isinstance(entry, Damage):
                page.damage.append(entry)
            elif not page.has_room(entry, limit):
                # Forward, the next page begins where this entry does; backward, it ends
                # where the last one that fitted begins.
                more = page.last if direction == "backward" else entry.place
                return page.result(direction, more)
            else:
                page.add(entry)
                # Backward it is known whether there are more without finding the next one.
                if direction == "backward" and page.is_full(limit) and entry.index > 0:
                    return page.result(direction, entry.place)
        return page.result(direction, None)


class _Page:
    """A page on its way."""

    def __init__(self, blobs: BlobFolder | None) -> None:
        self._blobs = blobs
        self._entries: list[ReadEntry] = []
        self._byte_count = 0
        self.damage: list[Damage] = []
        self.last = BEGIN

    def has_room(self, entry: Entry, limit: int) -> bool:
        if not self._entries:
            return True
        is_small = self._byte_count + entry.byte_count <= MAX_PAGE_BYTES
        return is_small and not self.is_full(limit)

    def is_full(self, limit: int) -> bool:
        return len(self._entries) >= limit

    def add(self, entry: Entry) -> None:
        self._byte_count += entry.byte_count
        self._entries.append(ReadEntry(entry.index, self._value(entry)))
        self.last = entry.place

    def _value(self, entry: Entry) -> dict[str, Any]:
        if not entry.refs or self._blobs is None:
            return entry.value
        try:
            return self._blobs.inline(entry.value, entry.refs)
        except BlobDamaged as exc:
            self.damage.append(Damage(entry.line_no, len(entry.line), exc.reason))
            # It may have been put together in part.
            return object_in(entry.line) or entry.value

    def result(self, direction: Direction, more: Place | None) -> ReadPage:
        """The page; `more` is where the next one goes on."""
        entries, damage = self._entries, self.damage
        if direction == "backward":
            entries = entries[::-1]
            if more is not None:
                # What lies on the way to an entry that did not fit is the next page's.
                damage = [entry for entry in damage if entry.line_no >= more.line_no]
        damage = sorted(damage, key=lambda entry: entry.line_no)
        cursor = cursor_of(direction, more.offset, more.line_no, more.index) if more else None
        return ReadPage(items=entries, damage=damage or None, next_cursor=cursor)


def _place_of(fd: int, cursor: str | None, direction: Direction) -> Place | None:
    if cursor is None:
        return None
    place = Place(*position_of(cursor, direction, int, int, int))
    is_in_file = 0 < place.offset <= os.fstat(fd).st_size
    if not is_in_file or read_at(fd, place.offset - 1, 1) != b"\n" or place.index < 0:
        raise InvalidParams("cursor", "the nextCursor of a page of the file as it is")
    return place

"""Pages of a session's items, as the file has them: what `session/read` shows.

The whole history, compacted since or not, whoever wrote it. Each page reads the file from
its start to its end, because damage is reported for all of it; only the page is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Literal

from codex_rpc.protocol.records import Damage, ReadEntry, ReadPage
from codex_rpc.rollout.cursors import check_limit, cursor_of, position_of
from codex_rpc.rollout.envelopes import item_in
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.lines import UNFINISHED, Lines, never_cancelled, object_in
from codex_rpc.rollout.reader import NO_TYPE, reading, why_not

Direction = Literal["backward", "forward"]


def read_page(
    path: Path,
    *,
    cursor: str | None,
    limit: int,
    direction: Direction,
    check: Callable[[], None] = never_cancelled,
) -> ReadPage:
    """The page that `cursor` points to; without one the last (backward) or first page.

    An index counts the file's items from its start, so it stays what it is while the
    session grows.

    Raises:
        RolloutNotFound, RolloutCorrupt, RolloutNewer: as for any reading.
        InvalidParams: the cursor belongs to another kind of page; the limit is too small.
    """
    check_limit(limit)
    bound: int | None = position_of(cursor, direction, int)[0] if cursor is not None else None
    backward = direction == "backward"
    damage: list[Damage] = []
    page: deque[ReadEntry] = deque(maxlen=limit)
    index = 0
    with reading(path) as fd:
        for item in _items(fd, path, damage, check):
            wanted = (
                bound is None or index < bound
                if backward
                else index >= (bound or 0) and len(page) < limit
            )
            if wanted:
                page.append(ReadEntry(index, item))
            index += 1
    more = None
    if page and backward and page[0].index > 0:
        more = cursor_of(direction, page[0].index)
    elif page and not backward and page[-1].index + 1 < index:
        more = cursor_of(direction, page[-1].index + 1)
    return ReadPage(items=list(page), damage=damage or None, next_cursor=more)


def _items(
    fd: int, path: Path, damage: list[Damage], check: Callable[[], None]
) -> Iterator[dict[str, Any]]:
    """The items of an open file; what cannot be used is added to `damage`."""
    enveloped = read_header(fd, path).enveloped
    lines = Lines(fd, check)
    for line_no, line in _numbered(lines):
        value = object_in(line)
        if value is None:
            torn = bool(lines.tail.fragment)
            if line.strip():
                damage.append(Damage(line_no, len(line), UNFINISHED if torn else why_not(line)))
        elif enveloped:
            item = item_in(value)
            if item is not None:
                yield item
        elif line_no > 1 and not isinstance(value.get("record_type"), str):
            kind = value.get("type")
            if isinstance(kind, str) and kind:
                yield value
            else:
                damage.append(Damage(line_no, len(line), NO_TYPE))


def _numbered(lines: Lines) -> Iterator[tuple[int, bytes]]:
    """Every line with its number, the unfinished one last, when `lines.tail` is known."""
    numbers = count(1)
    for batch in lines:
        for line in batch:
            yield next(numbers), line
    if lines.tail.fragment:
        yield next(numbers), lines.tail.fragment

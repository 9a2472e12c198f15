"""`session/list`: which session files there are, filtered, sorted and in pages.

Nothing is remembered between calls. Without a filter only the files of the page are read;
with one all are, because the answer says how many were left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Set
from pathlib import Path

from codex_rpc.protocol.errors import RolloutCorrupt, RolloutNotFound
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.records import SessionPage, SessionQuery, SessionSummary
from codex_rpc.rollout.cursors import check_limit, cursor_of, position_of
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.lines import never_cancelled
from codex_rpc.rollout.paths import ARCHIVED, SESSIONS, text_of, walk
from codex_rpc.rollout.reader import reading
from codex_rpc.rollout.summaries import summarise


@frozen
class Place:
    """Where a file stands in a list: the latest first, those of one moment by path."""

    moment: int
    """In nanoseconds since the epoch."""
    path: Path
    stat: os.stat_result

    @property
    def order(self) -> tuple[int, str]:
        return (-self.moment, text_of(self.path))


def list_sessions(
    codex_home: Path,
    query: SessionQuery,
    *,
    live: Set[str],
    check: Callable[[], None] = never_cancelled,
) -> SessionPage:
    """The page of sessions that `query` asks for, whoever wrote them.

    A file that changes between two pages may move to the front, past where the next page
    goes on; every other file is on exactly one page.

    Raises:
        InvalidParams: the cursor belongs to another kind of list; the limit is too small.
    """
    check_limit(query.limit)
    after = None
    if query.cursor is not None:
        moment, name = position_of(query.cursor, query.sort, int, str)
        after = (-moment, name)
    found = walk(codex_home / (ARCHIVED if query.archived else SESSIONS))
    places = places_of(found.files, by_creation=query.sort == "created")
    left_out = _filters(query)
    is_filtered = bool(left_out)
    if found.unreadable_folders:
        left_out["unreadableFolders"] = len(found.unreadable_folders)

    def summaries(places: Iterable[Place]) -> Iterator[tuple[Place, SessionSummary]]:
        for place in places:
            row = summarise(
                place.path,
                place.stat,
                query=query.query,
                live=live,
                archived=query.archived,
                check=check,
            )
            if query.cwd is not None and row.summary.cwd != query.cwd:
                left_out["cwd"] += 1
            elif not row.matches:
                left_out["query"] += 1
            else:
                yield place, row.summary

    if is_filtered:
        passed = [entry for entry in summaries(places) if after is None or entry[0].order > after]
        has_more = len(passed) > query.limit
        page = passed[: query.limit]
    else:
        places = [place for place in places if after is None or place.order > after]
        has_more = len(places) > query.limit
        page = list(summaries(places[: query.limit]))
    more = None
    if has_more:
        last = page[-1][0]
        more = cursor_of(query.sort, last.moment, text_of(last.path))
    return SessionPage(
        sessions=[summary for _, summary in page], filtered_out=left_out, next_cursor=more
    )


def places_of(files: Iterable[Path], *, by_creation: bool = False) -> list[Place]:
    """`files` in the order of a list; one that has vanished is left out."""
    places = []
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            # A link that leads nowhere is listed, as what it is.
            try:
                stat = path.lstat()
            except OSError:
                continue
        moment = (_created_ns(path) if by_creation else None) or stat.st_mtime_ns
        places.append(Place(moment, path, stat))
    return sorted(places, key=lambda place: place.order)


def _filters(query: SessionQuery) -> dict[str, int]:
    """A count for each filter that is on."""
    names = {"cwd": query.cwd is not None, "query": bool((query.query or "").strip())}
    return {name: 0 for name, is_on in names.items() if is_on}


def _created_ns(path: Path) -> int | None:
    try:
        with reading(path) as fd:
            moment = read_header(fd, path).created_at
    except (RolloutNotFound, RolloutCorrupt):
        return None
    return int(moment.timestamp() * 1000) * 1_000_000 if moment else None

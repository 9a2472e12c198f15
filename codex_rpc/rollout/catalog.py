"""`session/list`: which session files there are, filtered, sorted and in pages.

The files are the truth. What was read of one is kept in the catalog cache and read again when
the file has changed. With words to look for every file is read; with another filter, or sorted
by what only the files say, every one that the cache does not know; else those of the page.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from codex_rpc.protocol.records import SessionPage, SessionQuery, SessionSummary
from codex_rpc.rollout.catalog_cache import CatalogCache
from codex_rpc.rollout.cursors import check_limit, cursor_of, position_of
from codex_rpc.rollout.files import read_ahead
from codex_rpc.rollout.headers import moment_of
from codex_rpc.rollout.lines import never_cancelled
from codex_rpc.rollout.live import holder_of
from codex_rpc.rollout.paths import ARCHIVED, LIVE, SESSIONS, count, id_in_name, session_id_of
from codex_rpc.rollout.places import Place, places_under
from codex_rpc.rollout.summaries import Row, row_of, summary_of, text_of_time

T = TypeVar("T")
OnProgress = Callable[[int, int], None]
"""Told how many files of how many have been looked at."""

READ_AHEAD = 32
"""How many files the system may be getting from the disk at once."""
CHECKED_AT_ONCE = 256
"""To ask whether the list is still wanted takes as long as a row that is known."""


def no_progress(done: int, total: int) -> None:
    """For callers who show none."""


class Catalog:
    """The rows of the files below one folder, read when they are not known."""

    def __init__(self, root: Path, check: Callable[[], None] = never_cancelled) -> None:
        self.found = places_under(root)
        self._cache = CatalogCache(root)
        self._check = check

    def row(self, place: Place) -> Row:
        """What a file says of itself."""
        return self._cache.get(place) or self._read(place)

    def rows(
        self, places: Sequence[Place], on_progress: OnProgress = no_progress
    ) -> Iterator[tuple[Place, Row]]:
        """What each of those files says of itself."""
        ahead = 0
        for done, place in enumerate(_checked(places, self._check)):
            on_progress(done, len(places))
            row = self._cache.get(place)
            if row is None:
                # While one is looked through, the system gets those that come after it.
                for coming in places[max(ahead, done + 1) : done + READ_AHEAD]:
                    if not self._cache.knows(coming):
                        read_ahead(coming.path)
                ahead = done + READ_AHEAD
                row = self._read(place)
            yield place, row
        on_progress(len(places), len(places))

    def _read(self, place: Place) -> Row:
        self._check()
        row = row_of(place.path, self._check)
        row = row._replace(updated_at=text_of_time(place.changed_ns))
        self._cache.put(place, row)
        return row

    def save(self) -> None:
        """Keep what was read for the next time, where that is possible."""
        self._cache.save(self.found.files)


def _checked(values: Sequence[T], check: Callable[[], None]) -> Iterator[T]:
    """Those values, each of which takes hardly any time; it is asked now and then whether they
    are still wanted."""
    for n, value in enumerate(values):
        if n % CHECKED_AT_ONCE == 0:
            check()
        yield value


def list_sessions(
    codex_home: Path,
    query: SessionQuery,
    *,
    live: Set[str],
    check: Callable[[], None] = never_cancelled,
    on_progress: OnProgress = no_progress,
) -> SessionPage:
    """The page of sessions that `query` asks for, whoever wrote them.

    `live` are those open in this process; those that others say they hold are live as well.
    A file that changes between two pages may move to the front, past where the next page
    goes on; every other file is on exactly one page.

    Raises:
        InvalidParams: the cursor belongs to another kind of list; the limit is too small.
    """
    check_limit(query.limit)
    listing = _Listing(codex_home, query, live, check, on_progress)
    page = listing.page()
    listing.catalog.save()
    return page


class _Hit(NamedTuple):
    """A file that is wanted."""

    place: Place
    row: Row
    excerpt: str | None = None


class _Listing:
    """One list on its way."""

    def __init__(
        self,
        codex_home: Path,
        query: SessionQuery,
        live: Set[str],
        check: Callable[[], None],
        on_progress: OnProgress,
    ) -> None:
        self._query = query
        self._words = (query.query or "").strip()
        self._live = live
        self._live_elsewhere = held_elsewhere(codex_home)
        self._check = check
        self._on_progress = on_progress
        here, elsewhere = (ARCHIVED, SESSIONS) if query.archived else (SESSIONS, ARCHIVED)
        self.catalog = Catalog(codex_home / here, check)
        self._left_out = {"cwd": 0} if query.cwd is not None else {}
        if self._words:
            self._left_out["query"] = 0
        if others := count(codex_home / elsewhere):
            self._left_out["archived"] = others
        if self.catalog.found.unreadable_folders:
            self._left_out["unreadableFolders"] = self.catalog.found.unreadable_folders

    def page(self) -> SessionPage:
        query = self._query
        after: tuple[int, str] | None = None
        if query.cursor is not None:
            moment, name = position_of(query.cursor, query.sort, int, str)
            after = (-moment, name)
        places = self.catalog.found.files
        if query.session_id is not None:
            places = [
                place
                for place, row in self._rows(_named(places, query.session_id))
                if row.session_id == query.session_id
            ]
        if query.sort == "created":
            places = sorted(_by_creation(place, row) for place, row in self._rows(places))
        if query.cwd is not None or self._words:
            # Each is looked at, because the answer says how many were left out.
            hits = [hit for hit in self._hits(places) if after is None or hit.place.order > after]
            shown = _checked(hits[: query.limit], self._check)
            sessions = [self._summary(*hit) for hit in shown]
            found = [hit.place for hit in hits]
        else:
            found = [place for place in places if after is None or place.order > after]
            sessions = [self._summary(*of) for of in self._rows(found[: query.limit])]
        more = None
        if len(found) > query.limit:
            last = found[query.limit - 1]
            more = cursor_of(query.sort, -last.rank, last.text)
        return SessionPage(sessions=sessions, filtered_out=self._left_out, next_cursor=more)

    def _rows(self, places: Sequence[Place]) -> Iterator[tuple[Place, Row]]:
        return self.catalog.rows(places, self._on_progress)

    def _hits(self, places: Sequence[Place]) -> Iterator[_Hit]:
        """The files that pass every filter; counts the others."""
        from codex_rpc.rollout.search import find_words

        for place, row in self._rows(places):
            if self._query.cwd is not None and row.cwd != self._query.cwd:
                self._left_out["cwd"] += 1
            elif not self._words:
                yield _Hit(place, row)
            else:
                words = find_words(place.path, row, self._words, self._check)
                if words.missing:
                    self._left_out["query"] += 1
                else:
                    yield _Hit(place, row, words.excerpt)

    def _summary(self, place: Place, row: Row, excerpt: str | None = None) -> SessionSummary:
        session_id = row.session_id
        return summary_of(
            row,
            place,
            live=session_id in self._live or session_id in self._live_elsewhere,
            archived=self._query.archived,
            excerpt=excerpt,
        )


def _named(places: Sequence[Place], session_id: str) -> list[Place]:
    """The files that may be of that session, going by their names."""
    return [place for place in places if id_in_name(place.path) in (session_id, None)]


def _by_creation(place: Place, row: Row) -> Place:
    created_at = moment_of(row.created_at)
    if created_at is None:
        return place
    return place._replace(rank=-int(created_at.timestamp() * 1000) * 1_000_000)


def held_elsewhere(codex_home: Path) -> set[str]:
    """The sessions that processes say they hold, and which may be true."""
    held: set[str] = set()
    with suppress(OSError):
        for note in os.scandir(codex_home / SESSIONS / LIVE):
            session_id = session_id_of(note.name.removesuffix(".json"))
            if session_id is not None and holder_of(codex_home, session_id).pid is not None:
                held.add(session_id)
    return held

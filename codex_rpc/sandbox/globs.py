"""Globs for paths, matched a name at a time, many at once.

Owns what a glob means. It knows no disk: who walks through folders asks here, name by name,
whether the way leads on.

A glob is taken apart at its slashes. `**` stands for any number of folders, also none; `*`, `?`
and `[...]` match within one name, also one that begins with a dot. Who names a folder means all
that is in it, so `X/**` is `X`.
"""

from __future__ import annotations

import fnmatch
import functools
import itertools
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

Segment = str | re.Pattern[str] | None
"""A name, a glob for names, or `ANY_FOLDERS`."""

ANY_FOLDERS: Final = None

Glob = tuple[Segment, ...]
"""The first segment is the root of the file system: `/`, or a drive."""

_State = tuple[int, int]
"""Which glob, and how many of its segments are behind us."""

_IGNORE_CASE = sys.platform in ("darwin", "win32")


@functools.lru_cache(maxsize=1024)
def parse(text: str, base: str = os.sep) -> Glob:
    """The glob that `text` means; a relative one holds below `base`."""
    glob: list[Segment] = list(Path(base).parts)
    parts = Path(text).parts
    if Path(text).is_absolute():
        glob, parts = [parts[0]], parts[1:]
    for part in parts:
        if part == "..":
            del glob[max(1, len(glob) - 1) :]
        elif part == "**":
            glob.append(ANY_FOLDERS)
        elif any(character in part for character in "*?["):
            flags = re.IGNORECASE if _IGNORE_CASE else 0
            glob.append(re.compile(fnmatch.translate(part), flags))
        else:
            glob.append(part)
    while glob[-1] is ANY_FOLDERS:
        glob.pop()
    return tuple(glob)


def followed(globs: Iterable[Glob]) -> Iterator[Glob]:
    """`globs` with the links resolved that stand before the first part that is no name."""
    resolved: dict[tuple[str, ...], tuple[str, ...]] = {}
    for glob in globs:
        names = tuple(str(name) for name in itertools.takewhile(_is_name, glob))
        if names not in resolved:
            resolved[names] = Path(os.path.realpath(Path(*names))).parts
        yield (*resolved[names], *glob[len(names) :])


def _is_name(segment: Segment) -> bool:
    return isinstance(segment, str)


class Place:
    """Where one is on the way from the root, as far as some globs are concerned."""

    __slots__ = ("deeper", "globs", "kept", "matched", "names")

    def __init__(self) -> None:
        self.matched: list[Glob] = []
        """What names this very place; all that is below is meant too."""
        self.names: dict[str, frozenset[_State]] = {}
        self.globs: list[tuple[re.Pattern[str], frozenset[_State]]] = []
        self.kept: frozenset[_State] = frozenset()
        """What a `**` holds open below."""
        self.deeper: Place | None = None
        """Where a name leads that is not looked for: on along a `**`, or nowhere."""

    @property
    def is_exact(self) -> bool:
        """Whether only `names` lead on from here."""
        return not self.kept and not self.globs


@functools.lru_cache(maxsize=64)
def together(globs: tuple[Glob, ...]) -> Globs:
    """`globs`, of which what has been worked out is kept."""
    return Globs(globs)


class Globs:
    """Some globs together. Safe to use from several threads."""

    def __init__(self, globs: Iterable[Glob]) -> None:
        self._globs: Sequence[Glob] = list(dict.fromkeys(globs))
        # A place is filled after it has been entered here, because it can lead to itself.
        self._lock = threading.RLock()
        self._places: dict[frozenset[_State], Place] = {}
        self.start = self._place(self._ahead((n, 0) for n in range(len(self._globs))))

    def match(self, path: str) -> bool:
        """Whether the absolute `path`, or a folder that it is in, is named.

        Nothing is looked up: `..` and links are for the caller to resolve.
        """
        place: Place | None = self.start
        # More than one slash at the beginning means nothing here, but something to pathlib.
        for name in Path(re.sub("^//+", "/", path)).parts:
            place = self.next(place, name) if place is not None else None
            if place is None or place.matched:
                break
        return place is not None and bool(place.matched)

    def next(self, place: Place, name: str) -> Place | None:
        """Where `name` leads from `place`; None: to nothing that is named."""
        states = place.names.get(name.casefold() if _IGNORE_CASE else name)
        for glob, ahead in place.globs:
            if glob.match(name):
                states = ahead if states is None else states | ahead
        # On a disk nearly all names take the first way.
        return place.deeper if states is None else self._place(states | place.kept)

    def _place(self, states: frozenset[_State]) -> Place:
        with self._lock:
            return self._place_for(states)

    def _place_for(self, states: frozenset[_State]) -> Place:
        known = self._places.get(states)
        if known is not None:
            return known
        place = self._places[states] = Place()
        kept = []
        for number, position in states:
            glob = self._globs[number]
            if position == len(glob):
                place.matched.append(glob)
            elif glob[position] is ANY_FOLDERS:
                kept.append((number, position))
            else:
                self._add(place, glob[position], self._ahead([(number, position + 1)]))
        if kept:
            place.kept = self._ahead(kept)
            place.deeper = self._place_for(place.kept)
        return place

    def _add(self, place: Place, segment: Segment, ahead: frozenset[_State]) -> None:
        if isinstance(segment, str):
            name = segment.casefold() if _IGNORE_CASE else segment
            place.names[name] = place.names.get(name, frozenset()) | ahead
        elif segment is not ANY_FOLDERS:
            place.globs.append((segment, ahead))

    def _ahead(self, states: Iterable[_State]) -> frozenset[_State]:
        """`states`, and those that are reached where `**` stands for no folder."""
        reached = set()
        for number, position in states:
            glob = self._globs[number]
            reached.add((number, position))
            while position < len(glob) and glob[position] is ANY_FOLDERS:
                position += 1
                reached.add((number, position))
        return frozenset(reached)

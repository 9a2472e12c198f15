"""The files that nobody may read.

Owns what `sandbox_deny_read` denies: whether a path is denied by its name, and which files on
disk are denied now. It does not know how that is enforced.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from codex_rpc.protocol.frozen import frozen
from codex_rpc.sandbox.globs import ANY_FOLDERS, Glob, Globs, Place, followed, parse, together
from codex_rpc.sandbox.roots import is_inside

MAX_ENTRIES = 500_000
"""How many names are looked at before the globs are said to cover too much to be expanded."""

_NO_FILES = ("/dev", "/proc", "/sys")
"""Where there is nothing to find for a glob that does not name them."""


@frozen(kw_only=True)
class Denied:
    """A file or folder that exists and is denied."""

    path: str
    """Resolved."""
    is_folder: bool
    held_by: tuple[str, ...] = ()
    """The folders above it that have to keep their names for it to be found again."""


@frozen(kw_only=True)
class Expansion:
    """What is denied on disk."""

    found: tuple[Denied, ...]
    """Sorted by path; none lies in another."""
    is_complete: bool
    """False: there were too many names to look at."""


class DeniedFiles:
    """What some globs deny; relative ones below each of `bases`.

    A glob that begins with `**/` is meant to hold everywhere, and so it does for a name that is
    asked about. On disk it is only looked for below `bases`: the search would otherwise be one
    through the whole disk, before each command. A file of that name elsewhere can therefore be
    read by a command, unless a folder that it lies in is among the bases.

    Links on the way to what a glob names literally are followed when this is made.
    """

    def __init__(self, globs: Sequence[str], bases: Iterable[str]) -> None:
        # No file has a NUL in its name, and the system would not even look for it.
        texts, bases = [text for text in globs if "\0" not in text], list(bases)
        meant = [parse(text, base) for text in texts for base in bases]
        meant += list(followed(meant))
        anchors = {Path(base).anchor for base in bases}
        wide = [text for text in texts if Path(text).parts[:1] == ("**",)]
        everywhere = [parse(text, anchor) for text in wide for anchor in anchors]
        self._globs = together(tuple(meant))
        # A pattern of nothing but `**` is about the folder it is relative to.
        self._names = together((*meant, *(glob for glob in everywhere if len(glob) > 1)))

    def cover(self, path: str) -> bool:
        """Whether the file at the absolute `path` is denied, whether or not it exists.

        By its name as given, as resolved, and as it is called in the folder where it really is.
        """
        try:
            resolved = os.path.realpath(path)
            named = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))  # noqa: PTH118, PTH119, PTH120
        except ValueError:
            # It holds a NUL: there is no such file.
            return True
        return any(map(self._names.match, (os.path.abspath(path), resolved, named)))  # noqa: PTH100

    def on_disk(self, max_entries: int = MAX_ENTRIES) -> Expansion:
        """What is denied now, in one walk for all globs. It may take seconds.

        Links to folders are followed where a glob spells out every name, and else not.
        """
        return _Walk(self._globs, max_entries).run()


class _Walk:
    def __init__(self, globs: Globs, max_entries: int) -> None:
        self._globs = globs
        self._max_entries = max_entries
        self._found: dict[str, Denied] = {}
        self._entries = 0
        self._walked: set[tuple[str, int]] = set()
        self._user = os.geteuid() if hasattr(os, "geteuid") else -1

    def run(self) -> Expansion:
        # A folder, its place, and whether a link led there.
        ahead: list[tuple[str, Place, bool]] = []
        for name in self._globs.start.names:
            ahead += self._visit(name, self._globs.next(self._globs.start, name), moved=False)
        while ahead and self._entries <= self._max_entries:
            folder, place, moved = ahead.pop()
            if (folder, id(place)) not in self._walked:
                self._walked.add((folder, id(place)))
                ahead += self._look_into(folder, place, moved=moved)
        return Expansion(
            found=tuple(self._outermost()), is_complete=self._entries <= self._max_entries
        )

    def _look_into(
        self, folder: str, place: Place, *, moved: bool
    ) -> Iterator[tuple[str, Place, bool]]:
        if place.is_exact:
            yield from self._look_for(folder, place, moved=moved)
            return
        next_place, deeper, prefix = self._globs.next, place.deeper, os.path.join(folder, "")  # noqa: PTH118
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._entries += 1
                    following = next_place(place, entry.name)
                    if following is None:
                        continue
                    path = prefix + entry.name
                    if following.matched:
                        yield from self._visit(path, following, moved=moved)
                    elif entry.is_dir(follow_symlinks=False) and (
                        following is not deeper or path not in _NO_FILES
                    ):
                        yield path, following, moved
        except PermissionError:
            # Its owner can open it again, and then read on.
            if self._is_ours(folder):
                self._add(folder, is_folder=True, matched=(), moved=True)
            yield from self._look_for(folder, place, moved=moved)
        except OSError:
            # It has just vanished, or lies on a disk that has.
            return

    def _look_for(
        self, folder: str, place: Place, *, moved: bool
    ) -> Iterator[tuple[str, Place, bool]]:
        """Try the names that are spelled out, without listing the folder."""
        for name in place.names:
            path = os.path.join(folder, name)  # noqa: PTH118
            yield from self._visit(path, self._globs.next(place, name), moved=moved)

    def _visit(
        self, path: str, place: Place | None, *, moved: bool
    ) -> Iterator[tuple[str, Place, bool]]:
        """What is at `path`, if anything is: found, or a folder to look into."""
        if place is None:
            return
        try:
            is_link = stat.S_ISLNK(os.lstat(path).st_mode)
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
        except OSError:
            return
        if is_link:
            path, moved = os.path.realpath(path), True
        if place.matched:
            self._add(path, is_folder=is_folder, matched=place.matched, moved=moved)
        elif is_folder:
            yield path, place, moved

    def _add(self, path: str, *, is_folder: bool, matched: Sequence[Glob], moved: bool) -> None:
        parents = tuple(str(parent) for parent in Path(path).parents)
        ways = [parents] if moved else [_held_by(parents, glob) for glob in matched]
        self._found[path] = Denied(path=path, is_folder=is_folder, held_by=min(ways, key=len))

    def _is_ours(self, folder: str) -> bool:
        try:
            return os.stat(folder).st_uid == self._user  # noqa: PTH116
        except OSError:
            return False

    def _outermost(self) -> Iterator[Denied]:
        last: Denied | None = None
        for _, denied in sorted(self._found.items(), key=lambda item: Path(item[0]).parts):
            if last is None or not is_inside(denied.path, [last.path]):
                last = denied
                yield denied


def _held_by(parents: tuple[str, ...], glob: Glob) -> tuple[str, ...]:
    """Those of a match's `parents`, innermost first, whose names are spelled out by `glob`."""
    if glob.count(ANY_FOLDERS) != 1:
        return parents
    before = glob.index(ANY_FOLDERS)
    after = len(glob) - before - 2
    return parents[:after] + parents[max(after, len(parents) - before) :]

"""What the patches of a turn have changed, as one diff in git's form.

Owns what each file was when the turn's first patch touched it. Compares that with what is in the
editor or, where it is not open, on disk, so what commands and the user did to those files in
between is part of it, and what they did to other files is not.

Bounded: of files over `MAX_KEPT_BYTES`, and once a turn's files come to more than
`MAX_TURN_BYTES`, only the hash is kept; they are shown as changed without their content, like
binary files.
"""

from __future__ import annotations

import os
import stat
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable
from pathlib import Path

from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.workspace import OpenDocument
from codex_rpc.tools.patch.finding import (
    MAX_FILE_BYTES,
    NEW_FILE_MODE,
    Found,
    OpenDocuments,
    hides_mark,
    nothing_open,
)
from codex_rpc.tools.patch.folders import Folder
from codex_rpc.tools.patch.plan import Plan, named
from codex_rpc.tools.patch.versions import Version, section

MAX_KEPT_BYTES = 2 << 20
MAX_TURN_BYTES = 32 << 20

_Look = tuple[int, ...]
"""What tells, without reading a file, that it is another one than before."""


class TurnDiff:
    """The diff of the current turn; an older one's is forgotten."""

    def __init__(self, opened: OpenDocuments = nothing_open) -> None:
        """What is `opened` in the editor is shown as it is there."""
        self._opened = opened
        self._turn_id: SubmissionId | None = None
        self._begin(None)

    def _begin(self, turn_id: SubmissionId | None) -> None:
        self._turn_id = turn_id
        self._first: dict[Path, Version | None] = {}
        self._names: dict[Path, Path] = {}
        self._origins: dict[Path, Path] = {}
        self._unsaved: set[Path] = set()
        """What was only in the editor when it was first touched."""
        self._kept_bytes = 0
        self._told = ""
        self._looked_at: dict[Path, tuple[_Look, Version]] = {}
        self._drawn: dict[Path, tuple[object, str]] = {}
        """Each file's part of the diff, by what it was drawn from."""

    def after(
        self,
        turn_id: SubmissionId,
        plan: Plan,
        *,
        cwd: Path,
        may_read: Callable[[Path], bool],
    ) -> str | None:
        """The turn's diff after `plan` was written; None: as it was after the patch before.

        Reads the files that the turn's patches have touched. Paths below `cwd` are shown as
        relative to it.
        """
        if turn_id != self._turn_id:
            self._begin(turn_id)
        for edit in plan.edits:
            if edit.target not in self._first:
                self._first[edit.target] = self._version_before(edit.before)
                self._names[edit.target] = edit.shown
                if edit.before is not None and edit.before.identity is None:
                    self._unsaved.add(edit.target)
        for source, destination in plan.moves:
            self._origins[destination] = self._origins.pop(source, source)
        return self._news(cwd, may_read)

    def again(
        self, turn_id: SubmissionId, *, cwd: Path, may_read: Callable[[Path], bool]
    ) -> str | None:
        """The turn's diff if something else has changed its files since; None: nothing has."""
        if turn_id != self._turn_id or not self._first:
            return None
        return self._news(cwd, may_read)

    def _news(self, cwd: Path, may_read: Callable[[Path], bool]) -> str | None:
        text = "".join(self._sections(cwd, may_read))
        if text == self._told:
            return None
        self._told = text
        return text

    def _version_before(self, found: Found | None) -> Version | None:
        if found is None:
            return None
        content = found.content
        if found.is_marked and content is not None:
            content = BOM_UTF8 + content
        size = len(content or b"")
        keep = size <= MAX_KEPT_BYTES and self._kept_bytes + size <= MAX_TURN_BYTES
        if keep:
            self._kept_bytes += size
        return Version.of(found.mode, content, keep=keep)

    def _sections(self, cwd: Path, may_read: Callable[[Path], bool]) -> Iterable[str]:
        now = {target: self._version_now(target, may_read) for target in self._first}
        origins = {
            new: old
            for new, old in self._origins.items()
            if self._first[old] is not None
            and now[old] is None
            and self._first[new] is None
            and now[new] is not None
        }
        moved = set(origins.values())
        for target in sorted(self._first, key=lambda path: named(self._names[path], cwd)):
            if target in moved:
                continue
            yield self._section(origins.get(target, target), target, now[target], cwd)

    def _section(self, source: Path, target: Path, now: Version | None, cwd: Path) -> str:
        """One file's part, drawn anew only if it is another one: a turn can have many patches."""
        names = named(self._names[source], cwd), named(self._names[target], cwd)
        drawn_from = (*names, source, now)
        before = self._drawn.get(target)
        if before is not None and before[0] == drawn_from:
            return before[1]
        text = section(names[0], self._first[source], names[1], now)
        self._drawn[target] = (drawn_from, text)
        return text

    def _version_now(self, target: Path, may_read: Callable[[Path], bool]) -> Version | None:
        """What is at `target`, read only if it has changed since it was looked at."""
        document = self._opened(target)
        try:
            with Folder.open(target.parent) as folder:
                status = folder.status(target.name)
                if document is not None:
                    if status is None:
                        return self._only_open(target, document, may_read)
                    if stat.S_ISREG(status.st_mode):
                        content = _shown(folder, target, document, may_read)
                        return Version.of(
                            status.st_mode, content, keep=len(content or b"") <= MAX_KEPT_BYTES
                        )
                if status is None:
                    return None
                look = _look(status)
                known = self._looked_at.get(target)
                if known is not None and known[0] == look:
                    return known[1]
                version = _version_in(folder, target, status, may_read)
        except OSError:
            return self._only_open(target, document, may_read)
        self._looked_at.pop(target, None)
        held = sum(len(seen.content or b"") for _, seen in self._looked_at.values())
        if version is not None and held + len(version.content or b"") <= MAX_TURN_BYTES:
            self._looked_at[target] = (look, version)
        return version

    def _only_open(
        self, target: Path, document: OpenDocument | None, may_read: Callable[[Path], bool]
    ) -> Version | None:
        """A file that the editor has not saved yet; one that was removed is gone, even if it is
        still open."""
        if document is None or target not in self._unsaved:
            return None
        content = _encoded(document) if may_read(target) else None
        keep = len(content or b"") <= MAX_KEPT_BYTES
        return Version.of(NEW_FILE_MODE, content, keep=keep)


def _look(status: os.stat_result) -> _Look:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_mode, status.st_size, *times)


def _shown(
    folder: Folder,
    target: Path,
    document: OpenDocument,
    may_read: Callable[[Path], bool],
) -> bytes | None:
    """What the editor shows of the file at `target`; None: it may not be read. Raises OSError."""
    if not (may_read(target) and may_read(document.path)):
        return None
    content = _encoded(document)
    return BOM_UTF8 + content if hides_mark(folder, target.name, content) else content


def _encoded(document: OpenDocument) -> bytes:
    return document.text.encode("utf-8", "replace")


def _version_in(
    folder: Folder, target: Path, status: os.stat_result, may_read: Callable[[Path], bool]
) -> Version | None:
    """What is at `target`; nothing if it is neither a file nor a link. Raises OSError."""
    if stat.S_ISLNK(status.st_mode):
        return Version.of(status.st_mode, folder.link_target(target.name), keep=True)
    if not stat.S_ISREG(status.st_mode):
        return None
    if status.st_size > MAX_FILE_BYTES or not may_read(target):
        return Version.of(status.st_mode, None, keep=False)
    content = folder.read(target.name)
    return Version.of(status.st_mode, content, keep=len(content) <= MAX_KEPT_BYTES)

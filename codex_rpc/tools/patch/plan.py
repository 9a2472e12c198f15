"""What a patch does to which files, worked out before anything is written.

Owns the order in which a patch's operations build on each other, and the description of the
changes for clients. It writes nothing: a plan says which bytes belong where, and someone else
puts them there (on disk, or in an editor that has the file open).

Paths are followed through links to the file that is meant; what is removed or moved away is the
link itself.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from attrs import define, field

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.events import AddFile as FileAdded
from codex_rpc.protocol.events import Changes, FileChange
from codex_rpc.protocol.events import UpdateFile as FileUpdated
from codex_rpc.protocol.frozen import frozen
from codex_rpc.tools.patch.diffs import unified_diff
from codex_rpc.tools.patch.finding import (
    MAX_FILE_BYTES,
    Found,
    OpenDocuments,
    find,
    nothing_open,
    reason,
)
from codex_rpc.tools.patch.grammar import AddFile, DeleteFile, Operation, UpdateFile
from codex_rpc.tools.patch.matching import updated


@frozen(kw_only=True)
class FileEdit:
    """What is to become of one file."""

    target: Path
    """Absolute, links resolved; itself no link unless a link is removed."""
    shown: Path
    """The same, spelled as the session's folder is."""
    before: Found | None
    """None: there must be nothing."""
    after: bytes | None = field(repr=False)
    """None: it is removed."""
    mode: int | None = None
    """None: as it was, or the default for a new file."""
    owner: tuple[int, int] | None = None


@frozen
class Mention:
    """A path that the patch names, for the summary."""

    mark: Literal["A", "M", "D"]
    path: str
    """As the patch spells it."""
    target: Path


@frozen(kw_only=True)
class Plan:
    """A patch that fits, worked out."""

    edits: tuple[FileEdit, ...]
    moves: tuple[tuple[Path, Path], ...]
    """From where to where whole files go, as `FileEdit.target`."""
    changes: Changes
    """For clients; keys are `FileEdit.shown`."""
    mentions: tuple[Mention, ...]
    undeletable: tuple[str, ...]
    """What the patch removes although there is no such file. Then nothing can be written."""
    touched: tuple[Path, ...]
    """All targets, also those that end as they were."""
    replaced: tuple[Path, ...]
    """The files, as `FileEdit.shown`, that are there and whose whole content is lost to that of an
    added file or of one that is moved there. In `changes` those look as if nothing was there."""

    @property
    def summary(self) -> str:
        """One line for each path, as the patch spells it: what is added, changed and removed."""
        lines = {mark: dict[str, None]() for mark in ("A", "M", "D")}
        for mention in self.mentions:
            lines[mention.mark][f"{mention.mark} {mention.path}\n"] = None
        return "".join(line for marked in lines.values() for line in marked)


@define
class _File:
    """A file as the operations so far leave it."""

    before: Found | None
    exists: bool
    content: bytes | None
    mode: int | None = None
    owner: tuple[int, int] | None = None
    is_whole: bool = False
    """Whether the patch gives the whole content."""
    origin: Path | None = None
    """Where the file was before the patch, if it was moved here."""
    replaces: bool = False
    """Whether what was there before the patch makes room for something else."""


def make_plan(
    operations: Iterable[Operation],
    *,
    cwd: Path,
    session_cwd: Path,
    may_read: Callable[[Path], bool],
    opened: OpenDocuments = nothing_open,
) -> Plan:
    """What `operations`, whose relative paths begin at `cwd`, come to, one after the other.

    Of what is `opened` in the editor, that text counts and not the file's.

    Raises:
        ToolError: one of them does not fit what is there; the message is for the model.
    """
    planner = _Planner(cwd, session_cwd, may_read, opened)
    for operation in operations:
        match operation:
            case AddFile():
                planner.add(operation)
            case DeleteFile():
                planner.delete(operation)
            case UpdateFile():
                planner.update(operation)
    return planner.plan()


class _Planner:
    def __init__(
        self,
        cwd: Path,
        session_cwd: Path,
        may_read: Callable[[Path], bool],
        opened: OpenDocuments,
    ) -> None:
        self._cwd = cwd
        self._session_cwd = session_cwd
        self._real_session_cwd = Path(os.path.realpath(session_cwd))
        self._may_read = may_read
        self._opened = opened
        self._files: dict[Path, _File] = {}
        """By target; only those that the patch changes."""
        self._removed_links: set[Path] = set()
        self._mentions: list[Mention] = []
        self._undeletable: dict[Path, str] = {}

    def add(self, operation: AddFile) -> None:
        """Take in that a file is created or replaced."""
        target = self._target(operation.path)
        try:
            file = self._file(target)
        except OSError as exc:
            raise ToolError(
                f"error: Failed to write file {self.shown(target)}: {reason(exc)}"
            ) from exc
        file.exists, file.content, file.is_whole = True, operation.content.encode(), True
        file.origin, file.replaces = None, file.before is not None
        self._files[target] = file
        self._mentions.append(Mention("A", operation.path, target))

    def delete(self, operation: DeleteFile) -> None:
        """Take in that a file or a link is removed."""
        slot = self._slot(self._absolute(operation.path))
        try:
            file = self._file(slot, link=True)
        except OSError:
            file = _File(before=None, exists=False, content=None)
        if not file.exists:
            self._undeletable[slot] = operation.path
        self._remove(slot, file)
        self._mentions.append(Mention("D", operation.path, slot))

    def update(self, operation: UpdateFile) -> None:
        """Take in that parts of a file, and perhaps its path, change."""
        target = self._target(operation.path)
        shown = self.shown(target)
        file = self._readable(target, self._absolute(operation.path))
        assert file.content is not None
        content = updated(file.content, operation.hunks, str(shown))
        if operation.move_to is None or (to := self._target(operation.move_to)) == target:
            file.content = content
            self._files[target] = file
            self._mentions.append(Mention("M", operation.path, target))
            return
        try:
            moved = self._file(to)
        except OSError as exc:
            raise ToolError(f"error: Failed to write file {self.shown(to)}: {reason(exc)}") from exc
        moved.exists, moved.content, moved.is_whole = True, content, False
        moved.mode, moved.owner = file.mode, file.owner
        moved.replaces = moved.before is not None
        moved.origin = file.origin or (target if file.before is not None else None)
        slot = self._slot(self._absolute(operation.path))
        if slot == target:
            self._remove(target, file)
        else:
            moved.origin = None
            self._remove(slot, self._file(slot, link=True))
        self._files[to] = moved
        self._mentions.append(Mention("M", operation.move_to, to))

    def plan(self) -> Plan:
        """All of it."""
        edits = tuple(self._edits())
        self._check_folders(edits)
        moves = {
            file.origin: target
            for target, file in self._files.items()
            if file.exists and file.origin is not None and not self._files[file.origin].exists
        }
        return Plan(
            edits=edits,
            moves=tuple(moves.items()),
            changes=self._changes(moves),
            mentions=tuple(self._mentions),
            undeletable=tuple(self._undeletable.values()),
            touched=tuple(self._files),
            replaced=tuple(
                edit.shown
                for edit in edits
                if edit.after is not None and self._files[edit.target].replaces
            ),
        )

    def shown(self, target: Path) -> Path:
        """`target` as clients know it: below the session's folder, as that is spelled."""
        if target.is_relative_to(self._real_session_cwd):
            return self._session_cwd / target.relative_to(self._real_session_cwd)
        return target

    def _absolute(self, given: str) -> Path:
        path = self._cwd / given
        if self._removed_links and any(
            self._slot(parent) in self._removed_links for parent in path.parents
        ):
            raise ToolError(
                f"error: the path {given} leads through a link that the same patch removes"
            )
        return path

    def _slot(self, path: Path) -> Path:
        """Where `path` itself is, even if it is a link."""
        if path.name in ("", ".."):
            return Path(os.path.realpath(path))
        return Path(os.path.realpath(path.parent)) / path.name

    def _target(self, given: str) -> Path:
        """The file that `given` means."""
        path = self._absolute(given)
        slot = self._slot(path)
        return slot if slot in self._files else Path(os.path.realpath(path))

    def _file(self, target: Path, *, link: bool = False) -> _File:
        """What is at `target` by now.

        Raises:
            OSError: it is no regular file, nor, if `link`, a link.
        """
        if (file := self._files.get(target)) is not None:
            return file
        found = find(target, link=link, may_read=self._may_read, opened=self._opened)
        if found is None:
            return _File(before=None, exists=False, content=None)
        return _File(
            before=found,
            exists=True,
            content=found.content,
            mode=_mode(found),
            owner=found.owner,
        )

    def _readable(self, target: Path, given: Path) -> _File:
        """The file at `target`, with its content."""
        failed = f"error: Failed to read file to update {self.shown(target)}"
        denied = f"{failed}: the user's configuration denies reading it"
        if not (self._may_read(given) and self._may_read(target)):
            raise ToolError(denied)
        try:
            file = self._file(target)
            if not file.exists:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        except OSError as exc:
            raise ToolError(f"{failed}: {reason(exc)}") from exc
        document = file.before.document if file.before is not None else None
        if document is not None and not self._may_read(document.path):
            raise ToolError(denied)
        if file.content is None:
            raise ToolError(f"{failed}: it is larger than {MAX_FILE_BYTES >> 20} MiB")
        return file

    def _remove(self, slot: Path, file: _File) -> None:
        if file.before is not None and file.before.is_link:
            self._removed_links.add(slot)
            file.mode = file.owner = None
        file.exists, file.content, file.origin = False, None, None
        self._files[slot] = file

    def _edits(self) -> Iterator[FileEdit]:
        for target, file in self._files.items():
            before = file.before
            if before is None and not file.exists:
                continue
            if (
                before is not None
                and file.exists
                and file.content == before.content
                and file.mode == _mode(before)
            ):
                continue
            yield FileEdit(
                target=target,
                shown=self.shown(target),
                before=before,
                after=file.content if file.exists else None,
                mode=file.mode,
                owner=file.owner,
            )

    def _check_folders(self, edits: Sequence[FileEdit]) -> None:
        for edit in edits:
            for parent in edit.target.parents if edit.after is not None else ():
                if parent in self._files:
                    raise ToolError(
                        f"error: {self.shown(parent)} cannot be a file and the folder of "
                        f"{edit.shown} in one patch"
                    )

    def _changes(self, moves: dict[Path, Path]) -> Changes:
        changes: Changes = {}
        arrived = set(moves.values())
        for target, file in self._files.items():
            if target in arrived:
                continue
            shown = str(self.shown(target))
            before = b"" if file.before is None else file.before.content
            if (to := moves.get(target)) is not None:
                after = self._files[to].content
                changes[shown] = _update(before, after, move_path=str(self.shown(to)))
            elif not file.exists:
                if file.before is not None or target in self._undeletable:
                    changes[shown] = "delete"
            elif file.before is None or file.is_whole:
                assert file.content is not None
                content = file.content.decode("utf-8", "replace")
                changes[shown] = FileChange(add=FileAdded(content))
            else:
                changes[shown] = _update(before, file.content, move_path=None)
        return changes


def named(path: Path, cwd: Path) -> str:
    """`path` in words: relative to `cwd` if it lies below."""
    return path.relative_to(cwd).as_posix() if path.is_relative_to(cwd) else path.as_posix()


def _mode(found: Found) -> int | None:
    """What the file is to keep; None: there is nothing on disk yet that has one."""
    return None if found.identity is None else found.mode


def _update(before: bytes | None, after: bytes | None, *, move_path: str | None) -> FileChange:
    return FileChange(update=FileUpdated(unified_diff(before or b"", after or b""), move_path))

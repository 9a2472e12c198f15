"""A plan put on disk: all of it, or nothing.

Owns the order in which files are written and how what was done is taken back. All new content
is on disk, under names of our own, before the first file changes; then each file changes in one
step. What a file was before is kept as a second name of the very same file until everything is
done, so taking back restores not just its bytes. It does not ask whether anything may be
written.

Not done: waiting until the disk has it all. After a power cut a file is the old or the new one
as far as the file system keeps its promises.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import define

from codex_rpc.protocol.frozen import frozen
from codex_rpc.tools.patch.finding import reason
from codex_rpc.tools.patch.folders import Folder, Identity
from codex_rpc.tools.patch.plan import FileEdit

OWN_PREFIX = ".codex-patch-"
"""Names of files that are ours and go away again."""


@frozen
class Written:
    """Everything is where it belongs."""

    notes: tuple[str, ...] = ()
    """What could not be tidied up."""


@frozen
class NotWritten:
    """It did not work."""

    message: str
    left: tuple[str, ...] = ()
    """What is now different from before, as sentences; (): every file is as it was."""


def write(edits: Sequence[FileEdit]) -> Written | NotWritten:
    """Put `edits` on disk. Blocks, and is not to be interrupted.

    If a file is not what it was when the plan was made, nothing is written.
    """
    staged = stage(edits)
    return staged.commit() if isinstance(staged, Staged) else staged


def stage(edits: Sequence[FileEdit], *, lent: Sequence[FileEdit] = ()) -> Staged | NotWritten:
    """Check `edits` and put the new content next to the files. Blocks.

    Files that someone else is going to remove are `lent`: they can be taken back too.
    """
    transaction = _Transaction()
    try:
        for edit in edits:
            transaction.check(edit)
        for edit in lent:
            transaction.lend(edit)
        for edit in edits:
            transaction.stage(edit)
    except _Failed as exc:
        left = transaction.take_back()
        transaction.close()
        return NotWritten(exc.message, left)
    except BaseException:
        # A bug of ours, or no memory: what was done is taken back all the same.
        transaction.take_back()
        transaction.close()
        raise
    return Staged(edits, transaction)


class Staged:
    """Edits that only have to be put in place. Exactly one of the methods is to be called."""

    def __init__(self, edits: Sequence[FileEdit], transaction: _Transaction) -> None:
        self._edits = edits
        self._transaction = transaction

    def commit(self) -> Written | NotWritten:
        """Change the files; if that fails, everything is taken back. Blocks."""
        transaction = self._transaction
        try:
            for edit in self._edits:
                transaction.commit(edit)
        except _Failed as exc:
            return NotWritten(exc.message, transaction.take_back())
        except BaseException:
            transaction.take_back()
            raise
        else:
            return Written(transaction.tidy())
        finally:
            transaction.close()

    def take_back(self) -> tuple[str, ...]:
        """Leave everything as it was; what did not work, as sentences. Blocks."""
        try:
            return self._transaction.take_back()
        finally:
            self._transaction.close()


class _Failed(Exception):
    """Raised when an edit cannot be done."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@define
class _Undo:
    """One step back."""

    action: Callable[[], None]
    otherwise: str
    """What is the case if that fails."""


class _Transaction:
    def __init__(self) -> None:
        self._folders: dict[Path, Folder] = {}
        self._staged: dict[Path, str] = {}
        """The name of the new content, by target."""
        self._undo: list[_Undo] = []
        self._kept: dict[Path, tuple[Folder, str]] = {}
        """The name of what was there before, by target; removed when everything is done."""

    def check(self, edit: FileEdit) -> None:
        """Make sure that nobody has changed the file meanwhile."""
        try:
            self._check(edit)
        except OSError as exc:
            raise _failed(edit, exc) from exc

    def lend(self, edit: FileEdit) -> None:
        """Keep the file for the case that it is to come back; without one there is nothing to do.

        What it has is not looked at: it counts as what the editor shows.
        """
        name, kept = edit.target.name, _own_name()
        try:
            folder = self._folder(edit.target.parent)
            status = folder.status(name)
            if status is None:
                return
            self._push(lambda: _put_back(folder, kept, name), _left_over(folder, kept))
            try:
                folder.link(name, kept)
            except OSError:
                owner = (status.st_uid, status.st_gid)
                folder.create(kept, folder.read(name), mode=status.st_mode, owner=owner)
        except OSError as exc:
            raise _failed(edit, exc) from exc
        self._kept[edit.target] = (folder, kept)

    def stage(self, edit: FileEdit) -> None:
        """Write the new content next to the file."""
        if edit.after is None:
            return
        mode, owner = edit.mode, edit.owner
        if mode is None and edit.before is not None and not edit.before.is_link:
            mode, owner = edit.before.mode, edit.before.owner
        name = _own_name()
        try:
            folder = self._made_folder(edit.target.parent)
            self._push(lambda: _remove(folder, name), _left_over(folder, name))
            folder.create(name, edit.after, mode=mode, owner=owner)
        except OSError as exc:
            raise _failed(edit, exc) from exc
        self._staged[edit.target] = name

    def commit(self, edit: FileEdit) -> None:
        """Change the file."""
        try:
            # Once more: staging many files takes a while.
            self._check(edit)
            folder = self._folders[edit.target.parent]
            name = edit.target.name
            if edit.before is not None:
                self._keep(folder, name, edit)
            if edit.after is not None:
                self._put(folder, name, edit)
        except OSError as exc:
            raise _failed(edit, exc) from exc

    def take_back(self) -> tuple[str, ...]:
        """Undo everything, the last first; what did not work."""
        left = []
        for undo in reversed(self._undo):
            try:
                undo.action()
            except OSError as exc:
                left.append(f"{undo.otherwise} ({reason(exc)})")
        # Two steps may lead back to the same name.
        return tuple(dict.fromkeys(left))

    def tidy(self) -> tuple[str, ...]:
        """Remove what was kept for taking back; what did not work."""
        notes = []
        for folder, name in self._kept.values():
            try:
                _remove(folder, name)
            except OSError as exc:
                notes.append(f"{_left_over(folder, name)} ({reason(exc)})")
        return tuple(notes)

    def close(self) -> None:
        """Let go of the folders."""
        for folder in self._folders.values():
            folder.close()

    def _check(self, edit: FileEdit) -> None:
        before, name = edit.before, edit.target.name
        try:
            folder = self._folder(edit.target.parent)
        except FileNotFoundError:
            if before is None:
                return
            raise
        status = folder.status(name)
        if before is None or before.identity is None:
            if status is None:
                return
        elif status is not None and Identity.of(status) == before.identity:
            if before.content is None or before.document is not None:
                return
            same = folder.link_target(name) if before.is_link else folder.read(name)
            if same == before.content:
                return
        raise _Failed(
            f"{edit.shown} was changed by someone else since the patch was prepared. "
            "Look at it again before the next patch."
        )

    def _folder(self, path: Path) -> Folder:
        if (folder := self._folders.get(path)) is None:
            folder = self._folders[path] = Folder.open(path)
        return folder

    def _made_folder(self, path: Path) -> Folder:
        """The folder at `path`, created if it is not there."""
        try:
            return self._folder(path)
        except FileNotFoundError:
            if path == path.parent:
                raise
        parent = self._made_folder(path.parent)
        parent.make_folder(path.name)
        self._push(lambda: parent.remove_folder(path.name), f"the new folder {path} is left")
        return self._folder(path)

    def _keep(self, folder: Folder, name: str, edit: FileEdit) -> None:
        """Give what the file is a name of ours, or, to remove it, only that name."""
        kept = _own_name()
        if edit.after is not None:
            try:
                folder.link(name, kept)
            except OSError:
                # The file system has no second names, or does not let us; then the file is
                # missing for a moment.
                pass
            else:
                self._kept[edit.target] = (folder, kept)
                self._push(lambda: _remove(folder, kept), _left_over(folder, kept))
                return
        folder.replace(name, kept)
        self._kept[edit.target] = (folder, kept)
        self._push_restoring(edit)

    def _put(self, folder: Folder, name: str, edit: FileEdit) -> None:
        """Give the new content the file's name."""
        staged = self._staged[edit.target]
        if edit.before is not None:
            folder.replace(staged, name)
            self._push_restoring(edit)
            return
        try:
            # Unlike renaming, this replaces nothing that has come into being in this moment.
            folder.link(staged, name)
        except FileExistsError:
            raise
        except OSError:
            folder.replace(staged, name)
        self._push(lambda: _remove(folder, name), f"the new file {edit.shown} is left")
        _remove(folder, staged)

    def _push_restoring(self, edit: FileEdit) -> None:
        folder, kept = self._kept[edit.target]
        self._push(
            lambda: _restore(folder, kept, edit.target.name),
            f"{edit.shown} is not what it was; that is now {folder.path / kept}",
        )

    def _push(self, action: Callable[[], None], otherwise: str) -> None:
        self._undo.append(_Undo(action, otherwise))


def _own_name() -> str:
    return f"{OWN_PREFIX}{secrets.token_hex(8)}"


def _remove(folder: Folder, name: str) -> None:
    """Remove `name`, if it is there."""
    if folder.status(name) is not None:
        folder.remove(name)


def _restore(folder: Folder, kept: str, name: str) -> None:
    """Give what is `kept` its old name again, if that was not done before."""
    if folder.status(kept) is not None:
        folder.replace(kept, name)


def _put_back(folder: Folder, kept: str, name: str) -> None:
    """Give what is `kept` the name again if that is free, and else remove it."""
    if folder.status(name) is None:
        _restore(folder, kept, name)
    else:
        _remove(folder, kept)


def _left_over(folder: Folder, name: str) -> str:
    return f"{folder.path / name} is left and can be removed"


def _failed(edit: FileEdit, exc: OSError) -> _Failed:
    what = "delete" if edit.after is None else "write"
    why = reason(exc)
    if exc.errno in (errno.ELOOP, errno.ENOTDIR):
        why += "; a folder on the way was replaced since the patch was prepared"
    return _Failed(f"Failed to {what} file {edit.shown}: {why}")

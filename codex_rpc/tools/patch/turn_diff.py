"""What the patches of a turn have changed, as one diff in git's form.

Owns what each file was when the turn's first patch touched it. Compares that with what is on
disk, so what commands did to those files in between is part of it, and what they did to other
files is not.

Bounded: of files over `MAX_KEPT_BYTES`, and once a turn's files come to more than
`MAX_TURN_BYTES`, only the hash is kept; they are shown as changed without their content, like
binary files.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.tools.patch.diffs import unified_diff
from codex_rpc.tools.patch.folders import Folder
from codex_rpc.tools.patch.plan import MAX_FILE_BYTES, Found, Plan

MAX_KEPT_BYTES = 2 << 20
MAX_TURN_BYTES = 32 << 20

_NO_BLOB = "0" * 40
_BINARY_HEAD_BYTES = 8000
"""In what part of a file a NUL makes it a binary one."""

_Look = tuple[int, ...]
"""What tells, without reading a file, that it is another one than before."""


@frozen
class _Version:
    """A file at one moment."""

    mode: str
    """As git has it: "100644", "100755" or "120000"."""
    blob: str | None
    """git's id of the content; None: not known, because it may not be read or is too large."""
    content: bytes | None = field(repr=False)
    """None: not kept."""

    @classmethod
    def of(cls, mode: int, content: bytes | None, *, keep: bool) -> _Version:
        executable = "100755" if mode & stat.S_IXUSR else "100644"
        kind = "120000" if stat.S_ISLNK(mode) else executable
        blob = None if content is None else blob_id(content)
        return cls(kind, blob, content if keep else None)


class TurnDiff:
    """The diff of the current turn; an older one's is forgotten."""

    def __init__(self) -> None:
        self._turn_id: SubmissionId | None = None
        self._begin(None)

    def _begin(self, turn_id: SubmissionId | None) -> None:
        self._turn_id = turn_id
        self._first: dict[Path, _Version | None] = {}
        self._names: dict[Path, Path] = {}
        self._origins: dict[Path, Path] = {}
        self._kept_bytes = 0
        self._told = ""
        self._looked_at: dict[Path, tuple[_Look, _Version]] = {}
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

    def _version_before(self, found: Found | None) -> _Version | None:
        if found is None:
            return None
        size = len(found.content or b"")
        keep = size <= MAX_KEPT_BYTES and self._kept_bytes + size <= MAX_TURN_BYTES
        if keep:
            self._kept_bytes += size
        return _Version.of(found.mode, found.content, keep=keep)

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
        for target in sorted(self._first, key=lambda path: _name(self._names[path], cwd)):
            if target in moved:
                continue
            yield self._section(origins.get(target, target), target, now[target], cwd)

    def _section(self, source: Path, target: Path, now: _Version | None, cwd: Path) -> str:
        """One file's part, drawn anew only if it is another one: a turn can have many patches."""
        names = _name(self._names[source], cwd), _name(self._names[target], cwd)
        drawn_from = (*names, source, now)
        before = self._drawn.get(target)
        if before is not None and before[0] == drawn_from:
            return before[1]
        text = _section(names[0], self._first[source], names[1], now)
        self._drawn[target] = (drawn_from, text)
        return text

    def _version_now(self, target: Path, may_read: Callable[[Path], bool]) -> _Version | None:
        """What is at `target`, read only if it has changed since it was looked at."""
        try:
            with Folder.open(target.parent) as folder:
                status = folder.status(target.name)
                if status is None:
                    return None
                look = _look(status)
                known = self._looked_at.get(target)
                if known is not None and known[0] == look:
                    return known[1]
                version = _version_in(folder, target, status, may_read)
        except OSError:
            return None
        self._looked_at.pop(target, None)
        held = sum(len(seen.content or b"") for _, seen in self._looked_at.values())
        if version is not None and held + len(version.content or b"") <= MAX_TURN_BYTES:
            self._looked_at[target] = (look, version)
        return version


def blob_id(content: bytes) -> str:
    """The id under which git keeps `content`."""
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


def _look(status: os.stat_result) -> _Look:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_mode, status.st_size, *times)


def _version_in(
    folder: Folder, target: Path, status: os.stat_result, may_read: Callable[[Path], bool]
) -> _Version | None:
    """What is at `target`; nothing if it is neither a file nor a link. Raises OSError."""
    if stat.S_ISLNK(status.st_mode):
        return _Version.of(status.st_mode, folder.link_target(target.name), keep=True)
    if not stat.S_ISREG(status.st_mode):
        return None
    if status.st_size > MAX_FILE_BYTES or not may_read(target):
        return _Version.of(status.st_mode, None, keep=False)
    content = folder.read(target.name)
    return _Version.of(status.st_mode, content, keep=len(content) <= MAX_KEPT_BYTES)


def _name(shown: Path, cwd: Path) -> str:
    return shown.relative_to(cwd).as_posix() if shown.is_relative_to(cwd) else shown.as_posix()


def _section(old_name: str, old: _Version | None, new_name: str, new: _Version | None) -> str:
    """One file's part of the diff; "" if nothing is different."""
    renamed = old_name != new_name
    if not renamed and _is_same(old, new):
        return ""
    lines = [f"diff --git {_quoted('a/' + old_name)} {_quoted('b/' + new_name)}"]
    if old is None and new is not None:
        lines.append(f"new file mode {new.mode}")
    elif new is None and old is not None:
        lines.append(f"deleted file mode {old.mode}")
    elif old is not None and new is not None and old.mode != new.mode:
        lines += [f"old mode {old.mode}", f"new mode {new.mode}"]
    if renamed and _blob(old) == _blob(new):
        lines += [
            "similarity index 100%",
            f"rename from {_quoted(old_name)}",
            f"rename to {_quoted(new_name)}",
        ]
    elif (ids := (_blob(old), _blob(new))) and None not in ids and ids[0] != ids[1]:
        lines.append(f"index {ids[0]}..{ids[1]}")
    a = "/dev/null" if old is None else _quoted("a/" + old_name)
    b = "/dev/null" if new is None else _quoted("b/" + new_name)
    head = "".join(line + "\n" for line in lines)
    return head + _body(a, old, b, new)


def _body(a: str, old: _Version | None, b: str, new: _Version | None) -> str:
    before = b"" if old is None else old.content
    after = b"" if new is None else new.content
    if before is None or after is None or _is_binary(before) or _is_binary(after):
        blob = _blob(old)
        return (
            "" if blob is not None and blob == _blob(new) else f"Binary files {a} and {b} differ\n"
        )
    hunks = unified_diff(before, after)
    return f"--- {a}\n+++ {b}\n{hunks}" if hunks else ""


def _is_same(old: _Version | None, new: _Version | None) -> bool:
    """Whether two versions are known not to differ."""
    if old is None or new is None:
        return old is new
    return old.mode == new.mode and old.blob is not None and old.blob == new.blob


def _blob(version: _Version | None) -> str | None:
    return _NO_BLOB if version is None else version.blob


def _is_binary(content: bytes) -> bool:
    return b"\0" in content[:_BINARY_HEAD_BYTES]


_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def _quoted(name: str) -> str:
    """`name` as git writes it: as it is, or in quotes if a line could not hold it so."""
    parts = []
    for character in name:
        if character in _ESCAPES:
            parts.append(_ESCAPES[character])
        elif character.isprintable():
            parts.append(character)
        else:
            parts += [f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape")]
    quoted = "".join(parts)
    return name if quoted == name else f'"{quoted}"'

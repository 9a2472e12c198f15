"""Two versions of a file in git's form: its ids, modes and names, and what is different.

Owns how that is written down. Where versions come from it does not know.
"""

from __future__ import annotations

import hashlib
import stat

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.tools.patch.diffs import unified_diff

_NO_BLOB = "0" * 40
_BINARY_HEAD_BYTES = 8000
"""In what part of a file a NUL makes it a binary one."""


@frozen
class Version:
    """A file at one moment."""

    mode: str
    """As git has it: "100644", "100755" or "120000"."""
    blob: str | None
    """git's id of the content; None: not known, because it may not be read or is too large."""
    content: bytes | None = field(repr=False)
    """None: not kept."""

    @classmethod
    def of(cls, mode: int, content: bytes | None, *, keep: bool) -> Version:
        executable = "100755" if mode & stat.S_IXUSR else "100644"
        kind = "120000" if stat.S_ISLNK(mode) else executable
        blob = None if content is None else blob_id(content)
        return cls(kind, blob, content if keep else None)


def blob_id(content: bytes) -> str:
    """The id under which git keeps `content`."""
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


def section(old_name: str, old: Version | None, new_name: str, new: Version | None) -> str:
    """One file's part of a diff; "" if nothing is different."""
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


def _body(a: str, old: Version | None, b: str, new: Version | None) -> str:
    before = b"" if old is None else old.content
    after = b"" if new is None else new.content
    if before is None or after is None or _is_binary(before) or _is_binary(after):
        blob = _blob(old)
        return (
            "" if blob is not None and blob == _blob(new) else f"Binary files {a} and {b} differ\n"
        )
    hunks = unified_diff(before, after)
    return f"--- {a}\n+++ {b}\n{hunks}" if hunks else ""


def _is_same(old: Version | None, new: Version | None) -> bool:
    """Whether two versions are known not to differ."""
    if old is None or new is None:
        return old is new
    return old.mode == new.mode and old.blob is not None and old.blob == new.blob


def _blob(version: Version | None) -> str | None:
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

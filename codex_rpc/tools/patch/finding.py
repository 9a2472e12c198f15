"""What is at a path before a patch: a file, a link, or a document in the editor.

Owns that a document which is open counts for more than its file: what the user sees is what is
changed. What the disk has is looked at all the same, because the file is recognised by it.
"""

from __future__ import annotations

import errno
import os
import stat
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.workspace import OpenDocument
from codex_rpc.tools.patch.folders import Folder, Identity

MAX_FILE_BYTES = 32 << 20
"""Larger files cannot be updated, only replaced and removed."""

NEW_FILE_MODE = stat.S_IFREG | 0o644
"""What a file that is only in the editor is taken for."""

OpenDocuments = Callable[[Path], OpenDocument | None]
"""What is open in the editor under a path; None: nothing is."""


@frozen(kw_only=True)
class Found:
    """What was at a path when the plan was made: a regular file or a link."""

    identity: Identity | None
    """None: it is not on disk, only in the editor."""
    mode: int
    """With the kind of the file, as `st_mode` has it."""
    owner: tuple[int, int] | None
    content: bytes | None = field(repr=False)
    """What the user sees; a link's is its target. None: not read, because that is denied or
    because it is large."""
    document: OpenDocument | None = None
    """What is open in the editor, with `content` as its text."""
    is_marked: bool = False
    """Whether the file of that begins with a byte order mark, which editors do not show."""

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


def nothing_open(path: Path) -> OpenDocument | None:  # noqa: ARG001
    """Where there is no editor."""
    return None


def find(
    target: Path, *, link: bool, may_read: Callable[[Path], bool], opened: OpenDocuments
) -> Found | None:
    """What is at `target`, absolute and resolved; None: nothing.

    Raises:
        OSError: it is no regular file, nor, if `link`, a link; or its text cannot be used.
    """
    try:
        folder = Folder.open(target.parent)
    except FileNotFoundError:
        return _only_open(target, may_read, opened)
    with folder:
        status = folder.status(target.name)
        if status is None:
            return _only_open(target, may_read, opened)
        content: bytes | None = None
        document: OpenDocument | None = None
        is_marked = False
        if stat.S_ISLNK(status.st_mode):
            if not link:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            content = folder.link_target(target.name)
        elif stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        elif not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        elif (document := opened(target)) is not None:
            content = _text_of(document, target, may_read)
            is_marked = content is not None and hides_mark(folder, target.name, content)
        elif status.st_size <= MAX_FILE_BYTES and may_read(target):
            content = folder.read(target.name)
        return Found(
            identity=Identity.of(status),
            mode=status.st_mode,
            owner=(status.st_uid, status.st_gid),
            content=content,
            document=document,
            is_marked=is_marked,
        )


def hides_mark(folder: Folder, name: str, shown: bytes) -> bool:
    """Whether a file begins with a byte order mark that the editor, which has `shown` of it, keeps
    to itself. Raises OSError."""
    if shown.startswith(BOM_UTF8):
        return False
    return folder.read(name, max_bytes=len(BOM_UTF8)) == BOM_UTF8


def _only_open(
    target: Path, may_read: Callable[[Path], bool], opened: OpenDocuments
) -> Found | None:
    """A file that the editor has not saved yet."""
    document = opened(target)
    if document is None:
        return None
    return Found(
        identity=None,
        mode=NEW_FILE_MODE,
        owner=None,
        content=_text_of(document, target, may_read),
        document=document,
    )


def _text_of(
    document: OpenDocument, target: Path, may_read: Callable[[Path], bool]
) -> bytes | None:
    try:
        content = document.text.encode()
    except UnicodeEncodeError as exc:
        raise OSError(errno.EILSEQ, "The editor has a text that is no Unicode") from exc
    is_small = len(content) <= MAX_FILE_BYTES
    return content if is_small and may_read(target) and may_read(document.path) else None


def reason(exc: OSError) -> str:
    """What the system said, with its number."""
    if exc.errno is None:
        return str(exc)
    return f"{exc.strerror} (os error {exc.errno})"

"""Open folders, and the files in them.

Owns the guarantee that a path which was approved is the place that is changed: a folder is
opened component by component and no component may be a link, so a folder that is swapped for a
link in the meantime leads nowhere. Where the system cannot do that (Windows), paths are used as
they are.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from codex_rpc.protocol.frozen import frozen

_HAS_FDS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
# What is only walked through need not be readable.
_WALK = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_READ = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    # Opening a named pipe would wait for its writer.
    | getattr(os, "O_NONBLOCK", 0)
)
_CREATE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_PIECE_BYTES = 1 << 20


@frozen
class Identity:
    """By what a file is recognised as the same, unchanged one."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """That of the file with `status`."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Folder:
    """A folder that stays the same one, whatever its path leads to later."""

    def __init__(self, path: Path, fd: int | None) -> None:
        """`fd`, if there is one, belongs to the object."""
        self.path = path
        self._fd = fd

    @classmethod
    def open(cls, path: Path) -> Folder:
        """The folder at `path`, absolute and without links.

        Raises:
            OSError: there is none, or a component of the path is a link or no folder.
        """
        if not _HAS_FDS:
            if not stat.S_ISDIR(path.stat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            return cls(path, None)
        folder = cls(Path(path.anchor), os.open(path.anchor, _WALK))
        for name in path.parts[1:]:
            with folder as parent:
                folder = parent.folder(name)
        return folder

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it. Idempotent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def folder(self, name: str) -> Folder:
        """The folder `name` in it.

        Raises:
            OSError: there is none, or it is a link or no folder.
        """
        if self._fd is None:
            return Folder.open(self.path / name)
        return Folder(self.path / name, os.open(name, _WALK, dir_fd=self._fd))

    def make_folder(self, name: str) -> None:
        """Create the folder `name`."""
        os.mkdir(self._at(name), dir_fd=self._fd)

    def remove_folder(self, name: str) -> None:
        """Remove the empty folder `name`."""
        os.rmdir(self._at(name), dir_fd=self._fd)

    def status(self, name: str) -> os.stat_result | None:
        """That of `name`, links not followed; None: there is nothing."""
        try:
            return os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def link_target(self, name: str) -> bytes:
        """Where the link `name` leads, as it is written."""
        return os.fsencode(os.readlink(self._at(name), dir_fd=self._fd))

    def read(self, name: str, *, max_bytes: int | None = None) -> bytes:
        """The content of the regular file `name`, or at most so much of its beginning.

        Raises:
            OSError: it cannot be read, or is something else.
        """
        with self._opened(os.open(self._at(name), _READ, dir_fd=self._fd)) as fd:
            mode = os.fstat(fd).st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(mode):
                raise OSError(errno.EINVAL, "Not a regular file")
            if max_bytes is not None:
                return os.read(fd, max_bytes)
            pieces = []
            while piece := os.read(fd, _PIECE_BYTES):
                pieces.append(piece)
        return b"".join(pieces)

    def create(
        self, name: str, content: bytes, *, mode: int | None, owner: tuple[int, int] | None
    ) -> None:
        """A new file `name`. On an error an incomplete one may be left.

        `mode` None: as the user's mask has it. `owner` (user, group) is kept where the system
        lets us; if it does not, `mode` loses its set-id bits.
        """
        initial = 0o666 if mode is None else 0o600
        fd = os.open(self._at(name), _CREATE, initial, dir_fd=self._fd)
        with self._opened(fd):
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(fd, rest) :]
            if mode is not None and _HAS_FDS:
                if owner is not None and not _has_owner(fd, owner):
                    mode &= ~(stat.S_ISUID | stat.S_ISGID)
                os.fchmod(fd, stat.S_IMODE(mode))

    def link(self, name: str, new_name: str) -> None:
        """Give the file `name` a second name, which must be free."""
        if self._fd is None:
            os.link(self._at(name), self._at(new_name))
            return
        os.link(name, new_name, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)

    def replace(self, name: str, new_name: str) -> None:
        """Rename `name`, in one step, over whatever file has `new_name`."""
        os.replace(self._at(name), self._at(new_name), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        """Remove the file or link `name`."""
        os.unlink(self._at(name), dir_fd=self._fd)

    def _at(self, name: str) -> str:
        return name if self._fd is not None else str(self.path / name)

    @staticmethod
    @contextlib.contextmanager
    def _opened(fd: int) -> Iterator[int]:
        """Close `fd` at the end; what closing says counts, unless something was wrong before."""
        try:
            yield fd
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(fd)
            raise
        os.close(fd)


def _has_owner(fd: int, owner: tuple[int, int]) -> bool:
    """Give the file to `owner` if it is not theirs; whether it is in the end."""
    status = os.fstat(fd)
    if (status.st_uid, status.st_gid) == owner:
        return True
    try:
        os.fchown(fd, *owner)
    except OSError:
        return False
    return True

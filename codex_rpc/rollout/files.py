"""The system calls that session files are written with, behind one small Protocol.

`OS_FILES` is the real thing; tests give one that fails where they want it to. What differs
between platforms about files, apart from locks, is here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Protocol

from codex_rpc.rollout import lock

FILE_MODE = 0o600
FOLDER_MODE = 0o700

# O_BINARY: Windows would write "\r\n". O_NONBLOCK: opening a FIFO must not wait for its reader.
_ALWAYS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class FileLayer(Protocol):
    """Blocking calls; every one may raise OSError."""

    def make_folders(self, folder: Path) -> list[Path]:
        """Create what is missing of `folder`, 0700; returns what was, outermost first."""
        ...

    def create(self, path: Path) -> int:
        """Create a file, 0600, that was not there, and open it for appending."""
        ...

    def open_to_append(self, path: Path) -> int:
        """Open a file that is there for appending."""
        ...

    def lock(self, fd: int) -> bool:
        """As `lock.try_lock`."""
        ...

    def write(self, fd: int, data: memoryview) -> int:
        """Append some of `data`; returns how many bytes."""
        ...

    def sync(self, fd: int) -> None:
        """Make what was written durable."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Make the names in `folder` durable."""
        ...

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset` once more, through a fresh descriptor, durably."""
        ...

    def close(self, fd: int) -> None:
        """Unlock and close; closed even if it raises."""
        ...

    def discard(self, fd: int, path: Path) -> None:
        """Unlock, close and remove a file that was just created."""
        ...


class OsFiles:
    """The operating system's files."""

    def make_folders(self, folder: Path) -> list[Path]:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        made = []
        for path in reversed(missing):
            try:
                path.mkdir(FOLDER_MODE)
            except FileExistsError:
                # Another process was faster, which is as good; a file in the way is not.
                if not path.is_dir():
                    raise
            else:
                insist_on_mode(path, FOLDER_MODE)
                made.append(path)
        return made

    def create(self, path: Path) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _ALWAYS
        fd = os.open(path, flags, FILE_MODE)
        insist_on_mode(path, FILE_MODE)
        return fd

    def open_to_append(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | _ALWAYS)

    def lock(self, fd: int) -> bool:
        return lock.try_lock(fd)

    def write(self, fd: int, data: memoryview) -> int:
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        if sys.platform == "darwin":
            import fcntl

            # fsync stops at the drive's cache there. Where the drive cannot be told, it has to do.
            try:
                fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            except OSError:
                os.fsync(fd)
        elif sys.platform == "win32":
            os.fsync(fd)
        else:
            os.fdatasync(fd)

    def sync_folder(self, folder: Path) -> None:
        if sys.platform != "win32":
            try:
                fd = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            except OSError as exc:
                # Not every file system can do this, and not every folder may be opened.
                if exc.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM):
                    raise

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        # Not the session's own descriptor: with O_APPEND, positions count for nothing.
        fd = os.open(path, os.O_WRONLY | _ALWAYS)
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            self.sync(fd)
        finally:
            os.close(fd)

    def close(self, fd: int) -> None:
        try:
            lock.unlock(fd)
        finally:
            os.close(fd)

    def discard(self, fd: int, path: Path) -> None:
        if sys.platform == "win32":
            os.close(fd)
            path.unlink(missing_ok=True)
        else:
            # In this order nobody can find the file and take the lock in between.
            path.unlink(missing_ok=True)
            os.close(fd)


OS_FILES = OsFiles()


def open_to_read(path: Path) -> int:
    """Open anything for reading, without waiting for a FIFO's writer. Raises OSError."""
    return os.open(path, os.O_RDONLY | _ALWAYS)


def read_ahead(path: Path) -> None:
    """Let the system begin to read a file, if it can be told to; nobody waits for it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fd = open_to_read(path)
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(fd)


def open_regular(path: Path) -> BinaryIO:
    """A regular file's bytes; anything else is an OSError, and does not keep the caller waiting."""
    fd = open_to_read(path)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return os.fdopen(fd, "rb")
    except OSError:
        os.close(fd)
        raise


def reason_of(exc: OSError) -> str:
    """What went wrong, for people, without the path."""
    return exc.strerror or str(exc) or type(exc).__name__


def insist_on_mode(path: Path, mode: int) -> None:
    """Undo what the umask took away."""
    # A file system without modes may refuse, and has nothing to protect with.
    with contextlib.suppress(OSError):
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)

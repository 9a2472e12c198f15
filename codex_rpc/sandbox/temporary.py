"""What has to exist on disk while commands run, and its removal.

Owns the scratch folder of a session, device files that may be spoilt, and the empty folders that
stand in for protected names. It does not know what any of them protects.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

logger = logging.getLogger(__name__)

_PREFIX = "codex-rpc-"

DEVICES_FOLDER = "/dev/codex-rpc"

_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
"""Major and minor numbers."""

_FOLDER = 0 if sys.platform == "win32" else os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How folders are opened. On Windows nothing here is needed."""

_MAX_TRIES = 50

_PAUSE_S = 0.002


class Scratch:
    """A session's folder for temporary files. Safe to use from several threads.

    Who may write around it could put something else in its place. What is removed in the end is
    the folder that was made, or nothing.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._folder: str | None = None
        self._fd = -1

    def folder(self) -> str | None:
        """The folder, resolved, for the user alone; None: there is no room.

        Made when it is first asked for, and then the same one, unless it has been moved away.
        """
        with self._lock:
            if self._folder is None or not self._is_in_place(self._folder):
                self._close()
                self._make()
            return self._folder

    def remove(self) -> None:
        """Remove the folder. What cannot be removed is logged and left. Idempotent."""
        with self._lock:
            if self._folder is None:
                return
            try:
                if not self._is_in_place(self._folder):
                    logger.warning("%s is left: something else is there", self._folder)
                    return
                empty(self._fd)
                os.rmdir(self._folder)  # noqa: PTH106
            except OSError as exc:
                logger.warning("cannot remove %s: %s", self._folder, exc.strerror)
            finally:
                self._close()

    def _make(self) -> None:
        folder = _first_that_works(
            [self._environ.get("TMPDIR", ""), "/tmp", "/var/tmp"]  # noqa: S108
        )
        if folder is not None:
            # As long as it is open, no other folder can have its number.
            self._fd = os.open(folder, _FOLDER)
            self._folder = folder

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._folder, self._fd = None, -1

    def _is_in_place(self, folder: str) -> bool:
        return os.path.realpath(folder) == folder and _is_at(folder, self._fd)


def empty(folder: int) -> None:
    """Remove all that is in the open `folder`, and touch nothing else.

    Folders are brought up one by one and then emptied, so that no depth is too deep.

    Raises:
        OSError: the first thing that could not be removed; the rest is gone.
    """
    problem: OSError | None = None
    ahead = os.listdir(folder)
    # Nobody could have foreseen these names.
    fresh = (f"{token_hex(8)}-{number}" for number in itertools.count())
    while ahead:
        name = ahead.pop()
        try:
            if _unlinked(name, folder):
                continue
            inner = _unlocked(name, folder)
            try:
                for below in os.listdir(inner):  # noqa: PTH208
                    if not _unlinked(below, inner):
                        os.close(_unlocked(below, inner))
                        brought_up = next(fresh)
                        os.rename(below, brought_up, src_dir_fd=inner, dst_dir_fd=folder)
                        ahead.append(brought_up)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)
        except OSError as exc:
            problem = problem or exc
    if problem is not None:
        raise problem


def _unlinked(name: str, folder: int) -> bool:
    """Whether what has the `name` in `folder` was no folder, and is gone."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _unlocked(name: str, folder: int) -> int:
    """The folder of that `name`, open, after its owner, who may have shut it, can change it."""
    if hasattr(os, "O_PATH"):
        # Linux can change no mode by name without following links.
        fd = os.open(name, os.O_PATH | _FOLDER, dir_fd=folder)
        try:
            os.chmod(f"/proc/self/fd/{fd}", 0o700)  # noqa: PTH101
        finally:
            os.close(fd)
    else:
        os.chmod(name, 0o700, dir_fd=folder, follow_symlinks=False)
    return os.open(name, _FOLDER, dir_fd=folder)


def needs_own_devices() -> bool:
    """Whether /dev/null belongs to us, so that commands of ours could change its mode."""
    return sys.platform == "linux" and Path("/dev/null").stat().st_uid == os.geteuid()


def _first_that_works(parents: list[str]) -> str | None:
    for parent in parents:
        if os.path.isabs(parent):  # noqa: PTH117
            try:
                return os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            except OSError:
                continue
    return None


def own_devices() -> str | None:
    """A folder with null, zero, full, random, urandom and tty; None: none can be made.

    It lies in /dev, which no command can reach, and stays there until the machine is restarted:
    all sessions share it.
    """
    if not _are_devices(DEVICES_FOLDER):
        made = _make_devices()
        if made is None:
            return None
        try:
            os.rename(made, DEVICES_FOLDER)  # noqa: PTH104
        except OSError:
            # Another process was faster.
            _remove(made)
    if not _are_devices(DEVICES_FOLDER):
        return None
    for name in _DEVICES:
        # An earlier command may have changed it; that is what they are there for.
        Path(DEVICES_FOLDER, name).chmod(0o666)
    return DEVICES_FOLDER


def _make_devices() -> str | None:
    try:
        folder = tempfile.mkdtemp(prefix=_PREFIX, dir="/dev")
    except OSError:
        return None
    try:
        for name, number in _DEVICES.items():
            path = Path(folder, name)
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*number))
            path.chmod(0o666)
    except OSError:
        _remove(folder)
        return None
    return folder


def _are_devices(folder: str) -> bool:
    try:
        found = {name: os.lstat(f"{folder}/{name}") for name in _DEVICES}
        # In some containers they can be made and not be opened.
        with Path(folder, "null").open("wb"):
            pass
    except OSError:
        return False
    return stat.S_ISDIR(os.lstat(folder).st_mode) and all(
        stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(*_DEVICES[name])
        for name, status in found.items()
    )


def _remove(folder: str) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as exc:
        logger.warning("cannot remove %s: %s", folder, exc.strerror)


@contextmanager
def standing_in(path: str) -> Iterator[bool]:
    """For the time of the context there is something at `path`: if nothing was, an empty folder.

    True if something is there. False: neither can we make it, nor may anyone with our rights. The
    folder is removed when the last who uses it leaves, also of other processes. After a
    crash it is left behind, and removed by the next who uses it.

    Raises:
        OSError: the folder could not be made, although others may make one.
    """
    for _ in range(_MAX_TRIES):
        try:
            # The sticky bit says that it is ours. A program of the user's, which may come upon
            # it meanwhile, is not hindered.
            os.mkdir(path, 0o1755)  # noqa: PTH102
        except FileExistsError:
            pass
        except OSError as exc:
            if not _may_nobody_write(os.path.dirname(path), exc):  # noqa: PTH120
                raise
            yield False
            return
        held = _hold(path)
        if held is not None:
            break
        time.sleep(_PAUSE_S)
    else:
        raise BlockingIOError(errno.EBUSY, os.strerror(errno.EBUSY), path)
    fd = held
    try:
        yield True
    finally:
        if fd >= 0:
            _let_go(path, fd)


def _may_nobody_write(folder: str, exc: OSError) -> bool:
    """Whether what we failed to make in `folder` cannot be made by a command either."""
    if exc.errno == errno.EROFS:
        return True
    # The owner of a folder can allow himself to write there.
    return isinstance(exc, PermissionError) and os.stat(folder).st_uid != os.geteuid()  # noqa: PTH116


def _hold(path: str) -> int | None:
    """A descriptor that keeps others from removing `path`; -1: it is not ours to remove.

    None: somebody is removing it, or has.
    """
    import fcntl  # There is none on Windows, and no stand-ins are needed there.

    try:
        fd = os.open(path, _FOLDER)
    except FileNotFoundError:
        return None
    except OSError:
        # A file, a link, or not for us.
        return -1
    try:
        if not _is_stand_in(fd):
            os.close(fd)
            return -1
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if not _is_at(path, fd):
            os.close(fd)
            return None
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:
        os.close(fd)
        # No locks on this disk: then it stays, rather than vanish while someone uses it.
        return -1
    return fd


def _let_go(path: str, fd: int) -> None:
    """Remove `path` unless others hold it."""
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(path, fd) and stat.S_IMODE(os.fstat(fd).st_mode) & stat.S_ISVTX:
            if _is_stand_in(fd):
                os.rmdir(path)  # noqa: PTH106
            else:
                # Somebody has taken it into use, such as `git init`.
                os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode) & ~stat.S_ISVTX)
    except BlockingIOError:
        # Whoever holds it removes it.
        return
    except OSError as exc:
        logger.warning("cannot remove the empty folder %s: %s", path, exc.strerror)
    finally:
        os.close(fd)


def _is_stand_in(fd: int) -> bool:
    return bool(os.fstat(fd).st_mode & stat.S_ISVTX) and not os.listdir(fd)


def _is_at(path: str, fd: int) -> bool:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))

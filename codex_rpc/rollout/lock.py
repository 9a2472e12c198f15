"""The lock that says who may write to a file, and dies with the process that holds it.

POSIX: `flock`, which belongs to one open file, so a second open in the same process is kept
out as well. Windows: one byte far behind the end of the file, because locks there also keep
readers out. Neither is inherited: descriptors are close-on-exec.
"""

from __future__ import annotations

import errno
import os
import sys

_DO_NOT_WORK = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_FAR_BEHIND_THE_END = 1 << 62


def try_lock(fd: int) -> bool:
    """Take the exclusive lock of an open file; False if it is held through another open file.

    Raises:
        OSError: locks do not work here (`locks_do_not_work`), or something else is wrong.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(fd, _FAR_BEHIND_THE_END, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
    else:
        import fcntl

        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def unlock(fd: int) -> None:
    """Let go of the lock.

    Said explicitly before closing: a child between fork and exec has a copy of the
    descriptor, and would keep the lock for that moment.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(fd, _FAR_BEHIND_THE_END, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_UN)


def locks_do_not_work(exc: OSError) -> bool:
    """Whether `exc` says that this file system has no locks."""
    return exc.errno in _DO_NOT_WORK

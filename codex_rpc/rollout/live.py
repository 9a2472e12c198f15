"""The note beside a held session that says who holds it: advice, the lock alone decides.

A note can be stale, missing or half written, and nothing depends on it but the wording of
an error.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import orjson

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SessionId
from codex_rpc.rollout.files import FILE_MODE, OS_FILES
from codex_rpc.rollout.lines import object_in
from codex_rpc.rollout.paths import live_path

_MAX_BYTES = 4096


@frozen
class Holder:
    """Who holds a session, as far as it is known."""

    pid: int | None = None
    host: str | None = None


class LiveNote:
    """This process's note about one session."""

    def __init__(self, codex_home: Path, session_id: SessionId) -> None:
        self._path = live_path(codex_home, session_id)
        self._is_out = False

    def announce(self) -> None:
        """Write the note, once, if it can be written."""
        if self._is_out:
            return
        self._is_out = True
        note = orjson.dumps({"pid": os.getpid(), "host": _host()})
        # A disk that is full for this is about to say so to the session's own write.
        with contextlib.suppress(OSError):
            OS_FILES.make_folders(self._path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
            fd = os.open(self._path, flags, FILE_MODE)
            try:
                os.write(fd, note)
            finally:
                os.close(fd)

    def withdraw(self) -> None:
        """Remove the note; to be called while the lock is still held."""
        if self._is_out:
            self._is_out = False
            with contextlib.suppress(OSError):
                self._path.unlink()


def holder_of(codex_home: Path, session_id: SessionId) -> Holder:
    """Who says that it holds the session; nobody if that cannot be true."""
    try:
        with live_path(codex_home, session_id).open("rb") as file:
            note = object_in(file.read(_MAX_BYTES)) or {}
    except OSError:
        return Holder()
    pid, host = note.get("pid"), note.get("host")
    if type(pid) is not int or not isinstance(host, str) or pid <= 0:
        return Holder()
    if host == _host() and not _is_alive(pid):
        return Holder()
    return Holder(pid, host)


def _host() -> str:
    import socket

    return socket.gethostname()


def _is_alive(pid: int) -> bool:
    if os.name == "nt":
        # There, asking with a signal would end it.
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True

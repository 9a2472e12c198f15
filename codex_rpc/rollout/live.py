"""The note beside a held session that says who holds it: advice, the lock alone decides.

A note can be stale, missing or half written, and nothing depends on it but the wording of
an error.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
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
    control: str | None = None
    """The socket on which it can be asked to let go, if it is on this machine."""


class LiveNote:
    """This process's note about one session."""

    def __init__(
        self,
        codex_home: Path,
        session_id: SessionId,
        *,
        control: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`control` tells the socket on which this process can be asked now."""
        self._path = live_path(codex_home, session_id)
        self._control = control
        self._told: str | None = None
        self._is_out = False

    def announce(self) -> None:
        """Write the note if it can be written, and again if what it says has changed."""
        control = self._control()
        if self._is_out and control == self._told:
            return
        self._is_out, self._told = True, control
        said = {"pid": os.getpid(), "host": _host(), "control": control}
        note = orjson.dumps({name: value for name, value in said.items() if value is not None})
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
    is_here = host == _host()
    if is_here and not _is_alive(pid):
        return Holder()
    control = note.get("control")
    return Holder(pid, host, control if is_here and isinstance(control, str) else None)


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

"""What the user typed, over all sessions: `$CODEX_HOME/history.jsonl`.

One line per entry, `{"session_id", "ts", "text"}`, shared by every process that uses the
folder. The log id is the file's inode: trimming puts a new file in the old one's place, so
offsets into what was trimmed find nothing instead of something else.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

import anyio
from anyio import to_thread

from codex_rpc.protocol.events import HistoryEntry
from codex_rpc.protocol.ids import SessionId
from codex_rpc.rollout import lock
from codex_rpc.rollout.encoding import json_line
from codex_rpc.rollout.files import FILE_MODE, OS_FILES, insist_on_mode, open_regular
from codex_rpc.rollout.lines import CHUNK_BYTES, object_in

FILE_NAME = "history.jsonl"
LOCK_TRIES = 40
LOCK_PAUSE_S = 0.05
KEPT_SHARE = 0.8
"""Of `max_bytes`, what is left after trimming; so that not every entry has to trim."""


class MessageHistory:
    """The file of one CODEX_HOME."""

    def __init__(
        self,
        codex_home: Path,
        persistence: Literal["save-all", "none"] = "save-all",
        max_bytes: int | None = None,
        *,
        now: Callable[[], float] = time.time,
        lock_tries: int = LOCK_TRIES,
    ) -> None:
        self._path = codex_home / FILE_NAME
        self._persistence = persistence
        self._max_bytes = max_bytes
        self._now = now
        self._lock_tries = lock_tries

    async def stat(self) -> tuple[int, int]:
        """Its log id (0: there is none yet) and how many entries it has."""
        return await to_thread.run_sync(self._stat)

    async def append(self, session_id: SessionId, text: str) -> None:
        """Add an entry, unless `history.persistence = "none"`.

        Waits up to two seconds for another process that is adding one. Beyond `max_bytes`
        the oldest entries are dropped.

        Raises:
            OSError: it could not be written.
        """
        if self._persistence == "none":
            return
        entry = {"session_id": session_id, "ts": int(self._now()), "text": text}
        line = json_line(entry)
        for _ in range(self._lock_tries):
            if await to_thread.run_sync(self._try_append, line):
                return
            await anyio.sleep(LOCK_PAUSE_S)
        raise OSError(errno.EAGAIN, "another process keeps it locked", os.fspath(self._path))

    async def entry(self, offset: int, log_id: int) -> HistoryEntry | None:
        """The entry at `offset`, counted from 0, if `log_id` is still the file's."""
        return await to_thread.run_sync(self._entry, offset, log_id)

    def _stat(self) -> tuple[int, int]:
        try:
            with open_regular(self._path) as file:
                count = 0
                last = b"\n"
                while chunk := file.read(CHUNK_BYTES):
                    count += chunk.count(b"\n")
                    last = chunk[-1:]
                return os.fstat(file.fileno()).st_ino, count + (last != b"\n")
        except OSError:
            return 0, 0

    def _entry(self, offset: int, log_id: int) -> HistoryEntry | None:
        if offset < 0:
            return None
        try:
            with open_regular(self._path) as file:
                if os.fstat(file.fileno()).st_ino != log_id:
                    return None
                value = object_in(_line_at(file, offset)) or {}
        except OSError:
            return None
        session_id, ts, text = value.get("session_id"), value.get("ts"), value.get("text")
        if not isinstance(session_id, str) or type(ts) is not int or not isinstance(text, str):
            return None
        return HistoryEntry(session_id, ts, text)

    def _try_append(self, line: bytes) -> bool:
        """Write `line`; False if the file is locked elsewhere, or was replaced meanwhile."""
        OS_FILES.make_folders(self._path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        fd = os.open(self._path, flags, FILE_MODE)
        is_locked = False
        try:
            try:
                is_locked = lock.try_lock(fd)
                if not is_locked:
                    return False
            except OSError as exc:
                # Without locks an entry is still one write to the end of the file.
                if not lock.locks_do_not_work(exc):
                    raise
            if not self._is_in_place(fd):
                return False
            insist_on_mode(self._path, FILE_MODE)
            _write_line(fd, line)
            if is_locked and self._max_bytes and os.fstat(fd).st_size > self._max_bytes:
                # The entry is saved; what cannot be trimmed now is trimmed with the next one.
                with suppress(OSError):
                    self._trim(line, self._max_bytes)
            return True
        finally:
            if is_locked:
                lock.unlock(fd)
            os.close(fd)

    def _is_in_place(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _trim(self, newest: bytes, max_bytes: int) -> None:
        """Put a file with only the newest entries in the place of this one."""
        path = self._path.resolve()
        keep = int(max_bytes * KEPT_SHARE)
        with path.open("rb") as file:
            file.seek(-keep - 1, os.SEEK_END)
            kept = file.read().partition(b"\n")[2]
        shorter = path.with_name(f"{FILE_NAME}.trimmed")
        shorter.unlink(missing_ok=True)
        fd = OS_FILES.create(shorter)
        try:
            _write_all(fd, kept or newest)
            OS_FILES.sync(fd)
        finally:
            os.close(fd)
        shorter.replace(path)


def _write_line(fd: int, line: bytes) -> None:
    """Append `line`; what an earlier writer left unfinished gets its end first."""
    if os.fstat(fd).st_size:
        os.lseek(fd, -1, os.SEEK_END)
        if os.read(fd, 1) != b"\n":
            line = b"\n" + line
    _write_all(fd, line)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _line_at(file: BinaryIO, offset: int) -> bytes:
    """The line at `offset`, counted from 0; b"" behind the last one."""
    start, missing = 0, offset
    while missing:
        chunk = file.read(CHUNK_BYTES)
        if not chunk:
            return b""
        count = chunk.count(b"\n")
        if count < missing:
            missing -= count
            start += len(chunk)
            continue
        end = -1
        for _ in range(missing):
            end = chunk.index(b"\n", end + 1)
        start += end + 1
        missing = 0
    file.seek(start)
    return file.readline()

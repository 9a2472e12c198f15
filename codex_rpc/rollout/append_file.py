"""A session file open for appending: bytes on their way to the disk, in order.

Blocking, and used by one thread at a time. Owns the descriptor with its lock, and what is
queued. It knows lines, not what they mean. Invariants:

- What is in the file is never changed, and a line is never glued to what someone left there.
- Lines reach the file in the order in which they were handed over, each once. What could not
  be written stays queued to the byte.
- Once the device has refused to confirm, asking again confirms nothing: the kernel may have
  dropped the pages. The bytes are written once more, to where they were.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from codex_rpc.protocol.frozen import frozen
from codex_rpc.rollout.files import FileLayer, open_regular
from codex_rpc.rollout.lines import Tail

Fsync = Literal["turn", "record", "never"]

MAX_UNCONFIRMED_BYTES = 16 << 20
"""What is kept at most for writing it once more; beyond it the file is synced in between."""


@frozen
class _Line:
    data: bytes
    is_record: bool = True
    """False: it ends what someone left unfinished."""


class AppendFile:
    """One held file.

    Methods block and may raise OSError; what was handed over is then still queued.
    """

    def __init__(self, path: Path, fd: int, *, tail: Tail, fsync: Fsync, files: FileLayer) -> None:
        self.path = path
        self._fd = fd
        self._tail = tail
        self._fsync = fsync
        self._files = files
        self._queue: deque[_Line] = deque()
        self._head_written = 0
        """How many bytes of the first queued line are in the file."""
        self._unconfirmed = bytearray()
        """What was written since the last sync; it ends where the file does."""
        self._unconfirmed_records = 0
        self._refused = False
        """The last sync failed."""

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        stat = os.fstat(self._fd)
        return stat.st_dev, stat.st_ino

    @classmethod
    def create(
        cls, path: Path, lines: Sequence[bytes], *, fsync: Fsync, files: FileLayer
    ) -> AppendFile:
        """A new file that begins with `lines`; after an error there is none."""
        made = files.make_folders(path.parent)
        fd = files.create(path)
        with ExitStack() as undo:
            undo.callback(files.discard, fd, path)
            if not files.lock(fd):
                raise BlockingIOError(errno.EAGAIN, "another process took it at once")
            file = cls(path, fd, tail=Tail(), fsync=fsync, files=files)
            file.write(lines)
            if fsync != "never":
                for folder in {path.parent, *(folder.parent for folder in made)}:
                    files.sync_folder(folder)
            undo.pop_all()
        return file

    @property
    def next_line_no(self) -> int:
        """Where the next line that is handed over will stand, counted from 1.

        Exact unless another program writes to the file in between.
        """
        ahead = self._pending()
        is_repaired = self._queue and not self._queue[0].is_record
        if self._tail.fragment and not self._head_written and not is_repaired:
            ahead = self._tail.repair() + ahead
        return self._tail.line_count + ahead.count(b"\n") + 1

    @property
    def unsaved(self) -> int:
        """How many records are not in the file, or may be in it no more."""
        queued = sum(line.is_record for line in self._queue)
        return queued + (self._unconfirmed_records if self._refused else 0)

    def write(self, lines: Sequence[bytes] = ()) -> None:
        """Write what is queued, then `lines`, each with its end, in one system call."""
        self._queue.extend(_Line(line) for line in lines)
        if self._refused:
            self.sync()
        if self._queue:
            self._check_place()
            self._check_end()
            self._write_queue()
        if self._fsync == "record" or len(self._unconfirmed) > MAX_UNCONFIRMED_BYTES:
            self.sync()

    def mend(self) -> None:
        """Write what an unfinished last line needs, as the next record would."""
        if self._tail.fragment and not self._queue:
            self._queue.append(_Line(self._tail.repair(), is_record=False))
            self.write()

    def sync(self) -> None:
        """Make what is in the file durable, unless it never is to be."""
        if not self._unconfirmed:
            return
        try:
            if self._refused:
                self._check_place()
                offset = self._tail.size - len(self._unconfirmed)
                self._files.overwrite(self.path, offset, bytes(self._unconfirmed))
            else:
                self._files.sync(self._fd)
        except OSError:
            self._refused = True
            raise
        self._refused = False
        self._unconfirmed.clear()
        self._unconfirmed_records = 0

    def close(self) -> None:
        """Unlock and close, whatever is queued."""
        self._files.close(self._fd)

    def discard(self) -> None:
        """Close and remove a file that was just created."""
        self._files.discard(self._fd, self.path)

    def _check_place(self) -> None:
        """Refuse to write where nobody will find it."""
        here = os.fstat(self._fd)
        try:
            there = self.path.stat()
        except FileNotFoundError as exc:
            gone = "moved" if here.st_nlink else "deleted"
            raise OSError(errno.EIO, f"the file was {gone} while the session was open") from exc
        if not os.path.samestat(here, there):
            raise OSError(errno.EIO, "another file was put in its place")

    def _check_end(self) -> None:
        """See that the file ends where we left it, and that the next line will not be glued."""
        size = os.fstat(self._fd).st_size
        if size < self._tail.size:
            raise OSError(errno.EIO, "another program cut the file short")
        if size > self._tail.size:
            self._take_in_growth()
        is_next = self._queue and self._queue[0].is_record
        if self._tail.fragment and not self._head_written and is_next:
            self._queue.appendleft(_Line(self._tail.repair(), is_record=False))

    def _take_in_growth(self) -> None:
        """The file has more than we know of: our own failed write, or another program's."""
        with open_regular(self.path) as file:
            file.seek(self._tail.size)
            growth = file.read()
        if self._pending().startswith(growth):
            self._advance(growth)
            return
        self._append_known(growth)
        # A line of ours that was cut in two by it is written again, whole.
        self._head_written = 0
        if not self._queue[0].is_record:
            self._queue.popleft()

    def _pending(self) -> bytes:
        return b"".join(line.data for line in self._queue)[self._head_written :]

    def _write_queue(self) -> None:
        rest = memoryview(self._pending())
        while rest:
            try:
                count = self._files.write(self._fd, rest)
            except InterruptedError:
                continue
            if count <= 0:
                raise OSError(errno.EIO, "the device took nothing")
            self._advance(bytes(rest[:count]))
            rest = rest[count:]

    def _advance(self, data: bytes) -> None:
        """`data`, the first bytes of what is pending, is in the file."""
        self._append_known(data)
        behind = self._head_written + len(data)
        while self._queue and behind >= len(self._queue[0].data):
            line = self._queue.popleft()
            behind -= len(line.data)
            self._unconfirmed_records += line.is_record
        self._head_written = behind

    def _append_known(self, data: bytes) -> None:
        self._tail = self._tail.extended(data)
        if self._fsync != "never":
            self._unconfirmed += data

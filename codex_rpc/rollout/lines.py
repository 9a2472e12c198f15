"""Lines of a file: read in chunks, and how a file ends.

Knows `\\n` and bytes; of what is in a line, only whether it is a JSON object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from codex_rpc.protocol.frozen import frozen

CHUNK_BYTES = 1 << 17
BOM = b"\xef\xbb\xbf"
"""What some editors put in front of a file that they save."""
USUAL_FIRST_LINE_BYTES = 4096
"""Most are shorter, and of many files only these lines are read."""
MAX_FIRST_LINE_BYTES = 16 << 20
"""A longer first line is no header; what is asked about may be any file."""


def never_cancelled() -> None:
    """For callers that nobody cancels."""


def object_in(line: bytes) -> dict[str, Any] | None:
    """The JSON object that `line` is; None if it is anything else."""
    try:
        value = orjson.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def first_line(fd: int) -> bytes:
    """The first line of an open file, without its end; leaves the file at its start.

    A line of more than `MAX_FIRST_LINE_BYTES` is cut.
    """
    line, end, _ = read_at(fd, 0, USUAL_FIRST_LINE_BYTES).partition(b"\n")
    if not end:
        line = line_at(fd, 0, max_bytes=MAX_FIRST_LINE_BYTES)
    os.lseek(fd, 0, os.SEEK_SET)
    return line


def line_at(fd: int, offset: int, *, max_bytes: int | None = None) -> bytes:
    """The line of an open file that begins at `offset`, without its end; b"" behind the last.

    Cut after about `max_bytes`.
    """
    os.lseek(fd, offset, os.SEEK_SET)
    parts: list[bytes] = []
    size = 0
    while (max_bytes is None or size < max_bytes) and (chunk := os.read(fd, 1 << 16)):
        head, end, _ = chunk.partition(b"\n")
        parts.append(head)
        size += len(head)
        if end:
            break
    return b"".join(parts)


def read_at(fd: int, offset: int, size: int) -> bytes:
    """The `size` bytes from `offset` on; less only where the file ends."""
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, size)


@frozen
class Tail:
    """How a file ends."""

    size: int = 0
    """In bytes."""
    line_count: int = 0
    """How many lines have their end."""
    fragment: bytes = b""
    """What follows the last line end."""

    def extended(self, data: bytes) -> Tail:
        """The tail after `data` was appended."""
        size = self.size + len(data)
        complete, end, rest = data.rpartition(b"\n")
        if not end:
            return Tail(size, self.line_count, self.fragment + data)
        return Tail(size, self.line_count + complete.count(b"\n") + 1, rest)

    def repair(self) -> bytes:
        """What has to be written before the next record, so that nothing is glued together.

        Nothing after a line end; a line end after an object; a line end and a `damaged`
        record after anything else.
        """
        if not self.fragment:
            return b""
        if object_in(self.fragment) is not None:
            return b"\n"
        record = {
            "record_type": "damaged",
            "line": self.line_count + 1,
            "bytes": len(self.fragment),
            "reason": UNFINISHED,
        }
        return b"\n" + orjson.dumps(record) + b"\n"


UNFINISHED = "the last line is unfinished"


class Lines:
    """The lines of an open file from `start`, where a line begins, in batches; iterate once.

    They end with the file, or at `end`, where a line begins. `line_count` is how many are
    before `start`. `check` is called before each chunk and may raise to stop.
    """

    def __init__(
        self,
        fd: int,
        check: Callable[[], None] = never_cancelled,
        *,
        start: int = 0,
        line_count: int = 0,
        end: int | None = None,
    ) -> None:
        self._fd = fd
        self._check = check
        self._start = start
        self._end = end
        self.line_count = line_count
        """Before `start`."""
        self.tail = Tail(start, line_count)
        """How the file ends, once the iteration has."""

    def __iter__(self) -> Iterator[list[bytes]]:
        size, line_count = self._start, self.line_count
        parts: list[bytes] = []
        while True:
            self._check()
            wanted = CHUNK_BYTES if self._end is None else min(CHUNK_BYTES, self._end - size)
            # Whoever takes the lines may read elsewhere in the file meanwhile.
            chunk = read_at(self._fd, size, wanted)
            if not chunk:
                break
            size += len(chunk)
            parts.append(chunk)
            # A line that goes on over many chunks is put together once, at its end.
            if b"\n" not in chunk:
                continue
            lines = b"".join(parts).split(b"\n")
            parts = [lines.pop()]
            line_count += len(lines)
            yield lines
        self.tail = Tail(size, line_count, b"".join(parts))


def lines_before(
    fd: int, end: int, check: Callable[[], None] = never_cancelled
) -> Iterator[tuple[int, bytes]]:
    """The lines of an open file that begin before `end`, the last one first, and where.

    The first is what is between the last line end and `end`, if that is anything. A file that
    has become shorter than `end` is read as far as it goes.
    """
    parts: list[bytes] = []
    """A line whose beginning is not found yet, from its end."""
    position = end
    while position > 0:
        check()
        size = min(CHUNK_BYTES, position)
        position -= size
        chunk = read_at(fd, position, size)
        pieces = chunk.split(b"\n")
        begin = position + len(chunk)
        while len(pieces) > 1:
            parts.append(pieces.pop())
            begin -= len(parts[-1])
            line = b"".join(reversed(parts))
            parts.clear()
            if begin < end:
                yield begin, line
            begin -= 1
        parts.append(pieces[0])
    if end > 0:
        yield 0, b"".join(reversed(parts))

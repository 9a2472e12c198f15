"""Lines of a file: read in chunks, and how a file ends.

Knows `\\n` and bytes; of what is in a line, only whether it is a JSON object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from codex_rpc.protocol.frozen import frozen

CHUNK_BYTES = 1 << 20
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
    os.lseek(fd, 0, os.SEEK_SET)
    line = b""
    while len(line) < MAX_FIRST_LINE_BYTES and (chunk := os.read(fd, 1 << 16)):
        head, end, _ = chunk.partition(b"\n")
        line += head
        if end:
            break
    os.lseek(fd, 0, os.SEEK_SET)
    return line


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
    """The lines of an open file, from its start, in batches; iterate once.

    `check` is called before each chunk and may raise to stop.
    """

    def __init__(self, fd: int, check: Callable[[], None] = never_cancelled) -> None:
        self._fd = fd
        self._check = check
        self.tail = Tail()
        """How the file ends, once the iteration has."""

    def __iter__(self) -> Iterator[list[bytes]]:
        size = line_count = 0
        parts: list[bytes] = []
        os.lseek(self._fd, 0, os.SEEK_SET)
        while True:
            self._check()
            chunk = os.read(self._fd, CHUNK_BYTES)
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

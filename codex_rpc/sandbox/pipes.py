"""The pipes that a command writes its output to, and its launcher a report.

We make the pipes ourselves because then nothing reads ahead of us: a pipe that we leave unread
fills, and the command waits. It also makes closing them certain, whoever else holds the
other end. Windows cannot wait for such pipes, so there the event loop's own streams are used.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Literal, get_args

import anyio
import anyio.abc

Stream = Literal["stdout", "stderr"]

STREAMS: tuple[Stream, ...] = get_args(Stream)

MAX_READ = 8192
"""How many bytes one read returns at most."""


class ReadPipe:
    """A pipe of which we hold the end for reading."""

    def __init__(self) -> None:
        """Make the pipe. Raises OSError when there are no file descriptors left."""
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)

    @property
    def child_end(self) -> int:
        """What to hand to the child."""
        return self._write_fd

    def handed_over(self) -> None:
        """The child has been started, and holds its own copy of `child_end`."""
        self._close_child_end()

    def read_now(self) -> bytes | None:
        """At most `MAX_READ` bytes; `b""`: everyone has closed it; None: nothing is there now."""
        try:
            return os.read(self._read_fd, MAX_READ)
        except BlockingIOError:
            return None

    async def readable(self) -> None:
        """Wait until `read_now` has something to return."""
        await anyio.wait_readable(self._read_fd)

    def close(self) -> None:
        """Let go of both ends; who still writes gets SIGPIPE. Not to be called twice."""
        self._close_child_end()
        os.close(self._read_fd)

    def _close_child_end(self) -> None:
        if self._write_fd >= 0:
            fd, self._write_fd = self._write_fd, -1
            os.close(fd)


class OutputPipe(ReadPipe):
    """One stream of a command's output."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.stream = stream

    def attach(self, process: anyio.abc.Process) -> None:
        """The child is `process`, and holds its own copy of `child_end`."""
        del process
        self.handed_over()


class StreamPipe:
    """The same over the event loop's streams, for Windows."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._source: anyio.abc.ByteReceiveStream | None = None
        self._next: bytes | None = None

    @property
    def child_end(self) -> int:
        return subprocess.PIPE

    def attach(self, process: anyio.abc.Process) -> None:
        self._source = process.stdout if self.stream == "stdout" else process.stderr

    def read_now(self) -> bytes | None:
        data, self._next = self._next, None
        return data

    async def readable(self) -> None:
        assert self._source is not None, "attach comes first"
        if self._next is None:
            try:
                self._next = await self._source.receive(MAX_READ)
            except anyio.EndOfStream:
                self._next = b""

    def close(self) -> None:
        """Nothing to do: the process's transport owns the pipe."""


def output_pipe(stream: Stream) -> OutputPipe | StreamPipe:
    """A new pipe of the kind that this platform can wait for."""
    return StreamPipe(stream) if sys.platform == "win32" else OutputPipe(stream)

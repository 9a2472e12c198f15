"""The process's standard input and output, as bytes: the only module that touches fd 0 and 1.

Owns how reading and writing wait without holding up the event loop, whatever the descriptors
are: pipes and sockets are polled; regular files, terminals and everything on Windows have a
daemon thread each, because a thread of the worker pool that is stuck in a read would keep the
process alive. Knows no messages.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import stat
import sys
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

import anyio
import anyio.lowlevel

logger = logging.getLogger(__name__)

CHUNK_BYTES = 64 * 1024
"""How much is read at once."""


class PeerGone(Exception):
    """Raised when nobody can read any more what we write."""


class ByteReader(Protocol):
    """Where the peer's bytes come from; one reader at a time."""

    async def read(self) -> bytes:
        """The next bytes, at most `CHUNK_BYTES`; `b""` when there will be none.

        Cancelled, it has taken nothing.
        """
        ...

    def close(self) -> None:
        """Let go of the descriptor. Nobody may be reading."""
        ...


class ByteWriter(Protocol):
    """Where bytes for the peer go; one writer at a time."""

    @property
    def written(self) -> int:
        """How many bytes the system has taken so far."""
        ...

    async def write(self, data: bytes) -> None:
        """Return when the system has taken all of `data`. Cancelled, it may have taken a part.

        Raises:
            PeerGone: it never will.
        """
        ...

    def close(self) -> None:
        """Let go of the descriptor. Nobody may be writing."""
        ...


def claim() -> tuple[ByteReader, ByteWriter]:
    """Take standard input and output away from everything else in this process.

    From here on fd 0 is the null device and fd 1 is standard error, for us and for our
    children, so that no print and no child can tear a message. To be called once, before an
    event loop or anything else opens descriptors: one that was closed is replaced by the null
    device, and must not have been taken by something else meanwhile.
    """
    for fd in (0, 1, 2):
        _ensure_open(fd)
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return reader_for(source), writer_for(sink)


def reader_for(fd: int) -> ByteReader:
    """A reader that owns `fd`, and polls it if it can be polled."""
    if sys.platform != "win32":
        mode = os.fstat(fd).st_mode
        if stat.S_ISSOCK(mode):
            sock = socket.socket(fileno=fd)
            return _PolledReader(fd, lambda size: sock.recv(size, socket.MSG_DONTWAIT), sock.close)
        if stat.S_ISFIFO(mode):
            fd, close = _private_pipe(fd, os.O_RDONLY)
            return _PolledReader(fd, partial(os.read, fd), close)
    return _ThreadReader(fd)


def writer_for(fd: int) -> ByteWriter:
    """A writer that owns `fd`, and polls it if it can be polled."""
    if sys.platform != "win32":
        mode = os.fstat(fd).st_mode
        if stat.S_ISSOCK(mode):
            sock = socket.socket(fileno=fd)
            return _PolledWriter(fd, lambda data: sock.send(data, socket.MSG_DONTWAIT), sock.close)
        if stat.S_ISFIFO(mode):
            fd, close = _private_pipe(fd, os.O_WRONLY)
            return _PolledWriter(fd, partial(os.write, fd), close)
    return _ThreadWriter(fd)


def _ensure_open(fd: int) -> None:
    try:
        os.fstat(fd)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != fd:
            os.dup2(null, fd)
            os.close(null)


def _private_pipe(fd: int, flags: int) -> tuple[int, Callable[[], None]]:
    """A non-blocking descriptor for the pipe of `fd`, which is used up, and how to close it.

    O_NONBLOCK belongs to the open file description, which may be shared with processes that
    do not expect it: a shell's next command, say. Linux gives us a description of our own;
    elsewhere the flag is taken back when we close.
    """
    if sys.platform == "linux":
        try:
            private = os.open(f"/proc/self/fd/{fd}", flags | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            logger.debug("no private description of a pipe: %s", exc)
        else:
            os.close(fd)
            return private, partial(os.close, private)
    os.set_blocking(fd, False)

    def close() -> None:
        os.set_blocking(fd, True)
        os.close(fd)

    return fd, close


def _read(receive: Callable[[int], bytes]) -> bytes:
    """What `receive` gives; the end of the input if it fails for good."""
    try:
        return receive(CHUNK_BYTES)
    except BlockingIOError:
        raise
    except OSError as exc:
        # A terminal that was hung up says EIO, and a socket ECONNRESET: that is how they end.
        if exc.errno not in (errno.ECONNRESET, errno.EIO):
            logger.error("cannot read the input: %s", exc.strerror)
        return b""


class _PolledReader:
    def __init__(self, fd: int, receive: Callable[[int], bytes], close: Callable[[], None]) -> None:
        self._fd = fd
        self._receive = receive
        self.close = close

    async def read(self) -> bytes:
        # Even where the peer never pauses, others get their turn.
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return _read(self._receive)
            except BlockingIOError:
                await anyio.wait_readable(self._fd)


class _PolledWriter:
    def __init__(
        self, fd: int, send: Callable[[memoryview], int], close: Callable[[], None]
    ) -> None:
        self._fd = fd
        self._send = send
        self.close = close
        self.written = 0

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                count = self._send(rest)
            except BlockingIOError:
                await anyio.wait_writable(self._fd)
            except OSError as exc:
                raise PeerGone(exc.strerror) from exc
            else:
                self.written += count
                rest = rest[count:]
        await anyio.lowlevel.checkpoint()


class _Worker:
    """A daemon thread that does one blocking job after the other and then closes `fd`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = False

    def start(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        """Run `job` in the thread, then `done` in the running event loop."""
        loop = asyncio.get_running_loop()

        def work() -> None:
            job()
            try:
                loop.call_soon_threadsafe(done)
            except RuntimeError:
                # The loop was closed while the thread was stuck; nobody waits any more.
                logger.debug("what a thread had waited for came after the end")

        if not self._started:
            self._started = True
            Thread(target=self._run, name=f"stdio-{self._fd}", daemon=True).start()
        self._jobs.put(work)

    def close(self) -> None:
        """Close the descriptor as soon as nothing is stuck in it."""
        if self._started:
            self._jobs.put(None)
        else:
            os.close(self._fd)

    def _run(self) -> None:
        while (work := self._jobs.get()) is not None:
            work()
        os.close(self._fd)


class _ThreadReader:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._worker = _Worker(fd)
        self._data = b""
        self._pending: anyio.Event | None = None
        """Set when the read that was begun has ended; None: none was begun."""

    async def read(self) -> bytes:
        if self._pending is None:
            self._pending = anyio.Event()
            self._worker.start(self._fill, self._pending.set)
        await self._pending.wait()
        self._pending = None
        return self._data

    def _fill(self) -> None:
        self._data = _read(partial(os.read, self._fd))

    def close(self) -> None:
        self._worker.close()


class _ThreadWriter:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._worker = _Worker(fd)
        self.written = 0

    async def write(self, data: bytes) -> None:
        done = anyio.Event()
        failure: OSError | None = None

        def drain() -> None:
            nonlocal failure
            rest = memoryview(data)
            try:
                while rest:
                    count = os.write(self._fd, rest)
                    self.written += count
                    rest = rest[count:]
            except OSError as exc:
                failure = exc

        self._worker.start(drain, done.set)
        await done.wait()
        if failure is not None:
            raise PeerGone(failure.strerror) from failure

    def close(self) -> None:
        self._worker.close()

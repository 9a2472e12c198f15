"""Standard input and output: real pipes, sockets, files and terminals, and whole processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from anyio import fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from codex_rpc.rpc.stdio import ByteReader, ByteWriter, PeerGone, reader_for, writer_for

if sys.platform == "win32":
    pytest.skip("needs POSIX descriptors", allow_module_level=True)

import pty
import tty

Channel = tuple[ByteReader, ByteWriter]


def pipe_fds() -> tuple[int, int]:
    return os.pipe()


def socket_fds() -> tuple[int, int]:
    a, b = socket.socketpair()
    return a.detach(), b.detach()


def terminal_fds() -> tuple[int, int]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    return slave, master


ALL = pytest.mark.parametrize("make", [pipe_fds, socket_fds, terminal_fds])
POLLED = pytest.mark.parametrize("make", [pipe_fds, socket_fds])


@pytest.fixture
def channel(make: Callable[[], tuple[int, int]]) -> Iterator[Channel]:
    source, sink = make()
    reader, writer = reader_for(source), writer_for(sink)
    yield reader, writer
    reader.close()
    writer.close()


async def read_exactly(reader: ByteReader, count: int) -> bytes:
    data = b""
    with fail_after(5):
        while len(data) < count:
            chunk = await reader.read()
            assert chunk
            data += chunk
    return data


@ALL
async def test_what_is_written_is_read(channel: Channel) -> None:
    reader, writer = channel
    data = os.urandom(300_000)
    async with anyio.create_task_group() as tg:
        tg.start_soon(writer.write, data)
        assert await read_exactly(reader, len(data)) == data
    assert writer.written == len(data)


@POLLED
async def test_the_input_ends_when_the_other_side_closes(
    make: Callable[[], tuple[int, int]],
) -> None:
    source, sink = make()
    reader = reader_for(source)
    os.write(sink, b"last words")
    os.close(sink)
    with fail_after(5):
        assert await reader.read() == b"last words"
        assert await reader.read() == b""
        assert await reader.read() == b""
    reader.close()


@ALL
async def test_a_read_that_is_cancelled_takes_nothing(channel: Channel) -> None:
    reader, writer = channel
    async with anyio.create_task_group() as tg:
        tg.start_soon(reader.read)
        await wait_all_tasks_blocked()
        tg.cancel_scope.cancel()
    with fail_after(5):
        await writer.write(b"for the next")
    assert await read_exactly(reader, 12) == b"for the next"


@POLLED
async def test_a_reader_that_pauses_makes_the_writer_wait_and_nobody_else(
    channel: Channel,
) -> None:
    reader, writer = channel
    data = os.urandom(3_000_000)
    async with anyio.create_task_group() as tg:
        tg.start_soon(writer.write, data)
        await wait_all_tasks_blocked()
        assert 0 < writer.written < len(data)
        assert await read_exactly(reader, len(data)) == data


@POLLED
async def test_a_peer_that_never_pauses_leaves_others_their_turn(channel: Channel) -> None:
    reader, writer = channel
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with anyio.create_task_group() as tg:
        tg.start_soon(count_turns)
        for _ in range(20):
            await writer.write(b"x")
            await reader.read()
        tg.cancel_scope.cancel()
    assert turns >= 20


@POLLED
async def test_writing_to_nobody_says_so(make: Callable[[], tuple[int, int]]) -> None:
    source, sink = make()
    writer = writer_for(sink)
    os.close(source)
    with fail_after(5), pytest.raises(PeerGone):
        await writer.write(b"hello?")
    writer.close()


@POLLED
async def test_a_reader_that_goes_away_ends_a_write_that_waits(
    make: Callable[[], tuple[int, int]],
) -> None:
    source, sink = make()
    writer = writer_for(sink)
    gone = False

    async def write() -> None:
        nonlocal gone
        try:
            await writer.write(b"x" * 3_000_000)
        except PeerGone:
            gone = True

    with fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(write)
            await wait_all_tasks_blocked()
            os.close(source)
    assert gone
    writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@POLLED
async def test_descriptors_that_others_share_stay_blocking(
    make: Callable[[], tuple[int, int]],
) -> None:
    source, sink = make()
    shared = os.dup(source), os.dup(sink)
    reader, writer = reader_for(source), writer_for(sink)
    with fail_after(5):
        await writer.write(b"x")
        await reader.read()
    assert all(os.get_blocking(fd) for fd in shared)
    reader.close()
    writer.close()
    for fd in shared:
        os.close(fd)


async def test_a_named_pipe_without_a_reader_is_a_peer_that_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    both = os.open(path, os.O_RDWR)
    sink = os.open(path, os.O_WRONLY)
    os.close(both)
    shared = os.dup(sink)
    # It cannot be opened anew, so the flag is set on what others share, until we close.
    writer = writer_for(sink)
    with fail_after(5), pytest.raises(PeerGone):
        await writer.write(b"hello?")
    writer.close()
    assert os.get_blocking(shared)
    os.close(shared)


async def test_files_are_read_to_their_end_and_written(tmp_path: Path) -> None:
    path = tmp_path / "out"
    data = os.urandom(200_000)
    writer = writer_for(os.open(path, os.O_WRONLY | os.O_CREAT))
    with fail_after(5):
        await writer.write(data)
    writer.close()
    reader = reader_for(os.open(path, os.O_RDONLY))
    assert await read_exactly(reader, len(data)) == data
    with fail_after(5):
        assert await reader.read() == b""
    reader.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_file_that_takes_nothing_is_a_peer_that_has_gone() -> None:
    writer = writer_for(os.open("/dev/full", os.O_WRONLY))
    with fail_after(5), pytest.raises(PeerGone, match="No space left"):
        await writer.write(b"x")
    writer.close()


async def test_a_directory_is_an_input_that_has_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = reader_for(os.open(tmp_path, os.O_RDONLY))
    with fail_after(5):
        assert await reader.read() == b""
    assert "cannot read the input: Is a directory" in caplog.text
    reader.close()


# What claiming does to a process.

CLAIMING = """
import anyio, os, subprocess
from codex_rpc.rpc.stdio import claim

reader, writer = claim()

async def main():
    print("a stray print", flush=True)
    subprocess.run(["sh", "-c", "echo a stray child; cat"])
    assert os.read(0, 1) == b""
    data = b""
    while chunk := await reader.read():
        data += chunk
    await writer.write(b"<" + data + b">")

anyio.run(main)
"""


def run_claiming(redirections: str = "") -> subprocess.CompletedProcess[bytes]:
    shell = f'printf input | "$0" -c "$1" {redirections}'
    return subprocess.run(
        ["sh", "-c", shell, sys.executable, CLAIMING],
        capture_output=True,
        timeout=10,
        check=False,
    )


def test_neither_a_print_nor_a_child_can_reach_the_peer() -> None:
    done = run_claiming()
    assert done.stdout == b"<input>"
    assert done.stderr == b"a stray print\na stray child\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("redirections", "stdout"),
    [("<&-", b"<>"), (">&-", b""), ("2>&-", b"<input>"), ("<&- >&- 2>&-", b"")],
)
def test_closed_descriptors_are_no_trouble(redirections: str, stdout: bytes) -> None:
    done = run_claiming(redirections)
    assert (done.returncode, done.stdout) == (0, stdout)


def test_a_terminal_that_says_nothing_does_not_keep_the_process_alive() -> None:
    script = """
import anyio
from anyio import wait_all_tasks_blocked
from codex_rpc.rpc.stdio import claim

reader, _ = claim()

async def main():
    async with anyio.create_task_group() as tg:
        tg.start_soon(reader.read)
        await wait_all_tasks_blocked()
        tg.cancel_scope.cancel()

anyio.run(main)
"""
    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=slave, capture_output=True, timeout=10, check=False
    )
    os.close(slave)
    os.close(master)
    assert (done.returncode, done.stderr) == (0, b"")

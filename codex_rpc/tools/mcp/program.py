"""The program behind a connection: lines to its stdin, lines from its stdout, and its death.

The program is the user's own configuration and is not confined, but it is supervised: with it
dies everything that it started, also when we are killed. Owns the pipes, the last words on stderr
and the order of the end. It does not know what the lines mean.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel

from codex_rpc.config.settings import McpServer
from codex_rpc.sandbox.inheritance import inheritable
from codex_rpc.sandbox.pipes import OutputPipe, ReadPipe, StreamPipe, output_pipe
from codex_rpc.sandbox.supervisor import Report, supervised, with_status
from codex_rpc.sandbox.tree import ProcessTree, spawn_options
from codex_rpc.tools.mcp.lost import Lost
from codex_rpc.tools.mcp.words import LastWords

INHERITED = frozenset({"HOME", "LANG", "PATH", "SHELL", "TERM", "USER", "LOGNAME", "TMPDIR"})
"""The variables that every program needs; it gets these and those that are configured for it."""

INHERITED_ON_WINDOWS = frozenset(
    {"APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATH", "PATHEXT"}
    | {"PROGRAMDATA", "PROGRAMFILES", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERNAME"}
    | {"USERPROFILE"}
)

EOF_S = 0.25
"""How long a program has to end by itself when its stdin is closed."""

TERM_S = 1.25
"""And then between SIGTERM and SIGKILL. With `EOF_S` it stays within the time that closing a
session may take."""

REAP_S = 2.0
"""How long we wait for what SIGKILL hit."""

DRAIN_S = 0.2
"""How long others may hold the output open after the program's end."""

POLL_S = 0.01

MAX_LINE = 32 << 20
"""How long a message may be, in bytes."""


def program_environment(server: McpServer, environ: Mapping[str, str]) -> dict[str, str]:
    """What the server's program sees of `environ`, our own environment, and its own variables."""
    names = INHERITED_ON_WINDOWS if sys.platform == "win32" else INHERITED
    inherited = {name: value for name, value in environ.items() if name.upper() in names}
    return {**inherited, **server.env}


@asynccontextmanager
async def running(
    server: McpServer, *, cwd: Path, environ: Mapping[str, str]
) -> AsyncIterator[Program]:
    """Start the server's program. Whoever leaves, also by cancellation, leaves it dead, with all
    that it started.

    Raises:
        Lost: it could not be started.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()
    assert server.command is not None, "a server without a program is reached at its address"
    argv = (server.command, *server.args)
    folder = server.cwd or cwd
    with ExitStack() as stack:
        try:
            launch = supervised(argv, program_environment(server, environ))
            stdin = stack.enter_context(closing(_input_pipe()))
            stdout = stack.enter_context(closing(output_pipe("stdout")))
            stderr = stack.enter_context(closing(output_pipe("stderr")))
            arguments, inherited = stack.enter_context(inheritable(launch))
            status: ReadPipe | None = None
            if launch.wrapper == "supervisor":
                status = stack.enter_context(closing(ReadPipe()))
                arguments = with_status(arguments, status.child_end)
                inherited = [*inherited, status.child_end]
            # Spawning is short, and cancelled halfway would leave a process without an owner.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    arguments,
                    stdin=stdin.child_end,
                    stdout=stdout.child_end,
                    stderr=stderr.child_end,
                    cwd=folder,
                    env=launch.env,
                    pass_fds=inherited,
                    **spawn_options(),
                )
        except (OSError, ValueError) as exc:
            raise Lost(_in_words(exc, folder)) from exc
        stdin.attach(process)
        stdout.attach(process)
        stderr.attach(process)
        if status is not None:
            status.handed_over()
        tree = ProcessTree(process.pid, launch.wrapper)
        program = Program(process, tree, stdin, stdout, stderr, status)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(program.listen)
                group.start_soon(program.watch)
                yield program
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await program.stop()


class Program:
    """A running program."""

    def __init__(
        self,
        process: anyio.abc.Process,
        tree: ProcessTree,
        stdin: _InputPipe | _InputStream,
        stdout: OutputPipe | StreamPipe,
        stderr: OutputPipe | StreamPipe,
        status: ReadPipe | None,
    ) -> None:
        self._process = process
        self._tree = tree
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self._status = status
        self._report = Report()
        self._words = LastWords()
        self._ended = anyio.Event()
        self._output_over = False
        """Nothing more is to be expected on stdout."""
        self._waiting = anyio.CancelScope()

    async def lines(self) -> AsyncIterator[bytes]:
        """What the program writes to stdout, without line ends and empty lines.

        Raises:
            Lost: there will be no more.
        """
        rest = bytearray()
        while data := await self._read():
            *whole, last = data.split(b"\n")
            for part in whole:
                line = bytes(rest + part)
                rest.clear()
                if line.strip():
                    yield line
            rest += last
            if len(rest) > MAX_LINE:
                raise Lost(f"it sent a message of more than {MAX_LINE >> 20} MiB")
        raise Lost(await self._how_it_ended())

    async def send(self, data: bytes) -> None:
        """Write to stdin, waiting for the program to read.

        Raises:
            Lost: nobody will read it.
        """
        try:
            await self._stdin.send(data)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise Lost(await self._how_it_ended()) from exc

    def said(self, line: bytes) -> None:
        """Take `line` for last words: it came on stdout, but is no message."""
        self._words.add(line + b"\n")

    def last_words(self) -> str:
        """The last lines on stderr, each indented, without control characters; may be empty."""
        while data := self._stderr.read_now():
            self._words.add(data)
        return self._words.text()

    async def listen(self) -> None:
        """Read stderr, which nobody else does, until its end."""
        while (data := self._stderr.read_now()) != b"":
            if data is None:
                await self._stderr.readable()
            else:
                self._words.add(data)
                await anyio.lowlevel.checkpoint()

    async def watch(self) -> None:
        """Notice the program's end, also when others hold its output open."""
        if self._status is None or not await self._is_reported(self._status):
            await self._process.wait()
        self._ended.set()
        await anyio.sleep(DRAIN_S)
        self._output_over = True
        self._waiting.cancel()

    async def stop(self) -> None:
        """End it, and all that it started. To be called once, shielded."""
        self._stdin.close_for_good()
        if not await self._gone_within(EOF_S):
            self._tree.terminate()
            await self._gone_within(TERM_S)
        with anyio.move_on_after(REAP_S):
            # What forks while it is being killed is found in the next round.
            while self._tree.kill():  # noqa: ASYNC110
                await anyio.sleep(POLL_S)
            await self._process.wait()

    async def _read(self) -> bytes:
        """The next bytes of stdout; empty: there will be none."""
        while (data := self._stdout.read_now()) is None:
            if self._output_over:
                return b""
            with anyio.CancelScope() as self._waiting:
                await self._stdout.readable()
        # A fast writer must not keep the event loop from everything else.
        await anyio.lowlevel.checkpoint()
        return data

    async def _is_reported(self, status: ReadPipe) -> bool:
        """Wait for the report of the end; False: the launcher was killed before, or failed."""
        while not self._report.ended:
            data = status.read_now()
            if data is None:
                await status.readable()
                continue
            if not data:
                return False
            self._report.feed(data)
            if self._report.pid is not None:
                self._tree.add_leader(self._report.pid)
        return True

    async def _gone_within(self, seconds: float) -> bool:
        """Whether all of it ends in that time. The pipes are kept from filling up meanwhile."""
        with anyio.move_on_after(seconds):
            while self._tree.alive():
                while self._stdout.read_now():
                    pass
                while data := self._stderr.read_now():
                    self._words.add(data)
                await anyio.sleep(POLL_S)
            return True
        return False

    async def _how_it_ended(self) -> str:
        with anyio.move_on_after(DRAIN_S):
            await self._ended.wait()
        if self._report.problem is not None:
            return _in_words(self._report.problem, None)
        code, number = self._report.exit_code, self._report.signal
        returncode = self._process.returncode
        if code is None and number is None and returncode is not None:
            code, number = (returncode, None) if returncode >= 0 else (None, -returncode)
        if number is not None:
            return f"it was killed by signal {number}{_signal_name(number)}"
        return f"it ended with exit code {code}" if code is not None else "it closed its output"


def _signal_name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""


def _in_words(exc: OSError | ValueError, folder: Path | None) -> str:
    if not isinstance(exc, OSError) or exc.strerror is None:
        return str(exc)
    words = f"{exc.strerror} (os error {exc.errno})"
    if folder is not None and exc.filename is not None and os.fspath(exc.filename) == str(folder):
        return f"{words}: {folder}, the folder it should run in"
    return words


class _InputPipe:
    """A program's stdin: a pipe that we write to without blocking."""

    def __init__(self) -> None:
        """Make the pipe. Raises OSError when there are no file descriptors left."""
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._write_fd, False)

    @property
    def child_end(self) -> int:
        """What to hand to the child."""
        return self._read_fd

    def attach(self, process: anyio.abc.Process) -> None:
        """The child has been started, and holds its own copy of `child_end`."""
        del process
        self._close_child_end()

    async def send(self, data: bytes) -> None:
        """Write all of it. Raises OSError when nobody reads any more."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._write_fd, rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._write_fd)

    def close_for_good(self) -> None:
        """The program reads the end. Nobody may be sending."""
        if self._write_fd >= 0:
            fd, self._write_fd = self._write_fd, -1
            os.close(fd)

    def close(self) -> None:
        """Let go of both ends."""
        self._close_child_end()
        self.close_for_good()

    def _close_child_end(self) -> None:
        if self._read_fd >= 0:
            fd, self._read_fd = self._read_fd, -1
            os.close(fd)


class _InputStream:
    """The same over the event loop's streams, for Windows, which cannot wait for pipes."""

    child_end = subprocess.PIPE

    def __init__(self) -> None:
        self._sink: anyio.abc.ByteSendStream | None = None

    def attach(self, process: anyio.abc.Process) -> None:
        self._sink = process.stdin

    async def send(self, data: bytes) -> None:
        assert self._sink is not None, "attach comes first"
        await self._sink.send(data)

    def close_for_good(self) -> None:
        """Nothing to do: here the program is killed, not asked to end."""

    def close(self) -> None:
        """Nothing to do: the process's transport owns the pipe."""


def _input_pipe() -> _InputPipe | _InputStream:
    return _InputStream() if sys.platform == "win32" else _InputPipe()

"""Runs one command from its start to the death of everything it started.

Owns the order of things: output is handed on as it arrives; the deadline holds for the command
and for the draining of its pipes; whoever leaves `run_process`, also by cancellation, leaves
no process of the command behind. It does not know what the output means, who may see it, what
confines the command, nor whether it was allowed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel

from codex_rpc.protocol.frozen import frozen
from codex_rpc.sandbox.inheritance import inheritable
from codex_rpc.sandbox.launch import Launch
from codex_rpc.sandbox.pipes import (
    STREAMS,
    OutputPipe,
    ReadPipe,
    Stream,
    StreamPipe,
    output_pipe,
)
from codex_rpc.sandbox.supervisor import Report, with_status
from codex_rpc.sandbox.tree import ProcessTree, spawn_options

GRACE_S = 0.2
"""How long background processes may go on, and hold the output open, after a command's end."""

TERM_S = 1.0
"""How long processes have between SIGTERM and SIGKILL."""

REAP_S = 2.0
"""How long we wait for what SIGKILL hit; the kernel may keep it longer (a dead network disk)."""

POLL_S = 0.01

MAX_REST = 1 << 20
"""How many bytes are still read after the end; more than a pipe holds."""

OnOutput = Callable[[Stream, bytes], Awaitable[None]]
"""Takes output. It keeps the bytes before its first wait, and may be cancelled while it waits."""


@frozen(kw_only=True)
class ProcessResult:
    """How a command ended."""

    exit_code: int | None
    """None: it did not end by itself, see `timed_out` and `signal`."""
    signal: int | None = None
    """The signal that killed it, if it was not us. Bubblewrap does not tell: there a command that
    is killed by signal n ends with the exit code 128 + n."""
    timed_out: bool = False
    duration_s: float
    """Until the command itself ended; not the drain."""
    stopped: int = 0
    """How many processes it had left in the background, which were then ended. Bubblewrap ends
    them with the command, and they are not counted."""
    detached: bool = False
    """Something out of our reach still holds its output open: another user's process, one that
    somebody else started for the command, or, where there is no wrapper, a daemon."""


@frozen
class NotStarted:
    """There is no such program or directory, or it may not be run."""

    reason: str

    @classmethod
    def because(cls, exc: OSError | ValueError) -> NotStarted:
        """The same in words: `No such file or directory: 'foo'`."""
        if isinstance(exc, OSError) and exc.strerror:
            subject = f": {os.fspath(exc.filename)!r}" if exc.filename is not None else ""
            return cls(exc.strerror + subject)
        return cls(str(exc))


async def run_process(
    launch: Launch, *, cwd: Path, deadline_s: float | None, on_output: OnOutput
) -> ProcessResult | NotStarted:
    """Run `launch` in `cwd` with null stdin, apart from our process group, until all has ended.

    Returns when the command has exited and its output is drained. What it left in the background
    gets `GRACE_S` and is then ended; `deadline_s` (None: no deadline) after the start all of it
    is ended, SIGTERM first. While `on_output` waits, that pipe is left unread and the deadline
    runs on. Cancelled: ends all of it, hands the last output to `on_output`, and goes on with
    the cancellation.
    """
    # Who has been cancelled already starts nothing any more.
    await anyio.lowlevel.checkpoint_if_cancelled()
    with ExitStack() as stack:
        try:
            pipes = [stack.enter_context(closing(output_pipe(stream))) for stream in STREAMS]
            argv, inherited = stack.enter_context(inheritable(launch))
            stdin = os.open(launch.stdin, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            stack.callback(os.close, stdin)
            status: ReadPipe | None = None
            if launch.wrapper == "supervisor":
                status = stack.enter_context(closing(ReadPipe()))
                argv = with_status(argv, status.child_end)
                inherited = [*inherited, status.child_end]
            # Spawning is short, and cancelled halfway would leave a process without an owner.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    argv,
                    stdin=stdin,
                    stdout=pipes[0].child_end,
                    stderr=pipes[1].child_end,
                    cwd=cwd,
                    env=launch.env,
                    pass_fds=inherited,
                    **spawn_options(),
                )
        except (OSError, ValueError) as exc:
            return NotStarted.because(exc)
        for pipe in pipes:
            pipe.attach(process)
        if status is not None:
            status.handed_over()
        tree = ProcessTree(process.pid, launch.wrapper)
        pumps = [_Pump(pipe, on_output) for pipe in pipes]
        return await _Run(process, tree, pumps, status).complete(deadline_s)


class _Run:
    """A started command."""

    def __init__(
        self,
        process: anyio.abc.Process,
        tree: ProcessTree,
        pumps: Sequence[_Pump],
        status: ReadPipe | None,
    ) -> None:
        self._process = process
        self._tree = tree
        self._pumps = pumps
        self._status = status
        self._report = Report()
        self._started = anyio.current_time()
        self._ended: float | None = None
        self._stopped = 0

    async def complete(self, deadline_s: float | None) -> ProcessResult | NotStarted:
        try:
            with anyio.move_on_after(deadline_s) as deadline:
                await self._run()
        finally:
            with anyio.CancelScope(shield=True):
                await self._stop()
        timed_out = deadline.cancelled_caught and self._ended is None
        return self._not_started() or self._result(timed_out=timed_out)

    async def _run(self) -> None:
        """To the natural end: the command has exited and what it wrote has been read."""
        async with anyio.create_task_group() as group:
            for pump in self._pumps:
                group.start_soon(pump.run)
            await self._end_of_command()
            self._ended = anyio.current_time()
            with anyio.move_on_after(GRACE_S):
                for pump in self._pumps:
                    await pump.done.wait()
                # A supervisor ends with the last of what it supervises.
                await self._process.wait()
                # No event tells when the last of a group is gone.
                while self._tree.alive():  # noqa: ASYNC110
                    await anyio.sleep(POLL_S)
            if self._tree.alive():
                self._stopped = self._tree.terminate()
                await self._death()
            for pump in self._pumps:
                pump.finish()

    async def _end_of_command(self) -> None:
        """A supervisor tells it; else the started process is the command, or ends with it."""
        if self._status is None or not await self._is_reported(self._status):
            await self._process.wait()

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

    async def _stop(self) -> None:
        """End what is left, if anything, and take the last of the output."""
        if self._process.returncode is None or self._tree.alive():
            count = self._tree.terminate()
            if self._ended is not None:
                self._stopped = max(self._stopped, count)
            await self._death()
        with anyio.move_on_after(REAP_S):
            await self._process.wait()
        for pump in self._pumps:
            await pump.hand_on_rest()

    async def _death(self) -> None:
        """Wait for the death of what was asked to end, and enforce it."""
        with anyio.move_on_after(TERM_S):
            while self._tree.alive():
                for pump in self._pumps:
                    pump.keep_rest()
                await anyio.sleep(POLL_S)
            return
        with anyio.move_on_after(REAP_S):
            # What forks while it is being killed is found in the next round.
            while self._tree.kill():  # noqa: ASYNC110
                await anyio.sleep(POLL_S)

    def _not_started(self) -> NotStarted | None:
        """Why the command itself never ran, if the launcher could not start it."""
        if self._report.problem is not None:
            return NotStarted.because(self._report.problem)
        code = self._process.returncode
        silent = self._status is not None and self._report.pid is None
        if silent and self._ended is not None and code is not None and code >= 0:
            return NotStarted(f"the launcher of commands failed with exit code {code}")
        return None

    def _result(self, *, timed_out: bool) -> ProcessResult:
        ended = self._ended if self._ended is not None else anyio.current_time()
        exit_code, signal = self._report.exit_code, self._report.signal
        code = self._process.returncode
        if not self._report.ended and code is not None:
            exit_code, signal = (code, None) if code >= 0 else (None, -code)
        return ProcessResult(
            exit_code=None if timed_out else exit_code,
            signal=None if timed_out else signal,
            timed_out=timed_out,
            duration_s=ended - self._started,
            stopped=self._stopped,
            detached=not all(pump.at_end for pump in self._pumps),
        )


class _Pump:
    """Carries one pipe's bytes to `on_output`."""

    def __init__(self, pipe: OutputPipe | StreamPipe, on_output: OnOutput) -> None:
        self._pipe = pipe
        self._on_output = on_output
        self._waiting = anyio.CancelScope()
        self._room: float = math.inf
        """How many bytes are still read; finite once the command has ended."""
        self._running = False
        self._kept: list[bytes] = []
        self.at_end = False
        """Everyone has closed the pipe, and it is empty."""
        self.done = anyio.Event()

    async def run(self) -> None:
        """Hand on bytes until the end of the pipe; after `finish`, until nothing is there."""
        self._running = True
        try:
            while (data := self._read()) != b"":
                if data is not None:
                    await self._on_output(self._pipe.stream, data)
                    # A fast writer must not keep the event loop from everything else.
                    await anyio.lowlevel.checkpoint()
                elif self._room < math.inf:
                    break
                else:
                    with anyio.CancelScope() as self._waiting:
                        await self._pipe.readable()
            self.done.set()
        finally:
            self._running = False

    def finish(self) -> None:
        """Let `run` end when it has read what is there now."""
        self._room = MAX_REST
        self._waiting.cancel()

    def keep_rest(self) -> None:
        """Empty the pipe while `run` does not: a full one may keep a process from ending."""
        if self._running:
            return
        self._room = min(self._room, MAX_REST)
        while data := self._read():
            self._kept.append(data)

    async def hand_on_rest(self) -> None:
        """Hand on what is left, after `run`, without waiting for anyone."""
        self.keep_rest()
        for data in self._kept:
            with anyio.CancelScope() as no_waiting:
                no_waiting.cancel()
                await self._on_output(self._pipe.stream, data)

    def _read(self) -> bytes | None:
        """What is there; None: nothing now; `b""`: there will be nothing, or we have enough."""
        if self.at_end or self._room <= 0:
            return b""
        data = self._pipe.read_now()
        if data is not None:
            self.at_end = not data
            self._room -= len(data)
        return data

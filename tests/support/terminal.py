"""The installed command at a terminal of its own: what it shows, and keys for it. POSIX only."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from support.client import COMMAND, environment

_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# Starts a program with the named terminal as its controlling one, which Ctrl-C goes through. Where
# the tests run in the background, SIGINT is ignored by whatever they start.
_LAUNCHER = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)
fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR), termios.TIOCSCTTY, 0)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Terminal:
    """One process, and everything that it has written to its terminal."""

    def __init__(self, process: anyio.abc.Process, master: int, slave: int) -> None:
        self.process = process
        self.raw = ""
        self._master = master
        self._slave = slave
        self._changed = anyio.Event()

    @property
    def text(self) -> str:
        """What is to be read, without colours."""
        return _SEQUENCES.sub("", self.raw).replace("\r\n", "\n")

    @property
    def modes(self) -> list[Any]:
        """The terminal's settings."""
        return termios.tcgetattr(self._slave)

    async def pump(self) -> None:
        """Read what is shown, for as long as the terminal is there."""
        while True:
            await anyio.wait_readable(self._master)
            self.raw += os.read(self._master, 65536).decode("utf-8", "replace")
            self._changed.set()
            self._changed = anyio.Event()

    async def until(self, text: str, *, count: int = 1, timeout_s: float = 10) -> None:
        """Wait until `text` has been shown so many times."""
        with anyio.move_on_after(timeout_s):
            while self.text.count(text) < count:
                await self._changed.wait()
            return
        raise AssertionError(f"{text!r} was not shown; the screen is:\n{self.text}")

    def type(self, keys: str) -> None:
        """Press keys; "\\x03" is Ctrl-C."""
        os.write(self._master, keys.encode())

    async def exit_code(self, *, timeout_s: float = 10) -> int:
        """Wait for the end of the process, and for the last that it has shown."""
        with anyio.fail_after(timeout_s):
            code = await self.process.wait()
        # All of it is in the terminal by now, and read when something behind it is.
        os.write(self._slave, b"\x04end\x04")
        await self.until("\x04end\x04")
        self.raw = self.raw.replace("\x04end\x04", "")
        return code


@asynccontextmanager
async def at_terminal(
    home: Path,
    *arguments: str,
    columns: int = 100,
    rows: int = 30,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    command: Sequence[str] = COMMAND,
    cwd: Path | None = None,
    **more: str,
) -> AsyncIterator[Terminal]:
    """The command with its own terminal, which is also each standard stream that is not given."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = await anyio.open_process(
        [sys.executable, "-c", _LAUNCHER, os.ttyname(slave), *command, *arguments],
        env=environment(home, TERM="xterm-256color", **more),
        cwd=cwd,
        stdin=slave if stdin is None else stdin,
        stdout=slave if stdout is None else stdout,
        stderr=slave if stderr is None else stderr,
        start_new_session=True,
    )
    terminal = Terminal(process, master, slave)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(terminal.pump)
            yield terminal
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.aclose()
        os.close(master)
        os.close(slave)

"""A program under test: a process, its pipes as lines with the time of their arrival, its costs.

The lines are not decoded while a clock runs, so that the client costs little.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

READ_BYTES = 1 << 20
SECOND_NS = 1_000_000_000

Line = tuple[int, bytes]
"""When its end was read, on the clock of `time.monotonic_ns`, and what it says."""


class ProgramFailed(Exception):
    """Raised when a program ends, refuses, or does not answer in time."""


class Child:
    """A process that is spoken to in lines."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        self.began_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(env),
            cwd=cwd,
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._lines: deque[Line] = deque()
        """Those that were read and not taken."""
        self._begun: list[bytes] = []
        """The parts of a line whose end is still to come."""

    def write(self, data: bytes) -> None:
        """Hand over all of `data`."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._stdin, rest) :]

    def take_until(self, wanted: Callable[[bytes], bool], timeout_s: float) -> list[Line]:
        """The lines up to the first that is wanted, which is the last of them.

        Raises:
            ProgramFailed: there is none in that time, or the program's output ends before.
        """
        deadline = time.monotonic() + timeout_s
        taken: list[Line] = []
        while True:
            while self._lines:
                line = self._lines.popleft()
                taken.append(line)
                if wanted(line[1]):
                    return taken
            if not self.fill(READ_BYTES, deadline - time.monotonic()):
                last = taken[-1][1][:2000] if taken else b"nothing"
                raise ProgramFailed(f"not within {timeout_s:g} s; last came {last!r}")

    def fill(self, size: int, timeout_s: float) -> int:
        """Read at most `size` bytes, to be taken as lines; how many, 0: none in that time.

        Raises:
            ProgramFailed: the program's output ends.
        """
        if timeout_s <= 0 or not self._poll.poll(timeout_s * 1000):
            return 0
        data = os.read(self._stdout, size)
        now = time.monotonic_ns()
        if not data:
            raise ProgramFailed(f"it ended with code {self.process.wait()}")
        first, *others = data.split(b"\n")
        self._begun.append(first)
        if others:
            self._lines.append((now, b"".join(self._begun)))
            self._begun = [others.pop()]
            self._lines.extend((now, line) for line in others)
        return len(data)

    @property
    def cpu_s(self) -> float:
        """What the process has used of the processors, in user and system."""
        # This is how Linux numbers the clock of another process; see clock_getcpuclockid(3).
        return time.clock_gettime((~self.process.pid << 3) | 2)

    @property
    def rss_mib(self) -> float:
        """Its resident memory."""
        return self._status("VmRSS")

    @property
    def peak_mib(self) -> float:
        """The most that its resident memory has been."""
        return self._status("VmHWM")

    @property
    def open_files(self) -> int:
        """How many descriptors it holds."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def _status(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024

    def end(self, *, patience_s: float = 5) -> None:
        """Close its input and wait for its end; kill it if that does not come."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def kill(self) -> None:
        """End it now."""
        if self.process.poll() is None:
            self.process.kill()
        self.end()


def environment(home: Path) -> dict[str, str]:
    """A minimal environment with its own HOME and CODEX_HOME."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TMPDIR")}
    more = {"HOME": str(home), "CODEX_HOME": str(home / ".codex"), "OPENAI_API_KEY": "sk-fake"}
    return {**kept, **more}


def can_measure() -> bool:
    """Whether processors and memory of another process can be read here."""
    return sys.platform == "linux"

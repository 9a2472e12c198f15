"""The launcher's orders and reports: a command that is supervised.

Owns the form in which a command is handed to `launcher`, the script that starts it, and the
reading of what the script reports. It does not know what the confinement in the orders means
(`landlock` makes it) nor how processes are started.

What a supervisor holds: every descendant of the command, also those that left its session and
whose parents have died. They die when the server does, however it dies. What it does not hold:
processes that someone else starts for the command (a service manager, a container engine), and
those that became another user's. A confined command cannot touch its supervisor where the kernel
scopes signals (Landlock ABI 6); one that is not confined can kill it, and then only what is in the
command's own session is still found.
"""

from __future__ import annotations

import functools
import marshal
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from codex_rpc.protocol.frozen import frozen
from codex_rpc.sandbox.launch import Launch, placeholder

# Read once, before any command can have run: a file that has changed since is never run.
_LAUNCHER = Path(__file__).with_name("launcher.py").read_bytes()

_START = "import sys, marshal; exec(marshal.loads(open(int(sys.argv.pop(1)), 'rb').read()))"
"""The program text of the interpreter that becomes the launcher."""


@frozen(kw_only=True)
class Restrictions:
    """What the launcher imposes on a command before it runs."""

    ruleset: bytes
    """`struct landlock_ruleset_attr`."""
    rules: tuple[tuple[str, int], ...]
    """Paths and the rights that are granted there; what does not exist is left out."""
    filter: bytes
    """A seccomp filter: an array of `struct sock_filter`."""


def supervised(argv: Sequence[str], env: Mapping[str, str]) -> Launch:
    """`argv`, not confined, under a supervisor; outside Linux just `argv`."""
    if not can_supervise():
        return Launch(argv=tuple(argv), env=env)
    return ordered(argv, env)


def can_supervise() -> bool:
    """Whether this platform has what the launcher needs."""
    return sys.platform == "linux" and bool(sys.executable)


def ordered(
    argv: Sequence[str], env: Mapping[str, str], restrictions: Restrictions | None = None
) -> Launch:
    """The launcher with orders to run `argv` under `restrictions` (None: under none).

    The command sees exactly `env`. The launcher sees none of it: a variable such as LD_PRELOAD
    would have the launcher run what it names, unconfined. Only the process that calls this can
    start it: the launcher checks who its parent is.
    """
    rules = restrictions.rules if restrictions else ()
    orders = {
        "parent": os.getpid(),
        "argv": [_encoded(argument) for argument in argv],
        "env": {_encoded(name): _encoded(value) for name, value in env.items()},
        "confined": restrictions is not None,
        "ruleset": restrictions.ruleset if restrictions else b"",
        "rules": [(_encoded(path), rights) for path, rights in rules],
        "filter": restrictions.filter if restrictions else b"",
    }
    return Launch(
        argv=(sys.executable, "-I", "-S", "-c", _START, placeholder(0), placeholder(1)),
        env={},
        contents=(_compiled_launcher(), marshal.dumps(orders)),
        wrapper="supervisor",
    )


@functools.cache
def _compiled_launcher() -> bytes:
    return marshal.dumps(compile(_LAUNCHER, "launcher.py", "exec", dont_inherit=True))


def with_status(argv: Sequence[str], fd: int) -> list[str]:
    """The launcher's `argv`, with a descriptor to report to."""
    return [*argv, str(fd)]


def _encoded(text: str) -> bytes | str:
    """As programs get it. What cannot be encoded is left for the launcher to fail on, so that it
    is reported like everything else that cannot be started."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text


class Report:
    """What the launcher has told so far."""

    def __init__(self) -> None:
        self._rest = b""
        self.pid: int | None = None
        """The command's; also its process group's and its session's."""
        self.exit_code: int | None = None
        self.signal: int | None = None
        """The signal that killed the command."""
        self.problem: OSError | ValueError | None = None
        """Why the command was not started."""

    @property
    def ended(self) -> bool:
        """Whether the command is over, or will never be."""
        return not (self.exit_code is None and self.signal is None and self.problem is None)

    def feed(self, data: bytes) -> None:
        """Take in the next bytes. What comes after the end is not looked at."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self.ended:
                self._take(os.fsdecode(line))

    def _take(self, line: str) -> None:
        kind, _, value = line.partition(" ")
        match kind:
            case "pid":
                self.pid = int(value)
            case "exit":
                self.exit_code = int(value)
            case "signal":
                self.signal = int(value)
            case "errno":
                number, _, program = value.partition(" ")
                self.problem = OSError(int(number), os.strerror(int(number)), program)
            case _:
                self.problem = ValueError(value)

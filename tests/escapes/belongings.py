"""Outsiders that belong to the user: a process, an open file, shared memory, a key.

Also what a command may leave behind in the user's name.

"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .acts.kernel import call
from .outsider import Outsider
from .stage import Stage


class Victim(Outsider):
    """A process of the same user; see `acts/processes.py`."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        file = os.open(stage.outside / "held", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        secret = os.open(stage.base / "secrets/token", os.O_RDONLY)
        environ = {"VICTIM_WORD": stage.secret, "PATH": os.defpath}
        self._process = subprocess.Popen(
            ["sleep", "60"],
            env=environ,
            cwd=stage.outside,
            pass_fds=(file, secret),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(file)
        os.close(secret)
        pid = self._process.pid
        self.env = {"VICTIM": f"{pid}", "VICTIM_FILE": f"{file}", "VICTIM_SECRET": f"{secret}"}
        self._before = self._settings()

    def evidence(self) -> Iterator[str]:
        if (harm := self._harm()) is not None:
            yield harm
            return
        if self._settings() != self._before:
            yield "the process outside runs under other conditions"
        environ = Path(f"/proc/{self._process.pid}/environ").read_bytes()
        if self.stage.secret.encode() not in environ:
            yield "the memory of the process outside changed"

    def _harm(self) -> str | None:
        """What a signal has done to it. It sleeps; whatever else it does has to come to an end."""
        end = time.monotonic() + 2
        while time.monotonic() < end:
            if self._process.poll() is not None:
                return "the process outside was ended"
            state, pending = _state(self._process.pid)
            if state in "tT":
                return "the process outside was stopped"
            if state == "S" and not pending:
                return None
            time.sleep(0.005)
        return "the process outside is busy"

    def _settings(self) -> tuple[object, ...]:
        pid, who_process = self._process.pid, 1
        return (
            resource.prlimit(pid, resource.RLIMIT_NOFILE),
            os.getpriority(os.PRIO_PROCESS, pid),
            os.sched_getaffinity(pid),
            os.sched_getscheduler(pid),
            call("ioprio_get", who_process, pid),
            Path(f"/proc/{pid}/oom_score_adj").read_text(),
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class OpenFile(Outsider):
    """A file outside that the server has open for writing, inheritable by mistake."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._fd = os.open(stage.outside / "target", os.O_WRONLY | os.O_APPEND)
        os.set_inheritable(self._fd, True)
        self.descriptors = (self._fd,)

    def close(self) -> None:
        os.close(self._fd)


class SharedMemory(Outsider):
    """A segment of System V shared memory."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        key = int(stage.token[:7], 16)
        create = 0o1000
        self._id = call("shmget", key, 4096, create | 0o600)
        self._address = call("shmat", self._id, 0, 0)
        ctypes.memmove(self._address, stage.secret.encode(), len(stage.secret))
        self.env["SHARED_MEMORY"] = str(key)

    def evidence(self) -> Iterator[str]:
        if not ctypes.string_at(self._address, 64).startswith(self.stage.secret.encode()):
            yield "the shared memory changed"

    def close(self) -> None:
        remove = 0
        call("shmdt", self._address)
        call("shmctl", self._id, remove, 0)


class Key(Outsider):
    """A key that the kernel keeps for the user."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._user_keyring = -4
        name, secret = f"escape-{stage.token}".encode(), stage.secret.encode()
        self._key = call("add_key", b"user", name, secret, len(secret), self._user_keyring)
        set_permissions, all_rights = 5, 0x3F3F0000
        call("keyctl", set_permissions, self._key, all_rights, 0, 0)
        self.env["KEY"] = name.decode()

    def evidence(self) -> Iterator[str]:
        read = 11
        content = ctypes.create_string_buffer(256)
        call("keyctl", read, self._key, content, 256, 0)
        if content.value != self.stage.secret.encode():
            yield "the key changed"

    def close(self) -> None:
        unlink = 9
        call("keyctl", unlink, self._key, self._user_keyring, 0, 0)


class Leftovers(Outsider):
    """The process table: whether anything of the command is still in it."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._signs = {
            "cmdline": f"lingering-{stage.token}".encode(),
            # Who has been forked and has yet to become the program has only that.
            "environ": f"TOKEN={stage.token}\0".encode(),
        }

    def evidence(self) -> Iterator[str]:
        # Who is just dying is given the time to.
        if any(self._found()) and not time.sleep(0.1) and any(self._found()):
            yield "a process of it still lives"

    def close(self) -> None:
        for pid in self._found():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _found(self) -> Iterator[int]:
        for name in os.listdir("/proc"):
            if name.isdigit() and self._is_one(Path("/proc", name)):
                yield int(name)

    def _is_one(self, process: Path) -> bool:
        # It may end while we look.
        with suppress(OSError):
            return any(sign in (process / of).read_bytes() for of, sign in self._signs.items())
        return False


def _state(pid: int) -> tuple[str, int]:
    """What it does, as a letter, and the signals that it has not yet taken."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return fields["State"].split()[0], int(fields["ShdPnd"], 16) | int(fields["SigPnd"], 16)

"""Everything that a started command consists of, and its death.

A command is started as the leader of a session and process group of its own, so a signal to
the group reaches it, its children and their children at once. On Linux those that left the
group are found too: /proc is walked for descendants and for members of the sessions that they
opened. What cannot be found is a process that left the session *and* whose parent has died (a
proper daemon); only a pid namespace holds those. Elsewhere on POSIX the group is all there is;
on Windows `taskkill` walks the tree.

This module knows nothing of pipes, output and deadlines. Nothing here makes children die when
the server itself is killed: the death signal of Linux has to be set in the child between fork
and exec, where a threaded program must not run code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from codex_rpc.protocol.frozen import frozen

_HAS_PROC = sys.platform == "linux" and os.path.exists("/proc/self/stat")  # noqa: PTH110


def spawn_options() -> dict[str, Any]:
    """How to start a command so that `ProcessTree` can find all of it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


@frozen
class _Process:
    """One line of the process table."""

    pid: int
    parent: int
    group: int
    session: int
    started: int
    """In clock ticks since boot; with the pid it names a process for good."""
    running: bool
    """False: a zombie, or about to be gone."""


class ProcessTree:
    """The processes of one command, by the process that was started with `spawn_options`."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._sessions = {leader}
        self._known: dict[int, _Process] = {}
        entry = _read_process(leader)
        if entry is not None:
            self._known[leader] = entry

    def alive(self) -> bool:
        """Whether anything of the command still runs. Zombies do not."""
        if sys.platform == "win32":
            return False
        if not _HAS_PROC:
            return _signal_group(self._leader, 0)
        if any(self._is_running(process) for process in self._known.values()):
            return True
        return bool(self._scan()) if self._has_traces() else False

    def terminate(self) -> int:
        """Ask all of it to end, and say how many processes that were (0: nothing runs)."""
        if sys.platform == "win32":
            return _taskkill(self._leader)
        return self._signal(signal.SIGTERM)

    def kill(self) -> int:
        """End all of it, and say how many processes that were (0: nothing runs)."""
        if sys.platform == "win32":
            return _taskkill(self._leader)
        return self._signal(signal.SIGKILL)

    def _signal(self, signum: int) -> int:
        if not _HAS_PROC:
            return int(_signal_group(self._leader, signum))
        members = self._scan()
        if any(member.group == self._leader for member in members):
            _signal_group(self._leader, signum)
        for member in members:
            if member.group != self._leader and self._is_running(member):
                _signal_process(member.pid, signum)
        return len(members)

    def _has_traces(self) -> bool:
        """Whether a walk through the process table could find something.

        After an ordinary command's end it cannot, and that is what makes an ordinary end cheap.
        """
        return len(self._sessions) > 1 or _signal_group(self._leader, 0)

    def _is_running(self, process: _Process) -> bool:
        now = _read_process(process.pid)
        return now is not None and now.running and now.started == process.started

    def _scan(self) -> list[_Process]:
        """The command's running processes, found by descent, group and session."""
        table = _process_table()
        found: dict[int, _Process] = {}
        grew = True
        while grew:
            grew = False
            for process in table:
                if process.pid not in found and self._belongs(process, found):
                    found[process.pid] = process
                    self._sessions.add(process.session)
                    grew = True
        self._known = found
        return [process for process in found.values() if process.running]

    def _belongs(self, process: _Process, found: dict[int, _Process]) -> bool:
        if process.session in self._sessions or process.group == self._leader:
            return True
        known = self._known.get(process.pid)
        if known is not None and known.started == process.started:
            return True
        return process.parent in found


def _signal_group(group: int, signum: int) -> bool:
    """Signal a whole group; whether there is one that we may signal."""
    if sys.platform == "win32":
        return False
    try:
        os.killpg(group, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal_process(pid: int, signum: int) -> None:
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError):
        # Gone meanwhile, or it runs as another user: then it is not ours to end.
        return


def _read_process(pid: int) -> _Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - a hot loop
            line = file.read()
    except OSError:
        return None
    # The second field is the program's name in parentheses and may hold anything.
    fields = line[line.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    return _Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        started=int(fields[19]),
        running=fields[0] not in (b"Z", b"X", b"x"),
    )


def _process_table() -> list[_Process]:
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
    return [process for pid in pids if (process := _read_process(pid)) is not None]


def _taskkill(pid: int) -> int:
    done = subprocess.run(
        ["taskkill", "/T", "/F", "/PID", str(pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return int(done.returncode == 0)

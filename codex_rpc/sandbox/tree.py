"""Everything that a started command consists of, and its death.

A command is started as the leader of a session and process group of its own, so a signal to
the group reaches it, its children and their children at once. On Linux those that left the
group are found too: /proc is walked for descendants and for members of the sessions that they
opened. What a walk cannot find is a process that left the session *and* whose parent has died (a
proper daemon); a supervisor adopts those, so that they remain descendants, and the pid namespace
of bubblewrap holds them. Elsewhere on POSIX the group is all there is; on Windows `taskkill`
walks the tree.

The processes of a wrapper are not the command's: they are spared when the command is asked to end,
because with bubblewrap everything inside dies at once when it does, and they are not counted.

This module knows nothing of pipes, output and deadlines. That commands die when the server
itself is killed is the wrapper's work: the death signal of Linux has to be set in the child
between fork and exec, where a threaded program must not run code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from codex_rpc.protocol.frozen import frozen
from codex_rpc.sandbox.launch import Wrapper

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

    def __init__(self, leader: int, wrapper: Wrapper = "none") -> None:
        self._leader = leader
        self._wrapper: Wrapper = wrapper
        self._leaders = {leader}
        """Of groups and sessions that are known without a walk."""
        self._sessions = {leader}
        self._known: dict[int, _Process] = {}
        entry = _read_process(leader)
        if entry is not None:
            self._known[leader] = entry

    def add_leader(self, pid: int) -> None:
        """The command inside of a wrapper has, or will have, a session of its own."""
        self._leaders.add(pid)
        self._sessions.add(pid)

    def alive(self) -> bool:
        """Whether anything of the command or its wrapper still runs. Zombies do not."""
        if sys.platform == "win32":
            return False
        if not _HAS_PROC:
            return _signal_group(self._leader, 0)
        if any(self._is_running(process) for process in self._known.values()):
            return True
        return bool(self._scan()) if self._has_traces() else False

    def terminate(self) -> int:
        """Ask the command's processes to end, and say how many they are.

        0: nothing of the command runs. A wrapper that holds nothing yet is asked instead, so
        that it does not start the command.
        """
        if sys.platform == "win32":
            return _taskkill(self._leader)
        if not _HAS_PROC:
            return int(_signal_group(self._leader, signal.SIGTERM))
        members, wrappers = self._scan_apart()
        self._signal(members or wrappers, signal.SIGTERM)
        return len(members)

    def kill(self) -> int:
        """End all of it, and say how many processes that were (0: nothing runs).

        A supervisor is only killed when it is alone: it knows best what it holds.
        """
        if sys.platform == "win32":
            return _taskkill(self._leader)
        if not _HAS_PROC:
            return int(_signal_group(self._leader, signal.SIGKILL))
        members, wrappers = self._scan_apart()
        self._signal(members, signal.SIGKILL)
        if self._wrapper == "bubblewrap" or not members:
            self._signal(wrappers, signal.SIGKILL)
        return len(members) + len(wrappers)

    def _signal(self, processes: list[_Process], signum: int) -> None:
        """Groups as a whole, except that of a wrapper: it is not the command's own."""
        # Numbers below 2 would mean something else to the kernel.
        shared = {0, 1} if self._wrapper == "none" else {0, 1, self._leader}
        for group in {process.group for process in processes} - shared:
            _signal_group(group, signum)
        for process in processes:
            if process.group in shared and self._is_running(process):
                _signal_process(process.pid, signum)

    def _scan_apart(self) -> tuple[list[_Process], list[_Process]]:
        """The running processes of the command, and those of the wrapper."""
        running = self._scan()
        wrappers = [process for process in running if self._is_wrapper(process)]
        return [process for process in running if process not in wrappers], wrappers

    def _is_wrapper(self, process: _Process) -> bool:
        if self._wrapper == "none":
            return False
        # Below bubblewrap is the first process of the pid namespace, which is bubblewrap too.
        inner = self._wrapper == "bubblewrap" and process.parent == self._leader
        return process.pid == self._leader or inner

    def _has_traces(self) -> bool:
        """Whether a walk through the process table could find something.

        After an ordinary command's end it cannot, and that is what makes an ordinary end cheap.
        """
        if self._sessions - self._leaders:
            return True
        return any(_signal_group(leader, 0) for leader in self._leaders)

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
        if process.session in self._sessions or process.group in self._leaders:
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

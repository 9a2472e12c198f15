"""Processes by their marks in /proc: which still run, and waiting until none does."""

from __future__ import annotations

import os
from pathlib import Path

import anyio


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie that merely waits to be collected."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self").exists():
        return True
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


async def pid_from(path: Path) -> int:
    """The process id that a command writes to `path`, a line, when it is ready."""
    file = anyio.Path(path)
    while not (await file.exists() and (await file.read_text()).endswith("\n")):
        await anyio.sleep(0.005)
    return int(await file.read_text())


async def gone(*pids: int) -> None:
    """Wait until none of the processes runs any more."""
    while any(is_running(pid) for pid in pids):
        await anyio.sleep(0.005)


FAMILY = 5


def family(mark: str, *, stubborn: bool = True) -> str:
    """A bash script that starts `FAMILY` processes marked `mark`, and waits until they are there.

    Children, grandchildren, some in sessions and groups of their own, some without a parent; if
    `stubborn` they ignore polite signals.
    """
    sleep = f"exec -a {mark} sleep 1000"
    if stubborn:
        sleep = f"trap '' TERM HUP; {sleep}"
    return f"""
    ({sleep}) &
    bash -c "({sleep}) & wait" &
    setsid bash -c "{sleep}" &
    setsid -f setsid -f bash -c "{sleep}"
    (set -m; ({sleep}) & ) >/dev/null 2>&1
    until [ $(grep -sac '^{mark}' /proc/[0-9]*/cmdline | grep -c :1) = {FAMILY} ]
    do sleep 0.01; done
    """


def marked(mark: str) -> dict[int, str]:
    """The running processes that have `mark` in their arguments or environment, and what they are.

    The one that looks is left out.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        arguments = _content(entry / "cmdline").replace(b"\0", b" ")
        if mark.encode() in arguments + _content(entry / "environ"):
            found[int(entry.name)] = arguments.decode(errors="replace")
    return {pid: what for pid, what in found.items() if is_running(pid)}


async def none_marked(mark: str) -> None:
    """Wait until no process with `mark` runs."""
    while marked(mark):
        await anyio.sleep(0.01)


def children_of(pid: int) -> list[int]:
    """The processes that `pid` has started and that still run."""
    stats = {e.name: _content(e / "stat") for e in Path("/proc").iterdir() if e.name.isdigit()}
    parents = {int(name): stat.rpartition(b")")[2].split() for name, stat in stats.items() if stat}
    return [child for child, fields in parents.items() if int(fields[1]) == pid]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # Gone meanwhile, or not for us to read.
        return b""

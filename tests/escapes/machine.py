"""Attempts on the machine, on privileges, and on what the walls are made of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .attempt import Attempt, act, shell
from .host import ALIAS, NIS_NAME, cgroup_folder, helper_folder


def _needs_root() -> str | None:
    return None if os.geteuid() == 0 else "only root may"


def _setuid_works() -> str | None:
    if helper_folder() is None:
        return "only root can make such a program"
    options = os.statvfs("/tmp").f_flag
    return "temporary files are mounted nosuid" if options & os.ST_NOSUID else None


def _may_mount() -> str | None:
    """Whether even root may, as it may not in many containers."""
    if (why := _needs_root()) is not None:
        return why
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "nobody may mount here"


def _writable(path: str) -> str | None:
    if not Path(path).exists():
        return "there is no such setting"
    return None if os.access(path, os.W_OK) else "the setting is read-only here"


def _walls(name: str, function: str, **more: object) -> Attempt:
    return Attempt(name=name, argv=act("machine", function), **more)


ROWS = (
    Attempt(
        name="a setuid program",
        argv=shell('"$ID"; echo "$TOKEN" | "$TEE" -a "$TARGET"'),
        needs=("helper",),
        as_nobody=True,
        impossible=_setuid_works,
    ),
    _walls("keep or gain privileges", "privileges", impossible=_needs_root),
    _walls("mount for all to see", "mount", needs=("mounts",), impossible=_may_mount),
    _walls("remount writable, then write", "remount_and_write", impossible=_may_mount),
    _walls("bind a folder outside to the inside", "bind_and_write", impossible=_may_mount),
    _walls("the same by descriptors", "bind_by_descriptor", impossible=_may_mount),
    _walls(
        "unmount what protects",
        "unmount_protection",
        impossible=_may_mount,
        gap="protected",
    ),
    _walls("a user namespace, then write", "new_namespaces", control_may_fail="none may be made"),
    _walls("the same by clone", "new_namespaces_by_clone", control_may_fail="none may be made"),
    _walls("mount in a namespace of one's own", "own_mount", control_may_fail="none may be made"),
    Attempt(
        name="chroot and back",
        argv=act("machine", "leave_root"),
        impossible=_needs_root,
    ),
    Attempt(
        name="chroot into another process's root",
        argv=act("machine", "victims_root"),
        needs=("victim",),
        impossible=_needs_root,
    ),
    Attempt(
        name="/proc/sys",
        argv=shell(f'echo "$TOKEN" > {NIS_NAME}'),
        needs=("nis name",),
        impossible=lambda: _writable(NIS_NAME),
        exclusive=True,
    ),
    _walls(
        "the machine's name",
        "name",
        needs=("nis name",),
        impossible=lambda: _writable(NIS_NAME),
        exclusive=True,
    ),
    Attempt(
        name="/sys",
        argv=shell(f'echo "$TOKEN" > {ALIAS}'),
        needs=("alias",),
        impossible=lambda: _writable(ALIAS),
        exclusive=True,
    ),
    Attempt(
        name="control groups",
        argv=shell('mkdir "$GROUP"'),
        needs=("control group",),
        impossible=lambda: None if cgroup_folder() else "none can be made here",
    ),
    _walls(
        "memory, ports and the kernel's log",
        "physical_memory",
        control_may_fail="nobody may read any of them",
    ),
    _walls("load a program into the kernel (bpf)", "bpf", impossible=_needs_root),
    _walls(
        "hold up the kernel (userfaultfd)", "userfaultfd", control_may_fail="it is switched off"
    ),
)

"""Confinement by bubblewrap: what a command may see and change, as mounts.

Owns the order of the mounts and bubblewrap's options. It does not decide what may be read or
written, and makes nothing on the host.

The command gets a file system of its own in which everything is read-only, then the writable
folders are mounted over it, then what is protected inside them, then what nobody may read. It
also gets process, IPC and (without network) network namespaces of its own, no new privileges, no
device but the harmless ones, and the system call filter.

A path that a *concurrent* command replaces by a link between our last look at it and the mount,
a few milliseconds later, is mounted where the link leads. Only a session whose roots contain
another session's root could try.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import field

from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.protocol.frozen import frozen
from codex_rpc.sandbox.launch import Launch, placeholder
from codex_rpc.sandbox.means import FOUNDATION, NAMESPACES, Bubblewrap
from codex_rpc.sandbox.roots import is_inside

MAX_MASKS = 500
"""How many denied files are masked. Mounting takes time that grows with the square of their number:
100 take 30 ms, 500 take 0.4 s."""

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

_KERNEL_FILE_SYSTEMS = frozenset(
    {"binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts"}
    | {"devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "proc", "pstore"}
    | {"resctrl", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs"}
)
"""Types that hold no files but the machine's settings, devices and processes."""


@frozen(kw_only=True)
class View:
    """What of the file system a command sees and may change. All paths are resolved."""

    writable: tuple[str, ...] = ()
    """Folders; none lies in another."""
    pinned: tuple[str, ...] = ()
    """Folders inside `writable` that may be written but neither renamed nor removed."""
    protected: tuple[str, ...] = ()
    """Inside `writable`, read-only. What does not exist by then is not protected, and neither are
    links, over which nothing can be mounted."""
    denied: tuple[str, ...] = ()
    """Files and folders that cannot be opened. What does not exist by then is left out."""
    visible: tuple[str, ...] = ()
    """What has to be seen although it lies where a command has folders of its own."""
    devices: str | None = None
    """A folder with device files to use instead of the machine's."""
    network: bool = False
    program: bytes = field(default=b"", repr=False)
    """The system call filter; empty: none."""


def launch(
    argv: Sequence[str], env: Mapping[str, str], view: View, bubblewrap: Bubblewrap
) -> Launch:
    """`argv` with all that `view` says, made of the paths as they are now.

    Variables that no program can be given (a NUL, a name with `=`) are left out.

    Raises:
        SandboxUnavailable: a folder that was to be writable is no longer where it was.
    """
    for path in (*view.writable, *view.pinned):
        if os.path.realpath(path) != path or not Path(path).is_dir():
            raise SandboxUnavailable(f"`{path}` was to be writable and has been moved or removed")
    options = [*_namespaces(view, bubblewrap), *_mounts(view), *_environment(env)]
    contents = [b"".join(os.fsencode(option) + b"\0" for option in options)]
    start = [bubblewrap.path, "--args", placeholder(0)]
    if view.program:
        start += ["--seccomp", placeholder(1)]
        contents.append(view.program)
    # bubblewrap itself, which is not confined, gets none of the variables: one of them could
    # tell the loader to load a library of the workspace's.
    return Launch(
        argv=(*start, "--", *argv),
        env={},
        contents=tuple(contents),
        wrapper="bubblewrap",
        # Through a descriptor even a device that is out of sight can have its mode changed.
        stdin=f"{view.devices}/null" if view.devices is not None else os.devnull,
    )


def _namespaces(view: View, bubblewrap: Bubblewrap) -> Iterator[str]:
    yield from NAMESPACES
    if not view.network:
        yield "--unshare-net"
    yield from bubblewrap.privileges


def _environment(env: Mapping[str, str]) -> Iterator[str]:
    for name, value in env.items():
        if name and "=" not in name and "\0" not in name + value:
            yield from ("--setenv", name, value)


def _mounts(view: View) -> Iterator[str]:
    if view.writable == ("/",):
        yield from ("--bind", *FOUNDATION[1:])
    else:
        yield from FOUNDATION
    # To root the machine's settings below /proc are writable, without any capability, and
    # bubblewrap itself does not see that.
    if os.geteuid() == 0:
        yield from ("--remount-ro", "/proc")
    if view.devices is not None:
        for name in _DEVICES:
            yield from ("--dev-bind", f"{view.devices}/{name}", f"/dev/{name}")
    for path in view.visible:
        yield from ("--ro-bind", path, path)
    for path in _outer_first((*view.writable, *view.pinned)):
        if path != "/":
            yield from ("--bind", path, path)
    yield from _shut_kernel(view)
    for path in _outer_first(view.protected):
        if Path(path).exists() and not Path(path).is_symlink():
            yield from ("--ro-bind", path, path)
    for path in view.denied:
        yield from mask(path)


def mask(path: str) -> Iterator[str]:
    """The options that make a file or folder impossible to open."""
    try:
        is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        # It is gone; to mount over it would make it anew.
        return
    if is_folder:
        yield from ("--perms", "0000", "--tmpfs", path, "--remount-ro", path)
    else:
        # A device, on a file system without devices: not even root can open it.
        yield from ("--ro-bind", "/dev/null", path)


def _shut_kernel(view: View) -> Iterator[str]:
    """Keep the kernel's own file systems read-only inside writable folders, and other views of the
    machine's processes out of sight: a process's `root` leads past every mount."""
    for path, kind in _kernel_mounts():
        if is_inside(path, ("/proc", "/dev")) or not os.access(path, os.F_OK):
            continue
        if kind == "proc":
            yield from mask(path)
        elif is_inside(path, view.writable):
            yield from ("--ro-bind", path, path)


def _kernel_mounts() -> list[tuple[str, str]]:
    """Where the kernel's own file systems are mounted, and their types; outer ones first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        place, _, source = line.partition(b" - ")
        path, kind = place.split(b" ")[4], source.split(b" ")[0].decode("ascii", "replace")
        if kind in _KERNEL_FILE_SYSTEMS:
            found.append((os.fsdecode(_unescaped(path)), kind))
    return sorted(found)


def _unescaped(path: bytes) -> bytes:
    """White space and backslashes stand there as `\\040`."""
    for escape in (b"040", b"011", b"012", b"134"):
        path = path.replace(b"\\" + escape, bytes([int(escape, 8)]))
    return path


def _outer_first(paths: Iterable[str]) -> list[str]:
    return sorted(set(paths), key=lambda path: (path.count("/"), path))

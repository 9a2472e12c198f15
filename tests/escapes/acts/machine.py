"""Attempts on the machine and on the walls themselves: mounts, namespaces, the kernel."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

from kernel import AT_FDCWD, call, play, tried

OUTSIDE, WORK = Path(os.environ["OUTSIDE"]), Path(os.environ["WORK"])
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096
NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000


def mount() -> None:
    """A file system over a folder outside, for all to see."""
    folder = bytes(OUTSIDE / "folder")
    call("mount", b"tmpfs", folder, b"tmpfs", 0, b"size=16k")
    call("mount", b"", folder, b"", MS_REMOUNT | MS_BIND | MS_RDONLY, b"")


def remount_and_write() -> None:
    """Make writable again what was mounted read-only, and write."""
    places = ("/", str(OUTSIDE.parent), str(OUTSIDE))
    for place in places:
        tried(
            lambda place=place: call("mount", b"", place.encode(), b"", MS_REMOUNT | MS_BIND, b"")
        )
        tried(lambda place=place: _clear_read_only(place))
    _write(OUTSIDE / "new")


def _remount(place: str) -> None:
    call("mount", b"", place.encode(), b"", MS_REMOUNT | MS_BIND, b"")


def _clear_read_only(place: str) -> None:
    mount_attr_rdonly = 1
    attributes = struct.pack("=QQQQ", 0, mount_attr_rdonly, 0, 0)
    call("mount_setattr", AT_FDCWD, place.encode(), 0, attributes, len(attributes))


def bind_and_write() -> None:
    """Bind the folder to where one may write, and write there."""
    places = [WORK / "bound", Path(os.environ.get("TMPDIR", "/tmp")) / "bound"]
    for place in places:
        tried(lambda place=place: place.mkdir(), lambda place=place: _bind_and_write(place))


def _bind_and_write(place: Path) -> None:
    call("mount", bytes(OUTSIDE), bytes(place), b"", MS_BIND, b"")
    try:
        tried(lambda: _remount(str(place)))
        _write(place / "new")
    finally:
        call("umount2", bytes(place), 2)


def bind_by_descriptor() -> None:
    """The same with the newer calls, which see no paths."""
    clone, empty_path = 1, 4
    fd = call("open_tree", AT_FDCWD, bytes(OUTSIDE), clone)
    tried(lambda: call("mount_setattr", fd, b"", empty_path, struct.pack("=QQQQ", 0, 1, 0, 0), 32))
    _write_at(fd)


def unmount_protection() -> None:
    """Take away what lies over a protected folder, and write below."""
    detach = 2
    for place in (WORK / ".git", WORK, OUTSIDE):
        tried(lambda place=place: call("umount2", bytes(place), detach))
    tried(
        lambda: _write(WORK / ".git" / "hooks" / "new"),
        lambda: _write(OUTSIDE / "new"),
    )


def new_namespaces() -> None:
    """Become root of a namespace of one's own, and mount as one likes."""
    call("unshare", NEW_USER | NEW_MOUNTS)
    remount_and_write()


def new_namespaces_by_clone() -> None:
    """The same by the call that makes processes."""
    if child := call("clone", NEW_USER | NEW_MOUNTS | signal.SIGCHLD, 0, 0, 0, 0):
        os.waitpid(child, 0)
        return
    try:
        remount_and_write()
    finally:
        os._exit(0)


def own_mount() -> None:
    """Mount anything at all in a namespace of one's own."""
    tried(lambda: call("unshare", NEW_USER | NEW_MOUNTS), lambda: call("unshare", NEW_MOUNTS))
    call("mount", b"tmpfs", bytes(WORK / "src"), b"tmpfs", 0, b"size=16k")
    print("REACHED")


def leave_root() -> None:
    """The old way out of a chroot."""
    root = os.open("/", os.O_RDONLY)
    os.chroot(WORK / "src")
    os.fchdir(root)
    for _ in range(20):
        os.chdir("..")
    os.chroot(".")
    _write(OUTSIDE / "new")


def victims_root() -> None:
    """Take another process's root for one's own."""
    os.chroot(f"/proc/{os.environ['VICTIM']}/root")
    _write(OUTSIDE / "new")


def name() -> None:
    """Change the machine's NIS name."""
    token = os.environ["TOKEN"].encode()
    call("setdomainname", token, len(token))


def bpf() -> None:
    """Load something into the kernel."""
    map_create, array, attributes = 0, 2, 120
    asked = struct.pack("=IIII", array, 4, 4, 1)
    call("bpf", map_create, asked + bytes(attributes - len(asked)), attributes)
    print("REACHED")


def userfaultfd() -> None:
    """Hold up the kernel in the middle of something."""
    user_mode_only = 1
    try:
        call("userfaultfd", 0)
    except OSError:
        call("userfaultfd", user_mode_only)
    print("REACHED")


def privileges() -> None:
    """Whether new privileges can be had, or old ones are still there."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if fields["NoNewPrivs"].strip() != "1":
        print("REACHED: programs may have more privileges")
    # Root works on other people's files: CHOWN, DAC_OVERRIDE and FOWNER harm only what may be
    # written anyhow.
    harmless = 1 << 0 | 1 << 1 | 1 << 3
    for name in ("CapEff", "CapPrm"):
        if int(fields[name], 16) & ~harmless:
            print("REACHED: capabilities are left:", name, fields[name])


def physical_memory() -> None:
    """Read the machine's memory, ports and log."""
    for path in ("/dev/mem", "/dev/kmsg", "/proc/kcore", "/dev/port"):
        tried(lambda path=path: _reached(path))


def _reached(path: str) -> None:
    os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 8192)
    print("REACHED", path)


def _write(path: Path) -> None:
    path.write_text("escaped")


def _write_at(fd: int) -> None:
    os.write(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd), b"escaped")


if __name__ == "__main__":
    play({name: act for name, act in globals().items() if callable(act)})

"""Attempts on files that need more than a shell's words."""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
import struct
from pathlib import Path

from kernel import AT_FDCWD, call, play, tried

OUTSIDE, WORK = Path(os.environ["OUTSIDE"]), Path(os.environ["WORK"])
TARGET = OUTSIDE / "target"


def exchange() -> None:
    """Swap a file inside with one outside in one step."""
    mine = WORK / "mine"
    mine.write_text("mine")
    flag_exchange = 2
    call("renameat2", AT_FDCWD, bytes(mine), AT_FDCWD, bytes(TARGET), flag_exchange)


def truncate() -> None:
    os.truncate(TARGET, 0)


def truncate_by_opening() -> None:
    """The flag empties a file that is only opened for reading."""
    os.open(TARGET, os.O_RDONLY | os.O_TRUNC)


def chmod_descriptor() -> None:
    os.fchmod(os.open(TARGET, os.O_RDONLY), 0o777)


def newer_calls() -> None:
    """What the calls above do, by those that came later and that a filter may not know."""
    fchmodat2, setxattrat, file_setattr, follow = 452, 463, 469, 0
    value = ctypes.create_string_buffer(b"1")
    attribute = struct.pack("=QII", ctypes.addressof(value), 1, 0)
    nodump = struct.pack("=QIIIIQ", 0x80, 0, 0, 0, 0, 0)[:24]
    path = bytes(TARGET)
    tried(
        lambda: call(fchmodat2, AT_FDCWD, path, 0o777, follow),
        lambda: call(setxattrat, AT_FDCWD, path, follow, b"user.escape", attribute, 16),
        lambda: call(file_setattr, AT_FDCWD, path, nodump, 24, follow),
    )


def chmod_device() -> None:
    os.chmod("/dev/full", 0o777)


def chown() -> None:
    # To whom it belongs already, as an ordinary user may: the kernel clears the setuid bit.
    info = TARGET.stat()
    tried(lambda: os.chown(TARGET, 12345, 12345), lambda: os.chown(TARGET, -1, info.st_gid))


def utime() -> None:
    os.utime(TARGET, (1, 1))


def setxattr() -> None:
    os.setxattr(TARGET, "user.escape", b"1")


def removexattr() -> None:
    os.removexattr(OUTSIDE / "marked", "user.mark")


def set_flags() -> None:
    """`chattr +d`, through a descriptor that was opened for reading."""
    fs_ioc_getflags, fs_ioc_setflags, nodump = 0x80086601, 0x40086602, 0x40
    fd = os.open(TARGET, os.O_RDONLY)
    flags = struct.unpack("i", fcntl.ioctl(fd, fs_ioc_getflags, bytes(4)))[0]
    fcntl.ioctl(fd, fs_ioc_setflags, struct.pack("i", flags | nodump))


def nodes() -> None:
    """A fifo as anybody may, and a device as root may."""
    null = os.makedev(1, 3)
    tried(
        lambda: os.mkfifo(OUTSIDE / "new-fifo"),
        lambda: os.mknod(OUTSIDE / "new-node", stat.S_IFCHR | 0o666, null),
    )


def nameless() -> None:
    """A file without a name, which then gets one outside."""
    for folder in (OUTSIDE, WORK):
        tried(lambda folder=folder: _named_outside(folder))


def _named_outside(folder: Path) -> None:
    at_symlink_follow = 0x400
    fd = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    source, target = f"/proc/self/fd/{fd}".encode(), bytes(OUTSIDE / f"named-{folder.name}")
    call("linkat", AT_FDCWD, source, AT_FDCWD, target, at_symlink_follow)


def folder_descriptor() -> None:
    """Below the descriptor of a folder, by openat and by its name in /proc."""
    fd = os.open(OUTSIDE, os.O_RDONLY | os.O_DIRECTORY)
    tried(
        lambda: os.open("new-1", os.O_CREAT | os.O_WRONLY, dir_fd=fd),
        lambda: os.open(f"/proc/self/fd/{fd}/new-2", os.O_CREAT | os.O_WRONLY),
    )


def parents_root() -> None:
    """By whatever the parent has: its root, its folder and its open files.

    In a sandbox that is who watches over the command.
    """
    parent = f"/proc/{os.getppid()}"
    places = [f"{parent}/root{OUTSIDE}", f"{parent}/cwd/../outside"]
    try:
        places += [f"{parent}/fd/{fd}{OUTSIDE}" for fd in os.listdir(f"{parent}/fd")]
    except OSError as exc:
        print(exc)
    for place in places:
        tried(lambda place=place: Path(place, "new").write_text("escaped"))


def reopen() -> None:
    """Open anew for writing, by /proc, what was opened for reading."""
    fd = os.open(TARGET, os.O_RDONLY)
    os.write(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), b"escaped")


def inherited() -> None:
    """Write to whatever descriptors there are."""
    for fd in range(3, 256):
        try:
            os.write(fd, b"escaped")
        except OSError:
            continue


def program_in_memory() -> None:
    """Run a program that was never a file."""
    fd = os.memfd_create("program", 0)
    with open("/bin/sh", "rb") as shell:
        os.write(fd, shell.read())
    os.execv(f"/proc/self/fd/{fd}", ["sh", "-c", 'echo escaped > "$OUTSIDE/new"'])


def fifo() -> None:
    """A pipe outside, whose reader acts on what it is told."""
    fd = os.open(os.environ["FIFO"], os.O_WRONLY | os.O_NONBLOCK)
    os.write(fd, b"escaped")


def handle() -> None:
    """Open a denied file by its number, past all folders."""
    here = os.open(WORK, os.O_RDONLY)
    handle = bytes.fromhex(os.environ["HANDLE"])
    fd = call("open_by_handle_at", here, handle, os.O_RDONLY)
    print(os.read(fd, 4096).decode())


def disk() -> None:
    """Read the disk itself, through a device of one's own or one that is there."""
    major, minor = (int(number) for number in os.environ["DISK"].split(":"))
    names = [Path(f"/dev/{os.environ['DISK_NAME']}")]
    for folder in (WORK, Path(os.environ.get("TMPDIR", "/tmp"))):
        mine = folder / "disk"
        try:
            os.mknod(mine, stat.S_IFBLK | 0o600, os.makedev(major, minor))
        except OSError as exc:
            print(exc)
            continue
        names.append(mine)
    for name in names:
        tried(lambda name=name: print(_superblock(name)))


def _superblock(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY)
    return os.pread(fd, 512, 1024).hex()


def terminal_write() -> None:
    """Show something on a terminal of the user's."""
    os.write(os.open(os.environ["TERMINAL"], os.O_WRONLY | os.O_NOCTTY), b"escaped")


def terminal_type() -> None:
    """Type something into a terminal of the user's (TIOCSTI)."""
    tiocsti = 0x5412
    fd = os.open(os.environ["TERMINAL"], os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(fd, tiocsti, b"x")


def terminal_inherited() -> None:
    """The same with whatever terminal was inherited, or is the session's own."""
    tiocsti = 0x5412
    try:
        fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), tiocsti, b"x")
    except OSError as exc:
        print(exc)
    for fd in range(256):
        try:
            fcntl.ioctl(fd, tiocsti, b"x")
        except OSError:
            continue


def shared_memory_file() -> None:
    """A file among the host's POSIX shared memory."""
    path = f"/dev/shm/escape-{os.environ['TOKEN']}"
    os.write(os.open(path, os.O_CREAT | os.O_WRONLY), b"escaped")


if __name__ == "__main__":
    play({name: act for name, act in globals().items() if callable(act)})

"""Outsiders that belong to the machine: settings, mounts, devices, the disk, setuid programs."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .acts.kernel import AT_FDCWD, call
from .outsider import Outsider
from .stage import Stage

NIS_NAME = "/proc/sys/kernel/domainname"
ALIAS = "/sys/class/net/lo/ifalias"
DEVICE = "/dev/full"


class Setting(Outsider):
    """A harmless setting of the machine, restored afterwards."""

    def __init__(self, stage: Stage, path: str) -> None:
        super().__init__(stage)
        self._path = Path(path)
        self._before = self._path.read_text()

    def evidence(self) -> Iterator[str]:
        if self.stage.token in self._path.read_text():
            yield f"{self._path} changed"

    def close(self) -> None:
        if self._path.read_text() != self._before:
            self._path.write_text(self._before or "\n")


class ControlGroup(Outsider):
    """A hierarchy of control groups in which new ones can be made."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._path = Path(cgroup_folder() or "/nowhere", f"escape-{stage.token}")
        self.env["GROUP"] = str(self._path)

    def evidence(self) -> Iterator[str]:
        if self._path.exists():
            yield "there is a new control group"

    def close(self) -> None:
        if self._path.exists():
            self._path.rmdir()


class Mounts(Outsider):
    """The file systems that are mounted for all to see."""

    def evidence(self) -> Iterator[str]:
        if str(self.stage.base) in Path("/proc/self/mountinfo").read_text():
            yield "something was mounted for everybody"

    def close(self) -> None:
        detach = 2
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if (place := line.split()[4]).startswith(str(self.stage.base)):
                call("umount2", place.encode(), detach)


class Handle(Outsider):
    """The number by which a file system knows a denied file."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        handle = ctypes.create_string_buffer(8 + 128)
        struct.pack_into("=I", handle, 0, 128)
        mount = ctypes.create_string_buffer(4)
        path = bytes(stage.work / ".env")
        call("name_to_handle_at", AT_FDCWD, path, handle, mount, 0)
        self.env["HANDLE"] = handle.raw.hex()


class Disk(Outsider):
    """The block device with all files."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        number, name = disk() or ("0:0", "none")
        self.env.update(DISK=number, DISK_NAME=name)
        with suppress(OSError), open(f"/dev/{name}", "rb") as device:
            device.seek(1024)
            # What is in the superblock in any case, and neither empty nor changing.
            stage.secrets.append(device.read(512)[104:120].hex())


class Helper(Outsider):
    """Programs that run as root whoever starts them, and a file that only root may write."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        folder = helper_folder()
        self._target = folder / "target" if folder else None
        stage.secrets.append("euid=0(root)")
        self.env = {
            "TEE": str(folder / "tee" if folder else "/bin/false"),
            "ID": str(folder / "id" if folder else "/bin/false"),
            "TARGET": str(self._target),
        }

    def evidence(self) -> Iterator[str]:
        if self._target is not None and self.stage.token in self._target.read_text():
            yield "a program ran as root"


class Device(Outsider):
    """A device file of the machine that everybody may use."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._before = os.stat(DEVICE)

    def evidence(self) -> Iterator[str]:
        now = os.stat(DEVICE)
        if (now.st_mode, now.st_mtime_ns) != (self._before.st_mode, self._before.st_mtime_ns):
            yield f"{DEVICE} changed"

    def close(self) -> None:
        if os.stat(DEVICE).st_mode != self._before.st_mode:
            os.chmod(DEVICE, stat.S_IMODE(self._before.st_mode))


def helper_folder() -> Path | None:
    """Where root has left setuid programs for a user without rights; see `nobody`."""
    return Path(os.environ["HELPER"]) if "HELPER" in os.environ else None


def cgroup_folder() -> str | None:
    """Where control groups can be made."""
    for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer"):
        if Path(folder, "cgroup.procs").exists() and os.access(folder, os.W_OK):
            return folder
    return None


def disk() -> tuple[str, str] | None:
    """The number and name of the block device that holds the temporary files."""
    device = os.stat("/tmp").st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    name = Path(f"/sys/dev/block/{number}")
    return (number, name.resolve().name) if name.exists() else None

"""File layers in which the n-th system call of all goes wrong, or is the last one."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from codex_rpc.rollout.files import OsFiles

Fault = int | Literal["short write"]
"""An errno, or a write that takes half of what it is given."""


class Died(BaseException):
    """Raised by every call of a process that is dead."""


class _EachCall(OsFiles, ABC):
    """Asks `_before` about each call, which is numbered from 1."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @abstractmethod
    def _before(self, name: str) -> Fault | None:
        """What the call that has just been counted does instead of working."""

    def _call(self, name: str, work: Callable[[], Any]) -> Any:
        self.calls.append(name)
        fault = self._before(name)
        if isinstance(fault, int):
            raise OSError(fault, os.strerror(fault))
        return work()

    def make_folders(self, folder: Path) -> list[Path]:
        made: list[Path] = self._call("make_folders", lambda: OsFiles.make_folders(self, folder))
        return made

    def create(self, path: Path) -> int:
        fd: int = self._call("create", lambda: OsFiles.create(self, path))
        return fd

    def open_to_append(self, path: Path) -> int:
        fd: int = self._call("open_to_append", lambda: OsFiles.open_to_append(self, path))
        return fd

    def lock(self, fd: int) -> bool:
        is_ours: bool = self._call("lock", lambda: OsFiles.lock(self, fd))
        return is_ours

    def write(self, fd: int, data: memoryview) -> int:
        self.calls.append("write")
        fault = self._before("write")
        if isinstance(fault, int):
            raise OSError(fault, os.strerror(fault))
        return super().write(fd, data[: (len(data) + 1) // 2] if fault else data)

    def sync(self, fd: int) -> None:
        self._call("sync", lambda: OsFiles.sync(self, fd))

    def sync_folder(self, folder: Path) -> None:
        self._call("sync_folder", lambda: OsFiles.sync_folder(self, folder))

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        self._call("overwrite", lambda: OsFiles.overwrite(self, path, offset, data))

    def close(self, fd: int) -> None:
        # As the system does it: the descriptor is gone, whatever close says.
        OsFiles.close(self, fd)
        self._call("close", lambda: None)


class FailingFiles(_EachCall):
    """The real files, except for `times` calls from the n-th on, which fail."""

    def __init__(self, n: int | None, fault: Fault, *, times: int = 1) -> None:
        super().__init__()
        self._failing = range(n, n + times) if n is not None else range(0)
        self._fault = fault
        self.failed: list[str] = []

    def _before(self, name: str) -> Fault | None:
        is_short_write = self._fault == "short write" and name != "write"
        if len(self.calls) not in self._failing or is_short_write:
            return None
        self.failed.append(name)
        return self._fault


class DyingFiles(_EachCall):
    """The real files of a process that dies at its n-th call, a write of it half done."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self._last = n
        self._open: set[int] = set()
        self.died = False

    def _before(self, name: str) -> Fault | None:
        if self.died:
            raise Died
        if len(self.calls) < self._last:
            return None
        self.died = True
        if name != "write":
            raise Died
        return "short write"

    def write(self, fd: int, data: memoryview) -> int:
        count = super().write(fd, data)
        if self.died:
            raise Died
        return count

    def create(self, path: Path) -> int:
        fd = super().create(path)
        self._open.add(fd)
        return fd

    def open_to_append(self, path: Path) -> int:
        fd = super().open_to_append(path)
        self._open.add(fd)
        return fd

    def close(self, fd: int) -> None:
        if not self.died:
            self._open.discard(fd)
            super().close(fd)

    def discard(self, fd: int, path: Path) -> None:
        # The dead tidy nothing up.
        if not self.died:
            self._open.discard(fd)
            super().discard(fd, path)

    def bury(self) -> None:
        """Close what the dead process had open, as the system does."""
        for fd in self._open:
            try:
                os.close(fd)
            except OSError:
                continue
        self._open.clear()

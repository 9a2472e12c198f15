"""The surroundings of one attempt, and the look at them afterwards.

A stage is a folder with a workspace, more writable roots, files outside, denied files and a
CODEX_HOME, all new for each attempt. It does not know what confines the command.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from .attempt import ATTEMPTING, WRITING, Mode

Fingerprint = tuple[object, ...]

FS_IOC_GETFLAGS = 0x80086601


class Stage:
    """Files and folders; `env` is what the command gets to know of them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.token = secrets.token_hex(6)
        self.secret = f"secret-{self.token}"
        self.secrets = [self.secret]
        """Texts that must not come up in the output."""
        self.work = base / "work"
        self.roots = (self.work, base / "root2", base / "tree", self.work / "inner")
        """The writable ones; the last lies in the first."""
        self.outside = base / "outside"
        self.home = base / "home"
        self.codex_home = self.home / ".codex"
        self.strays = [
            Path(folder) / f"escape-{self.token}" for folder in ("/tmp", "/var/tmp", "/dev/shm")
        ]
        """Files elsewhere on the machine that an attempt may leave."""
        self._make()
        self.env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "OUTSIDE": str(self.outside),
            "WORK": str(self.work),
            "ROOT2": str(base / "root2"),
            "TREE": str(base / "tree"),
            "BASE": str(base),
            "STATE": str(self.codex_home),
            "TOKEN": self.token,
        }
        self._before: dict[Path, Fingerprint] = {}

    def _make(self) -> None:
        secret = f"{self.secret}\n"
        for name, content in {
            "outside/target": "untouched\n",
            "outside/marked": "untouched\n",
            "outside/folder/": "",
            "outside/empty/": "",
            "work/src/deep/file.txt": "a file\n",
            "work/.git/HEAD": "ref: refs/heads/main\n",
            "work/.git/config": "[core]\n\tbare = false\n",
            "work/.git/hooks/pre-commit": "#!/bin/sh\n",
            "work/.git/objects/": "",
            "work/.git/refs/": "",
            "work/.codex/config.toml": "\n",
            "work/sub/.git/hooks/pre-commit": "#!/bin/sh\n",
            "work/inner/file": "a file\n",
            "work/.env": secret,
            "work/private/plans.txt": secret,
            "root2/.env": secret,
            "root2/file": "a file\n",
            "secrets/token": secret,
            "secrets/deep/more": secret,
            "vault/plain": secret,
            "tree/file": "a file\n",
            "tree/.git": f"gitdir: {self.base}/tree/store/worktrees/tree\n",
            "tree/store/hooks/": "",
            "tree/store/config": "\n",
            "tree/store/worktrees/tree/commondir": "../..\n",
            "tree/store/worktrees/tree/HEAD": "ref: refs/heads/main\n",
            "home/.bashrc": "\n",
        }.items():
            path = self.base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir()
            else:
                path.write_text(content)
        self.make_state(self.codex_home)
        (self.work / "link-out").symlink_to("../outside")
        (self.work / "link-target").symlink_to("../outside/target")
        (self.work / "dangling").symlink_to("../outside/new")
        (self.work / "link-secret").symlink_to("../secrets/token")
        (self.base / "alias").symlink_to("vault")
        # A file system that keeps none: the rows about it say so.
        with suppress(OSError):
            os.setxattr(self.outside / "marked", "user.mark", b"1")

    def make_state(self, codex_home: Path) -> None:
        """A CODEX_HOME with a session in it."""
        sessions = codex_home / "sessions/2025/01/01"
        sessions.mkdir(parents=True)
        (sessions / "rollout-1.jsonl").write_text('{"id":"1"}\n')
        (codex_home / "config.toml").write_text('approval_policy = "never"\n')
        (codex_home / "history.jsonl").write_text("\n")
        (codex_home / "auth.json").write_text(f'{{"OPENAI_API_KEY":"{self.secret}"}}\n')

    def move_state(self, codex_home: Path) -> None:
        """Let CODEX_HOME be elsewhere from now on."""
        self.make_state(codex_home)
        self.codex_home = codex_home
        self.env["STATE"] = str(codex_home)

    def denied(self) -> tuple[str, ...]:
        """The globs of files that may not be read, of each kind one."""
        base = self.base
        return (
            "**/.env",
            f"{self.work}/private/plans.txt",
            f"{base}/secrets/**",
            f"{base}/alias/*",
        )

    def look(self) -> None:
        """Remember how everything is."""
        self._before = dict(self._fingerprints())

    def damage(self, mode: Mode) -> Iterator[str]:
        """What has changed where `mode` allows no change."""
        now = dict(self._fingerprints())
        before = self._before
        for path in sorted(before.keys() | now.keys()):
            if before.get(path) != now.get(path) and not self._may_change(path, mode):
                how = "is new" if path not in before else "changed" if path in now else "is gone"
                yield f"{path.relative_to(self.base)} {how}"
        for path in self.strays:
            if os.path.lexists(path):
                yield f"{path} is there"

    def leaks(self, output: str) -> Iterator[str]:
        """What the output should not show."""
        if any(secret in output for secret in self.secrets):
            yield "a secret was read"
        if "REACHED" in output:
            yield "it says so itself"

    def clear(self) -> None:
        """Remove what was left outside the stage; the rest goes with the folder."""
        for path in self.strays:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _may_change(self, path: Path, mode: Mode) -> bool:
        if mode not in WRITING or not any(path.is_relative_to(root) for root in self.roots):
            return False
        kept = [root / name for root in self.roots for name in (".git", ".codex")]
        kept += [self.codex_home, self.base / "tree/store"]
        return not any(path.is_relative_to(folder) for folder in kept)

    def _fingerprints(self) -> Iterator[tuple[Path, Fingerprint]]:
        for folder, _, names in os.walk(self.base):
            for path in (Path(folder), *(Path(folder, name) for name in names)):
                yield path, _fingerprint(path)


def _fingerprint(path: Path) -> Fingerprint:
    info = path.lstat()
    shared = (info.st_mode, info.st_uid, info.st_gid)
    if stat.S_ISDIR(info.st_mode):
        return (*shared, info.st_dev)
    if stat.S_ISLNK(info.st_mode):
        return (*shared, os.readlink(path))
    if not stat.S_ISREG(info.st_mode):
        return (*shared, info.st_rdev)
    attributes = _quietly(lambda: tuple(os.listxattr(path)))
    content = path.read_bytes()
    flags = _quietly(lambda: _flags(path))
    return (*shared, info.st_nlink, info.st_mtime_ns, content, attributes, flags)


def _flags(path: Path) -> int:
    with path.open("rb") as file:
        (flags,) = struct.unpack("i", fcntl.ioctl(file, FS_IOC_GETFLAGS, bytes(4)))
    return int(flags)


def _quietly(look: Callable[[], object]) -> object:
    try:
        return look()
    except OSError:
        return None


def was_tried(output: str) -> bool:
    """Whether the command ran at all."""
    return re.search(rf"^{ATTEMPTING}$", output, re.MULTILINE) is not None

"""Which programs there are: ours, and the real ones where they are installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from attrs import frozen

from .child import ProgramFailed
from .drivers import AcpDriver, AppServerDriver, Driver, NativeDriver, ProtoDriver

SCRIPT = shutil.which("codex-rpc", path=str(Path(sys.executable).parent))
OURS: Sequence[str] = [SCRIPT] if SCRIPT else [sys.executable, "-m", "codex_rpc"]

NAME = re.compile(r"codex(-acp)?(-(x86_64|aarch64)-[a-z0-9-]+)?")
"""What a binary is called, by itself or with the machine that it is for."""

VERSION = re.compile(r"codex-cli (\d+)\.(\d+)\.(\d+)")
FIRST_WITHOUT_PROTO = (0, 32)


@frozen
class Program:
    """One that is measured."""

    name: str
    driver: type[Driver]
    command: Sequence[str]
    ours: bool = False
    missing: str | None = None
    """Why it cannot be measured."""

    def start(self, home: Path, cwd: Path) -> Driver:
        """A process of it that has said its first words."""
        driver = self.driver(self.command, home, cwd)
        try:
            driver.greet()
        except BaseException:
            driver.child.kill()
            raise
        return driver


def ours() -> list[Program]:
    """codex-rpc with each protocol that it speaks."""
    return [
        Program("codex-rpc", NativeDriver, OURS, ours=True),
        Program(
            "codex-rpc acp", AcpDriver, [*OURS, "acp"], ours=True, missing=_why_no_command("acp")
        ),
    ]


def _why_no_command(name: str) -> str | None:
    done = subprocess.run([*OURS, name, "--help"], capture_output=True, check=False)
    return None if done.returncode == 0 else f"there is no command `codex-rpc {name}`"


def installed(folders: Iterable[Path]) -> list[Program]:
    """The real programs in these folders, in `node_modules` or plain.

    Of each version one is taken: the binary itself, not the script that looks for it.
    """
    programs: dict[str, Program] = {}
    for path in (path for folder in folders for path in _binaries(folder)):
        program = _recognised(path)
        if program is not None:
            programs.setdefault(program.name, program)
    return sorted(programs.values(), key=lambda program: program.name)


def _binaries(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            if NAME.fullmatch(name) and os.access(path, os.X_OK) and not _is_script(path):
                yield path.resolve()


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _recognised(path: Path) -> Program | None:
    """What `path` is; None: made for another machine, or something else."""
    try:
        if path.name.startswith("codex-acp"):
            return Program(f"codex-acp {_told_version(path)}", AcpDriver, [str(path)])
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired, ProgramFailed):
        return None
    found = VERSION.search(done.stdout)
    if found is None:
        return None
    if (int(found[1]), int(found[2])) < FIRST_WITHOUT_PROTO:
        return Program(f"codex proto {'.'.join(found.groups())}", ProtoDriver, [str(path)])
    return Program(f"codex app-server {'.'.join(found.groups())}", AppServerDriver, [str(path)])


def _told_version(path: Path) -> str:
    """What a program without `--version` says of itself in its own protocol."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / ".codex").mkdir()
        driver = AcpDriver([str(path)], home, home)
        try:
            driver.greet()
            return driver.version
        finally:
            driver.child.kill()

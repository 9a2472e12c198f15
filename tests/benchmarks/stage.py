"""What a benchmark is given: a folder, the model's process, homes that name it, and programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from .child import ProgramFailed
from .drivers import Driver, Turn
from .programs import Program

CONFIG = """\
model_provider = "loopback"
approval_policy = "never"
sandbox_mode = "danger-full-access"
model_context_window = 1000000000
[model_providers.loopback]
name = "loopback"
base_url = "http://127.0.0.1:{port}/{plan}/v1"
wire_api = "responses"
env_key = "OPENAI_API_KEY"
requires_openai_auth = false
supports_websockets = false
"""
"""What all of these programs understand. In so large a window nobody begins to compact."""

SHORT_TURN = "deltas=1"


@define
class Stage:
    """Where a run happens."""

    folder: Path
    port: int
    short: bool
    cwd: Path = field(init=False)
    _prepared: set[Path] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.cwd = self.folder / "work"
        self.cwd.mkdir(exist_ok=True)

    def size(self, full: int, short: int) -> int:
        """`short` in the short form, else `full`."""
        return short if self.short else full

    def home(self, program: Program, name: str, plan: str = SHORT_TURN) -> Path:
        """The HOME for this purpose, whose model answers after `plan`; made when first named."""
        home = self.folder / f"{program.name} {name}".replace(" ", "-")
        (home / ".codex").mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(port=self.port, plan=plan)
        (home / ".codex" / "config.toml").write_text(config)
        return home

    def is_new(self, home: Path) -> bool:
        """Whether this is asked of `home` for the first time: then it is to be filled."""
        new = home not in self._prepared
        self._prepared.add(home)
        return new

    def fresh_home(self, program: Program, name: str, plan: str = SHORT_TURN) -> Path:
        """As `home`, without anything left of an earlier run."""
        shutil.rmtree(self.home(program, name, plan))
        return self.home(program, name, plan)

    @contextmanager
    def running(self, program: Program, home: Path) -> Iterator[Driver]:
        """A process that has said its first words, until the end of the block."""
        driver = program.start(home, self.cwd)
        with ending(driver):
            yield driver


@contextmanager
def ending(driver: Driver) -> Iterator[None]:
    """End the program with the block: politely if all went well."""
    try:
        yield
    except BaseException:
        driver.child.kill()
        raise
    driver.end()


def check_text(driver: Driver, turn: Turn, expected: str) -> None:
    """See that nothing of a turn's text is missing.

    Raises:
        ProgramFailed: something is.
    """
    texts = list(driver.texts(turn.lines).values())
    if texts != [expected]:
        got = sum(map(len, texts))
        raise ProgramFailed(f"{got} characters of {len(expected)} arrived, or other ones")


def wait_for(
    condition: Callable[[], bool], *, timeout_s: float = 60, every_s: float = 0.01
) -> None:
    """Look again and again until it is so.

    Raises:
        ProgramFailed: it is not, in that time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise ProgramFailed(f"what was waited for did not come within {timeout_s:g} s")
        time.sleep(every_s)


@contextmanager
def staged(*, short: bool) -> Iterator[Stage]:
    """A stage in a temporary folder; everything on it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, model_process() as port:
        yield Stage(Path(folder), port, short)


@contextmanager
def model_process() -> Iterator[int]:
    """The model server in a process of its own; its port."""
    command = [sys.executable, str(Path(__file__).with_name("model.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            assert process.stdin is not None
            process.stdin.close()


def forget_pages(paths: Iterable[Path]) -> None:
    """Have the system read these files from the disk again, as after a start of the machine."""
    os.sync()
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)

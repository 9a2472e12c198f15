"""Going on with a large session: the answer, the history told anew, the first turn behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..drivers import Saved, Unable
from ..figures import Mark, Measure
from ..inputs import write_compacted, write_session
from ..programs import Program
from ..stage import Stage, ending, forget_pages
from .base import CPU, MEMORY_AFTER, PEAK, Benchmark

ITEMS_COUNT = 100_000
LARGE_MIB = 1_024
MIB = 1 << 20

_written: dict[tuple[int, Path], Saved] = {}


def saved_in(stage: Stage, home: Path, write: Callable[[], Saved]) -> Saved:
    """What was written into `home`, which is done once."""
    key = (stage.port, home)
    if key not in _written:
        _written[key] = write()
    return _written[key]


def resume(stage: Stage, program: Program, home: Path, saved: Saved) -> dict[str, float]:
    """A process resumes `saved` and takes a turn; another one does so in a new session."""
    size = saved.path.stat().st_size
    with stage.running(program, home) as driver:
        empty = driver.turn(driver.open()).seconds
    resumed = program.driver.resumed(program.command, home, stage.cwd, saved)
    driver = resumed.driver
    with ending(driver):
        cpu_s, memory = driver.child.cpu_s, driver.child.rss_mib
        turn = driver.turn(saved.session_id)
        figures = {
            "answer": resumed.seconds,
            "CPU": cpu_s,
            "memory": memory,
            "first turn": turn.seconds,
            "over a new session's": turn.seconds - empty,
            "memory after": driver.child.rss_mib,
            "peak memory": driver.child.peak_mib,
        }
    if program.ours:
        # The next run finds what this one did.
        with saved.path.open("r+b") as file:
            file.truncate(size)
    return figures


def _items(stage: Stage, program: Program) -> dict[str, float]:
    items = stage.size(ITEMS_COUNT, 2_000)
    home = stage.home(program, f"items-{items}")
    saved = saved_in(stage, home, lambda: write_session(stage, program, home, items))
    figures = resume(stage, program, home, saved)
    with stage.running(program, home) as driver:
        try:
            figures["whole history"] = driver.replay(saved).seconds
        except Unable:
            return figures
    return figures


def _large(stage: Stage, program: Program) -> dict[str, float]:
    mib = stage.size(LARGE_MIB, 16)
    home = stage.home(program, f"large-{mib}")
    saved = saved_in(stage, home, lambda: write_compacted(home, mib * MIB))
    forget_pages([saved.path])
    return resume(stage, program, home, saved)


FIRST_TURN = Measure("first turn", "s")
OVER = Measure("over a new session's", "s", Mark(at_most=0.02))

ITEMS = Benchmark(
    "resume",
    f"Going on with a session of {ITEMS_COUNT:,} items",
    (
        Measure("answer", "s", Mark(at_most=0.2, ahead=5)),
        Measure("whole history", "s"),
        FIRST_TURN,
        OVER,
        CPU,
        Measure("memory", "MiB", Mark(at_most=120)),
        MEMORY_AFTER,
        PEAK,
    ),
    _items,
)
LARGE = Benchmark(
    "large",
    f"Going on with a file of {LARGE_MIB:,} MiB that was compacted near its end, read from disk",
    (
        Measure("answer", "s", Mark(at_most=0.2)),
        FIRST_TURN,
        OVER,
        CPU,
        MEMORY_AFTER,
        PEAK,
    ),
    _large,
    ours_only="their compaction is another, and without it they read all of it",
)

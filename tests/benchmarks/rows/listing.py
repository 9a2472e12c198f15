"""The list of saved sessions: by a program that sees them for the first time, and by the next."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from ..child import SECOND_NS, ProgramFailed
from ..drivers import Driver, Unable
from ..figures import Mark, Measure
from ..inputs import write_many
from ..programs import Program
from ..stage import Stage
from .base import CPU, MEMORY_AFTER, PEAK, Benchmark

FILES, FILE_BYTES = 2_000, 96_000
VERY_MANY_FILES, SMALL_BYTES = 20_000, 4_000


def _filled(stage: Stage, program: Program, files: int, file_bytes: int) -> Path:
    if program.driver.page is Driver.page:
        raise Unable("has no list of sessions")
    home = stage.home(program, f"list-{files}")
    if stage.is_new(home):
        write_many(stage, program, home, files, file_bytes)
    return home


def forget_catalog(home: Path) -> None:
    """Remove what any of these programs keeps of an earlier list."""
    codex = home / ".codex"
    for path in [*(codex / "sessions").glob(".catalog*"), *codex.glob("*.sqlite*")]:
        path.unlink()


def listed(stage: Stage, program: Program, home: Path, files: int) -> dict[str, float]:
    """What a new process needs for the first page and for every row."""
    with stage.running(program, home) as driver:
        began = driver.child.began_ns
        page = driver.page()
        since_spawn = (time.monotonic_ns() - began) / SECOND_NS
        asked = time.monotonic()
        rows = _all(driver, files)
        seconds = time.monotonic() - asked
        if program.ours and rows != files:
            raise ProgramFailed(f"{rows} of {files} sessions were listed")
        return {
            "page": page.seconds,
            "since spawn": since_spawn,
            "all": seconds,
            "missing": files - rows,
            "CPU": driver.child.cpu_s,
            "memory after": driver.child.rss_mib,
            "peak memory": driver.child.peak_mib,
        }


def _all(driver: Driver, files: int) -> int:
    page = driver.page(limit=files)
    rows = page.count
    while page.next_cursor is not None:
        page = driver.page(page.next_cursor, files)
        rows += page.count
        if rows > 2 * files:
            raise ProgramFailed(f"its list of {files} sessions does not end")
    return rows


def _sample(
    stage: Stage, program: Program, *, files: int, short: int, size: int
) -> dict[str, float]:
    files = stage.size(files, short)
    home = _filled(stage, program, files, size)
    forget_catalog(home)
    cold = listed(stage, program, home, files)
    warm = listed(stage, program, home, files)
    figures = {f"cold {name}": cold[name] for name in ("page", "since spawn", "all")}
    figures |= {f"warm {name}": warm[name] for name in ("page", "since spawn", "all")}
    return figures | {
        name: cold[name] for name in ("missing", "CPU", "memory after", "peak memory")
    }


MANY = Benchmark(
    "list",
    f"The list of {FILES:,} saved sessions",
    (
        Measure("cold page", "s", Mark(at_most=0.5)),
        Measure("cold since spawn", "s", Mark(ahead=1)),
        Measure("cold all", "s", Mark(at_most=0.5, ahead=1)),
        Measure("warm page", "s", Mark(at_most=0.05, ahead=1)),
        Measure("warm since spawn", "s"),
        Measure("warm all", "s", Mark(at_most=0.05, ahead=1)),
        Measure("missing", ""),
        CPU,
        MEMORY_AFTER,
        PEAK,
    ),
    partial(_sample, files=FILES, short=100, size=FILE_BYTES),
    runs=3,
)
VERY_MANY = Benchmark(
    "list-long",
    f"The list of {VERY_MANY_FILES:,} saved sessions",
    (
        Measure("cold page", "s"),
        Measure("cold all", "s"),
        Measure("warm page", "s", Mark(at_most=0.3)),
        Measure("warm since spawn", "s"),
        Measure("warm all", "s", Mark(at_most=0.3)),
        Measure("missing", ""),
        CPU,
        MEMORY_AFTER,
        PEAK,
    ),
    partial(_sample, files=VERY_MANY_FILES, short=200, size=SMALL_BYTES),
    runs=3,
    ours_only="the others take minutes for it; see the curves",
)

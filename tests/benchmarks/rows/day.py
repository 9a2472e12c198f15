"""A working day, compressed: sessions come and go, turns call commands; does anything pile up?"""

from __future__ import annotations

import time

from ..figures import Mark, Measure
from ..programs import Program
from ..stage import Stage
from .base import CPU, MEMORY_AFTER, Benchmark

TURNS = 10_000
TURNS_OF_SESSION = 50
"""After which it is closed, and another one opened."""
PLAN = "deltas=20,per_write=10,call_every=10"
"""Of ten answers one is a call, whose output takes another."""


def _sample(stage: Stage, program: Program) -> dict[str, float]:
    turns = stage.size(TURNS, 200)
    early = max(turns // 10, TURNS_OF_SESSION)
    times: list[float] = []
    memory: list[float] = []
    files: list[int] = []
    with stage.running(program, stage.fresh_home(program, "day", PLAN)) as driver:
        began = time.monotonic()
        for n in range(turns):
            if n % TURNS_OF_SESSION == 0:
                session = driver.open()
                driver.page()
            times.append(driver.turn(session, f"turn {n}").seconds)
            if (n + 1) % TURNS_OF_SESSION == 0:
                driver.close(session)
                memory.append(driver.child.rss_mib)
                files.append(driver.child.open_files)
        seconds = time.monotonic() - began
        at = early // TURNS_OF_SESSION - 1
        return {
            "turns": turns / seconds,
            "turn, early": sum(times[:early]) / early * 1000,
            "turn, late": sum(times[-early:]) / early * 1000,
            "slowest turn": max(times) * 1000,
            "memory growth": memory[-1] - memory[at],
            "file growth": files[-1] - files[at],
            "memory after": memory[-1],
            "open files": files[-1],
            "CPU": driver.child.cpu_s,
        }


BENCHMARK = Benchmark(
    "day",
    f"{TURNS:,} turns in {TURNS // TURNS_OF_SESSION} sessions, one in ten answers a command; "
    "growth since the first tenth",
    (
        Measure("turns", "/s", more_is_better=True),
        Measure("turn, early", "ms"),
        Measure("turn, late", "ms"),
        Measure("slowest turn", "ms"),
        Measure("memory growth", "MiB", Mark(at_most=5)),
        Measure("file growth", "", Mark(at_most=0)),
        MEMORY_AFTER,
        Measure("open files", ""),
        CPU,
    ),
    _sample,
    runs=1,
    ours_only="it would take them most of an hour",
)

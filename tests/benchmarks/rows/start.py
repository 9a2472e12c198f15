"""From the spawn of the process to its first words, a session, and the end of a first turn."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from ..child import SECOND_NS
from ..figures import Mark, Measure
from ..programs import Program
from ..stage import Stage
from .base import CPU, PEAK, Benchmark

MEASURES = (
    Measure("first words", "s"),
    Measure("session", "s", Mark(at_most=0.2)),
    Measure("first turn", "s", Mark(at_most=0.3)),
    CPU,
    PEAK,
)


def _sample(stage: Stage, program: Program, *, fresh: bool) -> dict[str, float]:
    home = stage.fresh_home(program, "new") if fresh else stage.home(program, "start")
    if not fresh and stage.is_new(home):
        _start(stage, program, home)
    return _start(stage, program, home)


def _start(stage: Stage, program: Program, home: Path) -> dict[str, float]:
    with stage.running(program, home) as driver:
        began = driver.child.began_ns
        greeted = time.monotonic_ns()
        session = driver.open()
        opened = time.monotonic_ns()
        turn = driver.turn(session)
        return {
            "first words": (greeted - began) / SECOND_NS,
            "session": (opened - began) / SECOND_NS,
            "first turn": (turn.lines[-1][0] - began) / SECOND_NS,
            "CPU": driver.child.cpu_s,
            "peak memory": driver.child.peak_mib,
        }


REUSED = Benchmark(
    "start", "Start, in a home that was used before", MEASURES, partial(_sample, fresh=False), 9, 2
)
FRESH = Benchmark(
    "start-fresh", "Start, in a new home", MEASURES, partial(_sample, fresh=True), 9, 2
)

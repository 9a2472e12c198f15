"""What a process with one open session costs while nothing is asked of it."""

from __future__ import annotations

import time

from ..figures import Mark, Measure
from ..programs import Program
from ..stage import Stage
from .base import PEAK, Benchmark


def _sample(stage: Stage, program: Program) -> dict[str, float]:
    with stage.running(program, stage.home(program, "idle")) as driver:
        session = driver.open()
        # What is loaded in the background is loaded.
        time.sleep(stage.size(2, 1))
        memory, cpu_s = driver.child.rss_mib, driver.child.cpu_s
        seconds = stage.size(5, 1)
        time.sleep(seconds)
        cpu_s = driver.child.cpu_s - cpu_s
        driver.turn(session)
        time.sleep(0.2)
        return {
            "memory": memory,
            "after a turn": driver.child.rss_mib,
            "peak memory": driver.child.peak_mib,
            "CPU per second": cpu_s / seconds * 1000,
            "open files": driver.child.open_files,
        }


BENCHMARK = Benchmark(
    "idle",
    "One open session, and nothing to do",
    (
        Measure("memory", "MiB", Mark(at_most=60)),
        Measure("after a turn", "MiB"),
        PEAK,
        Measure("CPU per second", "ms"),
        Measure("open files", ""),
    ),
    _sample,
    runs=3,
)

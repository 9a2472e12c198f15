"""A long text, streamed as fast as the model server can: the second turn of a process."""

from __future__ import annotations

from ..figures import Mark, Measure
from ..model import text_of
from ..programs import Program
from ..stage import Stage, check_text
from .base import CPU, MEMORY_AFTER, PEAK, Benchmark

DELTAS = 20_000


def stream(stage: Stage, program: Program, count: int) -> dict[str, float]:
    """A turn of `count` deltas."""
    home = stage.home(program, f"deltas-{count}", f"deltas={count},per_write=200")
    with stage.running(program, home) as driver:
        session = driver.open()
        driver.turn(session)
        cpu_s = driver.child.cpu_s
        turn = driver.turn(session)
        cpu_s = driver.child.cpu_s - cpu_s
        memory, peak = driver.child.rss_mib, driver.child.peak_mib
        check_text(driver, turn, text_of(count))
        return {
            "rate": count / turn.seconds,
            "time": turn.seconds,
            "CPU per delta": cpu_s / count * 1e6,
            "CPU": cpu_s,
            "messages": sum(driver.delta_mark in line for _, line in turn.lines),
            "memory after": memory,
            "peak memory": peak,
        }


def _sample(stage: Stage, program: Program) -> dict[str, float]:
    return stream(stage, program, stage.size(DELTAS, 2_000))


BENCHMARK = Benchmark(
    "deltas",
    f"A turn of {DELTAS:,} deltas",
    (
        Measure("rate", "/s", Mark(at_least=60_000, ahead=2), more_is_better=True),
        Measure("time", "s"),
        Measure("CPU per delta", "us", Mark(at_most=20, ahead=1)),
        CPU,
        Measure("messages", ""),
        MEMORY_AFTER,
        PEAK,
    ),
    _sample,
)

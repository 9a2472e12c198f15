"""How long a piece of text takes from the model's write to the client's read."""

from __future__ import annotations

import statistics

from ..figures import Mark, Measure
from ..model import text_of
from ..programs import Program
from ..stage import Stage, check_text
from .base import Benchmark

DELTAS = 10
PLAN = f"deltas={DELTAS},per_write=1,wait_ms=30,pause_ms=20,stamps=1"


def _sample(stage: Stage, program: Program) -> dict[str, float]:
    """Turns of one process; the first is not counted."""
    firsts: list[float] = []
    others: list[float] = []
    with stage.running(program, stage.home(program, "latency", PLAN)) as driver:
        session = driver.open()
        driver.turn(session)
        for _ in range(stage.size(10, 2)):
            turn = driver.turn(session)
            check_text(driver, turn, text_of(DELTAS))
            first, *more = driver.delays_s(turn.lines)
            firsts.append(first * 1000)
            others += [delay * 1000 for delay in more]
    return {
        "first delta": statistics.median(firsts),
        "worst first": max(firsts),
        "later deltas": statistics.median(others),
        "worst later": max(others),
    }


BENCHMARK = Benchmark(
    "latency",
    "A delta's way from the model's write to the client's read",
    (
        Measure("first delta", "ms", Mark(at_most=2)),
        Measure("worst first", "ms"),
        Measure("later deltas", "ms"),
        Measure("worst later", "ms"),
    ),
    _sample,
    runs=5,
)

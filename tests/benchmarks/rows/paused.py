"""A client that stops reading and goes on a minute later: nothing is missing."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..child import SECOND_NS
from ..drivers import Driver, Unable
from ..figures import Mark, Measure
from ..model import text_of
from ..programs import Program
from ..stage import Stage
from .base import MEMORY_AFTER, Benchmark
from .crowd import check_texts, take_ends

SESSIONS = 20


def _sample(stage: Stage, program: Program) -> dict[str, float]:
    if not program.driver.many_sessions:
        raise Unable("one process has one session")
    deltas = stage.size(5_000, 1_000)
    home = stage.home(program, "paused", f"deltas={deltas},per_write=50,pause_ms=5")
    with stage.running(program, home) as driver:
        sessions = [driver.open() for _ in range(SESSIONS)]
        # Each has its connection to the model before memory is looked at.
        _turns(driver, sessions, deltas)
        before = driver.child.rss_mib
        for session in sessions:
            driver.say(session)
        time.sleep(stage.size(60, 2))
        stopped = driver.child.rss_mib
        asked_ns = time.monotonic_ns()
        lines = take_ends(driver, len(sessions))
        check_texts(driver, lines, SESSIONS, text_of(deltas))
        _turns(driver, sessions, deltas)
        return {
            "memory growth": stopped - before,
            "all there after": (lines[-1][0] - asked_ns) / SECOND_NS,
            "memory after": driver.child.rss_mib,
        }


def _turns(driver: Driver, sessions: Sequence[str], deltas: int) -> None:
    for session in sessions:
        driver.say(session)
    check_texts(driver, take_ends(driver, len(sessions)), SESSIONS, text_of(deltas))


BENCHMARK = Benchmark(
    "paused-reader",
    f"{SESSIONS} sessions stream, and the client does not read for a minute; nothing is missing",
    (
        Measure("memory growth", "MiB", Mark(at_most=16)),
        Measure("all there after", "s", Mark(at_most=1)),
        MEMORY_AFTER,
    ),
    _sample,
    runs=1,
    budget_s=200,
)

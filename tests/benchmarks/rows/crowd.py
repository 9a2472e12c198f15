"""Many sessions of one process that stream at the same time: is any of them forgotten?"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from ..child import SECOND_NS, Line, ProgramFailed
from ..drivers import Driver, Unable
from ..drivers.base import PATIENCE_S
from ..figures import Mark, Measure
from ..model import text_of
from ..programs import Program
from ..stage import Stage
from .base import CPU, MEMORY_AFTER, PEAK, Benchmark

SESSIONS = 100
DELTAS = 2_000
WRITES, DELTAS_OF_WRITE, PAUSE_MS = 40, 5, 50


def speak_together(driver: Driver, count: int) -> tuple[float, int, Sequence[Line]]:
    """Open `count` sessions and have all of them answer at once.

    How long opening them took, when they were asked, and everything until the last has ended.
    """
    if count > 1 and not driver.many_sessions:
        raise Unable("one process has one session")
    began = time.monotonic()
    sessions = [driver.open() for _ in range(count)]
    opened_s = time.monotonic() - began
    asked_ns = time.monotonic_ns()
    for session in sessions:
        driver.say(session)
    return opened_s, asked_ns, take_ends(driver, count)


def take_ends(driver: Driver, count: int) -> list[Line]:
    """All lines until `count` turns have ended."""
    lines: list[Line] = []
    for _ in range(count):
        lines += driver.child.take_until(driver.ends_or_fails, PATIENCE_S)
        if driver.end_mark not in lines[-1][1]:
            raise ProgramFailed(f"a turn failed: {lines[-1][1][:2000]!r}")
    return lines


def check_texts(driver: Driver, lines: Sequence[Line], count: int, expected: str) -> None:
    """See that `count` sessions got the whole text.

    Raises:
        ProgramFailed: one did not.
    """
    texts = driver.texts(lines)
    if len(texts) != count or any(text != expected for text in texts.values()):
        raise ProgramFailed(f"of {count} sessions, {len(texts)} spoke, not all in full")


def fairness(driver: Driver, lines: Sequence[Line], asked_ns: int) -> dict[str, float]:
    """How evenly the sessions' texts came.

    `least share`: of what each session would have had by an even division when half of all text
    was there, what the session with the least had. `longest silence`: between two pieces of the
    text of one session, or before the first. `spread`: from the first session's end to the last
    one's, as a part of the whole time.
    """
    deltas = driver.deltas(lines)
    total = sum(len(delta.text) for delta in deltas)
    shares: dict[str, int] = {delta.session: 0 for delta in deltas}
    seen = 0
    for delta in deltas:
        if seen >= total / 2:
            break
        seen += len(delta.text)
        shares[delta.session] += len(delta.text)
    times: dict[str, list[int]] = defaultdict(lambda: [asked_ns])
    for delta in deltas:
        times[delta.session].append(delta.read_ns)
    silence = max(after - before for mine in times.values() for before, after in pairwise(mine))
    ends = [read_ns for read_ns, line in lines if driver.end_mark in line]
    return {
        "least share": min(shares.values()) / (seen / len(shares)),
        "longest silence": silence / SECOND_NS,
        "spread": (ends[-1] - ends[0]) / (ends[-1] - asked_ns),
    }


def _together(stage: Stage, program: Program) -> dict[str, float]:
    count, deltas = stage.size(SESSIONS, 10), stage.size(DELTAS, 500)
    home = stage.home(program, "together", f"deltas={deltas},per_write=100")
    with stage.running(program, home) as driver:
        opened_s, asked_ns, lines = speak_together(driver, count)
        memory, peak, cpu_s = driver.child.rss_mib, driver.child.peak_mib, driver.child.cpu_s
        check_texts(driver, lines, count, text_of(deltas))
        return {
            "opening one": opened_s / count * 1000,
            "rate": count * deltas / ((lines[-1][0] - asked_ns) / SECOND_NS),
            **fairness(driver, lines, asked_ns),
            "CPU": cpu_s,
            "memory after": memory,
            "peak memory": peak,
        }


def _paced(stage: Stage, program: Program) -> dict[str, float]:
    count, writes = stage.size(SESSIONS, 10), stage.size(WRITES, 10)
    deltas = writes * DELTAS_OF_WRITE
    plan = f"deltas={deltas},per_write={DELTAS_OF_WRITE},pause_ms={PAUSE_MS},stamps=1"
    with stage.running(program, stage.home(program, "paced", plan)) as driver:
        _, asked_ns, lines = speak_together(driver, count)
        cpu_s = driver.child.cpu_s
        check_texts(driver, lines, count, text_of(deltas))
        delays = sorted(driver.delays_s(lines))
        return {
            "delay": statistics.median(delays) * 1000,
            "99 of 100": delays[int(len(delays) * 0.99)] * 1000,
            "worst delay": delays[-1] * 1000,
            "longest silence": fairness(driver, lines, asked_ns)["longest silence"],
            "CPU": cpu_s,
        }


TOGETHER = Benchmark(
    "sessions",
    f"{SESSIONS} sessions of one process, each with {DELTAS:,} deltas as fast as they come",
    (
        Measure("opening one", "ms"),
        Measure("rate", "/s", Mark(ahead=1), more_is_better=True),
        Measure("least share", "", Mark(at_least=0.5), more_is_better=True),
        Measure("longest silence", "s", Mark(at_most=1.0)),
        Measure("spread", ""),
        CPU,
        MEMORY_AFTER,
        PEAK,
    ),
    _together,
    runs=3,
)
PACED = Benchmark(
    "sessions-paced",
    f"{SESSIONS} sessions of one process, each at {DELTAS_OF_WRITE} deltas in {PAUSE_MS} ms: "
    "the delay of each write",
    (
        Measure("delay", "ms", Mark(ahead=1)),
        Measure("99 of 100", "ms"),
        Measure("worst delay", "ms"),
        Measure("longest silence", "s", Mark(at_most=1.0)),
        CPU,
    ),
    _paced,
    runs=3,
)

"""A client that reads 1 kB a second: memory, recording, interrupts, and nobody is forgotten."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ..child import Line, ProgramFailed
from ..drivers import Driver
from ..drivers.base import PATIENCE_S
from ..figures import Mark, Measure
from ..model import text_of
from ..programs import Program
from ..stage import Stage, wait_for
from .base import MEMORY_AFTER, Benchmark

SESSIONS = 8
BYTES_PER_S = 1_000
DELTAS, WRITE_MS = 5_000, 50
"""A long answer: some 45 kB, which comes slower than it could."""
PIPE_BYTES = 2 * 64 * 1024
"""What the pipe holds, and what stands before it."""


def _sample(stage: Stage, program: Program) -> dict[str, float]:
    seconds = stage.size(60, 3)
    writes = int(seconds * 1000 / WRITE_MS * 0.7)
    plan = f"deltas={DELTAS},per_write={DELTAS // writes + 1},pause_ms={WRITE_MS}"
    home = stage.fresh_home(program, "slow", plan)
    with stage.running(program, home) as driver:
        first, *others = [driver.open() for _ in range(SESSIONS)]
        for session in (first, *others):
            driver.say(session)
        lines: list[Line] = []
        reader = _SlowReader(driver)
        reader.read_for(seconds * 0.2)
        before = driver.child.rss_mib
        reader.read_for(seconds * 0.2)
        asked = time.monotonic()
        driver.interrupt(first)
        wait_for(lambda: _is_recorded(home, first, "aborted"), every_s=0.002)
        interrupted_s = time.monotonic() - asked
        reader.read_for(seconds * 0.6)
        highest = max(driver.child.rss_mib, reader.highest_mib)
        recorded = sum(_is_recorded(home, session, "completed") for session in others)
        for _ in others:
            lines += driver.child.take_until(lambda line: driver.end_mark in line, PATIENCE_S)
        _check(driver, lines, first, others, text_of(DELTAS))
        return {
            "memory growth": highest - before,
            "memory after": driver.child.rss_mib,
            "interrupt recorded after": interrupted_s,
            "recorded meanwhile": recorded / len(others),
            "turns before another's": _most_before(driver, lines, others),
        }


class _SlowReader:
    """Reads some bytes, waits, and keeps an eye on the program's memory."""

    def __init__(self, driver: Driver) -> None:
        self._child = driver.child
        self.highest_mib = 0.0

    def read_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._child.fill(BYTES_PER_S // 10, 0.1)
            self.highest_mib = max(self.highest_mib, self._child.rss_mib)
            time.sleep(0.1)


def _is_recorded(home: Path, session: str, status: str) -> bool:
    """Whether the session's file tells of a turn's end."""
    (path,) = (home / ".codex" / "sessions").rglob(f"*{session}.jsonl")
    return f'"status":"{status}"' in path.read_text()


def _check(
    driver: Driver, lines: Sequence[Line], first: str, others: Sequence[str], expected: str
) -> None:
    texts = driver.texts(lines)
    if any(texts[session] != expected for session in others):
        raise ProgramFailed("a part of a text is missing")
    if not expected.startswith(texts.get(first, "")):
        raise ProgramFailed("the interrupted text is not the beginning of the whole")


def _most_before(driver: Driver, lines: Sequence[Line], sessions: Sequence[str]) -> int:
    """How often a session had its turn, at most, while another one waited for its next.

    Told from where nothing fitted into the pipe any more: before that nobody waits.
    """
    had: dict[str, dict[str, int]] = {}
    """By waiting session: the turns of the others since its last."""
    most = position = 0
    previous = ""
    for _, line in lines:
        position += len(line)
        if position < PIPE_BYTES or driver.delta_mark not in line:
            continue
        session, _ = driver.delta_of(line)
        if session == previous or session not in sessions:
            continue
        previous = session
        most = max([most, *had.get(session, {}).values()])
        had[session] = {}
        for waiting, turns in had.items():
            if waiting != session:
                turns[session] = turns.get(session, 0) + 1
    return most


BENCHMARK = Benchmark(
    "slow-reader",
    f"{SESSIONS} sessions stream, and the client reads {BYTES_PER_S:,} bytes a second",
    (
        Measure("memory growth", "MiB", Mark(at_most=8)),
        MEMORY_AFTER,
        Measure("interrupt recorded after", "s", Mark(at_most=0.5)),
        Measure("recorded meanwhile", "", Mark(at_least=1), more_is_better=True),
        Measure("turns before another's", "", Mark(at_most=2)),
    ),
    _sample,
    runs=1,
    ours_only="it looks into the session files while they are written",
)

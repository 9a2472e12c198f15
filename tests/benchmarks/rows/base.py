"""What a benchmark is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from ..figures import Mark, Measure
from ..programs import Program
from ..stage import Stage

MEMORY_AFTER = Measure("memory after", "MiB", Mark(at_most=120))
"""What is resident when it is done."""

PEAK = Measure("peak memory", "MiB")
CPU = Measure("CPU", "s")


@frozen
class Benchmark:
    """Something that is done with each program in turn, several times."""

    name: str
    title: str
    measures: Sequence[Measure]
    sample: Callable[[Stage, Program], dict[str, float]]
    """One run: a figure for each measure that the program has.

    Raises `Unable` for what a program has not, `ProgramFailed` for what it does wrong.
    """
    runs: int = 5
    short_runs: int = 1
    ours_only: str | None = None
    """Why it is not done with the other programs."""
    budget_s: float = 60
    """A program that has taken more than this gets no further run."""

"""Figures and what they come to: medians, ratios, marks.

Knows neither programs nor how anything is measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen


@frozen
class Mark:
    """What a figure is to reach; all of what is said here."""

    at_most: float | None = None
    at_least: float | None = None
    ahead: float | None = None
    """So many times better than the best of the other programs."""


@frozen
class Measure:
    """What is measured, and in which unit."""

    name: str
    unit: str
    mark: Mark | None = None
    more_is_better: bool = False

    def better(self, values: Iterable[float]) -> float:
        """The best of several."""
        return max(values) if self.more_is_better else min(values)

    def times_better(self, value: float, other: float) -> float:
        """How many times better `value` is than `other`; below 1 it is worse."""
        gain, cost = (value, other) if self.more_is_better else (other, value)
        if gain == cost:
            return 1.0
        return gain / cost if cost else float("inf")


@define
class Results:
    """What came of one benchmark."""

    name: str
    title: str
    measures: Sequence[Measure]
    ours: Sequence[str]
    """Those of the programs whose marks count."""
    samples: dict[str, dict[str, list[float]]] = field(factory=dict)
    """By program, then by measure."""
    skipped: dict[str, str] = field(factory=dict)
    """Programs that gave nothing, and why."""

    def add(self, program: str, values: Mapping[str, float]) -> None:
        """One run's figures."""
        mine = self.samples.setdefault(program, {})
        for name, value in values.items():
            mine.setdefault(name, []).append(value)

    def median(self, program: str, measure: str) -> float | None:
        """The median of a program's runs; None: it has no such figure."""
        values = self.samples.get(program, {}).get(measure)
        return statistics.median(values) if values else None

    def best_other(self, measure: Measure) -> tuple[str, float] | None:
        """The best median among the others, and whose it is."""
        found = {
            program: value
            for program in self.samples
            if program not in self.ours
            and (value := self.median(program, measure.name)) is not None
        }
        if not found:
            return None
        best = measure.better(found.values())
        return next((program, value) for program, value in found.items() if value == best)

    def verdicts(self) -> list[Verdict]:
        """Each mark, for each of our programs that was measured."""
        return [
            verdict(self, measure, program, value)
            for measure in self.measures
            if measure.mark is not None
            for program in self.ours
            if (value := self.median(program, measure.name)) is not None
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything, runs included."""
        return {
            "name": self.name,
            "title": self.title,
            "units": {measure.name: measure.unit for measure in self.measures},
            "samples": self.samples,
            "medians": {
                program: {name: statistics.median(values) for name, values in mine.items()}
                for program, mine in self.samples.items()
            },
            "skipped": self.skipped,
        }


@frozen
class Verdict:
    """Whether a figure has reached its mark."""

    benchmark: str
    measure: Measure
    program: str
    value: float
    other: tuple[str, float] | None
    """The best of the other programs."""
    ratio: float | None
    """How many times better than that."""
    reached: bool | None
    """None: it is to be ahead of others, and there are none."""


def verdict(results: Results, measure: Measure, program: str, value: float) -> Verdict:
    """What a program's median means for the measure's mark."""
    mark = measure.mark
    assert mark is not None
    other = results.best_other(measure)
    ratio = None if other is None else measure.times_better(value, other[1])
    reached: bool | None = True
    too_much = mark.at_most is not None and value > mark.at_most
    too_little = mark.at_least is not None and value < mark.at_least
    if too_much or too_little:
        reached = False
    elif mark.ahead is not None:
        reached = None if ratio is None else ratio >= mark.ahead
    return Verdict(results.name, measure, program, value, other, ratio, reached)

"""Results as tables: for the terminal, and for RESULTS.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen
from rich.console import Console
from rich.table import Table

from .figures import Mark, Measure, Results, Verdict

INTRODUCTION = """\
Written by `python -m tests.benchmarks --write --against DIR…`; do not edit. Each figure is a
median, with the smallest, the largest and the number of runs behind it; the programs took turns.
*Ahead* says how many times better codex-rpc (and its ACP front) is than the best of the others.
Times are those of a client that reads the pipe as fast as it can."""


def shown(value: float) -> str:
    """A figure with three significant digits, or all of those before the point."""
    if value == 0 or math.isinf(value):
        return f"{value:.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def told(mark: Mark, unit: str) -> str:
    """A mark in words."""
    parts = []
    if mark.at_most is not None:
        parts.append(f"<= {shown(mark.at_most)} {unit}".strip())
    if mark.at_least is not None:
        parts.append(f">= {shown(mark.at_least)}{unit}")
    if mark.ahead == 1:
        parts.append("ahead")
    elif mark.ahead is not None:
        parts.append(f"{mark.ahead:g}x ahead")
    return ", ".join(parts)


@frozen
class Row:
    """A measure of a benchmark, ready to be shown."""

    name: str
    cells: Sequence[str]
    """The programs' medians."""
    ranges: Sequence[str]
    """Their smallest and largest."""
    ratio: str
    mark: str
    reached: str


def rows(results: Results, programs: Sequence[str]) -> list[Row]:
    """One for each measure that any program has."""
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in results.verdicts():
        verdicts.setdefault(verdict.measure.name, []).append(verdict)
    return [
        Row(
            name=f"{measure.name}, {measure.unit}" if measure.unit else measure.name,
            cells=[_median(results, program, measure) for program in programs],
            ranges=[_range(results, program, measure) for program in programs],
            ratio=_ratios(results, measure),
            mark="" if measure.mark is None else told(measure.mark, measure.unit),
            reached=_reached(verdicts.get(measure.name, [])),
        )
        for measure in results.measures
        if any(results.median(program, measure.name) is not None for program in programs)
    ]


def _median(results: Results, program: str, measure: Measure) -> str:
    value = results.median(program, measure.name)
    return "" if value is None else shown(value)


def _range(results: Results, program: str, measure: Measure) -> str:
    values = results.samples.get(program, {}).get(measure.name, [])
    if len(values) < 2:
        return ""
    return f"({shown(min(values))}-{shown(max(values))}; {len(values)})"


def _ratios(results: Results, measure: Measure) -> str:
    """How many times better each of ours is than the best of the others."""
    other = results.best_other(measure)
    if other is None:
        return ""
    values = (results.median(program, measure.name) for program in results.ours)
    return ", ".join(
        f"{shown(measure.times_better(value, other[1]))}x" for value in values if value is not None
    )


def _reached(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    words = [{True: "yes", False: "NO", None: "?"}[verdict.reached] for verdict in verdicts]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def print_results(results: Results, programs: Sequence[str], console: Console) -> None:
    """One benchmark's table."""
    measured = [program for program in programs if program in results.samples]
    table = Table(title=results.title, title_justify="left", title_style="bold")
    table.add_column("")
    for name in (*measured, "ahead of the best"):
        table.add_column(name, justify="right")
    table.add_column("mark")
    table.add_column("reached")
    for row in rows(results, measured):
        style = "red" if "NO" in row.reached else None
        table.add_row(row.name, *row.cells, row.ratio, row.mark, row.reached, style=style)
    console.print(table)
    for program, why in results.skipped.items():
        console.print(f"  {program}: {why}", style="dim", highlight=False)
    console.print()


def missed(all_results: Iterable[Results]) -> list[Verdict]:
    """The marks that were not reached."""
    return [
        verdict
        for results in all_results
        for verdict in results.verdicts()
        if verdict.reached is False
    ]


def print_summary(all_results: Sequence[Results], console: Console) -> None:
    """How many marks were reached, and which were not."""
    for line in summary(all_results):
        console.print(line, highlight=False)


def summary(all_results: Sequence[Results]) -> list[str]:
    """The same, as lines."""
    verdicts = [verdict for results in all_results for verdict in results.verdicts()]
    reached = sum(verdict.reached is True for verdict in verdicts)
    open_ = sum(verdict.reached is None for verdict in verdicts)
    lines = [f"{reached} of {len(verdicts)} marks are reached."]
    if open_:
        lines.append(f"{open_} are about other programs, and none is here.")
    for verdict in missed(all_results):
        mark = verdict.measure.mark
        assert mark is not None
        unit = verdict.measure.unit
        line = f"Missed: {verdict.benchmark}, {verdict.measure.name}, {verdict.program}: "
        line += f"{shown(verdict.value)} {unit}".rstrip()
        if verdict.other is not None and mark.ahead is not None:
            line += f" ({verdict.other[0]}: {shown(verdict.other[1])})"
        lines.append(f"{line}; the mark is {told(mark, unit)}.")
    return lines


def markdown(
    all_results: Sequence[Results],
    programs: Sequence[str],
    machine: Mapping[str, str],
    picture: str,
) -> str:
    """The whole of RESULTS.md; `picture` is the name of the curves' file beside it."""
    lines = ["# Measured side by side", "", INTRODUCTION, ""]
    lines += [*(f"- {name}: {what}" for name, what in machine.items()), ""]
    lines += [*(f"{line}  " for line in summary(all_results)), ""]
    lines += [f"![Seconds against size]({picture})", ""]
    for results in all_results:
        measured = [program for program in programs if program in results.samples]
        lines += [f"## {results.title}", ""]
        head = ["", *measured, "ahead", "mark", "reached"]
        lines += [_md(head), _md(["---", *["--:"] * (len(measured) + 1), "---", "---"])]
        for row in rows(results, measured):
            cells = [
                f"{cell} {more}".strip() for cell, more in zip(row.cells, row.ranges, strict=True)
            ]
            lines.append(_md([row.name, *cells, row.ratio, row.mark, row.reached]))
        lines += ["", *(f"{program}: {why}.  " for program, why in results.skipped.items()), ""]
    return "\n".join(lines)


def _md(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"

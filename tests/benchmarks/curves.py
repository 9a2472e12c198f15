"""Cost against size, for a plot: how things grow.

Each point is one run. A program's curve ends when a point has taken long enough; the next would
take several times as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from .child import ProgramFailed
from .drivers import Driver, Unable
from .inputs import write_many, write_session
from .programs import Program
from .rows.crowd import speak_together
from .rows.deltas import stream
from .rows.listing import listed
from .stage import Stage, ending

LONG_ENOUGH_S = 20.0
SHORT = 3
"""How many sizes there are in the short form."""


@frozen
class Curve:
    """One that is drawn."""

    title: str
    size: str
    sizes: Sequence[int]
    cost: Callable[[Stage, Program, int], float]
    """Seconds."""


def _deltas(stage: Stage, program: Program, count: int) -> float:
    return stream(stage, program, count)["time"]


def _items(stage: Stage, program: Program, items: int) -> float:
    home = stage.fresh_home(program, "curve-items")
    saved = write_session(stage, program, home, items)
    resumed = program.driver.resumed(program.command, home, stage.cwd, saved)
    with ending(resumed.driver):
        return resumed.seconds


def _files(stage: Stage, program: Program, files: int) -> float:
    """A list of all by a process that finds what an earlier one has left, its start included."""
    if program.driver.page is Driver.page:
        raise Unable("has no list of sessions")
    home = stage.fresh_home(program, "curve-files")
    write_many(stage, program, home, files, 4_000)
    listed(stage, program, home, files)
    warm = listed(stage, program, home, files)
    return warm["since spawn"] + warm["all"]


def _sessions(stage: Stage, program: Program, count: int) -> float:
    home = stage.home(program, "curve-sessions", "deltas=1000,per_write=100")
    with stage.running(program, home) as driver:
        _, asked_ns, lines = speak_together(driver, count)
        return (lines[-1][0] - asked_ns) / 1e9


CURVES: Mapping[str, Curve] = {
    "deltas": Curve(
        "A turn", "deltas of its text", (2_000, 6_000, 20_000, 60_000, 200_000), _deltas
    ),
    "items": Curve("Resuming a session", "its items", (1_000, 10_000, 100_000, 1_000_000), _items),
    "files": Curve(
        "A new process's whole list", "saved sessions", (100, 500, 2_000, 10_000, 20_000), _files
    ),
    "sessions": Curve(
        "A turn of 1,000 deltas in each session",
        "sessions in one process",
        (1, 5, 20, 50, 100, 200),
        _sessions,
    ),
}


def measure_all(
    names: Sequence[str],
    stage: Stage,
    programs: Sequence[Program],
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """The curves' points: by program, pairs of a size and seconds."""
    found = []
    for name in names:
        curve = CURVES[name]
        points: dict[str, list[tuple[int, float]]] = {}
        notes: dict[str, str] = {}
        for program in programs:
            try:
                points[program.name] = _points(curve, stage, program, tell)
            except Unable as exc:
                notes[program.name] = str(exc)
            except ProgramFailed as exc:
                notes[program.name] = f"FAILED: {exc}"
        found.append(
            {
                "name": name,
                "title": curve.title,
                "size": curve.size,
                "points": {program: mine for program, mine in points.items() if mine},
                "notes": notes,
            }
        )
    return found


def _points(
    curve: Curve, stage: Stage, program: Program, tell: Callable[[str], None]
) -> list[tuple[int, float]]:
    if program.missing is not None:
        raise Unable(program.missing)
    points: list[tuple[int, float]] = []
    for size in curve.sizes[:SHORT] if stage.short else curve.sizes:
        tell(f"curves: {program.name}, {size:,} {curve.size}")
        began = time.monotonic()
        try:
            points.append((size, curve.cost(stage, program, size)))
        except (Unable, ProgramFailed):
            # What was measured before is worth showing.
            if not points:
                raise
            return points
        if time.monotonic() - began > LONG_ENOUGH_S:
            return points
    return points


def draw(curves: Sequence[Mapping[str, Any]], path: Path) -> None:
    """The curves as a picture."""
    # Only who draws needs it: it is an extra.
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
    lines: dict[str, Any] = {}
    """One of each program's, which has the same colour everywhere."""
    for curve, ax in zip(curves, axes.flat, strict=False):
        for program, points in curve["points"].items():
            sizes, seconds = zip(*points, strict=True)
            color = lines[program].get_color() if program in lines else f"C{len(lines)}"
            width = 2.5 if program.startswith("codex-rpc") else 1.2
            (line,) = ax.plot(sizes, seconds, marker="o", color=color, linewidth=width)
            lines.setdefault(program, line)
        ax.set(title=curve["title"], xlabel=curve["size"], ylabel="seconds")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.grid(visible=True, which="both", alpha=0.25)
    for ax in axes.flat[len(curves) :]:
        ax.set_visible(False)
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=len(lines) or 1)
    figure.savefig(path, dpi=90)
    plt.close(figure)

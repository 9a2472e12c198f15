"""Runs a benchmark with each program in turn, several times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .child import ProgramFailed
from .drivers import Unable
from .figures import Results
from .programs import Program
from .rows.base import Benchmark
from .stage import Stage


def run(
    benchmark: Benchmark,
    stage: Stage,
    programs: Sequence[Program],
    *,
    runs: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Results:
    """The benchmark's results.

    In each round every program has its run, another one first each time. One that cannot do it,
    or fails, is left out from then on, and the results say why.
    """
    ours = [program.name for program in programs if program.ours]
    results = Results(benchmark.name, benchmark.title, benchmark.measures, ours)
    left = list(programs)
    spent = dict.fromkeys((program.name for program in programs), 0.0)
    for n in range(runs or (benchmark.short_runs if stage.short else benchmark.runs)):
        turn = n % max(1, len(left))
        for program in left[turn:] + left[:turn]:
            if spent[program.name] > benchmark.budget_s:
                continue
            tell(f"{benchmark.name}: {program.name}, run {n + 1}")
            began = time.monotonic()
            why = _try(benchmark, stage, program, results)
            spent[program.name] += time.monotonic() - began
            if why is not None:
                results.skipped[program.name] = why
                left.remove(program)
    return results


def _try(benchmark: Benchmark, stage: Stage, program: Program, results: Results) -> str | None:
    """Add one run; or why there is none."""
    if program.missing is not None:
        return program.missing
    if benchmark.ours_only is not None and not program.ours:
        return benchmark.ours_only
    try:
        results.add(program.name, benchmark.sample(stage, program))
    except Unable as exc:
        return str(exc)
    except ProgramFailed as exc:
        return f"FAILED: {exc}"
    return None

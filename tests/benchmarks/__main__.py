"""Measures codex-rpc, and other programs of its kind in alternation with it.

Prints figures and which marks they reach; judges nothing: the exit code is 1 only if one of ours
did something wrong. In full, against all of them, it takes about forty minutes and 3 GiB in the
temporary folder. Linux only: processors and memory of the programs are read from /proc.

    python -m tests.benchmarks                            all, codex-rpc alone
    python -m tests.benchmarks deltas resume              some
    python -m tests.benchmarks --against DIR...           beside the programs in these folders
    python -m tests.benchmarks --short                    small sizes, to see that it works
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from . import machine, report
from .child import can_measure
from .curves import CURVES, draw, measure_all
from .programs import installed, ours
from .rows import BENCHMARKS
from .runner import run
from .stage import staged

RESULTS = Path(__file__).with_name("RESULTS.md")
CURVES_FILE = Path(__file__).with_name("RESULTS.png")


def parser() -> argparse.ArgumentParser:
    """What can be said."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = ", ".join(BENCHMARKS)
    made.add_argument("names", nargs="*", metavar="NAME", help=f"of these: {names} (all)")
    made.add_argument("--short", action="store_true", help="small sizes, few runs")
    made.add_argument("--runs", type=int, help="how often each program has its turn")
    made.add_argument(
        "--against",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="folders with other programs: codex (0.20: proto, today's: app-server), codex-acp; "
        "what `npm install --prefix DIR @openai/codex` makes, or plain binaries",
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    made.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="measure cost against size too, and draw it (needs matplotlib: the extra `bench`)",
    )
    made.add_argument(
        "--curves",
        nargs="*",
        choices=CURVES,
        metavar="CURVE",
        help=f"which of them: {', '.join(CURVES)} (all)",
    )
    made.add_argument(
        "--write", action="store_true", help=f"write {RESULTS.name}, and {CURVES_FILE.name}"
    )
    return made


def main() -> int:
    """The command."""
    options = parser().parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser().error(f"no such benchmark: {', '.join(unknown)}")
    plot = options.plot or (CURVES_FILE if options.write else None)
    if plot is not None and find_spec("matplotlib") is None:
        parser().error("drawing needs matplotlib: install the extra `bench`")
    if not can_measure():
        print("the benchmarks read /proc: not on this system", file=sys.stderr)
        return 0
    console = Console(soft_wrap=False, width=None if sys.stdout.isatty() else 160)
    programs = ours() + installed(options.against)
    about = machine.description(programs)
    for name, what in about.items():
        console.print(f"{name}: {what}", highlight=False)
    console.print()

    names = [program.name for program in programs]
    all_results = []
    curves: list[dict[str, Any]] = []
    with staged(short=options.short) as stage, console.status("") as status:
        for name in options.names or ([] if options.curves is not None else BENCHMARKS):
            results = run(BENCHMARKS[name], stage, programs, runs=options.runs, tell=status.update)
            all_results.append(results)
            report.print_results(results, names, console)
        if plot is not None:
            curves = measure_all(
                options.curves or list(CURVES), stage, programs, tell=status.update
            )
    report.print_summary(all_results, console)
    if options.json is not None:
        figures = [results.as_json() for results in all_results]
        whole = {"machine": about, "benchmarks": figures, "curves": curves}
        options.json.write_text(json.dumps(whole, indent=1) + "\n")
    if options.write:
        RESULTS.write_text(report.markdown(all_results, names, about, CURVES_FILE.name))
    if plot is not None:
        draw(curves, plot)
    own = {program.name for program in programs if program.ours}
    failed = [
        f"{results.name}: {program}: {why}"
        for results in all_results
        for program, why in results.skipped.items()
        if program in own and why.startswith("FAILED")
    ]
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

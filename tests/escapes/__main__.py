"""Prints the table of attempts; exit code 1 if one got out that should not."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import anyio

from . import nobody, report
from .attempt import Attempt
from .runner import Runner, available, temporary_folder
from .table import SECTIONS
from .verdicts import Findings


async def tried(word: str, *, at_once: int) -> dict[str, list[Findings]]:
    """The findings of the rows whose name contains `word`, by section, in the table's order."""
    found: dict[str, Findings] = {}
    with temporary_folder() as folder:
        runner = Runner(folder, at_once=at_once)

        async def try_row(row: Attempt) -> None:
            found[row.name] = await runner.try_row(row)

        async with anyio.create_task_group() as group:
            for rows in SECTIONS.values():
                for row in rows:
                    if word in row.name:
                        group.start_soon(try_row, row)
    return {
        title: [found[row.name] for row in rows if row.name in found]
        for title, rows in SECTIONS.items()
    }


def _as_nobody(arguments: list[str]) -> int:
    if (why := nobody.why_impossible()) is not None:
        sys.exit(why)
    with temporary_folder() as base:
        program = nobody.command(base, "tests.escapes", *arguments)
        environment = nobody.environment(base)
        return subprocess.run(program, env=environment, check=False).returncode


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.escapes", description=__doc__)
    parser.add_argument("--rows", default="", metavar="WORD", help="only names that contain it")
    parser.add_argument("--at-once", type=int, default=4, help="how many commands run at once")
    parser.add_argument("-v", "--verbose", action="store_true", help="show each command's output")
    parser.add_argument("--as-nobody", action="store_true", help="as a user without rights")
    options = parser.parse_args()
    if options.as_nobody:
        return _as_nobody([argument for argument in sys.argv[1:] if argument != "--as-nobody"])
    started = time.monotonic()
    sections = anyio.run(lambda: tried(options.rows, at_once=options.at_once))
    print(*report.lines(sections), sep="\n")
    print(*report.notes(sections, available()), sep="\n")
    print(*report.gaps(sections), sep="\n")
    rows = [found for findings in sections.values() for found in findings]
    if options.verbose:
        for found in rows:
            for place, verdict in [("control", found.control), *found.cells.items()]:
                print(f"\n{found.row.name} {place}: {verdict.word} {verdict.after_yes or ''}")
                print(*verdict.evidence, verdict.output, sep="\n    ")
    failures = [failure for found in rows for failure in found.failures()]
    print(f"\n{len(rows)} rows, {len(failures)} failures, {time.monotonic() - started:.0f} s")
    print(*failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

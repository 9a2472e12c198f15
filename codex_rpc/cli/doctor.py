"""`codex-rpc doctor`: what this machine and this configuration give, before a session is started.

Owns the options and how findings are shown. What is looked at is `checks`'.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from codex_rpc.cli.checks import examine
from codex_rpc.cli.findings import Finding, Installation, Status
from codex_rpc.cli.process import start_logging
from codex_rpc.cli.terminal import PLAIN_SIZE, Hanging, exact

EXIT_PROBLEM = 1
EXIT_USAGE = 2

EPILOG = """\
exit code: 0 a session could start here, 1 none could, 2 the command line is wrong.
"""

MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "error": ("✗", "bold red"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, and in what form."""
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("-C", "--cd", metavar="DIR", help="the working directory of the session")
    parser.add_argument("-p", "--profile", metavar="NAME", help="a profile of config.toml")
    parser.epilog = EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Look, and tell; 0 if a session could start."""
    cwd = Path.cwd() / (arguments.cd or "")
    if not cwd.is_dir():
        print(f"codex-rpc: -C: {cwd} is no directory", file=sys.stderr)
        return EXIT_USAGE
    try:
        start_logging(arguments.log_file)
    except OSError as exc:
        print(f"codex-rpc: {exc}", file=sys.stderr)
        return EXIT_USAGE
    findings = examine(
        Installation.load(cwd.resolve(), arguments.overrides, profile=arguments.profile)
    )
    can_start = all(finding.status != "error" for finding in findings)
    if arguments.json:
        print(json.dumps(_as_json(findings, can_start=can_start), indent=2))
    else:
        _show(findings, can_start=can_start)
    return 0 if can_start else EXIT_PROBLEM


def _as_json(findings: list[Finding], *, can_start: bool) -> dict[str, object]:
    return {
        "ok": can_start,
        "checks": [
            {
                "name": finding.name,
                "status": finding.status,
                "text": finding.text,
                "details": list(finding.details),
                "data": dict(finding.data),
            }
            for finding in findings
        ],
    }


def _show(findings: list[Finding], *, can_start: bool) -> None:
    is_terminal = sys.stdout.isatty()
    if hasattr(sys.stdout, "reconfigure"):
        # A screen without these marks shows something else in their place.
        sys.stdout.reconfigure(errors="replace")
    console = Console(
        color_system="auto" if is_terminal and not os.environ.get("NO_COLOR") else None,
        width=None if is_terminal else PLAIN_SIZE.columns,
        highlight=False,
        markup=False,
        emoji=False,
    )
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark, style = MARKS[finding.status]
        name = finding.name.replace("_", " ")
        before = Text.assemble((f"{mark} ", style), (f"{name:<{width}}  ", "bold"))
        text_style = "" if finding.status == "ok" else style
        console.print(Hanging(Text(exact(finding.text), style=text_style), before))
        for line in finding.details:
            console.print(Hanging(Text(exact(line), style="dim"), " " * (width + 4)))
    console.print()
    if can_start:
        console.print(Text("A session can start here.", style="green"))
    else:
        console.print(Text("No session can start before what is marked ✗ is mended.", style="red"))

"""`codex-rpc doctor`: what this machine and this configuration give, before a session is started.

Owns the options and how findings are shown. What is looked at is `checks`'.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import anyio
from rich.console import Console
from rich.status import Status as Spinner
from rich.text import Text

from codex_rpc.cli.checks import examine
from codex_rpc.cli.findings import Finding, Installation, Status, Waits
from codex_rpc.cli.process import as_far_as_it_is_read, start_logging
from codex_rpc.cli.terminal import PLAIN_SIZE, Hanging, exact

EXIT_PROBLEM = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT

EPILOG = """\
The configured model server is asked for its models, servers on this machine at their usual ports,
and MCP servers are started and stopped. Nothing of that with --offline.

exit code: 0 nothing is broken, 1 something is, 2 the command line is wrong, 130 Ctrl-C.
"""

MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "error": ("✗", "bold red"),
}

PATIENCE_S = 1.0
"""How long people wait without asking themselves for what."""
PERIOD_S = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, and in what form."""
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--offline", action="store_true", help="ask no server, and start none")
    parser.add_argument("-C", "--cd", metavar="DIR", help="the working directory of the session")
    parser.add_argument("-p", "--profile", metavar="NAME", help="a profile of config.toml")
    parser.epilog = EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Look, and tell; 0 if nothing is broken."""
    cwd = Path.cwd() / (arguments.cd or "")
    if not cwd.is_dir():
        print(f"codex-rpc: -C: {cwd} is no directory", file=sys.stderr)
        return EXIT_USAGE
    try:
        start_logging(arguments.log_file)
    except OSError as exc:
        print(f"codex-rpc: {exc}", file=sys.stderr)
        return EXIT_USAGE
    console = _console()
    installation = Installation.load(
        cwd.resolve(),
        arguments.overrides,
        profile=arguments.profile,
        is_offline=arguments.offline,
    )
    try:
        findings = anyio.run(_examine, installation, console)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    is_well = all(finding.status != "error" for finding in findings)
    with as_far_as_it_is_read():
        if arguments.json:
            print(json.dumps(_as_json(findings, is_well=is_well), indent=2))
        else:
            _show(findings, console)
    return 0 if is_well else EXIT_PROBLEM


async def _examine(installation: Installation, console: Console) -> list[Finding]:
    """All findings; whoever sits before a terminal is told what takes so long."""
    async with anyio.create_task_group() as group:
        if console.is_terminal:
            group.start_soon(_show_waits, installation.waits, console)
        findings = await examine(installation)
        group.cancel_scope.cancel()
    return findings


async def _show_waits(waits: Waits, console: Console) -> None:
    await anyio.sleep(PATIENCE_S)
    with Spinner("", console=console) as spinner:
        while True:
            what = f"waiting for {waits}" if str(waits) else "looking"
            spinner.update(Text(exact(what), style="dim", no_wrap=True, overflow="ellipsis"))
            await anyio.sleep(PERIOD_S)


def _as_json(findings: list[Finding], *, is_well: bool) -> dict[str, object]:
    return {
        "ok": is_well,
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


class _Console(Console):
    """One of which the exit code does not depend on who reads it."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def _console() -> Console:
    is_terminal = sys.stdout.isatty()
    if hasattr(sys.stdout, "reconfigure"):
        # A screen without these marks shows something else in their place.
        sys.stdout.reconfigure(errors="replace")
    return _Console(
        color_system="auto" if is_terminal and not os.environ.get("NO_COLOR") else None,
        force_terminal=is_terminal,
        width=None if is_terminal else PLAIN_SIZE.columns,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _show(findings: list[Finding], console: Console) -> None:
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
    errors = [finding for finding in findings if finding.status == "error"]
    if not errors:
        console.print(Text("A session can start here.", style="green"))
    elif any(finding.is_fatal for finding in errors):
        console.print(Text("No session can work before what is marked ✗ is mended.", style="red"))
        if any(f.name == "local_servers" and f.data["found"] for f in findings):
            said = "Or choose a server of this machine, as said under local servers."
            console.print(Text(said, style="green"))
        console.print(Text("`codex-rpc demo` shows one without key and network.", style="dim"))
    else:
        said = "A session can start here, without what is marked ✗."
        console.print(Text(said, style="yellow"))

"""The same attempts by a user without rights, for suites that run as root.

Root makes a setuid program, then starts `python -m tests.escapes.nobody` as that user, who makes
the stage and the sandbox. If the project or the interpreter lies in a folder of root's, that user
sees a file system in which they do not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import anyio

from .attempt import Attempt
from .runner import Runner, temporary_folder
from .verdicts import Findings, Verdict

_NOBODY = 65534

_PROJECT = Path(__file__).parents[2]

_NEEDED = (_PROJECT, Path(sys.prefix), Path(sys.base_prefix))

_OPENED = """
set -e
base=$1 shut=$2 needed=$3
shift 3
n=0; for path in $needed; do
  n=$((n + 1)); mkdir "$base/seen-$n"; mount --bind "$path" "$base/seen-$n"
done
for path in $shut; do mount -t tmpfs -o mode=755,size=1m tmpfs "$path"; done
n=0; for path in $needed; do
  n=$((n + 1)); mkdir -p "$path"; mount --bind "$base/seen-$n" "$path"
done
cd "$PROJECT"
exec "$@"
"""
"""Puts empty folders over those of root's, and in them only what is needed, where it was."""


def why_impossible() -> str | None:
    """Why there is no running as somebody else here; None: there is."""
    if os.geteuid() != 0:
        return "only root may"
    if shutil.which("setpriv") is None or shutil.which("unshare") is None:
        return "there is no setpriv, or no unshare"
    if not all(path.stat().st_mode & 0o001 for path in _NEEDED):
        return "the project or the interpreter is root's alone"
    return None


def command(base: Path, module: str, *arguments: str) -> list[str]:
    """`python -m module` as that user, with `base` for what has to be mounted."""
    ids = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    program = ["setpriv", *ids, "--", sys.executable, "-m", module, *arguments]
    shut = {folder for path in _NEEDED if (folder := _shut_above(path)) is not None}
    if not shut:
        return program
    needed = {path for path in _NEEDED if _shut_above(path) is not None}
    words = [" ".join(map(str, paths)) for paths in (shut, needed)]
    return ["unshare", "--mount", "--", "sh", "-c", _OPENED, "sh", str(base), *words, *program]


def environment(base: Path) -> dict[str, str]:
    """What that process needs to know: also where the setuid programs are."""
    helper = base / "helper"
    helper.mkdir()
    for program in ("tee", "id"):
        path = helper / program
        path.write_bytes(Path(f"/usr/bin/{program}").read_bytes())
        path.chmod(0o4755)
    (helper / "target").touch()
    return {
        "PATH": os.defpath,
        "PROJECT": str(_PROJECT),
        "HELPER": str(helper),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def try_row(row: Attempt) -> Findings:
    """What `Runner.try_row` finds when it is run by that user."""
    with temporary_folder() as base:
        done = subprocess.run(
            command(base, "tests.escapes.nobody", row.name),
            env=environment(base),
            cwd=_PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if done.returncode != 0:
        broken = Verdict(
            "NOT TRIED", ("the suite did not run as another user",), output=done.stderr
        )
        return Findings(row, broken, {})
    found = json.loads(done.stdout)
    control, *cells = [
        Verdict(**{**value, "evidence": tuple(value["evidence"])}) for _, value in found
    ]
    places = [tuple(place) for place, _ in found[1:]]
    return Findings(row, control, dict(zip(places, cells, strict=True)))


async def _main(name: str) -> Sequence[object]:
    from .table import ROWS

    (row,) = (row for row in ROWS if row.name == name)
    with temporary_folder() as folder:
        findings = await Runner(folder).try_row(row)
    verdicts = [("control", findings.control), *findings.cells.items()]
    return [(place, asdict(verdict)) for place, verdict in verdicts]


def _shut_above(path: Path) -> Path | None:
    """The outermost folder above `path` that lets only its owner through."""
    return next((p for p in reversed(path.parents) if not p.stat().st_mode & 0o001), None)


if __name__ == "__main__":
    json.dump(anyio.run(_main, sys.argv[1]), sys.stdout)

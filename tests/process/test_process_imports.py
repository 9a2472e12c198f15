"""What is imported: never what lies where the process was started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.client import COMMAND

PLANTED = ("anyio", "argparse", "orjson", "tree_sitter", "attrs", "tomllib")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text(
            f"print('planted {name}', flush=True)\nraise SystemExit(3)\n"
        )
    shutil.copytree(tmp_path, tmp_path / "below")
    return tmp_path


@pytest.mark.parametrize("python_path", [None, "", ":", ".", "below"])
@pytest.mark.parametrize("command", [[sys.executable, "-m", "codex_rpc"], list(COMMAND)])
def test_nothing_of_the_working_directory_is_imported(
    workspace: Path, command: list[str], python_path: str | None
) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(workspace),
        "CODEX_HOME": str(workspace / "home"),
    }
    if python_path is not None:
        env["PYTHONPATH"] = python_path
    request = b'{"jsonrpc":"2.0","id":1,"method":"session/list"}\n'
    done = subprocess.run(
        command, input=request, cwd=workspace, env=env, capture_output=True, timeout=15
    )
    assert b"planted" not in done.stdout
    assert b'"sessions":[]' in done.stdout, done.stderr

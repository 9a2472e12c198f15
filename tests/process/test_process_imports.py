"""What is imported: never what lies where the process was started."""

from __future__ import annotations

import json
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


HEAVY = ("pygls", "lsprotocol", "httpx", "rich", "tree_sitter", "mcp", "urllib.request")
"""What no start waits for."""

LOADED = """
import json, sys
from codex_rpc.acp import front
from codex_rpc.cli import acp, serving
print(json.dumps(sorted(sys.modules)))
"""


def test_the_agent_client_protocol_loads_nothing_of_the_language_servers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=tmp_path, capture_output=True, check=True, timeout=15
    )
    loaded = json.loads(done.stdout)
    assert [name for name in loaded if name.startswith(HEAVY)] == []
    assert [name for name in loaded if name.startswith("codex_rpc.rpc.lsp")] == []
    assert "codex_rpc.rpc.native" not in loaded

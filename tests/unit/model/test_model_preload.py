"""The HTTP client is loaded ahead, and nothing that it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
import anyio
from codex_rpc.config.loader import load_config
from codex_rpc.model.registry import make_model
from codex_rpc.protocol.params import SessionOverrides
home = Path(sys.argv[1])
config = load_config(
    codex_home=home,
    environ={"OPENAI_API_KEY": "k"},
    cwd=home,
    cli_overrides=[],
    overrides=SessionOverrides(),
)
before = set(sys.modules)
anyio.run(make_model(config).prepare)
print(*sorted({"httpx", "httpcore", "click", "pygments", "rich"} & (set(sys.modules) - before)))
"""


def test_the_client_comes_without_its_command_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["httpcore", "httpx"]

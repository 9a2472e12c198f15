"""The HTTP client is loaded ahead, and nothing that it does not need."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from codex_rpc.model.preload import preload
preload()
preload()
import httpx
print(httpx.AsyncClient.__name__, *sorted({"click", "pygments", "rich"} & set(sys.modules)))
"""


def test_the_client_comes_without_its_command_line():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["AsyncClient"]

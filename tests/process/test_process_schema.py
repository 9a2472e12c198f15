"""`codex-rpc schema`, as a program that others read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.client import SCRIPT, environment

pytestmark = pytest.mark.skipif(SCRIPT is None, reason="`codex-rpc` is not installed")


def test_it_is_one_json_object(tmp_path: Path) -> None:
    result = subprocess.run(
        [str(SCRIPT), "schema"], env=environment(tmp_path), capture_output=True, check=True
    )
    assert json.loads(result.stdout)["$schema"]


def test_whoever_has_seen_enough_may_stop_reading(tmp_path: Path) -> None:
    command = [str(SCRIPT), "schema"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(tmp_path), stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == b"{"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0

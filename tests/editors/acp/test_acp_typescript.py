"""The agent driven by the TypeScript SDK's client connection."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from acp_world import agent_command, environ, scripted
from support.acp_client import conversation
from support.acp_schema import SCHEMA

DRIVER = Path(__file__).parent / "driver.mjs"


@pytest.mark.timeout(330)
def test_a_conversation_with_the_sdks_client(npm: Path, tmp_path: Path) -> None:
    scripted(
        tmp_path,
        {"steps": [{"text": "Two."}, {"shell": ["touch", "a"]}, {"shell": ["touch", "b"]}]},
        {"text": "One is made."},
        {"steps": [{"text": "Sleeping.", "chunk": 0}, {"delay_ms": 100000}]},
    )
    work = tmp_path / "work"
    work.mkdir()
    module = (npm / "node_modules/@agentclientprotocol/sdk/dist/v1/unstable/acp.js").as_uri()
    ran = subprocess.run(
        ["node", str(DRIVER), module, str(work), *agent_command()],
        env=environ(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ran.returncode == 0, ran.stderr
    seen: dict[str, Any] = json.loads(ran.stdout)
    assert seen["initialized"]["agentInfo"]["name"] == "codex-rpc"
    assert seen["first"]["stopReason"] == "end_turn"
    assert sorted(p.name for p in work.iterdir()) == ["a"]
    assert [len(asked["options"]) for asked in seen["asked"]] == [3, 3]
    assert seen["second"]["stopReason"] == "cancelled"
    (row,) = seen["listed"]["sessions"]
    assert row["title"] == "make two"
    live, loaded = seen["updates"][: seen["live"]], seen["updates"][seen["live"] :]
    assert conversation(loaded) == conversation(live)
    assert seen["refused"]["code"] == -32002
    assert seen["afterwards"]["sessions"] == []
    assert seen["exitCode"] == 0


@pytest.mark.timeout(330)
def test_the_schema_is_that_of_the_package(npm: Path) -> None:
    package = npm / "node_modules/@agentclientprotocol/sdk/schema/v1/schema.unstable.json"
    assert SCHEMA.read_bytes() == package.read_bytes()

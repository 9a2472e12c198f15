"""The agent behind `acpx`, a command line for agents, as its users call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from acp_world import agent_command, environ, scripted

pytestmark = pytest.mark.timeout(330)

PERMISSION_DENIED = 5

MAKING = {"steps": [{"text": "I make it."}, {"shell": ["touch", "made"]}]}


class Acpx:
    """Calls of it in one folder."""

    def __init__(self, npm: Path, home: Path) -> None:
        self.home = home
        self.work = home / "work"
        self.work.mkdir()
        agent = " ".join(agent_command())
        self._command = [str(npm / "node_modules/.bin/acpx"), "--ttl", "5", "--agent", agent]

    def command(self, *arguments: str) -> list[str]:
        first, *rest = self._command
        options = [a for a in arguments if a.startswith("--")]
        words = [a for a in arguments if not a.startswith("--")]
        formats = ["--format", "json"] if "--json" in options else []
        options = [o for o in options if o != "--json"]
        return [first, *rest, *formats, *options, *words]

    def run(self, *arguments: str, code: int = 0) -> str:
        """What it prints."""
        ran = subprocess.run(
            self.command(*arguments),
            cwd=self.work,
            env=environ(self.home),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """It, running."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.work,
            env=environ(self.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def acpx(npm: Path, tmp_path: Path) -> Acpx:
    return Acpx(npm, tmp_path)


def test_permissions_are_asked_for_and_what_is_answered_counts(acpx: Acpx) -> None:
    scripted(acpx.home, MAKING, {"text": "Over."})
    denied = acpx.run("--deny-all", "exec", "make it", code=PERMISSION_DENIED)
    assert "touch made (failed)" in denied
    assert "[done] end_turn" in denied
    assert not (acpx.work / "made").exists()
    allowed = acpx.run("--approve-all", "exec", "make it")
    assert "touch made (completed)" in allowed
    assert "Over." in allowed
    assert (acpx.work / "made").exists()


def frames(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


async def test_a_session_goes_on_over_calls_a_cancellation_and_a_kill(acpx: Acpx) -> None:
    scripted(
        acpx.home,
        {"text": "First."},
        {"steps": [{"text": "Sleeping."}, {"shell": "echo $$ > pid; sleep 1000"}]},
        {"text": "Third."},
    )
    await anyio.to_thread.run_sync(acpx.run, "sessions", "new")
    assert "First." in acpx.run("--approve-all", "one")
    sleeping = acpx.start("--approve-all", "two")
    with anyio.fail_after(20):
        while not (acpx.work / "pid").exists() or not (acpx.work / "pid").read_text():
            await anyio.sleep(0.02)
    assert "cancel requested" in acpx.run("cancel")
    output, _ = await anyio.to_thread.run_sync(sleeping.communicate)
    assert "[done] cancelled" in output
    # The scripted model of a new process begins anew: its first answer is what comes next.
    for pid in agents(acpx.home):
        os.kill(pid, signal.SIGKILL)
    again = acpx.run("--approve-all", "--json", "three")
    sent = frames(again)
    assert [f for f in sent if f.get("result", {}).get("stopReason") == "end_turn"]
    acpx.run("sessions", "close")
    (file,) = (acpx.home / ".codex/sessions").rglob("*.jsonl")
    said = [json.loads(line) for line in file.read_text().splitlines()]
    users = [
        item["content"][0]["text"]
        for item in said
        if item.get("type") == "message" and item.get("role") == "user"
    ]
    assert users == ["one", "two", "three"]


async def test_a_session_goes_on_after_the_agent_was_killed_in_mid_turn(acpx: Acpx) -> None:
    # Each process plays the script from its beginning.
    scripted(acpx.home, {"steps": [{"text": "Sleeping."}, {"shell": "touch begun; sleep 1000"}]})
    await anyio.to_thread.run_sync(acpx.run, "sessions", "new")
    sleeping = acpx.start("--approve-all", "one")
    with anyio.fail_after(20):
        while not (acpx.work / "begun").exists():
            await anyio.sleep(0.02)
    for pid in agents(acpx.home):
        os.kill(pid, signal.SIGKILL)
    # This acpx waits for ever for the answer of an agent that has gone; its user ends it.
    for pid in processes(acpx.home):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    await anyio.to_thread.run_sync(sleeping.communicate)
    with anyio.fail_after(20):
        while processes(acpx.home):
            await anyio.sleep(0.02)
    scripted(acpx.home, {"text": "Gone on."})
    assert "Gone on." in await anyio.to_thread.run_sync(acpx.run, "--approve-all", "two")
    acpx.run("sessions", "close")
    (file,) = (acpx.home / ".codex/sessions").rglob("*.jsonl")
    items = [json.loads(line) for line in file.read_text().splitlines()]
    said = [i["content"][0]["text"] for i in items if i.get("type") == "message"]
    assert said[:2] == ["one", "Sleeping."]
    assert said[-2:] == ["two", "Gone on."]
    # The call that was running has an answer, or a provider would refuse the conversation.
    called = [i["call_id"] for i in items if i.get("type") == "function_call"]
    answered = [i["call_id"] for i in items if i.get("type") == "function_call_output"]
    assert len(called) == 1
    assert called == answered


def processes(home: Path) -> list[int]:
    """Everything that runs with this home."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if f"HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


def agents(home: Path) -> list[int]:
    """The agents that run for this home, by what they have open: their lock."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            cwd = (folder / "cwd").readlink()
        except OSError:
            continue
        if b"acp" in words and cwd == home / "work":
            found.append(int(folder.name))
    return found

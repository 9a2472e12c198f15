"""`codex-rpc demo`: it shows what happens, and nothing of it stays."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import anyio
import pytest
from support.client import COMMAND, environment
from support.processes import is_running
from support.terminal import at_terminal


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path


def run_demo(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "demo", "--fast", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(home, TMPDIR=str(home / "tmp"), **more),
        encoding="utf-8",
        timeout=18,
    )


def test_a_crash_and_a_resume_are_shown_with_their_messages(home: Path) -> None:
    done = run_demo(home)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = [
        "→ session/configure",
        "← #1 session_configured",
        "→ session/submit",
        "exec_approval_request",
        '→ session/submit {"op":{"type":"exec_approval"',
        "exec_command_end",
        "$ kill -9",
        "output",
        "→ session/resume",
        "✓ all 5 announced items are there",
        "task_complete",
        "✓ the answer is complete, and the command was not run again",
        "codex-rpc exec",
    ]
    position = 0
    for part in wanted:
        assert part in done.stdout[position:], f"{part!r} is missing or comes too early"
        position = done.stdout.index(part, position)
    assert "\x1b" not in done.stdout
    assert list((home / "tmp").iterdir()) == []


def test_it_does_not_touch_the_users_own_sessions(home: Path) -> None:
    assert run_demo(home).returncode == 0
    assert sorted(path.name for path in home.iterdir()) == ["tmp"]


def test_what_it_leaves_on_request_is_a_workspace_with_a_session(home: Path) -> None:
    done = run_demo(home, "--keep")
    assert done.returncode == 0
    folder = Path(re.findall(r"^kept: (.*)$", done.stdout, re.MULTILINE)[0])
    assert (folder / "work" / "poem.txt").exists()
    (session,) = (folder / "home" / "sessions").rglob("rollout-*.jsonl")
    assert session.read_text().count('"function_call_output"') == 1


def test_what_did_not_happen_is_a_failure(home: Path) -> None:
    # A session file that cannot be created: the demo must not tell the story all the same.
    done = run_demo(home, PYTHONPATH=str(_breaking_rollouts(home)))
    assert done.returncode == 1
    assert "The demo failed: session/configure failed" in done.stdout
    assert "✓" not in done.stdout
    assert list((home / "tmp").iterdir()) == []


def _breaking_rollouts(home: Path) -> Path:
    folder = home / "broken"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import os\n"
        "original = os.mkdir\n"
        "def mkdir(path, *rest, **named):\n"
        "    if 'sessions' in os.fspath(path):\n"
        "        raise OSError(28, 'No space left on device')\n"
        "    return original(path, *rest, **named)\n"
        "os.mkdir = mkdir\n"
    )
    return folder


async def test_it_fits_a_narrow_terminal(home: Path) -> None:
    async with at_terminal(
        *(home, "demo", "--fast"), columns=60, rows=20, TMPDIR=str(home / "tmp")
    ) as terminal:
        assert await terminal.exit_code() == 0
        shown = [line.rpartition("\r")[2] for line in terminal.text.splitlines()]
        assert max(map(len, shown)) <= 60
        assert "Or from your editor" in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_stopping_it_leaves_neither_process_nor_folder(home: Path, number: int) -> None:
    async with at_terminal(home, "demo", TMPDIR=str(home / "tmp")) as terminal:
        await terminal.until("session_configured")
        (pid,) = re.findall(r"\(process (\d+)\)", terminal.text)
        terminal.process.send_signal(number)
        assert await terminal.exit_code() == 128 + number
        assert "stopped" in terminal.text
        with anyio.fail_after(5):
            while is_running(int(pid)):
                await anyio.sleep(0.01)
    assert list((home / "tmp").iterdir()) == []

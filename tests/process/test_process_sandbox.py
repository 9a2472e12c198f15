"""`codex-rpc sandbox`, with real commands under whatever this machine has."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.client import COMMAND, environment
from support.terminal import at_terminal

from codex_rpc.sandbox.means import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the means of Linux")

MEANS = [
    pytest.param(
        means,
        marks=pytest.mark.skipif(
            means in probe().problems, reason=probe().problems.get(means, "works")
        ),
    )
    for means in ("bubblewrap", "landlock")
]
BUBBLEWRAP = pytest.mark.skipif(
    "bubblewrap" in probe().problems, reason=probe().problems.get("bubblewrap", "works")
)
WRITE = ("--mode", "workspace-write")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / ".codex").mkdir(parents=True)
    return home


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


def sandbox(
    home: Path, work: Path, *arguments: str, stdin: bytes = b"", **more: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, "sandbox", *arguments],
        input=stdin,
        capture_output=True,
        cwd=work,
        env=environment(home, **more),
        timeout=15,
    )


@pytest.mark.parametrize("means", MEANS)
def test_the_command_has_our_streams_and_we_its_exit_code(
    home: Path, work: Path, means: str
) -> None:
    script = "cat; echo err >&2; pwd; exit 7"
    done = sandbox(home, work, "--means", means, "--", "sh", "-c", script, stdin=b"in\n")
    assert done.returncode == 7
    assert done.stdout.decode() == f"in\n{work}\n"
    assert done.stderr == b"err\n"


@pytest.mark.parametrize("means", MEANS)
def test_under_read_only_nothing_is_written_and_no_network_reached(
    home: Path, work: Path, means: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        run = ["--means", means, "--mode", "read-only", "--"]
        assert sandbox(home, work, *run, "touch", "new").returncode != 0
        assert sandbox(home, work, *run, sys.executable, "-c", program).returncode != 0
        assert sandbox(home, work, *run, "ls").returncode == 0
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert list(work.iterdir()) == []


@BUBBLEWRAP
def test_workspace_write_opens_the_folder_and_what_is_named(
    home: Path, work: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "third").mkdir()
    script = "touch here; touch ../other/there; touch ../third/nowhere; mkdir .git/hooks; true"
    done = sandbox(home, work, *WRITE, "--writable", "../other", "--", "sh", "-c", script)
    assert done.returncode == 0
    assert [path.name for path in work.iterdir()] == ["here"]
    assert (tmp_path / "other" / "there").exists()
    assert not (tmp_path / "third" / "nowhere").exists()


@BUBBLEWRAP
def test_network_is_there_where_it_is_asked_for(home: Path, work: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        command = ["--", sys.executable, "-c", program]
        assert sandbox(home, work, *WRITE, *command).returncode != 0
        assert sandbox(home, work, *WRITE, "--network", *command).returncode == 0


@BUBBLEWRAP
def test_what_is_not_said_comes_from_the_configuration(home: Path, work: Path) -> None:
    (home / ".codex" / "config.toml").write_text(
        'sandbox_mode = "workspace-write"\nsandbox_deny_read = ["secret"]\n'
        '[shell_environment_policy]\nset = { GREETING = "hi" }\n'
    )
    (work / "secret").write_text("the secret")
    script = "echo $GREETING; touch new; cat secret; echo $SOME_TOKEN"
    done = sandbox(home, work, "--", "sh", "-c", script, SOME_TOKEN="t0ken")
    assert done.stdout == b"hi\n\n"
    assert (work / "new").exists()
    read_only = sandbox(home, work, "-c", "sandbox_mode=read-only", "--", "touch", "newer")
    assert read_only.returncode != 0
    elsewhere = sandbox(home, home, "-C", str(work), "--", "pwd")
    assert elsewhere.stdout.decode() == f"{work}\n"


@pytest.mark.skipif(
    "landlock" in probe().problems, reason=probe().problems.get("landlock", "works")
)
def test_what_is_not_enforced_is_said_and_nothing_is_run(home: Path, work: Path) -> None:
    landlock = ["--means", "landlock", *WRITE]
    done = sandbox(home, work, *landlock, "--", "touch", "new")
    assert done.returncode == 126
    first, *_, last = done.stderr.decode().splitlines()
    assert first.startswith("codex-rpc: not enforced: ")
    assert "nothing was run" in last
    assert list(work.iterdir()) == []
    allowed = sandbox(home, work, *landlock, "--allow-gaps", "--", "touch", "new", "/etc/new")
    assert allowed.returncode == 1
    assert b"not enforced: " in allowed.stderr
    assert [path.name for path in work.iterdir()] == ["new"]


def test_full_access_needs_no_means(home: Path, work: Path) -> None:
    run = ["--mode", "danger-full-access", "--", "sh", "-c"]
    done = sandbox(home, work, *run, "touch new; kill -9 $$")
    assert (done.returncode, done.stderr) == (137, b"")
    assert (work / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        ([], "what is to be run?", 2),
        (["--"], "what is to be run?", 2),
        (["--network", "--", "ls"], "need --mode workspace-write", 2),
        ([*WRITE, "--writable", "missing", "--", "ls"], "is no directory", 2),
        (["-C", "missing", "--", "ls"], "is no directory", 2),
        (["-c", "model=5", "--", "ls"], "model must be", 2),
        (["--mode", "everything", "--", "ls"], "invalid choice", 2),
        (["--", "no-such-program"], "there is no program 'no-such-program'", 127),
        (["--", "./no-such-program"], "there is no program", 127),
    ],
)
def test_what_cannot_be_run_says_why(
    home: Path, work: Path, arguments: list[str], said: str, code: int
) -> None:
    done = sandbox(home, work, *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr.decode()


def test_the_command_cannot_read_our_environment(home: Path, work: Path) -> None:
    if "landlock" in probe().problems:
        pytest.skip("with bubblewrap there is nobody else to be seen")
    script = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a THE_API_KEY; true"
    run = ["--means", "landlock", "--", "sh", "-c", script]
    done = sandbox(home, work, *run, THE_API_KEY="sk-nobody-sees-this")
    assert done.returncode == 0
    assert b"sk-nobody" not in done.stdout


@pytest.mark.parametrize("means", MEANS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_who_ends_us_ends_the_command(
    home: Path, work: Path, means: str, number: signal.Signals
) -> None:
    process = await anyio.open_process(
        [*COMMAND, "sandbox", "--means", means, "--", "sh", "-c", "echo there; cat"],
        cwd=work,
        env=environment(home),
    )
    async with process:
        assert process.stdout is not None
        with anyio.fail_after(10):
            assert await process.stdout.receive() == b"there\n"
            process.send_signal(number)
            # The command held the pipe open.
            with pytest.raises(anyio.EndOfStream):
                await process.stdout.receive()
            code: Any = await process.wait()
    assert code in (128 + number, 137)


@BUBBLEWRAP
async def test_the_command_is_at_our_terminal(home: Path, work: Path) -> None:
    async with at_terminal(
        home, "sandbox", "--", "sh", "-c", "test -t 0 && read x </dev/tty && echo got $x", cwd=work
    ) as terminal:
        terminal.type("something\n")
        assert await terminal.exit_code() == 0
        assert "got something" in terminal.text


@pytest.mark.parametrize("means", MEANS)
async def test_ctrl_c_ends_the_command(home: Path, work: Path, means: str) -> None:
    async with at_terminal(
        home, "sandbox", "--means", means, "--", "sh", "-c", "echo there; sleep 60", cwd=work
    ) as terminal:
        await terminal.until("there\n")
        terminal.type("\x03")
        assert await terminal.exit_code() in (130, 137)
        assert "Traceback" not in terminal.text

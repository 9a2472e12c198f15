"""A supervised command: what it sees, how its end is told, and that nothing of it is left."""

from __future__ import annotations

import marshal
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio import fail_after
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from launch_support import environment, outcome_of
from support.processes import children_of, family, gone, marked, none_marked

from codex_rpc.sandbox import supervisor
from codex_rpc.sandbox.inheritance import inheritable
from codex_rpc.sandbox.launch import Launch
from codex_rpc.sandbox.pipes import ReadPipe
from codex_rpc.sandbox.process import NotStarted, ProcessResult, run_process
from codex_rpc.sandbox.supervisor import (
    Report,
    Restrictions,
    can_supervise,
    ordered,
    supervised,
    with_status,
)

pytestmark = pytest.mark.skipif(not can_supervise(), reason="only Linux has supervisors")


def bash(script: str, **more: str) -> Launch:
    return supervised(["bash", "-c", script], environment(**more))


class Started:
    """A launcher, started as `run_process` does it, whose reports the test reads itself."""

    def __init__(self, process: anyio.abc.Process, status: ReadPipe) -> None:
        self.process = process
        self.report = Report()
        self._status = status

    async def until_ended(self) -> None:
        while not self.report.ended:
            await self._read()

    async def _read(self) -> None:
        await self._status.readable()
        self.report.feed(self._status.read_now() or b"")


async def start(launch: Launch, status: ReadPipe) -> Started:
    with inheritable(launch) as (argv, inherited):
        process = await anyio.open_process(
            with_status(argv, status.child_end),
            stdin=subprocess.DEVNULL,
            env=launch.env,
            pass_fds=[*inherited, status.child_end],
            start_new_session=True,
        )
    status.handed_over()
    return Started(process, status)


async def test_the_command_is_as_a_fresh_process_is(tmp_path: Path) -> None:
    script = """
    ls /proc/self/fd | xargs
    cut -d' ' -f1,5,6 /proc/$$/stat | tr ' ' '\\n' | uniq | wc -l
    test $PWD -ef "$0"; echo $?
    exec grep -E '^(SigPnd|SigBlk|SigIgn|NoNewPrivs|Seccomp):' /proc/self/status
    """
    launch = supervised(["bash", "-c", script, str(tmp_path)], environment())
    with fail_after(5):
        outcome = await outcome_of(launch, tmp_path)
    descriptors, session, same_folder, *status = outcome.stdout.splitlines()
    # The last one is the listing's own. Process, group and session have one number.
    assert (descriptors, session, same_folder) == ("0 1 2 3", "1", "0")
    assert [line.split()[1].strip("0") for line in status] == [""] * 5


async def test_the_command_gets_bytes_that_are_no_text(tmp_path: Path) -> None:
    launch = supervised(["sh", "-c", 'printf %s "$0$A"', "\udcff"], environment(A="\udcfe"))
    seen = b""

    async def take(stream: str, data: bytes) -> None:
        nonlocal seen
        seen += data

    with fail_after(5):
        await run_process(launch, cwd=tmp_path, deadline_s=5, on_output=take)
    assert seen == b"\xff\xfe"


async def test_a_variable_cannot_make_the_launcher_load_anything(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    hostile = {
        "LD_PRELOAD": str(tmp_path / "no-such-library.so"),
        "LD_DEBUG": "all",
        "PYTHONPATH": str(tmp_path),
        "PYTHONSTARTUP": str(trap),
        "PYTHONHOME": str(tmp_path),
    }
    (tmp_path / "ctypes.py").write_text(f"open({str(trap)!r}, 'w')")
    with fail_after(5):
        outcome = await outcome_of(supervised(["true"], hostile | environment()), tmp_path)
    assert outcome.code == 0
    # The command itself was told to talk about its libraries, and the launcher was not.
    assert "initialize program: true" in outcome.stderr
    assert "python" not in outcome.stderr
    assert not trap.exists()


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["no-such-program"], "No such file or directory: 'no-such-program'"),
        (["ls", "\ud800"], "'utf-8' codec can't encode character '\\ud800'"),
    ],
)
async def test_what_cannot_be_executed_is_told_apart_from_a_failed_command(
    tmp_path: Path, argv: list[str], reason: str
) -> None:
    with fail_after(5):
        outcome = await outcome_of(supervised(argv, environment()), tmp_path)
        same = await outcome_of(supervised(["bash", "-c", "exit 127"], environment()), tmp_path)
    assert isinstance(outcome.result, NotStarted)
    assert outcome.result.reason.startswith(reason)
    assert same.code == 127


async def test_a_daemon_is_found_and_ended(tmp_path: Path) -> None:
    mark = str(tmp_path)
    with fail_after(10):
        outcome = await outcome_of(bash(family(mark) + "exit 3"), tmp_path)
        assert not marked(mark)
    assert isinstance(outcome.result, ProcessResult)
    assert outcome.result.stopped >= 5
    assert (outcome.result.exit_code, outcome.result.detached) == (3, False)


async def test_the_end_is_told_while_something_of_the_command_lives(tmp_path: Path) -> None:
    mark = str(tmp_path)
    script = f"setsid -f bash -c 'exec -a {mark} sleep 9' >/dev/null 2>&1; exit 3"
    with closing(ReadPipe()) as status, fail_after(10):
        started = await start(bash(script), status)
        async with started.process:
            await started.until_ended()
            assert started.report.exit_code == 3
            while not marked(mark):
                await anyio.sleep(0.01)
            (daemon,) = marked(mark)
            # The supervisor itself holds nothing open.
            assert started.process.stdout is not None
            with pytest.raises(anyio.EndOfStream):
                await started.process.stdout.receive()
            assert os.readlink(f"/proc/{started.process.pid}/cwd") == "/"
            # It lives as long as the last of them, and ends with the command's own code.
            os.kill(daemon, signal.SIGKILL)
            assert await started.process.wait() == 3


async def test_when_the_supervisor_is_killed_the_command_dies_by_itself(tmp_path: Path) -> None:
    mark = str(tmp_path)
    with closing(ReadPipe()) as status, fail_after(10):
        async with (started := await start(bash(f"exec -a {mark} sleep 100"), status)).process:
            while not marked(mark):
                await anyio.sleep(0.01)
            started.process.kill()
            await started.process.wait()
            await none_marked(mark)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_supervisor_that_is_asked_to_end_ends_everything(
    tmp_path: Path, number: signal.Signals
) -> None:
    mark = str(tmp_path)
    with closing(ReadPipe()) as status, fail_after(10):
        started = await start(
            bash(f"touch {mark}/no; {family(mark)} touch {mark}/yes; wait"), status
        )
        while not (tmp_path / "yes").exists():
            await anyio.sleep(0.01)
        started.process.send_signal(number)
        assert await started.process.wait() == 128 + signal.SIGKILL
        assert not marked(mark)


async def test_who_is_asked_to_end_before_the_command_runs_does_not_run_it(tmp_path: Path) -> None:
    launch = bash("sleep 0.3; touch made", MARK=str(tmp_path))
    with fail_after(5):
        result = await outcome_of(launch, tmp_path, deadline_s=0)
        assert isinstance(result.result, ProcessResult)
        assert result.result.timed_out
        assert not marked(str(tmp_path))
    assert not (tmp_path / "made").exists()


async def test_without_its_supervisor_a_command_dies(tmp_path: Path) -> None:
    mark = str(tmp_path)
    script = f"exec -a {mark} sleep 100 & kill -9 $PPID; sleep 100"
    with fail_after(5):
        outcome = await outcome_of(bash(script), tmp_path)
        assert not marked(mark)
    assert isinstance(outcome.result, ProcessResult)
    assert (outcome.result.exit_code, outcome.result.signal) == (None, signal.SIGKILL)


async def test_one_that_always_forks_anew_is_caught(tmp_path: Path) -> None:
    code = "import os\nwhile True:\n if os.fork(): os._exit(0)"
    launch = supervised([sys.executable, "-I", "-S", "-c", code, str(tmp_path)], environment())
    with fail_after(15):
        outcome = await outcome_of(launch, tmp_path, deadline_s=5)
        assert not marked(str(tmp_path))
    assert isinstance(outcome.result, ProcessResult)
    assert (outcome.result.exit_code, outcome.result.timed_out) == (0, False)


async def test_a_launcher_whose_parent_is_another_runs_nothing(tmp_path: Path) -> None:
    launch = bash("touch made")
    *script, told = launch.contents
    orders = marshal.loads(told)
    orders["parent"] = 1
    with fail_after(5):
        outcome = await outcome_of(
            evolve(launch, contents=(*script, marshal.dumps(orders))), tmp_path
        )
    assert outcome.result == NotStarted("the launcher of commands failed with exit code 126")
    assert not (tmp_path / "made").exists()


async def test_a_launcher_that_was_changed_on_disk_is_not_the_one_that_runs(tmp_path: Path) -> None:
    package = tmp_path / "codex_rpc"
    shutil.copytree(Path(supervisor.__file__).parents[1], package)
    script = """if True:
        import asyncio, pathlib, sys
        from codex_rpc.sandbox import supervisor
        launcher = pathlib.Path(sys.argv[1], "sandbox", "launcher.py")
        assert launcher.samefile(pathlib.Path(supervisor.__file__).with_name("launcher.py"))
        launcher.write_text("raise SystemExit(3)")
        from launch_support import outcome_of
        launch = supervisor.supervised(["echo", "said"], {"PATH": "/usr/bin:/bin"})
        print(asyncio.run(outcome_of(launch, pathlib.Path("/"))).stdout)
    """
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parent)])
    with fail_after(15):
        done = await anyio.run_process(
            [sys.executable, "-c", script, str(package)],
            cwd=tmp_path,
            env={"PYTHONPATH": paths},
            check=False,
        )
    assert done.stdout.split() == [b"said"], done.stderr


BROKEN = [
    (Restrictions(ruleset=b"", rules=(), filter=b"12345678"), "system call 444"),
    (Restrictions(ruleset=b"\1" + bytes(7), rules=(), filter=b"12345678"), "prctl 22"),
    (Restrictions(ruleset=b"\1" + bytes(7), rules=(), filter=b""), "prctl 22"),
    (Restrictions(ruleset=b"\1" + bytes(7), rules=(("/", 2),), filter=b"x"), "system call 445"),
]


@pytest.mark.parametrize(("restrictions", "step"), BROKEN)
async def test_a_command_that_cannot_be_confined_is_not_run(
    tmp_path: Path, restrictions: Restrictions, step: str
) -> None:
    launch = ordered(["touch", str(tmp_path / "made")], environment(), restrictions)
    with fail_after(5):
        outcome = await outcome_of(launch, tmp_path)
    assert isinstance(outcome.result, NotStarted)
    assert outcome.result.reason.startswith(f"the sandbox could not be set up: {step}: ")
    # Without anyone to report to it is said on stderr.
    with inheritable(launch) as (argv, inherited):
        done = subprocess.run(
            argv, env=launch.env, pass_fds=inherited, capture_output=True, check=False, text=True
        )
    assert done.returncode == 126
    assert f"the sandbox could not be set up: {step}: " in done.stderr
    assert not (tmp_path / "made").exists()


SERVER = """
import sys, anyio
from pathlib import Path
from codex_rpc.sandbox.process import run_process
from codex_rpc.sandbox.supervisor import supervised

async def take(stream, data):
    print(data.decode(), flush=True)

async def main():
    print("begin", flush=True)
    launch = supervised(["bash", "-c", sys.argv[1]], {"PATH": sys.argv[2]})
    await run_process(launch, cwd=Path("/"), deadline_s=None, on_output=take)

anyio.run(main)
"""


async def running_server(script: str) -> anyio.abc.Process:
    return await anyio.open_process(
        [sys.executable, "-c", SERVER, script, os.environ["PATH"]], stderr=None
    )


async def test_when_the_server_is_killed_nothing_is_left(tmp_path: Path) -> None:
    mark = str(tmp_path)
    with fail_after(15):
        async with await running_server(f"{family(mark)} echo ready; wait") as server:
            assert server.stdout is not None
            async for data in server.stdout:
                if b"ready" in data:
                    break
            assert len(marked(mark)) >= 5
            server.kill()
            await server.wait()
            await none_marked(mark)


async def test_when_the_server_is_killed_at_any_moment_nothing_is_left(tmp_path: Path) -> None:
    async def one(n: int) -> None:
        mark = f"{tmp_path}-{n}-"
        script = f"setsid -f bash -c 'exec -a {mark} sleep 1000'; exec -a {mark} sleep 1000"
        async with await running_server(script) as server:
            assert server.stdout is not None
            await server.stdout.receive()
            # From before the launcher's first step to after the command's.
            await anyio.sleep(0.005 * n)
            launchers = children_of(server.pid)
            server.kill()
            await server.wait()
            await gone(*launchers)
            await none_marked(mark)

    with fail_after(18):
        for n in range(0, 12, 3):
            async with anyio.create_task_group() as group:
                for k in range(3):
                    group.start_soon(one, n + k)


REPORTS: list[tuple[bytes, Mapping[str, Any]]] = [
    (b"pid 12\nexit 3\n", {"pid": 12, "exit_code": 3, "signal": None}),
    (b"pid 1\nsignal 9\nexit 1\n", {"pid": 1, "exit_code": None, "signal": 9}),
    (b"pid 7\nerrno 2 a b\nexit 127\n", {"pid": 7, "exit_code": None}),
    (b"error no way\n", {"pid": None, "exit_code": None, "signal": None}),
]


@given(st.sampled_from(REPORTS), st.lists(st.integers(0, 30)))
@settings(deadline=None, max_examples=60)
def test_a_report_reads_the_same_in_any_pieces(
    told: tuple[bytes, Mapping[str, Any]], cuts: Sequence[int]
) -> None:
    data, expected = told
    report = Report()
    ends = sorted(min(cut, len(data)) for cut in cuts)
    for begin, end in zip([0, *ends], [*ends, len(data)], strict=True):
        report.feed(data[begin:end])
    assert {name: getattr(report, name) for name in expected} == expected
    assert report.ended

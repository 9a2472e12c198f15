"""Commands run, and all that they started dies: real processes, real pipes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import pytest
from anyio import fail_after
from support.processes import gone, is_running, marked, pid_from

from codex_rpc.sandbox.launch import Launch, placeholder
from codex_rpc.sandbox.pipes import Stream
from codex_rpc.sandbox.process import NotStarted, ProcessResult, run_process
from codex_rpc.sandbox.supervisor import can_supervise, supervised

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells and signals")


Wrap = Callable[[Sequence[str], Mapping[str, str]], Launch]


def plain(argv: Sequence[str], env: Mapping[str, str]) -> Launch:
    return Launch(argv=tuple(argv), env=env)


@pytest.fixture(params=[plain, supervised])
def wrap(request: pytest.FixtureRequest) -> Wrap:
    """How commands are started."""
    if request.param is supervised and not can_supervise():
        pytest.skip("only Linux has supervisors")
    return request.param


class Output:
    """Collects what a command prints, and says when."""

    def __init__(self) -> None:
        self.chunks: list[tuple[Stream, bytes]] = []
        self._news = anyio.Event()

    async def take(self, stream: Stream, data: bytes) -> None:
        self.chunks.append((stream, data))
        self._news.set()
        self._news = anyio.Event()

    def text(self, stream: Stream = "stdout") -> bytes:
        return b"".join(data for name, data in self.chunks if name == stream)

    async def until(self, text: bytes) -> None:
        while text not in self.text():
            await self._news.wait()


async def run(
    wrap: Wrap, cwd: Path, script: str, output: Output, *, deadline_s: float | None = 10
) -> ProcessResult:
    launch = wrap(["bash", "-c", script], dict(os.environ))
    result = await run_process(launch, cwd=cwd, deadline_s=deadline_s, on_output=output.take)
    assert isinstance(result, ProcessResult)
    return result


@pytest.fixture
def output() -> Output:
    return Output()


async def test_both_streams_and_the_exit_code_arrive(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    with fail_after(5):
        result = await run(wrap, tmp_path, "echo out; echo err >&2; exit 3", output)
    assert (output.text("stdout"), output.text("stderr")) == (b"out\n", b"err\n")
    assert (result.exit_code, result.signal, result.timed_out) == (3, None, False)
    assert (result.stopped, result.detached) == (0, False)


async def test_output_is_handed_on_while_the_command_runs(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    go_on = tmp_path / "go-on"
    os.mkfifo(go_on)
    async with anyio.create_task_group() as group:
        with fail_after(5):
            group.start_soon(run, wrap, tmp_path, "echo first; read < go-on; echo second", output)
            await output.until(b"first\n")
            assert b"second" not in output.text()
            await anyio.Path(go_on).write_text("\n")
            await output.until(b"second\n")


async def test_stdin_is_empty(wrap: Wrap, tmp_path: Path, output: Output) -> None:
    with fail_after(5):
        assert (await run(wrap, tmp_path, "cat; echo done", output)).exit_code == 0
    assert output.text() == b"done\n"


async def test_the_command_sees_exactly_the_given_environment(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    with fail_after(5):
        await run_process(
            wrap(["env"], {"PATH": os.environ["PATH"], "A": "1"}),
            cwd=tmp_path,
            deadline_s=5,
            on_output=output.take,
        )
    assert set(output.text().split()) == {f"PATH={os.environ['PATH']}".encode(), b"A=1"}


async def test_a_deadline_ends_children_and_grandchildren(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    script = """
    bash -c 'sleep 100 & echo $! > grandchild; wait' &
    setsid sleep 100 & echo $! > escaped
    echo $$ > child; echo begun; wait
    """
    with fail_after(5):
        result = await run(wrap, tmp_path, script, output, deadline_s=0.6)
        assert (result.timed_out, result.exit_code, result.signal) == (True, None, None)
        assert output.text() == b"begun\n"
        for name in ("child", "grandchild", "escaped"):
            assert not is_running(await pid_from(tmp_path / name)), name


async def test_an_orphan_in_a_group_of_its_own_is_found_by_its_session(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    script = "bash -c 'set -m; sleep 100 & echo $! > orphan'; echo begun; sleep 100"
    with fail_after(5):
        assert (await run(wrap, tmp_path, script, output, deadline_s=0.5)).timed_out
        assert not is_running(await pid_from(tmp_path / "orphan"))


async def test_who_ignores_sigterm_is_killed(wrap: Wrap, tmp_path: Path, output: Output) -> None:
    script = "trap '' TERM; echo $$ > child; while :; do sleep 100; done"
    with fail_after(5):
        result = await run(wrap, tmp_path, script, output, deadline_s=0.5)
        assert result.timed_out
        assert not is_running(await pid_from(tmp_path / "child"))


async def test_what_is_printed_on_sigterm_is_still_read(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    # More than the pipe holds, so that it has to be emptied for the command to end.
    script = "trap 'head -c 200000 /dev/zero; echo bye; exit' TERM; echo hi; sleep 100 & wait"
    with fail_after(5):
        assert (await run(wrap, tmp_path, script, output, deadline_s=0.5)).timed_out
    assert output.text() == b"hi\n" + bytes(200_000) + b"bye\n"


async def test_cancelling_ends_the_tree_keeps_the_output_and_goes_on(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    script = """
    setsid sleep 100 & echo $! > escaped
    sleep 100 & echo $! > grandchild
    trap 'echo bye; exit' TERM
    echo begun; wait
    """
    reached = False
    with fail_after(5):
        async with anyio.create_task_group() as group:

            async def command() -> None:
                nonlocal reached
                await run(wrap, tmp_path, script, output, deadline_s=None)
                reached = True

            group.start_soon(command)
            await output.until(b"begun\n")
            group.cancel_scope.cancel()
        assert not reached
        assert output.text() == b"begun\nbye\n"
        for name in ("escaped", "grandchild"):
            assert not is_running(await pid_from(tmp_path / name)), name


async def test_who_is_cancelled_already_starts_nothing(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    with fail_after(5):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await run(wrap, tmp_path, "touch made", output)
        assert scope.cancelled_caught
        await run(wrap, tmp_path, "ls", output)
    assert output.text() == b""


async def test_a_background_child_neither_delays_the_end_nor_survives_it(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    with fail_after(5):
        result = await run(wrap, tmp_path, "sleep 100 & echo $! > child; echo started", output)
        assert not is_running(await pid_from(tmp_path / "child"))
    assert (result.exit_code, result.timed_out, result.stopped) == (0, False, 1)
    assert output.text() == b"started\n"


async def test_a_silent_background_child_does_not_survive_either(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    with fail_after(5):
        result = await run(wrap, tmp_path, "sleep 100 >/dev/null 2>&1 & echo $! > child", output)
        assert not is_running(await pid_from(tmp_path / "child"))
    assert (result.exit_code, result.stopped) == (0, 1)


async def test_a_child_that_ends_just_after_its_parent_is_not_killed(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    with fail_after(5):
        script = "(while kill -0 $$; do sleep 0.005; done 2>/dev/null; echo late) & echo early"
        result = await run(wrap, tmp_path, script, output)
    assert (result.exit_code, result.stopped, result.detached) == (0, 0, False)
    assert output.text() == b"early\nlate\n"


async def test_an_endless_background_writer_does_not_delay_the_end(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    with fail_after(5):
        result = await run(wrap, tmp_path, "yes & echo $! > child", output, deadline_s=None)
        assert not is_running(await pid_from(tmp_path / "child"))
    assert (result.exit_code, result.stopped) == (0, 1)


async def test_a_daemon_without_a_supervisor_is_reported(tmp_path: Path, output: Output) -> None:
    with fail_after(5):
        result = await run(plain, tmp_path, "setsid sleep 100 & echo $! > daemon", output)
        daemon = await pid_from(tmp_path / "daemon")
    try:
        assert (result.exit_code, result.stopped, result.detached) == (0, 0, True)
    finally:
        os.kill(daemon, 9)
    with fail_after(5):
        await gone(daemon)


async def test_death_by_a_signal_is_no_exit_code(
    wrap: Wrap, tmp_path: Path, output: Output
) -> None:
    with fail_after(5):
        result = await run(wrap, tmp_path, "kill -9 $$", output)
    assert (result.exit_code, result.signal, result.timed_out) == (None, 9, False)


async def test_an_unread_pipe_makes_the_command_wait_while_the_deadline_runs_on(
    wrap: Wrap,
    tmp_path: Path,
) -> None:
    taken = 0

    async def never_read(stream: Stream, data: bytes) -> None:
        nonlocal taken
        taken += len(data)
        await anyio.sleep_forever()

    with fail_after(5):
        result = await run_process(
            wrap(["bash", "-c", "echo $$ > child; head -c 100000000 /dev/zero"], dict(os.environ)),
            cwd=tmp_path,
            deadline_s=0.5,
            on_output=never_read,
        )
        assert isinstance(result, ProcessResult)
        assert result.timed_out
        assert not is_running(await pid_from(tmp_path / "child"))
    # The first read, and at the end what the pipe still held.
    assert 8192 < taken < 3_000_000


async def test_the_end_of_a_command_whose_output_nobody_reads_is_its_own(
    wrap: Wrap, tmp_path: Path
) -> None:
    taken = b""

    async def never_read(stream: Stream, data: bytes) -> None:
        nonlocal taken
        taken += data
        await anyio.sleep_forever()

    with fail_after(5):
        result = await run_process(
            wrap(["bash", "-c", "seq 1 5000; exit 4"], dict(os.environ)),
            cwd=tmp_path,
            deadline_s=0.4,
            on_output=never_read,
        )
    assert isinstance(result, ProcessResult)
    assert (result.exit_code, result.timed_out) == (4, False)
    assert taken == "".join(f"{n}\n" for n in range(1, 5001)).encode()


async def test_a_fast_writer_does_not_keep_the_event_loop(wrap: Wrap, tmp_path: Path) -> None:
    async def take(stream: Stream, data: bytes) -> None:
        # Work, and slow enough that the pipe is never found empty.
        hashlib.pbkdf2_hmac("sha256", data, b"", 20_000)

    with fail_after(5):
        result = await run_process(
            wrap(["yes"], dict(os.environ)), cwd=tmp_path, deadline_s=0.2, on_output=take
        )
    assert isinstance(result, ProcessResult)
    assert result.timed_out


async def test_an_error_while_handing_on_output_leaves_no_process(
    wrap: Wrap, tmp_path: Path
) -> None:
    async def broken(stream: Stream, data: bytes) -> None:
        raise RuntimeError("broken")

    with fail_after(5), pytest.raises(BaseExceptionGroup):
        await run_process(
            wrap(["bash", "-c", "echo $$ > child; echo hi; sleep 100"], dict(os.environ)),
            cwd=tmp_path,
            deadline_s=None,
            on_output=broken,
        )
    with fail_after(5):
        assert not is_running(await pid_from(tmp_path / "child"))


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["no-such-program"], "No such file or directory: 'no-such-program'"),
        (["./data"], "Permission denied: './data'"),
        (["./garbled"], "Exec format error: './garbled'"),
        (["echo", "a\0b"], "embedded null byte"),
    ],
)
async def test_what_cannot_be_started_says_why(
    wrap: Wrap, tmp_path: Path, output: Output, argv: list[str], reason: str
) -> None:
    (tmp_path / "data").write_text("no program")
    (tmp_path / "garbled").write_bytes(b"\x7fELF")
    (tmp_path / "garbled").chmod(0o755)
    with fail_after(5):
        result = await run_process(
            wrap(argv, dict(os.environ)), cwd=tmp_path, deadline_s=5, on_output=output.take
        )
    assert result == NotStarted(reason)


async def test_a_missing_directory_is_named(wrap: Wrap, tmp_path: Path, output: Output) -> None:
    missing = tmp_path / "missing"
    with fail_after(5):
        result = await run_process(
            wrap(["ls"], dict(os.environ)), cwd=missing, deadline_s=5, on_output=output.take
        )
    assert result == NotStarted(f"No such file or directory: '{missing}'")


async def test_no_file_descriptors_are_left(wrap: Wrap, tmp_path: Path, output: Output) -> None:
    def descriptors() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    with fail_after(10):
        await run(wrap, tmp_path, "true", output)
        before = descriptors()
        for script in ("echo hi", "exit 3", "kill -9 $$", "sleep 100 & echo"):
            await run(wrap, tmp_path, script, output)
        await run(wrap, tmp_path, "sleep 100", output, deadline_s=0.05)
        await run_process(wrap(["nope"], {}), cwd=tmp_path, deadline_s=None, on_output=output.take)
        assert descriptors() == before


async def test_contents_are_read_from_the_placeholders_descriptors(
    tmp_path: Path, output: Output
) -> None:
    launch = Launch(
        argv=("bash", "-c", "cat <&$1; cat <&$0", placeholder(0), placeholder(1)),
        env=dict(os.environ),
        contents=(b"zero", bytes(100_000) + b"one "),
    )
    with fail_after(5):
        await run_process(launch, cwd=tmp_path, deadline_s=5, on_output=output.take)
    assert output.text() == bytes(100_000) + b"one zero"


BWRAP = shutil.which("bwrap")


def in_bubblewrap(argv: Sequence[str], env: Mapping[str, str]) -> Launch:
    assert BWRAP is not None
    options = ("--unshare-pid", "--die-with-parent", "--dev-bind", "/", "/", "--proc", "/proc")
    return Launch(argv=(BWRAP, *options, "--", *argv), env=env, wrapper="bubblewrap")


def bubblewrap_works() -> bool:
    launch = in_bubblewrap(["true"], {}) if BWRAP else None
    return launch is not None and subprocess.run(launch.argv, check=False).returncode == 0


needs_bubblewrap = pytest.mark.skipif(not bubblewrap_works(), reason="bubblewrap does not work")


@needs_bubblewrap
async def test_in_bubblewrap_a_command_has_its_time_to_end(tmp_path: Path, output: Output) -> None:
    script = "trap 'echo bye; exit' TERM; sleep 100 & echo begun; wait"
    with fail_after(5):
        result = await run(in_bubblewrap, tmp_path, script, output, deadline_s=0.5)
    assert result.timed_out
    assert output.text() == b"begun\nbye\n"


@needs_bubblewrap
async def test_in_bubblewrap_who_ignores_sigterm_is_killed(tmp_path: Path, output: Output) -> None:
    sleep = f"exec -a {tmp_path} sleep 100"
    script = f"trap '' TERM; setsid bash -c '{sleep}' & while :; do ({sleep}); done"
    with fail_after(5):
        result = await run(in_bubblewrap, tmp_path, script, output, deadline_s=0.3)
        assert result.timed_out
        assert not marked(str(tmp_path))


@needs_bubblewrap
async def test_in_bubblewrap_what_is_left_dies_with_the_command(
    tmp_path: Path, output: Output
) -> None:
    sleep = f"exec -a {tmp_path} sleep 100"
    script = f"({sleep}) & setsid -f bash -c '{sleep}'"
    with fail_after(5):
        result = await run(in_bubblewrap, tmp_path, script + "; exit 3", output)
        assert (result.exit_code, result.stopped, result.detached) == (3, 0, False)
        assert not marked(str(tmp_path))


@needs_bubblewrap
async def test_in_bubblewrap_death_by_a_signal_is_an_exit_code(
    tmp_path: Path, output: Output
) -> None:
    with fail_after(5):
        result = await run(in_bubblewrap, tmp_path, "kill -9 $$", output)
    assert (result.exit_code, result.signal) == (137, None)

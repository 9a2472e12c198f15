"""The lock between real processes: who gets it, who keeps it, and what death does to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio import fail_after, to_thread
from support.rollout_files import by_path, header, texts, user, write_session

from codex_rpc.protocol.errors import RolloutInUse
from codex_rpc.rollout.files import OS_FILES
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.rollout.writer import RolloutLog

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and fds of POSIX")

HOLDER = """
import sys, anyio
from pathlib import Path
from codex_rpc.protocol.errors import RolloutInUse
from codex_rpc.protocol.items import text_message
from codex_rpc.protocol.records import SessionRef
from codex_rpc.rollout.store import RolloutStore

async def main(home, path):
    print("ready", flush=True)
    sys.stdin.readline()
    store = RolloutStore(Path(home), version="1")
    try:
        saved, log = await store.open(SessionRef(path=path), fsync="turn")
    except RolloutInUse:
        print("in use", flush=True)
        return
    await log.append([text_message(f"from {len(saved.items)}")])
    print("held", flush=True)
    sys.stdin.readline()
    await log.close()

anyio.run(main, *sys.argv[1:])
"""


@contextmanager
def holder(home: Path, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that opens `path` when it is told to, and holds it until told again."""
    argv = [sys.executable, "-c", HOLDER, str(home), str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    with fail_after(10):
        return (await to_thread.run_sync(process.stdout.readline)).strip()


def tell(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


@pytest.fixture
def path(home: Path) -> Path:
    return write_session(home / "sessions/session.jsonl")


@pytest.fixture
async def log(home: Path) -> AsyncIterator[RolloutLog]:
    log = await RolloutStore(home, version="1").create(header(Path("/w")), [], fsync="turn")
    yield log
    await log.close()


async def test_a_session_held_by_another_process_says_which_and_is_free_after_its_death(
    home: Path, path: Path
) -> None:
    store = RolloutStore(home, version="1")
    with holder(home, path) as process:
        assert await answer(process) == "ready"
        tell(process)
        assert await answer(process) == "held"
        with pytest.raises(RolloutInUse) as caught:
            await store.open(by_path(path), fsync="turn")
        assert caught.value.data["pid"] == process.pid
        page = await store.read(by_path(path), cursor=None, limit=9, direction="backward")
        assert len(page.items) == 1
        process.send_signal(signal.SIGKILL)
        process.wait(5)
    saved, log = await store.open(by_path(path), fsync="turn")
    assert texts(saved.items) == ["from 0"]
    # The dead process's note is still there, and means nothing.
    (note,) = (home / "sessions/.live").iterdir()
    assert str(process.pid) in note.read_text()
    with pytest.raises(RolloutInUse) as caught:
        await RolloutStore(home, version="1").open(by_path(path), fsync="turn")
    assert "pid" not in caught.value.data
    await log.append([user("mine")])
    with pytest.raises(RolloutInUse) as caught:
        await RolloutStore(home, version="1").open(by_path(path), fsync="turn")
    assert caught.value.data["pid"] == os.getpid()
    await log.close()


async def test_of_two_processes_that_race_exactly_one_wins(home: Path, path: Path) -> None:
    for held_before in range(3):
        with holder(home, path) as one, holder(home, path) as two:
            assert [await answer(one), await answer(two)] == ["ready", "ready"]
            tell(one, two)
            answers = [await answer(one), await answer(two)]
            assert sorted(answers) == ["held", "in use"]
            winner = one if answers[0] == "held" else two
            tell(winner)
            assert winner.wait(5) == 0
        page = await RolloutStore(home, version="1").read(
            by_path(path), cursor=None, limit=9, direction="forward"
        )
        said = [entry.item["content"][0]["text"] for entry in page.items]
        assert said == [f"from {number}" for number in range(held_before + 1)]
        assert not list((home / "sessions/.live").iterdir())


@contextmanager
def child(*, close_fds: bool) -> Iterator[subprocess.Popen[str]]:
    """Any process, started with what a command is started with."""
    argv = [sys.executable, "-c", "print('up', flush=True); input()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, close_fds=close_fds, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("close_fds", [True, False])
async def test_children_do_not_keep_the_lock(home: Path, log: RolloutLog, close_fds: bool) -> None:
    with child(close_fds=close_fds) as process:
        assert await answer(process) == "up"
        await log.close()
        _, again = await RolloutStore(home, version="1").open(by_path(log.path), fsync="turn")
        assert process.poll() is None
        await again.close()


def test_a_copy_of_the_descriptor_does_not_keep_the_lock_of_a_closed_file(path: Path) -> None:
    # What a child has between fork and exec.
    held = OS_FILES.open_to_append(path)
    assert OS_FILES.lock(held)
    copy = os.dup(held)
    OS_FILES.close(held)
    again = OS_FILES.open_to_append(path)
    assert OS_FILES.lock(again)
    OS_FILES.close(again)
    os.close(copy)

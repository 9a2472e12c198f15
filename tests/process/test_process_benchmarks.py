"""The benchmarks' drivers: each against the program that it speaks to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.child import ProgramFailed
from benchmarks.drivers import AppServerDriver, Driver, ProtoDriver
from benchmarks.inputs import write_compacted, write_many, write_session
from benchmarks.model import text_of
from benchmarks.programs import Program, ours
from benchmarks.rows.crowd import check_texts, speak_together
from benchmarks.stage import Stage, check_text, staged
from support.real_codex import FIRST_OF_TODAY, find

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged(short=True) as made:
        yield made


@pytest.fixture(params=["codex-rpc", "codex-rpc acp", "codex proto", "codex app-server"])
def program(request: pytest.FixtureRequest) -> Program:
    name = request.param
    if name == "codex proto":
        path = find(request.config, "--codex-020", lambda version: version == (0, 20))
        return Program(name, ProtoDriver, [path])
    if name == "codex app-server":
        path = find(request.config, "--codex-latest", lambda version: version >= FIRST_OF_TODAY)
        return Program(name, AppServerDriver, [path])
    found = next(program for program in ours() if program.name == name)
    if found.missing is not None:
        pytest.skip(found.missing)
    return found


def test_a_turn_brings_the_whole_text_and_tells_of_its_way(stage: Stage, program: Program) -> None:
    home = stage.home(program, "turn", "deltas=30,per_write=10,stamps=1,pause_ms=1")
    with stage.running(program, home) as driver:
        session = driver.open()
        for _ in range(2):
            turn = driver.turn(session, timeout_s=10)
            check_text(driver, turn, text_of(30))
            delays = driver.delays_s(turn.lines)
            assert len(delays) == 3
            assert all(0 < delay < turn.seconds for delay in delays)


def test_what_a_process_costs_is_seen(stage: Stage, program: Program) -> None:
    with stage.running(program, stage.home(program, "cost")) as driver:
        before = driver.child.cpu_s
        driver.turn(driver.open(), timeout_s=10)
        assert driver.child.cpu_s > before > 0
        assert 1 < driver.child.rss_mib <= driver.child.peak_mib
        assert driver.child.open_files > 2


def test_a_saved_session_is_resumed_with_all_its_items(stage: Stage, program: Program) -> None:
    home = stage.home(program, "resume")
    saved = write_session(stage, program, home, 40)
    resumed = program.driver.resumed(program.command, home, stage.cwd, saved)
    try:
        assert resumed.seconds > 0
        turn = resumed.driver.turn(saved.session_id, timeout_s=10)
        check_text(resumed.driver, turn, text_of(1))
    finally:
        resumed.driver.child.kill()
    assert saved.path.stat().st_size > 0


def test_all_saved_sessions_are_listed(stage: Stage, program: Program) -> None:
    if program.driver.page is Driver.page:
        pytest.skip("has no list of sessions")
    home = stage.home(program, "list")
    write_many(stage, program, home, 30, 4_000)
    with stage.running(program, home) as driver:
        page = driver.page(limit=30)
        count = page.count
        while page.next_cursor is not None:
            page = driver.page(page.next_cursor, 30)
            count += page.count
    assert count == 30


def test_many_sessions_speak_at_once(stage: Stage, program: Program) -> None:
    home = stage.home(program, "many", "deltas=50,per_write=5")
    with stage.running(program, home) as driver:
        if not driver.many_sessions:
            pytest.skip("one process has one session")
        _, _, lines = speak_together(driver, 4)
        check_texts(driver, lines, 4, text_of(50))


def test_a_command_is_called_every_so_often(stage: Stage, program: Program) -> None:
    if not program.ours:
        pytest.skip("only the day calls commands, and that is ours alone")
    home = stage.home(program, "call", "deltas=2,call_every=2")
    with stage.running(program, home) as driver:
        session = driver.open()
        turn = driver.turn(session, timeout_s=15)
        check_text(driver, turn, text_of(2))
        driver.close(session)
    (path,) = (home / ".codex" / "sessions").rglob(f"*{session}.jsonl")
    assert '"function_call_output"' in path.read_text()


def test_a_large_file_goes_on_from_its_compaction(stage: Stage, program: Program) -> None:
    if not program.ours:
        pytest.skip("the compaction is of our format")
    home = stage.home(program, "large")
    saved = write_compacted(home, 3_000_000)
    with stage.running(program, home) as driver:
        driver.resume(saved)
        check_text(driver, driver.turn(saved.session_id, timeout_s=10), text_of(1))


def test_a_program_that_fails_says_how(stage: Stage, tmp_path: Path) -> None:
    program = next(iter(ours()))
    with (
        stage.running(program, stage.home(program, "failing")) as driver,
        pytest.raises(ProgramFailed, match="session/close"),
    ):
        driver.close("00000000-0000-4000-8000-000000000000")
    gone = Program("gone", program.driver, [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(ProgramFailed, match="code 3"):
        gone.start(tmp_path, tmp_path)

"""The history of what the user typed, shared by processes."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from pathlib import Path

import anyio
import pytest
from anyio import fail_after

from codex_rpc.protocol.events import HistoryEntry
from codex_rpc.protocol.ids import SessionId
from codex_rpc.rollout.files import OS_FILES
from codex_rpc.rollout.message_history import MessageHistory

SESSION = SessionId("f1991141-fa08-4314-ba1e-901b1e32d190")


@pytest.fixture
def path(home: Path) -> Path:
    return home / "history.jsonl"


@pytest.fixture
def history(home: Path) -> MessageHistory:
    return MessageHistory(home, now=lambda: 1795365304.9)


def texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


async def test_an_entry_is_a_line_as_the_codex_cli_writes_it(
    history: MessageHistory, path: Path
) -> None:
    await history.append(SESSION, "two\nlines é")
    assert path.read_text("utf-8") == (
        f'{{"session_id":"{SESSION}","ts":1795365304,"text":"two\\nlines é"}}\n'
    )


async def test_entries_are_found_by_offset(history: MessageHistory, path: Path) -> None:
    assert await history.stat() == (0, 0)
    for text in ("one", "two", "three"):
        await history.append(SESSION, text)
    log_id, count = await history.stat()
    assert (log_id, count) == (path.stat().st_ino, 3)
    for offset, text in enumerate(("one", "two", "three")):
        assert await history.entry(offset, log_id) == HistoryEntry(SESSION, 1795365304, text)


async def test_what_does_not_match_is_no_entry(history: MessageHistory) -> None:
    await history.append(SESSION, "one")
    log_id, _ = await history.stat()
    for offset, other_id in ((1, log_id), (-1, log_id), (10**9, log_id), (0, log_id + 1), (0, 0)):
        assert await history.entry(offset, other_id) is None


async def test_an_entry_behind_many_is_found(history: MessageHistory, path: Path) -> None:
    path.parent.mkdir()
    with path.open("w") as file:
        for number in range(60_000):
            file.write(f'{{"session_id":"{SESSION}","ts":1,"text":"entry {number}"}}\n')
    log_id, count = await history.stat()
    assert count == 60_000
    for offset in (0, 1, 14_000, 59_999):
        entry = await history.entry(offset, log_id)
        assert entry is not None
        assert entry.text == f"entry {offset}"


@pytest.mark.parametrize(
    "line", ["garbage", "[]", "{}", '{"session_id": "x", "ts": "1", "text": "t"}', "\ufffd"]
)
async def test_a_line_that_is_no_entry_keeps_its_place(
    history: MessageHistory, path: Path, line: str
) -> None:
    await history.append(SESSION, "one")
    with path.open("a") as file:
        file.write(line + "\n")
    await history.append(SESSION, "two")
    log_id, count = await history.stat()
    assert count == 3
    assert await history.entry(1, log_id) is None
    entry = await history.entry(2, log_id)
    assert entry is not None
    assert entry.text == "two"


async def test_an_unfinished_last_line_is_not_glued_to(history: MessageHistory, path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"session_id":')
    assert (await history.stat())[1] == 1
    await history.append(SESSION, "one")
    log_id, count = await history.stat()
    assert count == 2
    entry = await history.entry(1, log_id)
    assert entry is not None


async def test_the_file_is_private(history: MessageHistory, path: Path, open_umask: None) -> None:
    await history.append(SESSION, "one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    await history.append(SESSION, "two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_without_persistence_nothing_is_written_but_old_entries_are_read(
    history: MessageHistory, home: Path, path: Path
) -> None:
    silent = MessageHistory(home, "none")
    await silent.append(SESSION, "one")
    assert not path.exists()
    await history.append(SESSION, "two")
    log_id, count = await silent.stat()
    assert (count, await silent.entry(0, log_id)) == (
        1,
        HistoryEntry(SESSION, 1795365304, "two"),
    )


async def test_what_cannot_be_written_is_an_error(history: MessageHistory, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        await history.append(SESSION, "one")
    assert await history.stat() == (0, 0)
    assert await history.entry(0, 0) is None


class TestTrimming:
    async def test_the_oldest_entries_go_and_old_offsets_find_nothing(
        self, home: Path, path: Path
    ) -> None:
        history = MessageHistory(home, max_bytes=1_000)
        numbers = iter(range(1_000))
        await history.append(SESSION, f"entry {next(numbers)}")
        log_id, _ = await history.stat()
        while (await history.stat())[0] == log_id:
            last = next(numbers)
            await history.append(SESSION, f"entry {last}")
        assert 500 < path.stat().st_size <= 800
        kept = texts(path)
        assert kept == [f"entry {number}" for number in range(last + 1 - len(kept), last + 1)]
        assert len(kept) < last
        assert await history.entry(0, log_id) is None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in home.iterdir()] == ["history.jsonl"]

    async def test_an_entry_larger_than_the_limit_is_kept_alone(
        self, home: Path, path: Path
    ) -> None:
        history = MessageHistory(home, max_bytes=100)
        await history.append(SESSION, "small")
        await history.append(SESSION, "x" * 500)
        assert texts(path) == ["x" * 500]
        await history.append(SESSION, "y" * 500)
        assert texts(path) == ["y" * 500]

    @pytest.mark.parametrize("max_bytes", [0, None])
    async def test_without_a_limit_everything_stays(
        self, home: Path, path: Path, max_bytes: int | None
    ) -> None:
        history = MessageHistory(home, max_bytes=max_bytes)
        for number in range(20):
            await history.append(SESSION, f"entry {number}")
        assert len(texts(path)) == 20

    async def test_a_link_stays_a_link(self, home: Path, path: Path, tmp_path: Path) -> None:
        home.mkdir()
        path.symlink_to(tmp_path / "elsewhere.jsonl")
        history = MessageHistory(home, max_bytes=200)
        for number in range(9):
            await history.append(SESSION, f"entry {number}")
        assert path.is_symlink()
        assert texts(tmp_path / "elsewhere.jsonl")[-1] == "entry 8"

    async def test_when_trimming_fails_the_entry_is_saved_all_the_same(
        self, home: Path, path: Path
    ) -> None:
        history = MessageHistory(home, max_bytes=200)
        (home / "history.jsonl.trimmed").mkdir(parents=True)
        for number in range(9):
            await history.append(SESSION, f"entry {number}")
        assert len(texts(path)) == 9


async def test_entries_of_many_tasks_and_processes_are_all_there(home: Path, path: Path) -> None:
    script = (
        "import sys, anyio\n"
        "from pathlib import Path\n"
        "from codex_rpc.rollout.message_history import MessageHistory\n"
        "async def main():\n"
        "    history = MessageHistory(Path(sys.argv[1]), max_bytes=1 << 20)\n"
        "    async with anyio.create_task_group() as group:\n"
        "        for number in range(15):\n"
        "            group.start_soon(history.append, sys.argv[2], f'{sys.argv[2]} {number}')\n"
        "anyio.run(main)\n"
    )
    with fail_after(15):
        async with anyio.create_task_group() as group:
            for name in ("a", "b", "c"):
                argv = [sys.executable, "-c", script, str(home), name]
                group.start_soon(anyio.run_process, argv)
    assert sorted(texts(path)) == sorted(f"{name} {n}" for name in "abc" for n in range(15))


async def test_a_lock_that_is_never_released_is_an_error_in_the_end(home: Path, path: Path) -> None:
    history = MessageHistory(home, lock_tries=2)
    await history.append(SESSION, "one")
    held = os.open(path, os.O_RDWR)
    assert OS_FILES.lock(held)
    with fail_after(5), pytest.raises(OSError, match="locked") as caught:
        await history.append(SESSION, "two")
    assert caught.value.errno == errno.EAGAIN
    OS_FILES.close(held)
    await history.append(SESSION, "three")
    assert texts(path) == ["one", "three"]

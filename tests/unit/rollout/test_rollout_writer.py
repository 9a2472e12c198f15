"""The log of an open session: order, faults of each system call, cancellation, durability."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import orjson
import pytest
from anyio import fail_after
from support.rollout_files import (
    FaultyFiles,
    Gate,
    by_path,
    context,
    full_disk,
    header,
    lines_of,
    opened,
    texts,
    turn,
    user,
    write_session,
)

from codex_rpc.protocol.errors import RolloutInUse, RolloutWriteFailed
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import CompactedRecord, StateRecord, TitleRecord
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.rollout.writer import RolloutLog


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def store(tmp_path: Path, files: FaultyFiles) -> RolloutStore:
    return RolloutStore(tmp_path / "home", version="9.9", files=files)


@pytest.fixture
async def log(store: RolloutStore, files: FaultyFiles) -> AsyncIterator[RolloutLog]:
    log = await store.create(header(Path("/w")), [], fsync="turn")
    files.calls.clear()
    files.written.clear()
    yield log
    with fail_after(5):
        await log.close(discard=True)


def said(path: Path) -> list[str]:
    """The texts of the messages in the file, in its order."""
    return [line["content"][0]["text"] for line in lines_of(path) if line.get("type") == "message"]


async def test_a_step_is_one_write_of_whole_lines(log: RolloutLog, files: FaultyFiles) -> None:
    item = user("one")
    await log.append([item, StateRecord("resp_1"), turn("completed", usage={"total_tokens": 3})])
    assert files.calls == ["write"]
    assert files.written == [
        item.raw
        + b'\n{"record_type":"state","previous_response_id":"resp_1"}\n'
        + b'{"record_type":"turn","timestamp":"2026-11-22T16:29:43.832Z","submission_id":"1",'
        + b'"status":"completed","usage":{"total_tokens":3}}\n'
    ]


async def test_records_are_written_as_the_format_says(log: RolloutLog) -> None:
    await log.append([context(), TitleRecord("a title"), turn("aborted", reason="interrupted")])
    assert lines_of(log.path)[1:] == [
        {
            "record_type": "context",
            "timestamp": "2026-11-22T16:29:43.832Z",
            "cwd": "/w",
            "model": "gpt-5",
            "model_provider": "openai",
            "approval_policy": "on-request",
            "sandbox_policy": {
                "mode": "workspace-write",
                "writable_roots": ["/w/more"],
                "network_access": True,
            },
        },
        {"record_type": "title", "title": "a title"},
        {
            "record_type": "turn",
            "timestamp": "2026-11-22T16:29:43.832Z",
            "submission_id": "1",
            "status": "aborted",
            "reason": "interrupted",
        },
    ]


async def test_an_item_spread_over_lines_becomes_one_line(log: RolloutLog) -> None:
    raw = b'{"type":\n "message",\n "content": [{"text": "spread"}]}'
    await log.append([Item(raw, "message")])
    assert said(log.path) == ["spread"]


async def test_text_that_is_no_utf8_does_not_stop_a_record(log: RolloutLog) -> None:
    await log.append([context(cwd="/w/\udcff"), TitleRecord("t\ud800")])
    assert [line.get("cwd") for line in lines_of(log.path)[1:]] == ["/w/?", None]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
async def test_what_cannot_be_written_stays_queued_and_goes_first(
    log: RolloutLog, files: FaultyFiles, code: int
) -> None:
    files.next("write", OSError(code, "no"))
    with pytest.raises(RolloutWriteFailed) as caught:
        await log.append([user("one"), user("two")])
    assert caught.value.data == {"path": str(log.path), "reason": "no"}
    assert log.unsaved == 2
    await log.append([user("three")])
    assert log.unsaved == 0
    assert said(log.path) == ["one", "two", "three"]


async def test_after_a_short_write_the_rest_of_the_bytes_goes_first(
    log: RolloutLog, files: FaultyFiles
) -> None:
    length = len(user("one").raw)
    files.next("write", length + 11, full_disk())
    with pytest.raises(RolloutWriteFailed):
        await log.append([user("one"), user("two")])
    assert log.unsaved == 1
    assert log.path.read_bytes().endswith(user("two").raw[:10])
    files.next("write", full_disk())
    with pytest.raises(RolloutWriteFailed):
        await log.append([user("three")])
    assert log.unsaved == 2
    await log.flush()
    assert (log.unsaved, said(log.path)) == (0, ["one", "two", "three"])


async def test_short_and_interrupted_writes_are_continued(
    log: RolloutLog, files: FaultyFiles
) -> None:
    files.next("write", 1, InterruptedError(), 2, InterruptedError())
    await log.append([user("one")])
    assert said(log.path) == ["one"]


async def test_a_device_that_takes_nothing_is_an_error(log: RolloutLog, files: FaultyFiles) -> None:
    files.next("write", 0)
    with pytest.raises(RolloutWriteFailed):
        await log.append([user("one")])
    await log.flush()
    assert said(log.path) == ["one"]


async def test_a_write_that_failed_after_all_bytes_were_in_is_not_repeated(
    log: RolloutLog, files: FaultyFiles
) -> None:
    record = user("one")

    def write_and_fail() -> None:
        with log.path.open("ab") as file:
            file.write(record.raw + b"\n")
        raise OSError(errno.EIO, "Input/output error")

    files.next("write", write_and_fail)
    with pytest.raises(RolloutWriteFailed):
        await log.append([record])
    await log.append([user("two")])
    assert said(log.path) == ["one", "two"]


async def test_a_record_that_another_program_cut_in_two_is_written_again_whole(
    log: RolloutLog, files: FaultyFiles
) -> None:
    files.next("write", 10, full_disk())
    with pytest.raises(RolloutWriteFailed):
        await log.append([user("one")])
    with log.path.open("ab") as file:
        file.write(b"something else")
    await log.flush()
    data = log.path.read_bytes().split(b"\n")
    assert data[1] == user("one").raw[:10] + b"something else"
    assert data[2].startswith(b'{"record_type":"damaged","line":2,"bytes":24,')
    assert data[3:] == [user("one").raw, b""]


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_lines_of_a_program_that_ignores_the_lock_are_not_glued_to(
    log: RolloutLog, end: bytes
) -> None:
    with log.path.open("ab") as file:
        file.write(user("theirs").raw + end)
    await log.append([user("ours")])
    assert said(log.path) == ["theirs", "ours"]


async def test_flush_writes_nothing_when_nothing_is_queued(
    log: RolloutLog, files: FaultyFiles
) -> None:
    await log.flush()
    await log.append([])
    assert files.calls == []


def delete(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))


def put_another_in_its_place(path: Path) -> None:
    move(path)
    path.write_bytes(path.with_suffix(".moved").read_bytes())


def cut_short(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("mishap", "reason"),
    [
        (delete, "deleted"),
        (move, "moved"),
        (put_another_in_its_place, "another file"),
        (cut_short, "cut the file short"),
    ],
)
async def test_nothing_is_written_where_nobody_finds_it(
    log: RolloutLog, files: FaultyFiles, mishap: Callable[[Path], None], reason: str
) -> None:
    await log.append([user("one")])
    files.calls.clear()
    mishap(log.path)
    with pytest.raises(RolloutWriteFailed, match=reason):
        await log.append([user("two")])
    assert "write" not in files.calls
    assert log.unsaved == 1


async def test_a_file_that_comes_back_is_written_on(log: RolloutLog) -> None:
    moved = log.path.with_suffix(".moved")
    log.path.rename(moved)
    with pytest.raises(RolloutWriteFailed):
        await log.append([user("one")])
    moved.rename(log.path)
    await log.append([user("two")])
    assert said(log.path) == ["one", "two"]


async def test_overlapping_appends_are_written_in_the_order_of_the_calls(
    log: RolloutLog, files: FaultyFiles
) -> None:
    gate = Gate()
    files.next("write", gate.pass_through)
    with opened(gate), fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(log.append, [user("0")])
            await anyio.to_thread.run_sync(gate.wait_entered)
            for number in range(1, 6):
                group.start_soon(log.append, [user(str(number))])
                await anyio.wait_all_tasks_blocked()
            gate.open()
    assert said(log.path) == ["0", "1", "2", "3", "4", "5"]


async def test_each_overlapping_append_learns_that_its_records_are_unsaved(
    log: RolloutLog, files: FaultyFiles
) -> None:
    gate = Gate()
    files.next("write", gate.pass_through, full_disk(), full_disk())
    outcomes: list[str] = []

    async def append(text: str) -> None:
        try:
            await log.append([user(text)])
            outcomes.append(f"{text} saved")
        except RolloutWriteFailed:
            outcomes.append(f"{text} unsaved of {log.unsaved}")

    with opened(gate), fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(append, "0")
            await anyio.to_thread.run_sync(gate.wait_entered)
            group.start_soon(append, "1")
            await anyio.wait_all_tasks_blocked()
            group.start_soon(append, "2")
            await anyio.wait_all_tasks_blocked()
            gate.open()
    assert outcomes == ["0 saved", "1 unsaved of 2", "2 unsaved of 2"]
    await log.append([user("3")])
    assert said(log.path) == ["0", "1", "2", "3"]


async def test_cancelling_an_append_leaves_its_records_written_whole(
    log: RolloutLog, files: FaultyFiles
) -> None:
    gate = Gate()
    files.next("write", gate.pass_through)
    after: list[str] = []

    async def append_two() -> None:
        await log.append([user("one")])
        after.append("the first returned")
        await anyio.lowlevel.checkpoint()
        after.append("not cancelled")

    with opened(gate), fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(append_two)
            await anyio.to_thread.run_sync(gate.wait_entered)
            group.cancel_scope.cancel()
            gate.open()
    assert after == ["the first returned"]
    assert said(log.path) == ["one"]
    assert log.unsaved == 0


async def test_an_append_cancelled_while_it_waits_is_written_in_its_turn(
    log: RolloutLog, files: FaultyFiles
) -> None:
    gate = Gate()
    files.next("write", gate.pass_through)
    with opened(gate), fail_after(5):
        async with anyio.create_task_group() as outer:
            outer.start_soon(log.append, [user("one")])
            await anyio.to_thread.run_sync(gate.wait_entered)
            async with anyio.create_task_group() as inner:
                inner.start_soon(log.append, [user("two")])
                await anyio.wait_all_tasks_blocked()
                inner.cancel_scope.cancel()
                gate.open()
    assert said(log.path) == ["one", "two"]


async def test_sync_asks_the_device_once_for_what_was_written(
    log: RolloutLog, files: FaultyFiles
) -> None:
    await log.append([user("one")])
    await log.sync()
    await log.sync()
    assert files.calls == ["write", "sync"]


@pytest.mark.parametrize(("fsync", "expected"), [("record", 2), ("turn", 1), ("never", 0)])
async def test_how_often_the_device_is_asked_is_configured(
    tmp_path: Path, fsync: str, expected: int
) -> None:
    files = FaultyFiles()
    store = RolloutStore(tmp_path, version="", files=files)
    log = await store.create(header(Path("/w")), [], fsync=fsync)
    assert ("sync_folder" in files.calls) == (fsync != "never")
    files.calls.clear()
    await log.append([user("one")])
    await log.append([user("two")])
    await log.sync()
    assert files.calls.count("sync") == expected
    await log.close()
    assert files.calls.count("sync") == expected


async def test_after_a_refused_sync_the_bytes_are_written_once_more(
    log: RolloutLog, files: FaultyFiles
) -> None:
    await log.append([user("zero")])
    await log.sync()
    await log.append([user("one")])
    await log.append([user("two")])
    before = log.path.read_bytes()
    files.next("sync", OSError(errno.EIO, "Input/output error"))
    with pytest.raises(RolloutWriteFailed):
        await log.sync()
    assert log.unsaved == 2
    # What a kernel does that dropped the pages: the bytes since the last good sync are gone.
    start = before.index(user("one").raw)
    log.path.write_bytes(before[:start] + bytes(len(before) - start))
    files.calls.clear()
    await log.flush()
    assert (files.calls, log.unsaved) == (["overwrite", "sync"], 0)
    assert log.path.read_bytes() == before
    await log.append([user("three")])
    assert said(log.path) == ["zero", "one", "two", "three"]


async def test_a_device_that_goes_on_refusing_is_not_believed(
    log: RolloutLog, files: FaultyFiles
) -> None:
    await log.append([user("one")])
    files.next("sync", OSError(errno.EIO, "no"))
    files.next("overwrite", OSError(errno.EIO, "no"), OSError(errno.EIO, "no"))
    for attempt in (log.sync, log.sync, log.flush):
        with pytest.raises(RolloutWriteFailed):
            await attempt()
    assert log.unsaved == 2  # The header was not confirmed either.
    await log.append([user("two")])
    assert (log.unsaved, said(log.path)) == (0, ["one", "two"])


async def test_with_fsync_record_an_append_that_is_not_durable_raises(tmp_path: Path) -> None:
    files = FaultyFiles()
    store = RolloutStore(tmp_path, version="", files=files)
    log = await store.create(header(Path("/w")), [], fsync="record")
    files.next("sync", OSError(errno.EIO, "no"))
    with pytest.raises(RolloutWriteFailed):
        await log.append([user("one")])
    assert log.unsaved == 1
    await log.append([user("two")])
    assert said(log.path) == ["one", "two"]
    await log.close()


async def test_close_with_unsaved_records_keeps_the_log_open(
    store: RolloutStore, log: RolloutLog, files: FaultyFiles
) -> None:
    files.next("write", full_disk(), full_disk())
    with pytest.raises(RolloutWriteFailed):
        await log.append([user("one")])
    with pytest.raises(RolloutWriteFailed):
        await log.close()
    with pytest.raises(RolloutInUse):
        await store.open(by_path(log.path), fsync="turn")
    await log.close()
    assert said(log.path) == ["one"]


async def test_close_with_discard_drops_what_cannot_be_written(
    store: RolloutStore, log: RolloutLog, files: FaultyFiles
) -> None:
    files.next("write", full_disk(), full_disk())
    with pytest.raises(RolloutWriteFailed):
        await log.append([user("one")])
    await log.close(discard=True)
    saved, again = await store.open(by_path(log.path), fsync="turn")
    assert saved.items == []
    await again.close()


async def test_close_syncs_and_can_be_repeated(log: RolloutLog, files: FaultyFiles) -> None:
    await log.append([user("one")])
    await log.close()
    await log.close()
    assert files.calls == ["write", "sync", "close"]
    for use in (lambda: log.append([user("two")]), log.flush, log.sync):
        with pytest.raises(RolloutWriteFailed, match="closed"):
            await use()
    assert said(log.path) == ["one"]


async def test_an_error_in_closing_is_said(log: RolloutLog, files: FaultyFiles) -> None:
    files.next("close", full_disk())
    with pytest.raises(RolloutWriteFailed):
        await log.close()
    await log.close()


async def test_a_repair_that_failed_is_tried_again_with_the_records(
    tmp_path: Path, store: RolloutStore, files: FaultyFiles
) -> None:
    path = write_session(tmp_path / "x.jsonl", b'{"type":"mess')
    saved, log = await store.open(by_path(path), fsync="turn")
    files.next("write", 5, full_disk(), full_disk())
    for text in ("one", "two"):
        with pytest.raises(RolloutWriteFailed):
            await log.append([user(text)])
    assert log.unsaved == 2
    await log.close()
    lines = path.read_bytes().split(b"\n")
    assert lines[1] == b'{"type":"mess'
    assert lines[2].startswith(b'{"record_type":"damaged","line":2,"bytes":13,')
    assert lines[3:] == [user("one").raw, user("two").raw, b""]
    assert texts(saved.items) == []


def large(text: str) -> Item:
    """An item whose output is stored beside the file."""
    value = {"type": "function_call_output", "call_id": "c", "output": text * 300_000}
    return Item.from_value(value)


def marked(path: Path) -> list[tuple[int, int]]:
    """Where the compactions are, and where they say that they are; every line has its end."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [
        (line_no, orjson.loads(line)["line"])
        for line_no, line in enumerate(lines, start=1)
        if line.startswith(b'{"record_type":"compacted"')
    ]


async def test_a_compaction_is_written_with_what_is_needed_to_go_on(
    log: RolloutLog, files: FaultyFiles
) -> None:
    await log.append([user("one"), user("two")])
    files.written.clear()
    await log.append([CompactedRecord("in short", 2), context(), StateRecord(None)])
    assert len(files.written) == 1
    assert files.written[0].startswith(
        b'{"record_type":"compacted","summary":"in short","replaces":2,"line":4}\n'
        b'{"record_type":"context",'
    )


async def test_a_compaction_says_its_line_also_behind_blobs(log: RolloutLog) -> None:
    compaction = [CompactedRecord("s", 1), context()]
    await log.append([large("a"), *compaction, large("b"), large("c")])
    await log.append([large("d"), *compaction])
    assert marked(log.path) == [(4, 4), (12, 12)]


async def test_a_session_can_begin_with_a_compaction(store: RolloutStore) -> None:
    first = [context(), large("a"), user("one"), CompactedRecord("s", 2), context()]
    log = await store.create(header(Path("/w")), first, fsync="turn")
    assert marked(log.path) == [(6, 6)]
    await log.close()


@pytest.mark.parametrize("tail", [b"", b'{"torn', user("whole").raw])
@pytest.mark.parametrize("failures", [[], [0], [0, 0], [1], [40], [1, 1], [150, 30]])
async def test_a_compaction_says_its_line_whatever_came_before(
    tmp_path: Path, store: RolloutStore, files: FaultyFiles, tail: bytes, failures: list[int]
) -> None:
    path = write_session(tmp_path / "x.jsonl", user("one").value(), tail)
    _, log = await store.open(by_path(path), fsync="turn")
    assert log is not None
    for taken in failures:
        files.next("write", *([taken] if taken else []), full_disk())
        with pytest.raises(RolloutWriteFailed):
            await log.append([user("queued"), CompactedRecord("s", 1), context()])
    await log.append([CompactedRecord("s", 1), context()])
    await log.close()
    said_and_real = marked(path)
    assert len(said_and_real) == len(failures) + 1
    assert all(real == told for real, told in said_and_real)


async def test_whoever_resumes_goes_on_from_the_compaction(
    store: RolloutStore, log: RolloutLog
) -> None:
    await log.append([user("one"), user("two")])
    await log.append([CompactedRecord("in short", 2), context(), TitleRecord("t")])
    await log.append([user("three")])
    await log.close()
    saved, again = await store.open(by_path(log.path), fsync="turn")
    assert again is not None
    assert texts(saved.items) == ["in short", "three"]
    assert (saved.items_before, saved.title) == (2, "t")
    assert saved.call_id_suffix
    await again.append([CompactedRecord("shorter", 3), context()])
    assert marked(log.path) == [(4, 4), (8, 8)]
    await again.close()

"""Every system call of the writer fails once, in every place; and the process dies in every one.

One scripted session has all that is written: a file is created, with its folders; steps, a
blob, a compaction; it is synced, closed, opened again with a torn tail, and written on.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
import orjson
import pytest
from support.fault_layers import Died, DyingFiles, FailingFiles, Fault
from support.rollout_files import context, header, turn, user

from codex_rpc.protocol.errors import RolloutCorrupt, RolloutWriteFailed
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import (
    CompactedRecord,
    Record,
    SessionQuery,
    SessionRef,
    StateRecord,
    TitleRecord,
)
from codex_rpc.rollout.files import FileLayer
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.rollout.writer import RolloutLog

T = TypeVar("T")

BIG = "x" * (300 << 10)
TORN = b'{"type":"message","ro'
FAULTS: Sequence[Fault] = (errno.ENOSPC, errno.EIO, errno.EINTR, "short write")
MOST_FAILURES = 10

ALL = [user(text) for text in ("one", "two", "three", BIG, "four", "five", "six")]
"""The session's items, in order."""
BEFORE_SYNC: Sequence[Sequence[Record]] = (
    (turn("started"), ALL[0]),
    (ALL[1], StateRecord("resp_1")),
    (ALL[2],),
    (ALL[3],),
    (turn("completed"),),
)
MARKER = CompactedRecord("what was", replaces=4)
BEFORE_CLOSE: Sequence[Sequence[Record]] = (
    (MARKER, context("/now"), StateRecord(None), TitleRecord("a title")),
    (ALL[4],),
)
WHEN_REOPENED: Sequence[Sequence[Record]] = ((ALL[5],), (ALL[6],))


class Script:
    """Plays the session; what fails is tried again, as the session loop does."""

    def __init__(self, home: Path, files: FileLayer) -> None:
        self._store = RolloutStore(home, version="1", files=files)
        self.said: list[Item] = []
        """What was acknowledged, in order."""
        self.failures = 0

    async def play(self) -> None:
        first = [context(), TitleRecord("untitled")]
        log = await self._again(lambda: self._store.create(_header(), first, fsync="turn"))
        for step in BEFORE_SYNC:
            await self._append(log, step)
        await self._again(log.sync)
        for step in BEFORE_CLOSE:
            await self._append(log, step)
        await self._again(log.close)
        with log.path.open("ab") as file:
            file.write(TORN)
        ref = SessionRef(session_id=_header().id)
        _, reopened = await self._again(lambda: self._store.open(ref, fsync="turn"))
        assert reopened is not None
        for step in WHEN_REOPENED:
            await self._append(reopened, step)
        await self._again(reopened.sync)
        await self._again(reopened.close)

    async def _append(self, log: RolloutLog, step: Sequence[Record]) -> None:
        try:
            await log.append(step)
        except RolloutWriteFailed:
            self._count()
            assert log.unsaved > 0
            await self._again(log.flush)
        assert log.unsaved == 0
        self.said += [record for record in step if isinstance(record, Item)]

    async def _again(self, work: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await work()
            except RolloutWriteFailed:
                self._count()

    def _count(self) -> None:
        self.failures += 1
        assert self.failures < MOST_FAILURES, "it does not come back"


def _header() -> Any:
    return header(Path("/w"))


def file_in(home: Path) -> Path:
    """The one session file."""
    (path,) = home.glob("sessions/*/*/*/*.jsonl")
    return path


def lines_in(home: Path) -> list[Any]:
    """What the file says, in one way wherever the big text is kept, the torn line as it is."""
    data = file_in(home).read_bytes()
    assert data.endswith(b"\n")
    said: list[Any] = []
    for number, line in enumerate(data[:-1].split(b"\n"), start=1):
        if line == TORN:
            said.append(line)
            continue
        value = orjson.loads(line)
        match value:
            case {"record_type": "blobs"}:
                continue
            case {"record_type": "compacted"}:
                assert value.pop("line") == number
            case {"record_type": "damaged"}:
                assert value.pop("line") == number - 1
            case {"type": "message"} if len(line) > 1000:
                value = "the big one"
        said.append(value)
    return said


async def items_in(home: Path) -> list[Item]:
    """All items, read from the first to the last."""
    store = RolloutStore(home, version="1")
    page = await store.read(
        SessionRef(path=str(file_in(home))), cursor=None, limit=100, direction="forward"
    )
    assert page.next_cursor is None
    return [Item.from_value(entry.item) for entry in page.items]


async def calls_of(home: Path) -> list[str]:
    """The system calls of the script when nothing fails."""
    files = FailingFiles(None, 0)
    await Script(home, files).play()
    return files.calls


def test_the_script_makes_every_call_of_a_writer(tmp_path: Path) -> None:
    calls = anyio.run(calls_of, tmp_path)
    assert set(calls) == {
        "make_folders",
        "create",
        "open_to_append",
        "lock",
        "write",
        "sync",
        "sync_folder",
        "close",
    }
    assert len(calls) > 25


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("fault", FAULTS)
def test_whichever_call_fails_all_is_written_once_and_in_order(
    tmp_path: Path, fault: Fault, times: int
) -> None:
    async def work() -> None:
        count = len(await calls_of(tmp_path / "whole"))
        expected = lines_in(tmp_path / "whole")
        for n in range(1, count + 1):
            home = tmp_path / str(n)
            files = FailingFiles(n, fault, times=times)
            script = Script(home, files)
            await script.play()
            where = f"{fault} at {n}: {files.failed}"
            assert script.said == ALL, where
            assert lines_in(home) == expected, where
            assert await items_in(home) == ALL, where

    anyio.run(work)


def test_wherever_the_process_dies_what_was_acknowledged_is_read_and_written_on(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        for n in range(1, len(await calls_of(tmp_path / "whole")) + 1):
            home = tmp_path / str(n)
            files = DyingFiles(n)
            script = Script(home, files)
            with pytest.raises(Died):
                await script.play()
            files.bury()
            await survives(home, script.said, f"died at {n}: {files.calls[-1]}")

    anyio.run(work)


async def survives(home: Path, said: list[Item], where: str) -> None:
    """What was said is in the file, which can be listed, resumed and written on."""
    store = RolloutStore(home, version="1")
    page = await store.list(SessionQuery(), live=set())
    if not page.sessions:
        assert said == [], where
        return
    try:
        saved, log = await store.open(SessionRef(path=str(file_in(home))), fsync="never")
    except RolloutCorrupt:
        # Half a header: nobody was told of a session.
        assert said == [], where
        return
    assert log is not None
    before = file_in(home).read_bytes()
    await log.append([user("new")])
    await log.close()
    after = file_in(home).read_bytes()
    assert after.startswith(before), where
    items = await items_in(home)
    assert items[: len(said)] == said, where
    assert items[-1] == user("new"), where
    # At most the step that was being written when it died is there, too.
    assert items[:-1] == ALL[: len(items) - 1], where
    reread = await store.load(SessionRef(path=str(file_in(home))))
    assert reread.items == [*saved.items, user("new")], where

"""What the session loop relies on, held against the real files and against their fakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import define
from support.fakes import FakeLog, FakeMessageHistory, FakeStore
from support.rollout_files import (
    SESSION_ID,
    FaultyFiles,
    context,
    full_disk,
    header,
    lines_of,
    turn,
    user,
)

from codex_rpc.core.ports import MessageHistory as MessageHistoryPort
from codex_rpc.core.ports import RolloutLog as RolloutLogPort
from codex_rpc.core.ports import RolloutStore as RolloutStorePort
from codex_rpc.protocol.errors import RolloutInUse, RolloutNotFound, RolloutWriteFailed
from codex_rpc.protocol.events import HistoryEntry
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.records import SessionRef, StateRecord
from codex_rpc.rollout.message_history import MessageHistory
from codex_rpc.rollout.store import RolloutStore

UNKNOWN = "11111111-2222-4333-8444-555555555555"


@define
class RealKit:
    """The real store, on a disk that can be told to be full."""

    store: RolloutStorePort
    files: FaultyFiles

    def fill_disk(self, _: RolloutLogPort) -> None:
        self.files.next("write", *[full_disk()] * 9)

    def make_room(self, _: RolloutLogPort) -> None:
        self.files.heal()

    def saved(self, log: RolloutLogPort) -> list[dict[str, Any]]:
        return [line for line in lines_of(log.path) if "type" in line]


@define
class FakeKit:
    """The store that core's tests use."""

    store: RolloutStorePort

    def fill_disk(self, log: Any) -> None:
        log.failing = True

    def make_room(self, log: Any) -> None:
        log.failing = False

    def saved(self, log: Any) -> list[dict[str, Any]]:
        assert isinstance(log, FakeLog)
        return log.items()


Kit = RealKit | FakeKit


@pytest.fixture(params=["real", "fake"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Kit:
    if request.param == "fake":
        store: Any = FakeStore()
        return FakeKit(store)
    files = FaultyFiles()
    return RealKit(RolloutStore(tmp_path / "home", version="1", files=files), files)


@pytest.fixture(params=["real", "fake"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> MessageHistoryPort:
    return MessageHistory(tmp_path) if request.param == "real" else FakeMessageHistory()


async def create(kit: Kit) -> RolloutLogPort:
    return await kit.store.create(header(Path("/w")), [context()], fsync="turn")


async def test_what_was_appended_is_saved_in_order(kit: Kit) -> None:
    log = await create(kit)
    await log.append([turn("started"), user("one")])
    await log.append([user("two"), StateRecord("resp_1")])
    await log.sync()
    assert kit.saved(log) == [user("one").value(), user("two").value()]
    assert log.unsaved == 0
    await log.close()


async def test_what_could_not_be_written_is_queued_in_order(kit: Kit) -> None:
    log = await create(kit)
    kit.fill_disk(log)
    for number, text in enumerate(("one", "two"), start=1):
        with pytest.raises(RolloutWriteFailed):
            await log.append([user(text)])
        assert log.unsaved == number
    with pytest.raises(RolloutWriteFailed):
        await log.flush()
    kit.make_room(log)
    await log.append([user("three")])
    assert log.unsaved == 0
    assert kit.saved(log) == [user(text).value() for text in ("one", "two", "three")]
    await log.close()


async def test_a_log_with_unsaved_records_closes_only_if_they_are_discarded(kit: Kit) -> None:
    log = await create(kit)
    kit.fill_disk(log)
    with pytest.raises(RolloutWriteFailed):
        await log.append([user("one")])
    with pytest.raises(RolloutWriteFailed):
        await log.close()
    await log.close(discard=True)
    await log.close()
    assert kit.saved(log) == []


async def test_a_session_that_is_not_there_is_not_found(kit: Kit) -> None:
    for ref in (
        SessionRef(session_id=UNKNOWN),
        SessionRef(path="/not/there"),
        SessionRef(last=True),
    ):
        with pytest.raises(RolloutNotFound):
            await kit.store.open(ref, fsync="turn")


async def test_the_last_session_is_in_use_while_it_is_open_here(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path, version="1")
    log = await store.create(header(Path("/w")), [user("one")], fsync="turn")
    fake = FakeStore()
    fake.keep(SESSION_ID, [user("one")])
    await fake.open(SessionRef(session_id=SESSION_ID), fsync="turn")
    for held in (store, fake):
        with pytest.raises(RolloutInUse) as caught:
            await held.open(SessionRef(last=True), fsync="turn")
        assert caught.value.data["sessionId"] == SESSION_ID
    await log.close()


async def test_message_history_gives_back_what_was_typed(history: MessageHistoryPort) -> None:
    assert await history.stat() == (0, 0)
    await history.append(SessionId(SESSION_ID), "one")
    await history.append(SessionId(SESSION_ID), "two")
    log_id, count = await history.stat()
    assert log_id != 0
    assert count == 2
    entry = await history.entry(1, log_id)
    assert entry == HistoryEntry(SESSION_ID, entry.ts if entry else 0, "two")
    for offset, other_id in ((2, log_id), (-1, log_id), (0, log_id + 1)):
        assert await history.entry(offset, other_id) is None

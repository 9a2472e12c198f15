"""What the session loop relies on, held against the real files and against their fakes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from anyio import create_task_group, fail_after, wait_all_tasks_blocked
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
    write_session,
)

from codex_rpc.core.ports import MessageHistory as MessageHistoryPort
from codex_rpc.core.ports import RolloutLog as RolloutLogPort
from codex_rpc.core.ports import RolloutStore as RolloutStorePort
from codex_rpc.protocol.errors import RolloutInUse, RolloutNotFound, RolloutWriteFailed
from codex_rpc.protocol.events import HistoryEntry
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import Origin, SessionRef, StateRecord
from codex_rpc.rollout.message_history import MessageHistory
from codex_rpc.rollout.store import RolloutStore

UNKNOWN = "11111111-2222-4333-8444-555555555555"


@define
class RealKit:
    """The real store, on a disk that can be told to be full."""

    store: RolloutStorePort
    files: FaultyFiles
    home: Path

    def keep(self, *items: Item) -> SessionRef:
        write_session(self.home / f"sessions/x-{SESSION_ID}.jsonl", *[i.value() for i in items])
        return SessionRef(session_id=SESSION_ID)

    def keep_foreign(self, *items: Item) -> SessionRef:
        meta = {"id": SESSION_ID, "timestamp": "2026-11-22T16:45:23.836Z", "cwd": "/w"}
        lines = [{"type": "response_item", "payload": item.value()} for item in items]
        path = self.home / f"sessions/x-{SESSION_ID}.jsonl"
        write_session(path, *lines, type="session_meta", payload=meta)
        return SessionRef(session_id=SESSION_ID)

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

    def keep(self, *items: Item) -> SessionRef:
        assert isinstance(self.store, FakeStore)
        self.store.keep(SESSION_ID, list(items))
        return SessionRef(session_id=SESSION_ID)

    def keep_foreign(self, *items: Item) -> SessionRef:
        assert isinstance(self.store, FakeStore)
        origin = Origin(id=SESSION_ID, path="/x.jsonl", size=1)
        self.store.keep(SESSION_ID, list(items), foreign=origin)
        return SessionRef(session_id=SESSION_ID)

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
    home = tmp_path / "home"
    return RealKit(RolloutStore(home, version="1", files=files), files, home)


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


async def test_an_opened_session_has_its_items_and_a_log_to_go_on_with(kit: Kit) -> None:
    ref = kit.keep(user("one"), user("two"))
    saved, log = await kit.store.open(ref, fsync="turn")
    assert saved.session_id == SESSION_ID
    assert saved.items == [user("one"), user("two")]
    assert (saved.items_before, saved.foreign) == (0, None)
    assert log is not None
    await log.append([user("three")])
    assert kit.saved(log)[-1] == user("three").value()
    await log.close()


async def test_another_programs_session_has_an_origin_and_no_log(kit: Kit) -> None:
    saved, log = await kit.store.open(kit.keep_foreign(user("one")), fsync="turn")
    assert log is None
    assert saved.items == [user("one")]
    assert saved.foreign is not None
    assert saved.foreign.id == SESSION_ID
    assert saved.foreign.size


async def test_a_loaded_session_ends_with_the_item_that_is_wanted(kit: Kit) -> None:
    ref = kit.keep(*map(user, "abcd"))
    _, log = await kit.store.open(ref, fsync="turn")
    assert (await kit.store.load(ref)).items == [user(text) for text in "abcd"]
    assert (await kit.store.load(ref, up_to=1)).items == [user("a"), user("b")]
    assert log is not None
    await log.close()
    with pytest.raises(RolloutNotFound):
        await kit.store.load(SessionRef(session_id=UNKNOWN))


async def test_a_session_can_be_renamed_and_put_away_and_back(kit: Kit) -> None:
    kit.keep(user("one"))
    await kit.store.rename(SESSION_ID, "a title")
    for _ in range(2):
        await kit.store.archive(SESSION_ID)
    for _ in range(2):
        await kit.store.unarchive(SESSION_ID)
    await kit.store.delete(SESSION_ID)


async def test_a_session_is_exported_as_text_or_to_a_file(kit: Kit, tmp_path: Path) -> None:
    kit.keep(user("one"))
    text = await kit.store.export(SESSION_ID, "markdown", path=None, unsaved=[user("two")])
    assert text
    path = tmp_path / "x.md"
    assert await kit.store.export(SESSION_ID, "markdown", path=path, unsaved=()) is None


async def test_nobody_wants_a_session_by_itself(kit: Kit) -> None:
    log = await create(kit)
    ended: list[str] = []

    async def wait(name: str, event: Callable[[], Awaitable[object]]) -> None:
        await event()
        ended.append(name)

    with fail_after(5):
        async with create_task_group() as group:
            group.start_soon(wait, "serve", kit.store.serve)
            group.start_soon(wait, "wanted", log.wanted)
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert ended == []
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

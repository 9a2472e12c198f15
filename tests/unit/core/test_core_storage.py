"""What a session does when its file cannot be written."""

from __future__ import annotations

import anyio
import pytest
from support.driving import messages, next_of, says, types, until_closing
from support.fakes import World, call, calling, saying

from codex_rpc.core import recorder as recorder_module
from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.errors import RolloutWriteFailed
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.tools import ToolHost, ToolOutcome


async def test_no_command_starts_while_storage_fails_and_all_is_written_when_it_is_back(
    world: World, session: Session
) -> None:
    log = world.store.logs[session.id]
    started: list[str] = []

    async def handler(item: Item, host: ToolHost) -> ToolOutcome:
        started.append(item.call_id or "")
        return ToolOutcome("done")

    async def fail() -> None:
        log.failing = True

    world.tools.handler = handler
    response = calling(call("c1"))
    world.model.responses = [[fail, *response], saying("end")]
    await session.submit(says("go"))
    seen: list[ev.Event] = []
    failed = await next_of(session, ev.StorageFailed, seen)
    assert failed.code == 1006
    assert failed.unsaved == 1
    assert started == []
    log.failing = False
    seen += await until_closing(session)
    assert "storage_recovered" in types(seen)
    assert seen[-1].msg == ev.TaskComplete("end")
    assert started == ["c1"]
    assert [i["type"] for i in log.items()] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]


async def test_events_between_failure_and_recovery_are_marked_unsaved(
    world: World, session: Session
) -> None:
    log = world.store.logs[session.id]
    log.failing = True
    await session.submit(says("go"))
    await next_of(session, ev.StorageFailed)
    seen: list[ev.Event] = []
    await next_of(session, ev.TaskStarted, seen)
    assert all(event.unsaved for event in seen)
    log.failing = False
    seen = await until_closing(session)
    after = types(seen).index("storage_recovered") + 1
    assert not any(event.unsaved for event in seen[after:])
    assert messages(seen, ev.StorageRecovered)[0].saved >= 1


async def test_a_turn_ends_with_1006_when_storage_does_not_come_back(
    world: World, session: Session
) -> None:
    session.env.recorder.patience_s = 0.05
    log = world.store.logs[session.id]
    log.failing = True
    await session.submit(says("go"), "1")
    closing = (await until_closing(session))[-1]
    assert isinstance(closing.msg, ev.Error)
    assert (closing.id, closing.msg.code) == ("1", 1006)
    assert closing.unsaved
    assert world.model.prompts == []
    # Nothing is lost: what was queued is written, in order, as soon as that is possible.
    log.failing = False
    await next_of(session, ev.StorageRecovered)
    await session.submit(says("again"))
    await until_closing(session)
    texts = [i["content"][0]["text"] for i in log.items()]
    assert texts == ["go", "again", "ok"]


async def test_an_interrupt_ends_the_wait_for_storage(world: World, session: Session) -> None:
    world.store.logs[session.id].failing = True
    await session.submit(says("go"))
    await next_of(session, ev.TaskStarted)
    await session.submit(ops.Interrupt())
    assert (await until_closing(session))[-1].msg == ev.TurnAborted("interrupted")
    world.store.logs[session.id].failing = False


async def test_closing_with_unsaved_records_is_refused_unless_discarded(
    world: World, manager: SessionManager, session: Session
) -> None:
    log = world.store.logs[session.id]
    log.failing = True
    await session.submit(says("go"), "1")
    await next_of(session, ev.TaskStarted)
    with pytest.raises(RolloutWriteFailed):
        await manager.close(session.id)
    assert log.open
    log.failing = False
    await session.submit(says("still here"), "2")
    events = await until_closing(session)
    while events[-1].id != "2":
        events = await until_closing(session)
    assert events[-1].msg == ev.TaskComplete("ok")
    log.failing = True
    await session.submit(says("lost"), "3")
    await next_of(session, ev.TaskStarted)
    await manager.close(session.id, discard=True)
    await next_of(session, ev.ShutdownComplete)
    assert not log.open


async def test_close_all_says_how_many_records_are_unsaved(
    world: World, manager: SessionManager, session: Session
) -> None:
    world.store.logs[session.id].failing = True
    await session.submit(says("go"), "1")
    await next_of(session, ev.TaskStarted)
    with anyio.fail_after(5):
        unsaved = await manager.close_all()
    assert unsaved >= 2


async def test_an_interrupt_in_the_middle_of_a_write_leaves_history_and_file_alike(
    world: World, session: Session
) -> None:
    log = world.store.logs[session.id]
    writing, go_on = anyio.Event(), anyio.Event()

    async def slow_disk() -> None:
        writing.set()
        await go_on.wait()

    async def arm() -> None:
        log.before_append = slow_disk

    world.model.responses = [[arm, *calling(call("c1"))], saying("next")]
    await session.submit(says("go"))
    with anyio.fail_after(5):
        await writing.wait()
    await session.submit(ops.Interrupt())
    await anyio.wait_all_tasks_blocked()
    log.before_append = None
    go_on.set()
    assert (await until_closing(session))[-1].msg == ev.TurnAborted("interrupted")
    await session.submit(says("again"))
    await until_closing(session)
    assert [i["type"] for i in world.model.sent()] == [i["type"] for i in log.items()[:-1]]
    assert [i["type"] for i in log.items()][:3] == [
        "message",
        "function_call",
        "function_call_output",
    ]


def test_the_patience_is_what_the_protocol_says() -> None:
    assert recorder_module.PATIENCE_S == 30.0

"""What is done with saved sessions, and sessions that go on in another file or another process."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from attrs import evolve
from support.driving import as_text, messages, next_of, says, until_closing
from support.fakes import World, call, calling, message

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol.errors import (
    InvalidParams,
    InvalidState,
    RolloutInUse,
    RolloutWriteFailed,
    SessionClosed,
)
from codex_rpc.protocol.items import Item, text_message
from codex_rpc.protocol.params import (
    ExportParams,
    ForkParams,
    ForkResult,
    RenameParams,
    ResumeParams,
    ResumeResult,
    SessionIdParams,
)
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.records import Origin, SavedContext, TitleRecord
from codex_rpc.protocol.tools import ToolHost, ToolOutcome

ORIGIN = Origin(id="theirs", path="/sessions/theirs.jsonl", size=1234)


async def test_another_programs_session_goes_on_in_a_new_file_that_names_it(
    world: World, manager: SessionManager
) -> None:
    items = [text_message("first"), message("one"), call("open")]
    world.store.keep("theirs", items, foreign=ORIGIN, title="Theirs", interrupted=True)
    opened = await manager.resume(ResumeParams(session_id="theirs"))
    result = opened.result
    assert isinstance(result, ResumeResult)
    assert (result.resumed, result.forked_from) == (True, "theirs")
    assert result.session_id == "session-0"
    assert world.store.headers["session-0"].forked_from == ORIGIN
    assert "theirs" not in world.store.logs
    await opened.session.submit(says("second"))
    await until_closing(opened.session)
    kept = world.store.logs["session-0"].items()
    assert [i["type"] for i in kept][:4] == [
        "message",
        "message",
        "function_call",
        "function_call_output",
    ]
    assert TitleRecord("Theirs") in world.store.logs["session-0"].records
    # Ours now: what the model is sent is what the new file holds.
    assert [i["type"] for i in world.model.sent()] == [i["type"] for i in kept][:5]


async def test_a_fork_has_the_items_up_to_one_of_them(
    world: World, manager: SessionManager
) -> None:
    world.store.keep("s1", [text_message("first"), message("one"), text_message("second")])
    opened = await manager.fork(ForkParams(session_id="s1", up_to=1))
    assert isinstance(opened.result, ForkResult)
    assert (opened.result.resumed, opened.result.forked_from) == (False, "s1")
    assert opened.result.item_count == 2
    origin = world.store.headers[opened.session.id].forked_from
    assert origin == Origin(id="s1", path="/sessions/s1.jsonl", item=1)
    await opened.session.submit(says("other"))
    await until_closing(opened.session)
    assert [as_text(i) for i in world.model.sent()] == ["first", "one", "other"]


async def test_a_fork_takes_no_looser_policy_from_the_file(
    world: World, manager: SessionManager
) -> None:
    context = SavedContext(cwd="/", approval_policy="never")
    world.store.keep("s1", [text_message("x")], context=context)
    opened = await manager.fork(ForkParams(session_id="s1"))
    assert opened.result.approval_policy == "on-request"


async def test_a_session_whose_folder_is_gone_goes_on_elsewhere_with_a_warning(
    world: World, manager: SessionManager
) -> None:
    world.store.keep("s1", [text_message("x")], context=SavedContext(cwd="/no/such/folder"))
    opened = await manager.resume(ResumeParams(session_id="s1", cwd="/"))
    assert isinstance(opened.result, ResumeResult)
    (warning,) = opened.result.warnings
    assert "/no/such/folder, which does not exist any more" in warning


async def test_takeover_is_asked_of_the_store_only_when_it_is_wanted(
    world: World, manager: SessionManager
) -> None:
    world.store.keep("s1", [text_message("x")])
    world.store.refuse = RolloutInUse("s1", "another process holds it")
    with pytest.raises(RolloutInUse):
        await manager.resume(ResumeParams(session_id="s1"))
    opened = await manager.resume(ResumeParams(session_id="s1", takeover=True))
    assert world.store.done == [("take over", "s1")]
    assert opened.session.id == "s1"


async def test_who_is_asked_to_let_go_aborts_its_turn_saves_and_says_so(
    world: World, session: Session
) -> None:
    running = anyio.Event()

    async def block(item: Item, host: ToolHost) -> ToolOutcome:
        running.set()
        await anyio.sleep_forever()
        raise AssertionError

    world.tools.handler = block
    world.model.responses = [calling(call("c"))]
    await session.submit(says("go"))
    with anyio.fail_after(5):
        await running.wait()
    by = ev.TakenOverBy(pid=7, host="other")
    world.store.logs[session.id].want(by)
    seen: list[ev.Event] = []
    await next_of(session, ev.ShutdownComplete, seen)
    assert messages(seen, ev.TurnAborted) == [ev.TurnAborted("taken_over")]
    assert seen[-2].msg == ev.SessionTakenOver(by)
    assert not world.store.logs[session.id].open
    with pytest.raises(SessionClosed):
        await session.submit(says("late"))


async def test_a_session_with_unsaved_records_does_not_let_go(
    world: World, session: Session
) -> None:
    log = world.store.logs[session.id]
    log.failing = True
    await session.submit(says("hello"))
    await next_of(session, ev.StorageFailed)
    log.want(ev.TakenOverBy(pid=7, host="other"))
    await next_of(session, ev.TurnAborted)
    await anyio.wait_all_tasks_blocked()
    assert log.open
    log.failing = False
    await next_of(session, ev.StorageRecovered)
    log.want(ev.TakenOverBy(pid=7, host="other"))
    await next_of(session, ev.SessionTakenOver)


async def test_a_live_session_records_its_new_title(
    world: World, manager: SessionManager, session: Session
) -> None:
    await manager.saved_sessions.rename(RenameParams(session_id=session.id, title="  My\n work "))
    assert world.store.logs[session.id].records[-1] == TitleRecord("My work")
    assert world.store.done == []


async def test_a_title_that_cannot_be_saved_is_an_error(
    world: World, manager: SessionManager, session: Session
) -> None:
    session.env.recorder.patience_s = 0
    world.store.logs[session.id].failing = True
    with pytest.raises(RolloutWriteFailed):
        await manager.saved_sessions.rename(RenameParams(session_id=session.id, title="x"))


@pytest.mark.parametrize("title", ["", " \n ", "x" * 201])
async def test_a_title_says_something(manager: SessionManager, title: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        await manager.saved_sessions.rename(RenameParams(session_id="s1", title=title))
    assert caught.value.path == "title"


async def test_a_live_session_is_neither_archived_nor_deleted(
    world: World, manager: SessionManager, session: Session
) -> None:
    for act in (manager.saved_sessions.archive, manager.saved_sessions.delete):
        with pytest.raises(InvalidState, match="close it first"):
            await act(SessionIdParams(session_id=session.id))
    assert world.store.done == []


async def test_what_is_not_live_is_the_stores_affair(world: World, manager: SessionManager) -> None:
    saved, params = manager.saved_sessions, SessionIdParams(session_id="s1")
    await saved.archive(params)
    await saved.unarchive(params)
    await saved.delete(params)
    await saved.rename(RenameParams(session_id="s1", title="t"))
    assert world.store.done == [
        ("archive", "s1"),
        ("unarchive", "s1"),
        ("delete", "s1"),
        ("rename", "s1", "t"),
    ]


async def test_an_export_holds_what_could_not_be_saved(
    world: World, manager: SessionManager, session: Session
) -> None:
    await session.submit(says("saved"))
    await until_closing(session)
    world.store.logs[session.id].failing = True
    await session.submit(says("unsaved"))
    await next_of(session, ev.StorageFailed)
    result = await manager.saved_sessions.export(
        ExportParams(session_id=session.id, format="markdown")
    )
    assert result.text == "text"
    (done,) = world.store.done
    assert done[:4] == ("export", session.id, "markdown", None)
    assert [as_text(i) for i in done[4]] == ["unsaved"]


async def test_an_export_goes_to_an_absolute_path(world: World, manager: SessionManager) -> None:
    with pytest.raises(InvalidParams):
        await manager.saved_sessions.export(
            ExportParams(session_id="s1", format="json", path="a.json")
        )
    params = ExportParams(session_id="s1", format="json", path="/tmp/a.json")
    assert (await manager.saved_sessions.export(params)).path == "/tmp/a.json"
    assert world.store.done == [("export", "s1", "json", Path("/tmp/a.json"), [])]


@pytest.mark.parametrize(
    ("folder", "mode"), [("/home/.codex", "workspace-write"), ("/ws", "read-only")]
)
async def test_a_file_from_elsewhere_does_not_choose_what_may_be_written(
    world: World, manager: SessionManager, folder: str, mode: str
) -> None:
    world.config = evolve(world.config, sandbox_policy=SandboxPolicy("workspace-write"))
    context = SavedContext(cwd="/", sandbox_policy=SandboxPolicy("workspace-write"))
    world.store.keep("s1", [text_message("x")], context=context)
    saved = world.store.saved["s1"]
    world.store.saved["s1"] = evolve(saved, path=Path(f"{folder}/s1.jsonl"))
    opened = await manager.resume(ResumeParams(session_id="s1"))
    assert isinstance(opened.result, ResumeResult)
    assert opened.result.sandbox_policy.mode == mode
    assert len(opened.result.warnings) == (mode == "read-only")

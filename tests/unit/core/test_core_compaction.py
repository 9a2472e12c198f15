"""Compaction: asked for, automatic, failing, interrupted, and what a resume has of it."""

from __future__ import annotations

import anyio
import pytest
from attrs import evolve
from support.driving import as_text, messages, says, types, until_closing
from support.fakes import Step, World, call, calling, message, saying

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.prompts import compaction_instructions
from codex_rpc.core.session import Session
from codex_rpc.core.turn import GO_ON
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.errors import ContextFull, ModelRejected, StreamInterrupted
from codex_rpc.protocol.items import Item, summary_message, text_message
from codex_rpc.protocol.model import ItemDone, ResponseCompleted, Usage
from codex_rpc.protocol.params import ConfigureParams, RenameParams, ResumeParams
from codex_rpc.protocol.records import (
    CompactedRecord,
    ContextRecord,
    StateRecord,
    TitleRecord,
    TurnRecord,
)
from codex_rpc.protocol.tools import ToolHost, ToolOutcome


def using(tokens: int, *items: Item) -> list[Step]:
    """A response that the server counted."""
    return [*map(ItemDone, items), ResponseCompleted("r", Usage(tokens, 0, tokens))]


async def converse(session: Session, *texts: str) -> list[ev.Event]:
    seen: list[ev.Event] = []
    for text in texts:
        await session.submit(says(text))
        seen = await until_closing(session)
    return seen


async def test_the_summary_takes_the_place_of_the_conversation(
    world: World, session: Session
) -> None:
    world.model.responses = [saying("one"), saying("two"), saying("THE SUMMARY"), saying("three")]
    await converse(session, "first", "second")
    await session.submit(ops.Compact(), "c")
    seen = await until_closing(session)
    assert types(seen) == ["task_started", "token_count", "context_compacted", "task_complete"]
    assert messages(seen, ev.ContextCompacted) == [ev.ContextCompacted("THE SUMMARY")]
    asked = world.model.prompts[2]
    assert asked.instructions == compaction_instructions()
    assert list(asked.tools) == []
    assert [as_text(i) for i in world.model.sent()][:4] == ["first", "one", "second", "two"]
    await converse(session, "third")
    assert [as_text(i) for i in world.model.sent()] == ["THE SUMMARY", "third"]


async def test_the_marker_is_recorded_in_one_step_with_what_is_needed_to_go_on(
    world: World, manager: SessionManager, session: Session
) -> None:
    await converse(session, "first", "second")
    await manager.saved_sessions.rename(RenameParams(session_id=session.id, title="  A  title "))
    steps: list[int] = []
    log = world.store.logs[session.id]

    async def note() -> None:
        steps.append(len(log.queue))

    log.before_append = note
    await session.submit(ops.Compact())
    await until_closing(session)
    records = log.records
    at = next(i for i, r in enumerate(records) if isinstance(r, CompactedRecord))
    kinds = [CompactedRecord, ContextRecord, StateRecord, TitleRecord]
    assert [type(r) for r in records[at : at + 4]] == kinds
    assert records[at] == CompactedRecord("ok", replaces=4)
    assert records[at + 3] == TitleRecord("A title")
    assert 4 in steps
    assert isinstance(records[-1], TurnRecord)


async def test_there_is_nothing_to_compact_in_a_new_session(world: World, session: Session) -> None:
    await session.submit(ops.Compact())
    seen = await until_closing(session)
    assert types(seen) == ["task_started", "background_event", "task_complete"]
    assert world.model.prompts == []


async def test_a_conversation_near_the_limit_is_compacted_before_the_next_request(
    world: World, manager: SessionManager
) -> None:
    world.config = evolve(world.config, auto_compact_token_limit=500)
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    world.model.responses = [
        using(501, message("long")),
        saying("SUMMARY"),
        saying("answer"),
    ]
    await converse(session, "first")
    seen = await converse(session, "second")
    assert "context_compacted" in types(seen)
    (told,) = messages(seen, ev.ContextCompacted)
    assert told.summary.startswith("SUMMARY")
    # The request that is being worked on is not left to the summary's mercy.
    assert told.summary.endswith("second")
    assert [as_text(i) for i in world.model.sent()] == [told.summary, GO_ON]


async def test_a_turn_with_many_calls_is_compacted_between_its_requests(
    world: World, manager: SessionManager
) -> None:
    async def long_output(item: Item, host: ToolHost) -> ToolOutcome:
        return ToolOutcome("x" * 4000)

    world.tools.handler = long_output
    world.config = evolve(world.config, auto_compact_token_limit=1000)
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    # The server counts what it has seen; the output is guessed on top.
    world.model.responses = [using(100, call("c1")), saying("SUMMARY"), saying("done")]
    seen = await converse(session, "go")
    assert [t for t in types(seen) if t in ("context_compacted", "agent_message")] == [
        "context_compacted",
        "agent_message",
    ]
    assert len(world.model.prompts) == 3


async def test_without_a_limit_nine_tenths_of_the_window_count(
    world: World, session: Session
) -> None:
    world.model.responses = [using(800, message("a")), using(901, message("b")), saying("SUMMARY")]
    await converse(session, "first", "second")
    assert len(world.model.prompts) == 2
    seen = await converse(session, "third")
    assert "context_compacted" in types(seen)


async def test_zero_switches_automatic_compaction_off(
    world: World, manager: SessionManager
) -> None:
    world.config = evolve(world.config, auto_compact_token_limit=0)
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    world.model.responses = [using(10**9, message("a"))]
    await converse(session, "first", "second")
    assert len(world.model.prompts) == 2


async def test_a_conversation_too_long_for_its_own_summary_loses_its_older_half(
    world: World, session: Session
) -> None:
    await converse(session, "first", "second")
    world.model.responses = [[ContextFull("too long")], saying("SUMMARY")]
    await session.submit(ops.Compact())
    await until_closing(session)
    assert [as_text(i) for i in world.model.sent()][:2] == ["second", "ok"]


async def test_a_failed_compaction_leaves_the_conversation_as_it_was(
    world: World, session: Session
) -> None:
    await converse(session, "first")
    world.model.responses = [[ModelRejected("no such model", status=404)]]
    await session.submit(ops.Compact(), "c")
    seen = await until_closing(session)
    assert messages(seen, ev.Error) == [ev.Error("no such model")]
    await converse(session, "second")
    assert [as_text(i) for i in world.model.sent()] == ["first", "ok", "second"]


async def test_an_interrupted_stream_is_tried_again(world: World, session: Session) -> None:
    await converse(session, "first")
    again = StreamInterrupted("cut", retry_after_s=0)
    world.model.responses = [[again], [ResponseCompleted("r", None)], saying("SUMMARY")]
    world.model.max_retries = 3
    await session.submit(ops.Compact())
    with anyio.fail_after(5):
        seen = await until_closing(session)
    assert types(seen).count("stream_error") == 2
    assert messages(seen, ev.ContextCompacted) == [ev.ContextCompacted("SUMMARY")]


async def test_compaction_can_be_interrupted(world: World, session: Session) -> None:
    await converse(session, "first")
    reached = anyio.Event()

    async def hang() -> None:
        reached.set()
        await anyio.sleep_forever()

    world.model.responses = [[hang]]
    await session.submit(ops.Compact())
    with anyio.fail_after(5):
        await reached.wait()
    await session.submit(ops.Interrupt())
    seen = await until_closing(session)
    assert messages(seen, ev.TurnAborted) == [ev.TurnAborted("interrupted")]
    assert len(session.env.history.items) == 2


@pytest.mark.parametrize("id_", ["c9", "c9-line7"])
async def test_a_session_resumed_behind_a_marker_goes_on_from_the_summary(
    world: World, manager: SessionManager, id_: str
) -> None:
    items = [summary_message("SUMMARY"), text_message("after")]
    world.store.keep("s1", items, items_before=40, call_id_suffix="-line7")
    opened = await manager.resume(ResumeParams(session_id="s1"))
    assert opened.result.item_count == 41
    world.model.responses = [calling(call(id_)), saying("done")]
    await converse(opened.session, "go")
    # An id that may stand in the part of the file that was not read is not used again.
    assert [c.call_id for c in world.tools.calls] == [f"{id_}-line7"]
    assert len(opened.session.env.history) == 45

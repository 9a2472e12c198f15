"""Answers and conversations that are longer than a model takes: one summary, one more attempt."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from support.driving import as_text, messages, says, types, until_closing
from support.fakes import FakeClock, Step, World, call, calling, message, saying

from codex_rpc.core.compaction import REQUEST, too_long
from codex_rpc.core.manager import SessionManager
from codex_rpc.core.prompts import compaction_instructions
from codex_rpc.core.services import Services
from codex_rpc.core.session import Session
from codex_rpc.core.turn import GO_ON
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.errors import ContextFull, StreamInterrupted
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import ItemDone, ResponseCompleted, TextDelta, Usage
from codex_rpc.protocol.params import ConfigureParams, ResumeParams
from codex_rpc.protocol.records import CompactedRecord, TurnRecord
from codex_rpc.protocol.tools import ToolHost, ToolOutcome
from codex_rpc.rollout.store import RolloutStore

FULL = ContextFull("the conversation is too long for model-1")

CLOSINGS = ("task_complete", "turn_aborted", "error")


async def converse(session: Session, *texts: str) -> list[ev.Event]:
    seen: list[ev.Event] = []
    for text in texts:
        await session.submit(says(text))
        seen = await until_closing(session)
    return seen


def closings(events: list[ev.Event]) -> list[str]:
    return [kind for kind in types(events) if kind in CLOSINGS]


def conversation(world: World, index: int = -1) -> list[str]:
    """What a prompt says, calls and outputs by their kind."""
    return [
        as_text(value) if value["type"] == "message" else value["type"]
        for value in world.model.sent(index)
    ]


async def test_a_full_context_is_summarised_once_and_asked_again(
    world: World, session: Session
) -> None:
    await converse(session, "first")
    world.model.responses = [[FULL], saying("SUMMARY"), saying("done")]
    seen = await converse(session, "second")
    assert [t for t in types(seen) if not t.endswith("_delta")] == [
        "user_message",
        "task_started",
        "background_event",
        "token_count",
        "context_compacted",
        "agent_message",
        "token_count",
        "task_complete",
    ]
    (told,) = messages(seen, ev.BackgroundEvent)
    assert told.message.startswith(FULL.message)
    assert len(world.model.prompts) == 4
    asked = world.model.prompts[2]
    assert asked.instructions == compaction_instructions()
    assert conversation(world, 2) == ["first", "ok", "second", REQUEST]
    (compacted,) = messages(seen, ev.ContextCompacted)
    assert conversation(world) == [compacted.summary, GO_ON]
    assert compacted.summary.startswith("SUMMARY")
    # The request itself is not left to the summary's mercy.
    assert compacted.summary.endswith("second")


async def test_the_summary_of_a_full_context_is_recorded_before_the_next_attempt(
    world: World, session: Session
) -> None:
    log = world.store.logs[session.id]
    recorded: list[bool] = []

    async def look() -> None:
        recorded.append(any(isinstance(r, CompactedRecord) for r in log.records))

    await converse(session, "first")
    world.model.responses = [[look, FULL], saying("SUMMARY"), [look, *saying("done")]]
    await converse(session, "second")
    assert recorded == [False, True]
    (record,) = [r for r in log.records if isinstance(r, CompactedRecord)]
    assert record.replaces == 3
    (usage,) = [r.usage for r in log.records[-1:] if isinstance(r, TurnRecord)]
    # The summary cost as much as the answer.
    assert usage is not None
    assert usage["total_tokens"] == 30


async def test_a_resumed_session_goes_on_from_that_summary(world: World, tmp_path: Path) -> None:
    services = Services(
        store=RolloutStore(tmp_path, version="0"),
        configure=world.configure,
        backends=SimpleNamespace(
            model=lambda _: world.model,
            tools=lambda *_: world.tools,
            message_history=lambda _: world.history,
            notifier=lambda _: world.notifier,
        ),
        clock=FakeClock(),
        new_session_id=lambda: SessionId("11111111-2222-4333-8444-555555555555"),
        version="0",
        providers=lambda: ["fake"],
    )
    async with SessionManager(services) as manager:
        session = (await manager.configure(ConfigureParams(cwd=str(tmp_path)))).session
        await converse(session, "first")
        world.model.responses = [[FULL], saying("SUMMARY"), saying("done")]
        await converse(session, "second")
        await manager.close_all()
    async with SessionManager(services) as manager:
        resumed = (await manager.resume(ResumeParams(session_id=session.id))).session
        await converse(resumed, "third")
        await manager.close_all()
    summary, *rest = conversation(world)
    assert summary.startswith("SUMMARY")
    assert rest == ["done", "third"]


async def test_a_context_that_is_still_full_ends_the_turn_once(
    world: World, session: Session
) -> None:
    await converse(session, "first")
    world.model.responses = [[FULL], saying("SUMMARY"), [FULL]]
    seen = await converse(session, "second")
    assert messages(seen, ev.Error) == [ev.Error(too_long(FULL).message)]
    assert closings(seen) == ["error"]
    assert types(seen).count("context_compacted") == 1
    assert len(world.model.prompts) == 4
    # Nothing is left over: the session goes on, behind the summary.
    after = await converse(session, "third")
    assert closings(after) == ["task_complete"]
    assert conversation(world)[-1] == "third"
    assert world.model.open_streams == 0


async def test_each_request_of_a_turn_may_be_shortened(world: World, session: Session) -> None:
    await converse(session, "first")
    world.model.responses = [
        [FULL],
        saying("ONE"),
        calling(call("c1")),
        [FULL],
        saying("TWO"),
        saying("done"),
    ]
    seen = await converse(session, "go")
    assert [m.summary[:3] for m in messages(seen, ev.ContextCompacted)] == ["ONE", "TWO"]
    assert closings(seen) == ["task_complete"]
    # The call and its output are what the second summary is about; they ran once.
    assert conversation(world, 5)[1:-1] == ["function_call", "function_call_output"]
    assert len(world.tools.calls) == 1


async def test_what_an_attempt_had_completed_before_is_in_the_summary(
    world: World, session: Session
) -> None:
    world.model.responses = [
        [ItemDone(message("begun")), ItemDone(call("c1")), FULL],
        saying("SUMMARY"),
        saying("done"),
    ]
    await converse(session, "go")
    assert conversation(world, 1)[:-1] == ["go", "begun", "function_call", "function_call_output"]
    assert len(world.tools.calls) == 1


async def test_inputs_that_came_meanwhile_are_in_the_next_attempt(
    world: World, session: Session
) -> None:
    await converse(session, "first")

    async def say_more() -> None:
        await session.submit(says("and this"))
        await anyio.wait_all_tasks_blocked()

    # An attempt that is repeated takes no inputs; one with a new beginning does.
    cut = StreamInterrupted("cut", retry_after_s=0)
    world.model.responses = [[cut], [FULL], [say_more, *saying("SUMMARY")], saying("done")]
    await converse(session, "second")
    assert conversation(world)[1:] == ["and this"]


async def test_inputs_that_came_meanwhile_give_no_further_summary(
    world: World, session: Session
) -> None:
    await converse(session, "first")

    async def say_much() -> None:
        for text in ("and this", "and that", "and more"):
            await session.submit(says(text))
        await anyio.wait_all_tasks_blocked()

    world.model.responses = [[FULL], [say_much, *saying("SUMMARY")], [FULL]]
    seen = await converse(session, "second")
    assert closings(seen) == ["error"]
    assert types(seen).count("context_compacted") == 1
    assert len(world.model.prompts) == 4


async def test_a_first_input_that_is_too_long_is_an_error_at_once(
    world: World, session: Session
) -> None:
    advice = ContextFull("the input is too long for model-1")
    world.model.responses = [[advice]]
    seen = await converse(session, "x" * 1000)
    assert messages(seen, ev.Error) == [ev.Error(too_long(advice).message)]
    assert [t for t in types(seen) if t in ("background_event", "context_compacted")] == []
    assert closings(seen) == ["error"]
    assert len(world.model.prompts) == 1


async def test_a_summary_that_does_not_fit_either_is_asked_of_the_newer_half(
    world: World, session: Session
) -> None:
    await converse(session, "first", "second")
    world.model.responses = [[FULL], [FULL], saying("SUMMARY"), saying("done")]
    seen = await converse(session, "third")
    assert conversation(world, 3) == ["first", "ok", "second", "ok", "third", REQUEST]
    assert conversation(world, 4) == ["ok", "third", REQUEST]
    assert closings(seen) == ["task_complete"]


async def test_what_followed_from_a_thought_is_left_out_with_it(
    world: World, session: Session
) -> None:
    thought = Item.from_value({"type": "reasoning", "summary": [], "encrypted_content": "ENC"})
    world.model.responses = [[ItemDone(thought), *saying("thought of")]]
    await converse(session, "first")
    world.model.responses = [[FULL], [FULL], saying("SUMMARY"), saying("done")]
    seen = await converse(session, "second")
    assert conversation(world, 2) == ["first", "reasoning", "thought of", "second", REQUEST]
    assert conversation(world, 3) == ["second", REQUEST]
    assert closings(seen) == ["task_complete"]


async def test_without_any_summary_the_conversation_is_as_it_was(
    world: World, session: Session
) -> None:
    await converse(session, "first")
    # Of three items one is tried after all of them, then none is left.
    world.model.responses = [[FULL], [FULL], [FULL]]
    seen = await converse(session, "second")
    assert messages(seen, ev.Error) == [ev.Error(too_long(FULL).message)]
    assert closings(seen) == ["error"]
    assert "context_compacted" not in types(seen)
    assert not any(isinstance(r, CompactedRecord) for r in world.store.logs[session.id].records)
    await converse(session, "third")
    assert conversation(world) == ["first", "ok", "second", "third"]


@pytest.mark.parametrize("when", ["summary", "second attempt"])
async def test_an_interrupt_in_between_ends_the_turn_once(
    world: World, session: Session, when: str
) -> None:
    reached = anyio.Event()

    async def hang() -> None:
        reached.set()
        await anyio.sleep_forever()

    await converse(session, "first")
    in_summary = when == "summary"
    summary: list[Step] = [hang] if in_summary else saying("SUMMARY")
    world.model.responses = [[FULL], summary, [TextDelta("m", "half"), hang]]
    await session.submit(says("second"))
    with anyio.fail_after(5):
        await reached.wait()
    await session.submit(ops.Interrupt())
    seen = await until_closing(session)
    assert closings(seen) == ["turn_aborted"]
    assert ("context_compacted" in types(seen)) is not in_summary
    assert world.model.open_streams == 0
    world.model.responses = []
    await converse(session, "third")
    if in_summary:
        assert conversation(world) == ["first", "ok", "second", "third"]
    else:
        assert conversation(world)[0].startswith("SUMMARY")
        assert conversation(world)[-1] == "third"
    # The model hears of the interruption, wherever the conversation was cut.
    assert any(b"interrupted" in item.raw for item in world.model.prompts[-1].input)


async def test_a_full_context_uses_up_no_retry(world: World, session: Session) -> None:
    world.model.max_retries = 1
    await converse(session, "first")
    cut = StreamInterrupted("cut", retry_after_s=0)
    world.model.responses = [[FULL], [cut], saying("SUMMARY"), [cut], saying("done")]
    seen = await converse(session, "second")
    assert types(seen).count("stream_error") == 2
    assert closings(seen) == ["task_complete"]


async def test_a_stored_response_is_not_continued_behind_the_summary(
    world: World, session: Session
) -> None:
    world.model.stores_responses = True
    await converse(session, "first")
    world.model.responses = [[FULL], saying("SUMMARY"), saying("done", response_id="resp_2")]
    await converse(session, "second")
    previous = [prompt.previous_response_id for prompt in world.model.prompts]
    assert previous == [None, "resp_1", None, None]
    await converse(session, "third")
    assert world.model.prompts[-1].previous_response_id == "resp_2"


# Answers that were cut off.


def cut_off(call_id: str, arguments: str = '{"command": ["rm", "-rf", "/tmp/a') -> Item:
    value = call(call_id, "shell", arguments).value()
    return Item.from_value({**value, "status": "incomplete"})


async def test_half_a_call_is_recorded_and_answered_and_never_run(
    world: World, session: Session
) -> None:
    half = cut_off("c1")
    world.model.responses = [
        [ItemDone(message("I will")), ItemDone(half), ResponseCompleted("r", Usage(1, 2, 3))],
        saying("done"),
    ]
    seen = await converse(session, "go")
    assert closings(seen) == ["task_complete"]
    assert world.tools.calls == []
    assert [t for t in types(seen) if t.startswith(("exec_", "patch_", "mcp_"))] == []
    output = world.model.sent()[-1]
    assert world.model.sent()[-2] == half.value()
    assert (output["type"], output["call_id"]) == ("function_call_output", "c1")
    assert output["output"].startswith("not run")
    assert world.store.logs[session.id].items()[-3:-1] == [half.value(), output]


@pytest.mark.parametrize("kind", ["custom_tool_call", "local_shell_call"])
async def test_half_a_call_of_any_kind_is_not_run(
    world: World, session: Session, kind: str
) -> None:
    half = Item.from_value(
        {"type": kind, "call_id": "c1", "id": "i1", "status": "incomplete", "name": "apply_patch"}
    )
    world.model.responses = [calling(half), saying("done")]
    await converse(session, "go")
    assert world.tools.calls == []
    assert conversation(world)[1] == kind
    assert conversation(world)[2].endswith("_output")


async def test_of_several_calls_only_the_whole_ones_run(world: World, session: Session) -> None:
    whole = Item.from_value({**call("c1").value(), "status": "completed"})
    world.model.responses = [calling(whole, cut_off("c2")), saying("done")]
    await converse(session, "go")
    assert [c.call_id for c in world.tools.calls] == ["c1"]
    assert conversation(world)[1:] == ["function_call", "function_call_output"] * 2


async def test_calls_that_are_cut_off_again_and_again_can_be_interrupted(
    world: World, session: Session
) -> None:
    async def interrupt() -> None:
        await session.submit(ops.Interrupt())
        await anyio.sleep_forever()

    world.model.responses = [calling(cut_off(f"c{n}")) for n in range(20)] + [[interrupt]]
    seen = await converse(session, "go")
    assert closings(seen) == ["turn_aborted"]
    assert world.tools.calls == []


async def test_an_interrupt_while_half_a_call_is_recorded_leaves_no_call_open(
    world: World, session: Session
) -> None:
    log = world.store.logs[session.id]

    async def interrupt_at_the_call() -> None:
        if any(isinstance(r, Item) and r.call_id == "c1" for r in log.queue):
            log.before_append = None
            await session.submit(ops.Interrupt())
            await anyio.wait_all_tasks_blocked()

    log.before_append = interrupt_at_the_call
    world.model.responses = [calling(cut_off("c1")), saying("never")]
    seen = await converse(session, "go")
    assert closings(seen) == ["turn_aborted"]
    assert session.env.history.open_calls() == []
    outputs = [i for i in log.items() if i["type"] == "function_call_output"]
    assert [o["call_id"] for o in outputs] == ["c1"]
    assert world.tools.calls == []


async def much(item: Item, host: ToolHost) -> ToolOutcome:
    return ToolOutcome("x" * 10_000)


async def test_a_long_output_loses_its_end_before_anything_is_left_out(
    world: World, session: Session
) -> None:
    world.tools.handler = much
    world.model.window = None
    await converse(session, "first")
    world.model.responses = [calling(call("c1")), [FULL], [FULL], saying("SUMMARY")]
    seen = await converse(session, "second")
    assert closings(seen) == ["task_complete"]
    asked = conversation(world, 4)
    assert asked == ["first", "ok", "second", "function_call", "function_call_output", REQUEST]
    (output,) = [i for i in world.model.sent(4) if i["type"] == "function_call_output"]
    assert output["output"] == "x" * 1000 + "\n[the rest is left out]"
    # The session has all of it.
    log = world.store.logs[session.id]
    (kept,) = [i for i in log.items() if i["type"] == "function_call_output"]
    assert len(kept["output"]) == 10_000


async def test_a_long_output_can_be_summarised_without_what_was_before_it(
    world: World, session: Session
) -> None:
    world.tools.handler = much
    world.model.window = None
    await converse(session, "first")
    world.model.responses = [
        calling(call("c1")),
        [FULL],
        [FULL],
        [FULL],
        saying("SUMMARY"),
        saying("done"),
    ]
    seen = await converse(session, "second")
    assert closings(seen) == ["task_complete"]
    assert conversation(world, 5) == ["function_call", "function_call_output", REQUEST]


async def test_an_output_that_fills_the_context_alone_ends_the_turn_once(
    world: World, session: Session
) -> None:
    world.tools.handler = much
    world.model.window = None
    world.model.responses = [calling(call("c1")), [FULL], [FULL], [FULL]]
    seen = await converse(session, "first")
    assert closings(seen) == ["error"]
    assert len(world.tools.calls) == 1
    assert session.env.history.open_calls() == []

"""Turns, driven through submit and the events that come out."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from attrs import evolve
from support.driving import as_text, messages, next_of, says, types, until_closing
from support.fakes import World, call, calling, message, saying

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.errors import (
    ContextFull,
    InvalidParams,
    InvalidState,
    ModelRejected,
    PreviousResponseUnknown,
    RateLimited,
    SessionClosed,
    StreamInterrupted,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import ItemDone, ReasoningDelta, ResponseCompleted, TextDelta
from codex_rpc.protocol.params import ConfigureParams
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.records import ContextRecord, StateRecord, TurnRecord
from codex_rpc.protocol.tools import ToolHost, ToolOutcome


def begin(host_call: Item) -> ev.ExecCommandBegin:
    return ev.ExecCommandBegin(host_call.call_id or "", ["x"], "/")


def end(host_call: Item, exit_code: int = 0) -> ev.ExecCommandEnd:
    return ev.ExecCommandEnd(host_call.call_id or "", "", "", exit_code, ev.Duration(0, 0))


class Blocking:
    """A tool that runs until it is told to end, or cancelled."""

    def __init__(self) -> None:
        self.running = anyio.Event()
        self.release = anyio.Event()

    async def __call__(self, item: Item, host: ToolHost) -> ToolOutcome:
        await host.announce(begin(item))
        self.running.set()
        try:
            await self.release.wait()
        except anyio.get_cancelled_exc_class():
            host.abandon(ToolOutcome("stopped after a while", (end(item, -1),)))
            raise
        return ToolOutcome("done", (end(item),))


class Asking:
    """A tool that asks first."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def __call__(self, item: Item, host: ToolHost) -> ToolOutcome:
        request = ev.ExecApprovalRequest(item.call_id or "", ["x"], "/", "none", True)
        decision = await host.ask(request, scope=("x",))
        if decision == "denied":
            return ToolOutcome("rejected by user")
        self.ran.append(item.call_id or "")
        return ToolOutcome("ran")


async def test_a_turn_announces_the_input_streams_the_answer_and_closes_once(
    world: World, session: Session
) -> None:
    world.model.responses = [saying("Hello, world!")]
    await session.submit(says("hi"), "a")
    events = await until_closing(session)
    assert types(events) == [
        "user_message",
        "task_started",
        "agent_message_delta",
        "agent_message",
        "token_count",
        "task_complete",
    ]
    assert {event.id for event in events} == {"a"}
    assert messages(events, ev.AgentMessageDelta)[0].delta == "Hello, world!"
    assert messages(events, ev.TaskComplete)[0].last_agent_message == "Hello, world!"


async def test_everything_is_recorded_before_it_is_announced(
    world: World, session: Session
) -> None:
    log = world.store.logs[session.id]
    world.model.responses = [calling(call("c1")), saying("done")]
    on_disk: list[tuple[str, int]] = []
    await session.submit(says("hi"), "a")
    with anyio.fail_after(5):
        while True:
            event = await session.events.next()
            on_disk.append((event.msg.type, len(log.items())))
            if isinstance(event.msg, ev.TaskComplete):
                break
    counts = dict(on_disk)
    assert counts["user_message"] >= 1
    assert counts["agent_message"] >= 4
    assert [i["type"] for i in log.items()] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]
    statuses = [r.status for r in log.records if isinstance(r, TurnRecord)]
    assert statuses == ["started", "completed"]
    assert log.sync_count == 1


async def test_calls_run_in_order_each_followed_by_its_output(
    world: World, session: Session
) -> None:
    world.model.responses = [calling(call("a"), call("b")), saying("done")]
    await session.submit(says("go"))
    await until_closing(session)
    kinds = [(i["type"], i.get("call_id")) for i in world.model.sent()]
    assert kinds == [
        ("message", None),
        ("function_call", "a"),
        ("function_call_output", "a"),
        ("function_call", "b"),
        ("function_call_output", "b"),
    ]


async def test_a_repeated_call_id_is_renamed_before_it_is_recorded_or_announced(
    world: World, session: Session
) -> None:
    world.model.responses = [calling(call("c")), calling(call("c")), saying("done")]
    await session.submit(says("go"))
    await until_closing(session)
    ids = [i["call_id"] for i in world.store.logs[session.id].items() if "call_id" in i]
    assert ids == ["c", "c", "c-2", "c-2"]
    assert [c.call_id for c in world.tools.calls] == ["c", "c-2"]


async def test_reasoning_is_announced_by_part_and_kept_verbatim(
    world: World, session: Session
) -> None:
    reasoning = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [
            {"type": "summary_text", "text": "first"},
            {"type": "summary_text", "text": "second"},
        ],
        "encrypted_content": "ENC",
        "field_of_tomorrow": [1],
    }
    world.model.responses = [
        [
            ReasoningDelta("rs_1", 0, "fi"),
            ReasoningDelta("rs_1", 0, "rst"),
            ReasoningDelta("rs_1", 1, "second"),
            ItemDone(Item.from_value(reasoning)),
            *saying("answer"),
        ]
    ]
    await session.submit(says("go"))
    events = await until_closing(session)
    deltas = [(d.part, d.delta) for d in messages(events, ev.AgentReasoningDelta)]
    assert deltas == [(0, "first"), (1, "second")]
    parts = [(r.item_id, r.part, r.text) for r in messages(events, ev.AgentReasoning)]
    assert parts == [("rs_1", 0, "first"), ("rs_1", 1, "second")]
    assert reasoning in world.store.logs[session.id].items()


async def test_interrupting_a_stream_closes_it_and_forgets_the_partial_text(
    world: World, session: Session
) -> None:
    streaming = anyio.Event()

    async def hang() -> None:
        streaming.set()
        await anyio.sleep_forever()

    world.model.responses = [[TextDelta("m", "par"), hang], saying("second")]
    await session.submit(says("go"), "1")
    with anyio.fail_after(5):
        await streaming.wait()
    await session.submit(ops.Interrupt())
    events = await until_closing(session)
    assert events[-1].msg == ev.TurnAborted("interrupted")
    assert events[-1].id == "1"
    assert world.model.open_streams == 0
    await session.submit(says("next"))
    await until_closing(session)
    assert [as_text(i) for i in world.model.sent()] == ["go", "next"]


async def test_an_interrupt_of_a_turn_that_has_ended_does_not_stop_the_next(
    world: World, session: Session
) -> None:
    streaming = anyio.Event()

    async def hang() -> None:
        streaming.set()
        await anyio.sleep_forever()

    world.model.responses = [saying("one"), [TextDelta("m", "par"), hang]]
    await session.submit(says("go"), "1")
    await until_closing(session)
    await session.submit(says("next"), "2")
    with anyio.fail_after(5):
        await streaming.wait()
    session.interrupt(SubmissionId("1"))
    await anyio.wait_all_tasks_blocked()
    session.interrupt(SubmissionId("2"))
    events = await until_closing(session)
    aborted = [event.id for event in events if event.msg == ev.TurnAborted("interrupted")]
    assert aborted == ["2"]


async def test_the_model_is_told_that_the_turn_before_was_interrupted(
    world: World, session: Session
) -> None:
    async def hang() -> None:
        await session.submit(ops.Interrupt())
        await anyio.sleep_forever()

    world.model.responses = [saying("one"), [TextDelta("m", "par"), hang], calling(call("c1"))]
    for text in ("first", "second", "third", "fourth"):
        await session.submit(says(text))
        await until_closing(session)
    texts = [
        [as_text(i.value()) for i in prompt.input if i.kind == "message"][1:]
        for prompt in world.model.prompts
    ]
    assert texts[1] == ["first", "one", "second"]
    for request in (2, 3):
        assert texts[request][:3] == ["first", "one", "second"]
        assert "interrupted" in texts[request][3]
        assert texts[request][4] == "third"
    assert not any("interrupted" in text for text in texts[4])
    assert [as_text(i) for i in world.store.logs[session.id].items() if "content" in i][:4] == [
        "first",
        "one",
        "second",
        "third",
    ]


async def test_interrupting_a_command_ends_what_had_begun_and_answers_the_call(
    world: World, session: Session
) -> None:
    world.tools.handler = tool = Blocking()
    world.model.responses = [calling(call("c1"), call("c2")), saying("second")]
    await session.submit(says("go"), "1")
    with anyio.fail_after(5):
        await tool.running.wait()
    await session.submit(ops.Interrupt())
    events = await until_closing(session)
    assert types(events)[-3:] == ["exec_command_begin", "exec_command_end", "turn_aborted"]
    await session.submit(says("next"))
    await until_closing(session)
    outputs = [i for i in world.model.sent() if i["type"] == "function_call_output"]
    assert [(o["call_id"], o["output"]) for o in outputs] == [("c1", "stopped after a while")]


async def test_interrupting_while_an_approval_waits_withdraws_it(
    world: World, session: Session
) -> None:
    world.tools.handler = tool = Asking()
    world.model.responses = [calling(call("c1"))]
    await session.submit(says("go"), "1")
    await next_of(session, ev.ExecApprovalRequest)
    await session.submit(ops.Interrupt())
    events = await until_closing(session)
    assert events[-1].msg == ev.TurnAborted("interrupted")
    with pytest.raises(InvalidState) as caught:
        await session.submit(ops.ExecApproval("c1", "approved"))
    assert caught.value.data == {"waiting": []}
    assert tool.ran == []


async def test_interrupting_in_a_retry_pause_ends_the_turn_at_once(
    world: World, session: Session
) -> None:
    world.model.responses = [[RateLimited("slow down", retry_after_s=3600)]]
    await session.submit(says("go"))
    error = await next_of(session, ev.StreamError)
    assert (error.attempt, error.max_attempts, error.retry_in_ms) == (1, 3, 3_600_000)
    await session.submit(ops.Interrupt())
    assert types(await until_closing(session)) == ["turn_aborted"]


async def test_interrupting_when_idle_does_nothing(world: World, session: Session) -> None:
    await session.submit(ops.Interrupt())
    await session.submit(says("go"))
    assert types(await until_closing(session))[0] == "user_message"


async def test_operations_submitted_together_are_taken_in_order(
    world: World, session: Session
) -> None:
    await session.submit(says("one"), "1")
    await session.submit(ops.Interrupt())
    await session.submit(says("two"), "2")
    first = await until_closing(session)
    assert types(first) == ["user_message", "task_started", "turn_aborted"]
    second = await until_closing(session)
    assert second[-1].id == "2"
    assert second[-1].msg == ev.TaskComplete("ok")
    assert [as_text(i) for i in world.model.sent()] == ["one", "two"]


@pytest.mark.parametrize("decision", ["approved", "approved_for_session"])
async def test_an_approval_sent_as_soon_as_the_request_is_seen_is_never_lost(
    world: World, session: Session, decision: str
) -> None:
    world.tools.handler = tool = Asking()
    for n in range(20):
        world.model.responses = [calling(call(f"c{n}")), saying("done")]
        await session.submit(says("go"))
        if decision == "approved" or n == 0:
            request = await next_of(session, ev.ExecApprovalRequest)
            await session.submit(ops.ExecApproval(request.call_id, decision))
        await until_closing(session)
    assert len(tool.ran) == 20


async def test_denied_is_told_to_the_model_and_the_turn_goes_on(
    world: World, session: Session
) -> None:
    world.tools.handler = Asking()
    world.model.responses = [calling(call("c1")), saying("then not")]
    await session.submit(says("go"))
    await next_of(session, ev.ExecApprovalRequest)
    await session.submit(ops.ExecApproval("c1", "denied"))
    events = await until_closing(session)
    assert events[-1].msg == ev.TaskComplete("then not")
    assert world.model.sent()[-1]["output"] == "rejected by user"


async def test_abort_ends_the_turn_with_that_reason_and_an_answered_call(
    world: World, session: Session
) -> None:
    world.tools.handler = Asking()
    world.model.responses = [calling(call("c1"))]
    await session.submit(says("go"), "1")
    await next_of(session, ev.ExecApprovalRequest)
    await session.submit(ops.ExecApproval("c1", "abort"))
    events = await until_closing(session)
    assert events[-1].msg == ev.TurnAborted("abort")
    await session.submit(says("next"))
    await until_closing(session)
    assert world.model.sent()[2]["output"] == "aborted by the user"


async def test_the_turns_id_answers_only_while_the_turn_has_asked_once(
    world: World, session: Session
) -> None:
    world.tools.handler = Asking()
    world.model.responses = [calling(call("c1"), call("c2")), saying("done")]
    await session.submit(says("go"), "1")
    await next_of(session, ev.ExecApprovalRequest)
    await session.submit(ops.ExecApproval("1", "approved"))
    await next_of(session, ev.ExecApprovalRequest)
    with pytest.raises(InvalidState) as caught:
        await session.submit(ops.ExecApproval("1", "approved"))
    assert caught.value.data == {"waiting": ["c2"]}
    await session.submit(ops.ExecApproval("c2", "denied"))
    await until_closing(session)


async def test_an_answer_of_the_wrong_kind_or_a_second_answer_is_refused(
    world: World, session: Session
) -> None:
    world.tools.handler = Asking()
    world.model.responses = [calling(call("c1"))]
    await session.submit(says("go"), "1")
    await next_of(session, ev.ExecApprovalRequest)
    with pytest.raises(InvalidState):
        await session.submit(ops.PatchApproval("c1", "approved"))
    await session.submit(ops.ExecApproval("c1", "approved"))
    with pytest.raises(InvalidState):
        await session.submit(ops.ExecApproval("c1", "approved"))
    await until_closing(session)


async def test_input_while_a_turn_runs_joins_it_once_before_its_next_request(
    world: World, session: Session
) -> None:
    world.tools.handler = tool = Blocking()
    world.model.responses = [calling(call("c1")), saying("both")]
    await session.submit(says("first"), "1")
    with anyio.fail_after(5):
        await tool.running.wait()
    await session.submit(says("second"), "2")
    tool.release.set()
    events = await until_closing(session)
    joined = [e for e in events if isinstance(e.msg, ev.UserMessage)]
    assert [(e.id, e.msg.turn_id) for e in joined] == [("1", "1"), ("2", "1")]
    texts = [as_text(i) for i in world.model.sent() if i["type"] == "message"]
    assert texts == ["first", "second"]
    assert messages(events, ev.TaskComplete) == [ev.TaskComplete("both")]


async def test_input_that_no_request_follows_starts_the_next_turn(
    world: World, session: Session
) -> None:
    streaming, go_on = anyio.Event(), anyio.Event()

    async def pause() -> None:
        streaming.set()
        await go_on.wait()

    world.model.responses = [[pause, *saying("one")], saying("two")]
    await session.submit(says("first"), "1")
    with anyio.fail_after(5):
        await streaming.wait()
    await session.submit(says("second"), "2")
    go_on.set()
    assert (await until_closing(session))[-1].id == "1"
    events = await until_closing(session)
    assert {e.id for e in events} == {"2"}
    texts = [as_text(i) for i in world.model.sent()]
    assert texts == ["first", "one", "second"]


async def test_interrupt_keeps_the_inputs_that_wait(world: World, session: Session) -> None:
    streaming = anyio.Event()

    async def hang() -> None:
        streaming.set()
        await anyio.sleep_forever()

    world.model.responses = [[hang], saying("answer to second")]
    await session.submit(says("first"), "1")
    with anyio.fail_after(5):
        await streaming.wait()
    await session.submit(says("second"), "2")
    await session.submit(ops.Interrupt())
    assert (await until_closing(session))[-1].msg == ev.TurnAborted("interrupted")
    events = await until_closing(session)
    assert events[-1].id == "2"
    assert events[-1].msg == ev.TaskComplete("answer to second")


async def test_an_attempt_without_items_is_retried_as_it_is(world: World, session: Session) -> None:
    world.model.responses = [
        [TextDelta("m", "par"), StreamInterrupted("gone", retry_after_s=0)],
        saying("whole"),
    ]
    await session.submit(says("go"))
    events = await until_closing(session)
    assert "stream_error" in types(events)
    assert events[-1].msg == ev.TaskComplete("whole")
    assert world.model.sent(0) == world.model.sent(1)


async def test_an_attempt_with_items_is_continued_and_nothing_runs_twice(
    world: World, session: Session
) -> None:
    world.model.responses = [
        [ItemDone(call("c1")), StreamInterrupted("gone", retry_after_s=0)],
        saying("done"),
    ]
    await session.submit(says("go"))
    await until_closing(session)
    assert len(world.tools.calls) == 1
    assert [i["type"] for i in world.model.sent()] == [
        "message",
        "function_call",
        "function_call_output",
    ]


async def test_retries_end_with_the_budget_and_the_session_stays_usable(
    world: World, session: Session
) -> None:
    world.model.responses = [[StreamInterrupted("gone", retry_after_s=0)] for _ in range(4)]
    await session.submit(says("go"))
    events = await until_closing(session)
    attempts = [e.attempt for e in messages(events, ev.StreamError)]
    assert attempts == [1, 2, 3]
    assert events[-1].msg == ev.Error("gone")
    await session.submit(says("again"))
    assert (await until_closing(session))[-1].msg == ev.TaskComplete("ok")


@pytest.mark.parametrize("error", [ModelRejected("no such model", status=404), ContextFull("full")])
async def test_a_refusal_fails_at_once(world: World, session: Session, error: Exception) -> None:
    world.model.responses = [[error]]
    await session.submit(says("go"))
    events = await until_closing(session)
    assert types(events) == ["user_message", "task_started", "error"]
    assert len(world.model.prompts) == 1


async def test_a_bug_in_a_turn_closes_it_as_an_error_and_leaks_no_detail(
    world: World, session: Session
) -> None:
    world.model.responses = [[ZeroDivisionError("secret")]]
    await session.submit(says("go"))
    closing = (await until_closing(session))[-1].msg
    assert isinstance(closing, ev.Error)
    assert "ZeroDivisionError" in closing.message
    assert "secret" not in closing.message
    await session.submit(says("again"))
    assert (await until_closing(session))[-1].msg == ev.TaskComplete("ok")


async def test_a_stored_response_is_continued_with_only_what_is_new(
    world: World, manager: SessionManager
) -> None:
    world.model.stores_responses = True
    world.model.responses = [
        saying("one", response_id="r1"),
        calling(call("c1"), response_id="r2"),
        saying("three", response_id="r3"),
    ]
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    await session.submit(says("first"))
    await until_closing(session)
    await session.submit(says("second"))
    await until_closing(session)
    first, second, third = world.model.prompts
    assert (first.previous_response_id, first.store) == (None, True)
    assert second.previous_response_id == "r1"
    assert [as_text(i.value()) for i in second.input] == ["second"]
    assert third.previous_response_id == "r2"
    assert [i.kind for i in third.input] == ["function_call_output"]
    states = [r for r in world.store.logs[session.id].records if isinstance(r, StateRecord)]
    # r2 is not in the file: a resume could not tell that the output after it is still unsent.
    assert [s.previous_response_id for s in states] == ["r1", "r3"]


async def test_a_response_that_the_server_forgot_is_dropped_for_the_whole_history(
    world: World, manager: SessionManager
) -> None:
    world.model.stores_responses = True
    world.model.responses = [
        saying("one", response_id="r1"),
        [PreviousResponseUnknown("not found")],
        saying("two", response_id="r2"),
    ]
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    await session.submit(says("first"))
    await until_closing(session)
    await session.submit(says("second"))
    events = await until_closing(session)
    assert "stream_error" not in types(events)
    assert world.model.prompts[2].previous_response_id is None
    assert [as_text(i) for i in world.model.sent()] == ["first", "one", "second"]


async def test_override_holds_for_the_turns_after_and_is_recorded(
    world: World, session: Session, tmp_path: Path
) -> None:
    op = ops.OverrideTurnContext(cwd=str(tmp_path), model="model-2", effort="high")
    await session.submit(op)
    await session.submit(says("go"))
    await until_closing(session)
    prompt = world.model.prompts[-1]
    assert (prompt.model, prompt.effort) == ("model-2", "high")
    assert str(tmp_path) in as_text(prompt.input[0].value())
    contexts = [r for r in world.store.logs[session.id].records if isinstance(r, ContextRecord)]
    assert [c.model for c in contexts] == ["model-1", "model-2"]


async def test_an_input_behind_an_override_does_not_join_the_turn_before_it(
    world: World, session: Session
) -> None:
    world.tools.handler = tool = Blocking()
    world.model.responses = [calling(call("c1")), saying("one"), saying("two")]
    await session.submit(says("first"), "1")
    with anyio.fail_after(5):
        await tool.running.wait()
    await session.submit(ops.OverrideTurnContext(model="model-2"))
    await session.submit(says("second"), "2")
    tool.release.set()
    assert (await until_closing(session))[-1].id == "1"
    assert (await until_closing(session))[-1].id == "2"
    assert [p.model for p in world.model.prompts] == ["model-1", "model-1", "model-2"]


async def test_reconfiguring_keeps_the_session_and_announces_it(
    world: World, session: Session
) -> None:
    await session.submit(ops.ConfigureSession(model="model-3"), "cfg")
    configured = await next_of(session, ev.SessionConfigured)
    assert (configured.session_id, configured.model) == (session.id, "model-3")
    await session.submit(says("go"))
    await until_closing(session)
    assert world.model.prompts[-1].model == "model-3"


@pytest.mark.parametrize("submission_id", ["0", "", "used"])
async def test_a_submission_id_is_neither_zero_nor_empty_nor_used(
    session: Session, submission_id: str
) -> None:
    await session.submit(ops.Interrupt(), "used")
    with pytest.raises(InvalidParams) as caught:
        await session.submit(ops.Interrupt(), submission_id)
    assert caught.value.path == "id"


async def test_a_cwd_that_does_not_exist_is_refused_at_submit(
    session: Session, tmp_path: Path
) -> None:
    with pytest.raises(InvalidParams) as caught:
        await session.submit(ops.OverrideTurnContext(cwd=str(tmp_path / "missing")))
    assert caught.value.path == "op.cwd"


async def test_too_many_inputs_make_the_answers_wait_but_not_an_interrupt(
    world: World, session: Session
) -> None:
    streaming = anyio.Event()

    async def hang() -> None:
        streaming.set()
        await anyio.sleep_forever()

    world.model.responses = [[hang]]
    await session.submit(says("first"), "first")
    with anyio.fail_after(5):
        await streaming.wait()
    for n in range(64):
        await session.submit(says(str(n)), f"i{n}")
    admitted = anyio.Event()

    async def one_more() -> None:
        await session.submit(says("late"), "late")
        admitted.set()

    async with anyio.create_task_group() as tg:
        tg.start_soon(one_more)
        await anyio.wait_all_tasks_blocked()
        assert not admitted.is_set()
        await session.submit(ops.Interrupt())
        with anyio.fail_after(5):
            await admitted.wait()
    seen: list[ev.Event] = []
    while not any(e.id == "late" for e in seen):
        seen += await until_closing(session)
    taken = [e.id for e in seen if isinstance(e.msg, ev.UserMessage)]
    assert taken == ["first", *(f"i{n}" for n in range(64)), "late"]


async def test_a_submission_that_waits_for_room_hears_that_the_session_is_closed(
    world: World, session: Session
) -> None:
    streaming = anyio.Event()

    async def hang() -> None:
        streaming.set()
        await anyio.sleep_forever()

    world.model.responses = [[hang]]
    await session.submit(says("first"))
    with anyio.fail_after(5):
        await streaming.wait()
    for n in range(64):
        await session.submit(says(str(n)))
    refused: list[str] = []

    async def one_more() -> None:
        try:
            await session.submit(says("late"))
        except SessionClosed as exc:
            refused.append(exc.message)

    async with anyio.create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(one_more)
        await anyio.wait_all_tasks_blocked()
        await session.submit(ops.Shutdown())
    assert len(refused) == 3


async def test_message_history_is_written_and_read(world: World, session: Session) -> None:
    await session.submit(ops.AddToHistory("typed"))
    await session.submit(ops.GetHistoryEntryRequest(0, 7), "r1")
    await session.submit(ops.GetHistoryEntryRequest(1, 7), "r2")
    first = await next_of(session, ev.GetHistoryEntryResponse)
    assert first.entry == ev.HistoryEntry(session.id, 1, "typed")
    second = await next_of(session, ev.GetHistoryEntryResponse)
    assert second.entry is None


async def test_message_history_that_cannot_be_written_is_said(
    world: World, session: Session
) -> None:
    world.history.failure = PermissionError(13, "Permission denied")
    await session.submit(ops.AddToHistory("typed"), "h")
    assert "Permission denied" in (await next_of(session, ev.Error)).message


async def test_shutdown_aborts_the_turn_saves_and_is_the_last_word(
    world: World, session: Session
) -> None:
    world.tools.handler = tool = Blocking()
    world.model.responses = [calling(call("c1"))]
    await session.submit(says("go"), "1")
    with anyio.fail_after(5):
        await tool.running.wait()
    await session.submit(ops.Shutdown(), "bye")
    seen: list[ev.Event] = []
    await next_of(session, ev.ShutdownComplete, seen)
    assert types(seen)[-3:] == ["exec_command_end", "turn_aborted", "shutdown_complete"]
    assert messages(seen, ev.TurnAborted) == [ev.TurnAborted("shutdown")]
    assert seen[-1].id == "bye"
    assert session.events.ended
    assert not world.store.logs[session.id].open
    with pytest.raises(SessionClosed):
        await session.submit(says("late"))


async def test_the_user_is_notified_after_each_turn(world: World, manager: SessionManager) -> None:
    world.config = evolve(world.config, notify=("program",))
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    await session.submit(says("hello"), "t")
    await until_closing(session)
    await session.submit(ops.Shutdown())
    await next_of(session, ev.ShutdownComplete)
    (told,) = world.notifier.told
    assert told["type"] == "agent-turn-complete"
    assert told["turn-id"] == "t"
    assert told["input-messages"] == ["hello"]
    assert told["last-assistant-message"] == "ok"


async def test_a_local_image_is_attached(world: World, session: Session) -> None:
    world.tools.images["/pic.png"] = "data:image/png;base64,AAAA"
    op = ops.UserInput([ops.TextInput("look"), ops.LocalImageInput("pic.png")])
    await session.submit(op)
    await until_closing(session)
    assert world.model.sent()[0]["content"][1] == {
        "type": "input_image",
        "image_url": "data:image/png;base64,AAAA",
    }


async def test_an_unread_queue_stops_the_turn_but_not_the_interrupt(
    world: World, session: Session
) -> None:
    text = "x" * 1000
    world.model.responses = [
        [*(TextDelta("m", text) for _ in range(500)), *saying("never")],
    ]
    await session.submit(says("go"), "1")
    await anyio.wait_all_tasks_blocked()
    assert session.events.full
    await session.submit(ops.Interrupt())
    await anyio.wait_all_tasks_blocked()
    events = await until_closing(session)
    assert events[-1].msg == ev.TurnAborted("interrupted")
    pending = sum(len(d.delta) for d in messages(events, ev.AgentMessageDelta))
    assert pending <= 64 * 1024 + len(text)


async def test_a_response_with_an_unknown_item_keeps_it(world: World, session: Session) -> None:
    unknown = Item.from_value({"type": "hologram", "id": "h1", "data": {"deep": [1, None]}})
    world.model.responses = [[ItemDone(unknown), *saying("ok")]]
    await session.submit(says("go"))
    await until_closing(session)
    assert unknown.value() in world.store.logs[session.id].items()


async def test_a_message_without_an_id_takes_that_of_its_deltas(
    world: World, session: Session
) -> None:
    item = message("hi").value()
    del item["id"]
    world.model.responses = [
        [TextDelta("m9", "hi"), ItemDone(Item.from_value(item)), ResponseCompleted(None, None)]
    ]
    await session.submit(says("go"))
    events = await until_closing(session)
    assert messages(events, ev.AgentMessage) == [ev.AgentMessage("m9", "hi")]
    assert "token_count" not in types(events)


async def test_reconfiguring_to_a_folder_that_has_gone_is_an_error_of_that_op(
    world: World, session: Session, tmp_path: Path
) -> None:
    world.tools.handler = tool = Blocking()
    world.model.responses = [calling(call("c1")), saying("one")]
    folder = tmp_path / "gone"
    folder.mkdir()
    await session.submit(says("first"), "1")
    with anyio.fail_after(5):
        await tool.running.wait()
    await session.submit(ops.ConfigureSession(cwd=str(folder)), "cfg")
    folder.rmdir()
    tool.release.set()
    await until_closing(session)
    error = (await until_closing(session))[-1]
    assert (error.id, error.msg.type) == ("cfg", "error")
    await session.submit(says("second"))
    assert (await until_closing(session))[-1].msg == ev.TaskComplete("ok")


async def test_reconfiguring_the_model_loosens_no_policy(world: World, session: Session) -> None:
    world.config = evolve(
        world.config,
        approval_policy="never",
        sandbox_policy=SandboxPolicy(mode="danger-full-access"),
    )
    before = session.env.context
    await session.submit(ops.ConfigureSession(model="other"))
    await next_of(session, ev.SessionConfigured)
    after = session.env.context
    assert after.model == "other"
    assert (after.approval_policy, after.sandbox_policy) == (
        before.approval_policy,
        before.sandbox_policy,
    )
    await session.submit(ops.ConfigureSession(profile="loose"))
    await next_of(session, ev.SessionConfigured)
    assert session.env.context.approval_policy == before.approval_policy
    await session.submit(ops.ConfigureSession(approval_policy="never"))
    await next_of(session, ev.SessionConfigured)
    assert session.env.context.approval_policy == "never"
    assert session.env.context.sandbox_policy == before.sandbox_policy


async def test_an_interrupt_while_the_notify_program_starts_is_none_of_the_next_turns(
    world: World, manager: SessionManager
) -> None:
    started, go_on = anyio.Event(), anyio.Event()

    async def slowly() -> None:
        started.set()
        await go_on.wait()

    world.config = evolve(world.config, notify=("program",))
    world.notifier.before = slowly
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    await session.submit(says("first"))
    await until_closing(session)
    with anyio.fail_after(5):
        await started.wait()
    await session.submit(ops.Interrupt())
    await anyio.wait_all_tasks_blocked()
    go_on.set()
    await session.submit(says("second"))
    assert (await until_closing(session))[-1].msg == ev.TaskComplete("ok")


async def test_a_second_interrupt_behind_an_aborted_turn_is_none_of_the_next_turns(
    world: World, session: Session
) -> None:
    world.tools.handler = tool = Blocking()
    world.model.responses = [calling(call("c1"))]
    await session.submit(says("first"))
    with anyio.fail_after(5):
        await tool.running.wait()
    await session.submit(ops.ConfigureSession(model="other"))
    await session.submit(ops.Interrupt())
    await until_closing(session)
    await session.submit(ops.Interrupt())
    await next_of(session, ev.SessionConfigured)
    await session.submit(says("second"))
    assert (await until_closing(session))[-1].msg == ev.TaskComplete("ok")


async def test_nothing_is_accepted_behind_a_shutdown(session: Session) -> None:
    await session.submit(ops.Shutdown())
    with pytest.raises(SessionClosed):
        await session.submit(says("late"))


async def test_a_refused_submission_does_not_use_up_its_id(session: Session) -> None:
    with pytest.raises(InvalidState):
        await session.submit(ops.ExecApproval("none", "approved"), "1")
    assert await session.submit(says("go"), "1") == "1"
    await until_closing(session)


async def test_a_call_without_an_id_is_given_one_and_answered(
    world: World, session: Session
) -> None:
    item = Item.from_value({"type": "function_call", "name": "tool", "arguments": "{}"})
    world.model.responses = [calling(item), saying("done")]
    await session.submit(says("go"))
    await until_closing(session)
    _, made, output = world.model.sent()
    assert made["call_id"]
    assert made["call_id"] == output["call_id"]


async def test_an_override_is_in_the_file_before_any_turn(world: World, session: Session) -> None:
    await session.submit(ops.OverrideTurnContext(model="model-9"))
    await anyio.wait_all_tasks_blocked()
    await session.submit(ops.Shutdown())
    await next_of(session, ev.ShutdownComplete)
    contexts = [r for r in world.store.logs[session.id].records if isinstance(r, ContextRecord)]
    assert [c.model for c in contexts] == ["model-1", "model-9"]


async def test_a_refusal_is_shown_as_the_message(world: World, session: Session) -> None:
    refusal = message("").value() | {"content": [{"type": "refusal", "refusal": "I will not."}]}
    world.model.responses = [[ItemDone(Item.from_value(refusal)), ResponseCompleted(None, None)]]
    await session.submit(says("go"))
    assert (await until_closing(session))[-1].msg == ev.TaskComplete("I will not.", "refusal")

"""Why a turn ended that was not interrupted, and the items that a reader may ask for."""

from __future__ import annotations

from pathlib import Path

import anyio
from attrs import evolve
from support.driving import says, until_closing
from support.fakes import World, call, calling, message, saying

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.errors import AnswerFiltered
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import ItemDone, ResponseCompleted
from codex_rpc.protocol.params import ConfigureParams
from codex_rpc.protocol.records import ContextRecord
from codex_rpc.protocol.tools import ToolHost, ToolOutcome


async def closing(session: Session) -> object:
    return (await until_closing(session))[-1].msg


async def test_an_answer_that_ran_into_its_limit_says_so(world: World, session: Session) -> None:
    cut_off = ResponseCompleted("resp_1", None, is_cut_off=True)
    world.model.responses = [[ItemDone(message("Once upon")), cut_off], saying("Done.")]
    await session.submit(says("tell"))
    assert await closing(session) == ev.TaskComplete("Once upon", "max_tokens")
    await session.submit(says("again"))
    assert await closing(session) == ev.TaskComplete("Done.")


async def test_a_filtered_answer_is_a_refusal(world: World, session: Session) -> None:
    world.model.responses = [[AnswerFiltered("the filter objected")]]
    await session.submit(says("tell"))
    assert await closing(session) == ev.Error("the filter objected", None, "refusal")


async def test_a_turn_ends_after_the_configured_number_of_answers(
    world: World, manager: SessionManager, tmp_path: Path
) -> None:
    world.config = evolve(world.config, max_turn_requests=2)
    session = (await manager.configure(ConfigureParams(cwd=str(tmp_path)))).session
    ran: list[str] = []

    async def tool(item: Item, _host: ToolHost) -> ToolOutcome:
        ran.append(item.call_id or "")
        return ToolOutcome("ran")

    world.tools.handler = tool
    world.model.responses = [calling(call("a")), calling(call("b")), saying("Done.")]
    await session.submit(says("go"))
    events = await until_closing(session)
    assert events[-1].msg == ev.TaskComplete(None, "max_turn_requests")
    notes = [e.msg.message for e in events if isinstance(e.msg, ev.BackgroundEvent)]
    assert [note for note in notes if "max_turn_requests" in note]
    # What was called has run, so that the next turn goes on from there.
    assert ran == ["a", "b"]
    await session.submit(says("go on"))
    assert await closing(session) == ev.TaskComplete("Done.")


async def test_items_are_told_where_they_are_wanted(world: World, session: Session) -> None:
    async def tool(item: Item, host: ToolHost) -> ToolOutcome:
        begin = ev.ExecCommandBegin(item.call_id or "", ["x"], "/")
        await host.announce(begin)
        end = ev.ExecCommandEnd(begin.call_id, "", "", 0, ev.Duration(0, 0))
        return ToolOutcome("ran", (end,))

    world.tools.handler = tool
    world.model.responses = [calling(call("a")), saying("Done."), calling(call("b")), saying("X")]
    await session.submit(says("go"))
    told = [e.msg.type for e in await until_closing(session)]
    assert "item_recorded" not in told
    session.events.tells_items = True
    await session.submit(says("again"))
    msgs = [e.msg for e in await until_closing(session)]
    kinds = [
        m.item.kind if isinstance(m, ev.ItemRecorded) else m.type
        for m in msgs
        if not isinstance(m, ev.AgentMessageDelta)
    ]
    place = kinds.index("function_call")
    assert kinds[place : place + 4] == [
        "function_call",
        "exec_command_begin",
        "function_call_output",
        "exec_command_end",
    ]


async def test_the_output_of_an_interrupted_call_is_told_before_the_closing(
    world: World, session: Session
) -> None:
    running = anyio.Event()

    async def tool(_item: Item, _host: ToolHost) -> ToolOutcome:
        running.set()
        await anyio.sleep_forever()
        raise AssertionError

    world.tools.handler = tool
    world.model.responses = [calling(call("a"))]
    session.events.tells_items = True
    await session.submit(says("go"))
    with anyio.fail_after(5):
        await running.wait()
    await session.submit(ops.Interrupt())
    msgs = [e.msg for e in await until_closing(session)]
    assert isinstance(msgs[-1], ev.TurnAborted)
    told = [m.item.kind for m in msgs if isinstance(m, ev.ItemRecorded)]
    assert told == ["message", "function_call", "function_call_output"]


async def test_an_input_that_is_interrupted_before_its_turn_runs_nothing_and_joins_nobody(
    world: World, session: Session
) -> None:
    first = await session.submit(says("one"))
    session.interrupt(first)
    second = await session.submit(says("two"))
    world.model.responses = [saying("Said.")]
    events = await until_closing(session)
    assert (events[-1].id, events[-1].msg) == (first, ev.TurnAborted("interrupted"))
    events = await until_closing(session)
    assert (events[-1].id, events[-1].msg) == (second, ev.TaskComplete("Said."))
    assert len(world.model.prompts) == 1


async def test_what_was_chosen_during_a_turn_is_kept_when_the_session_is_closed_in_it(
    world: World, session: Session
) -> None:
    running = anyio.Event()

    async def tool(_item: Item, _host: ToolHost) -> ToolOutcome:
        running.set()
        await anyio.sleep_forever()
        raise AssertionError

    world.tools.handler = tool
    world.model.responses = [calling(call("a"))]
    await session.submit(says("go"))
    with anyio.fail_after(5):
        await running.wait()
    await session.submit(ops.OverrideTurnContext(approval_policy="untrusted"))
    with anyio.fail_after(5):
        await session.close()
    records = world.store.logs[session.id].records
    assert [r.approval_policy for r in records if isinstance(r, ContextRecord)][-1] == "untrusted"

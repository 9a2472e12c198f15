"""What tools keep alive between calls, and what is offered when."""

from __future__ import annotations

import anyio
import pytest
from support.driving import next_of, says, until_closing
from support.fakes import FakeTools, World, call, calling

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.errors import InvalidState
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.params import ConfigureParams
from codex_rpc.protocol.tools import ToolHost, ToolOutcome


async def test_what_tools_say_between_turns_belongs_to_the_session(
    world: World, manager: SessionManager
) -> None:
    world.tools.news = [ev.Error("MCP client for `x` failed to start: no such file")]
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    seen: list[ev.Event] = []
    assert (await next_of(session, ev.Error, seen)).message.startswith("MCP client for `x`")
    assert seen[-1].id == "0"


async def test_a_request_waits_until_all_tools_are_offered(world: World, session: Session) -> None:
    world.tools.starting = anyio.Event()
    await session.submit(says("hello"))
    await next_of(session, ev.TaskStarted)
    await anyio.wait_all_tasks_blocked()
    assert world.model.prompts == []
    world.tools.starting.set()
    await until_closing(session)
    assert len(world.model.prompts) == 1


async def test_waiting_for_tools_can_be_interrupted(world: World, session: Session) -> None:
    world.tools.starting = anyio.Event()
    await session.submit(says("hello"))
    await next_of(session, ev.TaskStarted)
    await session.submit(ops.Interrupt())
    await next_of(session, ev.TurnAborted)
    assert world.model.prompts == []


async def test_the_tools_of_mcp_servers_are_listed(session: Session) -> None:
    await session.submit(ops.ListMcpTools(), "list")
    seen: list[ev.Event] = []
    listed = await next_of(session, ev.McpListToolsResponse, seen)
    assert listed.tools == {"server__tool": {"name": "tool"}}
    assert seen[-1].id == "list"


async def test_new_tools_run_only_after_the_old_ones_have_ended(
    world: World, session: Session
) -> None:
    old = world.tools
    assert old.running == 1
    world.tools = FakeTools()
    await session.submit(ops.ConfigureSession(model="other"))
    await next_of(session, ev.SessionConfigured)
    await anyio.wait_all_tasks_blocked()
    assert (old.running, world.tools.running, old.closed) == (0, 1, True)


async def test_what_tools_keep_alive_ends_with_the_session(world: World, session: Session) -> None:
    await session.close()
    assert world.tools.running == 0
    assert world.tools.closed


async def test_a_second_question_of_a_call_is_not_answered_by_a_late_answer_to_the_first(
    world: World, session: Session
) -> None:
    decisions: list[str] = []

    async def ask_twice(item: Item, host: ToolHost) -> ToolOutcome:
        for sandbox in ("workspace-write", "none"):
            request = ev.ExecApprovalRequest(item.call_id or "", ["x"], "/", sandbox, True)
            decisions.append(await host.ask(request))
        return ToolOutcome("ran")

    world.tools.handler = ask_twice
    world.model.responses = [calling(call("c1"))]
    await session.submit(says("go"))
    await next_of(session, ev.ExecApprovalRequest)
    await session.submit(ops.ExecApproval("c1", "approved"))
    second = await next_of(session, ev.ExecApprovalRequest)
    assert (second.call_id, second.sandbox) == ("c1#2", "none")
    with pytest.raises(InvalidState):
        await session.submit(ops.ExecApproval("c1", "approved"))
    await session.submit(ops.ExecApproval("c1#2", "denied"))
    await until_closing(session)
    assert decisions == ["approved", "denied"]


async def test_slow_tools_hold_up_no_other_errand(world: World, session: Session) -> None:
    world.tools.starting = anyio.Event()
    await session.submit(ops.ListMcpTools(), "list")
    await session.submit(ops.GetHistoryEntryRequest(0, 7), "entry")
    await next_of(session, ev.GetHistoryEntryResponse)
    world.tools.starting.set()
    await next_of(session, ev.McpListToolsResponse)


async def test_a_reader_that_stops_holds_up_what_is_large(world: World, session: Session) -> None:
    text = "x" * (1 << 20)

    async def changes_much(item: Item, host: ToolHost) -> ToolOutcome:
        change = ev.FileChange(add=ev.AddFile(text))
        await host.announce(ev.PatchApplyBegin(item.call_id or "", True, {"/a": change}))
        return ToolOutcome("done", (ev.PatchApplyEnd(item.call_id or "", "", "", True),))

    world.tools.handler = changes_much
    world.model.responses = [calling(*(call(f"c{i}") for i in range(40)))]
    await session.submit(says("go"))
    await anyio.wait_all_tasks_blocked()
    assert 16 <= len(world.tools.calls) <= 18
    await until_closing(session)
    assert len(world.tools.calls) == 40

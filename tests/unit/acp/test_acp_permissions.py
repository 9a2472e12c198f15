"""Questions that are put to the client, and what its answers come to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from acp_parts import Client, opened
from anyio import fail_after
from attrs import define, field
from support.driving import says
from support.fakes import World, call, calling

from codex_rpc.acp.permissions import Permissions, call_id_of, decision_of, options_of
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.events import ApprovalRequest, Event
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.tools import ToolHost, ToolOutcome
from codex_rpc.rpc.outgoing import PeerRefused
from codex_rpc.rpc.stdio import PeerGone

COMMAND = ev.ExecApprovalRequest(
    "c1", ["npm", "run", "a b"], "/w", sandbox="none", network=True, reason="it wants the network"
)
PATCH = ev.ApplyPatchApprovalRequest("c1", {"/w/a": ev.FileChange(add=ev.AddFile("x"))})
TOOL = ev.McpToolCallApprovalRequest("c1", ev.McpInvocation("files", "remove"))


def chosen(option: str) -> Callable[[str, Any], Awaitable[Any]]:
    async def answer(_method: str, _params: Any) -> Any:
        return {"outcome": {"outcome": "selected", "optionId": option}}

    return answer


def no_session(_id: str) -> Session:
    raise AssertionError("nothing is answered")


async def never(_method: str, _params: Any) -> Any:
    await anyio.sleep_forever()


@define
class Asking:
    """A session whose one tool asks `request`, and what became of it."""

    session: Session
    permissions: Permissions
    seen: list[Event] = field(factory=list)
    outcomes: list[str] = field(factory=list)

    async def until(self, kind: type) -> Event:
        with fail_after(5):
            while True:
                event = await self.session.events.next()
                self.seen.append(event)
                self.permissions.observe(self.session.id, event)
                if isinstance(event.msg, kind):
                    return event

    async def turn(self) -> Event:
        """One turn to its end."""
        await self.session.submit(says("go"))
        return await self.until((ev.TaskComplete, ev.TurnAborted, ev.Error))  # type: ignore[arg-type]


@asynccontextmanager
async def asking(client: Client, request: ApprovalRequest) -> AsyncIterator[Asking]:
    world, outcomes = World(), list[str]()
    world.model.responses = [calling(call("c1")), calling(call("c1"))]

    async def ask(_item: Item, host: ToolHost) -> ToolOutcome:
        outcomes.append(await host.ask(request, scope="scope"))
        return ToolOutcome("done")

    world.tools.handler = ask
    described = {"kind": "execute", "title": "npm", "content": [{"type": "diff"}]}
    async with opened(world, Path("/")) as (manager, session):
        permissions = Permissions(client.request, manager.session, lambda _id, _request: described)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(permissions.run)
            yield Asking(session, permissions, outcomes=outcomes)
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("request_", [COMMAND, PATCH, TOOL])
async def test_a_yes_lets_it_happen_once(request_: ApprovalRequest) -> None:
    client = Client(chosen("allow_once"))
    async with asking(client, request_) as it:
        end = await it.turn()
    assert isinstance(end.msg, ev.TaskComplete)
    assert it.outcomes[0] == "approved"


async def test_a_no_is_told_to_the_model_and_the_turn_goes_on() -> None:
    async with asking(Client(chosen("reject_once")), COMMAND) as it:
        end = await it.turn()
    assert isinstance(end.msg, ev.TaskComplete)
    assert it.outcomes == ["denied", "denied"]


async def test_an_approval_for_the_session_is_not_asked_again() -> None:
    client = Client(chosen("allow_always"))
    async with asking(client, COMMAND) as it:
        await it.turn()
    assert it.outcomes == ["approved_for_session", "approved_for_session"]
    assert len(client.asked) == 1


async def test_the_question_shows_the_call_as_pending_with_why_it_is_asked() -> None:
    client = Client(chosen("reject_once"))
    async with asking(client, COMMAND) as it:
        await it.turn()
    method, params = client.asked[0]
    assert method == "session/request_permission"
    assert params["sessionId"] == it.session.id
    assert params["options"] == options_of(COMMAND)
    tool_call = params["toolCall"]
    assert (tool_call["toolCallId"], tool_call["status"]) == ("c1", "pending")
    assert (tool_call["kind"], tool_call["title"]) == ("execute", "npm")
    diff, reason = tool_call["content"]
    assert diff == {"type": "diff"}
    text = reason["content"]["text"]
    assert text.startswith("it wants the network")
    assert "/w without a sandbox, with network" in text


async def test_a_second_question_about_a_call_is_about_that_call() -> None:
    again = ev.ExecApprovalRequest("c1#2", ["ls"], "/w", sandbox="none", network=True)
    assert call_id_of(again) == "c1"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"outcome": None},
        {"outcome": "selected"},
        {"outcome": {"outcome": "selected"}},
        {"outcome": {"outcome": "selected", "optionId": 1}},
        {"outcome": {"outcome": "selected", "optionId": "approved"}},
        {"outcome": {"outcome": "allow_once", "optionId": "allow_once"}},
        [{"outcome": "selected", "optionId": "allow_once"}],
    ],
)
async def test_an_answer_that_makes_no_sense_is_a_no(answer: Any) -> None:
    assert decision_of(answer, options_of(COMMAND)) == "denied"


async def test_an_option_that_was_not_offered_is_a_no() -> None:
    answer = {"outcome": {"outcome": "selected", "optionId": "allow_always"}}
    assert decision_of(answer, options_of(COMMAND)) == "approved_for_session"
    assert decision_of(answer, options_of(PATCH)) == "denied"


async def test_an_error_of_the_client_is_a_no() -> None:
    async def refuse(method: str, _params: Any) -> Any:
        raise PeerRefused(method, {"code": -32603, "message": "no window"})

    async with asking(Client(refuse), COMMAND) as it:
        end = await it.turn()
    assert isinstance(end.msg, ev.TaskComplete)
    assert it.outcomes == ["denied", "denied"]


async def test_a_cancelled_question_stops_the_turn() -> None:
    async def cancel(_method: str, _params: Any) -> Any:
        return {"outcome": {"outcome": "cancelled"}}

    async with asking(Client(cancel), COMMAND) as it:
        end = await it.turn()
    assert end.msg == ev.TurnAborted("abort")
    assert it.outcomes == []


async def test_the_end_of_the_turn_withdraws_its_question() -> None:
    client = Client(never)
    async with asking(client, COMMAND) as it:
        await it.session.submit(says("go"))
        await it.until(ev.ExecApprovalRequest)
        await anyio.wait_all_tasks_blocked()
        await it.session.submit(ops.Interrupt())
        await it.until(ev.TurnAborted)
        await anyio.wait_all_tasks_blocked()
        assert client.given_up == ["session/request_permission"]
        # And the next turn asks as if nothing had been.
        client.answer = chosen("allow_once")
        end = await it.turn()
        assert isinstance(end.msg, ev.TaskComplete)


async def test_a_turn_that_ended_before_the_question_was_put_asks_nothing() -> None:
    client = Client(never)
    permissions = Permissions(client.request, no_session, lambda _id, _r: {})
    turn = ev.TurnAborted("interrupted")
    permissions.observe("s", Event("t", COMMAND))  # type: ignore[arg-type]
    permissions.observe("s", Event("t", turn))  # type: ignore[arg-type]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(permissions.run)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert client.asked == []


async def test_the_end_of_another_turn_withdraws_nothing() -> None:
    client = Client(never)
    permissions = Permissions(client.request, no_session, lambda _id, _r: {})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(permissions.run)
        permissions.observe("s", Event("t", COMMAND))  # type: ignore[arg-type]
        await anyio.wait_all_tasks_blocked()
        permissions.observe("s", Event("t2", ev.TaskComplete(None)))  # type: ignore[arg-type]
        permissions.observe("s2", Event("t", ev.TaskComplete(None)))  # type: ignore[arg-type]
        await anyio.wait_all_tasks_blocked()
        assert client.given_up == []
        tasks.cancel_scope.cancel()


async def test_a_question_that_is_announced_again_is_put_once() -> None:
    client = Client(never)
    async with asking(client, COMMAND) as it:
        await it.session.submit(says("go"))
        await it.until(ev.ExecApprovalRequest)
        it.session.announce_again()
        await it.until(ev.ExecApprovalRequest)
        await anyio.wait_all_tasks_blocked()
        assert len(client.asked) == 1


async def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    answered = anyio.Event()

    async def late(_method: str, _params: Any) -> Any:
        await answered.wait()
        return {"outcome": {"outcome": "selected", "optionId": "allow_once"}}

    client = Client(late)
    async with asking(client, COMMAND) as it:
        await it.session.submit(says("go"))
        await it.until(ev.ExecApprovalRequest)
        await anyio.wait_all_tasks_blocked()
        # Another client, or another way, was faster.
        await it.session.submit(ops.ExecApproval("c1", "denied"))
        answered.set()
        await it.until(ev.ExecApprovalRequest)
        assert it.outcomes == ["denied"]


async def test_a_client_that_is_gone_decides_nothing() -> None:
    async def gone(_method: str, _params: Any) -> Any:
        raise PeerGone("gone")

    async with asking(Client(gone), COMMAND) as it:
        await it.session.submit(says("go"))
        await it.until(ev.ExecApprovalRequest)
        await anyio.wait_all_tasks_blocked()
        assert it.outcomes == []


def test_there_is_one_option_of_each_kind_and_always_a_yes_and_a_no() -> None:
    for request in (COMMAND, PATCH, TOOL):
        kinds = [option["kind"] for option in options_of(request)]
        assert len(set(kinds)) == len(kinds)
        assert {"allow_once", "reject_once"} <= set(kinds)
        assert "reject_always" not in kinds


def test_a_lasting_yes_says_what_it_covers_and_is_not_offered_where_it_would_not_last() -> None:
    def lasting(request: ApprovalRequest) -> list[str]:
        return [o["name"] for o in options_of(request) if o["kind"] == "allow_always"]

    assert lasting(PATCH) == []
    (name,) = lasting(COMMAND)
    assert name.startswith("Allow in this session: exactly npm run 'a b', in this folder")
    assert name.endswith("without a sandbox, with network")
    assert lasting(TOOL) == ["Allow in this session: every call of remove of the MCP server files"]


def test_a_long_command_is_cut_in_the_name_of_an_option() -> None:
    long = ev.ExecApprovalRequest(
        "c", ["echo", "x" * 1000], "/w", sandbox="read-only", network=False
    )
    (name,) = [o["name"] for o in options_of(long) if o["kind"] == "allow_always"]
    assert len(name) < 200
    assert "in the read-only sandbox, without network" in name

"""Turns as the editor's progress: what is said, when it ends, and how the user stops one."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio import fail_after
from rpc_support import Client, FakeManager, FakeSession, connected, request, submit, user_input

from codex_rpc.protocol.events import (
    AgentReasoningDelta,
    BackgroundEvent,
    Duration,
    Error,
    EventMsg,
    ExecCommandBegin,
    ExecCommandEnd,
    FileChange,
    McpInvocation,
    McpToolCallBegin,
    PatchApplyBegin,
    PatchApplyEnd,
    PlanStep,
    PlanUpdate,
    ShutdownComplete,
    TaskComplete,
    TaskStarted,
    TurnAborted,
    UserMessage,
)
from codex_rpc.protocol.ops import MentionInput, TextInput
from codex_rpc.rpc.lsp.progress import REPORT_EVERY_S

SHOWN = {"window": {"workDoneProgress": True}}


class Watcher:
    """An editor with a session, that answers `create` and keeps what it is told."""

    def __init__(self, client: Client, manager: FakeManager) -> None:
        self.client = client
        self.manager = manager
        self.session_id = ""
        self.events: list[str] = []
        self.values: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.answer: dict[str, Any] = {"result": None}

    @property
    def session(self) -> FakeSession:
        return self.manager.live[self.session_id]

    async def step(self) -> dict[str, Any] | None:
        """Read one message, and do with it what an editor does."""
        message = await self.client.next()
        match message:
            case {"method": "window/workDoneProgress/create"}:
                self.tokens.append(message["params"]["token"])
                await self.client.send({"id": message["id"], **self.answer})
            case {"method": "$/progress"}:
                assert message["params"]["token"] in self.tokens
                self.values.append(message["params"]["value"])
            case {"method": "session/event"}:
                self.events.append(message["params"]["msg"]["type"])
        return message

    async def until(self, kind: str, **members: Any) -> dict[str, Any]:
        """Read until a value of this kind with these members has come."""
        with fail_after(5):
            while True:
                for value in self.values:
                    if value["kind"] == kind and members.items() <= value.items():
                        return value
                assert await self.step() is not None, "the server has closed"

    async def until_event(self, kind: str) -> None:
        with fail_after(5):
            while kind not in self.events:
                assert await self.step() is not None, "the server has closed"

    def begin(self, *texts: str, turn: str = "turn") -> None:
        """Have the session begin a turn."""
        items = [MentionInput("/a"), *(TextInput(text) for text in texts)]
        self.session.say(UserMessage(items, turn), turn)
        self.session.say(TaskStarted(), turn)

    def say(self, msg: EventMsg, turn: str = "turn") -> None:
        self.session.say(msg, turn)


async def watching(client: Client, manager: FakeManager, capabilities: Any = SHOWN) -> Watcher:
    await client.call("initialize", {"capabilities": capabilities})
    watcher = Watcher(client, manager)
    watcher.session_id = await client.opened()
    return watcher


async def begun(client: Client, manager: FakeManager, *texts: str) -> Watcher:
    """An editor that is shown a turn."""
    editor = await watching(client, manager)
    editor.begin(*texts)
    await editor.until("begin")
    return editor


async def other_turn(editor: Watcher) -> str:
    """Another session, of which a turn is shown too; its id."""
    await editor.client.send(request("other", "session/configure", {"cwd": "/"}))
    while (message := await editor.step() or {}).get("id") != "other":
        pass
    first, editor.session_id = editor.session_id, message["result"]["sessionId"]
    editor.begin("other")
    await editor.until("begin", message="other")
    second, editor.session_id = editor.session_id, first
    return second


async def test_a_turn_begins_with_what_the_user_said() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "tidy  this\nup", "w" * 1000)
    (begin,) = (value for value in editor.values if value["kind"] == "begin")
    assert begin == {
        "kind": "begin",
        "title": "Codex",
        "cancellable": True,
        "message": f"tidy this up {'w' * 66}…",
    }


@pytest.mark.parametrize(
    ("closing", "message"),
    [
        (TaskComplete("done"), "completed"),
        (TurnAborted("interrupted"), "interrupted"),
        (Error("no model"), "failed"),
    ],
)
async def test_it_ends_as_the_turn_does(closing: EventMsg, message: str) -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        editor.say(closing)
        assert await editor.until("end") == {"kind": "end", "message": message}
        assert editor.events[-1] == closing.type
        editor.begin("again", turn="second")
        await editor.until("begin", message="again")
    assert len(set(editor.tokens)) == 2


async def test_an_error_of_something_else_does_not_end_it() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        editor.say(Error("history is not kept"), turn="another submission")
        await editor.until_event("error")
        editor.say(TaskComplete(None))
        assert (await editor.until("end"))["message"] == "completed"


async def test_what_runs_is_reported_and_then_thinking() -> None:
    manager = FakeManager()
    change = FileChange()
    invocation = McpInvocation("docs", "search")
    steps: list[tuple[EventMsg, str]] = [
        (AgentReasoningDelta("r", 0, "hm"), "thinking"),
        (ExecCommandBegin("1", ["bash", "-lc", "make\n  all"], "/"), "make all"),
        (ExecCommandBegin("2", ["ls", "-l"], "/"), "ls -l"),
        (ExecCommandEnd("2", "", "", 0, Duration(0, 0)), "make all"),
        (ExecCommandEnd("1", "", "", 0, Duration(0, 0)), "thinking"),
        (
            PatchApplyBegin("3", True, {"/w/a.py": change, "b\\c.py": "delete"}),
            "patching a.py, c.py",
        ),
        (PatchApplyEnd("3", "", "", True), "thinking"),
        (McpToolCallBegin("4", invocation), "docs.search"),
    ]
    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        for msg, message in steps:
            editor.values.clear()
            editor.say(msg)
            assert await editor.until("report") == {"kind": "report", "message": message}


async def test_the_percentage_is_that_of_the_plan_and_never_falls() -> None:
    manager = FakeManager()

    def plan(done: int, of: int) -> PlanUpdate:
        return PlanUpdate(
            [PlanStep("s", "completed" if i < done else "pending") for i in range(of)]
        )

    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        editor.say(plan(0, 3))
        await editor.until("report", percentage=0)
        editor.say(plan(1, 3))
        await editor.until("report", percentage=33)
        editor.say(plan(1, 8))
        editor.say(PlanUpdate([]))
        editor.say(plan(8, 8))
        await editor.until("report", percentage=100)
    told = [value["percentage"] for value in editor.values if "percentage" in value]
    assert told == sorted(told)


async def test_there_is_at_most_one_report_in_a_while_and_the_last_state_is_told() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        began = anyio.current_time()
        for i in range(50):
            editor.say(ExecCommandBegin(str(i), ["run", str(i)], "/"))
            # Each leaves alone, so that each could be reported.
            while len(editor.events) <= i + 2:
                await editor.step()
        await editor.until("report", message="run 49")
        passed_s = anyio.current_time() - began
    reports = [value for value in editor.values if value["kind"] == "report"]
    assert len(reports) <= passed_s / REPORT_EVERY_S + 1


async def test_what_changes_nothing_is_not_reported_again() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        for _ in range(3):
            editor.say(AgentReasoningDelta("r", 0, "hm"))
            editor.say(BackgroundEvent("b"))
            await editor.until("report", message="thinking")
        # By the second report of another turn, this one could have been reported again.
        editor.session_id = await other_turn(editor)
        for command in ("first", "second"):
            editor.say(ExecCommandBegin(command, [command], "/"))
            await editor.until("report", message=command)
    messages = [value["message"] for value in editor.values if value["kind"] == "report"]
    assert messages == ["thinking", "first", "second"]


async def test_cancelling_interrupts_the_turn_and_no_other() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        session = editor.session
        other = await client.opened()
        for token in ("someone's", None, [], editor.tokens[0]):
            params = {"token": token}
            await client.send({"method": "window/workDoneProgress/cancel", "params": params})
        await client.call("session/list")
        assert session.interrupted == ["turn"]
        assert session.submitted == manager.live[other].interrupted == []
        editor.say(TurnAborted("interrupted"))
        assert (await editor.until("end"))["message"] == "interrupted"
        cancel = {"method": "window/workDoneProgress/cancel", "params": {"token": editor.tokens[0]}}
        await client.send(cancel, cancel)
        await client.call("session/list")
        assert session.interrupted == ["turn"]


async def test_cancelling_what_is_closed_by_now_is_no_harm() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        # Closed, although its last event has not left yet.
        manager.live.clear()
        params = {"token": editor.tokens[0]}
        await client.send({"method": "window/workDoneProgress/cancel", "params": params})
        await client.call("session/list")


async def test_an_editor_that_refuses_is_shown_nothing() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await watching(client, manager)
        editor.answer = {"error": {"code": -32603, "message": "no room"}}
        editor.begin("hi")
        editor.say(AgentReasoningDelta("r", 0, "hm"))
        with fail_after(5):
            while not editor.tokens:
                await editor.step()
        await client.send(submit("after", editor.session_id, user_input("x")))
        while (await editor.step() or {}).get("id") != "after":
            pass
        editor.say(TaskComplete(None))
        editor.begin("again", turn="second")
        editor.say(BackgroundEvent("last"), turn="second")
        await editor.until_event("background_event")
        await client.send(request("list", "session/list"))
        while (await editor.step() or {}).get("id") != "list":
            pass
    assert editor.values == []
    assert len(editor.tokens) == 1


@pytest.mark.parametrize("capabilities", [{}, {"window": {"workDoneProgress": False}}])
async def test_an_editor_that_shows_no_progress_is_not_asked(capabilities: Any) -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await watching(client, manager, capabilities)
        editor.begin("hi")
        editor.say(TaskComplete(None))
        await editor.until_event("task_complete")
        manager.end(editor.session_id)
        client.hang_up()
        rest = await client.rest()
    assert {message["method"] for message in rest} == {"session/event"}
    assert editor.tokens == []


async def test_a_turn_that_ends_before_the_editor_has_answered_is_not_shown() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await watching(client, manager)
        editor.begin("hi")
        message = None
        with fail_after(5):
            while message is None or message["method"] != "window/workDoneProgress/create":
                message = await client.next()
        editor.say(TaskComplete(None))
        await editor.until_event("task_complete")
        await client.send({"id": message["id"], "result": None})
        editor.begin("second", turn="second")
        assert (await editor.until("begin"))["message"] == "second"
    assert [value["kind"] for value in editor.values] == ["begin"]


async def test_it_ends_with_the_session() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        manager.end(editor.session_id)
        assert (await editor.until("end"))["message"] == "interrupted"
        assert editor.events[-1] == ShutdownComplete.type


async def test_it_ends_with_the_connection() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "hi")
        client.hang_up()
        assert (await editor.until("end"))["message"] == "interrupted"
        assert await client.rest() == []
    assert client.exit_code == 0


async def test_two_sessions_are_shown_apart() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        editor = await begun(client, manager, "first")
        first = editor.session_id
        editor.session_id = await other_turn(editor)
        manager.live[first].say(TaskComplete(None), "turn")
        await editor.until("end")
        editor.say(ExecCommandBegin("1", ["ls"], "/"))
        await editor.until("report", message="ls")
    assert len(set(editor.tokens)) == 2

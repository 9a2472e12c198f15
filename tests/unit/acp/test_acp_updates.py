"""What a session announces, as the client is told of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.acp_client import text_in
from support.acp_schema import check

from codex_rpc.acp.calls import Looks
from codex_rpc.acp.content import MAX_TEXT
from codex_rpc.acp.increments import Names
from codex_rpc.acp.updates import SessionUpdates
from codex_rpc.protocol import events as ev
from codex_rpc.protocol.events import Event
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.ops import ImageInput, TextInput

TURN = SubmissionId("t1")
TERMINALS = Looks(terminals=True)
NOTICES = Looks(notices=True)

Update = dict[str, Any]


class Live:
    """A session's updates, each of which meets the schema."""

    def __init__(self, looks: Looks = Looks(), *, has_title: bool = True) -> None:  # noqa: B008
        self.of = SessionUpdates(
            cwd=lambda: Path("/w"),
            looks=looks,
            has_title=has_title,
            names=Names(0, lambda: True),
            now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )

    def __call__(self, *msgs: Any, id_: SubmissionId = TURN) -> list[Update]:
        updates = [update for msg in msgs for update in self.of.of(Event(id_, msg))]
        for update in updates:
            check("SessionUpdate", update)
        return updates


def recorded(item: dict[str, Any]) -> ev.ItemRecorded:
    return ev.ItemRecorded(Item.from_value(item))


def shell(call_id: str = "c1", *argv: str) -> ev.ItemRecorded:
    arguments = json.dumps({"command": list(argv or ("make",))})
    return recorded(
        {"type": "function_call", "name": "shell", "call_id": call_id, "arguments": arguments}
    )


def output(text: str, exit_code: int | None = 0, call_id: str = "c1") -> ev.ItemRecorded:
    told = text
    if exit_code is not None:
        metadata = {"exit_code": exit_code, "duration_seconds": 0.1}
        told = json.dumps({"output": text, "metadata": metadata})
    return recorded({"type": "function_call_output", "call_id": call_id, "output": told})


def chunk(text: str, call_id: str = "c1") -> ev.ExecCommandOutputDelta:
    return ev.ExecCommandOutputDelta(call_id, "stdout", text)


BEGIN = ev.ExecCommandBegin("c1", ["make"], "/w")
END = ev.ExecCommandEnd("c1", "", "", 0, ev.Duration(0, 0))
ASKED = ev.ExecApprovalRequest("c1", ["make"], "/w", sandbox="none", network=True, reason="why")


def kinds(updates: Sequence[Update]) -> list[str]:
    return [u["sessionUpdate"] for u in updates]


def terminal_text(updates: Sequence[Update]) -> str:
    told = [u.get("_meta", {}).get("terminal_output") for u in updates]
    return "".join(output["data"] for output in told if output)


# Messages.


def test_a_message_grows_and_what_was_not_streamed_of_it_follows() -> None:
    live = Live()
    updates = live(
        ev.AgentMessageDelta("m1", "Hel"),
        ev.AgentMessageDelta("m1", "lo"),
        ev.AgentMessage("m1", "Hello"),
        ev.AgentMessage("m2", "All at once"),
        ev.AgentMessageDelta("m3", "Some"),
        ev.AgentMessage("m3", "Some more"),
        ev.AgentMessage("m4", ""),
    )
    told = [(u["messageId"], u["content"]["text"]) for u in updates]
    assert told == [
        ("m1", "Hel"),
        ("m1", "lo"),
        ("m2", "All at once"),
        ("m3", "Some"),
        ("m3", " more"),
    ]
    assert set(kinds(updates)) == {"agent_message_chunk"}


def test_the_parts_of_a_thought_are_told_once_though_they_end_together() -> None:
    live = Live()
    updates = live(
        ev.AgentReasoningDelta("r1", 0, "one"),
        ev.AgentReasoningDelta("r1", 1, "two"),
        ev.AgentReasoning("r1", 0, "one"),
        ev.AgentReasoning("r1", 1, "two!"),
        ev.AgentReasoning("r1", 2, "three"),
    )
    assert text_in(updates, "agent_thought_chunk") == "onetwo!three"
    assert [u["messageId"] for u in updates] == ["r1.0", "r1.1", "r1.1", "r1.2"]


def test_messages_may_grow_side_by_side() -> None:
    live = Live()
    updates = live(
        ev.AgentMessageDelta("a", "1"),
        ev.AgentMessageDelta("b", "x"),
        ev.AgentMessageDelta("a", "2"),
        ev.AgentMessage("b", "xy"),
        ev.AgentMessage("a", "12"),
    )
    assert "".join(u["content"]["text"] for u in updates if u["messageId"] == "a") == "12"
    assert "".join(u["content"]["text"] for u in updates if u["messageId"] == "b") == "xy"


def test_after_a_broken_stream_the_message_is_told_from_its_beginning() -> None:
    live = Live()
    live(ev.AgentMessageDelta("m1", "Hello wor"), ev.AgentReasoningDelta("r1", 0, "hm"))
    (told,) = live(ev.StreamError("cut off", 1, 5, 100))
    assert told["sessionUpdate"] == "agent_thought_chunk"
    assert "cut off (attempt 1 of 5 follows)" in told["content"]["text"]
    updates = live(ev.AgentMessage("m1", "Hello world"), ev.AgentReasoning("r1", 0, "hm."))
    assert [u["content"]["text"] for u in updates] == ["Hello world", "hm."]


def test_what_a_turn_left_unsaid_does_not_count_for_the_next() -> None:
    live = Live()
    live(ev.TaskStarted(), ev.AgentMessageDelta("m1", "Hel"), ev.TurnAborted("interrupted"))
    assert text_in(live(ev.AgentMessage("m1", "Hello")), "agent_message_chunk") == "Hello"


# Calls.


def test_a_command_from_its_call_to_its_end() -> None:
    live = Live()
    updates = live(shell(), ASKED, BEGIN, chunk("one\n"), chunk("two\n"), output("one\ntwo\n"), END)
    call, begun, first, second, end = updates
    assert (call["sessionUpdate"], call["status"]) == ("tool_call", "pending")
    assert begun["status"] == "in_progress"
    for update, text in ((first, "one"), (second, "two")):
        assert "status" not in update
        (block,) = update["content"]
        assert block["content"]["text"] == f"```\n{text}\n```"
    assert end["status"] == "completed"
    assert end["content"][0]["content"]["text"] == "```\none\ntwo\n```"


def test_increments_of_a_terminal_are_the_output_and_nothing_else() -> None:
    live = Live(TERMINALS)
    updates = live(shell(), BEGIN, chunk("\x1b[1mone"), chunk(" two"), output("\x1b[1mone two"))
    assert terminal_text(updates) == "\x1b[1mone two"
    increments = [u for u in updates if "terminal_output" in u.get("_meta", {})]
    assert [set(u) for u in increments] == [{"sessionUpdate", "toolCallId", "_meta"}] * 2
    assert updates[-1]["_meta"]["terminal_exit"]["exit_code"] == 0


@pytest.mark.parametrize(
    ("told", "recorded_output", "rest"),
    [
        (["abc"], "abc\n[timed out after 1 ms]\n", "\n[timed out after 1 ms]\n"),
        ([], "all of it", "all of it"),
        ([], "", ""),
        (["x" * 200 + "\n"], "xx\n[... left out ...]\n" + "x" * 70 + "\n[note]\n", "[note]\n"),
        (["y" * 1000], "yy\n[... left out ...]\n" + "y" * 70, ""),
        (["denied\n", "ok\n"], "ok\n", ""),
        (["first " * 20 + "\n", "second " * 20], "second " * 20 + "\n[n]", "\n[n]"),
    ],
)
def test_what_is_recorded_behind_the_increments_is_told_last(
    told: list[str], recorded_output: str, rest: str
) -> None:
    live = Live(TERMINALS)
    updates = live(shell(), BEGIN, *map(chunk, told), output(recorded_output, 1))
    assert terminal_text(updates) == "".join(told) + rest


def test_an_output_that_was_not_streamed_is_shortened() -> None:
    live = Live(TERMINALS)
    text = terminal_text(live(shell(), BEGIN, output("a" * 100_000)))
    assert len(text) < MAX_TEXT + 100


def test_what_never_ran_has_no_terminal() -> None:
    live = Live(TERMINALS)
    updates = live(shell(), output("exec command rejected by user", None))
    assert terminal_text(updates) == ""
    assert kinds(updates) == ["tool_call", "tool_call_update"]
    assert updates[-1]["status"] == "failed"


def test_a_plan_is_a_plan_and_no_call() -> None:
    live = Live()
    steps = [{"step": "look", "status": "completed"}, {"step": "act", "status": "in_progress"}]
    call = {
        "type": "function_call",
        "name": "update_plan",
        "call_id": "c1",
        "arguments": json.dumps({"plan": steps}),
    }
    done = ev.PlanUpdate([ev.PlanStep("look", "completed")])
    (update,) = live(recorded(call), output("Plan updated", None), done)
    assert update["sessionUpdate"] == "plan"
    assert [e["status"] for e in update["entries"]] == ["completed", "in_progress"]


@pytest.mark.parametrize(
    "closing", [ev.TurnAborted("interrupted"), ev.Error("broken"), ev.TaskComplete(None)]
)
def test_calls_that_are_open_when_the_turn_ends_have_failed(closing: Any) -> None:
    live = Live()
    live(ev.TaskStarted(), shell("c1"), shell("c2"), output("", 0, "c1"))
    end, info = live(closing)
    assert (end["toolCallId"], end["status"]) == ("c2", "failed")
    assert info == {"sessionUpdate": "session_info_update", "updatedAt": "2026-01-02T03:04:05.000Z"}
    assert live(output("late", 0, "c2"), chunk("late", "c2"), BEGIN) == []


# Questions.


def test_a_question_shows_its_call() -> None:
    live = Live(TERMINALS)
    (call,) = live(shell("c1", "rm", "x"))
    for request in (ASKED, ev.ExecApprovalRequest("c1#2", [], "/", sandbox="none", network=True)):
        described = live.of.described(request)
        check("ToolCallUpdate", {"toolCallId": "c1"} | described)
        assert described["title"] == call["title"]
        assert described["rawInput"] == {"command": ["rm", "x"]}
        assert not {"content", "_meta", "status", "sessionUpdate"} & set(described)


def test_a_question_shows_the_diff() -> None:
    live = Live()
    text = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"
    item = {"type": "custom_tool_call", "name": "apply_patch", "call_id": "c1", "input": text}
    live(recorded(item))
    described = live.of.described(ev.ApplyPatchApprovalRequest("c1", {}))
    (block,) = described["content"]
    assert block == {"type": "diff", "path": "/w/a", "oldText": None, "newText": "x\n"}


def test_a_question_about_a_call_that_nobody_told_of() -> None:
    live = Live()
    command = live.of.described(ASKED)
    assert (command["title"], command["kind"]) == ("make", "execute")
    changes: ev.Changes = {
        "/w/a": ev.FileChange(add=ev.AddFile("x")),
        "/w/b": ev.FileChange(update=ev.UpdateFile("@@ -1 +1 @@\n-a\n+b\n", None)),
        "/w/c": "delete",
    }
    patch = live.of.described(ev.ApplyPatchApprovalRequest("c1", changes))
    assert [block["type"] for block in patch["content"]] == ["diff", "content", "diff"]
    assert "-a\n+b\n" in patch["content"][1]["content"]["text"]
    invocation = ev.McpInvocation("files", "remove")
    tool = live.of.described(ev.McpToolCallApprovalRequest("c1", invocation))
    assert tool["title"] == "files: remove"
    for described in (command, patch, tool):
        check("ToolCallUpdate", {"toolCallId": "c1"} | described)


def test_behind_a_question_the_call_looks_as_before() -> None:
    live = Live(TERMINALS)
    (call,) = live(shell())
    live.of.described(ASKED)
    (begun,) = live(BEGIN)
    assert (begun["status"], begun["content"]) == ("in_progress", call["content"])
    # The second run, without the sandbox, has no begin of its own.
    live(chunk("denied\n"))
    live.of.described(ASKED)
    again, more = live(chunk("ok\n"))
    assert again["content"] == call["content"]
    assert terminal_text([more]) == "ok\n"
    assert len(live(chunk("ok\n"))) == 1


# The session.


def test_tokens_are_told_with_the_size_of_the_window() -> None:
    live = Live()
    count = ev.TokenCount(10, 5, 15)
    assert live.of.usage is None
    assert live(ev.TaskStarted(None), count) == []
    assert live.of.usage == (15, None)
    (update,) = live(ev.TaskStarted(1000), count)
    assert update == {"sessionUpdate": "usage_update", "used": 15, "size": 1000}
    assert live.of.usage == (15, 1000)


def test_the_first_words_are_the_title() -> None:
    live = Live(has_title=False)
    assert live(ev.UserMessage([ImageInput("data:,")], TURN)) == []
    handed_in = TextInput('<file path="/a">\nx\n</file>')
    said = TextInput("  Fix\nthe " + "very " * 40)
    (update,) = live(ev.UserMessage([handed_in, said], TURN))
    assert update["sessionUpdate"] == "session_info_update"
    assert update["title"].startswith("Fix the very")
    assert len(update["title"]) <= 80
    assert live(ev.UserMessage([TextInput("more")], TURN)) == []
    assert Live(has_title=True)(ev.UserMessage([TextInput("more")], TURN)) == []


@pytest.mark.parametrize(
    ("msg", "severity", "said"),
    [
        (ev.BackgroundEvent("an image was left out"), "info", "image"),
        (ev.BackgroundEvent(""), "info", "…"),
        (ev.StreamError("cut off", 1, 5, 100), "warning", "cut off"),
        (ev.StorageFailed(1, "the disk is full", "/x", 3), "error", "disk"),
        (ev.StorageRecovered(3), "info", "3 records"),
        (ev.SessionTakenOver(ev.TakenOverBy(7, "host")), "warning", "Process 7 on host"),
        (ev.ContextCompacted("THE SUMMARY"), "info", "summarised"),
        (ev.Error("a server did not start"), "error", "server"),
    ],
)
def test_what_is_beside_the_conversation(msg: Any, severity: str, said: str) -> None:
    (notice,) = Live(NOTICES)(msg)
    assert (notice["sessionUpdate"], notice["severity"]) == ("notice", severity)
    assert said in notice["title"]
    assert "THE SUMMARY" not in notice["title"]
    if said != "…":
        live = Live()
        first, second = live(msg, msg)
        assert first["sessionUpdate"] == "agent_thought_chunk"
        assert said in first["content"]["text"]
        assert first["messageId"] != second["messageId"]


def test_an_error_that_closes_the_turn_is_the_answer_to_the_prompt() -> None:
    live = Live()
    live(ev.TaskStarted())
    assert kinds(live(ev.Error("broken", 1))) == ["session_info_update"]
    live(ev.TaskStarted())
    assert kinds(live(ev.Error("filtered", 1, "refusal"))) == [
        "agent_thought_chunk",
        "session_info_update",
    ]


def test_what_says_nothing_to_the_user_is_not_told() -> None:
    live = Live()
    silent = [
        ev.SessionConfigured("s", "m", 0, 0, "/x"),
        ev.TaskStarted(10),
        ev.UserMessage([TextInput("hello")], TURN),
        ASKED,
        END,
        ev.PatchApplyEnd("c1", "", "", success=True),
        ev.TurnDiff("diff"),
        ev.ShutdownComplete(),
        ev.McpListToolsResponse({}),
    ]
    assert live(*silent) == []

"""The check of frames against the Agent Client Protocol's schema finds what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from support.acp_schema import Conversation, WrongFrame, check


def request(method: str, params: Any, id_: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


def update(**members: Any) -> dict[str, Any]:
    params = {"sessionId": "s", "update": members}
    return {"jsonrpc": "2.0", "method": "session/update", "params": params}


def answer(result: Any, id_: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "result": result}


NEW = request("session/new", {"cwd": "/", "mcpServers": []})
ASKING = {
    "sessionId": "s",
    "toolCall": {"toolCallId": "c", "status": "pending"},
    "options": [{"optionId": "a", "name": "A", "kind": "allow_once"}],
}
CALL = {"sessionUpdate": "tool_call", "toolCallId": "c", "title": "t"}
DIFF = {"type": "diff", "path": "/a", "oldText": None, "newText": ""}


def test_a_conversation_as_it_should_be() -> None:
    frames = Conversation()
    frames.from_client(NEW)
    frames.from_agent(answer({"sessionId": "s"}))
    frames.from_agent(update(**CALL, content=[DIFF], rawInput={"any": 1}, _meta={"any": 1}))
    frames.from_agent(request("session/request_permission", ASKING, 7))
    outcome = {"outcome": {"outcome": "selected", "optionId": "a"}}
    frames.from_client(answer(outcome, 7))
    frames.from_agent({"jsonrpc": "2.0", "method": "$/cancel_request", "params": {"requestId": 7}})


@pytest.mark.parametrize(
    "frame",
    [
        [],
        {"id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": {"message": "no code"}},
        answer({}),
        answer({"sessionId": "s", "more": 1}),
        answer({"sessionId": "s"}, 2),
        update(sessionUpdate="tool_call", toolCallId="c"),
        update(sessionUpdate="no_such_update"),
        update(**CALL, kind="dance"),
        update(**CALL, more=1),
        update(**CALL, locations=[{"path": "/a", "column": 1}]),
        update(**CALL, content=[{**DIFF, "more": 1}]),
        update(**CALL, content=[{"type": "text", "text": "no block of a call"}]),
        update(sessionUpdate="agent_message_chunk", content="no block"),
        request("session/request_permission", {**ASKING, "options": [{"name": "A"}]}),
        request("session/new", {"cwd": "/", "mcpServers": []}),
        request("no/such/method", {}),
        {"jsonrpc": "2.0", "method": "session/prompt", "params": {}},
    ],
    ids=str,
)
def test_a_wrong_frame_of_the_agent_is_found(frame: Any) -> None:
    frames = Conversation()
    frames.from_client(NEW)
    with pytest.raises(WrongFrame):
        frames.from_agent(frame)


@pytest.mark.parametrize(
    "frame",
    [
        request("session/new", {"cwd": "/"}),
        request("session/update", {}),
        request("session/prompt", {"sessionId": "s", "prompt": ["text"]}),
        answer({"outcome": {"outcome": "perhaps"}}, 7),
        answer({}, 7),
        answer({"outcome": {"outcome": "cancelled"}}, 8),
    ],
    ids=str,
)
def test_a_wrong_frame_of_the_client_is_found(frame: Any) -> None:
    frames = Conversation()
    frames.from_agent(request("session/request_permission", ASKING, 7))
    with pytest.raises(WrongFrame):
        frames.from_client(frame)


def test_an_answer_answers_once() -> None:
    frames = Conversation()
    frames.from_client(NEW)
    frames.from_agent(answer({"sessionId": "s"}))
    with pytest.raises(WrongFrame):
        frames.from_agent(answer({"sessionId": "s"}))


def test_a_single_type_is_checked_too() -> None:
    check("ToolCallLocation", {"path": "/a", "line": 1})
    with pytest.raises(WrongFrame):
        check("ToolCallLocation", {"line": 1})

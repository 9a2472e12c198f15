"""Messages that have the same names live and loaded; and a load that comes too early."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.acp_client import agent, conversation, prompt_of
from support.client import RpcError
from support.conversation import call_events, completed, text_events, write_config
from support.model_server import ModelServer

Responses = list[dict[str, Any]]


def chat_events(n: int, *deltas: dict[str, Any], id_: str | None = None) -> dict[str, Any]:
    """The n-th answer of a chat completions server."""
    chunk = {"id": id_ or f"chatcmpl-{n}", "object": "chat.completion.chunk", "model": "m"}
    reason = "tool_calls" if any("tool_calls" in delta for delta in deltas) else "stop"
    events = [{**chunk, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    lines = [{"raw": f"data: {json.dumps(event)}\n\n"} for event in events]
    return {"events": [*lines, {"raw": "data: [DONE]\n\n"}]}


def nameless(n: int, *, streamed: bool) -> dict[str, Any]:
    """The n-th response: a message without an id."""
    content = [{"type": "output_text", "text": f"Answer {n}."}]
    item = {"type": "message", "role": "assistant", "content": content}
    deltas = [
        {"type": "response.output_text.delta", "delta": "Answer "},
        {"type": "response.output_text.delta", "delta": f"{n}."},
    ]
    done = {"type": "response.output_item.done", "item": item}
    return {"events": [*(deltas if streamed else ()), done, completed(n)]}


async def spoken(home: Path, responses: Responses, **settings: str) -> list[dict[str, Any]]:
    """Two turns, which another process loads as they were; the conversation."""
    async with ModelServer({"responses": responses}) as model:
        write_config(home, model.url)
        folder = home / ".codex"
        config = (folder / "config.toml").read_text()
        lines = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
        (folder / "config.toml").write_text(config + lines)
        async with agent(home) as client:
            await client.initialize()
            session = await client.new(home)
            turns = [await client.prompt(session, text) for text in ("one", "two")]
            live = conversation([update for turn in turns for update in turn.updates])
            await client.request("session/close", {"sessionId": session})
        async with agent(home) as client:
            await client.initialize()
            assert conversation(await client.load(session, home)) == live
    return live


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_messages_without_ids_stay_apart_and_keep_the_names_they_are_given(
    tmp_path: Path, streamed: bool
) -> None:
    told = await spoken(tmp_path, [nameless(n, streamed=streamed) for n in (1, 2)])
    assert [u["content"]["text"] for u in told] == ["Answer 1.", "Answer 2."]
    assert len({u["messageId"] for u in told}) == 2


@pytest.mark.parametrize("id_", [None, "chatcmpl-1"], ids=["one id each", "always the same id"])
async def test_a_chat_completions_model_is_loaded_as_it_was_streamed(
    tmp_path: Path, id_: str | None
) -> None:
    thinking = {"role": "assistant", "reasoning_content": "Well."}
    responses = [
        chat_events(1, thinking, {"content": "Hel"}, {"content": "lo."}, id_=id_),
        chat_events(2, {"content": "Two."}, id_=id_),
    ]
    told = await spoken(tmp_path, responses, wire_api="chat")
    assert [u["content"]["text"] for u in told] == ["Well.", "Hello.", "Two."]
    assert len({u["messageId"] for u in told}) == 3


async def test_thoughts_words_and_calls_of_a_chat_completions_model_keep_their_names(
    tmp_path: Path,
) -> None:
    def thinking(text: str) -> dict[str, Any]:
        return {"reasoning_content": text}

    def call(index: int, id_: str, script: str) -> dict[str, Any]:
        arguments = json.dumps({"command": ["bash", "-c", script]})
        function = {"name": "shell", "arguments": arguments}
        given = {"index": index, "id": id_, "type": "function", "function": function}
        return {"tool_calls": [given]}

    responses = [
        chat_events(
            1,
            thinking("First "),
            thinking("I look."),
            {"content": "Look"},
            {"content": "ing."},
            call(0, "call_a", "echo a"),
            call(1, "call_b", "exit 3"),
        ),
        chat_events(2, call(0, "call_c", "echo c")),
        chat_events(3, thinking("Well."), {"content": "Done."}),
        chat_events(4, {"content": "More."}, call(0, "call_d", "true")),
        chat_events(5, {"content": "The end."}),
    ]
    told = await spoken(tmp_path, responses, wire_api="chat")
    ids = [u["messageId"] for u in told if "messageId" in u]
    assert len(ids) == len(set(ids))
    assert [u["content"]["text"] for u in told if "messageId" in u] == [
        "First I look.",
        "Looking.",
        "Well.",
        "Done.",
        "More.",
        "The end.",
    ]


async def test_a_session_whose_turn_runs_is_loaded_when_it_has_ended(tmp_path: Path) -> None:
    waiting = call_events(1, ["bash", "-c", "until [ -e go ]; do sleep 0.02; done"])
    async with ModelServer({"responses": [waiting, text_events(2, "Done.")]}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            prompt = await client.start("session/prompt", prompt_of(session, "go"))
            await client.wait_update("tool_call_update", status="in_progress")
            params = {"sessionId": session, "cwd": str(tmp_path), "mcpServers": []}
            with pytest.raises(RpcError, match="a turn is running") as raised:
                await client.request("session/load", params)
            assert raised.value.code == 1007
            # Nothing was told of it, least of all that the command has come to nothing.
            live = client.updates(session)
            assert [u["status"] for u in live if "status" in u] == ["pending", "in_progress"]
            (tmp_path / "go").write_text("")
            assert (await client.answer_to(prompt))["result"]["stopReason"] == "end_turn"
            live = conversation(client.updates(session))
            assert conversation(await client.load(session, tmp_path)) == live

"""Conversations of the real process with a server that speaks Chat Completions."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from support.chat import chat_calls, chat_text, chunk, conversation_in
from support.client import Client, running
from support.conversation import call_events, conversation_of, text_events, text_of, write_config
from support.model_server import ModelServer
from support.saved import items_of

CHAT = """
[model_providers.chat]
name = "Chat"
base_url = "{url}"
wire_api = "chat"
stream_max_retries = 2
"""

FULL = {
    "status": 400,
    "body": {
        "error": {
            "code": 400,
            "message": "request (20030 tokens) exceeds the available context size (16384 tokens)",
            "type": "exceed_context_size_error",
        }
    },
}

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def configure(home: Path, url: str, **settings: str) -> None:
    """Both dialects at the same server; the chat one is chosen."""
    write_config(home, url, **{"model_provider": '"chat"', **settings})
    with (home / ".codex/config.toml").open("a") as file:
        file.write(CHAT.format(url=url))


async def opened(client: Client, home: Path) -> str:
    session_id: str = (await client.request("session/configure", {"cwd": str(home)}))["sessionId"]
    return session_id


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["msg"]["type"] for event in events]


def said(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event["msg"] for event in events if event["msg"]["type"] == kind]


async def test_a_conversation_with_several_calls_and_its_resume(tmp_path: Path) -> None:
    responses = [
        chat_calls(("a", ["echo", "one"]), ("b", ["echo", "two"])),
        chat_text("all ", "done"),
        chat_text("again"),
    ]
    async with ModelServer({"responses": responses}) as model:
        configure(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await opened(client, tmp_path)
            events = await client.turn(session, "go")
            assert [e["call_id"] for e in said(events, "exec_command_end")] == ["a", "b"]
            assert "".join(e["delta"] for e in said(events, "agent_message_delta")) == "all done"
            assert events[-1]["msg"]["last_agent_message"] == "all done"
            assert [e["total_tokens"] for e in said(events, "token_count")] == [15, 15]
            client.kill()
            await client.wait_for_end()
        async with running(tmp_path) as client:
            await client.request("session/resume", {"last": True})
            assert (await client.turn(session, "more"))[-1]["msg"]["last_agent_message"] == "again"
    first, second, third = model.requests
    assert first["path"] == "/v1/chat/completions"
    assert first["body"]["stream_options"] == {"include_usage": True}
    assert [t["function"]["name"] for t in first["body"]["tools"]][:2] == ["shell", "apply_patch"]
    sent = conversation_in(second)
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "assistant", "tool"]
    assert [m.get("tool_call_id") for m in sent[2::2]] == ["a", "b"]
    assert json.loads(sent[2]["content"])["output"] == "one\n"
    after = conversation_in(third)
    assert after[: len(sent)] == sent
    assert after[len(sent) :] == [
        {"role": "assistant", "content": "all done"},
        {"role": "user", "content": "more"},
    ]


async def test_an_approved_command_runs_and_a_denied_one_does_not(tmp_path: Path) -> None:
    calls = chat_calls(("a", ["touch", "yes"]), ("b", ["touch", "no"]))
    async with ModelServer({"responses": [calls, chat_text("ok")]}) as model:
        configure(tmp_path, model.url, approval_policy='"untrusted"')
        async with running(tmp_path) as client:
            session = await opened(client, tmp_path)
            submission = await client.say(session, "go")
            for call_id, decision in (("a", "approved"), ("b", "denied")):
                await client.wait_event("exec_approval_request", call_id=call_id)
                answer = {"type": "exec_approval", "id": call_id, "decision": decision}
                await client.submit(session, answer)
            _, closing = await client.wait_event("task_complete")
            assert closing["id"] == submission
    assert (tmp_path / "yes").exists()
    assert not (tmp_path / "no").exists()


async def test_a_call_that_was_cut_off_is_not_run_and_the_model_is_told(tmp_path: Path) -> None:
    cut = {"index": 0, "id": "a", "function": {"name": "shell", "arguments": '{"command": ["tou'}}
    responses = [
        {"events": [chunk({"tool_calls": [cut]}), chunk({}, "length")]},
        chat_text("I see"),
    ]
    async with ModelServer({"responses": responses}) as model:
        configure(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await opened(client, tmp_path)
            events = await client.turn(session, "go")
    assert kinds(events)[-1] == "task_complete"
    assert "exec_command_begin" not in kinds(events)
    assert any("cut off" in e["message"] for e in said(events, "background_event"))
    _, call, output = conversation_in(model.requests[1])
    (function,) = [c["function"] for c in call["tool_calls"]]
    # Servers that take arguments apart get something that can be.
    assert json.loads(function["arguments"]) == {"arguments": '{"command": ["tou'}
    assert output["content"].startswith("not run: your answer reached the limit")


async def test_what_the_content_filter_stops_is_an_error_and_the_text_before_it_stays(
    tmp_path: Path,
) -> None:
    filtered = {"events": [chunk({"content": "Once upon"}), chunk({}, "content_filter")]}
    async with ModelServer({"responses": [filtered, chat_text("ok")]}) as model:
        configure(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await opened(client, tmp_path)
            events = await client.turn(session, "go")
            assert said(events, "agent_message")[0]["message"] == "Once upon"
            assert "content filter" in events[-1]["msg"]["message"]
            assert kinds(events)[-1] == "error"
            assert kinds(await client.turn(session, "else"))[-1] == "task_complete"


async def test_reasoning_is_shown_and_kept_but_not_sent_back(tmp_path: Path) -> None:
    thinking = chunk({"reasoning_content": "hm, "})
    response = chat_text("yes")
    response["events"][1:1] = [thinking, chunk({"reasoning_content": "so"})]
    async with ModelServer({"responses": [response, chat_text("ok")]}) as model:
        configure(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await opened(client, tmp_path)
            events = await client.turn(session, "go")
            assert said(events, "agent_reasoning")[0]["text"] == "hm, so"
            await client.turn(session, "more")
            saved = await items_of(client, session)
    assert [i["type"] for i in saved] == ["message", "reasoning"] + ["message"] * 3
    assert "hm, so" not in json.dumps(model.requests[1]["body"])


async def test_an_interrupt_and_a_sigkill_in_mid_stream_lose_only_what_was_not_announced(
    tmp_path: Path,
) -> None:
    held = chat_text("begun", "never")
    held["events"].insert(2, {"hold": "for ever"})
    async with ModelServer({"responses": [held, held, chat_text("ok")]}) as model:
        configure(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await opened(client, tmp_path)
            await client.say(session, "first")
            index, _ = await client.wait_event("agent_message_delta")
            await client.submit(session, {"type": "interrupt"})
            await client.wait_event("turn_aborted")
            assert (await model.answer(1))["peer_closed"]
            await client.say(session, "second")
            await client.wait_event("agent_message_delta", start=index + 1)
            client.kill()
            await client.wait_for_end()
        async with running(tmp_path) as client:
            await client.request("session/resume", {"last": True})
            await client.turn(session, "third")
    (sent,) = conversation_in(model.requests[2])
    assert [text in sent["content"] for text in ("first", "second", "third")] == [True] * 3
    assert "begun" not in sent["content"]


async def test_images_go_along(tmp_path: Path) -> None:
    (tmp_path / "pixel.png").write_bytes(PIXEL)
    async with ModelServer({"responses": [chat_text("a pixel")]}) as model:
        configure(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await opened(client, tmp_path)
            items = [
                {"type": "text", "text": "what is it?"},
                {"type": "local_image", "path": "pixel.png"},
            ]
            await client.submit(session, {"type": "user_input", "items": items})
            await client.wait_event("task_complete")
    (message,) = conversation_in(model.requests[0])
    text, image = message["content"]
    assert text["text"].endswith("what is it?")
    assert image["type"] == "image_url"
    assert image["image_url"]["url"].startswith("data:image/png;base64,")


async def test_a_session_moves_between_the_dialects_and_back_without_loss(tmp_path: Path) -> None:
    responses = [
        call_events(1, ["echo", "one"]),
        text_events(2, "first"),
        chat_calls(("b", ["echo", "two"])),
        chat_text("second"),
        text_events(5, "third"),
    ]
    async with ModelServer({"responses": responses}) as model:
        configure(tmp_path, model.url, model_provider='"loopback"')
        async with running(tmp_path) as client:
            session = await opened(client, tmp_path)
            await client.turn(session, "1")
            assert await client.close_stdin() == 0
        for provider in ("chat", "loopback"):
            async with running(tmp_path) as client:
                params = {"sessionId": session, "modelProvider": provider}
                await client.request("session/resume", params)
                closing = (await client.turn(session, provider))[-1]["msg"]
                assert closing["type"] == "task_complete"
    roles = [m["role"] for m in conversation_in(model.requests[3])]
    assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant", "tool"]
    back = conversation_of(model.requests[4])
    assert [item["type"] for item in back] == [
        *("message", "function_call", "function_call_output", "message"),
        *("message", "function_call", "function_call_output", "message", "message"),
    ]
    assert [text_of(i) for i in back if i["type"] == "message"] == [
        *("1", "first", "chat", "second", "loopback"),
    ]


@pytest.mark.parametrize("wire_api", ["chat", "responses"])
async def test_a_context_that_is_exceeded_is_compacted_once_and_asked_again(
    tmp_path: Path, wire_api: str
) -> None:
    def text(n: int, content: str) -> dict[str, Any]:
        return chat_text(content) if wire_api == "chat" else text_events(n, content)

    responses = [
        *(text(1, "one"), FULL, text(3, "SUMMARY"), text(4, "two")),
        *(FULL, text(6, "SUMMARY"), FULL, text(8, "three")),
    ]
    async with ModelServer({"responses": responses}) as model:
        configure(tmp_path, model.url)
        provider = {"chat": "chat", "responses": "loopback"}[wire_api]
        async with running(tmp_path) as client:
            params = {"cwd": str(tmp_path), "modelProvider": provider}
            session = (await client.request("session/configure", params))["sessionId"]
            await client.turn(session, "first")
            events = await client.turn(session, "second")
            assert kinds(events).count("context_compacted") == 1
            assert kinds(events)[-1] == "task_complete"
            events = await client.turn(session, "third")
            assert kinds(events).count("context_compacted") == 1
            assert [e["message"].count("too long") for e in said(events, "error")] == [1]
            # Neither is it tried a third time, nor is the session lost.
            assert len(model.requests) == 7
            assert kinds(await client.turn(session, "fourth"))[-1] == "task_complete"


@pytest.mark.parametrize("wire_api", ["chat", "responses"])
async def test_a_context_that_even_its_summary_exceeds_is_an_error(
    tmp_path: Path, wire_api: str
) -> None:
    text = chat_text("one") if wire_api == "chat" else text_events(1, "one")
    async with ModelServer({"responses": [text], "default": FULL}) as model:
        configure(tmp_path, model.url)
        provider = {"chat": "chat", "responses": "loopback"}[wire_api]
        async with running(tmp_path) as client:
            params = {"cwd": str(tmp_path), "modelProvider": provider}
            session = (await client.request("session/configure", params))["sessionId"]
            await client.turn(session, "first")
            events = await client.turn(session, "second")
            assert kinds(events)[-1] == "error"
            assert "too long" in events[-1]["msg"]["message"]
            assert kinds(events).count("error") == 1

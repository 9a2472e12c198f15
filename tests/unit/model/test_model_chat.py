"""Chat Completions through a real server on loopback: from a prompt to bytes and back."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from model_support import a_client, a_config, a_prompt, a_provider, ask, text_of
from support.chat import DONE, chat_calls, chat_text, chunk
from support.model_server import ModelServer

from codex_rpc.model.chat import CHAT
from codex_rpc.model.client import HttpModel
from codex_rpc.protocol.errors import ContextFull, ModelError, StreamInterrupted
from codex_rpc.protocol.items import Item, call_output, text_message
from codex_rpc.protocol.model import (
    ItemDone,
    ModelEvent,
    ResponseCompleted,
    TextDelta,
    Usage,
)


def client_of(
    server: ModelServer, *, config: dict[str, Any] | None = None, **more: Any
) -> HttpModel:
    return a_client(a_config(a_provider(server.url, **more), **(config or {})), CHAT)


def items_of(events: list[ModelEvent]) -> list[Item]:
    return [event.item for event in events if isinstance(event, ItemDone)]


async def test_a_text_comes_back_in_pieces_and_whole() -> None:
    async with ModelServer({"default": chat_text("Hel", "lo")}) as server:
        client = client_of(server)
        events = await ask(client)
        await client.aclose()
    assert text_of(events) == "Hello"
    (item,) = items_of(events)
    assert item.value()["content"][0]["text"] == "Hello"
    assert events[-1] == ResponseCompleted("chatcmpl-1", Usage(10, 5, 15))


async def test_the_items_of_an_answer_can_be_sent_again() -> None:
    script = {"responses": [chat_calls(("a", ["ls"]), ("b", ["pwd"])), chat_text("Done.")]}
    async with ModelServer(script) as server:
        client = client_of(server)
        calls = items_of(await ask(client))
        history = [text_message("go")]
        for call in calls:
            history += [call, call_output(call, f"output of {call.call_id}")]
        assert text_of(await ask(client, a_prompt(history))) == "Done."
        await client.aclose()
    assert [message["role"] for message in server.requests[1]["body"]["messages"]] == [
        *("system", "user", "assistant", "tool", "assistant", "tool")
    ]
    first = server.requests[1]["body"]["messages"][2]["tool_calls"][0]
    assert first["id"] == "a"
    assert json.loads(first["function"]["arguments"]) == {"command": ["ls"]}


async def test_a_request_arrives_as_it_was_meant() -> None:
    async with ModelServer({"default": chat_text("hi")}) as server:
        client = client_of(
            server, api_key_header="Api-Key", query_params={"api-version": "1"}, id="azure"
        )
        await ask(client, a_prompt([text_message("ü" * 1000)] * 200))
        await client.aclose()
    (request,) = server.requests
    assert request["path"] == "/v1/chat/completions?api-version=1"
    assert request["headers"]["api-key"] == "sk-secret"
    assert not {"authorization", "transfer-encoding", "openai-beta"} & set(request["headers"])
    assert len(request["body"]["messages"]) == 2
    assert request["body"]["messages"][1]["content"].count("ü") == 200_000


@pytest.mark.parametrize("last", [[DONE], [], [chunk(usage={"prompt_tokens": 1})]])
async def test_a_stream_ends_however_its_server_ends_streams(last: list[Any]) -> None:
    events = [chunk({"content": "Hi"}), chunk({}, "stop"), *last]
    async with ModelServer({"default": {"events": events}}) as server:
        client = client_of(server)
        assert isinstance((await ask(client))[-1], ResponseCompleted)
        await client.aclose()


async def test_a_server_that_neither_says_done_nor_closes_is_left_with_its_usage() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    events = [chunk({"content": "Hi"}), chunk({}, "stop"), chunk(usage=usage), {"hold": "open"}]
    async with ModelServer({"default": {"events": events}}) as server:
        client = client_of(server)
        assert (await ask(client))[-1] == ResponseCompleted("chatcmpl-1", Usage(1, 2, 3))
        await client.aclose()


@pytest.mark.parametrize("end", [[], [{"disconnect": True}]])
async def test_a_stream_that_breaks_off_leaves_no_items(end: list[Any]) -> None:
    events = [*chat_calls(("a", ["ls"]))["events"][:-4], chunk({"content": "Hel"}), *end]
    seen: list[ModelEvent] = []
    async with ModelServer({"default": {"events": events}}) as server:
        client = client_of(server)
        with anyio.fail_after(5):
            async with client.stream(a_prompt()) as stream:
                seen.append(await anext(stream))
                with pytest.raises(StreamInterrupted) as raised:
                    seen.append(await anext(stream))
        await client.aclose()
    assert raised.value.retryable
    assert text_of(seen) == "Hel"
    assert not items_of(seen)


async def test_an_answer_that_was_whole_counts_though_the_connection_breaks() -> None:
    events = [*chat_text("Hi")["events"][:-2], {"disconnect": True}]
    async with ModelServer({"default": {"events": events}}) as server:
        client = client_of(server)
        with anyio.fail_after(5):
            told = [type(event) for event in await ask(client)]
            assert told == [TextDelta, ItemDone, ResponseCompleted]
        await client.aclose()


async def test_an_error_is_told_whether_it_comes_first_or_in_the_middle() -> None:
    error = {"message": "too long", "code": 400, "type": "exceed_context_size_error"}
    middle = [chunk({"content": "Hel"}), {"raw": f"data: {json.dumps({'error': error})}\n\n"}]
    script = {"responses": [{"status": 400, "body": {"error": error}}, {"events": middle}]}
    async with ModelServer(script) as server:
        client = client_of(server)
        for _ in range(2):
            with pytest.raises(ModelError) as raised:
                await ask(client)
            assert type(raised.value) is ContextFull
        await client.aclose()


async def test_cancelling_closes_the_connection() -> None:
    async with ModelServer(
        {"default": {"events": [chunk({"content": "a"}), {"hold": "open"}]}}
    ) as server:
        client = client_of(server)
        with anyio.fail_after(5):
            with anyio.CancelScope() as scope:
                async with client.stream(a_prompt()) as events:
                    await anext(events)
                    scope.cancel()
                    await anyio.sleep_forever()
            assert (await server.answer(1))["peer_closed"]
        await client.aclose()

"""What the session loop relies on, held against every model client and the fake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from model_support import (
    a_client,
    a_config,
    a_prompt,
    ask,
    sse,
    streaming,
)
from support.chat import DONE, chat_text, chunk
from support.fakes import FakeModel, call, message
from support.model_server import completed, message_events

from codex_rpc.core.ports import ModelClient
from codex_rpc.model.chat import CHAT
from codex_rpc.model.script import Failure, Output, Response, Script, Text
from codex_rpc.model.scripted import ScriptedModel
from codex_rpc.protocol.errors import StreamInterrupted
from codex_rpc.protocol.model import ItemDone, ResponseCompleted, TextDelta

CALL = {"type": "function_call", "call_id": "call_1", "name": "tool", "arguments": "{}"}


def responses() -> ModelClient:
    item_done = {"type": "response.output_item.done", "item": CALL}
    content = sse(*message_events("Hello"), item_done, completed())
    return a_client(a_config(), transport=streaming([content]))


def broken_responses() -> ModelClient:
    return a_client(a_config(), transport=streaming([sse(*message_events("Hello"))]))


def chat_client(events: list[dict[str, Any]]) -> ModelClient:
    return a_client(a_config(), CHAT, transport=streaming([sse(*events)]))


def chat() -> ModelClient:
    function = {"name": "tool", "arguments": "{}"}
    fragment = {"index": 0, "id": "call_1", "function": function}
    call = chunk({"tool_calls": [fragment]})
    return chat_client([chunk({"content": "Hello"}), call, chunk({}, "tool_calls"), DONE])


def broken_chat() -> ModelClient:
    error = {"message": "overheated"}
    return chat_client([*chat_text("Hello")["events"][:-2], chunk(error=error)])


def scripted() -> ModelClient:
    response = Response((Text(("Hello",), 0), Output(CALL)))
    return ScriptedModel(a_config(), Script((response,)))


def broken_scripted() -> ModelClient:
    response = Response((Text(("Hello",), 0), Failure("interrupted", "gone", None, 1)))
    return ScriptedModel(a_config(), Script((response,)))


HELLO: list[Any] = [TextDelta("msg_1", "Hello"), ItemDone(message("Hello"))]


def fake() -> Any:
    return FakeModel([[*HELLO, ItemDone(call("call_1")), ResponseCompleted("resp_1", None)]])


def broken_fake() -> Any:
    return FakeModel([[*HELLO, StreamInterrupted("gone")]])


@pytest.fixture(params=[responses, chat, scripted, fake])
def model(request: pytest.FixtureRequest) -> ModelClient:
    make: Callable[[], ModelClient] = request.param
    return make()


@pytest.fixture(params=[broken_responses, broken_chat, broken_scripted, broken_fake])
def broken(request: pytest.FixtureRequest) -> ModelClient:
    make: Callable[[], ModelClient] = request.param
    return make()


async def test_a_response_is_events_up_to_its_completion(model: ModelClient) -> None:
    delta, said, called, end = await ask(model)
    assert isinstance(delta, TextDelta)
    assert isinstance(said, ItemDone)
    assert isinstance(called, ItemDone)
    assert isinstance(end, ResponseCompleted)
    assert said.item.kind == "message"
    assert delta.item_id in (said.item_id, said.item.value().get("id"))
    assert called.item.is_call


async def test_an_error_comes_after_the_events_before_it(broken: ModelClient) -> None:
    with anyio.fail_after(5):
        async with broken.stream(a_prompt()) as events:
            assert isinstance(await anext(events), TextDelta)
            assert isinstance(await anext(events), ItemDone)
            with pytest.raises(StreamInterrupted) as raised:
                await anext(events)
    assert raised.value.retryable


async def test_a_stream_can_be_left_at_any_time(model: ModelClient) -> None:
    with anyio.fail_after(5):
        async with model.stream(a_prompt()) as events:
            await anext(events)
    await model.aclose()


async def test_a_stream_can_be_cancelled(model: ModelClient) -> None:
    with anyio.fail_after(5), anyio.CancelScope() as scope:
        async with model.stream(a_prompt()) as events:
            await anext(events)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_what_the_caller_raises_comes_out_as_it_is(model: ModelClient) -> None:
    mine = LookupError("mine")
    with pytest.raises(LookupError) as raised:
        async with model.stream(a_prompt()):
            raise mine
    assert raised.value is mine


async def test_a_client_can_be_prepared_and_closed_at_any_time(model: ModelClient) -> None:
    with anyio.fail_after(5):
        await model.prepare()
        await model.prepare()
        await model.aclose()
        await model.aclose()


async def test_the_properties_are_there(model: ModelClient) -> None:
    assert isinstance(model.stores_responses, bool)
    assert model.max_retries >= 0
    assert (model.context_window("m") or 1) > 0


@pytest.mark.parametrize("make", [responses, chat, scripted, FakeModel])
async def test_a_client_tells_its_models_or_none_and_never_fails(
    make: Callable[[], ModelClient],
) -> None:
    client = make()
    with anyio.fail_after(5):
        assert all(isinstance(name, str) for name in await client.models())
        await client.aclose()

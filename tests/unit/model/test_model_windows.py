"""What is known of context windows: who is asked, how often, and what the user hears."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from model_support import HELLO, Chunks, a_client, a_config, a_prompt, a_provider, ask

from codex_rpc.config.families import SAFE_CONTEXT_WINDOW
from codex_rpc.config.settings import LocalServer, Provider
from codex_rpc.model import windows
from codex_rpc.model.client import HttpModel
from codex_rpc.protocol.model import ModelEvent, ModelNotice

LOCAL = LocalServer(start="start it", install="https://local.test", add_model="add {model}")

Told = Callable[[], httpx.Response | Awaitable[httpx.Response]]


class Server:
    """Streams an answer to every prompt, and tells of its models what it is given to tell."""

    def __init__(self, *told: Any) -> None:
        """`told` are the windows that it tells one after the other, the last one ever after;
        an exception is raised instead, and None is a 404."""
        self._told = list(told)
        self.asked = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, stream=Chunks([HELLO]))
        self.asked += 1
        told = self._told.pop(0) if len(self._told) > 1 else self._told[0]
        if isinstance(told, Exception):
            raise told
        if told is None:
            return httpx.Response(404)
        if told == "silence":
            await anyio.sleep_forever()
        return httpx.Response(200, json={"data": [{"id": "mine", "max_model_len": told}]})

    def client(self, provider: Provider | None = None, **settings: Any) -> HttpModel:
        settings = {"model": "mine", "model_context_window": None, **settings}
        config = a_config(provider, **settings)
        return a_client(config, transport=httpx.MockTransport(self))


async def notices(client: HttpModel, model: str = "mine") -> list[str]:
    """What the user hears with one answer."""
    events = await ask(client, a_prompt(model=model))
    found = [event.message for event in events if isinstance(event, ModelNotice)]
    is_first: list[ModelEvent] = [event for event in events[:1] if isinstance(event, ModelNotice)]
    assert len(is_first) == len(found)
    return found


async def test_a_server_is_asked_once_and_before_the_first_request() -> None:
    server = Server(16_384)
    client = server.client()
    assert client.context_window("mine") == SAFE_CONTEXT_WINDOW
    await client.prepare()
    assert client.context_window("mine") == 16_384
    await client.prepare()
    assert await notices(client) == await notices(client) == []
    assert server.asked == 1


async def test_a_client_that_was_not_prepared_asks_with_its_first_request() -> None:
    server = Server(16_384)
    client = server.client()
    assert await notices(client) == []
    assert client.context_window("mine") == 16_384
    await ask(client, a_prompt(model="mine"))
    assert server.asked == 1


async def test_a_guess_is_told_once() -> None:
    server = Server(None)
    client = server.client()
    (notice,) = await notices(client)
    for word in ("mine", "32,768", "model_context_window"):
        assert word in notice
    assert await notices(client) == []
    assert server.asked == 1
    (other,) = await notices(client, "another")
    assert "another" in other
    assert client.context_window("another") == SAFE_CONTEXT_WINDOW


async def test_a_model_that_is_known_by_name_needs_no_notice() -> None:
    server = Server(None)
    client = server.client(model="gpt-5")
    assert await notices(client, "gpt-5") == []
    assert client.context_window("gpt-5") == 272_000
    assert server.asked == 1


async def test_what_a_server_tells_counts_before_the_name() -> None:
    client = Server(16_384).client(model="gpt-5")
    await ask(client, a_prompt(model="gpt-5"))
    assert client.context_window("gpt-5") == 16_384


@pytest.mark.parametrize(
    ("provider", "model", "window"),
    [
        (a_provider(), "mine", 5_000),
        (a_provider(id="openai"), "gpt-5", None),
        (a_provider(id="azure"), "gpt-5", None),
    ],
)
async def test_nobody_is_asked_what_is_known(
    provider: Provider, model: str, window: int | None
) -> None:
    server = Server(16_384)
    client = server.client(provider, model=model, model_context_window=window)
    await client.prepare()
    assert await notices(client, model) == []
    assert server.asked == 0
    assert client.context_window(model) == (window or 272_000)


async def test_an_unknown_deployment_of_a_vendor_is_asked_for() -> None:
    server = Server(16_384)
    client = server.client(a_provider(id="azure"))
    await client.prepare()
    assert (server.asked, client.context_window("mine")) == (1, 16_384)


async def test_a_server_that_was_not_there_is_asked_again_with_the_first_request() -> None:
    server = Server(httpx.ConnectError("refused"), 16_384)
    client = server.client()
    await client.prepare()
    assert client.context_window("mine") == SAFE_CONTEXT_WINDOW
    assert await notices(client) == []
    assert client.context_window("mine") == 16_384
    assert server.asked == 2


async def test_a_local_server_is_asked_again_when_it_has_loaded_the_model() -> None:
    server = Server(4_096, 4_096, 16_384)
    client = server.client(a_provider(local=LOCAL))
    await client.prepare()
    await ask(client, a_prompt(model="mine"))
    assert client.context_window("mine") == 4_096
    for _ in range(3):
        await ask(client, a_prompt(model="mine"))
    assert client.context_window("mine") == 16_384
    assert server.asked == 3


async def test_what_was_told_once_is_not_forgotten() -> None:
    client = Server(4_096, None).client(a_provider(local=LOCAL))
    for _ in range(3):
        await ask(client, a_prompt(model="mine"))
    assert client.context_window("mine") == 4_096


async def test_a_request_does_not_wait_for_a_server_that_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(windows, "MAX_WAIT_S", 0.02)
    server = Server("silence")
    client = server.client()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            # It holds the question, so that the request has to wait for both.
            group.start_soon(client.prepare)
            await anyio.wait_all_tasks_blocked()
            assert len(await notices(client)) == 1
            group.cancel_scope.cancel()
        assert await notices(client) == []
    assert server.asked == 1

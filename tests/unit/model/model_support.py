"""What the tests of the model room share: configurations, prompts, and streams of chosen bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx
from support.model_server import completed, encoded, message_events

from codex_rpc.config.settings import Config, Provider
from codex_rpc.model.client import HttpModel
from codex_rpc.model.dialect import Dialect
from codex_rpc.model.responses import RESPONSES
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import Item, text_message
from codex_rpc.protocol.model import ModelEvent, Prompt, TextDelta

HOME = Path("/home/me/.codex")


def a_config(provider: Provider | None = None, **settings: Any) -> Config:
    return Config(
        **{
            "codex_home": HOME,
            "cwd": Path("/tmp"),
            "model": "gpt-5",
            "provider": provider or a_provider(),
            # Configured, so that the server is not asked for it.
            "model_context_window": 100_000,
            **settings,
        }
    )


def a_provider(base_url: str = "http://model.test/v1", **settings: Any) -> Provider:
    return Provider(
        **{"id": "mine", "name": "Mine", "base_url": base_url, "api_key": "sk-secret", **settings}
    )


def a_prompt(items: Sequence[Item] | None = None, **settings: Any) -> Prompt:
    return Prompt(
        **{
            "instructions": "Be nice.",
            "input": [text_message("hi")] if items is None else items,
            "tools": [],
            "model": "gpt-5",
            "session_id": SessionId("11111111-1111-4111-8111-111111111111"),
            **settings,
        }
    )


def a_client(
    config: Config,
    dialect: Dialect = RESPONSES,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> HttpModel:
    return HttpModel(config, dialect, transport=transport)


class Chunks(httpx.AsyncByteStream):
    """A body that arrives in these pieces."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


def answering(response: Callable[[], httpx.Response]) -> httpx.MockTransport:
    """A network at whose other end every request gets a new `response`."""
    return httpx.MockTransport(lambda _: response())


def streaming(chunks: Iterable[bytes]) -> httpx.MockTransport:
    """A network at whose other end every request gets a stream of events in `chunks`."""
    headers = {"content-type": "text/event-stream"}
    return answering(lambda: httpx.Response(200, headers=headers, stream=Chunks(chunks)))


def sse(*events: dict[str, Any]) -> bytes:
    """Events as the bytes of a stream."""
    return b"".join(map(encoded, events))


async def ask(client: Any, prompt: Prompt | None = None) -> list[ModelEvent]:
    """All events of one response."""
    with anyio.fail_after(5):
        async with client.stream(prompt or a_prompt()) as events:
            return [event async for event in events]


async def ask_for(chunks: Iterable[bytes], prompt: Prompt | None = None) -> list[ModelEvent]:
    """What a stream of these bytes says."""
    client = a_client(a_config(), transport=streaming(chunks))
    events = await ask(client, prompt)
    await client.aclose()
    return events


def text_of(events: Iterable[ModelEvent]) -> str:
    return "".join(event.delta for event in events if isinstance(event, TextDelta))


USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
HELLO = sse(
    {"type": "response.created", "response": {"id": "resp_1"}},
    *message_events("Hello, wörld! 😀", ["Hello, ", "wörld! 😀"]),
    completed(usage=USAGE),
)
"""A stream of the Responses API."""

"""What is left of a request to a model when it is over: nothing, however it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio
import httpx
import pytest
from model_support import HELLO, Chunks, a_client, a_config, a_prompt, a_provider, ask, streaming
from support.chat import chunk
from support.leftovers import kinds, leftovers

from codex_rpc.model.chat import CHAT
from codex_rpc.model.dialect import Dialect
from codex_rpc.model.limits import ask_limits
from codex_rpc.model.responses import RESPONSES
from codex_rpc.protocol.errors import ModelError

OURS = ("codex_rpc", "httpx", "httpcore")

HEADERS = {"content-type": "text/event-stream"}
FAILED = [b'data: {"type":"response.failed","response":{"error":{"message":"no"}}}\n\n']
CHAT_HELLO = [chunk({"content": "Hello"}, "stop")["raw"].encode(), b"data: [DONE]\n\n"]


class Endless(httpx.AsyncByteStream):
    """A body that says something and then nothing, for ever."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield HELLO[: len(HELLO) // 2]
        await anyio.sleep_forever()


@pytest.fixture(autouse=True)
async def _loaded() -> None:
    # What is imported and cached by the first request is not its leftover.
    client = a_client(a_config(), transport=streaming([HELLO]))
    await ask(client)
    await client.aclose()


@pytest.mark.parametrize(("dialect", "chunks"), [(RESPONSES, [HELLO]), (CHAT, CHAT_HELLO)])
async def test_nothing_is_left_of_an_answer(dialect: Dialect, chunks: Sequence[bytes]) -> None:
    with leftovers() as found:
        client = a_client(a_config(), dialect, transport=streaming(chunks))
        await ask(client)
        await client.aclose()
        del client
    assert kinds(found, *OURS) == set()


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, headers=HEADERS, stream=Chunks(FAILED)),
        httpx.Response(200, headers=HEADERS, stream=Chunks([HELLO[:80]])),
        httpx.Response(500, text="no"),
    ],
    ids=["failed", "interrupted", "refused"],
)
async def test_nothing_is_left_of_a_failure(response: httpx.Response) -> None:
    answers = [response]
    del response
    with leftovers() as found:
        client = a_client(a_config(), transport=httpx.MockTransport(lambda _: answers.pop()))
        with pytest.raises(ModelError):
            await ask(client)
        await client.aclose()
        del client
    assert kinds(found, "codex_rpc") == set()


async def test_nothing_is_left_of_an_answer_that_nobody_waits_for() -> None:
    answer = httpx.Response(200, headers=HEADERS, stream=Endless())
    with leftovers() as found:
        transport = httpx.MockTransport(lambda _: answer)
        client = a_client(a_config(), transport=transport)
        with anyio.fail_after(5), anyio.CancelScope() as turn:
            async with client.stream(a_prompt()) as events:
                async for _ in events:
                    turn.cancel()
        await client.aclose()
        del client, transport, events
    assert kinds(found, "codex_rpc") == set()


async def test_nothing_is_left_of_a_question_about_limits() -> None:
    with leftovers() as found:
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"data": []}))
        ) as http:
            await ask_limits(http, a_provider(), "gpt-5")
        del http
    assert kinds(found, *OURS) == set()

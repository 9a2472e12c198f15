"""The client that all dialects share, against chosen answers and a real server on loopback."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import evolve
from model_support import (
    HELLO,
    Chunks,
    a_client,
    a_config,
    a_prompt,
    a_provider,
    answering,
    ask,
    ask_for,
    sse,
    streaming,
    text_of,
)
from support.chat import chunk
from support.model_server import ModelServer, completed, message_events

from codex_rpc.config.settings import Config
from codex_rpc.model import client as client_module
from codex_rpc.model.chat import CHAT
from codex_rpc.model.chat_request import ChatBody
from codex_rpc.model.client import LONG_BYTES, MAX_ERROR_BYTES, HttpModel
from codex_rpc.model.read_ahead import MAX_BYTES
from codex_rpc.model.responses import RESPONSES
from codex_rpc.protocol.errors import (
    ContextFull,
    ModelError,
    ModelRejected,
    ModelUnreachable,
    RateLimited,
    ServerFailed,
    StreamInterrupted,
)
from codex_rpc.protocol.items import text_message
from codex_rpc.protocol.model import ItemDone, Prompt, ResponseCompleted, TextDelta


async def test_nothing_counts_after_the_response_is_complete() -> None:
    late = sse(*message_events("late"), {"type": "error", "message": "late"})
    events = await ask_for([HELLO, late, b"data: [DONE]\n\n"])
    assert isinstance(events[-1], ResponseCompleted)
    assert text_of(events) == "Hello, wörld! 😀"


async def test_a_stream_without_an_end_is_interrupted_after_its_events() -> None:
    client = a_client(a_config(), transport=streaming([sse(*message_events("par"))]))
    async with client.stream(a_prompt()) as events:
        assert isinstance(await anext(events), TextDelta)
        assert isinstance(await anext(events), ItemDone)
        with pytest.raises(StreamInterrupted, match="stream disconnected before completion"):
            await anext(events)


async def test_a_failed_response_is_told_after_what_came_before() -> None:
    failed = {"type": "response.failed", "response": {"error": {"message": "overheated"}}}
    client = a_client(a_config(), transport=streaming([sse(*message_events("a"), failed)]))
    async with client.stream(a_prompt()) as events:
        assert isinstance(await anext(events), TextDelta)
        assert isinstance(await anext(events), ItemDone)
        with pytest.raises(StreamInterrupted, match="overheated"):
            await anext(events)


class Pulled:
    """Chunks that know how many of them were asked for."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.chunks:
            self.count += 1
            yield piece


async def test_the_stream_is_read_while_the_caller_is_busy() -> None:
    chunks = Pulled([sse(*message_events("a")), sse(*message_events("b")), sse(completed())])
    client = a_client(a_config(), transport=streaming(chunks))
    async with client.stream(a_prompt()) as events:
        await anyio.wait_all_tasks_blocked()
        assert chunks.count == 3
        assert len([event async for event in events]) == 5


async def test_no_more_than_a_bounded_part_of_the_stream_is_read_ahead() -> None:
    size = 10_000
    text = sse(*message_events("", ["x" * size]))
    chunks = Pulled([*[text] * 1_000, sse(completed())])
    client = a_client(a_config(), transport=streaming(chunks))
    with anyio.fail_after(5):
        async with client.stream(a_prompt()) as events:
            await anext(events)
            await anyio.wait_all_tasks_blocked()
            assert chunks.count <= MAX_BYTES / size + 2
            rest = [event async for event in events]
    assert len(text_of(rest)) == 999 * size


class Breaking(httpx.AsyncByteStream):
    """A body that breaks off with an error of the transport."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield sse(*message_events("a"))
        raise httpx.ReadError("connection reset")


async def test_a_connection_that_breaks_interrupts_the_stream() -> None:
    headers = {"content-type": "text/event-stream"}
    broken = answering(lambda: httpx.Response(200, headers=headers, stream=Breaking()))
    with pytest.raises(StreamInterrupted, match="connection reset") as raised:
        await ask(a_client(a_config(), transport=broken))
    assert isinstance(raised.value.__cause__, httpx.ReadError)


async def test_what_the_caller_raises_comes_out_as_it_is() -> None:
    client = a_client(a_config(), transport=streaming([HELLO]))
    mine = LookupError("mine")
    with pytest.raises(LookupError) as raised:
        async with client.stream(a_prompt()):
            raise mine
    assert raised.value is mine
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


async def test_a_group_that_the_caller_raises_comes_out_as_it_is() -> None:
    client = a_client(a_config(), transport=streaming([HELLO]))
    mine = ExceptionGroup("mine", [LookupError("mine")])
    with pytest.raises(ExceptionGroup) as raised:
        async with client.stream(a_prompt()):
            raise mine
    assert raised.value is mine


async def test_a_caller_may_leave_early() -> None:
    client = a_client(a_config(), transport=streaming([HELLO]))
    async with client.stream(a_prompt()) as events:
        await anext(events)
    assert len(await ask(client)) == 4


def refusing(status: int, body: Any, kind: str = "application/json") -> httpx.MockTransport:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": kind}
    return answering(lambda: httpx.Response(status, headers=headers, stream=Chunks([content])))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"error": {"message": "try again in 2s"}}, RateLimited),
        (500, {"error": {"message": "oops"}}, ServerFailed),
        (400, {"error": {"message": "no", "code": "context_length_exceeded"}}, ContextFull),
        (401, {"error": {"message": "no"}}, ModelRejected),
        # Errors that come with a status of success.
        (200, {"error": {"message": "no", "code": 500}}, ServerFailed),
        (200, {"error": {"message": "no", "type": "exceed_context_size_error"}}, ContextFull),
        (200, {"error": {"message": "no"}}, ModelRejected),
        (200, {"id": "resp_1", "output": []}, ModelRejected),
    ],
)
async def test_a_refused_request_raises_on_entering(
    status: int, body: Any, kind: type[ModelError]
) -> None:
    client = a_client(a_config(), transport=refusing(status, body))
    with pytest.raises(kind) as raised:
        async with client.stream(a_prompt()):
            pytest.fail("entered")
    assert type(raised.value) is kind


async def test_a_page_in_place_of_a_stream_says_to_check_the_address() -> None:
    client = a_client(a_config(), transport=refusing(200, b"<html>", "text/html"))
    with pytest.raises(ModelRejected, match=r"text/html.*base_url"):
        await ask(client)


async def test_a_stream_without_a_content_type_is_read() -> None:
    transport = answering(lambda: httpx.Response(200, stream=Chunks([HELLO])))
    assert len(await ask(a_client(a_config(), transport=transport))) == 4


class Closing(httpx.AsyncByteStream):
    """An endless body that knows whether it was closed."""

    closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024

    async def aclose(self) -> None:
        self.closed = True


async def test_an_answer_that_is_not_read_to_its_end_is_closed() -> None:
    body = Closing()
    transport = answering(lambda: httpx.Response(400, stream=body))
    with pytest.raises(ModelRejected):
        await ask(a_client(a_config(), transport=transport))
    assert body.closed


async def test_of_a_long_error_only_the_beginning_is_read() -> None:
    read = 0

    def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 1024

    transport = answering(lambda: httpx.Response(400, stream=Chunks(endless())))
    with pytest.raises(ModelRejected):
        await ask(a_client(a_config(), transport=transport))
    assert read == MAX_ERROR_BYTES // 1024


async def test_an_error_that_breaks_off_is_still_told() -> None:
    transport = answering(lambda: httpx.Response(503, stream=Breaking()))
    with pytest.raises(ServerFailed):
        await ask(a_client(a_config(), transport=transport))


async def test_no_message_holds_the_key_or_the_prompt() -> None:
    prompt = a_prompt([text_message("my secret plan")], instructions="my instructions")
    for status in (400, 401, 404, 429, 500):
        client = a_client(a_config(), transport=refusing(status, {"error": {}}))
        with pytest.raises(ModelError) as raised:
            await ask(client, prompt)
        for secret in ("sk-secret", "secret plan", "my instructions"):
            assert secret not in raised.value.message


# Against a server.


def client_of(server: ModelServer, **provider: Any) -> HttpModel:
    return a_client(a_config(a_provider(server.url, **provider)))


async def test_a_request_arrives_as_it_was_meant() -> None:
    script = {"responses": [{"events": [*message_events("hi"), completed()]}]}
    items = [text_message("x" * 1000) for _ in range(500)]
    async with ModelServer(script) as server:
        client = client_of(server, query_params={"api-version": "1"})
        await ask(client, a_prompt(items))
        await client.aclose()
    (request,) = server.requests
    assert request["path"] == "/v1/responses?api-version=1"
    assert request["headers"]["authorization"] == "Bearer sk-secret"
    assert "transfer-encoding" not in request["headers"]
    assert request["body"]["input"] == [item.value() for item in items]


async def test_a_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine a moment may be long.
    monkeypatch.setattr(client_module, "DRAIN_S", 5)
    # The formal end of the stream comes a moment after the response is complete.
    script = {"default": {"events": [*message_events("hi"), completed(), {"sleep": 0.005}]}}
    async with ModelServer(script) as server:
        client = client_of(server)
        for _ in range(3):
            await ask(client)
        await client.aclose()
    assert (len(server.requests), server.connections) == (3, 1)


async def test_a_complete_response_ends_though_the_server_does_not() -> None:
    script = {"default": {"events": [*message_events("hi"), completed(), {"hold": "open"}]}}
    async with ModelServer(script) as server:
        client = client_of(server)
        assert isinstance((await ask(client))[-1], ResponseCompleted)
        with anyio.fail_after(5):
            assert (await server.answer(1))["peer_closed"]
        await client.aclose()


async def test_cancelling_closes_the_connection() -> None:
    script = {"default": {"events": [*message_events("tok"), {"hold": "open"}]}}
    async with ModelServer(script) as server:
        client = client_of(server)
        with anyio.fail_after(5):
            with anyio.CancelScope() as scope:
                async with client.stream(a_prompt()) as events:
                    await anext(events)
                    scope.cancel()
                    await anyio.sleep_forever()
            assert scope.cancelled_caught
            assert (await server.answer(1))["peer_closed"]
        await client.aclose()


async def test_cancelling_while_the_server_has_not_answered_closes_the_connection() -> None:
    silent = {"default": {"events": [{"hold": "open"}]}}
    async with ModelServer(silent) as server:
        client = client_of(server)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(ask, client)
                await server.request(1)
                group.cancel_scope.cancel()
            assert (await server.answer(1))["peer_closed"]
        await client.aclose()


async def test_a_deadline_of_the_caller_is_the_callers() -> None:
    script = {"default": {"events": [*message_events("tok"), {"hold": "open"}]}}
    async with ModelServer(script) as server:
        client = client_of(server)
        with anyio.fail_after(5):
            async with client.stream(a_prompt()) as events:
                seen = [await anext(events), await anext(events)]
                with anyio.move_on_after(0.01) as scope:
                    seen.append(await anext(events))
        assert scope.cancelled_caught
        assert len(seen) == 2
        await client.aclose()


async def test_time_in_which_nothing_is_read_is_not_idleness() -> None:
    # More than is read ahead, so that the reader has to stop for as long as the caller does.
    text = ["x" * 10_000] * 200
    script = {"default": {"events": [*message_events("", text), completed()]}}
    idle_ms = 200
    async with ModelServer(script) as server:
        client = client_of(server, stream_idle_timeout_ms=idle_ms)
        with anyio.fail_after(10):
            async with client.stream(a_prompt()) as events:
                await anext(events)
                await anyio.sleep(2 * idle_ms / 1000)
                rest = [event async for event in events]
        await client.aclose()
    assert len(text_of(rest)) == 10_000 * 199
    assert isinstance(rest[-1], ResponseCompleted)


async def test_a_silent_stream_is_given_up() -> None:
    script = {"default": {"events": [*message_events("a"), {"hold": "open"}]}}
    async with ModelServer(script) as server:
        client = client_of(server, stream_idle_timeout_ms=50)
        with pytest.raises(StreamInterrupted, match=r"nothing came for 0\.05 s"):
            await ask(client)
        with anyio.fail_after(5):
            assert (await server.answer(1))["peer_closed"]
        await client.aclose()


async def test_comments_keep_a_silent_stream_alive() -> None:
    alive = [{"raw": ": ping\n\n"}, {"sleep": 0.1}] * 7
    script = {"default": {"events": [*message_events("a"), *alive, completed()]}}
    async with ModelServer(script) as server:
        client = client_of(server, stream_idle_timeout_ms=600)
        assert isinstance((await ask(client))[-1], ResponseCompleted)
        await client.aclose()


async def test_a_server_that_hangs_up_interrupts_the_stream() -> None:
    script = {"default": {"events": [*message_events("a"), {"disconnect": True}]}}
    async with ModelServer(script) as server:
        client = client_of(server)
        with pytest.raises(StreamInterrupted, match="stream disconnected before completion"):
            await ask(client)
        await client.aclose()


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with ModelServer({}) as server:
        pass
    client = client_of(server)
    with pytest.raises(ModelUnreachable, match=r"cannot connect to http://127\.0\.0\.1"):
        await ask(client)
    await client.aclose()


async def test_a_client_works_again_after_an_error() -> None:
    script = {
        "responses": [{"status": 500}, {"events": [{"disconnect": True}]}],
        "default": {"events": [*message_events("hi"), completed()]},
    }
    async with ModelServer(script) as server:
        client = client_of(server)
        with pytest.raises(ServerFailed):
            await ask(client)
        with pytest.raises(StreamInterrupted):
            await ask(client)
        assert text_of(await ask(client)) == "hi"
        await client.aclose()


async def test_two_streams_of_one_client_do_not_wait_for_each_other() -> None:
    script = {
        "responses": [{"events": [{"hold": "first"}, *message_events("one"), completed()]}],
        "default": {"events": [*message_events("two"), completed()]},
    }
    texts = []

    async def first() -> None:
        texts.append(text_of(await ask(client)))

    async with ModelServer(script) as server:
        client = client_of(server)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(first)
                await server.request(1)
                texts.append(text_of(await ask(client)))
                server.release("first")
        await client.aclose()
    assert texts == ["two", "one"]


async def test_a_key_in_the_address_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    script = {"default": {"events": [*message_events("hi"), completed()]}}
    async with ModelServer(script) as server:
        client = client_of(server, query_params={"key": "sk-in-query"})
        await ask(client)
        await client.aclose()
    assert "sk-in-query" not in caplog.text


async def test_settings_of_the_environment_that_cannot_be_used_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://me:pw@nowhere")
    with pytest.raises(ModelRejected, match="HTTPS_PROXY") as raised:
        await ask(a_client(a_config()))
    assert "pw" not in raised.value.message


async def test_without_certificates_https_says_what_to_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ModelRejected, match="SSL_CERT_FILE"):
        await ask(a_client(a_config(a_provider("https://model.test/v1"))))


@pytest.mark.parametrize(("size", "is_apart"), [(1, False), (2 * LONG_BYTES, True)])
async def test_the_event_loop_does_not_wait_for_a_long_request_to_be_written(
    size: int,
    is_apart: bool,
) -> None:
    threads = []

    def body(config: Config, prompt: Prompt) -> ChatBody:
        threads.append(threading.current_thread())
        return ChatBody(config, prompt)

    client = a_client(a_config(), evolve(RESPONSES, body=body), transport=streaming([HELLO]))
    await ask(client, a_prompt([text_message("x" * (size // 8))] * 8))
    assert [thread is not threading.current_thread() for thread in threads] == [is_apart]


class BreakingBehind(Chunks):
    """A body that breaks off behind its pieces."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.chunks:
            yield piece
        raise httpx.ReadError("reset")


FINISHED = sse(chunk({"content": "hi"}), chunk({}, "stop"))


async def test_an_answer_with_a_reason_to_finish_is_whole_though_the_connection_breaks() -> None:
    head = {"content-type": "text/event-stream"}
    broken = answering(lambda: httpx.Response(200, headers=head, stream=BreakingBehind([FINISHED])))
    client = a_client(a_config(model_context_window=9_000), CHAT, transport=broken)
    assert isinstance((await ask(client))[-1], ResponseCompleted)


async def test_of_an_answer_with_a_reason_to_finish_the_cost_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("codex_rpc.model.client.FINISHED_S", 0.05)
    events = [chunk({"content": "hi"}), chunk({}, "stop"), {"hold": "open"}]
    async with ModelServer({"default": {"events": events}}) as server:
        client = a_client(a_config(a_provider(server.url), model_context_window=9_000), CHAT)
        with anyio.fail_after(5):
            assert isinstance((await ask(client))[-1], ResponseCompleted)
        await client.aclose()


@pytest.mark.parametrize("piece", [b"x" * 100, sse({"type": "unknown", "text": "x" * 100})])
async def test_an_answer_without_an_end_is_given_up(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codex_rpc.model.client.MAX_EVENT_CHARS", 1_000)
    monkeypatch.setattr("codex_rpc.model.client.MAX_ANSWER_CHARS", 10_000)
    client = a_client(a_config(), transport=streaming(itertools.repeat(piece)))
    with anyio.fail_after(5), pytest.raises(ModelRejected, match="too long"):
        await ask(client)

"""What servers tell of their models, asked over real connections to recorded answers."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import a_provider

from codex_rpc.config.settings import Provider
from codex_rpc.model import limits
from codex_rpc.model.limits import MAX_BYTES, Limits, ask_limits, ask_models

GOLDEN = Path(__file__).parents[2] / "golden" / "limits"
RECORDED = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}

Raw = Callable[[asyncio.StreamWriter], Any]
"""Writes an answer of its own; the connection is closed when it returns."""


@define
class Server:
    """Answers by method and path: JSON values, statuses, raw bytes, or `Raw`; else 404."""

    answers: dict[str, Any]
    requests: list[str] = field(factory=list)
    headers: list[dict[str, str]] = field(factory=list)
    bodies: list[bytes] = field(factory=list)
    port: int = 0
    left: asyncio.Event = field(factory=asyncio.Event)
    """Fires when a client closes its connection."""

    def base_url(self, path: str = "/v1") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, target, _ = line.decode().split()
                headers = {}
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                self.bodies.append(await reader.readexactly(int(headers.get("content-length", 0))))
                self.requests.append(f"{method} {target}")
                self.headers.append(headers)
                answer = self.answers.get(f"{method} {target}", 404)
                if callable(answer):
                    await answer(writer)
                    break
                await send(writer, answer)
            self.left.set()
        except ConnectionError:
            self.left.set()
        finally:
            writer.close()


async def send(writer: asyncio.StreamWriter, answer: Any) -> None:
    status = answer if isinstance(answer, int) else 200
    body = b'{"error":{"message":"File Not Found"}}' if isinstance(answer, int) else answer
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)
    await writer.drain()


@asynccontextmanager
async def serving(answers: dict[str, Any]) -> AsyncIterator[Server]:
    server = Server(answers)
    open_connections: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        task.add_done_callback(open_connections.discard)
        try:
            await server.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(open_connections):
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)
        await listening.wait_closed()


async def ask(provider: Provider, model: str = "m") -> Limits:
    with anyio.fail_after(5):
        async with httpx.AsyncClient() as http:
            return await ask_limits(http, provider, model)


async def told_by(entry: Any, model: str = "m") -> Limits:
    """What is made of a list of one entry, or of a whole answer."""
    is_entry = isinstance(entry, dict) and "id" in entry
    async with serving({"GET /v1/models": {"data": [entry]} if is_entry else entry}) as server:
        return await ask(a_provider(server.base_url()), model)


# The recorded servers.


def test_at_least_six_servers_are_recorded() -> None:
    servers = {name.split("-")[0] for name in RECORDED}
    assert len(servers) >= 6


@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_server_tells_its_limits_in_few_requests(name: str) -> None:
    case = RECORDED[name]
    for model in case["models"]:
        async with serving(case["answers"]) as server:
            provider = a_provider(server.base_url(case["base_path"]), id=case["provider_id"])
            assert await ask(provider, model) == Limits(**case["told"])
            assert server.requests == case["requests"]


@pytest.mark.parametrize(("port", "name"), [(11434, "ollama-default"), (1234, "lm-studio")])
async def test_a_usual_port_shows_the_kind_of_server(port: int, name: str) -> None:
    case = RECORDED[name]
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        value = case["answers"].get(asked[-1])
        return httpx.Response(404) if value is None else httpx.Response(200, json=value)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        provider = a_provider(f"http://127.0.0.1:{port}/v1/")
        assert await ask_limits(http, provider, case["models"][0]) == Limits(**case["told"])
    assert asked == case["requests"]


async def test_ollama_is_asked_for_the_model_by_name() -> None:
    async with serving(RECORDED["ollama-default"]["answers"]) as server:
        await ask(a_provider(server.base_url(), id="oss"), "qwen3:8b")
    assert [json.loads(body) for body in server.bodies if body] == [{"model": "qwen3:8b"}]


async def test_a_model_that_ollama_does_not_have_is_unknown() -> None:
    answers = {"GET /api/ps": {"models": []}, "GET /v1/models": {"object": "list", "data": None}}
    async with serving(answers) as server:
        assert await ask(a_provider(server.base_url(), id="oss"), "nope") == Limits()


async def test_what_ollama_lists_of_a_model_is_not_what_it_was_loaded_with() -> None:
    listed = {"data": [{"id": "m:1b", "owned_by": "library", "context_length": 262_144}]}
    answers = {"GET /v1/models": listed, "GET /api/ps": {"models": []}}
    async with serving(answers) as server:
        assert await ask(a_provider(server.base_url(), id="oss"), "m:1b") == Limits()
        assert await ask(a_provider(server.base_url()), "m:1b") == Limits()


async def test_another_server_behind_the_name_of_ollama_is_asked_like_any_other() -> None:
    async with serving(RECORDED["vllm"]["answers"]) as server:
        provider = a_provider(server.base_url(), id="oss")
        assert (await ask(provider, "x")).context_window == 8096


async def test_the_makers_of_ollama_give_a_model_its_whole_window() -> None:
    shown = {"model_info": {"general.architecture": "glm", "glm.context_length": 202_752}}

    def answer(request: httpx.Request) -> httpx.Response:
        found = request.url.path == "/api/show"
        return httpx.Response(200, json=shown) if found else httpx.Response(404)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        provider = a_provider("https://ollama.com/v1", id="ollama")
        assert await ask_limits(http, provider, "glm-4.6") == Limits(202_752)


async def test_without_props_an_old_llama_cpp_tells_the_window_of_its_training() -> None:
    answers = RECORDED["llama-cpp-old"]["answers"]
    async with serving({"GET /v1/models": answers["GET /v1/models"]}) as server:
        assert await ask(a_provider(server.base_url()), "local") == Limits(32_768)


async def test_one_of_several_models_is_never_taken_for_another() -> None:
    entries = [{"id": "a", "context_length": 4096}, {"id": "b", "context_length": 8192}]
    assert await told_by({"data": entries}, "c") == Limits()
    assert await told_by({"data": entries}, "b") == Limits(8192)
    assert await told_by({"data": [*entries, {"id": "x", "aliases": ["c"]}]}, "c") == Limits()


async def test_the_smallest_window_counts() -> None:
    provider = {"context_length": 65_536, "max_completion_tokens": 9_000}
    entry = {"id": "m", "context_length": 131_072, "top_provider": provider}
    assert await told_by(entry) == Limits(65_536, 9_000)


# What makes no sense.


@pytest.mark.parametrize(
    ("value", "believed"),
    [
        (True, None),
        (0, None),
        (-4096, None),
        (511, None),
        (512, 512),
        ("32768", 32_768),
        ("32k", None),
        (" 32768", None),
        ("٣٢٧٦٨", None),
        ("9" * 5000, None),
        (4096.0, 4096),
        (4096.5, None),
        (1e300, None),
        (2**63 - 1, None),
        (None, None),
        ([4096], None),
        ({"max": 4096}, None),
    ],
)
async def test_only_a_sensible_number_of_tokens_is_believed(value: Any, believed: int) -> None:
    entry = {"id": "m", "max_model_len": value, "max_completion_tokens": value}
    assert await told_by(entry) == Limits(believed, believed)


async def test_entries_that_are_none_are_passed_over() -> None:
    odd = [None, 5, "m", [], {}, {"id": ["m"], "aliases": {"m": 1}, "owned_by": [1], "meta": 3}]
    assert await told_by({"data": [*odd, {"id": "m", "context_length": 4096}]}) == Limits(4096)


KEYS = ["data", "models", "id", "aliases", "owned_by", "meta", "n_ctx", "context_length", "type"]
MORE_KEYS = ["top_provider", "model_info", "general.architecture", "loaded_instances", "parameters"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*KEYS, *MORE_KEYS]),
            inner | st.sampled_from(["m", "library", "llamacpp", "organization_owner", 4096]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(answer=JSON, provider_id=st.sampled_from(["mine", "oss", "lmstudio", "llamacpp"]))
@settings(deadline=None, max_examples=150)
def test_no_answer_makes_it_raise(answer: Any, provider_id: str) -> None:
    content = json.dumps(answer).encode()

    async def run() -> Limits:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=content))
        async with httpx.AsyncClient(transport=transport) as http:
            return await ask_limits(http, a_provider(id=provider_id), "m")

    found = anyio.run(run)
    for number in (found.context_window, found.max_output_tokens):
        assert number is None or (type(number) is int and 512 <= number <= 10**8)


@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b'{"data": [', b"\xff\xfe\x00", b"[" * 100_000, b"null"]
)
async def test_garbage_tells_nothing(body: bytes) -> None:
    assert await told_by(body) == Limits()


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 500, 503])
async def test_a_refusal_tells_nothing(status: int) -> None:
    assert await told_by(status) == Limits()


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async def compressed(writer: asyncio.StreamWriter) -> None:
        body = gzip.compress(b'{"data":[{"id":"m","context_length":4096}]}')
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + body)
        await writer.drain()

    async with serving({"GET /v1/models": compressed}) as server:
        assert await ask(a_provider(server.base_url())) == Limits()
        assert server.headers[0]["accept-encoding"] == "identity"


# Servers that are slow, gone, or lead elsewhere.


async def test_what_is_longer_than_the_bound_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n[")
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()
            sent += 65_536

    async with serving({"GET /v1/models": endless}) as server:
        assert await ask(a_provider(server.base_url())) == Limits()
        with anyio.fail_after(5):
            await server.left.wait()
    # The rest is what fits into the system's buffers.
    assert sent < MAX_BYTES + 16 * 1024 * 1024


async def test_a_long_answer_within_the_bound_is_read() -> None:
    filler = [{"id": f"other-{n}", "description": "x" * 1000} for n in range(3000)]
    wanted = {"id": "m", "context_length": 65_536}
    assert await told_by({"data": [*filler, wanted]}) == Limits(65_536)


async def hanging(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def trickling(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("slow", [hanging, trickling])
async def test_a_slow_server_is_left_when_time_is_up(
    slow: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.TIMEOUT_S == 2.0
    monkeypatch.setattr(limits, "TIMEOUT_S", 0.1)
    async with serving({"GET /v1/models": slow}) as server:
        assert await ask(a_provider(server.base_url())) == Limits()


async def test_time_is_counted_for_all_requests_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TIMEOUT_S", 0.2)
    answers = {"GET /api/ps": {"models": []}, "POST /api/show": hanging}
    async with serving(answers) as server:
        assert await ask(a_provider(server.base_url(), id="oss")) == Limits()
        assert server.requests == ["GET /api/ps", "POST /api/show"]


async def test_a_client_that_was_asking_can_be_used_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "TIMEOUT_S", 0.1)
    async with serving({"GET /v1/models": hanging, "GET /other": {}}) as server:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as http:
            with anyio.fail_after(5):
                await ask_limits(http, a_provider(server.base_url()), "m")
                answer = await http.get(server.base_url("/other"))
        assert answer.status_code == 200


async def test_a_server_that_is_not_there_tells_nothing() -> None:
    async with serving({}) as server:
        base_url = server.base_url()
    assert await ask(a_provider(base_url)) == Limits()


async def test_a_connection_that_breaks_tells_nothing() -> None:
    async def breaking(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
        await writer.drain()

    async with serving({"GET /v1/models": breaking}) as server:
        assert await ask(a_provider(server.base_url())) == Limits()


async def test_a_redirect_is_not_followed_even_if_the_client_would() -> None:
    async with serving(
        {"GET /v1/models": {"data": [{"id": "m", "context_length": 4096}]}}
    ) as other:

        async def elsewhere(writer: asyncio.StreamWriter) -> None:
            target = f"{other.base_url()}/models".encode()
            writer.write(
                b"HTTP/1.1 307 X\r\ncontent-length: 0\r\nlocation: " + target + b"\r\n\r\n"
            )
            await writer.drain()

        async with (
            serving({"GET /v1/models": elsewhere}) as server,
            httpx.AsyncClient(follow_redirects=True) as http,
        ):
            with anyio.fail_after(5):
                found = await ask_limits(http, a_provider(server.base_url()), "m")
        assert (found, len(server.requests)) == (Limits(), 1)
        assert other.requests == []


@pytest.mark.parametrize(
    "provider",
    [
        Provider(id="scripted", name="Scripted"),
        a_provider("http://[::1/v1"),
        a_provider("http://127.0.0.1:99999/v1"),
        a_provider("http://127.0.0.1:1/v1", api_key="kéy\n"),
        a_provider("http://127.0.0.1:1/v1", id="oss", http_headers={"x": "\r\ny: z"}),
    ],
)
async def test_a_provider_that_cannot_be_asked_tells_nothing(provider: Provider) -> None:
    assert await ask(provider) == Limits()


async def test_a_closed_client_tells_nothing() -> None:
    http = httpx.AsyncClient()
    await http.aclose()
    assert await ask_limits(http, a_provider("http://127.0.0.1:1/v1"), "m") == Limits()


async def test_cancellation_goes_through() -> None:
    async with serving({"GET /v1/models": hanging}) as server:
        with anyio.move_on_after(0.05) as scope:
            await ask(a_provider(server.base_url()))
        assert scope.cancelled_caught


# What is sent.


async def test_every_request_has_the_key_the_headers_and_the_query() -> None:
    async with serving({}) as server:
        provider = a_provider(
            server.base_url(),
            id="oss",
            http_headers={"X-Team": "blue"},
            query_params={"api-version": "1"},
        )
        await ask(provider)
    assert server.requests == [
        "GET /api/ps?api-version=1",
        "POST /api/show?api-version=1",
        "GET /v1/models?api-version=1",
    ]
    assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-secret"}
    assert {headers["x-team"] for headers in server.headers} == {"blue"}


async def test_a_key_in_a_header_of_its_own_is_in_no_other() -> None:
    async with serving({}) as server:
        await ask(a_provider(server.base_url(), api_key_header="api-key"))
    assert server.headers[0]["api-key"] == "sk-secret"
    assert "authorization" not in server.headers[0]


async def test_without_a_key_none_is_sent() -> None:
    async with serving({}) as server:
        await ask(a_provider(server.base_url(), api_key=None))
    assert "authorization" not in server.headers[0]


async def test_no_key_gets_into_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving(RECORDED["vllm"]["answers"]) as server:
            await ask(a_provider(server.base_url(), http_headers={"x-token": "tok-secret"}))
        await ask(a_provider("http://127.0.0.1:1/v1"))
    assert "secret" not in caplog.text


# The list of models.


async def models_of(answer: Any) -> tuple[str, ...]:
    async with serving({"GET /v1/models": answer}) as server, httpx.AsyncClient() as http:
        with anyio.fail_after(5):
            return await ask_models(http, a_provider(server.base_url()))


@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_server_tells_its_models_under_the_names_they_are_asked_by(
    name: str,
) -> None:
    case = RECORDED[name]
    answers = {key: case["answers"][key] for key in case["answers"] if key.endswith("/models")}
    async with serving(case["answers"]) as server, httpx.AsyncClient() as http:
        provider = a_provider(server.base_url(case["base_path"]), id=case["provider_id"])
        offered = await ask_models(http, provider)
        assert len(server.requests) == 1
    if server.requests[0] in answers:
        assert offered


async def test_models_that_do_not_talk_are_left_out() -> None:
    ids = ["gpt-5", "text-embedding-3-small", "whisper-1", "gpt-5", "o3", "dall-e-3"]
    entries: list[Any] = [{"id": id_} for id_ in ids]
    entries += [{"id": "e5", "type": "embedding"}, {"id": 7}, "x", {}]
    assert await models_of({"data": entries}) == ("gpt-5", "o3")


@pytest.mark.parametrize("answer", [404, b"garbage", [], {}, {"data": None}, {"data": "x"}])
async def test_a_server_that_does_not_tell_has_no_models(answer: Any) -> None:
    assert await models_of(answer) == ()


async def test_an_address_that_is_none_has_no_models() -> None:
    async with httpx.AsyncClient() as http:
        assert await ask_models(http, a_provider("")) == ()

"""What servers really send, in their own bytes, and what is made of it.

The streams are in `tests/golden/streams`; its README tells where they are from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import asdict
from httpx_sse import EventSource
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import HOME, a_client, a_config, a_prompt, a_provider, streaming
from support.model_server import ModelServer

from codex_rpc.model.chat import CHAT
from codex_rpc.model.client import HttpModel
from codex_rpc.model.dialect import Dialect
from codex_rpc.model.errors import Asked
from codex_rpc.model.responses import RESPONSES
from codex_rpc.protocol.errors import ModelError
from codex_rpc.protocol.model import (
    ItemDone,
    ModelEvent,
    ModelNotice,
    ReasoningDelta,
    ResponseCompleted,
    TextDelta,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "streams"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.sse"))
DIALECTS = {"chat": CHAT, "responses": RESPONSES}

Told = list[dict[str, Any]]


@cache
def raw(name: str) -> bytes:
    return (GOLDEN / f"{name}.sse").read_bytes()


@cache
def golden(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return value


def dialect(name: str) -> Dialect:
    return DIALECTS[golden(name)["wire_api"]]


def told(events: Iterable[ModelEvent | ModelError]) -> Told:
    """Events as the golden files write them, deltas joined."""
    result: Told = []
    called: dict[str, str] = {}
    for event in events:
        match event:
            case TextDelta(item_id, delta):
                assert called.setdefault("message", item_id) == item_id
                add(result, "text", delta)
            case ReasoningDelta(item_id, _, delta):
                assert called.setdefault("reasoning", item_id) == item_id
                add(result, "reasoning", delta)
            case ItemDone(item, item_id):
                # What was streamed and what is done belong together.
                assert called.pop(item.kind, item_id) == item_id
                result.append({"item": item.value()})
            case ModelNotice(message):
                result.append({"notice": message})
            case ResponseCompleted(response_id, usage):
                counts = None if usage is None else asdict(usage)
                result.append({"completed": {"response_id": response_id, "usage": counts}})
            case ModelError():
                result.append({"error": type(event).__name__})
    return result


def add(result: Told, kind: str, delta: str) -> None:
    if result and kind in result[-1]:
        result[-1][kind] += delta
    else:
        result.append({kind: delta})


def read(data: Sequence[str], name: str) -> list[ModelEvent | ModelError]:
    """What the reader alone makes of the data of events."""
    asked = Asked(provider=a_provider(), model="m", path=dialect(name).path, codex_home=HOME)
    reader = dialect(name).reader(asked)
    events: list[ModelEvent | ModelError] = []
    try:
        for said in data:
            events += reader.read(said)
            if reader.completed:
                return events
        events += reader.end()
    except ModelError as exc:
        events.append(exc)
    return events


def data_in(content: bytes | Iterator[bytes]) -> tuple[str, ...]:
    """The data of the events in a stream, which may come in pieces."""
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    response = httpx.Response(200, headers=headers, content=content)
    return tuple(message.data for message in EventSource(response).iter_sse())


async def asked_of(client: HttpModel) -> Told:
    """What the client makes of the one response that there is."""
    events: list[ModelEvent | ModelError] = []
    with anyio.fail_after(5):
        try:
            async with client.stream(a_prompt()) as stream:
                async for event in stream:
                    events.append(event)
        except ModelError as exc:
            events.append(exc)
        await client.aclose()
    return told(events)


async def asked_for(chunks: Iterable[bytes], name: str) -> Told:
    return await asked_of(a_client(a_config(), dialect(name), transport=streaming(chunks)))


def check_prefix(answer: Told, name: str) -> None:
    """`answer` is what a server has said that was cut off somewhere."""
    expected = golden(name)["events"]
    *events, last = answer
    if "completed" in last:
        # It came as far as its reason to finish; what it cost may not have been told.
        completed = expected[-1]["completed"]
        assert last["completed"]["response_id"] == completed["response_id"]
        assert last["completed"]["usage"] in (None, completed["usage"])
        assert events == expected[:-1]
        return
    assert last in ({"error": "StreamInterrupted"}, expected[-1])
    if events and (kind := next(iter(events[-1]))) in ("text", "reasoning"):
        *events, (_, said) = (*events[:-1], (kind, events[-1][kind]))
        assert expected[len(events)][kind].startswith(said)
    assert events == expected[: len(events)]


def test_every_stream_has_what_it_means_and_where_it_is_from_and_nothing_else() -> None:
    files = {path.name for path in GOLDEN.iterdir()}
    expected = {f"{name}{ext}" for name in NAMES for ext in (".sse", ".json")}
    assert files == expected | {"README.md"}
    readme = (GOLDEN / "README.md").read_text("utf-8")
    assert [name for name in NAMES if f"`{name}`" not in readme] == []
    assert len(NAMES) >= 20


@pytest.mark.parametrize("name", NAMES)
def test_the_reader_understands(name: str) -> None:
    assert told(read(data_in(raw(name)), name)) == golden(name)["events"]


@pytest.mark.parametrize("name", NAMES)
async def test_the_client_understands(name: str) -> None:
    assert await asked_for([raw(name)], name) == golden(name)["events"]


@pytest.mark.parametrize("name", NAMES)
async def test_bytes_may_come_one_at_a_time(name: str) -> None:
    content = raw(name)
    chunks = [content[n : n + 1] for n in range(len(content))]
    assert await asked_for(chunks, name) == golden(name)["events"]


@pytest.mark.parametrize("name", NAMES)
def test_bytes_may_come_in_two_pieces_cut_anywhere(name: str) -> None:
    content, whole = raw(name), data_in(raw(name))
    for n in range(1, len(content)):
        assert data_in(iter((content[:n], content[n:]))) == whole, n


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(NAMES), data=st.data())
def test_bytes_may_come_in_any_pieces(name: str, data: st.DataObject) -> None:
    content = raw(name)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=12)))
    chunks = [content[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    assert anyio.run(asked_for, chunks, name) == golden(name)["events"]


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_at_any_byte_gives_no_wrong_item(name: str) -> None:
    content = raw(name)
    answers: dict[tuple[str, ...], Told] = {}
    for n in range(len(content)):
        data = data_in(content[:n])
        if data not in answers:
            answers[data] = told(read(data, name))
            check_prefix(answers[data], name)
    assert answers


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(NAMES), data=st.data())
def test_the_client_gives_no_wrong_item_either(name: str, data: st.DataObject) -> None:
    content = raw(name)
    n = data.draw(st.integers(0, len(content) - 1))
    check_prefix(anyio.run(asked_for, [content[:n]], name), name)


async def served(chunks: Iterable[bytes], name: str) -> Told:
    """What the client makes of chunks that come through a socket."""
    async with ModelServer({"responses": [{"chunks": list(chunks)}]}) as server:
        return await asked_of(HttpModel(a_config(a_provider(server.url)), dialect(name)))


@pytest.mark.parametrize("name", NAMES)
async def test_a_real_server_is_understood(name: str) -> None:
    content = raw(name)
    middle = len(content) // 2
    assert await served([content[:middle], content[middle:]], name) == golden(name)["events"]


@settings(deadline=None, max_examples=25)
@given(name=st.sampled_from(NAMES), data=st.data())
def test_a_real_server_may_send_any_pieces(name: str, data: st.DataObject) -> None:
    content = raw(name)
    n = data.draw(st.integers(1, len(content) - 1))
    assert anyio.run(served, [content[:n], content[n:]], name) == golden(name)["events"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_connection_that_breaks_gives_no_wrong_item(name: str) -> None:
    content = raw(name)
    broken = {"chunks": [content[: len(content) // 2]], "events": [{"disconnect": True}]}
    async with ModelServer({"responses": [broken]}) as server:
        config = a_config(a_provider(server.url))
        check_prefix(await asked_of(HttpModel(config, dialect(name))), name)

"""The request's body and headers."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import a_config, a_prompt, a_provider

from codex_rpc import __version__
from codex_rpc.config.settings import LocalServer, Provider
from codex_rpc.model.http_request import CHUNK_BYTES, endpoint, headers, shown
from codex_rpc.model.responses import RESPONSES
from codex_rpc.model.responses_request import ResponsesBody
from codex_rpc.protocol.items import Item, text_message


def chunks_of(body: ResponsesBody) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [chunk async for chunk in body]

    return anyio.run(collect)


def parsed(**settings: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        b"".join(chunks_of(ResponsesBody(a_config(), a_prompt(**settings))))
    )
    return body


@settings(deadline=None, max_examples=50)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6),
    instructions=st.text(st.characters(exclude_categories=["Cs"])),
    pads=st.lists(st.integers(0, 2 * CHUNK_BYTES), max_size=4),
)
def test_the_streamed_body_is_the_json_of_the_prompt_and_as_long_as_it_says(
    texts: list[str], instructions: str, pads: list[int]
) -> None:
    long = ["x" * pad for pad in pads]
    items = [text_message(text) for text in [*long[:2], *texts, *long[2:]]]
    body = ResponsesBody(a_config(), a_prompt(items, instructions=instructions))
    content = b"".join(chunks_of(body))
    assert len(content) == body.length
    value = json.loads(content)
    assert value["input"] == [item.value() for item in items]
    assert value["instructions"] == instructions


def test_an_empty_conversation_is_an_empty_list() -> None:
    body = ResponsesBody(a_config(), a_prompt([]))
    content = b"".join(chunks_of(body))
    assert json.loads(content)["input"] == []
    assert len(content) == body.length


def test_items_are_sent_in_the_bytes_in_which_they_are_kept() -> None:
    raw = b'{"type":"message" ,  "n":1.10,"u":"\\u00e9","big":123456789012345678901234567890}'
    content = b"".join(chunks_of(ResponsesBody(a_config(), a_prompt([Item(raw, "message")]))))
    assert raw in content


def test_a_large_body_comes_in_chunks_that_are_not_much_larger_than_they_have_to_be() -> None:
    items = [text_message("x" * 150) for _ in range(20_000)]
    chunks = chunks_of(ResponsesBody(a_config(), a_prompt(items)))
    assert len(chunks) > 10
    assert max(map(len, chunks)) < CHUNK_BYTES + 300


def test_an_item_that_is_added_while_the_body_is_sent_is_not_sent() -> None:
    items = [text_message("first")]
    body = ResponsesBody(a_config(), a_prompt(items))
    items.append(text_message("second"))
    content = b"".join(chunks_of(body))
    assert len(content) == body.length
    assert b"second" not in content


def test_the_body_can_be_sent_twice() -> None:
    body = ResponsesBody(a_config(), a_prompt())
    assert chunks_of(body) == chunks_of(body)


def test_a_plain_request_has_exactly_these_members() -> None:
    tool = {"type": "function", "name": "shell", "parameters": {}}
    assert parsed(tools=[tool]) == {
        "model": "gpt-5",
        "instructions": "Be nice.",
        "input": [text_message("hi").value()],
        "tools": [tool],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "11111111-1111-4111-8111-111111111111",
    }


def test_a_stored_response_needs_no_encrypted_reasoning() -> None:
    body = parsed(store=True, previous_response_id="resp_1")
    assert (body["store"], body["include"], body["previous_response_id"]) == (True, [], "resp_1")


@pytest.mark.parametrize(
    ("effort", "summary", "reasoning"),
    [
        (None, None, None),
        (None, "none", None),
        ("high", None, {"effort": "high"}),
        ("high", "none", {"effort": "high"}),
        ("low", "auto", {"effort": "low", "summary": "auto"}),
        (None, "auto", {"summary": "auto"}),
    ],
)
def test_reasoning_is_asked_for_only_as_far_as_it_is_set(
    effort: str | None, summary: str | None, reasoning: dict[str, str] | None
) -> None:
    assert parsed(effort=effort, summary=summary).get("reasoning") == reasoning


def test_headers_carry_the_key_the_session_and_the_length() -> None:
    prompt = a_prompt()
    body = ResponsesBody(a_config(), prompt)
    assert headers(a_provider(), RESPONSES.headers, prompt.session_id, body.length) == {
        b"accept": b"text/event-stream",
        b"accept-encoding": b"identity",
        b"authorization": b"Bearer sk-secret",
        b"content-length": str(body.length).encode(),
        b"content-type": b"application/json",
        b"openai-beta": b"responses=experimental",
        b"originator": b"codex-rpc",
        b"session_id": b"11111111-1111-4111-8111-111111111111",
        b"user-agent": f"codex-rpc/{__version__}".encode(),
    }


def test_without_a_key_there_is_no_authorization() -> None:
    prompt = a_prompt()
    sent = headers(
        a_provider(api_key=None),
        RESPONSES.headers,
        prompt.session_id,
        ResponsesBody(a_config(), prompt).length,
    )
    assert b"authorization" not in sent


def test_the_providers_headers_replace_ours_but_not_the_length() -> None:
    prompt = a_prompt()
    body = ResponsesBody(a_config(), prompt)
    mine = {"Authorization": "Token t", "X-More": "é", "Content-Length": "1"}
    sent = headers(a_provider(http_headers=mine), RESPONSES.headers, prompt.session_id, body.length)
    assert sent[b"authorization"] == b"Token t"
    assert sent[b"x-more"] == "é".encode()
    assert sent[b"content-length"] == str(body.length).encode()


@pytest.mark.parametrize(
    ("base_url", "query", "url"),
    [
        ("http://h/v1", {}, "http://h/v1/responses"),
        ("http://h/v1/", {}, "http://h/v1/responses"),
        ("http://h", {"a": "b c"}, "http://h/responses?a=b+c"),
        ("https://h/o?v=1", {"w": "2"}, "https://h/o/responses?v=1&w=2"),
    ],
)
def test_the_endpoint_is_below_the_base_url(base_url: str, query: dict[str, str], url: str) -> None:
    assert endpoint(a_provider(base_url, query_params=query), RESPONSES.path) == url


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert shown("https://user:pw@h:8443/v1?key=k") == "https://h:8443/v1"


@pytest.mark.parametrize(
    ("model", "asked"),
    [("gpt-5", True), ("o3", True), ("local", True), ("gpt-4.1", False), ("openai/gpt-4o", False)],
)
def test_reasoning_is_not_asked_of_families_that_refuse_it(model: str, asked: bool) -> None:
    value = parsed(model=model, effort="high", store=False)
    assert ("reasoning" in value) is asked
    assert ("reasoning.encrypted_content" in value["include"]) is asked


def test_reasoning_that_no_responses_server_could_use_is_not_sent() -> None:
    summary = [{"type": "summary_text", "text": "hm"}]
    own = {"type": "reasoning", "id": "rs_1", "summary": summary}
    sealed = {"type": "reasoning", "encrypted_content": "x", "summary": summary}
    foreign = {"type": "reasoning", "summary": summary}
    values = [own, foreign, sealed, text_message("hi").value(), foreign]
    items = [Item.from_value(value) for value in values]
    body = ResponsesBody(a_config(), a_prompt(items))
    content = b"".join(chunks_of(body))
    assert len(content) == body.length
    assert json.loads(content)["input"] == [own, sealed, text_message("hi").value()]


def test_arguments_that_are_cut_off_are_sent_as_a_json_object() -> None:
    call = {
        "type": "function_call",
        "name": "f",
        "call_id": "c",
        "arguments": '{"a":["b',
    }
    cut, whole = {**call, "status": "incomplete"}, {**call, "arguments": '{"a": 1}'}
    body = ResponsesBody(a_config(), a_prompt([Item.from_value(v) for v in (cut, whole)]))
    sent = json.loads(b"".join(chunks_of(body)))["input"]
    assert json.loads(sent[0]["arguments"]) == {"arguments": '{"a":["b'}
    assert sent[1] == whole


def test_a_local_server_is_never_sent_half_a_call() -> None:
    """llama.cpp cuts calls off without a word, and then refuses the conversation for ever."""
    call = {"type": "function_call", "name": "f", "call_id": "c", "arguments": '{"a":["b'}
    items = [Item.from_value(call)]
    local = LocalServer(start="s", install="i", add_model="a")

    def arguments(provider: Provider) -> str:
        body = ResponsesBody(a_config(provider), a_prompt(items))
        sent: str = json.loads(b"".join(chunks_of(body)))["input"][0]["arguments"]
        return sent

    assert json.loads(arguments(a_provider(local=local))) == {"arguments": call["arguments"]}
    assert arguments(a_provider()) == call["arguments"]

"""What is made of the errors that real servers answer with, as they were recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import HOME, a_client, a_config, a_prompt, ask

from codex_rpc.config.providers import known_providers
from codex_rpc.config.settings import Provider
from codex_rpc.model.advice import Asked
from codex_rpc.model.chat import CHAT
from codex_rpc.model.errors import http_error, stream_error
from codex_rpc.model.responses import RESPONSES
from codex_rpc.protocol import errors
from codex_rpc.protocol.errors import ModelError

GOLDEN = Path(__file__).parents[2] / "golden" / "errors"
RECORDED = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}

KEY = "sk-secret-0123456789abcdef"
DIALECTS = {"responses": RESPONSES, "chat": CHAT}

ANSWERS = {name: case for name, case in RECORDED.items() if not case.get("stream")}
"""Without those that are said within a stream."""

recorded = pytest.mark.parametrize("case", RECORDED.values(), ids=list(RECORDED))


def provider_of(case: dict[str, Any]) -> Provider:
    """The built-in provider of that name, else one that a user would write down."""
    name, address = case["provider_id"], case.get("base_url")
    built_in = known_providers({}, {}).get(name)
    if built_in is not None:
        return evolve(
            built_in,
            api_key=KEY if built_in.env_key else None,
            base_url=address or built_in.base_url,
            wire_api=case["wire_api"],
        )
    return Provider(
        id=name,
        name=name,
        base_url=address,
        env_key=f"{name.upper()}_API_KEY",
        api_key=KEY,
        wire_api=case["wire_api"],
    )


def asked_of(case: dict[str, Any]) -> Asked:
    return Asked(
        provider=provider_of(case),
        model=case.get("model", "gpt-5"),
        path=DIALECTS[case["wire_api"]].path,
        codex_home=HOME,
        continues=case.get("continues", False),
    )


def content_of(case: dict[str, Any]) -> bytes:
    body = case["body"]
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def failure_of(case: dict[str, Any]) -> ModelError:
    if case.get("stream"):
        return stream_error(case["body"], asked_of(case))
    status = 400 if case["status"] == 200 else case["status"]
    headers = httpx.Headers(case["headers"])
    return http_error(status, headers, content_of(case), asked_of(case))


def test_there_are_at_least_forty_of_them() -> None:
    assert len(RECORDED) >= 40


@recorded
def test_each_means_one_thing_and_says_what_to_do(case: dict[str, Any]) -> None:
    failure = failure_of(case)
    assert type(failure) is getattr(errors, case["error"]), failure.message
    assert failure.retryable is case["retryable"]
    assert failure.retry_after_s == (
        None if case["retry_after_s"] is None else pytest.approx(case["retry_after_s"])
    )
    for words in case["says"]:
        assert words in failure.message
    for words in case.get("omits", ()):
        assert words not in failure.message


@recorded
def test_each_text_is_a_few_sentences_on_one_line_without_the_key(case: dict[str, Any]) -> None:
    message = failure_of(case).message
    assert len(message.splitlines()) == 1
    assert message == message.strip()
    assert KEY not in message
    assert len(message) < 1000


@pytest.mark.parametrize("case", ANSWERS.values(), ids=list(ANSWERS))
async def test_the_client_says_the_same(case: dict[str, Any]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(case["status"], headers=case["headers"], content=content_of(case))

    config = a_config(provider_of(case), model=asked_of(case).model)
    transport = httpx.MockTransport(answer)
    client = a_client(config, DIALECTS[case["wire_api"]], transport=transport)
    prompt = a_prompt(
        model=config.model, previous_response_id="resp_abc" if case.get("continues") else None
    )
    with pytest.raises(ModelError) as raised:
        await ask(client, prompt)
    await client.aclose()
    assert raised.value.message == failure_of(case).message
    assert type(raised.value) is type(failure_of(case))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_recorded_body_that_breaks_off_or_is_damaged_breaks_nothing(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(list(ANSWERS.values())))
    content = bytearray(content_of(case))
    if content and data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    status = data.draw(st.sampled_from((case["status"], 400, 429, 500)))
    failure = http_error(status, {}, bytes(content), asked_of(case))
    assert len(failure.message.splitlines()) == 1
    assert KEY not in failure.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(KEY),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8)
            | st.sampled_from(
                [
                    "error",
                    "errors",
                    "message",
                    "detail",
                    "code",
                    "type",
                    "param",
                    "metadata",
                    "headers",
                    "raw",
                    "details",
                    "status",
                    "innererror",
                    "reason",
                    "retryDelay",
                    "loc",
                    "msg",
                    "title",
                    "X-RateLimit-Reset",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=300)
@given(
    JSON,
    st.sampled_from((200, 301, 400, 401, 403, 404, 407, 413, 429, 500, 503, 529, 999)),
    st.dictionaries(
        st.sampled_from(
            ("retry-after", "retry-after-ms", "date", "location", "x-ratelimit-reset-tokens")
        ),
        st.text() | st.sampled_from(("1e300", "9" * 400, "6m30s", "//[", "Mon, 99 X")),
    ),
    st.booleans(),
)
def test_no_answer_of_any_shape_breaks_the_mapping_or_shows_the_key(
    value: Any, status: int, headers: dict[str, str], continues: bool
) -> None:
    provider = Provider(id="mine", name="Mine", base_url="http://model.test/v1", api_key=KEY)
    asked = Asked(
        provider=provider, model="m", path="/responses", codex_home=HOME, continues=continues
    )
    body = json.dumps(value).encode()
    failures = [http_error(status, headers, body, asked)]
    failures.append(http_error(status, headers, b"data: " + body, asked))
    failures.append(http_error(status, headers, str(value).encode(errors="replace"), asked))
    if isinstance(value, dict):
        failures.append(stream_error(value, asked))
    for failure in failures:
        assert len(failure.message.splitlines()) == 1
        assert KEY not in failure.message
        assert failure.retry_after_s is None or 0 <= failure.retry_after_s < 1e9


@settings(deadline=None, max_examples=100)
@given(st.text(min_size=8).map(str.strip).filter(lambda key: len(key) >= 8), st.text())
def test_a_key_is_masked_wherever_it_stands(key: str, around: str) -> None:
    provider = Provider(id="mine", name="Mine", base_url="http://model.test/v1", api_key=key)
    asked = Asked(provider=provider, model="m", path="/responses", codex_home=HOME)
    quoted = asked.quoted(f"{around}{key}{around}")
    assert key not in quoted.replace("[key]", "")

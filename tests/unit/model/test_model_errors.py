"""What status codes, error codes, hints and broken connections are called."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_support import HOME, a_provider

from codex_rpc.model.advice import Asked
from codex_rpc.model.complaints import Complaint
from codex_rpc.model.connections import map_exceptions
from codex_rpc.model.delays import delay_s, hinted_delay_s, spoken
from codex_rpc.model.errors import http_error, stream_error
from codex_rpc.protocol.errors import (
    AnswerFiltered,
    ContextFull,
    ModelError,
    ModelRejected,
    ModelUnreachable,
    PreviousResponseUnknown,
    RateLimited,
    ServerFailed,
    StreamInterrupted,
)

ASKED = Asked(
    provider=a_provider(), model="gpt-5", path="/responses", codex_home=HOME, continues=True
)


def answer(status: int, body: Any = "", headers: dict[str, str] | None = None) -> ModelError:
    content = body if isinstance(body, str) else json.dumps(body)
    return http_error(status, httpx.Headers(headers), content.encode(), ASKED)


def error(message: str = "so it is", **members: Any) -> dict[str, Any]:
    return {"error": {"message": message, **members}}


LLAMA_CONTEXT = error(
    "request (20030 tokens) exceeds the available context size (16384 tokens), try increasing it",
    code=400,
    type="exceed_context_size_error",
    n_prompt_tokens=20030,
    n_ctx=16384,
)
LLAMA_PREVIOUS = error(
    "llama.cpp does not support 'previous_response_id'.", code=400, type="invalid_request_error"
)
VLLM_CONTEXT = {
    "object": "error",
    "message": "This model's maximum context length is 4096 tokens. However, you requested 5000",
    "type": "BadRequestError",
    "code": 400,
}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error(code="bad", type="invalid_request_error"), ModelRejected),
        (400, error(code="context_length_exceeded"), ContextFull),
        (400, LLAMA_CONTEXT, ContextFull),
        (400, VLLM_CONTEXT, ContextFull),
        (413, error(code="context_length_exceeded"), ContextFull),
        (413, "too large", ModelRejected),
        (400, error(code="previous_response_not_found"), PreviousResponseUnknown),
        (404, error("Previous response with id 'resp_1' not found."), PreviousResponseUnknown),
        (400, error("cannot", param="previous_response_id"), PreviousResponseUnknown),
        (400, LLAMA_PREVIOUS, PreviousResponseUnknown),
        (401, error(code="invalid_api_key"), ModelRejected),
        (403, error(), ModelRejected),
        (404, error(), ModelRejected),
        (404, "<html>nothing here</html>", ModelRejected),
        (408, "", ServerFailed),
        (409, "", ServerFailed),
        (422, {"detail": [{"loc": ["body", "model"], "msg": "bad", "input": {}}]}, ModelRejected),
        (429, error(type="tokens", code="rate_limit_exceeded"), RateLimited),
        (429, "", RateLimited),
        (429, error(code="insufficient_quota", type="insufficient_quota"), ModelRejected),
        (429, error(type="usage_not_included"), ModelRejected),
        (500, error(code=500, type="server_error"), ServerFailed),
        (500, error("the context window is shut"), ServerFailed),
        (503, "", ServerFailed),
        (529, error(type="overloaded_error"), ServerFailed),
        (302, "", ModelRejected),
    ],
)
def test_each_answer_has_its_error(status: int, body: Any, kind: type[ModelError]) -> None:
    assert type(answer(status, body)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "context_length_exceeded", "message": "too long"}, ContextFull),
        ({"code": "rate_limit_exceeded", "message": "slow down"}, RateLimited),
        ({"code": "insufficient_quota", "message": "pay"}, ModelRejected),
        ({"code": "usage_not_included", "message": "pay"}, ModelRejected),
        ({"code": "previous_response_not_found", "message": "gone"}, PreviousResponseUnknown),
        ({"code": "invalid_prompt", "message": "no"}, AnswerFiltered),
        ({"code": "image_parse_error", "message": "no"}, ModelRejected),
        ({"code": "server_error", "message": "oops"}, StreamInterrupted),
        ({"code": "vector_store_timeout", "message": "oops"}, StreamInterrupted),
        ({"code": None, "message": "oops"}, StreamInterrupted),
        ({}, StreamInterrupted),
        ({"code": 400, "message": "no", "type": "invalid_request_error"}, ModelRejected),
        ({"code": 500, "message": "oops"}, ServerFailed),
        ({"code": 400, "message": "too long", "type": "exceed_context_size_error"}, ContextFull),
    ],
)
def test_each_failure_within_a_stream_has_its_error(
    error: dict[str, Any], kind: type[ModelError]
) -> None:
    failure = stream_error(error, ASKED)
    assert type(failure) is kind
    assert error.get("message", "") in failure.message


def test_a_previous_response_is_unknown_only_to_who_was_asked_to_continue_one() -> None:
    asked = Asked(provider=a_provider(), model="gpt-5", path="/responses", codex_home=HOME)
    body = json.dumps(error(code="previous_response_not_found")).encode()
    assert type(http_error(400, {}, body, asked)) is ModelRejected


@pytest.mark.parametrize(
    ("headers", "body", "delay_s"),
    [
        ({}, "", None),
        ({"Retry-After": "2"}, "", 2.0),
        ({"Retry-After": "0.5"}, "", 0.5),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, "", 0.25),
        ({"Retry-After": "-1"}, "", None),
        ({"Retry-After": "nan"}, "", None),
        ({"Retry-After": "soon"}, "", None),
        ({"Retry-After": "soon"}, error("Please try again in 3s."), 3.0),
        ({"Retry-After": "2"}, error("Please try again in 3s."), 2.0),
        (
            {
                "Retry-After": "Sun, 22 Nov 2026 16:30:07 GMT",
                "Date": "Sun, 22 Nov 2026 16:30:00 GMT",
            },
            "",
            7.0,
        ),
        (
            {
                "Retry-After": "Sun, 22 Nov 2026 16:29:00 GMT",
                "Date": "Sun, 22 Nov 2026 16:30:00 GMT",
            },
            "",
            0.0,
        ),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, "", 0.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_servers_hint_how_long_to_wait_is_told(
    status: int, headers: dict[str, str], body: Any, delay_s: float | None
) -> None:
    assert answer(status, body, headers).retry_after_s == delay_s


@pytest.mark.parametrize(
    ("message", "delay_s"),
    [
        ("Limit 10000, Used 9000. Please try again in 1.5s. Visit x", 1.5),
        ("Please try again in 500ms.", 0.5),
        ("try again in 1m2s", 62.0),
        ("Try again in 6m0s.", 360.0),
        ("try again in 1h2m3.5s", 3723.5),
        ("Please retry after 20 seconds.", 20.0),
        ("please retry in 2 minutes", 120.0),
        ("try again in 1 day", 86400.0),
        ("try again in 100 milliseconds", 0.1),
        ("try again in a moment", None),
        ("try again in 5 widgets", None),
        ("try again later", None),
        ("it took 20s", None),
    ],
)
def test_a_hint_is_found_in_the_words(message: str, delay_s: float | None) -> None:
    assert hinted_delay_s(message) == (None if delay_s is None else pytest.approx(delay_s))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "20s"}, 20.0),
        ({"retry-after": "9" * 400}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "7", "x-ratelimit-reset-tokens": "1m"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "17ms",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "2s",
            },
            2.0,
        ),
        ({"x-ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-reset": "1000000030", "date": "Sun, 09 Sep 2001 01:46:40 GMT"}, 30.0),
        ({"x-ratelimit-reset": "1000000030000", "date": "Sun, 09 Sep 2001 01:46:40 GMT"}, 30.0),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"retry-after": "1e300"}, None),
    ],
)
def test_a_delay_is_found_in_any_of_the_usual_headers(
    headers: dict[str, str], expected: float | None
) -> None:
    assert delay_s(headers, "") == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (20, "20 s"),
        (60, "1 min"),
        (89.5, "1 min 30 s"),
        (3600, "1 h"),
        (5401, "1 h 31 min"),
        (86400, "24 h"),
        (3 * 86400 + 1, "4 days"),
    ],
)
def test_a_delay_is_said_in_words(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_is_too_long_is_not_waited_for(status: int) -> None:
    failure = answer(status, error("later"), {"Retry-After": "901"})
    assert type(failure) is ModelRejected
    assert "Try again in 15 min 1 s, or choose another model" in failure.message
    assert answer(status, error("later"), {"Retry-After": "900"}).retryable


@given(st.text(alphabet="try again in 0123456789.smh,", max_size=80))
def test_no_words_break_the_search_for_a_hint(message: str) -> None:
    delay_s = hinted_delay_s("try again in " + message)
    assert delay_s is None or delay_s >= 0


def test_refused_credentials_say_which_variable_to_set() -> None:
    provider = a_provider(env_key="MINE_KEY", env_key_instructions="Get one at mine.test.")
    asked = Asked(provider=provider, model="gpt-5", path="/responses", codex_home=HOME)
    failure = http_error(401, {}, json.dumps(error("no such key")).encode(), asked)
    assert failure.message == (
        "Mine refused access (401): no such key. Set the environment variable MINE_KEY to a valid"
        " API key. Get one at mine.test."
    )
    assert isinstance(failure, ModelRejected)
    assert failure.status == 401


def test_refused_credentials_of_openai_name_the_auth_file() -> None:
    provider = a_provider(env_key="OPENAI_API_KEY", requires_openai_auth=True)
    asked = Asked(provider=provider, model="gpt-5", path="/responses", codex_home=HOME)
    message = http_error(401, {}, b"", asked).message
    assert message.startswith("Mine refused access (401): Unauthorized.")
    assert "or put a valid OPENAI_API_KEY into /home/me/.codex/auth.json." in message


def test_the_words_of_a_page_are_not_the_server_s() -> None:
    page = "<html><head><title>Blocked by the web content filter</title></head></html>"
    failure = answer(403, page)
    assert failure.message == (
        "Mine refused access (403): Blocked by the web content filter. Something before the server"
        " answered: check the network, and its firewalls."
    )


def test_a_404_names_model_and_address() -> None:
    message = answer(404, error("nothing")).message
    assert "http://model.test/v1/responses" in message
    assert "gpt-5" in message


def test_a_key_that_the_server_repeats_is_not_repeated() -> None:
    provider = a_provider(http_headers={"api-key": "other-secret"})
    asked = Asked(provider=provider, model="gpt-5", path="/responses", codex_home=HOME)
    body = json.dumps(error("bad keys sk-secret, other-secret")).encode()
    assert http_error(401, {}, body, asked).message.startswith(
        "Mine refused access (401): bad keys [key], [key]."
    )


def test_what_a_validator_repeats_of_the_request_is_left_out() -> None:
    entry = {"loc": ["body", "input", 0], "msg": "Field required", "input": {"text": "my prompt"}}
    assert answer(422, {"detail": [entry]}).message.endswith("body.input.0: Field required")


def test_the_key_is_masked_without_its_scheme_and_short_ones_as_words() -> None:
    provider = a_provider(
        "http://me:base-password@model.test/v1",
        api_key="ab",
        http_headers={"Authorization": "Bearer header-secret"},
        query_params={"key": "query-secret"},
    )
    asked = Asked(provider=provider, model="gpt-5", path="/responses", codex_home=HOME)
    assert asked.quoted("about ab: header-secret query-secret base-password") == (
        "about [key]: [key] [key] [key]"
    )


def test_a_long_or_wild_text_is_shown_as_one_line_of_500_characters() -> None:
    message = answer(400, "a\x1b[31m\r\n\tb" + "é" * 2000).message
    quoted = message.removeprefix("Mine rejected the request (400): ")
    assert quoted.startswith("a [31m b")
    assert len(quoted) == 500


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "plain"}, "plain"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"message": "m"}, "m"),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ({"error": {"message": 7, "code": [1]}}, ""),
    ],
)
def test_a_complaint_is_found_in_the_usual_shapes(body: Any, message: str) -> None:
    complaint = Complaint.from_value(body)
    assert complaint is not None
    assert complaint.message == message


@pytest.mark.parametrize("body", [{}, [], None, 3, "text", {"id": "resp_1"}])
def test_what_does_not_complain_is_no_complaint(body: Any) -> None:
    assert Complaint.from_value(body) is None


def all_subclasses(kind: type[Exception]) -> list[type[Exception]]:
    return [s for c in kind.__subclasses__() for s in (c, *all_subclasses(c))]


@pytest.mark.parametrize("kind", all_subclasses(httpx.RequestError))
def test_whatever_httpx_raises_for_a_request_becomes_a_model_error(kind: type[Exception]) -> None:
    with pytest.raises(ModelError) as raised, map_exceptions(ASKED):
        raise kind("Illegal header value b'Bearer sk-secret'")
    assert isinstance(raised.value.__cause__, kind)
    if isinstance(raised.value, ModelRejected):
        assert "sk-secret" not in raised.value.message


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (httpx.ConnectError("x"), ModelUnreachable),
        (httpx.ConnectTimeout("x"), ModelUnreachable),
        (httpx.ProxyError("x"), ModelUnreachable),
        (httpx.ReadTimeout("x"), StreamInterrupted),
        (httpx.WriteTimeout("x"), StreamInterrupted),
        (httpx.ReadError("x"), StreamInterrupted),
        (httpx.RemoteProtocolError("x"), StreamInterrupted),
        (httpx.InvalidURL("x"), ModelRejected),
        (httpx.LocalProtocolError("x"), ModelRejected),
    ],
)
def test_each_failure_of_the_connection_has_its_error(
    exc: Exception, kind: type[ModelError]
) -> None:
    with pytest.raises(kind) as raised, map_exceptions(ASKED):
        raise exc
    assert type(raised.value) is kind


def test_other_exceptions_pass_as_they_are() -> None:
    with pytest.raises(KeyError), map_exceptions(ASKED):
        raise KeyError("x")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "page", ["<title>" * 9000, "<h1>" * 16000, f"<title>{'<' * 60000}</title>"]
)
def test_a_page_that_never_ends_what_it_begins_takes_no_time(page: str) -> None:
    assert isinstance(answer(404, page), ModelRejected)


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ({"base_url": "http://h/v1?api_key=q-0123456789"}, "q-0123456789"),
        ({"query_params": {"key": "ab+cd/ef=="}}, "ab%2Bcd%2Fef%3D%3D"),
        ({"base_url": "http://user:secret-pw@h/v1"}, "dXNlcjpzZWNyZXQtcHc="),
        ({"base_url": "http://secret-user@h/v1"}, "secret-user"),
        (
            {"http_headers": {"X-Gate": "g-0123456789"}, "env_http_headers": {"X-Gate": "G"}},
            "g-0123456789",
        ),
        ({"http_headers": {"X-Password": "p-0123456789"}}, "p-0123456789"),
    ],
)
def test_no_form_in_which_a_secret_is_sent_is_quoted(provider: dict[str, Any], said: str) -> None:
    asked = Asked(provider=a_provider(**provider), model="m", path="/x", codex_home=HOME)
    assert said not in asked.quoted(f"bad request: GET /x?a={said}, Basic {said}")

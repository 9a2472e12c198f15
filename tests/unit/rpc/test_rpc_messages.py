"""Messages: what the peer meant, which malformed message gets which code, and what we write."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from codex_rpc.rpc import messages
from codex_rpc.rpc.framing import INVALID_REQUEST, PARSE_ERROR
from codex_rpc.rpc.messages import Fault, Notification, Request, Response, Unencodable, parse


def call(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"nonsense",
        b'{"jsonrpc":"2.0","id":1,"method":"m"',
        b'{"jsonrpc":"2.0","id":1,"method":"m"} {}',
        b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"',
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800","params":{"a":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800","params":' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1e999}}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
)
def test_what_is_not_json_is_a_parse_error_without_an_id(payload: bytes) -> None:
    fault = parse(payload)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.id) == (PARSE_ERROR, None)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r"a\ud83db", "a\ufffdb"),
        (r"\ude00\uD83D", "\ufffd\ufffd"),
        (r"\ud83d\ude00\ud83d", "😀\ufffd"),
        (r"\\ud83d\ud83d", "\\ud83d\ufffd"),
    ],
)
def test_half_a_character_is_one_that_takes_as_much_room(text: str, read: str) -> None:
    params = f'{{"text":"{text}"}}'.encode()
    message = parse(b'{"jsonrpc":"2.0","method":"m","params":' + params + b"}")
    assert message == Notification("m", {"text": read})


@pytest.mark.parametrize(
    ("payload", "id_"),
    [
        (b"null", None),
        (b"1", None),
        (b'"text"', None),
        (b"[]", None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"m"}]', None),
        (b"{}", None),
        (call(id=1.5, method="m"), None),
        (b'{"jsonrpc":"2.0","id":1.0,"method":"m"}', None),
        (b'{"jsonrpc":"2.0","id":1e30,"method":"m"}', None),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 300 + b'.5,"method":"m"}', None),
        (call(id=True, method="m"), None),
        (call(id=None, method="m"), None),
        (call(id=[1], method="m"), None),
        (call(id={}, method="m"), None),
        (b'{"id":7,"method":"m"}', 7),
        (b'{"jsonrpc":"1.0","id":"a","method":"m"}', "a"),
        (b'{"jsonrpc":2.0,"id":7,"method":"m"}', 7),
        (b'{"method":"m"}', None),
        (call(id=7), 7),
        (call(), None),
        (call(id=7, method=5), 7),
        (call(id=7, method=None), 7),
        (call(method=["m"]), None),
    ],
)
def test_json_that_is_no_message_is_an_invalid_request(
    payload: bytes, id_: int | str | None
) -> None:
    fault = parse(payload)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.id) == (INVALID_REQUEST, id_)


@pytest.mark.parametrize(
    "id_",
    [0, -1, 1, "1", "", "ä\u2028", 2**53 + 1, 2**64 - 1, 2**64, -(2**63) - 1, 10**300],
)
def test_an_id_is_echoed_with_its_type_and_value(id_: int | str) -> None:
    request = parse(call(id=id_, method="m"))
    assert isinstance(request, Request)
    answer = json.loads(messages.result(request.id, {}))
    assert answer == {"jsonrpc": "2.0", "id": id_, "result": {}}
    assert type(answer["id"]) is type(id_)


def test_params_are_passed_on_as_they_came() -> None:
    assert parse(call(id=1, method="m")) == Request(1, "m", None)
    assert parse(call(id=1, method="m", params=[1])) == Request(1, "m", [1])
    nested = {"a": {"jsonrpc": "2.0", "id": 9, "method": "n"}}
    assert parse(call(method="m", params=nested)) == Notification("m", nested)


def test_a_message_with_a_method_is_a_request_whatever_else_it_has() -> None:
    assert parse(call(id=1, method="m", result=None)) == Request(1, "m", None)


def test_whatever_has_a_result_or_an_error_and_no_method_is_an_answer() -> None:
    assert parse(call(id=1, result=None)) == Response(1, None, None)
    assert parse(call(id="x", error={"code": 1})) == Response("x", None, {"code": 1})
    assert parse(b'{"result":1}') == Response(None, 1, None)
    assert parse(b'{"id":1.5,"error":1}') == Response(1.5, None, 1)


def test_a_message_of_an_array_of_bytes_is_the_same() -> None:
    assert parse(bytearray(call(id=2**70, method="m"))) == Request(2**70, "m", None)


def test_names_of_files_that_are_not_unicode_can_be_said() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert orjson.loads(messages.result(1, {"path": name}))["result"]["path"].startswith(
        "caf\ufffd"
    )


def test_nesting_that_was_taken_can_be_given_back() -> None:
    deep = orjson.loads(b"[" * 500 + b"]" * 500)
    assert json.loads(messages.result(1, deep))["result"] == deep


@pytest.mark.parametrize("value", [{1, 2}, object()])
def test_what_is_no_json_value_is_refused(value: object) -> None:
    with pytest.raises(Unencodable):
        messages.result(1, value)


def test_what_is_nested_too_deep_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unencodable):
        messages.result(1, deep)


def test_an_error_without_data_has_no_such_member() -> None:
    assert json.loads(messages.error(None, -32700, "m")) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32700, "message": "m"},
    }
    assert json.loads(messages.error(1, 1007, "m", {"waiting": []}))["error"]["data"] == {
        "waiting": []
    }

"""JSON-RPC 2.0 messages: bytes into what the peer meant, and our answers into bytes.

Owns the shapes of requests, notifications, answers and errors, and which malformed message
gets which code. Knows no method: `params` is passed on as it came.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from codex_rpc.protocol.frozen import frozen
from codex_rpc.rpc.framing import INVALID_REQUEST, PARSE_ERROR, Frame

RequestId = int | str

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@frozen
class Request:
    """Wants exactly one answer."""

    id: RequestId
    method: str
    params: Any
    """As it came; None if absent."""


@frozen
class Notification:
    """Wants no answer, whatever it is."""

    method: str
    params: Any


@frozen
class Response:
    """An answer to a request of ours; never answered itself."""

    id: Any
    result: Any
    error: Any
    """None: it succeeded."""


@frozen
class Fault:
    """A message that is answered with an error and nothing else."""

    id: RequestId | None
    code: int
    message: str


Message = Request | Notification | Response | Fault


def parse(payload: Frame) -> Message:
    """What `payload` is.

    A fault carries the request's id where there is a valid one, so that whoever waits for
    the answer gets it.
    """
    try:
        value = _loaded(payload)
    except orjson.JSONDecodeError as exc:
        return Fault(None, PARSE_ERROR, f"not JSON: {exc}")
    if isinstance(value, list):
        return Fault(None, INVALID_REQUEST, "batches are not supported; send one message at a time")
    if not isinstance(value, dict):
        return Fault(None, INVALID_REQUEST, "a message is a JSON object")
    if "method" not in value and ("result" in value or "error" in value):
        return Response(value.get("id"), value.get("result"), value.get("error"))
    return _parse_call(value, payload)


def _loaded(payload: Frame) -> Any:
    """The value; half a surrogate pair, which texts in editors may hold, becomes U+FFFD.

    That is as long, in each of LSP's encodings, so that positions mean what the peer means.

    Raises:
        JSONDecodeError: it is not JSON.
    """
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        if not _SURROGATE.search(payload):
            raise
        try:
            text = json.dumps(json.loads(payload), ensure_ascii=False)
        except (ValueError, RecursionError):
            text = ""
        if not text:
            raise
        return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _parse_call(value: dict[str, Any], payload: Frame) -> Request | Notification | Fault:
    id_ = value.get("id")
    if isinstance(id_, float):
        id_ = _large_integer(payload)
    if "id" in value and (isinstance(id_, bool) or not isinstance(id_, int | str)):
        return Fault(None, INVALID_REQUEST, "`id` must be an integer or a string")
    if value.get("jsonrpc") != "2.0":
        return Fault(id_, INVALID_REQUEST, '`jsonrpc` must be "2.0"')
    if "method" not in value:
        return Fault(id_, INVALID_REQUEST, "a message needs `method`, or `result` or `error`")
    method = value["method"]
    if not isinstance(method, str):
        return Fault(id_, INVALID_REQUEST, "`method` must be a string")
    if id_ is None:
        return Notification(method, value.get("params"))
    return Request(id_, method, value.get("params"))


def _large_integer(payload: Frame) -> Any:
    """The id of a message whose id orjson, which knows 64 bits only, made a float."""
    try:
        return json.loads(payload)["id"]
    except (ValueError, RecursionError):
        # More digits, or deeper nesting, than the standard library takes.
        return None


def result(id_: RequestId, value: Any) -> bytes:
    """The answer to a request that succeeded.

    Raises:
        Unencodable: `value` is nested too deep.
    """
    return encoded({"jsonrpc": "2.0", "id": id_, "result": value})


def error(id_: RequestId | None, code: int, message: str, data: Any = None) -> bytes:
    """The answer to a request that failed; `data` is left out if it is None or empty."""
    body = {"code": code, "message": message}
    if data:
        body["data"] = data
    return encoded({"jsonrpc": "2.0", "id": id_, "error": body})


def request(id_: RequestId, method: str, params: Any) -> bytes:
    """A request of ours.

    Raises:
        Unencodable: `params` is nested too deep.
    """
    return encoded({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})


def notification(method: str, params: Any) -> bytes:
    """A notification.

    Raises:
        Unencodable: `params` is nested too deep.
    """
    return encoded({"jsonrpc": "2.0", "method": method, "params": params})


class Unencodable(ValueError):
    """Raised when a value cannot be written as JSON."""


def encoded(value: Any) -> bytes:
    """`value` as compact JSON, UTF-8, without a raw line end.

    Lone surrogates, which names of files may hold, become U+FFFD.

    Raises:
        Unencodable: it is nested too deep, or is no JSON value.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        # The standard library takes what orjson does not: large integers, deep nesting, and
        # text that is not valid Unicode.
        try:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as exc:
            raise Unencodable(f"cannot be written as JSON: {exc}") from exc
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()

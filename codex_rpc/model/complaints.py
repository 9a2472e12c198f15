"""What a server says went wrong, found in an answer of whatever shape.

Owns the shapes of error bodies. It does not know what a complaint means, nor what may be shown
of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from attrs import field

from codex_rpc.protocol.frozen import frozen

_DEPTH = 4
"""How many complaints may be wrapped in each other: gateways quote whom they asked as JSON."""

_TEXT_MEMBERS = ("error", "detail", "message", "msg", "error_message", "reason", "title")

_LONGEST_TITLE = 2000
"""In characters; what is behind that is not shown anyway."""

_EMPTY_WORDS = r"(?i)^(provider |upstream )?(returned )?(an )?error\.?$"
"""What a gateway says that leaves the saying to whom it asked."""


@frozen(kw_only=True)
class Complaint:
    """What a server says went wrong; `""` where it says nothing."""

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str = ""
    status: int | None = None
    """A `code` that reads as an HTTP status."""
    reasons: tuple[str, ...] = ()
    """More codes, from deeper in."""
    headers: Mapping[str, str] = field(factory=dict)
    """What is told in the body that others tell in headers; names in lower case."""
    is_page: bool = False
    """Whether it was a page for people, of which `message` is the title. Model servers send none,
    so that something in between must have."""

    @property
    def names(self) -> frozenset[str]:
        """All that it is called, in lower case."""
        return frozenset(name.lower() for name in (self.code, self.kind, *self.reasons) if name)

    @classmethod
    def from_body(cls, body: bytes) -> Complaint:
        """That of an answer with an error status, whatever it holds."""
        text = body.decode(errors="replace").lstrip("\ufeff \t\r\n")
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = _event(text)
            if value is None and text.startswith("<"):
                return cls(message=_title(text), is_page=True)
            if value is None:
                return cls(message=text)
        if isinstance(value, str):
            return cls(message=value)
        # Of other shapes it is not known what they repeat of the request.
        return cls.from_value(value) or cls()

    @classmethod
    def from_value(cls, value: object, depth: int = 0) -> Complaint | None:
        """Find the complaint in an answer of one of the usual shapes; None: there is none."""
        value = _first(value)
        if not isinstance(value, dict) or depth > _DEPTH:
            return None
        for wrapped in (_first(value.get("error")), _first(value.get("errors"))):
            if isinstance(wrapped, dict):
                return cls.from_error(wrapped, depth + 1)
        for name in _TEXT_MEMBERS:
            said = value.get(name)
            if isinstance(said, str) and said:
                return cls.from_error({**value, "message": said}, depth + 1)
        detail = value.get("detail")
        if isinstance(detail, list):
            # A validator's list. It repeats what was sent as `input`; that part is left out.
            places = [_place(entry) for entry in detail if isinstance(entry, dict)]
            return cls(message="; ".join(places))
        for name in ("detail", "message"):
            found = cls.from_value(value.get(name), depth + 1)
            if found is not None:
                return found
        return None

    @classmethod
    def from_error(cls, error: Mapping[str, Any], depth: int = 0) -> Complaint:
        """What an object says that is the error itself."""
        code, metadata = error.get("code"), error.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        message = _text(error.get("message"))
        inner = cls._quoted_in(error.get("message"), depth)
        if inner is None and (not message or re.match(_EMPTY_WORDS, message)):
            # OpenRouter hands on what the provider behind it has said.
            raw = metadata.get("raw")
            inner = cls._quoted_in(raw, depth)
            message = _text(raw) or message
        inner = inner or cls()
        return cls(
            message=inner.message or message,
            code=_text(code),
            kind=_text(error.get("type")),
            param=_text(error.get("param")),
            status=_status(code) or inner.status,
            reasons=(*_reasons(error), *sorted(inner.names)),
            headers={**inner.headers, **_headers(error, metadata)},
        )

    @classmethod
    def _quoted_in(cls, value: object, depth: int) -> Complaint | None:
        """The complaint that `value` is, or that it is the JSON of."""
        if isinstance(value, str):
            if not value.lstrip().startswith(("{", "[")):
                return None
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                return None
        return cls.from_value(value, depth + 1)


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _status(code: object) -> int | None:
    if isinstance(code, str) and re.fullmatch(r"[0-9]{3}", code):
        code = int(code)
    return code if isinstance(code, int) and 400 <= code < 600 else None


def _place(entry: dict[str, Any]) -> str:
    location = entry.get("loc")
    where = ".".join(map(str, location)) if isinstance(location, list) else "request"
    return f"{where}: {_text(entry.get('msg'))}"


def _reasons(error: Mapping[str, Any]) -> list[str]:
    """Azure tells the cause in `innererror`, and Google in `status` and `details`."""
    inner = error.get("innererror")
    found = [error.get("status"), inner.get("code") if isinstance(inner, dict) else None]
    found += [detail.get("reason") for detail in _details(error)]
    return [reason for reason in found if isinstance(reason, str)]


def _headers(error: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, str]:
    """OpenRouter repeats headers as they are, and Google has a form for the time to wait."""
    told = metadata.get("headers")
    told = told if isinstance(told, dict) else {}
    headers = {name.lower(): value for name, value in told.items() if isinstance(value, str)}
    for detail in _details(error):
        if isinstance(delay := detail.get("retryDelay"), str):
            headers["retry-after"] = delay
    return headers


def _details(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [d for d in details if isinstance(d, dict)] if isinstance(details, list) else []


def _event(text: str) -> object:
    """The data of an answer that is an event although it is no stream; None: it is none."""
    if not re.match(r"(?:data|event|error|id):", text):
        return None
    data = re.search(r"(?m)^(?:data|error): *(\{.*)$", text)
    try:
        value: object = None if data is None else orjson.loads(data[1])
    except orjson.JSONDecodeError:
        return None
    return value


def _title(page: str) -> str:
    import html

    for element in ("title", "h1"):
        # Not one pattern from end to end, which takes long where many begin and none ends.
        opening = re.search(rf"(?i)<{element}(?=[\s>])", page)
        start = page.find(">", opening.end()) + 1 if opening is not None else 0
        ending = re.compile(rf"(?i)</{element}").search(page, start) if start else None
        if ending is None:
            continue
        said = page[start : ending.start()][:_LONGEST_TITLE]
        if said.strip():
            return html.unescape(re.sub(r"<[^<>]*>", " ", said))
    return ""

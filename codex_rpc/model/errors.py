"""What can go wrong between us and a model server, told as `ModelError`s.

Owns the meaning of status codes and error codes, and the words that the user reads. It knows
neither the request's content nor how it was sent. A server's own message is quoted, one
line of at most 500 characters, without our key should it be in there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from codex_rpc.config.settings import Provider
from codex_rpc.model.delays import delay_s
from codex_rpc.model.request import shown
from codex_rpc.protocol.errors import (
    ContextFull,
    ModelError,
    ModelRejected,
    ModelUnreachable,
    PreviousResponseUnknown,
    RateLimited,
    ServerFailed,
    StreamInterrupted,
)
from codex_rpc.protocol.frozen import frozen

MAX_QUOTED_CHARS = 500

_NO_QUOTA = frozenset(
    (
        "insufficient_quota",
        "usage_not_included",
        "usage_limit_reached",
        "billing_hard_limit_reached",
    )
)
_CONTEXT_FULL = frozenset(("context_length_exceeded", "exceed_context_size_error"))

# Patterns are compiled when first used: most processes never meet an error.
_CONTEXT_WORDS = r"(?i)context (length|size|window)"
_PREVIOUS_WORDS = r"(?i)previous[_ ]response"
_SECRET_HEADER = r"(?i)auth|key|token|secret|cookie"  # noqa: S105 - a pattern

_RETRYABLE_4XX = frozenset((408, 409, 425))


@frozen(kw_only=True)
class Asked:
    """Of a request, what its errors may speak of."""

    provider: Provider
    model: str
    codex_home: Path
    continues: bool = False
    """Whether it had a `previous_response_id`."""

    @property
    def url(self) -> str:
        """The provider's address, without secrets."""
        return shown(self.provider.base_url or "")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What a server may repeat, and no message may."""
        provider = self.provider
        named = [v for k, v in provider.http_headers.items() if re.search(_SECRET_HEADER, k)]
        return tuple(filter(None, (provider.api_key, *named)))


@frozen(kw_only=True)
class Complaint:
    """What a server says went wrong; `""` where it says nothing."""

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str = ""
    status: int | None = None
    """A numeric `code` that reads as an HTTP status."""

    @classmethod
    def from_value(cls, value: object) -> Complaint | None:
        """Find the complaint in an answer of one of the usual shapes; None: there is none."""
        if isinstance(value, list) and value:
            value = value[0]
        if not isinstance(value, dict):
            return None
        error = value.get("error")
        if isinstance(error, dict):
            return cls._from_error(error)
        for said in (error, value.get("detail"), value.get("message")):
            if isinstance(said, str) and said:
                return cls(message=said, code=_text(value.get("code")))
        detail = value.get("detail")
        if isinstance(detail, list):
            # A validator's list. It repeats what was sent as `input`; that part is left out.
            places = [_place(entry) for entry in detail if isinstance(entry, dict)]
            return cls(message="; ".join(places))
        return None

    @classmethod
    def _from_error(cls, error: dict[str, Any]) -> Complaint:
        code = error.get("code")
        is_status = isinstance(code, int) and 400 <= code < 600
        return cls(
            message=_text(error.get("message")),
            code=_text(code),
            kind=_text(error.get("type")),
            param=_text(error.get("param")),
            status=code if is_status else None,
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _place(entry: dict[str, Any]) -> str:
    location = entry.get("loc")
    where = ".".join(map(str, location)) if isinstance(location, list) else "request"
    return f"{where}: {_text(entry.get('msg'))}"


def http_error(status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> ModelError:
    """What an answer with an error status means; `headers` has lower-case or any-case keys."""
    complaint = _read_body(body)
    return _by_code(complaint, asked, headers, status) or _by_status(
        status, complaint, asked, headers
    )


def stream_error(error: dict[str, Any], asked: Asked) -> ModelError:
    """What the error object of `response.failed` or of an `error` event means."""
    complaint = Complaint._from_error(error)
    known = _by_code(complaint, asked, {}, complaint.status)
    if known is not None:
        return known
    if complaint.status is not None:
        return _by_status(complaint.status, complaint, asked, {})
    said = _quoted(complaint.message, asked) or f"the server gave up ({complaint.code or 'error'})"
    if complaint.code.startswith("invalid_") or "image" in complaint.code:
        # The request itself is at fault, so that another attempt would end the same way.
        return ModelRejected(f"{asked.provider.name} rejected the request: {said}")
    return StreamInterrupted(f"stream failed: {said}")


def interrupted(reason: str) -> StreamInterrupted:
    """A stream that ended for `reason` before its response was complete."""
    return StreamInterrupted(f"stream disconnected before completion: {reason}")


def _read_body(body: bytes) -> Complaint:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    return Complaint.from_value(value) or Complaint(message=body.decode(errors="replace"))


def _by_code(
    complaint: Complaint, asked: Asked, headers: Mapping[str, str], status: int | None
) -> ModelError | None:
    """What can be said from the codes and the words, wherever the complaint was found."""
    names = {complaint.code, complaint.kind}
    said = _quoted(complaint.message, asked)
    name = asked.provider.name
    if names & _NO_QUOTA:
        return ModelRejected(f"{name} says that the quota is used up: {said}", status=status)
    if "rate_limit_exceeded" in names:
        return _rate_limited(complaint, asked, headers)
    is_bad_request = status in (None, 400, 404, 413, 422)
    if not is_bad_request:
        return None
    if names & _CONTEXT_FULL or re.search(_CONTEXT_WORDS, complaint.message):
        return ContextFull(f"the conversation is too long for {asked.model}: {said}")
    if asked.continues and (
        complaint.code == "previous_response_not_found"
        or re.search(_PREVIOUS_WORDS, complaint.message)
        or complaint.param == "previous_response_id"
    ):
        return PreviousResponseUnknown(f"{name} does not know the previous response: {said}")
    return None


def _by_status(
    status: int, complaint: Complaint, asked: Asked, headers: Mapping[str, str]
) -> ModelError:
    name = asked.provider.name
    said = _quoted(complaint.message, asked) or _phrase(status)
    if status == 429:
        return _rate_limited(complaint, asked, headers)
    if status >= 500 or status in _RETRYABLE_4XX:
        return ServerFailed(
            f"{name} answered {status}: {said}", retry_after_s=delay_s(headers, complaint.message)
        )
    if status in (401, 403):
        text = f"{name} refused access ({status}): {said}"
        return ModelRejected(f"{_sentence(text)} {_remedy(asked)}", status=status)
    if status == 404:
        text = f"{asked.url}/responses does not serve the model {asked.model} (404): {said}"
        advice = f"Check `model`, and `base_url` of [model_providers.{asked.provider.id}]."
        return ModelRejected(f"{_sentence(text)} {advice}", status=status)
    return ModelRejected(f"{name} rejected the request ({status}): {said}", status=status)


def _rate_limited(complaint: Complaint, asked: Asked, headers: Mapping[str, str]) -> RateLimited:
    said = _quoted(complaint.message, asked) or _phrase(429)
    return RateLimited(
        f"{asked.provider.name} says to slow down: {said}",
        retry_after_s=delay_s(headers, complaint.message),
    )


def _remedy(asked: Asked) -> str:
    provider = asked.provider
    places = []
    if provider.env_key:
        places.append(f"set the environment variable {provider.env_key} to a valid API key")
    if provider.requires_openai_auth:
        places.append(f"put a valid OPENAI_API_KEY into {asked.codex_home / 'auth.json'}")
    if not places:
        places.append(f"set env_key under [model_providers.{provider.id}] if a key is needed")
    advice = _sentence(" or ".join(places))
    advice = advice[0].upper() + advice[1:]
    return " ".join(filter(None, (advice, provider.env_key_instructions)))


def _phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason given"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def _quoted(text: str, asked: Asked) -> str:
    """`text` fit to be shown: printable, on one line, not long, without our keys."""
    for secret in asked.secrets:
        text = text.replace(secret, "[key]")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MAX_QUOTED_CHARS else text[: MAX_QUOTED_CHARS - 1] + "…"


# What the HTTP client raises.


@contextmanager
def map_exceptions(asked: Asked) -> Iterator[None]:
    """Let `ModelError`s out where httpx raises its own."""
    import httpx

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as exc:
        reason = "timed out" if isinstance(exc, httpx.TimeoutException) else _reason(exc)
        raise ModelUnreachable(f"cannot connect to {asked.url}: {reason}") from exc
    except httpx.TimeoutException as exc:
        idle_s = asked.provider.stream_idle_timeout_ms / 1000
        raise interrupted(f"nothing came for {idle_s:g} s") from exc
    except (
        httpx.UnsupportedProtocol,
        httpx.LocalProtocolError,
        httpx.TooManyRedirects,
        httpx.InvalidURL,
    ) as exc:
        # Not quoted: what these say can contain headers.
        raise ModelRejected(f"no valid request can be made to {asked.url}") from exc
    except httpx.RequestError as exc:
        raise interrupted(_reason(exc)) from exc


def _reason(exc: BaseException) -> str:
    """The system's own words deepest below `exc`, else those of `exc`."""
    reason = str(exc) or type(exc).__name__
    seen: set[int] = set()
    below: BaseException | None = exc
    while below is not None and id(below) not in seen:
        seen.add(id(below))
        if isinstance(below, BaseExceptionGroup):
            below = below.exceptions[0]
        if isinstance(below, OSError) and below.strerror:
            reason = below.strerror
        below = below.__cause__ or below.__context__
    return reason

"""What the Responses API is asked: the body, streamed from the items' own bytes.

A conversation can be twenty megabytes in a hundred thousand items. They are sent as the bytes
in which they are kept: never parsed again, and never all in one piece.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import islice
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson

from codex_rpc import __version__
from codex_rpc.config.settings import Provider
from codex_rpc.model.families import may_reason
from codex_rpc.protocol.model import Prompt

CHUNK_BYTES = 64 * 1024
"""How much of a body is handed to the connection at a time, about."""


class RequestBody:
    """The JSON of one request; iterating gives its bytes in chunks, any number of times."""

    def __init__(self, prompt: Prompt) -> None:
        head = {"model": prompt.model, "instructions": prompt.instructions}
        self._head = orjson.dumps(head)[:-1] + b',"input":['
        self._tail = b"]," + orjson.dumps(_options(prompt))[1:]
        self._items = prompt.input
        self._count = len(prompt.input)
        self.length = (
            len(self._head)
            + sum(len(item.raw) for item in prompt.input)
            + max(0, self._count - 1)
            + len(self._tail)
        )
        """In bytes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = [self._head]
        size = len(self._head)
        comma = b""
        for item in islice(self._items, self._count):
            pieces += (comma, item.raw)
            size += len(comma) + len(item.raw)
            comma = b","
            if size >= CHUNK_BYTES:
                yield b"".join(pieces)
                pieces, size = [], 0
        pieces.append(self._tail)
        yield b"".join(pieces)


def _options(prompt: Prompt) -> dict[str, Any]:
    options: dict[str, Any] = {
        "tools": list(prompt.tools),
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }
    summary = None if prompt.summary == "none" else prompt.summary
    reasoning = {"effort": prompt.effort, "summary": summary}
    reasoning = {key: value for key, value in reasoning.items() if value is not None}
    reasons = may_reason(prompt.model)
    if reasoning and reasons:
        options["reasoning"] = reasoning
    options["store"] = prompt.store
    options["stream"] = True
    # Without the server's copy, its own reasoning comes back to it only through us.
    keeps_reasoning = prompt.store or not reasons
    options["include"] = [] if keeps_reasoning else ["reasoning.encrypted_content"]
    if prompt.previous_response_id is not None:
        options["previous_response_id"] = prompt.previous_response_id
    options["prompt_cache_key"] = prompt.session_id
    return options


def endpoint(provider: Provider) -> str:
    """The address to post to: `base_url` with `/responses`, then the query parameters."""
    assert provider.base_url is not None
    parts = urlsplit(provider.base_url)
    query = "&".join(filter(None, (parts.query, urlencode(provider.query_params))))
    return urlunsplit(
        (parts.scheme, parts.netloc, parts.path.rstrip("/") + "/responses", query, "")
    )


def shown(url: str) -> str:
    """`url` without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def headers(provider: Provider, prompt: Prompt, body: RequestBody) -> dict[bytes, bytes]:
    """The request's headers; those of the provider replace ours of the same name."""
    ours = {
        "accept": "text/event-stream",
        # A compressed stream may be held back by whoever compresses it.
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": f"codex-rpc/{__version__}",
        "openai-beta": "responses=experimental",
        "originator": "codex-rpc",
        "session_id": prompt.session_id,
    }
    if provider.api_key:
        ours["authorization"] = f"Bearer {provider.api_key}"
    ours |= {name.lower(): value for name, value in provider.http_headers.items()}
    ours["content-length"] = str(body.length)
    return {name.encode(): value.encode() for name, value in ours.items()}

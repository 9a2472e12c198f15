"""What every request to a model server has in common: its address and its headers."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from codex_rpc import __version__
from codex_rpc.config.settings import Provider
from codex_rpc.protocol.ids import SessionId

CHUNK_BYTES = 256 * 1024
"""How much of a body is handed to the connection at a time, about."""


def endpoint(provider: Provider, path: str) -> str:
    """The address to ask: `base_url` with `path`, then the query parameters."""
    assert provider.base_url is not None
    parts = urlsplit(provider.base_url)
    query = "&".join(filter(None, (parts.query, urlencode(provider.query_params))))
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + path, query, ""))


def shown(url: str) -> str:
    """`url` without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def credentials(provider: Provider) -> dict[str, str]:
    """The headers that say who asks, and the provider's own; names in lower case."""
    headers: dict[str, str] = {}
    if provider.api_key and provider.api_key_header:
        headers[provider.api_key_header.lower()] = provider.api_key
    elif provider.api_key:
        headers["authorization"] = f"Bearer {provider.api_key}"
    return headers | {name.lower(): value for name, value in provider.http_headers.items()}


def headers(
    provider: Provider, dialect: Mapping[str, str], session_id: SessionId, length: int
) -> dict[bytes, bytes]:
    """The headers of a request whose body has `length` bytes; those of the provider replace ours
    of the same name."""
    ours = {
        "accept": "text/event-stream",
        # A compressed stream may be held back by whoever compresses it.
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": f"codex-rpc/{__version__}",
        "originator": "codex-rpc",
        "session_id": session_id,
        **dialect,
        **credentials(provider),
        "content-length": str(length),
    }
    return {name.encode(): value.encode() for name, value in ours.items()}

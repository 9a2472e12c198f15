"""The model providers that are known by name: the built-in ones and the user's.

Owns the built-in table and how a `[model_providers.X]` entry becomes a `Provider`. Keys and
headers that come from the environment are `credentials`' affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex_rpc.config.keys import ADDRESS, is_address
from codex_rpc.config.paths import absolute
from codex_rpc.config.schema import dotted
from codex_rpc.config.settings import Provider
from codex_rpc.protocol.errors import ConfigError

OPENAI_KEY = "OPENAI_API_KEY"
"""The variable, and the member of auth.json, that holds OpenAI's API key."""

BUILTIN_PROVIDERS: Mapping[str, Mapping[str, Any]] = {
    "openai": {
        "name": "OpenAI",
        "base_url": "https://api.openai.com/v1",
        "wire_api": "responses",
        "requires_openai_auth": True,
        "env_http_headers": {
            "OpenAI-Organization": "OPENAI_ORGANIZATION",
            "OpenAI-Project": "OPENAI_PROJECT",
        },
    },
    "scripted": {"name": "Scripted model"},
}
"""By id, in the words of `[model_providers.X]`; a user's entry of that id replaces single keys."""

_BASE_URL_VARIABLE = "OPENAI_BASE_URL"


def known_providers(
    entries: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str]
) -> dict[str, Provider]:
    """All providers by id, built-in ones first, without keys. `entries` has been checked.

    Raises:
        ConfigError: a provider's script or OpenAI's address in the environment is no good.
    """
    tables: dict[str, dict[str, Any]] = {
        name: dict(table) for name, table in BUILTIN_PROVIDERS.items()
    }
    tables["openai"]["base_url"] = _openai_address(environ)
    for name, entry in entries.items():
        tables[name] = {**tables.get(name, {}), **entry}
    return {name: _provider(name, table, environ) for name, table in tables.items()}


def require_address(provider: Provider) -> None:
    """Make sure that it is known where to ask.

    Raises:
        ConfigError: neither an address nor a script is configured.
    """
    if provider.base_url is not None or provider.script is not None:
        return
    if provider.id == "scripted":
        member, example, what = "script", "/home/me/turns.toml", "the file of the scripted turns"
    else:
        member, example, what = "base_url", "https://example.com/v1", "the address of the API"
    key = dotted(("model_providers", provider.id, member))
    raise ConfigError(f"{key} is not set: it is {what}, as in {key} = '{example}'", key=key)


def _openai_address(environ: Mapping[str, str]) -> str:
    address = environ.get(_BASE_URL_VARIABLE, "").strip()
    if not address:
        return str(BUILTIN_PROVIDERS["openai"]["base_url"])
    if not is_address(address):
        raise ConfigError(
            f"the environment variable {_BASE_URL_VARIABLE} must be {ADDRESS.accepted}",
            key=_BASE_URL_VARIABLE,
        )
    return address


def _provider(provider_id: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    # A table may hold keys that nobody knows, and must not set fields that are no keys.
    known = {name: table[name] for name in _PROVIDER_KEYS if name in table}
    if "script" in known:
        key = dotted(("model_providers", provider_id, "script"))
        known["script"] = absolute(known["script"], environ, key=key)
    if known.get("requires_openai_auth"):
        known.setdefault("env_key", OPENAI_KEY)
    return Provider(**{"name": provider_id, **known, "id": provider_id})


_PROVIDER_KEYS = (
    "name",
    "base_url",
    "env_key",
    "env_key_instructions",
    "wire_api",
    "query_params",
    "http_headers",
    "env_http_headers",
    "request_max_retries",
    "stream_max_retries",
    "stream_idle_timeout_ms",
    "requires_openai_auth",
    "script",
)
"""Keys of `[model_providers.X]` that are fields of `Provider`."""

"""The model providers that are known by name: the built-in ones and the user's.

Owns how a `[model_providers.X]` entry becomes a `Provider`, and which variables say where a
built-in one is. Keys and headers that come from the environment are `credentials`' affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from codex_rpc.config.builtin_providers import (
    AZURE_API_VERSION,
    AZURE_HOSTS,
    BUILTIN_PROVIDERS,
    DEFAULT_MODELS,
    LOCAL_SERVERS,
    OPENAI_KEY,
)
from codex_rpc.config.keys import ADDRESS, is_address
from codex_rpc.config.paths import absolute
from codex_rpc.config.schema import dotted
from codex_rpc.config.settings import Provider
from codex_rpc.protocol.errors import ConfigError

OLLAMA_PORT = 11434
OLLAMA_IDS = ("oss", "ollama")
"""Both are the same provider: what config.toml says of one holds for the other too."""


def known_providers(
    entries: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str]
) -> dict[str, Provider]:
    """All providers by id, built-in ones first, without keys. `entries` has been checked.

    Raises:
        ConfigError: a provider's script or OpenAI's address in the environment is no good.
    """
    names = dict.fromkeys((*BUILTIN_PROVIDERS, *entries))
    tables = {
        name: {
            **BUILTIN_PROVIDERS.get(name, {}),
            **_said_by_environment(name, environ),
            **_said_by_user(name, entries),
        }
        for name in names
    }
    return {name: _provider(name, table, environ) for name, table in tables.items()}


def check_environment(
    provider_id: str, entries: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str]
) -> None:
    """Make sure that what the environment says of the chosen provider can be used.

    Raises:
        ConfigError: the variable, and what is accepted.
    """
    if "base_url" not in _said_by_user(provider_id, entries):
        _address(provider_id, environ)


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
    more = ""
    if provider.id == "azure":
        example = f"{_AZURE_EXAMPLE}/v1"
        more = (
            f". Without /v1 ('{_AZURE_EXAMPLE}') an api-version is sent with each request; "
            f"deployments that have wire_api = 'chat' only are at "
            f"'{_AZURE_EXAMPLE}/deployments/DEPLOYMENT'"
        )
    key = dotted(("model_providers", provider.id, member))
    raise ConfigError(f"{key} is not set: it is {what}, as in {key} = '{example}'{more}", key=key)


_AZURE_EXAMPLE = "https://NAME.openai.azure.com/openai"


def _said_by_user(provider_id: str, entries: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    said = entries.get(provider_id, {})
    if provider_id not in OLLAMA_IDS:
        return said
    (other,) = set(OLLAMA_IDS) - {provider_id}
    return {**entries.get(other, {}), **said}


def _said_by_environment(provider_id: str, environ: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        address = _address(provider_id, environ)
    except ConfigError:
        if provider_id == "openai":
            raise
        # Only those who want to use it have to hear of it.
        return {}
    return {} if address is None else {"base_url": address}


def _address(provider_id: str, environ: Mapping[str, str]) -> str | None:
    """Where the environment says that a built-in provider is; None: it does not say."""
    if provider_id == "openai":
        return _address_in(environ, "OPENAI_BASE_URL")
    if provider_id not in (*OLLAMA_IDS, "lmstudio"):
        return None
    # The Codex CLI reads these two for whatever `--oss` means there.
    if address := _address_in(environ, "CODEX_OSS_BASE_URL"):
        return address
    if port := environ.get("CODEX_OSS_PORT", "").strip():
        return _local_address("CODEX_OSS_PORT", f"localhost:{port}")
    # Ollama's own client takes the quotes off that some files of variables leave there.
    host = environ.get("OLLAMA_HOST", "").strip().strip("\"'").strip().rstrip("/")
    if host and provider_id in OLLAMA_IDS:
        return _local_address("OLLAMA_HOST", host)
    return None


def _address_in(environ: Mapping[str, str], variable: str) -> str | None:
    address = environ.get(variable, "").strip()
    if address and not is_address(address):
        raise _bad_address(variable)
    return address or None


def _local_address(variable: str, host: str) -> str:
    """The API of Ollama at `host`, which may lack the scheme, the port, and its name."""
    scheme, found, rest = host.rpartition("://")
    scheme = scheme or "http"
    place, slash, path = rest.partition("/")
    if place.count(":") > 1 and "]" not in place:
        place = f"[{place}]"
    try:
        parts = urlsplit(f"{scheme}://{place}")
        name, port = parts.hostname or "localhost", parts.port
    except ValueError as exc:
        raise _bad_address(variable) from exc
    # Ollama serves at all addresses of the machine under this one, which is none to ask.
    name = "localhost" if name in ("0.0.0.0", "::") else name  # noqa: S104
    if port is None:
        port = {"http": 80, "https": 443}.get(scheme) if found else OLLAMA_PORT
    shown = f"[{name}]" if ":" in name else name
    address = f"{scheme}://{shown}:{port}{slash}{path}/v1"
    if not is_address(address):
        raise _bad_address(variable)
    return address


def _bad_address(variable: str) -> ConfigError:
    return ConfigError(
        f"the environment variable {variable} must be {ADDRESS.accepted}", key=variable
    )


def _provider(provider_id: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    # A table may hold keys that nobody knows, and must not set fields that are no keys.
    known = {name: table[name] for name in _PROVIDER_KEYS if name in table}
    if "script" in known:
        key = dotted(("model_providers", provider_id, "script"))
        known["script"] = absolute(known["script"], environ, key=key)
    if known.get("requires_openai_auth"):
        known.setdefault("env_key", OPENAI_KEY)
    address = _split(known.get("base_url"))
    if address and (provider_id == "azure" or (address.hostname or "").endswith(AZURE_HOSTS)):
        known.setdefault("api_key_header", "api-key")
        if "api-version" not in address.query and not address.path.rstrip("/").endswith("/v1"):
            said = known.get("query_params", {})
            known["query_params"] = {"api-version": AZURE_API_VERSION, **said}
    return Provider(
        **{"name": provider_id, **known, "id": provider_id},
        default_model=DEFAULT_MODELS.get(provider_id),
        local=LOCAL_SERVERS.get(provider_id),
    )


def _split(base_url: str | None) -> SplitResult | None:
    try:
        return None if base_url is None else urlsplit(base_url)
    except ValueError:
        # Whoever makes the client says that it is no address.
        return None


_PROVIDER_KEYS = (
    "name",
    "base_url",
    "env_key",
    "env_key_instructions",
    "wire_api",
    "api_key_header",
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

"""From a configuration to the client of its provider.

Owns the table of what can be spoken. A new provider dialect is one module and one line here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from codex_rpc.config.credentials import missing_credentials
from codex_rpc.config.providers import require_address
from codex_rpc.config.settings import Config
from codex_rpc.model.client import HttpModel
from codex_rpc.model.dialect import Dialect
from codex_rpc.protocol.errors import ConfigError, CredentialsMissing

if TYPE_CHECKING:
    from codex_rpc.model.scripted import ScriptedModel

    Model = HttpModel | ScriptedModel

_HEADER_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEADER_VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]*"


def make_model(config: Config) -> Model:
    """The model that `config` asks for. Imports nothing heavy and connects to nothing.

    Raises:
        ConfigError: no credentials, no usable address, a script that cannot be played.
    """
    provider = config.provider
    require_address(provider)
    dialect = provider.wire_api if provider.script is None else "scripted"
    return _FACTORIES[dialect](config)


def _http(config: Config, dialect: Dialect) -> HttpModel:
    provider = config.provider
    missing = missing_credentials(provider, config.codex_home)
    if missing is not None:
        raise CredentialsMissing(missing, key=provider.env_key)
    if not _is_url(provider.base_url or ""):
        raise _provider_error(config, "base_url", "is no http:// or https:// address")
    # What the HTTP client would say of these would repeat the key.
    key = provider.api_key or ""
    if not key.isascii() or not re.fullmatch(_HEADER_VALUE, key):
        source = provider.env_key or "auth.json"
        raise ConfigError(f"the API key from {source} has characters that no key has", key=source)
    for name, value in provider.http_headers.items():
        if not re.fullmatch(_HEADER_NAME, name) or not re.fullmatch(_HEADER_VALUE, value):
            raise _provider_error(config, "http_headers", f"has an invalid HTTP header, {name!r}")
    return HttpModel(config, dialect)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


# Each session speaks one of these, and starts without the others.


def _responses(config: Config) -> HttpModel:
    from codex_rpc.model.responses import RESPONSES

    return _http(config, RESPONSES)


def _chat(config: Config) -> HttpModel:
    from codex_rpc.model.chat import CHAT

    return _http(config, CHAT)


def _scripted(config: Config) -> ScriptedModel:
    from codex_rpc.model.scripted import ScriptedModel

    return ScriptedModel.from_config(config)


def _provider_error(config: Config, member: str, problem: str) -> ConfigError:
    file = str(config.codex_home / "config.toml")
    key = f"model_providers.{config.provider.id}.{member}"
    return ConfigError(f"{file}: {key} {problem}", file=file, key=key)


_FACTORIES: Mapping[str, Callable[[Config], Model]] = {
    "responses": _responses,
    "chat": _chat,
    "scripted": _scripted,
}

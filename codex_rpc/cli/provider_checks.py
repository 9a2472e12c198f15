"""What `doctor` finds out about the configured model: its key, its address, and whether it answers.

Owns what an answer means for somebody who wants to start. What failures are called is told by
`model.errors`, so that a session says the same; the request itself is `model_list`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from anyio import to_thread
from attrs import evolve

from codex_rpc.cli.findings import Finding, Installation, address, counted, listed
from codex_rpc.cli.model_list import PATH, Offer, ask_models
from codex_rpc.cli.terminal import home_relative, shown_command
from codex_rpc.config.builtin_providers import AZURE_HOSTS
from codex_rpc.config.credentials import missing_credentials, with_credentials
from codex_rpc.config.providers import require_address
from codex_rpc.config.settings import Config, Provider
from codex_rpc.model.advice import Asked
from codex_rpc.model.connections import map_exceptions
from codex_rpc.model.errors import http_error
from codex_rpc.model.opening import open_http
from codex_rpc.model.registry import make_model
from codex_rpc.protocol.errors import ConfigError, ModelError, StreamInterrupted
from codex_rpc.protocol.frozen import frozen

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 5.0
"""How long a server has to answer."""
CONNECT_TIMEOUT_S = 4.0
"""And of that to take the connection."""

MIN_MASKED_CHARS = 20
"""A key as long as this is recognised by its ends, and not weakened by showing them."""

MAX_NAMES = 5
"""So many models are named in one line."""

FOR_NOW = (408, 425, 429, 503)
"""What a server answers that may answer otherwise soon."""
WITHOUT_LIST = (404, 405, 501)
"""What a server answers that works, and does not list its models."""


# The key.


def credentials(installation: Installation) -> Finding | None:
    """Which keys there are, and whether the one that is needed is among them."""
    config = installation.config
    if config is None:
        return None
    keys = _keys(config, installation.environ)
    details = [
        f"{key.name}: {masked(key.value)}, from {key.source}"
        + (f'; model_provider = "{key.user}" uses it' if key.user != config.provider.id else "")
        for key in keys
    ]
    data = {
        "found": [
            {"name": key.name, "source": key.source, "masked": masked(key.value)} for key in keys
        ]
    }
    provider = config.provider
    missing = missing_credentials(provider, config.codex_home)
    if missing is not None:
        return Finding("credentials", "error", missing, details, data)
    if provider.env_key is None:
        text = f"none needed for {provider.name}"
        return Finding("credentials", "ok", text, details, data)
    used = next((key for key in keys if key.value == provider.api_key), None)
    if used is None:
        text = f"{provider.name} is told who asks by a header of config.toml"
        return Finding("credentials", "ok", text, details, data)
    text = f"{used.name} for {provider.name}: {masked(used.value)}, from {used.source}"
    details = [line for line, key in zip(details, keys, strict=True) if key != used]
    return Finding("credentials", "ok", text, details, data)


def masked(key: str) -> str:
    """A key as it may be shown: its ends if it is long, else only how long it is."""
    if len(key) < MIN_MASKED_CHARS or not key.isascii() or not key.isprintable():
        return f"set ({counted(len(key), 'character')})"
    return f"{key[:3]}…{key[-4:]}"


@frozen(repr=False)
class _Key:
    name: str
    value: str
    source: str
    user: str
    """The first provider that takes it, by id."""


def _keys(config: Config, environ: Mapping[str, str]) -> list[_Key]:
    """Those of the chosen provider first, then those of the others that are known."""
    found: dict[tuple[str, str], _Key] = {}
    for provider in (config.provider, *config.providers.values()):
        name = provider.env_key
        if name is None:
            continue
        if value := environ.get(name, "").strip():
            key = _Key(name, value, "the environment", provider.id)
            found.setdefault((name, ""), key)
        if provider.requires_openai_auth:
            try:
                saved = with_credentials(provider, environ={}, codex_home=config.codex_home)
            except ConfigError:
                # Where it is needed the configuration was not loaded, and says so.
                continue
            if saved.api_key:
                key = _Key(name, saved.api_key, "auth.json", provider.id)
                found.setdefault((name, "auth.json"), key)
    return list(found.values())


# The address.


def model(installation: Installation) -> Finding | None:
    """Which model is asked for, and where."""
    config = installation.config
    if config is None:
        return None
    provider = config.provider
    data = {"model": config.model, "provider": provider.id, "wire_api": provider.wire_api}
    try:
        require_address(provider)
        if missing_credentials(provider, config.codex_home) is None:
            make_model(config)
    except ConfigError as exc:
        return Finding("model", "error", exc.message, data=data)
    if provider.script is not None:
        where = f"the script {home_relative(str(provider.script))}"
    else:
        where = address(provider.base_url or "")
        data["url"] = where
    return Finding("model", "ok", f"{config.model} at {where} ({provider.name})", data=data)


# The server.


async def provider(installation: Installation, *, timeout_s: float = TIMEOUT_S) -> Finding | None:
    """Whether the configured server answers, how fast, and whether it has the model."""
    config = installation.config
    if config is None or config.provider.script is not None or config.provider.base_url is None:
        return None
    name = config.provider.name
    if installation.is_offline:
        return Finding("provider", "ok", f"{name} was not asked (--offline)", data={"asked": False})
    if missing_credentials(config.provider, config.codex_home) is not None:
        # `credentials` says so; what the server would answer is known.
        return None
    url = address(config.provider.base_url)
    try:
        with installation.waits.named(f"{name} at {url}"):
            offer = await _asked(config, timeout_s)
    except StreamInterrupted as exc:
        # It was not a stream that was asked for.
        reason = exc.message.removeprefix("stream disconnected before completion: ")
        text = f"{url} does not answer: {reason}"
    except ModelError as exc:
        text = exc.message
    else:
        return _judged(installation, config, offer)
    return Finding("provider", "error", text, data={"asked": True, "reachable": False})


async def _asked(config: Config, timeout_s: float) -> Offer:
    """The server's answer, asked for once, through the proxies and with the certificates that a
    session would use.

    Raises:
        ModelError: there is none.
    """
    # The limit that errors speak of is ours.
    provider = evolve(config.provider, stream_idle_timeout_ms=int(timeout_s * 1000))
    about = _about(config, provider)
    # In a thread: imports and certificates take some 0.1 s.
    async with await to_thread.run_sync(_client, about) as http:
        with map_exceptions(about):
            with anyio.move_on_after(timeout_s):
                return await ask_models(http, provider)
            raise _timeout()


def _about(config: Config, provider: Provider) -> Asked:
    return Asked(provider=provider, model=config.model, path=PATH, codex_home=config.codex_home)


def _timeout() -> httpx.TimeoutException:
    import httpx

    return httpx.ReadTimeout("")


def _client(about: Asked) -> httpx.AsyncClient:
    import httpx

    return open_http(about, timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S))


def _judged(installation: Installation, config: Config, offer: Offer) -> Finding:
    """What an answer means for whoever wants to start a session."""
    provider, status = config.provider, offer.status
    data: dict[str, Any] = {"asked": True, "reachable": True, "status": status, "ms": offer.ms}
    answers = f"{provider.name} answers in {offer.ms:.0f} ms"
    details: list[str] = []
    if status == 200 and offer.models is not None:
        return _with_models(installation, config, offer, answers, data)
    if status == 200 or 300 <= status < 400:
        text = f"{answers}, but with no list of models"
        details = [f"check base_url: it is {address(provider.base_url or '')}"]
        return Finding("provider", "warning", text, details, data)
    if status in WITHOUT_LIST:
        text = f"{answers}; whether it has {config.model} is not known, since it lists no models"
        details = [f"if it refuses everything, check base_url: {address(provider.base_url or '')}"]
        return Finding("provider", "ok", text, details, data)
    text = http_error(status, offer.headers, offer.body, _about(config, provider)).message
    # A key may be allowed to ask a model and not to list them.
    is_broken = status not in (403, *FOR_NOW)
    return Finding("provider", "error" if is_broken else "warning", text, details, data)


def _with_models(
    installation: Installation, config: Config, offer: Offer, answers: str, data: dict[str, Any]
) -> Finding:
    provider, model, models = config.provider, config.model, offer.models or ()
    has_model = offer.has(model)
    data |= {"models": len(models), "has_model": has_model}
    if _is_azure(provider):
        text = f"{answers}; {model} has to be the name of one of your deployments"
        return Finding("provider", "ok", text, data=data | {"has_model": None})
    if has_model:
        return Finding("provider", "ok", f"{answers} and has {model}", data=data)
    add = provider.local.add_model.format(model=model) if provider.local else None
    if not models:
        details = [f"to add it: {add}"] if add else []
        return Finding("provider", "warning", f"{answers}, and has no model yet", details, data)
    nearest = offer.nearest(model)
    data["nearest"] = nearest
    if nearest:
        details = [f"nearest to that: {', '.join(nearest)}"]
    else:
        details = [f"it has {listed(models, MAX_NAMES)}"]
    first = nearest[0] if nearest else offer.first
    another = f"to choose another: -c {shown_command([f'model={first}'])}"
    if all(override.key != ("oss",) for override in installation.overrides):
        # With --oss the model in config.toml does not count.
        another += f", or model = {json.dumps(first)} in config.toml"
    details.append(another)
    if add:
        details.append(f"to add it: {add}")
    return Finding("provider", "warning", f"{answers}, but has no model {model}", details, data)


def _is_azure(provider: Provider) -> bool:
    """Whether what it lists are not the names by which models are asked for."""
    host = urlsplit(provider.base_url or "").hostname or ""
    return provider.id == "azure" or host.endswith(AZURE_HOSTS)

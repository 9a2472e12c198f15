"""Servers on this machine that answer at their usual ports, and the line that selects each.

Owns whom to ask and what to type. Who is known by name, and at which port, is the table of
providers' affair. Nothing that is asked gets a key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from anyio import to_thread
from attrs import evolve

from codex_rpc.cli.findings import Finding, Installation, address, listed
from codex_rpc.cli.model_list import Offer, ask_models
from codex_rpc.cli.provider_checks import MAX_NAMES
from codex_rpc.cli.terminal import home_relative, shown_command
from codex_rpc.config.credentials import missing_credentials
from codex_rpc.config.loader import DEFAULT_MODEL
from codex_rpc.config.settings import Config, Provider
from codex_rpc.model.preload import preload

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 1.0
"""For all of them together."""

_HERE = ("localhost", "127.0.0.1", "::1")

VLLM = Provider(id="vllm", name="vLLM", base_url="http://localhost:8000/v1", wire_api="chat")
"""In no table: which model it serves, and how, is said when it is started."""

_OLLAMA = "oss"
"""The provider that has an option of its own, and the one to recommend to who has none yet."""


async def local_servers(installation: Installation, *, unlisted: Provider = VLLM) -> Finding | None:
    """Who answers; None if nobody does and nobody is needed. `unlisted` is asked too."""
    config = installation.config
    if config is None or installation.is_offline:
        return None
    asked = candidates(config, unlisted)
    names = ", ".join(provider.name for provider in asked)
    with installation.waits.named(f"servers on this machine ({names})"):
        found = await _ask_all(asked)
    data = {
        "found": [
            {"provider": provider.id, "url": address(provider.base_url or ""), "ms": offer.ms}
            | {"models": list(offer.models or ()), "select": _lines(config, provider, offer)}
            for provider, offer in found
        ]
    }
    if not found:
        if missing_credentials(config.provider, config.codex_home) is None:
            return None
        text = f"none: {names} would be found at their usual ports"
        return Finding("local_servers", "ok", text, _first_steps(config), data)
    text = "without a key, on this machine: " + ", ".join(provider.name for provider, _ in found)
    details = [line for provider, offer in found for line in _advice(config, provider, offer)]
    return Finding("local_servers", "ok", text, details, data)


def candidates(config: Config, unlisted: Provider) -> list[Provider]:
    """Everything known that may be served from this machine, without what is chosen anyway."""
    by_port: dict[int, Provider] = {}
    for provider in (*config.providers.values(), unlisted):
        port = _port_here(provider)
        if port is not None and provider.env_key is None:
            # Whoever may sit at that port is not told what is meant for one server.
            parts = urlsplit(provider.base_url or "")
            url = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
            bare = evolve(provider, base_url=url, http_headers={}, query_params={})
            by_port.setdefault(port, bare)
    chosen = _port_here(config.provider)
    return [provider for port, provider in by_port.items() if port != chosen]


def _port_here(provider: Provider) -> int | None:
    """The port of this machine where it is served; None: it is served elsewhere."""
    try:
        parts = urlsplit(provider.base_url or "")
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        # Whoever uses it says that it is no address.
        return None
    return port if parts.hostname in _HERE else None


async def _ask_all(candidates: list[Provider]) -> list[tuple[Provider, Offer]]:
    """Those that answer with a list of models, in the order of `candidates`."""
    offers: dict[str, Offer] = {}

    async def ask(provider: Provider) -> None:
        import httpx

        try:
            offer = await ask_models(http, provider)
        except (httpx.HTTPError, httpx.InvalidURL):
            # Nobody is there, or it is something else.
            return
        if offer.models is not None:
            offers[provider.id] = offer

    async with await to_thread.run_sync(_client) as http:
        with anyio.move_on_after(TIMEOUT_S):
            async with anyio.create_task_group() as group:
                for provider in candidates:
                    group.start_soon(ask, provider)
    return [(provider, offers[provider.id]) for provider in candidates if provider.id in offers]


def _client() -> httpx.AsyncClient:
    preload()
    import httpx

    # A proxy has no part in what is on this machine.
    return httpx.AsyncClient(trust_env=False, verify=False, timeout=TIMEOUT_S)  # noqa: S501


def _advice(config: Config, provider: Provider, offer: Offer) -> list[str]:
    """What it has, and what to type."""
    name = provider.name
    if not offer.models:
        add = provider.local.add_model if provider.local else "add one"
        wanted = provider.default_model or "NAME"
        return [f"{name} has no model yet; to add one: {add.format(model=wanted)}"]
    file = home_relative(str(config.codex_home / "config.toml"))
    return [
        f"{name} has {listed(offer.models, MAX_NAMES)}",
        f"to try it: {_command(config, provider, offer)}",
        f"to keep it, at the top of {file}:",
        *(f"  {line}" for line in _lines(config, provider, offer)),
    ]


def _model(asked_for: str | None, offer: Offer) -> str | None:
    """The model to name; None: the one that is asked for anyway will do."""
    return None if asked_for is not None and offer.has(asked_for) else offer.first


def _entry(config: Config, provider: Provider) -> list[tuple[str, str]]:
    """What has to be said of a provider that is in no table."""
    if provider.id in config.providers:
        return []
    return [("base_url", provider.base_url or ""), ("wire_api", provider.wire_api)]


def _command(config: Config, provider: Provider, offer: Offer) -> str:
    """How to try it."""
    words = ["codex-rpc", "exec"]
    if provider.id == _OLLAMA:
        # With this the model of config.toml does not count either.
        words.append("--oss")
        model = _model(provider.default_model, offer)
    else:
        words += ["-c", f"model_provider={provider.id}"]
        model = _model(_asked_for(config, provider), offer)
    for key, value in _entry(config, provider):
        words += ["-c", f"model_providers.{provider.id}.{key}={value}"]
    if model is not None:
        words += ["-m", model]
    return shown_command([*words, "hello"])


def _asked_for(config: Config, provider: Provider) -> str | None:
    """The model that is asked for where `provider` is chosen and nothing else is said."""
    is_said = config.model not in (DEFAULT_MODEL, config.provider.default_model)
    return config.model if is_said else provider.default_model


def _lines(config: Config, provider: Provider, offer: Offer) -> list[str]:
    """What config.toml has to say."""
    settings = [("model_provider", provider.id)]
    if (model := _model(_asked_for(config, provider), offer)) is not None:
        settings.append(("model", model))
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings]
    if entry := _entry(config, provider):
        lines.append(f"[model_providers.{provider.id}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in entry]
    return lines


def _first_steps(config: Config) -> list[str]:
    """What to do without a key and without a server."""
    ollama = config.providers.get(_OLLAMA)
    if ollama is None or ollama.local is None:
        return []
    model = ollama.default_model or "NAME"
    how = f"{ollama.name} runs models on this machine, without a key"
    return [
        f"{how}: {ollama.local.install}",
        f"then: {ollama.local.add_model.format(model=model)}",
        "then: codex-rpc exec --oss hello",
    ]

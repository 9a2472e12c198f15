"""Asking a server which models it offers: the cheapest question that shows that it can be used.

Owns the one request and what its answer says of models. It does not know what `doctor` makes of
it.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import anyio
import orjson

from codex_rpc import __version__
from codex_rpc.config.settings import Provider
from codex_rpc.model.http_request import credentials, endpoint
from codex_rpc.protocol.frozen import frozen

if TYPE_CHECKING:
    import httpx

PATH = "/models"
MAX_BYTES = 16 * 1024 * 1024
"""Of an answer; of a longer one only the beginning is looked at."""


@frozen(kw_only=True)
class Offer:
    """What a server has answered."""

    status: int
    headers: httpx.Headers
    body: bytes
    ms: float
    """From the beginning of the connection to the end of the answer."""
    models: tuple[str, ...] | None
    """The names under which its models are asked for; None: it does not list them."""
    aliases: frozenset[str] = frozenset()
    """More names for the same models."""
    takes_any_name: bool = False
    """It has one model, and does not look at the name that it is asked for."""

    @property
    def first(self) -> str | None:
        """The first model that can be talked to, going by the names; None: there are none."""
        names = self.models or ()
        # What only turns text into numbers cannot answer.
        usual = (name for name in names if "embed" not in name.lower())
        return next(usual, names[0] if names else None)

    def has(self, model: str) -> bool:
        """Whether `model` can be asked for, as far as the list tells."""
        # Of an Ollama model without a tag the latest is meant, and OpenRouter has ways to choose
        # a model's host that are written behind its name and not in its list.
        names = {model, f"{model}:latest", model.rpartition(":")[0] if "/" in model else model}
        return self.takes_any_name or not names.isdisjoint({*(self.models or ()), *self.aliases})

    def nearest(self, model: str) -> list[str]:
        """Up to three offered names that look like `model`, the nearest first."""
        names = {name.lower(): name for name in self.models or ()}
        return [names[near] for near in get_close_matches(model.lower(), names, n=3, cutoff=0.5)]


async def ask_models(http: httpx.AsyncClient, provider: Provider) -> Offer:
    """What `GET {base_url}/models` answers, asked once, with the provider's key and headers.

    Raises:
        httpx.HTTPError, httpx.InvalidURL: there is no answer.
    """
    started = anyio.current_time()
    ours = {"accept": "application/json", "user-agent": f"codex-rpc/{__version__}"}
    headers = {name.encode(): v.encode() for name, v in (ours | credentials(provider)).items()}
    request = http.build_request("GET", endpoint(provider, PATH), headers=headers)
    response = await http.send(request, stream=True)
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                break
    finally:
        await response.aclose()
    ms = (anyio.current_time() - started) * 1000
    entries = _entries(bytes(body)) if response.status_code == 200 else None
    owners = [entry.get("owned_by") for entry in entries or ()]
    return Offer(
        status=response.status_code,
        headers=response.headers,
        body=bytes(body),
        ms=round(ms, 1),
        models=None if entries is None else tuple(filter(None, map(_name, entries))),
        aliases=frozenset(alias for entry in entries or () for alias in _aliases(entry)),
        takes_any_name=owners == ["llamacpp"],
    )


def _entries(body: bytes) -> list[dict[str, Any]] | None:
    """The models of a list, which some servers wrap and others do not; None: it is none."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    models = answer
    if isinstance(answer, dict):
        # Ollama says `null` where there are none.
        models = answer.get("data", answer.get("models", 0)) or (
            [] if "data" in answer or "models" in answer else None
        )
    if not isinstance(models, list):
        return None
    return [entry for entry in models if isinstance(entry, dict)]


def _name(entry: dict[str, Any]) -> str:
    names = (entry.get(key) for key in ("id", "key", "model", "name"))
    return next((name for name in names if isinstance(name, str)), "")


def _aliases(entry: dict[str, Any]) -> list[str]:
    aliases = entry.get("aliases")
    more = [*aliases] if isinstance(aliases, list) else []
    more += [entry.get("name"), entry.get("canonical_slug")]
    return [name for name in more if isinstance(name, str)]

"""What a server tells of its models and their limits, asked of it in its own way.

Owns which address tells what, and how an answer is believed: numbers that make no sense are
passed over, and where several fit the smallest counts. It needs no model to be loaded and
loads none. It does not know what is done with the limits, nor what is configured.

- Most servers tell in the list of their models, each under another name (`_WINDOWS`).
- llama.cpp has its window in `/props` too, which older versions tell nowhere else.
- LM Studio tells in a list of its own how a model is loaded.
- Ollama cuts what is too long for a window that is smaller than the model's, and says nothing.
  It is the loaded model's or the one in the model's parameters, else the server's default.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import anyio
import orjson
from attrs import evolve

from codex_rpc import __version__
from codex_rpc.config.settings import Provider
from codex_rpc.model.http_request import credentials, endpoint
from codex_rpc.model.opening import close
from codex_rpc.protocol.frozen import frozen

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 2.0
"""For all requests together."""
MAX_BYTES = 4 * 1024 * 1024
"""Of an answer; a longer one tells nothing."""
OLLAMA_DEFAULT_WINDOW = 4_096
"""In tokens; with 24 GiB of video memory or more Ollama takes more, and does not say so."""

MIN_TOKENS, MAX_TOKENS = 512, 100_000_000
"""What is outside of these is no limit of a model."""


@frozen
class Limits:
    """What is known of one model; None: it was not told."""

    context_window: int | None = None
    """In tokens."""
    max_output_tokens: int | None = None
    """Of one answer."""


async def ask_limits(http: httpx.AsyncClient, provider: Provider, model: str) -> Limits:
    """What the server at `provider.base_url` tells of `model`; all None if it tells nothing.

    Takes at most two seconds and a few small requests, to that server only, with the provider's
    key and headers. Never raises.
    """
    asking = _Asking(http, provider, model)
    if not asking.host:
        return Limits()
    with anyio.move_on_after(TIMEOUT_S):
        return await _ask(asking, _BY_PROVIDER.get(provider.id) or _BY_PORT.get(asking.port))
    return Limits()


async def ask_models(http: httpx.AsyncClient, provider: Provider) -> tuple[str, ...]:
    """The names of what the server offers to talk to, in its order; (): it does not tell.

    Takes at most two seconds and one request. Never raises.
    """
    asking = _Asking(http, provider, "")
    if not asking.host:
        return ()
    with anyio.move_on_after(TIMEOUT_S):
        entries = _entries(await asking.get("/models"))
        names = [next(_names(entry), "") for entry in entries if _talks(entry)]
        return tuple(dict.fromkeys(filter(None, names)))
    return ()


def _talks(entry: dict[str, Any]) -> bool:
    """Whether a model answers in words, as far as its kind and its name tell."""
    name = next(_names(entry), "").lower()
    return entry.get("type") not in _SILENT_TYPES and not any(word in name for word in _SILENT)


_SILENT_TYPES = ("embedding", "embeddings", "image", "audio", "moderation", "rerank")
_SILENT = (
    *("embed", "whisper", "tts", "dall-e", "moderation", "realtime", "audio", "transcribe"),
    *("gpt-image", "sora", "rerank", "babbage", "davinci"),
)
"""In the names of models that only hear, speak, draw or sort."""


# The servers.


async def _ask(asking: _Asking, kind: _Kind | None) -> Limits:
    """Ask a server of a known kind in its own way; all others, or if it is not of that kind
    after all, for the list of their models, which may show the kind."""
    limits = await kind(asking) if kind is not None else Limits()
    if limits.context_window is not None:
        return limits
    entries = _entries(await asking.get("/models"))
    owners = {owner for entry in entries if isinstance(owner := entry.get("owned_by"), str)}
    shown = next((_BY_OWNER[owner] for owner in owners if owner in _BY_OWNER), None)
    if shown is not None:
        # What such a list says besides is what the model could have, not what it has.
        return limits if shown is kind else await shown(asking)
    entry = _find(entries, asking.model)
    limits = _told(entry)
    if limits.context_window is None and _LLAMA_CPP_OWNER in owners:
        props = await asking.get("/props", at_root=True)
        window = _tokens(props, "default_generation_settings", "n_ctx")
        return Limits(window or _tokens(entry, "meta", "n_ctx_train"))
    return limits


async def _ask_lm_studio(asking: _Asking) -> Limits:
    for path in ("/api/v0/models", "/api/v1/models"):
        entries = _entries(await asking.get(path, at_root=True))
        limits = _told(_find(entries, asking.model))
        if limits.context_window is not None:
            return limits
    return Limits()


async def _ask_ollama(asking: _Asking) -> Limits:
    running = _entries(await asking.get("/api/ps", at_root=True))
    if (window := _tokens(_named(running, asking.model), "context_length")) is not None:
        return Limits(window)
    shown = await asking.post("/api/show", {"model": asking.model})
    info = _member(shown, "model_info")
    longest = _tokens(info, f"{_member(info, 'general.architecture')}.context_length")
    if longest is None:
        return Limits()
    if _member(shown, "remote_host") or asking.host.endswith("ollama.com"):
        # The makers' own machines have room for whole windows.
        return Limits(longest)
    parameters = _member(shown, "parameters")
    given = re.search(
        r"(?m)^num_ctx\s+(\d+)\s*$", parameters if isinstance(parameters, str) else ""
    )
    window = _tokens(given[1] if given else None) or OLLAMA_DEFAULT_WINDOW
    return Limits(min(window, longest))


_Kind = Callable[["_Asking"], Awaitable[Limits]]

_BY_PROVIDER: dict[str, _Kind] = {
    "oss": _ask_ollama,
    "ollama": _ask_ollama,
    "lmstudio": _ask_lm_studio,
}
"""By the provider's id; all others show their kind in the list of their models, if at all."""

_BY_PORT: dict[int | None, _Kind] = {11434: _ask_ollama, 1234: _ask_lm_studio}
"""The same by ports that hardly anything else has by default."""

_BY_OWNER: dict[str, _Kind] = {
    "library": _ask_ollama,
    "ollama": _ask_ollama,
    "organization_owner": _ask_lm_studio,
}
"""The same by whose the models are, in the list of them."""

_LLAMA_CPP_OWNER = "llamacpp"

_WINDOWS: tuple[tuple[str | int, ...], ...] = (
    ("max_model_len",),  # vLLM, SGLang
    ("meta", "n_ctx"),  # llama.cpp
    ("context_length",),  # OpenRouter, Together
    ("top_provider", "context_length"),  # OpenRouter
    ("context_window",),  # Groq
    ("max_context_length",),  # Mistral, LM Studio
    ("loaded_context_length",),  # LM Studio, /api/v0
    ("loaded_instances", 0, "config", "context_length"),  # LM Studio, /api/v1
)
"""Where in the entry of a model its window may stand."""

_OUTPUTS: tuple[tuple[str | int, ...], ...] = (
    ("max_completion_tokens",),  # Groq
    ("top_provider", "max_completion_tokens"),  # OpenRouter
    ("max_output_tokens",),
)
"""The same for the longest answer."""


# Reading.


def _entries(answer: Any) -> list[dict[str, Any]]:
    """The models of a list, which some servers wrap and others do not."""
    models = answer
    if isinstance(answer, dict):
        models = answer.get("data") or answer.get("models")
    return (
        [entry for entry in models if isinstance(entry, dict)] if isinstance(models, list) else []
    )


def _find(entries: list[dict[str, Any]], model: str) -> dict[str, Any] | None:
    """The entry of `model`, or the only one there is: such servers do not look at names.

    OpenRouter's `vendor/model:nitro` and the like are ways to choose, and not in its list.
    """
    chat = [e for e in entries if e.get("type") not in ("embedding", "embeddings")]
    found = _named(entries, model) or _named(entries, model.rpartition(":")[0])
    return found or (chat[0] if len(chat) == 1 else None)


def _named(entries: list[dict[str, Any]], model: str) -> dict[str, Any] | None:
    wanted = {model, f"{model}:latest"} if model else set()
    for entry in entries:
        if not wanted.isdisjoint(_names(entry)):
            return entry
    return None


def _names(entry: dict[str, Any]) -> Iterator[str]:
    """What a model is called, the name under which it is asked for first."""
    aliases = entry.get("aliases")
    names = [entry.get(key) for key in ("id", "key", "model", "name", "canonical_slug")]
    names += aliases if isinstance(aliases, list) else []
    return (name for name in names if isinstance(name, str))


def _told(entry: dict[str, Any] | None) -> Limits:
    windows = [n for path in _WINDOWS if (n := _tokens(entry, *path)) is not None]
    outputs = [n for path in _OUTPUTS if (n := _tokens(entry, *path)) is not None]
    return Limits(min(windows, default=None), min(outputs, default=None))


def _member(value: Any, *path: str | int) -> Any:
    """What is at `path` in a JSON value; None if there is nothing."""
    for key in path:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def _tokens(value: Any, *path: str | int) -> int | None:
    """The number of tokens at `path`; None if there is none that makes sense."""
    value = _member(value, *path)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and MIN_TOKENS <= value <= MAX_TOKENS else None


# Asking.


@frozen
class _Asking:
    """One model, and the server that is asked about it."""

    http: httpx.AsyncClient
    provider: Provider
    model: str

    @property
    def host(self) -> str:
        """Without the port; "" where there is no address that can be asked."""
        return self._address()[0]

    @property
    def port(self) -> int | None:
        """None: the scheme's own."""
        return self._address()[1]

    def _address(self) -> tuple[str, int | None]:
        try:
            parts = urlsplit(self.provider.base_url or "")
            return parts.hostname or "", parts.port
        except ValueError:
            return "", None

    async def get(self, path: str, *, at_root: bool = False) -> Any:
        """The JSON at `path`; None if there is none that can be used."""
        return await self._answer("GET", path, None, at_root=at_root)

    async def post(self, path: str, value: Mapping[str, Any]) -> Any:
        """The JSON that answers `value`, posted to `path` at the server's root."""
        return await self._answer("POST", path, orjson.dumps(value), at_root=True)

    async def _answer(self, method: str, path: str, content: bytes | None, *, at_root: bool) -> Any:
        import httpx

        try:
            provider = _at_root(self.provider) if at_root else self.provider
            url = endpoint(provider, path)
            request = self.http.build_request(
                method, url, headers=_headers(self.provider), content=content
            )
            response = await self.http.send(request, stream=True, follow_redirects=False)
            try:
                return await _json(response)
            finally:
                await close(response)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, ValueError, OSError):
            # A server that cannot be asked tells nothing. If something is wrong with it, the
            # request that follows says so.
            return None


async def _json(response: httpx.Response) -> Any:
    is_plain = response.headers.get("content-encoding", "identity") == "identity"
    if response.status_code != 200 or not is_plain:
        return None
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BYTES:
            return None
    return orjson.loads(body)


def _at_root(provider: Provider) -> Provider:
    """`provider`, with what is left of its address without `/v1`."""
    parts = urlsplit(provider.base_url or "")
    path = parts.path.rstrip("/").removesuffix("/v1")
    return evolve(provider, base_url=urlunsplit(parts._replace(path=path)))


def _headers(provider: Provider) -> dict[bytes, bytes]:
    ours = {
        "accept": "application/json",
        # So that what arrives is as long as what it becomes.
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": f"codex-rpc/{__version__}",
        **credentials(provider),
    }
    return {name.encode(): value.encode() for name, value in ours.items()}

"""The context windows of one provider's models, as far as they are known.

Owns which source counts (configured, told by the server, known by the model's name, assumed),
when the server is asked, and what the user is told of a guess. How a server is asked is
`limits`'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from codex_rpc.config.families import SAFE_CONTEXT_WINDOW, family_of
from codex_rpc.config.settings import Config
from codex_rpc.model.limits import ask_limits
from codex_rpc.protocol.model import ModelNotice

if TYPE_CHECKING:
    import httpx

MAX_WAIT_S = 2.0
"""How long a request waits for what the server tells."""

_VENDORS = frozenset({"openai", "azure"})
"""Providers that serve their models with all that these have."""


class Windows:
    """What one client knows. To be used from one event loop."""

    def __init__(self, config: Config) -> None:
        self._configured = config.model_context_window
        self._provider = config.provider
        self._asking = anyio.Lock()
        self._told: dict[str, int] = {}
        self._settled: set[str] = set()
        """The models of which the server is not asked again."""
        self._answered: set[str] = set()
        self._noticed: set[str] = set()

    def of(self, model: str) -> int:
        """The window of `model`, in tokens."""
        return self._known(model) or SAFE_CONTEXT_WINDOW

    def _known(self, model: str) -> int | None:
        return self._configured or self._told.get(model) or family_of(model).context_window

    async def ask_ahead(self, http: httpx.AsyncClient, model: str) -> None:
        """Ask the server now, so that the first request need not wait for it."""
        await self._ask(http, model, is_final=False)

    async def ask(self, http: httpx.AsyncClient, model: str) -> None:
        """Ask the server before a request, unless that is of no use any more.

        Waits for `MAX_WAIT_S` at most, and never raises.
        """
        with anyio.move_on_after(MAX_WAIT_S) as scope:
            await self._ask(http, model, is_final=True)
        if scope.cancelled_caught:
            self._settled.add(model)

    def answered(self, model: str) -> None:
        """Take note that `model` has begun to answer a request."""
        self._answered.add(model)

    def notice(self, model: str) -> ModelNotice | None:
        """That the window of `model` is a guess; None: it is not, or that has been said."""
        if model in self._noticed or self._known(model) is not None:
            return None
        self._noticed.add(model)
        return ModelNotice(
            f"nothing is known of the context window of {model}; {SAFE_CONTEXT_WINDOW:,} tokens"
            " are assumed. Set model_context_window in config.toml if it is another"
        )

    async def _ask(self, http: httpx.AsyncClient, model: str, *, is_final: bool) -> None:
        if self._configured is not None or self._is_vendors(model):
            return
        async with self._asking:
            if model in self._settled:
                return
            told = (await ask_limits(http, self._provider, model)).context_window
            if told is not None:
                self._told[model] = told
            # A server that was not there when the session began is asked once more for the
            # first request. A local one may load the model only for a request, and know only
            # then how much room it has.
            is_local = self._provider.local is not None
            if model in self._answered or (not is_local and (is_final or told is not None)):
                self._settled.add(model)

    def _is_vendors(self, model: str) -> bool:
        """Whether one of the provider's own models is meant, all of which has a known window."""
        return self._provider.id in _VENDORS and family_of(model).context_window is not None

"""How long an editor is waited for.

Owns the way in which what is shielded hears that its call is cancelled: an editor may ask its
user and take any time, but once the user interrupts it is given only a moment more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

GRACE_S = 1.5
"""How long an editor may still take once the call is cancelled."""


class Patience:
    """How long the editor is waited for: as long as it takes, unless the call is cancelled."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._is_over = False
        self._scopes: list[anyio.CancelScope] = []

    async def watch(self) -> None:
        """To be run, until it is cancelled, in a task that is cancelled with the call."""
        try:
            await anyio.sleep_forever()
        finally:
            self._is_over = True
            for scope in self._scopes:
                self._limit(scope)

    def scope(self) -> anyio.CancelScope:
        """For what is to be given up when there is no more patience."""
        scope = anyio.CancelScope()
        if self._is_over:
            self._limit(scope)
        self._scopes.append(scope)
        return scope

    def _limit(self, scope: anyio.CancelScope) -> None:
        scope.deadline = anyio.current_time() + self._grace_s


@asynccontextmanager
async def patience(grace_s: float) -> AsyncIterator[Patience]:
    """For what is shielded inside of the block: it hears that the call is cancelled."""
    patience = Patience(grace_s)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(patience.watch)
        yield patience
        tasks.cancel_scope.cancel()

"""How the sessions of a connection end: requests settle, then every session is closed.

Owns the order of it, and how many records could not be saved. Reads and writes nothing itself.
"""

from __future__ import annotations

import anyio

from codex_rpc.core.manager import SessionManager
from codex_rpc.rpc.calls import Calls
from codex_rpc.rpc.outbox import Outbox

GRACE_S = 1.0
"""How long requests in flight may go on when the connection ends."""


class Endings:
    """Of one connection."""

    def __init__(self, manager: SessionManager, outbox: Outbox, calls: Calls) -> None:
        self._manager = manager
        self._outbox = outbox
        self._calls = calls
        self._ending = anyio.Lock()
        self.unsaved = 0
        """How many records could not be saved when the sessions were closed."""

    async def end_sessions(self) -> None:
        """Let requests settle, cancel those that do not, and close every session.

        A request that opens a session is settled before the sessions are closed, so that none
        is left over. Idempotent; a second caller waits for the first.
        """
        async with self._ending:
            with anyio.move_on_after(0 if self._outbox.finished else GRACE_S):
                await self._calls.all_settled(but_ending=True)
            self._calls.cancel_all(but_ending=True)
            await self._calls.all_settled(but_ending=True)
            self.unsaved += await self._manager.close_all()

"""What every action on saved sessions works with: the store, and where people and programs read.

Loads what draws tables only when something is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import orjson

from codex_rpc.cli.scan_progress import Scan, shown_scan
from codex_rpc.core.ports import RolloutStore
from codex_rpc.core.services import Services
from codex_rpc.protocol.records import SessionQuery, SessionSummary
from codex_rpc.rpc.stdio import ByteWriter

if TYPE_CHECKING:
    from rich.console import RenderableType

    from codex_rpc.cli.terminal import Screen
    from codex_rpc.core.saved_sessions import SavedSessions

PIPE_COLUMNS = 400
"""Nothing is cut for a program that reads."""


class Desk:
    """One action's surroundings."""

    def __init__(self, services: Services, out: ByteWriter, err: ByteWriter) -> None:
        """`out` and `err` write to standard output and standard error."""
        self.services = services
        self._out = out
        self._err = err
        self._screens: dict[int, Screen] = {}

    @property
    def store(self) -> RolloutStore:
        return self.services.store

    @property
    def saved_sessions(self) -> SavedSessions:
        """The saved sessions, none of which is live here."""
        from codex_rpc.core.saved_sessions import SavedSessions

        return SavedSessions(self.store, {})

    def scan(self) -> AbstractAsyncContextManager[Scan]:
        """A scan, shown to whoever waits for it."""
        return shown_scan(self._err, 2)

    async def summary(self, session_id: str) -> SessionSummary | None:
        """What a list shows of one session; None: it is gone, or its header says another id."""
        for archived in (False, True):
            query = SessionQuery(session_id=session_id, archived=archived, limit=1)
            page = await self.store.list(query, live=frozenset())
            if page.sessions:
                return page.sessions[0]
        return None

    @property
    def columns(self) -> int:
        """How wide standard output is."""
        return self.screen(1).size.columns

    def screen(self, fd: int) -> Screen:
        """Where people read: standard output (1) or standard error (2)."""
        from codex_rpc.cli.terminal import Screen

        class WideScreen(Screen):
            """As wide as need be where it is no terminal."""

            @property
            def size(self) -> os.terminal_size:
                size = super().size
                return size if self.is_terminal else os.terminal_size((PIPE_COLUMNS, size.lines))

        if fd not in self._screens:
            self._screens[fd] = WideScreen(fd, self._out if fd == 1 else self._err)
        return self._screens[fd]

    async def show(self, renderables: Iterable[RenderableType]) -> None:
        """Each on lines of its own, on standard output."""
        await self.screen(1).print(*renderables)

    async def note(self, text: str, style: str = "dim") -> None:
        """A remark, on standard error."""
        from rich.text import Text

        from codex_rpc.cli.terminal import exact

        if text:
            await self.screen(2).print(Text(exact(text), style=style))

    async def json(self, value: Any) -> None:
        """A JSON value on a line of standard output. Raises PeerGone."""
        await self.write(orjson.dumps(value) + b"\n")

    async def write(self, data: bytes) -> None:
        """Bytes for standard output, as they are. Raises PeerGone."""
        await self._out.write(data)

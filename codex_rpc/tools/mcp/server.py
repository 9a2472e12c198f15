"""One configured server, from its start over one restart to its end.

Owns what is known of it at any time: its tools, and whether it can be called. It does not know
how it is reached (`connection`), nor what the model calls its tools.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.events import BackgroundEvent, Error, EventMsg
from codex_rpc.tools.mcp.listing import Tool, offered
from codex_rpc.tools.mcp.lost import Lost

if TYPE_CHECKING:
    from codex_rpc.tools.mcp.connection import Connection

LISTING_PAUSE_S = 1.0
"""How long a server that keeps saying that its tools have changed is not asked again."""

Announce = Callable[[EventMsg], None]


class Connect(Protocol):
    """`connection.connect`, which can only be imported where the `mcp` package is installed."""

    async def __call__(
        self,
        server: McpServer,
        use: Callable[[Connection, list[dict[str, Any]]], Awaitable[None]],
        *,
        cwd: Path,
        environ: Mapping[str, str],
    ) -> None: ...


class Server:
    """A server, whether or not it can be called now."""

    def __init__(
        self,
        settings: McpServer,
        *,
        cwd: Path,
        environ: Mapping[str, str],
        on_change: Callable[[], None],
    ) -> None:
        """`on_change` is called when `tools` or `over` have become others."""
        self.settings = settings
        self.tools: list[Tool] = []
        """All that it offered last, sorted by name; also after its end."""
        self.settled = anyio.Event()
        """Fires when it has started, or will not."""
        self.over: str | None = None
        """Why it cannot be called any more; None: it can, or will be."""
        self._cwd = cwd
        self._environ = environ
        self._on_change = on_change
        self._connection: Connection | None = None
        self._starts = 0
        self._news = anyio.Event()

    async def run(self, connect: Connect, announce: Announce) -> None:
        """Keep the server running until cancelled; it is started again once.

        Returns when it is over. Afterwards, also after a cancellation, nothing of it runs.
        """
        try:
            await self._connect(connect, announce)
        except Lost as exc:
            if not self.settled.is_set():
                announce(Error(f"MCP client for `{self.name}` failed to start: {exc.message}"))
                self.end(exc.message)
                return
            announce(self._event(f"was lost and is started again: {exc.message}"))
        try:
            await self._connect(connect, announce)
        except Lost as exc:
            again = "was lost again" if self._starts > 1 else "could not be started again"
            announce(self._event(f"{again}, and its tools are gone: {exc.message}"))
            self.end(exc.message)

    @property
    def name(self) -> str:
        """As it is called in the configuration."""
        return self.settings.name

    def end(self, reason: str) -> None:
        """It will not be started (again)."""
        self.over = reason
        self.settled.set()
        self._tell()

    def not_running(self) -> str:
        """Of a server that is over: a sentence that says why."""
        return f"MCP server `{self.name}` is not running: {self.over}"

    async def call(self, tool: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """The result of a call, as the server sent it; waits for a restart that is going on.

        Nothing is called twice: what is lost during a call is not repeated. Cancelled, it tells
        the server, but does not wait for it.

        Raises:
            ToolError: there is no result; the message says why.
        """
        limit_s = self.settings.tool_timeout_s
        with anyio.move_on_after(limit_s):
            connection = await self._connected()
            try:
                return await connection.call(tool, arguments)
            except Lost as exc:
                raise ToolError(
                    f"MCP server `{self.name}` was lost during the call; "
                    "it is not known how much of the call was done"
                ) from exc
        raise ToolError(f"timed out after {limit_s:g} s")

    async def _connected(self) -> Connection:
        while self._connection is None:
            if self.over is not None:
                raise ToolError(self.not_running())
            await self._news.wait()
        return self._connection

    async def _connect(self, connect: Connect, announce: Announce) -> None:
        async def use(connection: Connection, definitions: list[dict[str, Any]]) -> None:
            self._connection = connection
            self._starts += 1
            try:
                self._offer(definitions)
                self.settled.set()
                await self._follow(connection, announce)
            finally:
                # Calls from now on wait for the next one.
                self._connection = None

        await connect(self.settings, use, cwd=self._cwd, environ=self._environ)

    async def _follow(self, connection: Connection, announce: Announce) -> None:
        """Ask for the tools whenever they have changed."""
        while True:
            await connection.changed()
            try:
                with anyio.fail_after(self.settings.startup_timeout_s):
                    self._offer(await connection.tools())
            except (ToolError, TimeoutError) as exc:
                reason = exc.message if isinstance(exc, ToolError) else "no answer in time"
                announce(self._event(f"does not list its changed tools: {reason}"))
            await anyio.sleep(LISTING_PAUSE_S)

    def _offer(self, definitions: list[dict[str, Any]]) -> None:
        self.tools = offered(self.settings, definitions)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
        self._on_change()

    def _event(self, what: str) -> BackgroundEvent:
        return BackgroundEvent(f"MCP server `{self.name}` {what}")

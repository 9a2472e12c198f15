"""All MCP servers of a session, as the tool box sees them.

Owns the names under which the model calls their tools, and the order of a call: arguments,
question, begin, call, end. It does not know how servers are reached. Invariant: after a begin was
announced there is an end, in the outcome that is returned or in the one that is left with
`host.abandon`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from attrs import field

from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.errors import BadArguments, ToolError
from codex_rpc.protocol.events import (
    Duration,
    Error,
    McpInvocation,
    McpToolCallApprovalRequest,
    McpToolCallBegin,
    McpToolCallEnd,
)
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.tools import ToolHost, ToolOutcome
from codex_rpc.tools.mcp.listing import Tool
from codex_rpc.tools.mcp.naming import ToolKey, tool_names
from codex_rpc.tools.mcp.results import checked, for_client, for_model, parsed_arguments
from codex_rpc.tools.mcp.server import Announce, Connect, Server

REJECTED = "mcp tool call rejected by user"

ASKED_ABOUT = frozenset({"untrusted", "on-request"})
"""The approval policies under which calls are asked about."""


@frozen
class McpScope:
    """What an approval for the session covers: this tool of this server, with any arguments."""

    server: str
    tool: str
    program: tuple[object, ...] = field(repr=False)
    """What the server is: a name may come to stand for another program."""

    @classmethod
    def of(cls, server: McpServer, tool: str) -> McpScope:
        """The scope of `tool` at `server` as it is configured now."""
        told = (tuple(sorted(server.env.items())), tuple(sorted(server.http_headers.items())))
        program = (server.command, server.args, server.cwd, server.url, *told)
        return cls(server.name, tool, program)


class McpServers:
    """The servers, their tools, and calls of these."""

    def __init__(
        self,
        servers: Sequence[McpServer],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        max_output_bytes: int,
    ) -> None:
        """Starts nothing. `cwd` is where programs run, unless their server says otherwise;
        `environ` our own environment, of which they get a few variables; `max_output_bytes` how
        much of a result the model gets at most (0: no limit)."""
        self._configured = {server.name: server for server in servers}
        self._servers = {
            server.name: Server(server, cwd=cwd, environ=environ, on_change=self._refresh)
            for server in servers
        }
        self._max_output_bytes = max_output_bytes
        self._tools: dict[str, Tool] = {}
        self._before: dict[str, Tool] = {}
        """What was offered before the last change; the model may still call it."""

    async def run(self, announce: Announce) -> None:
        """Start all servers, side by side, and keep them until cancelled.

        To be run once. A server that does not start is announced as an `error`, one that is lost
        later as a `background_event`; it is started again once. Cancelled, it returns when nothing
        of any server runs any more.
        """
        try:
            if self._servers and (connect := await self._loaded(announce)) is not None:
                async with anyio.create_task_group() as group:
                    for server in self._servers.values():
                        group.start_soon(server.run, connect, announce)
            await anyio.sleep_forever()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Nobody runs these servers (any more), so nobody need wait for them. Idempotent."""
        self._end("its session has let it go")

    async def ready(self) -> None:
        """Wait until each server has started or failed, whether or not `run` already runs."""
        for server in self._servers.values():
            await server.settled.wait()

    def specs(self) -> list[dict[str, Any]]:
        """The tools' definitions for the Responses API, sorted by name."""
        return [tool.spec(name) for name, tool in self._running()]

    def tools(self) -> dict[str, Any]:
        """The tools as their servers define them, by the name that the model calls, sorted."""
        return {name: dict(tool.definition) for name, tool in self._running()}

    def knows(self, name: str) -> bool:
        """Whether `name` is, or was, the name of a tool here."""
        return name in self._tools or name in self._before

    async def call(self, call: Item, host: ToolHost) -> ToolOutcome:
        """Answer a `function_call` of a tool that is known here.

        When cancelled, it leaves the outcome of what it had begun with `host.abandon`; the server
        is told, but not waited for.
        """
        value = call.value()
        tool = self._tools.get(value["name"]) or self._before[value["name"]]
        try:
            arguments = parsed_arguments(value.get("arguments"))
        except BadArguments as exc:
            return ToolOutcome(f"err: {exc.message}")
        server = self._servers[tool.server]
        if server.over is not None:
            # Nothing that a user could decide about.
            return ToolOutcome(f"err: {server.not_running()}")
        invocation = McpInvocation(tool.server, tool.name, arguments)
        assert call.call_id is not None, "the session loop hands on calls that can be answered"
        if self._is_asked_about(tool, host):
            request = McpToolCallApprovalRequest(call.call_id, invocation)
            scope = McpScope.of(self._configured[tool.server], tool.name)
            if await host.ask(request, scope=scope) == "denied":
                return ToolOutcome(REJECTED)
        return await self._run(McpToolCallBegin(call.call_id, invocation), host)

    async def _run(self, begin: McpToolCallBegin, host: ToolHost) -> ToolOutcome:
        await host.announce(begin)
        asked = begin.invocation
        started = anyio.current_time()

        def outcome(output: str | list[dict[str, Any]], result: dict[str, Any]) -> ToolOutcome:
            duration = Duration.of(anyio.current_time() - started)
            return ToolOutcome(output, (McpToolCallEnd(begin.call_id, asked, duration, result),))

        try:
            server = self._servers[asked.server]
            result = checked(await server.call(asked.tool, asked.arguments))
        except ToolError as exc:
            return outcome(f"err: {exc.message}", {"Err": exc.message})
        except anyio.get_cancelled_exc_class():
            elapsed_s = anyio.current_time() - started
            note = f"interrupted by the user after {elapsed_s:.1f} s; what was done is not known"
            host.abandon(outcome(f"[{note}]", {"Err": note}))
            raise
        return outcome(
            for_model(result, max_bytes=self._max_output_bytes),
            for_client(result, max_bytes=self._max_output_bytes),
        )

    def _is_asked_about(self, tool: Tool, host: ToolHost) -> bool:
        trusted = self._servers[tool.server].settings.trust_hints and tool.read_only
        return not trusted and host.context.approval_policy in ASKED_ABOUT

    async def _loaded(self, announce: Announce) -> Connect | None:
        """What connects to servers; None: the `mcp` package cannot be used."""
        try:
            return await to_thread.run_sync(_load, abandon_on_cancel=True)
        except ImportError as exc:
            names = ", ".join(f"`{name}`" for name in self._servers)
            announce(
                Error(
                    f"MCP servers are configured ({names}), but the package for them cannot be "
                    f"used ({exc}). Install it: pip install 'codex-rpc[mcp]'"
                )
            )
            self._end("the package for MCP servers is not installed")
            return None

    def _end(self, reason: str) -> None:
        for server in self._servers.values():
            if server.over is None:
                server.end(reason)

    def _running(self) -> list[tuple[str, Tool]]:
        return [
            (name, tool)
            for name, tool in self._tools.items()
            if self._servers[tool.server].over is None
        ]

    def _refresh(self) -> None:
        """Give the tools their names, those of servers that are over included: so the others
        keep theirs."""
        by_key: dict[ToolKey, Tool] = {
            (tool.server, tool.name): tool
            for server in self._servers.values()
            for tool in server.tools
        }
        tools = {name: by_key[key] for name, key in tool_names(by_key).items()}
        if tools != self._tools:
            self._before, self._tools = self._tools, tools


def _load() -> Connect:
    from codex_rpc.tools.mcp.connection import connect

    return connect

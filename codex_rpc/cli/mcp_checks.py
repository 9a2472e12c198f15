"""The configured MCP servers, each started as a session would start it.

Owns what is told of each; starting, asking and stopping them is the tools' affair.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import anyio

from codex_rpc.cli.findings import Finding, Installation, Status, address, counted
from codex_rpc.cli.program_checks import package_version
from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.events import Error, EventMsg
from codex_rpc.protocol.frozen import frozen

_PREFIX = "MCP client for `{}` failed to start: "
"""What the announcement begins with, before what is wrong."""


@frozen(kw_only=True)
class _Start:
    """How one server has started."""

    tool_count: int = 0
    ms: int
    problem: str | None = None
    """Why it cannot be used, in one or more lines; None: it can."""


async def mcp(installation: Installation) -> Finding | None:
    """Whether each server starts, how fast, and how many tools it has."""
    config = installation.config
    if config is None:
        return None
    servers = config.mcp_servers
    version = package_version("mcp")
    data: dict[str, Any] = {"servers": [server.name for server in servers], "package": version}
    if not servers:
        return Finding("mcp", "ok", "no servers configured", data=data)
    text = counted(len(servers), "server")
    if version is None:
        details = ["the package for them is missing: pip install 'codex-rpc[mcp]'"]
        return Finding("mcp", "error", text, details, data, is_fatal=False)
    if installation.is_offline:
        lines = {server.name: _without_starting(server, installation) for server in servers}
        details = [f"{name}: {line}" for name, (line, _) in lines.items()]
        details.append("they were not started (--offline)")
        is_well = all(is_there for _, is_there in lines.values())
        status: Status = "ok" if is_well else "error"
        return Finding("mcp", status, text, details, data, is_fatal=False)
    started: dict[str, _Start] = {}

    async def start(server: McpServer) -> None:
        with installation.waits.named(f"MCP server {server.name}"):
            started[server.name] = await _started(server, installation)

    async with anyio.create_task_group() as group:
        for server in servers:
            group.start_soon(start, server)
    details = []
    for server in servers:
        details += _lines(server, started[server.name])
    data["started"] = {
        server.name: {
            "tools": started[server.name].tool_count,
            "ms": started[server.name].ms,
            "problem": started[server.name].problem,
        }
        for server in servers
    }
    failed = sum(start.problem is not None for start in started.values())
    if failed:
        text += f", of which {failed:,} cannot be used"
        details.append(
            "under [mcp_servers.NAME], startup_timeout_sec gives a slow one longer, and "
            "enabled = false leaves one out"
        )
    return Finding("mcp", "error" if failed else "ok", text, details, data, is_fatal=False)


async def _started(server: McpServer, installation: Installation) -> _Start:
    """Start one server, ask for its tools, and stop it."""
    # Only loaded where there are servers.
    from codex_rpc.tools.mcp.servers import McpServers

    assert installation.config is not None
    one = McpServers(
        [server], cwd=installation.config.cwd, environ=installation.environ, max_output_bytes=0
    )
    said: list[str] = []

    def announce(event: EventMsg) -> None:
        if isinstance(event, Error):
            said.append(event.message)

    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(one.run, announce)
        await one.ready()
        ms = round((anyio.current_time() - began) * 1000)
        tool_count = len(one.tools())
        group.cancel_scope.cancel()
    problem = "\n".join(said).removeprefix(_PREFIX.format(server.name)) or None
    if problem is not None:
        # Which file is not there, the system does not say.
        line, is_there = _without_starting(server, installation)
        problem = problem if is_there else line
    return _Start(tool_count=tool_count, ms=ms, problem=problem)


def _lines(server: McpServer, start: _Start) -> list[str]:
    """What there is to say of one server."""
    if start.problem is None:
        tools = counted(start.tool_count, "tool")
        return [f"{server.name}: {tools}, started in {start.ms:,} ms"]
    first, *more = start.problem.splitlines()
    return [f"{server.name}: {first}", *more]


def _without_starting(server: McpServer, installation: Installation) -> tuple[str, bool]:
    """What is known of a server without asking it, and whether it may work."""
    if server.command is None:
        return address(server.url or ""), True
    if Path(server.command).name != server.command:
        program = (server.cwd or installation.cwd) / server.command
        found = str(program) if os.access(program, os.X_OK) else None
    else:
        path = server.env.get("PATH") or installation.environ.get("PATH")
        found = shutil.which(server.command, path=path)
    return (found, True) if found else (f"there is no program `{server.command}`", False)

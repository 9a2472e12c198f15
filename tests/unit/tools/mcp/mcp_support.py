"""What the tests of MCP share: servers to start, a turn that records, and calls to make."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
from attrs import define, field

from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.events import (
    ApprovalRequest,
    EventMsg,
    McpToolCallBegin,
    McpToolCallEnd,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import ApprovalPolicy, Decision, SandboxPolicy
from codex_rpc.protocol.tools import ToolOutcome, TurnContext
from codex_rpc.tools.mcp.servers import McpServers

SUPPORT = Path(__file__).parents[3] / "support"
STARTUP_S = 18
"""Importing the package takes a second, and a busy machine makes it several."""


def demo(name: str = "demo", **settings: Any) -> McpServer:
    """The demo server as a program."""
    settings.setdefault("startup_timeout_s", float(STARTUP_S))
    return McpServer(
        name=name, command=sys.executable, args=(str(SUPPORT / "mcp_demo.py"),), **settings
    )


def plain(script: Path, *arguments: str, name: str = "plain", **settings: Any) -> McpServer:
    """A server of a few lines that the test has written; it starts fast."""
    return McpServer(
        name=name, command=sys.executable, args=("-S", str(script), *arguments), **settings
    )


PLAIN = """
import json, os, sys, time

def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
    sys.stdout.flush()

def answer(request, result):
    send({"id": request["id"], "result": result})

def refuse(request, code, message, **data):
    send({"id": request["id"], "error": {"code": code, "message": message, **data}})

def text(value):
    return {"content": [{"type": "text", "text": value}]}

def tool(name, **more):
    return {"name": name, "inputSchema": {"type": "object", "properties": {}}, **more}

TOOLS = [tool("echo")]

def on_initialize(request):
    answer(request, {"protocolVersion": "2025-06-18", "serverInfo": {"name": "p", "version": "1"},
                     "capabilities": {"tools": {"listChanged": True}}})

def on_list(request):
    answer(request, {"tools": TOOLS})

def on_call(request):
    answer(request, text(json.dumps(request["params"].get("arguments"))))

def on_other(message):
    if "id" in message:
        refuse(message, -32601, "Method not found")

@CHANGES@

for line in sys.stdin:
    message = json.loads(line)
    handlers = {"initialize": on_initialize, "tools/list": on_list, "tools/call": on_call}
    handlers.get(message.get("method"), on_other)(message)
"""


def write_plain(folder: Path, changes: str = "", *, name: str = "plain.py") -> Path:
    """A server in plain Python; `changes` redefines what it does."""
    script = folder / name
    script.write_text(PLAIN.replace("@CHANGES@", changes))
    return script


async def no_hindrance(msg: EventMsg) -> None:
    """A client that reads at once."""


@define
class Turn:
    """A turn that answers every question alike and keeps what it is told."""

    approval: ApprovalPolicy = "never"
    decision: Decision = "approved"
    before_announcing: Callable[[EventMsg], Awaitable[None]] = no_hindrance
    announced: list[EventMsg] = field(factory=list)
    asked: list[ApprovalRequest] = field(factory=list)
    scopes: list[Hashable | None] = field(factory=list)
    abandoned: list[ToolOutcome] = field(factory=list)

    @property
    def context(self) -> TurnContext:
        return TurnContext(
            cwd=Path("/"),
            approval_policy=self.approval,
            sandbox_policy=SandboxPolicy(mode="danger-full-access"),
            model="model-1",
        )

    @property
    def turn_id(self) -> SubmissionId:
        return SubmissionId("1")

    async def announce(self, msg: EventMsg) -> None:
        await self.before_announcing(msg)
        self.announced.append(msg)

    async def ask(self, request: ApprovalRequest, *, scope: Hashable | None = None) -> Decision:
        self.asked.append(request)
        self.scopes.append(scope)
        return self.decision

    def abandon(self, outcome: ToolOutcome) -> None:
        self.abandoned.append(outcome)


@define
class Running:
    """Servers that run, and what they announced."""

    servers: McpServers
    announced: list[EventMsg] = field(factory=list)
    news: anyio.Event = field(factory=anyio.Event)

    def announce(self, msg: EventMsg) -> None:
        self.announced.append(msg)
        self.news.set()
        self.news = anyio.Event()

    async def until_announced(self, count: int) -> list[str]:
        """Wait for so many announcements; their messages."""
        while len(self.announced) < count:
            await self.news.wait()
        return [msg.message for msg in self.announced]  # type: ignore[union-attr]

    @property
    def names(self) -> list[str]:
        """The tools that the model is offered."""
        return [spec["name"] for spec in self.servers.specs()]

    async def call(
        self, name: str, arguments: Any = None, *, turn: Turn | None = None
    ) -> ToolOutcome:
        return await self.servers.call(call(name, arguments or {}), turn or Turn())


def made(
    servers: Sequence[McpServer],
    *,
    cwd: Path = Path("/"),
    environ: Mapping[str, str] | None = None,
    max_output_bytes: int = 10_240,
) -> McpServers:
    return McpServers(
        servers,
        cwd=cwd,
        environ=os.environ if environ is None else environ,
        max_output_bytes=max_output_bytes,
    )


@asynccontextmanager
async def running(*servers: McpServer, **settings: Any) -> AsyncIterator[Running]:
    """The servers, ready; cancelled and gone afterwards."""
    world = Running(made(servers, **settings))
    async with anyio.create_task_group() as group:
        group.start_soon(world.servers.run, world.announce)
        await world.servers.ready()
        yield world
        group.cancel_scope.cancel()


def call(name: str, arguments: Any, call_id: str = "call_0") -> Item:
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return Item.from_value(
        {"type": "function_call", "name": name, "call_id": call_id, "arguments": text}
    )


def told(outcome: ToolOutcome) -> str:
    """The text of the first content block that the model is told."""
    assert isinstance(outcome.output, str)
    text: str = orjson.loads(outcome.output)[0]["text"]
    return text


def end_of(outcome: ToolOutcome) -> McpToolCallEnd:
    (end,) = outcome.events
    assert isinstance(end, McpToolCallEnd)
    return end


def begin_of(turn: Turn) -> McpToolCallBegin:
    (begin,) = turn.announced
    assert isinstance(begin, McpToolCallBegin)
    return begin


async def written(path: Path, text: str) -> None:
    """Wait until the file at `path` holds `text`."""
    file = anyio.Path(path)
    while not (await file.exists() and text in await file.read_text()):
        await anyio.sleep(0.005)


async def pid_from(path: Path) -> int:
    """The process id that somebody writes to `path`, as a line."""
    await written(path, "\n")
    return int(path.read_text())

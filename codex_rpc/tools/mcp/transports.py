"""How messages get to a server and back: over a program's pipes, or over HTTP.

Part of what knows the `mcp` package; see `connection`. Owns the streams of messages that the
package's session reads and writes, and what is told besides them. It does not know what the
messages say, except for lists of tools, which are mended on their way.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from inspect import signature
from pathlib import Path
from typing import Any, Protocol, Self

import anyio
import httpx2
import mcp_types as types
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from codex_rpc.config.settings import McpServer
from codex_rpc.tools.mcp.listing import mended
from codex_rpc.tools.mcp.lost import Lost
from codex_rpc.tools.mcp.program import MAX_LINE, Program, running

SESSION_ID = "mcp-session-id"

MAX_WAITING = 256
"""How many messages may wait for a server to read them."""

_LIMITS: dict[str, Any] = (
    {"max_sse_event_size": MAX_LINE}
    if "max_sse_event_size" in signature(streamable_http_client).parameters
    else {}
)
"""Where the package has a limit for messages, ours; its own is too small for a screenshot."""

CONNECT_TIMEOUT_S = 30.0

FAREWELL_S = 1.0
"""How long a server at an address has to take notice that its session is over."""


class _Source(Protocol):
    """Where messages come from."""

    async def receive(self) -> SessionMessage | Exception: ...
    async def aclose(self) -> None: ...


class _Sink(Protocol):
    """Where messages go."""

    async def send(self, item: SessionMessage, /) -> None: ...


class Mending:
    """A stream of messages in which lists of tools are mended before the package checks them.

    It would refuse a whole list for one tool that is not as the protocol says.
    """

    def __init__(self, inner: _Source) -> None:
        self._inner = inner

    async def receive(self) -> SessionMessage | Exception:
        item = await self._inner.receive()
        message = item.message if isinstance(item, SessionMessage) else None
        if isinstance(message, types.JSONRPCResponse):
            tools = message.result.get("tools")
            if isinstance(tools, list):
                message.result["tools"] = [t for tool in tools if (t := mended(tool)) is not None]
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


Streams = tuple[_Source, MemoryObjectSendStream[SessionMessage]]


@asynccontextmanager
async def over_pipes(
    server: McpServer, cwd: Path, environ: Mapping[str, str], remarks: list[str]
) -> AsyncIterator[Streams]:
    """The server's program, as streams of messages; its last words are added to `remarks`.

    The package has a transport of its own for that. It gives programs other variables than we
    promise, reads our environment for it, and ends only the process group.
    """
    async with running(server, cwd=cwd, environ=environ) as program:
        arriving, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, leaving = anyio.create_memory_object_stream[SessionMessage](MAX_WAITING)
        try:
            with arriving, incoming, outgoing, leaving:
                async with anyio.create_task_group() as group:
                    group.start_soon(_read, program, arriving)
                    group.start_soon(_write, program, leaving)
                    yield incoming, outgoing
                    group.cancel_scope.cancel()
        finally:
            if words := program.last_words():
                remarks.append(f"; the last it said:\n{words}")


async def _read(
    program: Program, arriving: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    async for line in program.lines():
        try:
            message = _message_in(line)
        except ValidationError:
            # Many programs greet their user on stdout.
            program.said(line)
        else:
            await arriving.send(SessionMessage(message))


def _message_in(line: bytes) -> types.JSONRPCMessage:
    """The message that `line` is; raises ValidationError."""
    try:
        return types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError:
        if b"\\ud" not in line.lower():
            raise
        # Half of a character, from a text that was cut in its middle: JavaScript writes that.
        try:
            whole = json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace")
        except (ValueError, RecursionError):
            whole = line
        return types.jsonrpc_message_adapter.validate_json(whole, by_name=False)


async def _write(program: Program, leaving: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async for item in leaving:
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        await program.send(text.encode() + b"\n")


@asynccontextmanager
async def over_http(server: McpServer, remarks: list[str]) -> AsyncIterator[Streams]:
    """The server at an address, as streams of messages; a status that says more than the messages
    is added to `remarks`."""
    assert server.url is not None, "a server has a program or an address"
    watch = _HttpWatch()
    # In a thread: loading certificates takes some 0.1 s.
    client = await to_thread.run_sync(_http_client, server, watch, abandon_on_cancel=True)
    outgoing, leaving = anyio.create_memory_object_stream[SessionMessage](MAX_WAITING)
    with outgoing, leaving:
        transport = streamable_http_client(
            server.url, http_client=client, terminate_on_close=False, **_LIMITS
        )
        async with (
            client,
            transport as (incoming, sink),
            anyio.create_task_group() as group,
        ):
            # The package takes one message after the other, and some of them wait for an answer.
            # What is cancelled must not wait for that.
            group.start_soon(_forward, leaving, sink)
            group.start_soon(watch.until_forgotten)
            try:
                yield incoming, outgoing
            finally:
                if watch.problem:
                    remarks.append(f" (HTTP {watch.problem})")
                await watch.say_goodbye(client, server.url)
            group.cancel_scope.cancel()


async def _forward(leaving: MemoryObjectReceiveStream[SessionMessage], sink: _Sink) -> None:
    async for item in leaving:
        await sink.send(item)


def _http_client(server: McpServer, watch: _HttpWatch) -> httpx2.AsyncClient:
    try:
        return httpx2.AsyncClient(
            headers=dict(server.http_headers),
            # How long a tool may take is the caller's business.
            timeout=httpx2.Timeout(CONNECT_TIMEOUT_S, read=None),
            event_hooks={"response": [watch.on_response]},
        )
    except (ImportError, ValueError, OSError, httpx2.InvalidURL) as exc:
        # Not quoted: it may show a header, or the password in the address of a proxy.
        raise Lost(
            f"its headers, or the settings of a proxy, cannot be used ({type(exc).__name__})"
        ) from exc


class _HttpWatch:
    """What the answers say besides their content."""

    def __init__(self) -> None:
        self.problem: int | None = None
        """The status of the last answer to a message, if it was none of success."""
        self._session_id: str | None = None
        self._forgotten = anyio.Event()

    async def on_response(self, response: httpx2.Response) -> None:
        if response.request.method != "POST":
            return
        self.problem = response.status_code if response.status_code >= 400 else None
        if self.problem == 404 and self._session_id is not None:
            self._forgotten.set()
        self._session_id = response.headers.get(SESSION_ID, self._session_id)

    async def until_forgotten(self) -> None:
        """Raises Lost when the server does not know the session any more."""
        await self._forgotten.wait()
        raise Lost("it has ended the session")

    async def say_goodbye(self, client: httpx2.AsyncClient, url: str) -> None:
        """Tell the server that the session is over, so that it need not keep it."""
        if self._session_id is None or self._forgotten.is_set():
            return
        with anyio.move_on_after(FAREWELL_S, shield=True):
            try:
                await client.delete(url, headers={SESSION_ID: self._session_id})
            except httpx2.HTTPError:
                # Nobody there; and sessions of which nothing is heard end by themselves.
                return

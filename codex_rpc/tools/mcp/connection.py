"""One connection to one server, made with the official `mcp` package.

Everything that knows the package is here and in `transports`; importing this module imports it,
so that is done in a thread. Owns the handshake, the requests and the translation of everything
that can go wrong. It does not know when a connection is made, nor what becomes of results.

The package's context managers hold task groups. Each is entered and left in `connect`, by one
task, around whatever uses the connection; a loss ends that use by cancellation.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp.client.session import ClientSession
from mcp.client.subscriptions import listen
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from codex_rpc import __version__
from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.errors import ToolError
from codex_rpc.tools.mcp.lost import Lost
from codex_rpc.tools.mcp.transports import Mending, over_http, over_pipes
from codex_rpc.tools.mcp.words import readable

MAX_PAGES = 100
"""How many pages of a list of tools are asked for."""

MAX_WORDS = 500
"""How much of a server's error message is quoted, in characters."""

FAILURES = (
    ToolError,
    MCPError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    OSError,
    RuntimeError,
    ValueError,
)
"""What a server, or the way to it, can make the package raise."""

# What goes wrong is told by us. Its log lines show parts of messages, and addresses.
for _name in ("mcp", "client", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

_RESULT: TypeAdapter[Any] = TypeAdapter(dict[str, Any])


Definitions = list[dict[str, Any]]
"""Of tools, as `mended` makes them."""


async def connect(
    server: McpServer,
    use: Callable[[Connection, Definitions], Awaitable[None]],
    *,
    cwd: Path,
    environ: Mapping[str, str],
) -> None:
    """Connect, have the connection used, and disconnect when `use` returns or is cancelled.

    `use` gets the server's tools too. When the connection is lost, `use` is cancelled. Afterwards
    nothing of the server runs here any more.

    Raises:
        Lost: it could not be made, or it was lost.
    """
    remarks: list[str] = []
    failure: BaseException | None = None
    if server.command is not None:
        transport = over_pipes(server, cwd, environ, remarks)
    else:
        transport = over_http(server, remarks)
    try:
        async with transport as (incoming, outgoing):
            changes = _Changes()
            client = types.Implementation(name="codex-rpc", version=__version__)
            async with ClientSession(
                Mending(incoming),
                outgoing,
                message_handler=changes.on_message,
                client_info=client,
            ) as session:
                connection = Connection(session, changes)
                definitions = await _greeted(connection, server.startup_timeout_s)
                async with anyio.create_task_group() as group:
                    group.start_soon(changes.subscribe, session)
                    await use(connection, definitions)
                    group.cancel_scope.cancel()
    except* FAILURES as exceptions:
        failure = _most_telling(exceptions)
    if failure is not None:
        raise Lost("".join([_in_words(failure), *remarks])) from failure


async def _greeted(connection: Connection, timeout_s: float) -> Definitions:
    with anyio.move_on_after(timeout_s):
        await connection.greet()
        return await connection.tools()
    raise Lost(f"it did not answer within {timeout_s:g} s")


class Connection:
    """A server, while it can be reached."""

    def __init__(self, session: ClientSession, changes: _Changes) -> None:
        self._session = session
        self._changes = changes

    async def greet(self) -> None:
        """Agree on a version of the protocol.

        Raises:
            MCPError, RuntimeError, ValueError: there is none.
        """
        try:
            await self._session.initialize()
        except MCPError as exc:
            if exc.code not in (types.UNSUPPORTED_PROTOCOL_VERSION, types.METHOD_NOT_FOUND):
                raise
            # The newest versions know no greeting; their servers are asked what they are.
            await self._session.discover()

    async def tools(self) -> Definitions:
        """The definitions of all its tools.

        Raises:
            ToolError: it does not tell.
        """
        found: Definitions = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            with _translated():
                try:
                    page = await self._session.list_tools(params=params)
                except MCPError as exc:
                    if exc.code == types.METHOD_NOT_FOUND:
                        # It has something to offer, but no tools.
                        return found
                    raise
            found += [
                tool.model_dump(mode="json", by_alias=True, exclude_unset=True)
                for tool in page.tools
            ]
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    async def changed(self) -> None:
        """Wait until the server has said that its tools are others now, since the last time."""
        await self._changes.wait()

    async def call(self, tool: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """The result of a call, as the server sent it.

        Cancelled, it tells the server, but does not wait for it.

        Raises:
            Lost: the connection ended; whether the tool did its work is not known.
            ToolError: the server refuses, or what it answers is no result.
        """
        request = types.CallToolRequest(
            params=types.CallToolRequestParams(
                name=tool, arguments=dict(arguments) if arguments is not None else None
            )
        )
        with _translated():
            result: dict[str, Any] = await self._session.send_request(request, _RESULT)
            return result


class _Changes:
    """Whether a server's tools have changed, as it tells."""

    def __init__(self) -> None:
        self._told = anyio.Event()

    async def wait(self) -> None:
        await self._told.wait()
        self._told = anyio.Event()

    async def on_message(self, message: types.ServerNotification | Exception) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._told.set()

    async def subscribe(self, session: ClientSession) -> None:
        """Ask to be told, where the version of the protocol wants that."""
        capabilities = session.server_capabilities
        tools = capabilities.tools if capabilities is not None else None
        modern = session.protocol_version in MODERN_PROTOCOL_VERSIONS
        if not modern or tools is None or not tools.list_changed:
            return
        try:
            async with listen(session, tools_list_changed=True) as subscription:
                async for _ in subscription:
                    self._told.set()
        except (MCPError, RuntimeError):
            # Then its tools stay what they are; each call is still its own request.
            return


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what a request may raise into what a caller can act on."""
    try:
        yield
    except MCPError as exc:
        if _is_closed(exc):
            raise Lost("the connection was lost") from exc
        raise ToolError(_in_words(exc)) from exc
    except (anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
        raise Lost("the connection was lost") from exc
    except (RuntimeError, ValueError) as exc:
        raise ToolError(_in_words(exc)) from exc


def _most_telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of what went wrong at once, the cause rather than what it caused."""
    leaves: list[BaseException] = []
    rest: list[BaseException] = [group]
    while rest:
        exc = rest.pop()
        if isinstance(exc, BaseExceptionGroup):
            rest += exc.exceptions
        else:
            leaves.append(exc)
    return min(leaves, key=_rank)


def _rank(exc: BaseException) -> int:
    if isinstance(exc, Lost):
        return 0
    consequence = isinstance(exc, anyio.BrokenResourceError | anyio.ClosedResourceError)
    return 2 if consequence or _is_closed(exc) else 1


def _is_closed(exc: BaseException) -> bool:
    """Whether it is the package that says so; servers use that code for anything."""
    if not isinstance(exc, MCPError):
        return False
    return exc.code == types.CONNECTION_CLOSED and exc.message == "Connection closed"


def _in_words(exc: BaseException) -> str:
    match exc:
        case ToolError():
            return exc.message
        case MCPError():
            words = exc.message
        case ValidationError():
            # Its own text quotes what the server sent.
            error = exc.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in error["loc"])
            words = f"its answer is not as the protocol says: {place}: {error['msg']}"
        case _:
            words = str(exc)
    return readable(words)[:MAX_WORDS] or type(exc).__name__

"""The states of a connection that speaks the native protocol, from the first byte to the exit code.

Owns `initialize` and `shutdown`, and which methods exist in which state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from codex_rpc.core.manager import SessionManager
from codex_rpc.protocol.errors import UnknownMethod
from codex_rpc.protocol.events import EventMsg
from codex_rpc.protocol.ops import Op
from codex_rpc.protocol.params import METHODS
from codex_rpc.rpc.calls import Call
from codex_rpc.rpc.dispatch import Listener, Method
from codex_rpc.rpc.front import Connection
from codex_rpc.rpc.lsp.gate import Gate
from codex_rpc.rpc.mapping import RequestRefused, ServerNotInitialized

PROTOCOL_VERSION = 1

_LSP_PREFIXES = (
    "$/",
    "callHierarchy/",
    "client/",
    "codeAction/",
    "codeLens/",
    "completionItem/",
    "documentLink/",
    "inlayHint/",
    "notebookDocument/",
    "telemetry/",
    "textDocument/",
    "typeHierarchy/",
    "window/",
    "workspace/",
    "workspaceSymbol/",
)


class Lifecycle:
    """The state of one connection."""

    def __init__(
        self,
        manager: SessionManager,
        connection: Connection,
        methods: Mapping[str, Method],
        gate: Gate,
        *,
        version: str,
    ) -> None:
        self._manager = manager
        self._connection = connection
        self._gate = gate
        self._version = version
        self._methods = {
            **methods,
            "initialize": Method(self.on_initialize),
            "shutdown": Method(self.on_shutdown, ends_sessions=True),
        }
        self._initialized = False
        self._lsp_capabilities: dict[str, Any] = {}
        self._shut_down = False
        self.exit_requested = False
        """Whether `exit` has come: nothing after it counts."""

    @property
    def listeners(self) -> dict[str, Listener]:
        """What is done on which notification; all others are ignored."""
        own = {"exit": self.on_exit, "$/cancelRequest": self.on_cancel_request}
        return {**self._gate.listeners, **own}

    @property
    def exit_code(self) -> int:
        """0, or 1 if `exit` came without `shutdown`."""
        return int(self.exit_requested and not self._shut_down)

    def admit(self, name: str, params: Any) -> Method:
        """The method of a request that has just arrived, and the change of state it brings.

        `params` of `initialize` are an object or absent.

        Raises:
            RequestRefused, ServerNotInitialized, UnknownMethod
        """
        if self._shut_down:
            raise RequestRefused("the server was shut down; the only thing left is `exit`")
        method = self._methods.get(name) or self._gate.method(name)
        if method is None:
            if name.startswith(_LSP_PREFIXES) and not self._initialized:
                raise ServerNotInitialized(f"{_shown(name)} needs `initialize` first")
            raise UnknownMethod(f"there is no method {_shown(name)}")
        if name == "initialize":
            if self._initialized:
                raise RequestRefused("`initialize` was sent before")
            self._initialized = True
            # What the client sends behind it may be for an editor already.
            self._lsp_capabilities = self._gate.initialize(params or {})
        elif name == "shutdown":
            self._shut_down = True
        return method

    async def on_initialize(self, _params: dict[str, Any], _call: Call) -> dict[str, Any]:
        codex = {
            "protocolVersion": PROTOCOL_VERSION,
            "methods": list(METHODS),
            "ops": [op.type for op in get_args(Op)],
            "events": [msg.type for msg in get_args(EventMsg)],
            "providers": list(self._manager.providers),
        }
        return {
            "capabilities": {**self._lsp_capabilities, "experimental": {"codex": codex}},
            "serverInfo": {"name": "codex-rpc", "version": self._version},
        }

    async def on_shutdown(self, _params: dict[str, Any], _call: Call) -> None:
        await self._connection.endings.end_sessions()
        await self._connection.outbox.all_ended()

    def on_exit(self, _params: dict[str, Any]) -> None:
        self.exit_requested = True

    def on_cancel_request(self, params: dict[str, Any]) -> None:
        id_ = params.get("id")
        if isinstance(id_, int | str) and not isinstance(id_, bool):
            self._connection.calls.cancel(id_)


def _shown(name: str) -> str:
    """A method's name, cut to what a person can read."""
    return f"`{name}`" if len(name) <= 80 else f"`{name[:80]}…`"

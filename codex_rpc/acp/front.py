"""The Agent Client Protocol as a front of the endpoint.

Owns `initialize`, which methods there are, and what is announced of them: nothing that is not
done here. What a method does is its room's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import anyio

from codex_rpc.acp import auth
from codex_rpc.acp.background import Background
from codex_rpc.acp.blocks import items_of
from codex_rpc.acp.calls import Looks, looks_of
from codex_rpc.acp.commands import Told
from codex_rpc.acp.files import ClientFiles
from codex_rpc.acp.live import LiveSession, LiveSessions
from codex_rpc.acp.permissions import Permissions
from codex_rpc.acp.sessions import Sessions, sendable
from codex_rpc.acp.wire import (
    PROTOCOL_VERSION,
    AuthenticateParams,
    ListParams,
    ModeParams,
    NewParams,
    OpenParams,
    OptionParams,
    PromptParams,
    SessionParams,
    code_of,
)
from codex_rpc.core.manager import SessionManager
from codex_rpc.protocol.errors import CodexError, ConfigError, SessionNotFound, UnknownMethod
from codex_rpc.protocol.events import ApprovalRequest, Event
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.ops import Compact, UserInput
from codex_rpc.protocol.workspace import NoEditor, Workspace
from codex_rpc.rpc.calls import Call
from codex_rpc.rpc.dispatch import Listener, Method
from codex_rpc.rpc.front import Connection
from codex_rpc.rpc.mapping import RequestRefused

REST_S = 0.016
"""Between two updates of a message that grows: clients draw each of them."""


class AcpFront:
    """The Agent Client Protocol on one connection."""

    exit_requested = False
    """Clients end it by closing its input."""
    exit_code = 0

    def __init__(self, manager: SessionManager, connection: Connection, *, version: str) -> None:
        self._manager = manager
        self._connection = connection
        self._version = version
        self._capabilities: Mapping[str, Any] = {}
        self._looks: Looks = looks_of({})
        self._initialized = False
        self._live = LiveSessions()
        self._background = Background()
        self._sessions = Sessions(
            manager, connection.outbox, self._live, self._background, lambda: self._looks
        )
        self._permissions = Permissions(self._ask, manager.session, self._described)
        self._methods = self._table()
        connection.outgoing.cancelled = ("$/cancel_request", "requestId")
        connection.outbox.rest_s = REST_S
        connection.outbox.encoded = self._encoded
        connection.outbox.observers += [self._sessions.observe, self._permissions.observe]
        manager.workspace_of = self._workspace_of

    # As the endpoint sees it.

    def _table(self) -> dict[str, Method]:
        sessions = self._sessions
        return {
            "initialize": Method(self.on_initialize),
            "authenticate": Method(self.on_authenticate, AuthenticateParams),
            "logout": Method(self.on_logout),
            "session/new": Method(sessions.on_new, NewParams),
            "session/load": Method(sessions.on_load, OpenParams),
            "session/resume": Method(sessions.on_resume, OpenParams),
            "session/fork": Method(sessions.on_fork, OpenParams),
            "session/list": Method(sessions.on_list, ListParams),
            "session/close": Method(sessions.on_close, SessionParams, ends_sessions=True),
            "session/delete": Method(sessions.on_delete, SessionParams, ends_sessions=True),
            "session/prompt": Method(self.on_prompt, PromptParams),
            "session/set_mode": Method(self.on_set_mode, ModeParams),
            "session/set_config_option": Method(self.on_set_config_option, OptionParams),
        }

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """What is done on which notification; all others are ignored."""
        return {"session/cancel": self.on_cancel, "$/cancel_request": self.on_cancel_request}

    def admit(self, name: str, params: Any) -> Method:
        """The method of a request that has just arrived.

        Raises:
            RequestRefused, UnknownMethod
        """
        method = self._methods.get(name)
        if method is None:
            raise UnknownMethod(f"there is no method `{name[:80]}`")
        if name == "initialize":
            if self._initialized:
                raise RequestRefused("`initialize` was sent before")
            self._initialized = True
            capabilities = (params or {}).get("clientCapabilities")
            if isinstance(capabilities, dict):
                self._capabilities = capabilities
                self._looks = looks_of(capabilities)
        return method

    def code_of(self, exc: CodexError) -> int:
        """The protocol's code, else that of PROTOCOL.md."""
        return code_of(exc)

    async def run(self) -> None:
        """Ask for permissions, and do what no request waits for, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._permissions.run)
            tasks.start_soon(self._background.run)

    def _encoded(self, session_id: str, event: Event) -> Iterable[bytes]:
        live = self._live.get(session_id)
        if live is None:
            return
        for update in live.updates.of(event):
            yield from sendable(live.name, update)

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        """Ask the client something about a session, under its name for it."""
        name = self._live.name_of(params["sessionId"])
        return await self._connection.outgoing.request(method, {**params, "sessionId": name})

    def _described(self, session_id: str, request: ApprovalRequest) -> Mapping[str, Any]:
        live = self._live.get(session_id)
        return {} if live is None else live.updates.described(request)

    def _workspace_of(self, session_id: SessionId) -> Workspace:
        files = self._capabilities.get("fs")
        offered = files if isinstance(files, dict) else {}
        # One without the other would not see what the other did.
        if offered.get("readTextFile") is True and offered.get("writeTextFile") is True:
            return ClientFiles(self._ask, session_id)
        return NoEditor()

    # The connection.

    async def on_initialize(self, _params: dict[str, Any], _call: Call) -> dict[str, Any]:
        try:
            config = await self._manager.config("/")
        except ConfigError:
            # Whoever opens a session is told.
            config = None
        capabilities: dict[str, Any] = {
            "loadSession": True,
            "promptCapabilities": {"image": True, "audio": False, "embeddedContext": True},
            "mcpCapabilities": {"http": True, "sse": False},
            "sessionCapabilities": {
                "list": {},
                "resume": {},
                "close": {},
                "delete": {},
                "fork": {},
            },
        }
        if auth.can_log_out(config):
            capabilities["auth"] = {"logout": {}}
        return {
            "protocolVersion": PROTOCOL_VERSION,
            "agentCapabilities": capabilities,
            "agentInfo": {"name": "codex-rpc", "title": "codex-rpc", "version": self._version},
            "authMethods": auth.auth_methods(config, self._capabilities),
        }

    async def on_authenticate(self, params: AuthenticateParams, _call: Call) -> dict[str, Any]:
        await auth.authenticate(params.method_id, self._manager.config)
        return {}

    async def on_logout(self, _params: dict[str, Any], _call: Call) -> dict[str, Any]:
        await auth.logout(self._manager.config)
        return {}

    def on_cancel_request(self, params: dict[str, Any]) -> None:
        id_ = params.get("requestId")
        if isinstance(id_, int | str) and not isinstance(id_, bool):
            self._connection.calls.cancel(id_)

    # Turns.

    async def on_prompt(self, params: PromptParams, call: Call) -> dict[str, Any]:
        live = await self._opened(params.session_id)
        items = items_of(params.prompt)

        async def make() -> UserInput | Compact | None:
            resolved = await live.commands.resolve(items)
            if isinstance(resolved, Told):
                self._sessions.tell(live, live.updates.said(resolved.text))
                return None
            return resolved or UserInput(items)

        return {"stopReason": await live.turns.run(call.number, make)}

    def on_cancel(self, params: dict[str, Any]) -> None:
        name = params.get("sessionId")
        if isinstance(name, str):
            # A prompt that came before it has begun by then, and one behind it is not meant.
            self._background.later(partial(self._cancel, name, self._connection.calls.begun))

    async def _cancel(self, name: str, up_to: int) -> None:
        session_id = self._live.id_of(name)
        live = self._live.get(session_id)
        if live is None:
            # It may be on its way, with a prompt behind it.
            async with self._live.order(session_id):
                live = self._live.get(session_id)
        if live is not None:
            live.turns.cancel(up_to)

    async def on_set_mode(self, params: ModeParams, _call: Call) -> dict[str, Any]:
        live = await self._opened(params.session_id)
        async with live.order:
            self._tell_later(live, await live.settings.set_mode(params.mode_id))
        return {}

    async def on_set_config_option(self, params: OptionParams, _call: Call) -> dict[str, Any]:
        live = await self._opened(params.session_id)
        async with live.order:
            self._tell_later(live, await live.settings.set_option(params.config_id, params.value))
            return {"configOptions": live.settings.options()}

    def _tell_later(self, live: LiveSession, updates: list[dict[str, Any]]) -> None:
        """Tell what has changed, behind the answer to the request that changed it."""

        async def tell() -> None:
            self._sessions.tell(live, *updates)

        self._background.later(tell)

    async def _opened(self, name: str) -> LiveSession:
        """The open session that the client calls `name`, once it is open."""
        session_id = self._live.id_of(name)
        live = self._live.get(session_id)
        if live is None:
            async with self._live.order(session_id):
                live = self._live.get(session_id)
        if live is None:
            with suppress(SessionNotFound):
                # It may have been open, and not be any more, which is said in another way.
                self._manager.session(session_id)
            raise SessionNotFound(
                f"no session {name[:80]!r} is open here; see session/new, session/load, "
                "session/resume"
            )
        return live

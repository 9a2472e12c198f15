"""The `session/*` requests: each validated, handed to the manager, and answered.

Knows no session file and no turn; what a method's parameters and result look like is in
`protocol/params.py`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.opening import Opened
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.params import (
    METHODS,
    CloseParams,
    ConfigureParams,
    ConfigureResult,
    Empty,
    ListParams,
    ReadParams,
    ResumeParams,
    SubmitParams,
    SubmitResult,
)
from codex_rpc.protocol.records import ReadPage, SessionPage
from codex_rpc.rpc.calls import Call
from codex_rpc.rpc.dispatch import Method
from codex_rpc.rpc.outbox import Outbox

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class SessionMethods:
    """Handlers of one connection."""

    def __init__(self, manager: SessionManager, outbox: Outbox) -> None:
        self._manager = manager
        self._outbox = outbox

    def table(self) -> dict[str, Method]:
        """Every method by its name."""
        handlers: dict[str, Callable[[Any, Call], Awaitable[Any]]] = {
            "session/configure": self.on_configure,
            "session/resume": self.on_resume,
            "session/submit": self.on_submit,
            "session/list": self.on_list,
            "session/read": self.on_read,
            "session/close": self.on_close,
        }
        ending = {"session/close"}
        return {
            name: Method(handlers[name], params, ends_sessions=name in ending)
            for name, (params, _) in METHODS.items()
        }

    async def on_configure(self, params: ConfigureParams, call: Call) -> ConfigureResult:
        return _opened(await self._manager.configure(params), call)

    async def on_resume(self, params: ResumeParams, call: Call) -> ConfigureResult:
        _exactly_one(sessionId=params.session_id, path=params.path, last=params.last or None)
        if params.session_id is not None and not _UUID.fullmatch(params.session_id):
            raise InvalidParams("sessionId", "a UUID")
        return _opened(await self._manager.resume(params), call)

    async def on_submit(self, params: SubmitParams, _call: Call) -> SubmitResult:
        # `submit` takes its place in line before its first wait and does not wait after it, so
        # pipelined operations stay in order and the answer comes before what it leads to.
        session = self._manager.session(params.session_id)
        return SubmitResult(await session.submit(params.op, params.id))

    async def on_list(self, params: ListParams, _call: Call) -> SessionPage:
        _positive(limit=params.limit)
        return await self._manager.list(params)

    async def on_read(self, params: ReadParams, _call: Call) -> ReadPage:
        _exactly_one(sessionId=params.session_id, path=params.path)
        _positive(limit=params.limit)
        return await self._manager.read(params)

    async def on_close(self, params: CloseParams, _call: Call) -> Empty:
        last_event_written = self._outbox.end_of(params.session_id)
        await self._manager.close(params.session_id, discard=params.discard)
        await last_event_written()
        return Empty()


def _opened(opened: Opened, call: Call) -> ConfigureResult:
    if not getattr(opened.result, "already_live", False):
        call.opened = opened.session
    return opened.result


def _exactly_one(**members: Any) -> None:
    given = [name for name, value in members.items() if value is not None]
    if len(given) == 1:
        return
    expected = f"exactly one of {', '.join(members)}"
    got = " and ".join(given) if given else "none of them"
    raise InvalidParams(
        given[-1] if given else "", expected, f"params: expected {expected}, got {got}"
    )


def _positive(**members: int) -> None:
    for name, value in members.items():
        if value < 1:
            raise InvalidParams(name, "a positive integer")

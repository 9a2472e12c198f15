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
    ExportParams,
    ExportResult,
    ForkParams,
    ListParams,
    ReadParams,
    RenameParams,
    ResumeParams,
    SessionIdParams,
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
            "session/fork": self.on_fork,
            "session/rename": self.on_rename,
            "session/archive": self.on_archive,
            "session/unarchive": self.on_unarchive,
            "session/delete": self.on_delete,
            "session/export": self.on_export,
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
        _uuid(params.session_id)
        return _opened(await self._manager.resume(params), call)

    async def on_fork(self, params: ForkParams, call: Call) -> ConfigureResult:
        _exactly_one(sessionId=params.session_id, path=params.path)
        _uuid(params.session_id)
        if params.up_to is not None and params.up_to < 0:
            raise InvalidParams("upTo", "the index of an item, 0 or more")
        return _opened(await self._manager.fork(params), call)

    async def on_submit(self, params: SubmitParams, _call: Call) -> SubmitResult:
        # `submit` takes its place in line before its first wait and does not wait after it, so
        # pipelined operations stay in order and the answer comes before what it leads to.
        session = self._manager.session(params.session_id)
        return SubmitResult(await session.submit(params.op, params.id))

    async def on_list(self, params: ListParams, _call: Call) -> SessionPage:
        _positive(limit=params.limit)
        return await self._manager.saved_sessions.list(params)

    async def on_read(self, params: ReadParams, _call: Call) -> ReadPage:
        _exactly_one(sessionId=params.session_id, path=params.path)
        _positive(limit=params.limit)
        return await self._manager.saved_sessions.read(params)

    async def on_rename(self, params: RenameParams, _call: Call) -> Empty:
        _uuid(params.session_id)
        await self._manager.saved_sessions.rename(params)
        return Empty()

    async def on_archive(self, params: SessionIdParams, _call: Call) -> Empty:
        _uuid(params.session_id)
        await self._manager.saved_sessions.archive(params)
        return Empty()

    async def on_unarchive(self, params: SessionIdParams, _call: Call) -> Empty:
        _uuid(params.session_id)
        await self._manager.saved_sessions.unarchive(params)
        return Empty()

    async def on_delete(self, params: SessionIdParams, _call: Call) -> Empty:
        _uuid(params.session_id)
        await self._manager.saved_sessions.delete(params)
        return Empty()

    async def on_export(self, params: ExportParams, _call: Call) -> ExportResult:
        _uuid(params.session_id)
        return await self._manager.saved_sessions.export(params)

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


def _uuid(session_id: str | None) -> None:
    if session_id is not None and not _UUID.fullmatch(session_id):
        raise InvalidParams("sessionId", "a UUID")


def _positive(**members: int) -> None:
    for name, value in members.items():
        if value < 1:
            raise InvalidParams(name, "a positive integer")

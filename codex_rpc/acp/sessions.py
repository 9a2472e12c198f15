"""The `session/*` requests that open, list and end sessions.

Owns the replay of a loaded session, which is written before the answer, and what a client is told
of a session as soon as it is open. Knows no session file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from attrs import evolve

from codex_rpc.acp.background import Background
from codex_rpc.acp.calls import Looks
from codex_rpc.acp.live import LiveSession, LiveSessions
from codex_rpc.acp.mcp import client_servers
from codex_rpc.acp.replay import Replay
from codex_rpc.acp.settings import Update
from codex_rpc.acp.updates import told
from codex_rpc.acp.wire import ListParams, NewParams, OpenParams, SessionParams
from codex_rpc.core.manager import SessionManager
from codex_rpc.core.opening import Opened
from codex_rpc.protocol import params as native
from codex_rpc.protocol.errors import (
    InvalidParams,
    InvalidState,
    RolloutNotFound,
    SessionClosed,
    SessionNotFound,
)
from codex_rpc.protocol.events import Event, SessionConfigured, ShutdownComplete
from codex_rpc.protocol.params import ConfigureParams, ForkParams, ReadParams, ResumeParams
from codex_rpc.protocol.records import SessionSummary
from codex_rpc.rpc import messages
from codex_rpc.rpc.calls import Call
from codex_rpc.rpc.outbox import Outbox

FIRST_PAGE = 50
"""Sessions on the first page of `session/list`, which somebody waits for."""
FURTHER_PAGE = 1000
"""Sessions on each that follows. All folders are looked through for every page, so whoever wants
all sessions is to get them with few."""
READ_AHEAD = 500
"""Items that are read at a time for a replay."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Sessions:
    """Handlers of one connection."""

    def __init__(
        self,
        manager: SessionManager,
        outbox: Outbox,
        live: LiveSessions,
        background: Background,
        looks: Callable[[], Looks],
    ) -> None:
        """`looks`: how this client shows things, once it has said so."""
        self._manager = manager
        self._outbox = outbox
        self._live = live
        self._background = background
        self._looks = looks

    # Opening.

    async def on_new(self, params: NewParams, call: Call) -> dict[str, Any]:
        cwd = _absolute(params.cwd)
        overrides, told_later = await self._servers(params)
        opened = await self._manager.configure(ConfigureParams(cwd=cwd, config=overrides))
        live = self._opened(opened, call, None, told_later)
        return {"sessionId": live.name, **_described(live)}

    async def on_load(self, params: OpenParams, call: Call) -> dict[str, Any]:
        async with self._live.order(self._known_id(params.session_id)):
            live = await self._resumed(params, call)
            if live.turns.are_running:
                raise InvalidState(
                    f"a turn is running in session {params.session_id}; load it when it has ended"
                )
            try:
                await self._replay(live)
            except BaseException:
                if call.opened is not None:
                    call.opened = None
                    await self._take_back(live)
                raise
            return _described(live)

    async def on_resume(self, params: OpenParams, call: Call) -> dict[str, Any]:
        async with self._live.order(self._known_id(params.session_id)):
            return _described(await self._resumed(params, call))

    async def on_fork(self, params: OpenParams, call: Call) -> dict[str, Any]:
        cwd = _absolute(params.cwd)
        session_id = self._known_id(params.session_id)
        overrides, told_later = await self._servers(params)
        fork = ForkParams(session_id=session_id, cwd=cwd, config=overrides)
        original = self._live.get(session_id)
        if original is not None:
            # What was chosen there may not be in the file yet.
            chosen = original.settings.chosen
            fork = evolve(
                fork,
                model=chosen.model,
                approval_policy=chosen.approval_policy,
                sandbox_policy=chosen.sandbox_policy,
            )
        opened = await self._manager.fork(fork)
        live = self._opened(opened, call, None, told_later)
        return {"sessionId": live.name, **_described(live)}

    async def _resumed(self, params: OpenParams, call: Call) -> LiveSession:
        cwd = _absolute(params.cwd)
        session_id = self._known_id(params.session_id)
        await self._last_life_told(session_id)
        live = self._live.get(session_id)
        if live is not None:
            if not _is_same_folder(cwd, live.session.cwd):
                raise InvalidState(
                    f"session {params.session_id} is open here in {live.session.cwd}; close it "
                    "first to open it in another folder"
                )
            if live.name != params.session_id:
                raise InvalidState(f"it is open here already, as session {live.name}")
            opened = await self._manager.resume(ResumeParams(session_id=session_id))
            if opened.session is live.session:
                return live
            # It was closed at this very moment.
            return self._opened(opened, call, params.session_id, ())
        overrides, told_later = await self._servers(params)
        opened = await self._manager.resume(
            ResumeParams(session_id=session_id, cwd=cwd, config=overrides)
        )
        other = self._live.get(opened.session.id)
        if other is not None and other.session is opened.session:
            raise InvalidState(f"it is open here already, as session {other.name}")
        warnings: tuple[str, ...] = tuple(getattr(opened.result, "warnings", ()))
        return self._opened(opened, call, params.session_id, told_later + warnings)

    async def _last_life_told(self, session_id: str) -> None:
        """Wait until the last update of a session that is closed, or being closed, is written."""
        while True:
            last_update_written = self._outbox.end_of(session_id)
            try:
                session = self._manager.session(session_id)
            except SessionClosed:
                await last_update_written()
                return
            except SessionNotFound:
                return
            if session.closing is None:
                return
            await session.closing.wait()

    async def _servers(self, params: NewParams) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
        """The client's MCP servers as configuration, and what the user is to be told of them."""
        if not params.mcp_servers:
            return None, ()
        configured = (await self._manager.config(params.cwd)).mcp_server_names
        servers = client_servers(params.mcp_servers, configured)
        return servers.overrides, servers.told

    def _opened(
        self, opened: Opened, call: Call, name: str | None, told_later: tuple[str, ...]
    ) -> LiveSession:
        session = opened.session
        session.events.tells_items = True
        order = self._live.order(session.id)
        live = LiveSession(name or session.id, session, self._looks(), order, told_later)
        self._live.add(live)
        call.opened = session
        return live

    async def _take_back(self, live: LiveSession) -> None:
        """End a session of which nobody will hear any more."""
        with anyio.CancelScope(shield=True):
            with suppress(SessionNotFound, SessionClosed):
                await self._manager.close(live.session.id, discard=True)
            live.turns.end()
            self._live.remove(live)

    async def _replay(self, live: LiveSession) -> None:
        """Tell what is saved of a session."""
        replay = Replay(live.session.cwd, live.looks)
        cursor = None
        while True:
            page = await self._manager.saved_sessions.read(
                ReadParams(
                    path=live.session.configured.rollout_path,
                    cursor=cursor,
                    limit=READ_AHEAD,
                    direction="forward",
                )
            )
            for entry in page.items:
                await self._outbox.room()
                self.tell(live, *replay.take(entry.index, entry.item))
            cursor = page.next_cursor
            if cursor is None:
                break
        self.tell(live, *replay.end())

    # After that.

    def tell(self, live: LiveSession, *updates: Update) -> None:
        """Write updates of a session before its events that wait. Never waits."""
        for update in updates:
            for payload in sendable(live.name, update):
                self._outbox.put(payload)

    def observe(self, session_id: str, event: Event) -> None:
        """Take notice of an event that leaves for the client. Never waits."""
        live = self._live.get(session_id)
        if live is None:
            return
        live.turns.observe(event)
        match event.msg:
            case SessionConfigured():
                self._background.later(partial(self._introduce, live))
            case ShutdownComplete():
                self._live.remove(live)

    async def _introduce(self, live: LiveSession) -> None:
        """Tell what goes with a session that has just been opened."""
        for text in live.told:
            self.tell(live, told(text, live.looks))
        live.told = ()
        commands = await live.commands.available()
        self._tell_open(
            live,
            {"sessionUpdate": "available_commands_update", "availableCommands": commands},
        )
        update = await live.settings.learn()
        if update is not None:
            self._tell_open(live, update)

    def _tell_open(self, live: LiveSession, update: Update) -> None:
        if self._live.is_open(live):
            self.tell(live, update)

    # Those that are saved, and the end.

    async def on_list(self, params: ListParams, _call: Call) -> dict[str, Any]:
        cwd = None if params.cwd is None else _absolute(params.cwd)
        limit = FIRST_PAGE if params.cursor is None else FURTHER_PAGE
        page = await self._manager.saved_sessions.list(
            native.ListParams(cwd=cwd, cursor=params.cursor, limit=limit)
        )
        # What cannot be loaded is not offered.
        rows = [_row(s) for s in page.sessions if s.status != "unreadable" and s.cwd is not None]
        listed: dict[str, Any] = {"sessions": rows}
        if page.next_cursor is not None:
            listed["nextCursor"] = page.next_cursor
        return listed

    async def on_close(self, params: SessionParams, _call: Call) -> dict[str, Any]:
        session_id = self._live.id_of(params.session_id)
        async with self._live.order(session_id):
            await self._close(session_id)
        return {}

    async def _close(self, session_id: str) -> None:
        last_update_written = self._outbox.end_of(session_id)
        # It may just have ended by itself, which is what was wanted.
        with suppress(SessionClosed):
            await self._manager.close(session_id)
        await last_update_written()

    async def on_delete(self, params: SessionParams, _call: Call) -> dict[str, Any]:
        session_id = self._live.id_of(params.session_id)
        if not _UUID.fullmatch(session_id):
            return {}
        async with self._live.order(session_id):
            last_update_written = self._outbox.end_of(session_id)
            with suppress(SessionNotFound, SessionClosed):
                await self._manager.close(session_id, discard=True)
            await last_update_written()
            # Under both names, where the client's is that of another program's file.
            for id_ in dict.fromkeys((session_id, params.session_id)):
                # It may be gone already, which is what was wanted.
                with suppress(RolloutNotFound):
                    await self._manager.saved_sessions.delete(
                        native.SessionIdParams(session_id=id_)
                    )
            self._live.forget_name(params.session_id)
        return {}

    def _known_id(self, name: str) -> str:
        """Our id for a name of the client's that can be one; nothing is looked for otherwise."""
        session_id = self._live.id_of(name)
        if not _UUID.fullmatch(session_id):
            raise SessionNotFound(
                f"there is no session {name[:80]!r}; session/list shows which are"
            )
        return session_id


def sendable(name: str, update: Update) -> Iterator[bytes]:
    """`session/update` for the session that the client calls `name`; without what a call was
    given if that cannot be written, and nothing if it still cannot."""
    for shown in (update, {k: v for k, v in update.items() if k != "rawInput"}):
        try:
            yield messages.notification("session/update", {"sessionId": name, "update": shown})
            return
        except (messages.Unencodable, RecursionError):
            continue


def _absolute(cwd: str) -> str:
    if not Path(cwd).is_absolute():
        raise InvalidParams("cwd", "an absolute path")
    return cwd


def _is_same_folder(cwd: str, other: Path) -> bool:
    return os.path.realpath(cwd) == os.path.realpath(other)


def _described(live: LiveSession) -> dict[str, Any]:
    return {"modes": live.settings.modes(), "configOptions": live.settings.options()}


def _row(session: SessionSummary) -> dict[str, Any]:
    return {
        "sessionId": session.session_id,
        "cwd": session.cwd,
        "title": session.title or session.preview or None,
        "updatedAt": session.updated_at,
    }

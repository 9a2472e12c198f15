"""The open sessions of one connection, and what goes with each of them.

Owns the name under which the client knows a session: a file of another program is continued in
one of ours, with an id of its own, and the client goes on with the id that it asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from weakref import WeakValueDictionary

import anyio
from attrs import define, field

from codex_rpc.acp.calls import Looks
from codex_rpc.acp.commands import SessionCommands
from codex_rpc.acp.increments import Names
from codex_rpc.acp.settings import SessionSettings
from codex_rpc.acp.turns import Turns
from codex_rpc.acp.updates import SessionUpdates
from codex_rpc.core.session import Session


@define(eq=False)
class LiveSession:
    """One open session."""

    name: str
    """Its id, as the client knows it."""
    session: Session
    looks: Looks
    order: anyio.Lock
    """Held, in order of arrival, by what changes the session or what its next turn is to be."""
    told: tuple[str, ...] = ()
    """What the user is to be told when it is open."""
    settings: SessionSettings = field(init=False)
    updates: SessionUpdates = field(init=False)
    commands: SessionCommands = field(init=False)
    turns: Turns = field(init=False)

    def __attrs_post_init__(self) -> None:
        session = self.session
        self.settings = SessionSettings(session)
        # Below, the functions hold what they ask and not `self`: it would hold itself, also after
        # its end, until garbage happens to be looked for.
        updates = self.updates = SessionUpdates(
            cwd=lambda: session.cwd,
            looks=self.looks,
            has_title=session.env.title is not None or len(session.env.history) > 0,
            names=Names(
                len(session.env.history), lambda: session.config.provider.wire_api != "chat"
            ),
            now=_now,
        )
        self.commands = SessionCommands(session, self.settings, lambda: updates.usage)
        self.turns = Turns(session, self.order)


def _now() -> datetime:
    return datetime.now(UTC)


class LiveSessions:
    """All of them, by either id."""

    def __init__(self) -> None:
        self._by_id: dict[str, LiveSession] = {}
        self._ids: dict[str, str] = {}
        """Our ids, by the client's names, where they differ."""
        self._orders: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()
        """For each session that somebody does something about, open or not."""

    def add(self, live: LiveSession) -> None:
        """From here on it is found."""
        self._by_id[live.session.id] = live
        if live.name != live.session.id:
            self._ids[live.name] = live.session.id

    def remove(self, live: LiveSession) -> None:
        """It has ended. The client's name for it goes on to mean the same session."""
        if self._by_id.get(live.session.id) is live:
            del self._by_id[live.session.id]

    def forget_name(self, name: str) -> None:
        """What the client called so is gone."""
        self._ids.pop(name, None)

    def order(self, session_id: str) -> anyio.Lock:
        """Held by whatever opens, closes or changes a session; first come, first served."""
        lock = self._orders.get(session_id)
        if lock is None:
            lock = self._orders[session_id] = anyio.Lock()
        return lock

    def is_open(self, live: LiveSession) -> bool:
        """Whether it is still the open session of its id."""
        return self._by_id.get(live.session.id) is live

    def id_of(self, name: str) -> str:
        """Our id for what the client calls `name`."""
        return self._ids.get(name, name)

    def name_of(self, session_id: str) -> str:
        """The client's name for a session of ours."""
        live = self._by_id.get(session_id)
        return session_id if live is None else live.name

    def get(self, session_id: str) -> LiveSession | None:
        """The open session of that id of ours."""
        return self._by_id.get(session_id)

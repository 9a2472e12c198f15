"""The open sessions of one connection, and what goes with each of them.

Owns the name under which the client knows a session: a file of another program is continued in
one of ours, with an id of its own, and the client goes on with the id that it asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime

from attrs import define, field

from codex_rpc.acp.calls import Looks
from codex_rpc.acp.commands import SessionCommands
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
    told: tuple[str, ...] = ()
    """What the user is to be told when it is open."""
    settings: SessionSettings = field(init=False)
    updates: SessionUpdates = field(init=False)
    commands: SessionCommands = field(init=False)
    turns: Turns = field(init=False)

    def __attrs_post_init__(self) -> None:
        session = self.session
        self.settings = SessionSettings(session)
        self.updates = SessionUpdates(
            cwd=lambda: session.cwd,
            looks=self.looks,
            has_title=session.env.title is not None or len(session.env.history) > 0,
            now=_now,
        )
        self.commands = SessionCommands(session, self.settings, lambda: self.updates.usage)
        self.turns = Turns(session)


def _now() -> datetime:
    return datetime.now(UTC)


class LiveSessions:
    """All of them, by either id."""

    def __init__(self) -> None:
        self._by_id: dict[str, LiveSession] = {}
        self._ids: dict[str, str] = {}
        """Our ids, by the client's names, where they differ."""

    def add(self, live: LiveSession) -> None:
        """From here on it is found."""
        self._by_id[live.session.id] = live
        if live.name != live.session.id:
            self._ids[live.name] = live.session.id

    def remove(self, session_id: str) -> None:
        """It has ended. The client's name for it goes on to mean the same session."""
        self._by_id.pop(session_id, None)

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

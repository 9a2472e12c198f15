"""What is asked of saved sessions, live or not: listed, read, renamed, put away, carried off.

Owns which of these a live session answers itself and which it refuses. It opens no session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from codex_rpc.core.opening import absolute_path
from codex_rpc.core.ports import RolloutStore
from codex_rpc.core.reconfiguration import normalised
from codex_rpc.core.session import Session
from codex_rpc.protocol.errors import InvalidParams, InvalidState, RolloutNotFound
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.params import (
    ExportParams,
    ExportResult,
    ListParams,
    ReadParams,
    RenameParams,
    SessionIdParams,
)
from codex_rpc.protocol.records import ReadPage, SessionPage, SessionQuery, SessionRef

MAX_TITLE_CHARS = 200


class SavedSessions:
    """The saved sessions, some of which are live in this process."""

    def __init__(self, store: RolloutStore, live: Mapping[str, Session]) -> None:
        self._store = store
        self._live = live

    async def list(self, params: ListParams) -> SessionPage:
        """A page of the session files."""
        query = SessionQuery(
            cwd=normalised(params.cwd),
            query=params.query,
            cursor=params.cursor,
            limit=params.limit,
            sort=params.sort,
            archived=params.archived,
        )
        return await self._store.list(query, live=frozenset(self._live))

    async def read(self, params: ReadParams) -> ReadPage:
        """A page of one session's items."""
        path = absolute_path(params.path, "path") if params.path is not None else None
        return await self._store.read(
            SessionRef(session_id=params.session_id, path=path),
            cursor=params.cursor,
            limit=params.limit,
            direction=params.direction,
        )

    async def rename(self, params: RenameParams) -> None:
        """Give a session a title.

        Raises:
            InvalidParams: the title says nothing, or too much.
            InvalidState: the file is another program's.
            SessionClosed, RolloutError
        """
        title = " ".join(params.title.split())
        if not 0 < len(title) <= MAX_TITLE_CHARS:
            raise InvalidParams("title", f"a text of 1 to {MAX_TITLE_CHARS} characters")
        live = self._live.get(params.session_id)
        if live is not None:
            await live.rename(title)
        else:
            await self._store.rename(params.session_id, title)

    async def archive(self, params: SessionIdParams) -> None:
        """Put a session away.

        Raises:
            InvalidState: it is live.
            RolloutError
        """
        self._refuse_live(params.session_id, "archived")
        await self._store.archive(params.session_id)

    async def unarchive(self, params: SessionIdParams) -> None:
        """Take a session out again; raises RolloutError."""
        await self._store.unarchive(params.session_id)

    async def delete(self, params: SessionIdParams) -> None:
        """Throw a session away.

        Raises:
            InvalidState: it is live.
            RolloutError
        """
        self._refuse_live(params.session_id, "deleted")
        await self._store.delete(params.session_id)

    async def export(self, params: ExportParams) -> ExportResult:
        """A session as a document; of a live one also what could not be saved.

        Raises:
            InvalidParams: the path is relative.
            RolloutError
        """
        path = None if params.path is None else absolute_path(params.path, "path")
        unsaved = await self._unsaved(params.session_id)
        text = await self._store.export(
            params.session_id,
            params.format,
            path=None if path is None else Path(path),
            unsaved=unsaved,
        )
        return ExportResult(text=text, path=path)

    async def _unsaved(self, session_id: str) -> Sequence[Item]:
        """The items of a live session that are not in its file."""
        live = self._live.get(session_id)
        if live is None or live.unsaved == 0:
            return ()
        try:
            page = await self._store.read(
                SessionRef(path=live.configured.rollout_path),
                cursor=None,
                limit=1,
                direction="backward",
            )
        except RolloutNotFound:
            # The file is gone: what is in memory is all that is left.
            return list(live.env.history.items)
        saved = page.items[-1].index + 1 if page.items else 0
        history = live.env.history
        count = len(history) - saved
        return history.items[-count:] if count > 0 else ()

    def _refuse_live(self, session_id: str, what: str) -> None:
        if session_id in self._live:
            raise InvalidState(
                f"session {session_id} is open here and cannot be {what}; close it first"
            )

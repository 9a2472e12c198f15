"""Which file a reference to a saved session means.

Owns the order in which folders, names and headers are looked through. It opens no session, and does
not know who holds one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anyio import from_thread

from codex_rpc.protocol.errors import InvalidParams, RolloutNotFound
from codex_rpc.protocol.records import SessionRef
from codex_rpc.rollout.paths import SESSIONS, find, session_id_of, text_of


class References:
    """Of the sessions below `codex_home`."""

    def __init__(self, codex_home: Path) -> None:
        self._home = codex_home

    def path_of(self, ref: SessionRef, *folders: str) -> Path:
        """The file that `ref` means; by id it is looked for in `folders`, in their order.

        Raises:
            InvalidParams: it cannot mean any file.
            RolloutNotFound
        """
        if ref.path is not None:
            path = Path(ref.path)
            if not path.is_absolute():
                raise InvalidParams("path", "absolute path")
            return path
        if ref.last:
            for path in self.newest(ref.cwd):
                return path
            raise self.none_to_continue(ref.cwd)
        session_id = session_id_of(ref.session_id)
        if session_id is None:
            raise InvalidParams("sessionId", "UUID")
        for folder in folders:
            found = find(self._home / folder, session_id)
            if found is not None:
                return found
        from codex_rpc.rollout.session_files import find_by_header

        for folder in folders:
            found = find_by_header(self._home, folder, session_id)
            if found is not None:
                return found
        searched = text_of(self._home / SESSIONS)
        raise RolloutNotFound(
            f"there is no session {session_id} in {searched}",
            data={"sessionId": session_id, "searched": searched},
        )

    def newest(self, cwd: str | None) -> Iterator[Path]:
        """What `last` may mean, the newest first. To be called in a worker thread."""
        from codex_rpc.rollout.catalog import Catalog

        catalog = Catalog(self._home / SESSIONS, from_thread.check_cancelled)
        for place in catalog.found.files:
            row = catalog.row(place)
            if row.can_be_continued and (cwd is None or row.cwd == cwd):
                yield place.path

    def none_to_continue(self, cwd: str | None) -> RolloutNotFound:
        """What to say where `last` means no file."""
        searched = text_of(self._home / SESSIONS)
        of_cwd = f" of {cwd}" if cwd is not None else ""
        return RolloutNotFound(
            f"there is no session{of_cwd} to continue in {searched}", data={"searched": searched}
        )

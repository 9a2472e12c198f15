"""Which session each file is of: told by its name, or else by its first line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from codex_rpc.protocol.checkup import SessionFile
from codex_rpc.protocol.errors import RolloutCorrupt, RolloutNotFound
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.paths import ARCHIVED, SESSIONS, id_in_name, text_of, walk
from codex_rpc.rollout.reader import reading


def session_files(codex_home: Path) -> Iterator[SessionFile]:
    """Every session file of which it can be told, archived ones last."""
    for folder in (SESSIONS, ARCHIVED):
        for path in sorted(walk(codex_home / folder).files):
            session_id = id_in_name(path) or _id_inside(path)
            if session_id is not None:
                yield SessionFile(
                    session_id=session_id, path=text_of(path), archived=folder == ARCHIVED
                )


def find_by_header(codex_home: Path, folder: str, session_id: str) -> Path | None:
    """The file in `folder` that does not tell its id in its name, but is of that session."""
    for path in sorted(walk(codex_home / folder).files):
        if id_in_name(path) is None and _id_inside(path) == session_id:
            return path
    return None


def _id_inside(path: Path) -> str | None:
    try:
        with reading(path) as fd:
            return read_header(fd, path).session_id
    except (RolloutCorrupt, RolloutNotFound):
        return None

"""All session files of a CODEX_HOME looked at, and what stands beside them. Changes nothing.

The one file that it writes is its own, for as long as it takes to see whether locks work.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from codex_rpc.protocol.checkup import Checkup, Inspection
from codex_rpc.protocol.errors import RolloutNotFound
from codex_rpc.rollout.blobs import BlobFolder
from codex_rpc.rollout.catalog import OnProgress, held_elsewhere
from codex_rpc.rollout.files import reason_of
from codex_rpc.rollout.inspection import inspect
from codex_rpc.rollout.lock import locks_do_not_work, try_lock
from codex_rpc.rollout.paths import (
    ARCHIVED,
    LIVE,
    SESSIONS,
    session_id_of,
    text_of,
    walk,
)
from codex_rpc.rollout.shelves import is_settled
from codex_rpc.rollout.summaries import row_of


class Doctor:
    """One look at everything. Blocks on files."""

    def __init__(self, codex_home: Path, blobs: BlobFolder, check: Callable[[], None]) -> None:
        self._home = codex_home
        self._blobs = blobs
        self._check = check
        self._live = held_elsewhere(codex_home)
        self._referenced: set[str] = set()
        self._origins: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._inspections: list[Inspection] = []
        self._size_bytes = 0

    def examine(self, on_progress: OnProgress) -> Checkup:
        """Look at every file."""
        sessions, archived = walk(self._home / SESSIONS), walk(self._home / ARCHIVED)
        paths = sorted([*sessions.files, *archived.files])
        for done, path in enumerate(paths):
            on_progress(done, len(paths))
            self._look_at(path)
        on_progress(len(paths), len(paths))
        unreadable_folders = [*sessions.unreadable_folders, *archived.unreadable_folders]
        is_complete = not unreadable_folders and not self._statuses["unreadable"]
        blobs = list(self._stored())
        return Checkup(
            folder=text_of(self._home),
            origins=dict(self._origins),
            statuses=dict(self._statuses),
            archived=len(archived.files),
            live=len(self._live),
            size_bytes=self._size_bytes,
            blob_count=len(blobs),
            blob_bytes=sum(_size_of(path) for path in blobs),
            free_bytes=_free_bytes(self._home),
            inspections=self._inspections,
            unreadable_folders=list(map(text_of, unreadable_folders)),
            unreferenced_blobs=self._unreferenced(blobs) if is_complete else None,
            stale_notes=list(self._stale_notes()),
            locks=why_no_locks(self._home / SESSIONS),
        )

    def _look_at(self, path: Path) -> None:
        self._size_bytes += _size_of(path)
        row = row_of(path, self._check)
        live = row.session_id in self._live
        status = "clean"
        if row.reason is not None:
            status = "unreadable"
        elif row.is_running and not live:
            status = "interrupted"
        try:
            found = inspect(
                path, self._blobs, live=live, check=self._check, on_blob=self._referenced.add
            )
        except RolloutNotFound:
            found = Inspection(
                session_id=row.session_id,
                path=text_of(path),
                origin=row.origin,
                reason=row.reason,
                damage=[],
                mended=[],
                open_calls=[],
                appends="",
            )
            if row.reason is None:
                # It was moved or deleted just now.
                return
        self._statuses[status] += 1
        if row.reason is None:
            self._origins[row.origin] += 1
        if not found.is_whole or found.appends:
            self._inspections.append(found)

    def _stored(self) -> Iterator[Path]:
        """Everything in the folder of stored strings."""
        for folder, _, names in os.walk(self._home / SESSIONS / "blobs"):
            for name in names:
                yield Path(folder, name)

    def _unreferenced(self, blobs: list[Path]) -> list[str]:
        # What was stored just now may be about to be referred to.
        return sorted(
            text_of(path)
            for path in blobs
            if path.name not in self._referenced and is_settled(path)
        )

    def _stale_notes(self) -> Iterator[str]:
        try:
            notes = sorted((self._home / SESSIONS / LIVE).iterdir())
        except OSError:
            return
        for note in notes:
            if session_id_of(note.name.removesuffix(".json")) not in self._live:
                yield text_of(note)


def why_no_locks(folder: Path) -> str | None:
    """Why files in `folder` cannot be locked; None: they can, or it cannot be tried.

    The file that is tried is gone again before anybody sees it.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            try_lock(file.fileno())
    except OSError as exc:
        return reason_of(exc) if locks_do_not_work(exc) else None
    return None


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None

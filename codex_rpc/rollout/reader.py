"""A session file as a `SavedSession`: what resume and fork begin with.

Strict on the header, tolerant of every other line: what cannot be used is reported as damage,
by number and size, never by content. What is before the last compaction is not read. Nothing
here writes, and no lock is needed.
"""

from __future__ import annotations

import gc
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve

from codex_rpc.protocol.errors import InvalidParams, RolloutCorrupt, RolloutNotFound
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.records import SavedSession
from codex_rpc.rollout.blobs import BlobFolder
from codex_rpc.rollout.files import open_to_read, reason_of
from codex_rpc.rollout.headers import FileHeader
from codex_rpc.rollout.lines import Lines, Tail, never_cancelled
from codex_rpc.rollout.markers import Marker, markers
from codex_rpc.rollout.paths import text_of
from codex_rpc.rollout.replay import Replay


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """The descriptor of the regular file at `path`, closed at the end.

    Raises:
        RolloutNotFound: there is none, or a link leads nowhere.
        RolloutCorrupt: it is no regular file, or cannot be opened or, later, read.
    """
    try:
        fd = open_to_read(path)
    except (FileNotFoundError, NotADirectoryError, ValueError) as exc:
        raise RolloutNotFound(
            f"there is no session file at {text_of(path)}", data={"path": text_of(path)}
        ) from exc
    except OSError as exc:
        raise RolloutCorrupt(text_of(path), reason_of(exc)) from exc
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise RolloutCorrupt(text_of(path), "it is a directory")
        if not stat.S_ISREG(mode):
            raise RolloutCorrupt(text_of(path), "it is not a regular file")
        yield fd
    except OSError as exc:
        raise RolloutCorrupt(text_of(path), reason_of(exc)) from exc
    finally:
        os.close(fd)


@frozen
class Loaded:
    """A session, and where its next record goes."""

    session: SavedSession
    tail: Tail


def load(
    fd: int,
    path: Path,
    header: FileHeader,
    *,
    check: Callable[[], None] = never_cancelled,
    blobs: BlobFolder | None = None,
    up_to: int | None = None,
) -> Loaded:
    """Read an open file, whose header is known, to its end.

    Items are in file order, from the last compaction on, with its summary in front. With
    `up_to`, the index in the session of the last item that is wanted, they end with that one
    and begin with the last compaction before it; context and title are the last of the file
    all the same, and no response of the model server is told. What is stored beside the file is
    put back from `blobs`; None: it stays out.

    A torn last line is left out and reported; so is every line that cannot be used, with its
    number. Record types that are not known are skipped. Another program's file is told as
    such in `foreign`; what replaces its items after a compaction is among the items, and
    `items_before` is 0.

    Raises:
        InvalidParams: there is no item `up_to`.
    """
    updated_at = datetime.fromtimestamp(os.fstat(fd).st_mtime, UTC)
    with _no_gc():
        if header.enveloped:
            return _load_foreign(fd, path, header, updated_at, check, up_to)
        lines, replay = _from_last_compaction(fd, header, check, blobs)
        session = replay.session(path, updated_at)
        if up_to is not None:
            session = _cut(fd, session, header, check, blobs, up_to)
    return Loaded(session, lines.tail)


def _from_last_compaction(
    fd: int, header: FileHeader, check: Callable[[], None], blobs: BlobFolder | None
) -> tuple[Lines, Replay]:
    found = markers(fd, os.fstat(fd).st_size, check)
    marker = next((marker for marker in found if marker.is_whole), None)
    lines, replay = _replay(fd, header, check, blobs, marker)
    if marker is not None and not replay.items_before:
        # Someone has just cut the file short.
        lines, replay = _replay(fd, header, check, blobs, None)
    return lines, replay


def _replay(
    fd: int,
    header: FileHeader,
    check: Callable[[], None],
    blobs: BlobFolder | None,
    first: Marker | None,
    end: Marker | None = None,
) -> tuple[Lines, Replay]:
    """What the lines from one marker to another amount to; None: the start, the end."""
    lines = Lines(
        fd,
        check,
        start=first.offset if first else 0,
        line_count=first.line_no - 1 if first else 0,
        end=end.offset if end else None,
    )
    replay = Replay(header, blobs)
    replay.take_all(lines)
    return lines, replay


def _cut(
    fd: int,
    session: SavedSession,
    header: FileHeader,
    check: Callable[[], None],
    blobs: BlobFolder | None,
    up_to: int,
) -> SavedSession:
    """`session` as it was when the item `up_to` was its last."""
    before, items, damage = session.items_before, session.items, session.damage
    suffix = session.call_id_suffix
    count = up_to + 1 - before + (before > 0)
    if up_to < before:
        # Items are counted back from the compaction after them, as pages do it.
        first: Marker | None = None
        end: Marker | None = None
        for marker in markers(fd, os.fstat(fd).st_size, check):
            if marker.replaces <= up_to:
                first = marker
                break
            end = marker
        _, replay = _replay(fd, header, check, blobs, first, end)
        older = replay.session(session.path, session.updated_at)
        before, items, damage = older.items_before, older.items, older.damage
        suffix = older.call_id_suffix
        replaced = end.replaces if end else len(items)
        count = len(items) - (replaced - 1 - up_to)
    if up_to < 0 or not (before > 0) < count <= len(items):
        raise _no_item(up_to)
    return evolve(
        session,
        items=items[:count],
        items_before=before,
        damage=damage,
        call_id_suffix=suffix,
        previous_response_id=None,
        seen_item_count=0,
    )


def _load_foreign(
    fd: int,
    path: Path,
    header: FileHeader,
    updated_at: datetime,
    check: Callable[[], None],
    up_to: int | None,
) -> Loaded:
    # Whoever resumes a session of this program does not wait for what reads others.
    from codex_rpc.rollout.foreign import ForeignReplay

    lines = Lines(fd, check)
    replay = ForeignReplay(header, up_to)
    replay.take_all(lines)
    if up_to is not None and not 0 <= up_to < replay.item_count:
        raise _no_item(up_to)
    return Loaded(replay.session(path, updated_at, lines.tail.size), lines.tail)


def _no_item(index: int) -> InvalidParams:
    return InvalidParams("upTo", "the index of an item of the session", f"there is no item {index}")


@contextmanager
def _no_gc() -> Iterator[None]:
    """Many objects and no garbage: each collection would look at all of them for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

"""All session files of one CODEX_HOME: creating, opening, listing, reading.

Owns which file a reference means and who may hold it. Everything that blocks runs in a
worker thread; reading stops soon after it is cancelled, writing never in its middle.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence, Set
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Literal

from anyio import CancelScope, from_thread, get_cancelled_exc_class, to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from codex_rpc.protocol.errors import (
    InvalidParams,
    RolloutCorrupt,
    RolloutInUse,
    RolloutNotFound,
    RolloutWriteFailed,
)
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.records import (
    Header,
    ReadPage,
    Record,
    SavedSession,
    SessionPage,
    SessionQuery,
    SessionRef,
)
from codex_rpc.rollout.append_file import AppendFile, Fsync
from codex_rpc.rollout.encoding import header_line, record_line
from codex_rpc.rollout.files import OS_FILES, FileLayer, reason_of
from codex_rpc.rollout.git_info import git_info
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.live import LiveNote, holder_of
from codex_rpc.rollout.lock import locks_do_not_work
from codex_rpc.rollout.paths import (
    ARCHIVED,
    SESSIONS,
    find,
    session_id_of,
    session_path,
    text_of,
    walk,
)
from codex_rpc.rollout.reader import load, reading
from codex_rpc.rollout.writer import RolloutLog

HELD_HERE = "it is open in this process"
FOREIGN = (
    "it is in the format of today's Codex CLI, which can be listed and read, "
    "but not continued by this version"
)


@frozen
class _Held:
    """A file that this process holds now, not yet given to anyone."""

    file: AppendFile
    note: LiveNote
    identity: tuple[int, int]


class RolloutStore:
    """The session files below `codex_home`."""

    def __init__(self, codex_home: Path, *, version: str, files: FileLayer = OS_FILES) -> None:
        self._home = codex_home
        self._version = version
        self._files = files
        self._ours: set[tuple[int, int]] = set()
        """Device and inode of each file that is held here."""

    async def create(self, header: Header, first: Sequence[Record], *, fsync: Fsync) -> RolloutLog:
        """Create a session's file, with its header and first records written.

        Cancelled, it leaves no file.

        Raises:
            RolloutWriteFailed: nothing is left behind.
        """
        held = await to_thread.run_sync(self._create, header, first, fsync)
        log = self._log(held)

        async def undo() -> None:
            self._ours.discard(held.identity)
            await to_thread.run_sync(held.note.withdraw)
            # Whoever asked has gone, so a file that cannot be removed cannot be reported.
            with suppress(OSError):
                await to_thread.run_sync(held.file.discard)

        await _unless_cancelled(undo)
        return log

    async def open(self, ref: SessionRef, *, fsync: Fsync) -> tuple[SavedSession, RolloutLog]:
        """Read a session and hold its file. Writes nothing; the first append repairs the tail.

        `last` passes over sessions without items, those that cannot be read or continued, and
        those that another process holds; one that is open in this process is in use.
        Cancelled, it holds nothing.

        Raises:
            RolloutNotFound: no such file; for `last`, none that would do.
            RolloutCorrupt: no session file, or one that cannot be continued.
            RolloutNewer: written by a newer version.
            RolloutInUse: held; by whom, as far as that is known.
            RolloutWriteFailed: it cannot be locked or written to; reading it works.
        """
        session, held = await to_thread.run_sync(self._open, ref, fsync)
        log = self._log(held)
        await _unless_cancelled(lambda: log.close(discard=True))
        return session, log

    async def list(self, query: SessionQuery, *, live: Set[str]) -> SessionPage:
        """The session files, whoever wrote them; `live` are the ids open in this process.

        Raises:
            InvalidParams: a cursor of another kind of list, or a limit below 1.
        """
        # Those who look at sessions load what that takes; those who open one do not wait for it.
        from codex_rpc.rollout.catalog import list_sessions

        def work() -> SessionPage:
            return list_sessions(self._home, query, live=live, check=from_thread.check_cancelled)

        return await to_thread.run_sync(work)

    async def read(
        self,
        ref: SessionRef,
        *,
        cursor: str | None,
        limit: int,
        direction: Literal["backward", "forward"],
    ) -> ReadPage:
        """A page of a session's items, whether or not someone holds it; archived ones too.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutNewer: as `open`.
            InvalidParams: a cursor of another kind of page, or a limit below 1.
        """
        from codex_rpc.rollout.pages import read_page

        def work() -> ReadPage:
            return read_page(
                self._path_of(ref, SESSIONS, ARCHIVED),
                cursor=cursor,
                limit=limit,
                direction=direction,
                check=from_thread.check_cancelled,
            )

        return await to_thread.run_sync(work)

    def _create(self, header: Header, first: Sequence[Record], fsync: Fsync) -> _Held:
        path = session_path(self._home, header.id, header.timestamp)
        git = git_info(header.cwd)
        lines = [header_line(header, version=self._version, git=git), *map(record_line, first)]
        try:
            file = AppendFile.create(path, lines, fsync=fsync, files=self._files)
        except OSError as exc:
            raise RolloutWriteFailed(text_of(path), _why_not_held(exc)) from exc
        self._ours.add(file.identity)
        note = LiveNote(self._home, header.id)
        note.announce()
        return _Held(file, note, file.identity)

    def _open(self, ref: SessionRef, fsync: Fsync) -> tuple[SavedSession, _Held]:
        if not ref.last:
            return self._open_path(self._path_of(ref, SESSIONS), fsync, ref.session_id)
        for path in self._newest(ref.cwd):
            try:
                return self._open_path(path, fsync)
            except RolloutInUse as exc:
                if exc.data["reason"] == HELD_HERE:
                    raise
            except (RolloutNotFound, RolloutCorrupt):
                # It has changed since it was looked at, and is no candidate any more.
                continue
        raise self._none_to_continue(ref.cwd)

    def _open_path(
        self, path: Path, fsync: Fsync, wanted_id: str | None = None
    ) -> tuple[SavedSession, _Held]:
        with reading(path) as fd, ExitStack() as undo:
            header = read_header(fd, path)
            if header.enveloped:
                raise RolloutCorrupt(text_of(path), FOREIGN, line_no=1)
            if wanted_id is not None and session_id_of(wanted_id) != header.session_id:
                reason = f"its header names another session, {header.session_id}"
                raise RolloutCorrupt(text_of(path), reason, line_no=1)
            held_fd, identity = self._hold(path, header.session_id)
            undo.callback(self._let_go, held_fd, identity)
            if identity != _identity(fd):
                raise RolloutCorrupt(text_of(path), "it was replaced while it was being opened")
            loaded = load(fd, path, header, check=from_thread.check_cancelled)
            file = AppendFile(path, held_fd, tail=loaded.tail, fsync=fsync, files=self._files)
            undo.pop_all()
        return loaded.session, _Held(file, LiveNote(self._home, header.session_id), identity)

    def _hold(self, path: Path, session_id: SessionId) -> tuple[int, tuple[int, int]]:
        """Open a file for appending and lock it."""
        try:
            fd = self._files.open_to_append(path)
        except OSError as exc:
            reason = f"{reason_of(exc)}; it can be read and forked, but not continued"
            raise RolloutWriteFailed(text_of(path), reason) from exc
        with ExitStack() as undo:
            undo.callback(os.close, fd)
            identity = _identity(fd)
            try:
                is_ours = self._files.lock(fd)
            except OSError as exc:
                raise RolloutWriteFailed(text_of(path), _why_not_held(exc)) from exc
            if not is_ours:
                raise self._in_use(session_id, identity)
            self._ours.add(identity)
            undo.pop_all()
        return fd, identity

    def _let_go(self, fd: int, identity: tuple[int, int]) -> None:
        self._ours.discard(identity)
        self._files.close(fd)

    def _in_use(self, session_id: SessionId, identity: tuple[int, int]) -> RolloutInUse:
        if identity in self._ours:
            return RolloutInUse(session_id, HELD_HERE, pid=os.getpid())
        holder = holder_of(self._home, session_id)
        reason = "another process holds its lock"
        return RolloutInUse(session_id, reason, pid=holder.pid, host=holder.host)

    def _log(self, held: _Held) -> RolloutLog:
        return RolloutLog(
            held.file, note=held.note, on_closed=lambda: self._ours.discard(held.identity)
        )

    def _path_of(self, ref: SessionRef, *folders: str) -> Path:
        """The file that `ref` means; by id it is looked for in `folders`, in their order."""
        if ref.path is not None:
            path = Path(ref.path)
            if not path.is_absolute():
                raise InvalidParams("path", "absolute path")
            return path
        if ref.last:
            for path in self._newest(ref.cwd):
                return path
            raise self._none_to_continue(ref.cwd)
        session_id = session_id_of(ref.session_id)
        if session_id is None:
            raise InvalidParams("sessionId", "UUID")
        for folder in folders:
            found = find(self._home / folder, session_id)
            if found is not None:
                return found
        searched = text_of(self._home / SESSIONS)
        raise RolloutNotFound(
            f"there is no session {session_id} in {searched}",
            data={"sessionId": session_id, "searched": searched},
        )

    def _newest(self, cwd: str | None) -> Iterator[Path]:
        """What `last` may mean, the newest first."""
        from codex_rpc.rollout.catalog import places_of
        from codex_rpc.rollout.summaries import summarise

        for place in places_of(walk(self._home / SESSIONS).files):
            row = summarise(place.path, place.stat, check=from_thread.check_cancelled)
            if row.can_be_continued and (cwd is None or row.summary.cwd == cwd):
                yield place.path

    def _none_to_continue(self, cwd: str | None) -> RolloutNotFound:
        searched = text_of(self._home / SESSIONS)
        of_cwd = f" of {cwd}" if cwd is not None else ""
        return RolloutNotFound(
            f"there is no session{of_cwd} to continue in {searched}", data={"searched": searched}
        )


async def _unless_cancelled(undo: Callable[[], Awaitable[None]]) -> None:
    """Undo what a thread has done for someone who was cancelled meanwhile."""
    try:
        await checkpoint_if_cancelled()
    except get_cancelled_exc_class():
        with CancelScope(shield=True):
            await undo()
        raise


def _identity(fd: int) -> tuple[int, int]:
    stat = os.fstat(fd)
    return stat.st_dev, stat.st_ino


def _why_not_held(exc: OSError) -> str:
    reason = reason_of(exc)
    if locks_do_not_work(exc):
        return (
            f"file locks do not work here ({reason}); sessions in this folder "
            "can be read and forked, but not continued"
        )
    return reason

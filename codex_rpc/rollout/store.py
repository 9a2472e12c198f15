"""All session files of one CODEX_HOME: creating, opening, listing, reading.

Owns in which order they are looked up, held, read and written. Everything that blocks runs in a
worker thread; reading stops soon after it is cancelled, writing never in its middle.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence, Set
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anyio import CancelScope, from_thread, get_cancelled_exc_class, to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from codex_rpc.protocol.errors import (
    InvalidState,
    RolloutCorrupt,
    RolloutInUse,
    RolloutNotFound,
    RolloutWriteFailed,
)
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import (
    ExportFormat,
    Header,
    ReadPage,
    Record,
    SavedSession,
    SessionPage,
    SessionQuery,
    SessionRef,
    TitleRecord,
)
from codex_rpc.rollout.append_file import AppendFile, Fsync
from codex_rpc.rollout.blobs import BlobFolder
from codex_rpc.rollout.continuations import newest_continuation
from codex_rpc.rollout.encoding import header_line, record_line
from codex_rpc.rollout.files import OS_FILES, FileLayer, reason_of
from codex_rpc.rollout.git_info import git_info
from codex_rpc.rollout.headers import FileHeader, read_header
from codex_rpc.rollout.holding import HELD_HERE, Held, Holdings, identity_of, why_not_held
from codex_rpc.rollout.paths import (
    ARCHIVED,
    SESSIONS,
    session_id_of,
    session_path,
    text_of,
)
from codex_rpc.rollout.reader import load, reading
from codex_rpc.rollout.references import References
from codex_rpc.rollout.shelves import move, throw_away
from codex_rpc.rollout.writer import RolloutLog, encoded

if TYPE_CHECKING:
    # Those who only serve do not wait for it.
    from codex_rpc.protocol.checkup import Checkup, Inspection, SessionFile

TAKEOVER_S = 5.0
"""How long a holder that was asked has to abort its turn, save and let go."""


class RolloutStore:
    """The session files below `codex_home`."""

    def __init__(
        self,
        codex_home: Path,
        *,
        version: str,
        has_trash: bool = False,
        files: FileLayer = OS_FILES,
    ) -> None:
        self._home = codex_home
        self._version = version
        self._has_trash = has_trash
        self._files = files
        self._blobs = BlobFolder(codex_home, files)
        self._holdings = Holdings(codex_home, files)
        self._references = References(codex_home)

    async def create(self, header: Header, first: Sequence[Record], *, fsync: Fsync) -> RolloutLog:
        """Create a session's file, with its header and first records written.

        Cancelled, it leaves no file.

        Raises:
            RolloutWriteFailed: nothing is left behind.
        """
        held = await to_thread.run_sync(self._create, header, first, fsync)
        log = self._holdings.log(held, self._blobs_for(fsync))

        async def undo() -> None:
            self._holdings.forget(held)
            await to_thread.run_sync(held.note.withdraw)
            # Whoever asked has gone, so a file that cannot be removed cannot be reported.
            with suppress(OSError):
                await to_thread.run_sync(held.file.discard)

        await _unless_cancelled(undo)
        return log

    @property
    def has_trash(self) -> bool:
        """Whether what is deleted goes to the system's trash, or is gone."""
        return self._has_trash

    async def serve(self) -> None:
        """Answer other processes that want to take over a session held here, until cancelled."""
        await self._holdings.serve()

    async def open(
        self, ref: SessionRef, *, fsync: Fsync, takeover: bool = False
    ) -> tuple[SavedSession, RolloutLog | None]:
        """Read a session and hold its file. Writes nothing; the first append repairs the tail.

        `last` passes over sessions without items, those that cannot be read, and those that
        another process holds; one that is open in this process is in use. Another program's
        file is not held: its newest continuation is opened in its place, if it has not grown
        since; else there is no log. Cancelled, it holds nothing.

        `takeover` asks another process that holds the session to let go, and waits for that
        up to `TAKEOVER_S`.

        Raises:
            RolloutNotFound: no such file; for `last`, none that would do.
            RolloutCorrupt: no session file, or one that cannot be continued.
            RolloutNewer: written by a newer version.
            RolloutInUse: held; by whom, as far as that is known.
            RolloutWriteFailed: it cannot be locked or written to; reading it works.
        """
        wait_s = TAKEOVER_S if takeover else 0.0
        session, held = await to_thread.run_sync(self._open, ref, fsync, wait_s)
        if held is None:
            return session, None
        log = self._holdings.log(held, self._blobs_for(fsync))
        await _unless_cancelled(lambda: log.close(discard=True))
        return session, log

    async def load(self, ref: SessionRef, *, up_to: int | None = None) -> SavedSession:
        """Read a session without holding it, archived ones and other programs' too.

        `up_to` is the index in the session of the last item that is wanted; None: all of what
        the next request would need.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutNewer: as `open`.
            InvalidParams: there is no item `up_to`.
        """
        return await to_thread.run_sync(self._load, ref, up_to)

    async def rename(self, session_id: str, title: str) -> None:
        """Give a session that is not open here another title.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutNewer, RolloutInUse, RolloutWriteFailed
            InvalidState: it is another program's.
        """
        await to_thread.run_sync(self._rename, session_id, title)

    async def archive(self, session_id: str) -> None:
        """Move a session's file, unaltered, to the archived ones. Nothing if it is there.

        Raises:
            RolloutNotFound, RolloutInUse, RolloutWriteFailed
        """
        await to_thread.run_sync(self._put_away, session_id, ARCHIVED)

    async def unarchive(self, session_id: str) -> None:
        """Move an archived session's file back. Nothing if it is there.

        Raises:
            RolloutNotFound, RolloutInUse, RolloutWriteFailed
        """
        await to_thread.run_sync(self._put_away, session_id, SESSIONS)

    async def delete(self, session_id: str) -> None:
        """Move a session's file, and what only it refers to, to the system's trash; where there
        is none, remove them.

        Raises:
            RolloutNotFound, RolloutInUse, RolloutWriteFailed
        """
        await to_thread.run_sync(self._delete, session_id)

    async def export(
        self,
        session_id: str,
        format: ExportFormat,  # noqa: A002
        *,
        path: Path | None,
        unsaved: Sequence[Item],
    ) -> str | None:
        """A session as text, or written to `path`, a file that does not exist yet.

        `unsaved` are items of a live session that its file does not hold; where the file is
        gone, they are the document.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutNewer: as `open`.
            RolloutWriteFailed: `path` exists, or cannot be written.
        """
        from codex_rpc.rollout.export import document, document_without_file, write_document

        def text_of_all() -> str:
            try:
                source = self._references.path_of(
                    SessionRef(session_id=session_id), SESSIONS, ARCHIVED
                )
            except RolloutNotFound:
                if not unsaved:
                    raise
                return document_without_file(session_id, format, unsaved=unsaved)
            check = from_thread.check_cancelled
            return document(source, format, blobs=self._blobs, unsaved=unsaved, check=check)

        def work() -> str | None:
            text = text_of_all()
            if path is None:
                return text
            write_document(path, text)
            return None

        return await to_thread.run_sync(work)

    async def list(
        self,
        query: SessionQuery,
        *,
        live: Set[str],
        on_progress: Callable[[int, int], None] | None = None,
    ) -> SessionPage:
        """The session files, whoever wrote them; `live` are the ids open in this process.

        `on_progress` is told, in another thread, how many files of how many were looked at.

        Raises:
            InvalidParams: a cursor of another kind of list, or a limit below 1.
        """
        # Those who look at sessions load what that takes; those who open one do not wait for it.
        from codex_rpc.rollout.catalog import list_sessions, no_progress

        def work() -> SessionPage:
            return list_sessions(
                self._home,
                query,
                live=live,
                check=from_thread.check_cancelled,
                on_progress=on_progress or no_progress,
            )

        return await to_thread.run_sync(work)

    async def files(self) -> Sequence[SessionFile]:
        """Every session file of which it can be told whose it is, archived ones last."""
        from codex_rpc.rollout.session_files import session_files

        return await to_thread.run_sync(lambda: [*session_files(self._home)])

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
                self._references.path_of(ref, SESSIONS, ARCHIVED),
                cursor=cursor,
                limit=limit,
                direction=direction,
                blobs=self._blobs,
                check=from_thread.check_cancelled,
            )

        return await to_thread.run_sync(work)

    async def inspect(self, session_id: str) -> Inspection:
        """What is wrong with a session's file, also where it cannot be read.

        Raises:
            RolloutNotFound
        """
        from codex_rpc.rollout.catalog import held_elsewhere
        from codex_rpc.rollout.inspection import inspect

        def work() -> Inspection:
            path = self._references.path_of(SessionRef(session_id=session_id), SESSIONS, ARCHIVED)
            is_live = session_id in held_elsewhere(self._home)
            return inspect(path, self._blobs, live=is_live, check=from_thread.check_cancelled)

        return await to_thread.run_sync(work)

    async def repair(self, session_id: str) -> None:
        """Add to a session's file what going on with it would add first.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutNewer, RolloutInUse, RolloutWriteFailed
            InvalidState: it is another program's.
        """
        await to_thread.run_sync(self._repair, session_id)

    async def examine(self, on_progress: Callable[[int, int], None] | None = None) -> Checkup:
        """All session files, and what stands beside them, looked at; `on_progress` as `list`."""
        from codex_rpc.rollout.catalog import no_progress
        from codex_rpc.rollout.doctor import Doctor

        def work() -> Checkup:
            doctor = Doctor(self._home, self._blobs, from_thread.check_cancelled)
            return doctor.examine(on_progress or no_progress)

        return await to_thread.run_sync(work)

    def _create(self, header: Header, first: Sequence[Record], fsync: Fsync) -> Held:
        path = session_path(self._home, header.id, header.timestamp)
        git = git_info(header.cwd)
        blobs = self._blobs_for(fsync)
        lines = [header_line(header, version=self._version, git=git)]
        for record in first:
            line_no = 1 + sum(line.count(b"\n") for line in lines)
            lines.append(encoded(record, blobs, line_no))
        try:
            file = AppendFile.create(path, lines, fsync=fsync, files=self._files)
        except OSError as exc:
            raise RolloutWriteFailed(text_of(path), why_not_held(exc)) from exc
        held = self._holdings.held(file, header.id)
        held.note.announce()
        return held

    def _blobs_for(self, fsync: Fsync) -> BlobFolder:
        """Where a session writes its large strings, as durably as the rest."""
        return BlobFolder(self._home, self._files, is_durable=fsync != "never")

    def _open(
        self, ref: SessionRef, fsync: Fsync, wait_s: float
    ) -> tuple[SavedSession, Held | None]:
        if not ref.last:
            path = self._references.path_of(ref, SESSIONS)
            return self._open_path(path, fsync, ref.session_id, wait_s=wait_s)
        for path in self._references.newest(ref.cwd):
            try:
                return self._open_path(path, fsync, wait_s=wait_s)
            except RolloutInUse as exc:
                if exc.data["reason"] == HELD_HERE:
                    raise
            except (RolloutNotFound, RolloutCorrupt):
                # It has changed since it was looked at, and is no candidate any more.
                continue
        raise self._references.none_to_continue(ref.cwd)

    def _open_path(
        self, path: Path, fsync: Fsync, wanted_id: str | None = None, *, wait_s: float = 0.0
    ) -> tuple[SavedSession, Held | None]:
        with reading(path) as fd, ExitStack() as undo:
            header = read_header(fd, path)
            if wanted_id is not None and session_id_of(wanted_id) != header.session_id:
                reason = f"its header names another session, {header.session_id}"
                raise RolloutCorrupt(text_of(path), reason, line_no=1)
            if header.enveloped:
                return self._open_foreign(fd, path, header, fsync, wait_s=wait_s)
            held_fd, identity = self._holdings.hold(path, header.session_id, wait_s=wait_s)
            undo.callback(self._holdings.let_go, held_fd, identity)
            if identity != identity_of(fd):
                raise RolloutCorrupt(text_of(path), "it was replaced while it was being opened")
            loaded = load(fd, path, header, blobs=self._blobs, check=from_thread.check_cancelled)
            file = AppendFile(path, held_fd, tail=loaded.tail, fsync=fsync, files=self._files)
            undo.pop_all()
        return loaded.session, self._holdings.held(file, header.session_id)

    def _open_foreign(
        self, fd: int, path: Path, header: FileHeader, fsync: Fsync, *, wait_s: float
    ) -> tuple[SavedSession, Held | None]:
        ours = newest_continuation(self._home, header.session_id, os.fstat(fd).st_size)
        if ours is not None:
            return self._open_path(ours, fsync, wait_s=wait_s)
        loaded = load(fd, path, header, blobs=self._blobs, check=from_thread.check_cancelled)
        return loaded.session, None

    def _load(self, ref: SessionRef, up_to: int | None) -> SavedSession:
        path = self._references.path_of(ref, SESSIONS, ARCHIVED)
        with reading(path) as fd:
            header = read_header(fd, path)
            check = from_thread.check_cancelled
            return load(fd, path, header, blobs=self._blobs, up_to=up_to, check=check).session

    def _rename(self, session_id: str, title: str) -> None:
        self._append(session_id, lambda _: [record_line(TitleRecord(title))])

    def _repair(self, session_id: str) -> None:
        from codex_rpc.rollout.inspection import answers, open_calls

        self._append(session_id, lambda items: answers(open_calls(items)))

    def _append(
        self, session_id: str, lines_for: Callable[[Sequence[Item]], Sequence[bytes]]
    ) -> None:
        """Add to a file of ours that nobody holds; what an unfinished last line needs as well."""
        path = self._references.path_of(SessionRef(session_id=session_id), SESSIONS, ARCHIVED)
        with reading(path) as fd:
            if read_header(fd, path).enveloped:
                raise InvalidState(
                    "the file is another program's and is never changed; fork it first"
                )
        session, held = self._open_path(path, "turn", session_id)
        assert held is not None
        try:
            try:
                if lines := lines_for(session.items):
                    held.file.write(lines)
                else:
                    held.file.mend()
                held.file.sync()
            finally:
                self._holdings.release(held)
        except OSError as exc:
            raise RolloutWriteFailed(text_of(path), reason_of(exc)) from exc

    def _put_away(self, session_id: str, place: str) -> None:
        other = SESSIONS if place == ARCHIVED else ARCHIVED
        path = self._references.path_of(SessionRef(session_id=session_id), place, other)
        if path.is_relative_to(self._home / place):
            return
        try:
            with self._holdings.for_a_moment(path, session_id):
                move(path, self._home, to_archive=place == ARCHIVED, files=self._files)
        except OSError as exc:
            raise RolloutWriteFailed(text_of(path), reason_of(exc)) from exc

    def _delete(self, session_id: str) -> None:
        from codex_rpc.rollout.catalog_cache import forget

        path = self._references.path_of(SessionRef(session_id=session_id), SESSIONS, ARCHIVED)
        try:
            with self._holdings.for_a_moment(path, session_id):
                throw_away(path, self._home, has_trash=self._has_trash)
                forget(path, self._home)
        except OSError as exc:
            raise RolloutWriteFailed(text_of(path), reason_of(exc)) from exc


async def _unless_cancelled(undo: Callable[[], Awaitable[None]]) -> None:
    """Undo what a thread has done for someone who was cancelled meanwhile."""
    try:
        await checkpoint_if_cancelled()
    except get_cancelled_exc_class():
        with CancelScope(shield=True):
            await undo()
        raise

"""Which session files this process holds, and how a file is taken from another one.

Owns the lock for as long as a session is open, the note beside it, and the socket on which this
process can be asked to let go. The lock alone decides who holds a file. It does not know what
is in one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from anyio import from_thread

from codex_rpc.protocol.errors import RolloutCorrupt, RolloutInUse, RolloutWriteFailed
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SessionId
from codex_rpc.rollout.append_file import AppendFile
from codex_rpc.rollout.blobs import BlobFolder
from codex_rpc.rollout.files import FileLayer, reason_of
from codex_rpc.rollout.live import LiveNote, holder_of
from codex_rpc.rollout.lock import locks_do_not_work
from codex_rpc.rollout.paths import text_of
from codex_rpc.rollout.takeover import ControlSocket, ask_to_let_go
from codex_rpc.rollout.writer import RolloutLog

HELD_HERE = "it is open in this process"
POLL_S = 0.02

Identity = tuple[int, int]
"""Device and inode."""


@frozen
class Held:
    """A file that this process holds now, not yet given to anyone."""

    file: AppendFile
    note: LiveNote
    identity: Identity
    session_id: SessionId


class Holdings:
    """The files of one CODEX_HOME that are held here. Blocks on files, except for `serve`."""

    def __init__(self, codex_home: Path, files: FileLayer) -> None:
        self._home = codex_home
        self._files = files
        self._ours: set[Identity] = set()
        self._control = ControlSocket()

    async def serve(self) -> None:
        """Answer other processes that want a session held here, until cancelled."""
        await self._control.serve()

    def hold(
        self, path: Path, session_id: SessionId, *, wait_s: float = 0.0
    ) -> tuple[int, Identity]:
        """Open a file for appending and lock it; with `wait_s`, ask its holder to let go first.

        Raises:
            RolloutInUse: it is held, here or elsewhere.
            RolloutCorrupt: it was moved or replaced meanwhile.
            RolloutWriteFailed: it cannot be opened or locked.
        """
        try:
            fd = self._files.open_to_append(path)
        except OSError as exc:
            reason = f"{reason_of(exc)}; it can be read and forked, but not continued"
            raise RolloutWriteFailed(text_of(path), reason) from exc
        with ExitStack() as undo:
            undo.callback(os.close, fd)
            identity = identity_of(fd)
            try:
                is_ours = self._files.lock(fd)
                if not is_ours and wait_s and identity not in self._ours:
                    is_ours = self._take_over(fd, session_id, wait_s)
            except OSError as exc:
                raise RolloutWriteFailed(text_of(path), why_not_held(exc)) from exc
            if not is_ours:
                raise self._in_use(session_id, identity, was_asked=wait_s > 0)
            if not _is_at(path, identity):
                raise RolloutCorrupt(text_of(path), "it was moved while it was being opened")
            self._ours.add(identity)
            undo.pop_all()
        return fd, identity

    def let_go(self, fd: int, identity: Identity) -> None:
        """Unlock and close what `hold` gave."""
        self._ours.discard(identity)
        self._files.close(fd)

    @contextmanager
    def for_a_moment(self, path: Path, session_id: str) -> Iterator[None]:
        """Hold a file while something is done to it as a whole; raises as `hold`."""
        fd, identity = self.hold(path, SessionId(session_id))
        try:
            yield
        finally:
            self.let_go(fd, identity)

    def held(self, file: AppendFile, session_id: SessionId) -> Held:
        """A file that is locked, with the note that says by whom."""
        self._ours.add(file.identity)
        note = LiveNote(self._home, session_id, control=lambda: self._control.address)
        return Held(file, note, file.identity, session_id)

    def log(self, held: Held, blobs: BlobFolder) -> RolloutLog:
        """The log of a held file, which from now on others can ask for."""
        return RolloutLog(
            held.file,
            blobs=blobs,
            note=held.note,
            takeover=self._control.register(held.session_id),
            on_closed=lambda: self.forget(held),
        )

    def forget(self, held: Held) -> None:
        """It is about to be closed."""
        self._ours.discard(held.identity)
        self._control.forget(held.session_id)

    def release(self, held: Held) -> None:
        """Unlock and close a file that was given to nobody. Raises OSError."""
        self.forget(held)
        held.note.withdraw()
        held.file.close()

    def _take_over(self, fd: int, session_id: SessionId, wait_s: float) -> bool:
        """Ask the holder to let go; whether it has, within the time."""
        deadline = time.monotonic() + wait_s
        holder = holder_of(self._home, session_id)
        if holder.control is None or not ask_to_let_go(
            holder.control, session_id, wait_s=wait_s, check=from_thread.check_cancelled
        ):
            return False
        while not (is_ours := self._files.lock(fd)) and time.monotonic() < deadline:
            from_thread.check_cancelled()
            time.sleep(POLL_S)
        return is_ours

    def _in_use(
        self, session_id: SessionId, identity: Identity, *, was_asked: bool
    ) -> RolloutInUse:
        if identity in self._ours:
            return RolloutInUse(session_id, HELD_HERE, pid=os.getpid())
        holder = holder_of(self._home, session_id)
        reason = "another process holds its lock"
        if was_asked:
            asked = (
                "was asked and did not let go" if holder.control else "cannot be asked to let go"
            )
            reason = f"{reason}, and {asked}"
        return RolloutInUse(session_id, reason, pid=holder.pid, host=holder.host)


def identity_of(fd: int) -> Identity:
    """Which file an open one is."""
    stat = os.fstat(fd)
    return stat.st_dev, stat.st_ino


def why_not_held(exc: OSError) -> str:
    """Why a file cannot be locked, for people."""
    reason = reason_of(exc)
    if locks_do_not_work(exc):
        return (
            f"file locks do not work here ({reason}); sessions in this folder "
            "can be read and forked, but not continued"
        )
    return reason


def _is_at(path: Path, identity: Identity) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_dev, stat.st_ino) == identity

"""One process asks another one to let go of a session.

Owns the socket on which holders are asked, one for each process, and the question itself. It
decides nothing: whoever holds a session is told that it is wanted, and the lock says when it
is free. Only the same user can ask: on Linux the system tells who is on the other side;
elsewhere the socket is in a folder that nobody else may enter.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import orjson

from codex_rpc.protocol.events import TakenOverBy
from codex_rpc.protocol.ids import SessionId
from codex_rpc.rollout.lines import object_in
from codex_rpc.rollout.paths import session_id_of

MAX_QUESTION_BYTES = 4096
ANSWER_S = 2.0
"""How long either side waits for the other one's line."""
POLL_S = 0.1

_GONE = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
"""Whoever asked did not wait for the answer."""


class Takeover:
    """Whether anybody asks for one session that is held here."""

    def __init__(self) -> None:
        self._asked = anyio.Event()
        self._by: TakenOverBy | None = None

    def ask(self, by: TakenOverBy) -> None:
        """Have `wanted` return; to be called in the event loop's thread."""
        self._by = by
        self._asked.set()

    async def wanted(self) -> TakenOverBy:
        """Wait for the next question."""
        while self._by is None:
            self._asked = anyio.Event()
            await self._asked.wait()
        by, self._by = self._by, None
        return by


class ControlSocket:
    """Where this process can be asked to let go of the sessions that it holds."""

    def __init__(self, *, in_folder: bool = sys.platform != "linux") -> None:
        """`in_folder`: the socket is a file in a folder of its own, not only a name."""
        self._in_folder = in_folder
        self._sessions: dict[SessionId, Takeover] = {}
        self.address: str | None = None
        """A socket's path or, on Linux, its name behind a NUL; None: nobody can ask, or not yet."""

    def register(self, session_id: SessionId) -> Takeover:
        """Answer for a session from now on."""
        takeover = self._sessions[session_id] = Takeover()
        return takeover

    def forget(self, session_id: SessionId) -> None:
        """It is held here no more."""
        self._sessions.pop(session_id, None)

    async def serve(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Listen until cancelled; `on_ready` is called when `address` is known.

        Where no such socket can be made, it only waits: sessions work, and whoever wants one
        hears that its holder cannot be asked.
        """
        folder: Path | None = None
        try:
            if not self._in_folder:
                # A name without a file: a process that is killed leaves nothing behind.
                address = f"\0codex-rpc-{uuid.uuid4().hex}"
                listener = await anyio.create_unix_listener(address)
            else:
                folder = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp, None, "codex-rpc-"))
                address = str(folder / "control")
                listener = await anyio.create_unix_listener(address, mode=0o600)
        except (OSError, AttributeError, NotImplementedError, ValueError):
            on_ready()
            await anyio.sleep_forever()
            return
        self.address = address
        on_ready()
        try:
            async with listener:
                await listener.serve(self._answer)
        finally:
            self.address = None
            if folder is not None:
                with suppress(OSError), anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(_remove, folder)

    async def _answer(self, stream: anyio.abc.SocketStream) -> None:
        with anyio.move_on_after(ANSWER_S), suppress(*_GONE):
            async with stream:
                raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610
                asked = object_in(await _line(stream)) or {}
                wanted = session_id_of(asked.get("take_over"))
                takeover = self._sessions.get(wanted) if wanted else None
                by = _asker(raw, asked)
                if takeover is None or by is None:
                    await stream.send(b'{"accepted":false}\n')
                    return
                if _has_gone(raw):
                    # This process was stopped or busy for so long that nobody waits any more.
                    return
                takeover.ask(by)
                await stream.send(b'{"accepted":true}\n')


def ask_to_let_go(
    address: str,
    session_id: SessionId,
    *,
    wait_s: float = ANSWER_S,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Ask the process behind `address` for a session; whether it is going to let go.

    Blocks for up to `wait_s`; `check` is called again and again meanwhile and may raise to stop.
    A holder that finds the question only later, when nobody waits any more, keeps the session.
    """
    question = {"take_over": session_id, "pid": os.getpid(), "host": socket.gethostname()}
    deadline = time.monotonic() + wait_s
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(wait_s)
            sock.connect(address)
            sock.sendall(orjson.dumps(question, option=orjson.OPT_APPEND_NEWLINE))
            sock.settimeout(POLL_S)
            while time.monotonic() < deadline:
                check()
                try:
                    said = sock.recv(MAX_QUESTION_BYTES)
                except TimeoutError:
                    continue
                return (object_in(said) or {}).get("accepted") is True
    except (OSError, AttributeError):
        return False
    return False


def _remove(folder: Path) -> None:
    (folder / "control").unlink(missing_ok=True)
    folder.rmdir()


async def _line(stream: anyio.abc.SocketStream) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < MAX_QUESTION_BYTES:
        data += await stream.receive(MAX_QUESTION_BYTES)
    return data


def _has_gone(sock: Any) -> bool:
    """Whether the other side has closed the connection; nothing more is to come from it."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK) == b"")
    except (BlockingIOError, InterruptedError):
        return False


def _asker(sock: Any, asked: dict[str, Any]) -> TakenOverBy | None:
    """Who is on the other side; None: another user, or nobody who says who it is."""
    pid, host = asked.get("pid"), asked.get("host")
    if type(pid) is not int or not isinstance(host, str):
        return None
    if sys.platform == "linux":
        size = struct.calcsize("3i")
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid, uid, _ = struct.unpack("3i", credentials)
        if uid not in (os.getuid(), 0):
            return None
    return TakenOverBy(pid=pid, host=host)

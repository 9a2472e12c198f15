"""What tests of session files share: files that fail on command, and sessions to write."""

from __future__ import annotations

import errno
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from codex_rpc.protocol.ids import SessionId, SubmissionId
from codex_rpc.protocol.items import Item, text_message
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.records import ContextRecord, Header, SessionRef, TurnRecord
from codex_rpc.rollout.files import OsFiles
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.reader import Loaded, load, reading

NOW = datetime(2026, 11, 22, 16, 29, 43, 832_000, tzinfo=UTC)
SESSION_ID = SessionId("80d91436-7c5d-4d24-bc76-3118667a490a")

Outcome = OSError | int | Callable[[], None]
"""What a call does: raise, take only so many bytes (write), or do something before it works."""


class FaultyFiles(OsFiles):
    """The real files, except for calls that were told to do something else first."""

    def __init__(self) -> None:
        self._scripts: dict[str, deque[Outcome]] = defaultdict(deque)
        self.calls: list[str] = []
        self.written: list[bytes] = []

    def next(self, name: str, *outcomes: Outcome) -> None:
        """The next calls of `name` do this, one after the other; the ones after work."""
        self._scripts[name].extend(outcomes)

    def heal(self) -> None:
        """From now on everything works."""
        self._scripts.clear()

    def _play(self, name: str) -> int | None:
        self.calls.append(name)
        script = self._scripts[name]
        outcome = script.popleft() if script else None
        if isinstance(outcome, OSError):
            raise outcome
        if callable(outcome):
            outcome()
            return None
        return outcome

    def make_folders(self, folder: Path) -> list[Path]:
        self._play("make_folders")
        return super().make_folders(folder)

    def create(self, path: Path) -> int:
        self._play("create")
        return super().create(path)

    def open_to_append(self, path: Path) -> int:
        self._play("open_to_append")
        return super().open_to_append(path)

    def lock(self, fd: int) -> bool:
        self._play("lock")
        return super().lock(fd)

    def write(self, fd: int, data: memoryview) -> int:
        limit = self._play("write")
        count = super().write(fd, data[:limit])
        self.written.append(bytes(data[:count]))
        return count

    def sync(self, fd: int) -> None:
        self._play("sync")
        super().sync(fd)

    def sync_folder(self, folder: Path) -> None:
        self._play("sync_folder")
        super().sync_folder(folder)

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        self._play("overwrite")
        super().overwrite(path, offset, data)

    def close(self, fd: int) -> None:
        super().close(fd)
        self._play("close")


class Gate:
    """Holds a thread where a test wants it."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._opened = threading.Event()

    def pass_through(self) -> None:
        self._entered.set()
        assert self._opened.wait(5)

    def wait_entered(self) -> None:
        assert self._entered.wait(5)

    def open(self) -> None:
        self._opened.set()


@contextmanager
def opened(gate: Gate) -> Iterator[None]:
    """Open `gate` at the end, whatever happens, so that no thread stays behind."""
    try:
        yield
    finally:
        gate.open()


def full_disk() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def header(cwd: Path, session_id: str = SESSION_ID, **more: Any) -> Header:
    more.setdefault("timestamp", NOW)
    more.setdefault("instructions", None)
    return Header(id=SessionId(session_id), cwd=cwd, **more)


def context(cwd: str = "/w", **more: Any) -> ContextRecord:
    more.setdefault("sandbox_policy", SandboxPolicy("workspace-write", ("/w/more",), True))
    return ContextRecord(
        timestamp=NOW,
        cwd=cwd,
        model="gpt-5",
        model_provider="openai",
        approval_policy="on-request",
        **more,
    )


def turn(status: Any, submission_id: str = "1", **more: Any) -> TurnRecord:
    return TurnRecord(
        timestamp=NOW, submission_id=SubmissionId(submission_id), status=status, **more
    )


def by_path(path: Path) -> SessionRef:
    return SessionRef(path=str(path))


def texts(items: list[Item]) -> list[str]:
    """The first text of each message."""
    return [item.value()["content"][0]["text"] for item in items]


def user(text: str) -> Item:
    return text_message(text)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Every line, which all have their end and are objects."""
    data = path.read_bytes()
    assert data.endswith(b"\n")
    return [orjson.loads(line) for line in data[:-1].split(b"\n")]


def write_session(path: Path, *lines: dict[str, Any] | bytes, **head: Any) -> Path:
    """A file with our header, or one with the members of `head`, and `lines` as they are."""
    first = {"id": SESSION_ID, "timestamp": "2026-11-22T16:29:43.832Z", "instructions": None}
    first.update(head or {"format": 1, "cwd": "/w"})
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [orjson.dumps(first) + b"\n"]
    for line in lines:
        parts.append(line if isinstance(line, bytes) else orjson.dumps(line) + b"\n")
    path.write_bytes(b"".join(parts))
    return path


def load_path(path: Path) -> Loaded:
    """What resume begins with, read from `path`."""
    with reading(path) as fd:
        return load(fd, path, read_header(fd, path))

"""Where session files are: folders, names, and finding one by its id.

Knows nothing of what is in them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SessionId

SESSIONS = "sessions"
ARCHIVED = "archived_sessions"
LIVE = ".live"
SUFFIX = ".jsonl"

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_SESSION_ID = re.compile(_UUID)
_NAME = re.compile(rf".*-({_UUID})\.jsonl")


def session_id_of(value: object) -> SessionId | None:
    """`value` as a session id in its canonical form; None if it is no UUID."""
    if isinstance(value, str) and _SESSION_ID.fullmatch(value):
        return SessionId(value.lower())
    return None


def id_in_name(path: Path) -> SessionId | None:
    """The id that a session file's name ends in."""
    match = _NAME.fullmatch(path.name)
    return SessionId(match[1].lower()) if match else None


def session_path(codex_home: Path, session_id: SessionId, timestamp: datetime) -> Path:
    """Where a session that began at `timestamp` is written."""
    moment = timestamp.astimezone(UTC)
    folder = codex_home / SESSIONS / moment.strftime("%Y/%m/%d")
    return folder / f"rollout-{moment:%Y-%m-%dT%H-%M-%S}-{session_id}{SUFFIX}"


def live_path(codex_home: Path, session_id: SessionId) -> Path:
    """Where the holder of a session says who it is."""
    return codex_home / SESSIONS / LIVE / f"{session_id}.json"


def text_of(path: Path) -> str:
    """`path` as text that JSON can hold; undecodable bytes become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


@frozen
class Walk:
    """What a folder of sessions holds."""

    files: list[Path] = field(factory=list)
    """Everything named `*.jsonl`, at any depth, in no particular order."""
    unreadable_folders: list[Path] = field(factory=list)


def walk(root: Path) -> Walk:
    """The session files below `root`, which may be missing; linked folders are not entered."""
    unreadable: list[str] = []
    files = [Path(entry.path) for entry in entries(root, unreadable)]
    return Walk(files, [Path(folder) for folder in unreadable])


def count(root: Path) -> int:
    """How many session files there are below `root`."""
    return sum(1 for _ in entries(root, []))


def entries(root: Path, unreadable: list[str]) -> Iterator[os.DirEntry[str]]:
    """As `walk`, for many: the entries of the files. Adds to `unreadable` which folders are."""
    pending = [os.fspath(root)]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.name.endswith(SUFFIX):
                        yield entry
        except FileNotFoundError:
            continue
        except OSError:
            unreadable.append(folder)


def find(root: Path, session_id: SessionId) -> Path | None:
    """The file below `root` whose name ends in `session_id`; of several, the last by name."""
    return max((path for path in walk(root).files if id_in_name(path) == session_id), default=None)

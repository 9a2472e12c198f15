"""Putting session files away: to the archive and back, and to the trash.

Knows where files go; who may move them is decided by whoever holds the lock. A file is moved as
it is, never rewritten.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from codex_rpc.rollout.blobs import blob_path, hashes_in
from codex_rpc.rollout.files import FileLayer, open_regular
from codex_rpc.rollout.lines import object_in
from codex_rpc.rollout.paths import ARCHIVED, SESSIONS, walk

_DATE = re.compile(r"rollout-(\d{4})-(\d{2})-(\d{2})T")
_BLOBS = b'"blobs"'
SETTLED_S = 60.0
"""Between finding a string and writing down that it is there, far less than this goes by."""


def move(path: Path, codex_home: Path, *, to_archive: bool, files: FileLayer) -> None:
    """Move a session file to the archive, or from it to the folder of its date.

    Raises:
        OSError: it cannot be moved, or there is one of its name.
    """
    folder = codex_home / ARCHIVED if to_archive else _folder_by_date(path, codex_home)
    made = files.make_folders(folder)
    target = folder / path.name
    if target.exists():
        raise FileExistsError(errno.EEXIST, f"there is a file {target} already")
    path.rename(target)
    for changed in {path.parent, folder, *(new.parent for new in made)}:
        files.sync_folder(changed)


def throw_away(path: Path, codex_home: Path, *, has_trash: bool) -> None:
    """Move a session file, and the stored strings that only it refers to, to the trash; without
    one, remove them.

    Raises:
        OSError: it is still there.
    """
    only_here = _referred_only_in(path, codex_home)
    discard = _to_trash if has_trash else _remove
    # The session first: without its strings it would be damaged, without it they are only left.
    discard(path)
    for sha256 in sorted(only_here):
        blob = blob_path(codex_home, sha256)
        # The session is gone, and that is what was asked for.
        with suppress(OSError):
            if is_settled(blob):
                discard(blob)


def _folder_by_date(path: Path, codex_home: Path) -> Path:
    named = _DATE.match(path.name)
    if named:
        return codex_home.joinpath(SESSIONS, *named.groups())
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return codex_home / SESSIONS / changed.strftime("%Y/%m/%d")


def _referred_only_in(path: Path, codex_home: Path) -> set[str]:
    """The strings that go with a session; none if that cannot be known for sure."""
    try:
        hashes = set(_hashes(path))
        for folder in (SESSIONS, ARCHIVED) if hashes else ():
            found = walk(codex_home / folder)
            if found.unreadable_folders:
                return set()
            for other in found.files:
                if hashes and other != path:
                    hashes.difference_update(_hashes(other))
    except OSError:
        return set()
    return hashes


def _hashes(path: Path) -> Iterator[str]:
    """What a session file refers to. Raises OSError."""
    with open_regular(path) as file:
        for line in file:
            if _BLOBS in line[:64]:
                record = object_in(line) or {}
                if record.get("record_type") == "blobs":
                    yield from hashes_in(record.get("refs"))


def is_settled(blob: Path) -> bool:
    """Whether nobody may be about to refer to a stored string that they have just found there."""
    try:
        return time.time() - blob.stat().st_mtime > SETTLED_S
    except OSError:
        return False


def _remove(path: Path) -> None:
    path.unlink()


def _to_trash(path: Path) -> None:
    from send2trash import send2trash

    send2trash(path)

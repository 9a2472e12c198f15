"""What was read of session files, kept beside them so that it need not be read again.

The file `.catalog` in a folder of sessions has a row for each of its files, found by the file's
name, identity, size and times. It holds nothing that the files do not: whoever deletes, cuts or
garbles it, or writes it in another version, changes only how long a list takes. It is replaced
as a whole, and the last writer wins.
"""

from __future__ import annotations

import os
import tempfile
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from attrs import asdict

from codex_rpc import __version__
from codex_rpc.protocol.records import Origin
from codex_rpc.rollout.files import open_regular
from codex_rpc.rollout.paths import ARCHIVED, SESSIONS
from codex_rpc.rollout.places import Place
from codex_rpc.rollout.summaries import Row

NAME = ".catalog"
FORMAT = 2
"""Another one for every change of what a row is or how it comes out."""
MAX_BYTES = 256 << 20
SETTLED_NS = 100_000_000
"""A file that was changed less than this before it was looked at can be changed once more
without its times showing it."""
ABANDONED_S = 60.0
"""Nobody takes so long to write a cache."""

_END = b"\n"
_BETWEEN_NAMES = "\0"
"""No name has it in it."""
_BETWEEN = b"\t"


class CatalogCache:
    """The rows of the files below one folder. Blocks on files; never fails."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._name_at = len(os.fspath(root)) + 1
        self._lines = _read(root / NAME)
        """By file name: its state and its row."""
        self._is_changed = False

    def get(self, place: Place) -> Row | None:
        """The row of a file as it is now; None: it is to be read."""
        line = self._lines.get(self._name(place))
        begin = place.state + _BETWEEN
        return _row_in(line[len(begin) :]) if line and line.startswith(begin) else None

    def knows(self, place: Place) -> bool:
        """Whether it has the row of a file as it is now."""
        line = self._lines.get(self._name(place))
        return line is not None and line.startswith(place.state + _BETWEEN)

    def put(self, place: Place, row: Row) -> None:
        """Keep the row of a file that had been looked at before it was read."""
        name = self._name(place)
        if row.reason is not None or "\n" in name:
            return
        if place.touched_ns + SETTLED_NS < time.time_ns():
            self._lines[name] = place.state + _BETWEEN + _json_of(row)
            self._is_changed = True

    def save(self, places: Iterable[Place]) -> None:
        """Write what is known, if that has changed, of `places`: all files below the folder.

        Where it cannot be written, it is not.
        """
        names = [self._name(place) for place in places]
        # What is said of a file goes with the file.
        if sum(map(self._lines.__contains__, names)) < len(self._lines):
            self._lines = {name: self._lines[name] for name in names if name in self._lines}
            self._is_changed = True
        if self._is_changed:
            with suppress(OSError):
                _write(self._root / NAME, self._lines)
        self._is_changed = False

    def _name(self, place: Place) -> str:
        return place.name[self._name_at :]


def forget(path: Path, codex_home: Path) -> None:
    """Drop the row of a file that is gone, as far as that is possible."""
    for root in (codex_home / SESSIONS, codex_home / ARCHIVED):
        if path.is_relative_to(root):
            lines = _read(root / NAME)
            if lines.pop(os.fspath(path.relative_to(root)), None) is not None:
                with suppress(OSError):
                    _write(root / NAME, lines)


def _json_of(row: Row) -> bytes:
    return orjson.dumps(list(row), default=asdict)


def _row_in(data: bytes) -> Row:
    row = Row._make(orjson.loads(data))
    if row.forked_from is None:
        return row
    origin: Any = row.forked_from
    return row._replace(forked_from=Origin(**origin))


def _read(path: Path) -> dict[str, bytes]:
    """The lines of a cache file; none if it is not exactly what this version has written."""
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                return {}
            content = file.read()
    except OSError:
        return {}
    # There may be megabytes of it, so what it says is not copied to be looked at.
    said = memoryview(content)[content.find(_END) + 1 :]
    if not said or not content.startswith(_head(said)):
        return {}
    _, names, *lines = content.split(_END)
    return dict(zip(os.fsdecode(names).split(_BETWEEN_NAMES), lines, strict=False))


def _head(said: bytes | memoryview) -> bytes:
    return b"codex-rpc %b catalog %d %08x\n" % (__version__.encode(), FORMAT, zlib.crc32(said))


def _write(path: Path, lines: dict[str, bytes]) -> None:
    """Replace a cache file. Raises OSError."""
    names = os.fsencode(_BETWEEN_NAMES.join(lines))
    said = _END.join((names, *lines.values())) if lines else b""
    _remove_abandoned(path)
    fd, unfinished = tempfile.mkstemp(prefix=f"{NAME}.", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(_head(said))
            file.write(said)
        Path(unfinished).replace(path)
    except OSError:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _remove_abandoned(path: Path) -> None:
    """Remove what processes left that were killed while they wrote."""
    for left in path.parent.glob(f"{NAME}.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                left.unlink()

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
FORMAT = 1
"""Another one for every change of what a row is or how it comes out."""
MAX_BYTES = 256 << 20
SETTLED_NS = 100_000_000
"""A file that was changed less than this before it was looked at can be changed once more
without its times showing it."""
ABANDONED_S = 60.0
"""Nobody takes so long to write a cache."""

MAX_HEAD_BYTES = 200
_END = b"\n"
_SEPARATOR = b"\t"


class CatalogCache:
    """The rows of the files below one folder. Blocks on files; never fails."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._name_at = len(os.fspath(root)) + 1
        self._lines = _read(root / NAME)
        """By file name: its name, its state and its row."""
        self._is_changed = False

    def get(self, place: Place) -> Row | None:
        """The row of a file as it is now; None: it is to be read."""
        name = self._name(place)
        line = self._lines.get(name)
        begin = _beginning(name, place)
        return _row_in(line[len(begin) :]) if line and line.startswith(begin) else None

    def put(self, place: Place, row: Row) -> None:
        """Keep the row of a file that had been looked at before it was read."""
        name = self._name(place)
        if row.reason is not None or _END in name or _SEPARATOR in name:
            return
        if place.touched_ns + SETTLED_NS < time.time_ns():
            self._lines[name] = _beginning(name, place) + _json_of(row)
            self._is_changed = True

    def save(self, places: Iterable[Place]) -> None:
        """Write what is known, if that has changed, of `places`: all files below the folder.

        Where it cannot be written, it is not.
        """
        gone = self._lines.keys() - {self._name(place) for place in places}
        # What is said of a file goes with the file.
        for name in gone:
            del self._lines[name]
        if gone or self._is_changed:
            with suppress(OSError):
                _write(self._root / NAME, _END.join(self._lines.values()))
        self._is_changed = False

    def _name(self, place: Place) -> bytes:
        return os.fsencode(place.name[self._name_at :])


def forget(path: Path, codex_home: Path) -> None:
    """Drop the row of a file that is gone, as far as that is possible."""
    for root in (codex_home / SESSIONS, codex_home / ARCHIVED):
        if path.is_relative_to(root):
            lines = _read(root / NAME)
            if lines.pop(os.fsencode(path.relative_to(root)), None) is not None:
                with suppress(OSError):
                    _write(root / NAME, _END.join(lines.values()))


def _beginning(name: bytes, place: Place) -> bytes:
    return name + _SEPARATOR + place.state + _SEPARATOR


def _json_of(row: Row) -> bytes:
    return orjson.dumps({name: value for name, value in asdict(row).items() if value is not None})


def _row_in(data: bytes) -> Row:
    values: dict[str, Any] = orjson.loads(data)
    if "forked_from" in values:
        values["forked_from"] = Origin(**values["forked_from"])
    return Row(**values)


def _read(path: Path) -> dict[bytes, bytes]:
    """The lines of a cache file; none if it is not exactly what this version has written."""
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                return {}
            head, data = file.readline(MAX_HEAD_BYTES), file.read()
    except OSError:
        return {}
    if head != _head(data) or not data:
        return {}
    lines = data.split(_END)
    del data
    return {line[: line.index(_SEPARATOR)]: line for line in lines}


def _head(data: bytes) -> bytes:
    return b"codex-rpc %b catalog %d %08x\n" % (__version__.encode(), FORMAT, zlib.crc32(data))


def _write(path: Path, data: bytes) -> None:
    """Replace a cache file. Raises OSError."""
    _remove_abandoned(path)
    fd, unfinished = tempfile.mkstemp(prefix=f"{NAME}.", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(_head(data))
            file.write(data)
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

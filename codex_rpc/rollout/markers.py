"""Compaction markers: found from a file's end, without reading what is before them.

A marker is a `compacted` record. Its summary stands for every item before it, so whoever
resumes a session reads from there on. Each begins with the same bytes at the start of a line,
which no text in an item can imitate, since JSON has no line end inside a text. A record that
begins otherwise is no marker: the conversation before it is then read as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from codex_rpc.protocol.frozen import frozen
from codex_rpc.rollout.lines import CHUNK_BYTES, line_at, never_cancelled, object_in, read_at

START = b'{"record_type":"compacted"'
"""How the line of a marker begins."""
_CONTEXT = b'{"record_type":"context"'

NOT_WHOLE = "it is a compacted record without a summary, or without what it replaces"


@frozen
class Marker:
    """A valid marker."""

    offset: int
    """Where its line begins."""
    line_no: int
    replaces: int
    is_whole: bool
    """What is needed to go on follows it: the step that it belongs to was written whole."""


def compaction_in(value: dict[str, Any], line_no: int) -> tuple[str, int] | None:
    """The summary in a `compacted` record, and how many items it stands for.

    None if it does not say both. So many items need so many lines, and the header one more.
    """
    summary, replaces = value.get("summary"), value.get("replaces")
    if not isinstance(summary, str) or type(replaces) is not int:
        return None
    return (summary, replaces) if 0 < replaces < line_no - 1 else None


def markers(fd: int, size: int, check: Callable[[], None] = never_cancelled) -> Iterator[Marker]:
    """The valid markers among the first `size` bytes of an open file, the last one first."""
    needle = b"\n" + START
    position = size
    # What was read last begins with what may be the end of a needle.
    behind = b""
    while position > 0:
        check()
        step = min(CHUNK_BYTES, position)
        position -= step
        window = read_at(fd, position, step) + behind
        at = window.rfind(needle)
        while at >= 0:
            marker = _marker_at(fd, position + at + 1, check)
            if marker is not None:
                yield marker
            at = window.rfind(needle, 0, at)
        behind = window[: len(needle) - 1]


def _marker_at(fd: int, offset: int, check: Callable[[], None]) -> Marker | None:
    line = line_at(fd, offset)
    value = object_in(line)
    if value is None or value.get("record_type") != "compacted":
        return None
    line_no = value.get("line")
    # It may have been written by hand; every line before it has at least its end.
    if type(line_no) is not int or not 1 < line_no <= offset + 1:
        line_no = _line_ends(fd, offset, check) + 1
    compaction = compaction_in(value, line_no)
    if compaction is None:
        return None
    following = line_at(fd, offset + len(line) + 1)
    is_whole = following.startswith(_CONTEXT) and object_in(following) is not None
    return Marker(offset, line_no, compaction[1], is_whole)


def _line_ends(fd: int, end: int, check: Callable[[], None]) -> int:
    """How many line ends are before `end`."""
    count = position = 0
    while position < end:
        check()
        chunk = read_at(fd, position, min(CHUNK_BYTES, end - position))
        if not chunk:
            break
        count += chunk.count(b"\n")
        position += len(chunk)
    return count

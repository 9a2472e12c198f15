"""Two versions of a file compared: a unified diff, parts of it done, and found again.

Owns how lines are paired and how differences are written down. Pairs lines by those that occur
once on both sides, so that large files are compared in a time that grows with their size; where
there are none, what is large is shown as replaced as a whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher

CONTEXT_LINES = 3

_MAX_COMPARED = 40_000
"""Up to which product of their lengths two pieces without common unique lines are compared."""

Change = tuple[int, int, int, int]
"""Lines [a, b) of the old version are lines [c, d) of the new one: (a, b, c, d)."""


def unified_diff(old: bytes, new: bytes) -> str:
    """The hunks that make `new` out of `old`, without file headers; "" if they are equal.

    Bytes that are not UTF-8 are shown as U+FFFD, though compared as they are.
    """
    a, b = _lines(old), _lines(new)
    parts: list[str] = []
    for group in _groups(_changes(a, b)):
        first, last = group[0], group[-1]
        start_a, start_b = first[0] - CONTEXT_LINES, first[2] - CONTEXT_LINES
        before = CONTEXT_LINES + min(0, start_a, start_b)
        behind = min(CONTEXT_LINES, len(a) - last[1])
        from_a, to_a = first[0] - before, last[1] + behind
        from_b, to_b = first[2] - before, last[3] + behind
        parts.append(f"@@ -{_range(from_a, to_a)} +{_range(from_b, to_b)} @@\n")
        at = from_a
        for a0, a1, b0, b1 in group:
            parts += _marked(" ", a[at:a0])
            parts += _marked("-", a[a0:a1])
            parts += _marked("+", b[b0:b1])
            at = a1
        parts += _marked(" ", a[at:to_a])
    return "".join(parts)


def count_hunks(old: bytes, new: bytes) -> int:
    """How many hunks `unified_diff` has."""
    return sum(1 for _ in _groups(_changes(_lines(old), _lines(new))))


def count_changed_lines(old: bytes, new: bytes) -> int:
    """How many lines go and come."""
    changes = _changes(_lines(old), _lines(new))
    return sum(a1 - a0 + b1 - b0 for a0, a1, b0, b1 in changes)


def is_same_change(old: bytes, new: bytes, newer_old: bytes, newer_new: bytes) -> bool:
    """Whether what makes `new` out of `old` makes `newer_new` out of `newer_old`: the same lines
    go and come at the same places, though others have changed what is around them."""
    a, b, c, d = (_lines(text) for text in (old, new, newer_old, newer_new))
    firsts, seconds = _changes(a, b), _changes(c, d)
    if len(firsts) != len(seconds):
        return False
    place = _places(a, c)
    for (a0, a1, b0, b1), (c0, c1, d0, d1) in zip(firsts, seconds, strict=True):
        if a[a0:a1] != c[c0:c1] or b[b0:b1] != d[d0:d1]:
            return False
        stayed = all(place.get(a0 + n) == c0 + n for n in range(a1 - a0))
        # Where nothing goes, one of the neighbours tells the place.
        if not stayed or (a0 == a1 and place.get(a0 - 1) != c0 - 1 and place.get(a0) != c0):
            return False
    return True


def with_hunks(old: bytes, new: bytes, wanted: Collection[int]) -> bytes:
    """`old` with only those hunks of `unified_diff` done, counted from 0, that are `wanted`."""
    a, b = _lines(old), _lines(new)
    parts: list[bytes] = []
    at = 0
    for index, group in enumerate(_groups(_changes(a, b))):
        for a0, a1, b0, b1 in group if index in wanted else ():
            parts += a[at:a0]
            parts += b[b0:b1]
            at = a1
    return b"".join([*parts, *a[at:]])


def _lines(content: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in content.split(b"\n")]
    last = lines.pop()[:-1]
    if last:
        lines.append(last)
    return lines


def _places(a: Sequence[bytes], b: Sequence[bytes]) -> dict[int, int]:
    """Where the lines of `a` that stay are in `b`; what is before the first and behind the last
    stays too."""
    places = {-1: -1, len(a): len(b)}
    at_a = at_b = 0
    for a0, a1, b0, b1 in [*_changes(a, b), (len(a), len(a), len(b), len(b))]:
        places.update(zip(range(at_a, a0), range(at_b, b0), strict=True))
        at_a, at_b = a1, b1
    return places


def _marked(mark: str, lines: Sequence[bytes]) -> Iterator[str]:
    for line in lines:
        yield mark + line.decode("utf-8", "replace")
        if not line.endswith(b"\n"):
            yield "\n\\ No newline at end of file\n"


def _range(start: int, end: int) -> str:
    """Lines [start, end) as a hunk's header says it: 1-based, a length of 1 left out."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _groups(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Changes whose context lines meet, together."""
    group: list[Change] = []
    for change in changes:
        if group and change[0] - group[-1][1] > 2 * CONTEXT_LINES:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _changes(a: Sequence[bytes], b: Sequence[bytes]) -> list[Change]:
    """What differs, in order, neither overlapping nor touching."""
    changes: list[Change] = []
    waiting = [(0, len(a), 0, len(b))]
    while waiting:
        piece = _trimmed(a, b, waiting.pop())
        a0, a1, b0, b1 = piece
        if a0 == a1 or b0 == b1:
            if a0 != a1 or b0 != b1:
                changes.append(piece)
            continue
        between = _split(a, b, piece)
        if between is None:
            changes += _compared(a, b, piece)
        else:
            waiting += reversed(between)
    return _merged(changes)


def _merged(changes: Sequence[Change]) -> list[Change]:
    merged: list[Change] = []
    for change in changes:
        if merged and merged[-1][1] == change[0] and merged[-1][3] == change[2]:
            change = (merged[-1][0], change[1], merged.pop()[2], change[3])
        merged.append(change)
    return merged


def _trimmed(a: Sequence[bytes], b: Sequence[bytes], piece: Change) -> Change:
    """`piece` without the equal lines at its beginning and end."""
    a0, a1, b0, b1 = piece
    while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
        a0, b0 = a0 + 1, b0 + 1
    while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
        a1, b1 = a1 - 1, b1 - 1
    return a0, a1, b0, b1


def _split(a: Sequence[bytes], b: Sequence[bytes], piece: Change) -> list[Change] | None:
    """The pieces between lines that occur once in both versions; None: there are no such."""
    a0, a1, b0, b1 = piece
    counts_a, counts_b = Counter(a[a0:a1]), Counter(b[b0:b1])
    at_b = {line: at for at, line in enumerate(b[b0:b1], b0) if counts_b[line] == 1}
    pairs = [
        (at, at_b[line])
        for at, line in enumerate(a[a0:a1], a0)
        if counts_a[line] == 1 and line in at_b
    ]
    pieces = []
    for at_a, at_in_b in _rising(pairs):
        pieces.append((a0, at_a, b0, at_in_b))
        a0, b0 = at_a + 1, at_in_b + 1
    if not pieces:
        return None
    pieces.append((a0, a1, b0, b1))
    return pieces


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The most of `pairs` that can be kept so that their second numbers rise too."""
    ends: list[int] = []
    chosen: list[int] = []
    previous: list[int | None] = []
    for index, (_, value) in enumerate(pairs):
        length = bisect_left(ends, value)
        previous.append(chosen[length - 1] if length else None)
        if length == len(ends):
            ends.append(value)
            chosen.append(index)
        else:
            ends[length], chosen[length] = value, index
    kept = []
    at = chosen[-1] if chosen else None
    while at is not None:
        kept.append(pairs[at])
        at = previous[at]
    return kept[::-1]


def _compared(a: Sequence[bytes], b: Sequence[bytes], piece: Change) -> Iterator[Change]:
    """The changes in a piece without unique common lines."""
    a0, a1, b0, b1 = piece
    if (a1 - a0) * (b1 - b0) > _MAX_COMPARED:
        yield piece
        return
    matcher = SequenceMatcher(None, a[a0:a1], b[b0:b1], autojunk=False)
    for tag, i0, i1, j0, j1 in matcher.get_opcodes():
        if tag != "equal":
            yield a0 + i0, a0 + i1, b0 + j0, b0 + j1

"""The smallest edits that turn one text into another, as an editor takes them.

Pure. Lines are compared first (Myers' algorithm), so what did not change is not touched;
inside a changed run of lines the common beginning and end are left out as well.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

from codex_rpc.protocol.frozen import frozen
from codex_rpc.rpc.lsp.text import PositionEncoding, split_lines, units, without_end

MAX_DISTANCE = 300
"""How many lines may be added and removed before the quicker, less exact way is taken."""


@frozen
class TextEdit:
    """What is to stand in place of a range; lines from 0, columns in code units."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str


Run = tuple[int, int, int, int]
"""Lines `[0]` to `[1]` of the old text became lines `[2]` to `[3]` of the new one."""


def text_edits(old: str, new: str, encoding: PositionEncoding) -> list[TextEdit]:
    """The edits from `old` to `new`, in order, none overlapping; empty if they are equal.

    All positions are in `old`, and never between the two characters of a line end.
    """
    old_lines, new_lines = split_lines(old), split_lines(new)
    edits = []
    for first, last, new_first, new_last in changed_runs(old_lines, new_lines):
        replacement = "".join(new_lines[new_first:new_last])
        edits.append(_trimmed(old_lines, first, last, replacement, encoding))
    return edits


def changed_lines(old: str, new: str) -> int:
    """How many lines were added and removed between the two."""
    runs = changed_runs(split_lines(old), split_lines(new))
    return sum(last - first + new_last - new_first for first, last, new_first, new_last in runs)


def changed_runs(
    old: Sequence[str], new: Sequence[str], *, max_distance: int = MAX_DISTANCE
) -> list[Run]:
    """Where the lines differ, in order; between two runs there is at least one equal line."""
    # Most of a large text is usually the same, and need not be looked at closely.
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    ids: dict[str, int] = {}
    a = [ids.setdefault(line, len(ids)) for line in old[head : len(old) - tail]]
    b = [ids.setdefault(line, len(ids)) for line in new[head : len(new) - tail]]
    runs = []
    done, new_done = head, head
    blocks = ((head + i, head + j, size) for i, j, size in _equal_blocks(a, b, max_distance))
    for block in [*blocks, (len(old) - tail, len(new) - tail, 0)]:
        i, j, size = block
        if i > done or j > new_done:
            runs.append((done, i, new_done, j))
        done, new_done = i + size, j + size
    return runs


Block = tuple[int, int, int]
"""So many lines, from there in the one and there in the other text, are equal."""


def _equal_blocks(a: list[int], b: list[int], max_distance: int) -> Iterator[Block]:
    """The lines that are kept, in order; adjacent blocks are possible."""
    head = _common(a, b)
    if head:
        yield 0, 0, head
    tail = _common(a[head:][::-1], b[head:][::-1])
    end, new_end = len(a) - tail, len(b) - tail
    if head < end and head < new_end:
        for i, j, size in _inner_blocks(a[head:end], b[head:new_end], max_distance):
            yield head + i, head + j, size
    if tail:
        yield end, new_end, tail


def _inner_blocks(a: list[int], b: list[int], max_distance: int) -> Iterator[Block]:
    shortest = _shortest(a, b, max_distance)
    if shortest is not None:
        yield from shortest
        return
    # Too many differences: what there is once in both texts shows where they belong together,
    # and between two such lines there are fewer.
    done, new_done = 0, 0
    for i, j in _anchors(a, b):
        for x, y, size in _equal_blocks(a[done:i], b[new_done:j], max_distance):
            yield done + x, new_done + y, size
        yield i, j, 1
        done, new_done = i + 1, j + 1
    if done:
        for x, y, size in _equal_blocks(a[done:], b[new_done:], max_distance):
            yield done + x, new_done + y, size


def _anchors(a: list[int], b: list[int]) -> list[tuple[int, int]]:
    """The longest row of lines in the same order that each text has exactly once."""
    once, new_once = Counter(a), Counter(b)
    place = {line: j for j, line in enumerate(b) if new_once[line] == 1}
    # Of the rows of each length so far, the one that ends earliest in `b`.
    ends: list[int] = []
    tops: list[tuple[int, int]] = []
    before: dict[int, tuple[int, int] | None] = {}
    for i, line in enumerate(a):
        if once[line] != 1 or line not in place:
            continue
        j = place[line]
        length = bisect_left(ends, j)
        before[i] = tops[length - 1] if length else None
        ends[length : length + 1] = [j]
        tops[length : length + 1] = [(i, j)]
    row = []
    last = tops[-1] if tops else None
    while last is not None:
        row.append(last)
        last = before[last[0]]
    return row[::-1]


def _common(a: Sequence[object], b: Sequence[object]) -> int:
    """How many items at the beginning are equal."""
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count


def _shortest(a: list[int], b: list[int], max_distance: int) -> list[Block] | None:
    """The equal lines of a shortest edit script; None: it is longer than `max_distance`."""
    furthest = {1: 0}
    """By diagonal (lines removed minus lines added): the most lines of `a` that are done."""
    trace: list[dict[int, int]] = []
    for distance in range(min(len(a) + len(b), max_distance) + 1):
        trace.append(furthest.copy())
        for k in range(-distance, distance + 1, 2):
            x = _step(furthest, k, distance)
            y = x - k
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x += 1
                y += 1
            furthest[k] = x
            if x >= len(a) and y >= len(b):
                return _blocks(trace, len(a), len(b))
    return None


def _step(furthest: dict[int, int], k: int, distance: int) -> int:
    """The most of `a` that is done on diagonal `k` after one more line added or removed."""
    if k == -distance or (k != distance and furthest[k - 1] < furthest[k + 1]):
        return furthest[k + 1]
    return furthest[k - 1] + 1


def _blocks(trace: list[dict[int, int]], x: int, y: int) -> list[Block]:
    blocks: list[Block] = []
    for distance in range(len(trace) - 1, -1, -1):
        furthest = trace[distance]
        k = x - y
        start = _step(furthest, k, distance)
        if x > start:
            blocks.append((start, start - k, x - start))
        if distance:
            added = k == -distance or (k != distance and furthest[k - 1] < furthest[k + 1])
            previous = k + 1 if added else k - 1
            x = furthest[previous]
            y = x - previous
    return blocks[::-1]


def _trimmed(
    old_lines: list[str], first: int, last: int, replacement: str, encoding: PositionEncoding
) -> TextEdit:
    """Lines `first` to `last` replaced, without what is the same at both ends."""
    block = "".join(old_lines[first:last])
    head = _common(block, replacement)
    if _splits_line_end(block, head):
        head -= 1
    tail = _common(block[head:][::-1], replacement[head:][::-1])
    if tail and _splits_line_end(block, len(block) - tail):
        tail -= 1
    text = replacement[head : len(replacement) - tail]
    if first == len(old_lines) - 1 and first > 0 and not block:
        return _appended(old_lines, text, encoding)
    end = len(block) - tail
    return TextEdit(
        _position(old_lines, first, block[:head], encoding),
        _position(old_lines, first, block[:end], encoding),
        text,
    )


def _appended(old_lines: list[str], text: str, encoding: PositionEncoding) -> TextEdit:
    """Lines added behind the last line end: before it where that comes to the same.

    Neovim has no line behind the last line end, and adds an empty one to what is put there.
    """
    line = old_lines[-2]
    kept = without_end(line)
    line_end = line[len(kept) :]
    if not text.endswith(line_end):
        at = (len(old_lines) - 1, 0)
        return TextEdit(at, at, text)
    at = (len(old_lines) - 2, units(kept, encoding))
    return TextEdit(at, at, line_end + text.removesuffix(line_end))


def _splits_line_end(text: str, index: int) -> bool:
    return 0 < index < len(text) and text[index - 1 : index + 1] == "\r\n"


def _position(
    lines: list[str], first: int, before: str, encoding: PositionEncoding
) -> tuple[int, int]:
    """Where `before`, which begins with line `first`, ends."""
    *whole, rest = split_lines(before)
    line_no = first + len(whole)
    if line_no == len(lines):
        # Beyond the last line there is no line to name: its end is what is meant.
        return len(lines) - 1, units(lines[-1], encoding)
    return line_no, units(rest, encoding)

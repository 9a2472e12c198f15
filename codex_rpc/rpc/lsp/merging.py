"""Texts that two have changed: edits on a text they were not made for, and three-way merges.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from codex_rpc.rpc.lsp.edits import TextEdit, changed_runs
from codex_rpc.rpc.lsp.text import PositionEncoding, replaced, split_lines


def applied(text: str, edits: Sequence[TextEdit], encoding: PositionEncoding) -> str:
    """`text` after `edits`, which are in order; what is outside of it is moved to its end."""
    lines = split_lines(text)
    for edit in reversed(edits):
        replaced(lines, edit.start, edit.end, edit.text, encoding)
    return "".join(lines)


def merged(base: str, ours: str, theirs: str) -> str | None:
    """`theirs`, with what turns `base` into `ours` as well.

    None: both have changed the same lines, or lines side by side, and not to the same.
    """
    lines, new, now = split_lines(base), split_lines(ours), split_lines(theirs)
    others = changed_runs(lines, now)
    result: list[str] = []
    done, at = 0, 0
    for first, last, new_first, new_last in changed_runs(lines, new):
        shift = 0
        while at < len(others) and others[at][1] < first:
            at += 1
        if at:
            _, end, _, now_end = others[at - 1]
            shift = now_end - end
        replacement = new[new_first:new_last]
        if at < len(others) and others[at][0] <= last:
            start, end, now_start, now_end = others[at]
            if (start, end) != (first, last) or now[now_start:now_end] != replacement:
                return None
            at += 1
            if at < len(others) and others[at][0] <= last:
                return None
            result += now[done:now_start]
            done = now_end
        else:
            result += now[done : first + shift]
            done = last + shift
        result += replacement
    return "".join(result + now[done:])

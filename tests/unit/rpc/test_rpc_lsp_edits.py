"""Edits: applied by another's arithmetic they give the new text, and they touch no more than
they have to."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.lsp_client import Buffer

from codex_rpc.rpc.lsp.edits import TextEdit, changed_lines, changed_runs, text_edits
from codex_rpc.rpc.lsp.merging import applied as applied_by_us
from codex_rpc.rpc.lsp.merging import merged
from codex_rpc.rpc.lsp.text import PositionEncoding, split_lines

LINES = st.sampled_from(["a\n", "b\n", "\n", "😀é\n", "a\r\n", "x y\r", "}\f\n", "no\u2028end"])
TEXTS = st.lists(LINES, max_size=12).map("".join)
ENCODINGS = st.sampled_from(["utf-8", "utf-16", "utf-32"])


def applied(old: str, found: list[TextEdit], encoding: str) -> str:
    buffer = Buffer.of(old, encoding)
    buffer.apply(
        [
            {
                "range": {
                    "start": {"line": edit.start[0], "character": edit.start[1]},
                    "end": {"line": edit.end[0], "character": edit.end[1]},
                },
                "newText": edit.text,
            }
            for edit in found
        ]
    )
    return buffer.text


@settings(deadline=None, max_examples=200)
@given(TEXTS, TEXTS, ENCODINGS)
def test_applied_they_give_the_new_text(old: str, new: str, encoding: PositionEncoding) -> None:
    found = text_edits(old, new, encoding)
    assert applied(old, found, encoding) == new
    assert found == sorted(found, key=lambda edit: edit.start)
    for before, after in pairwise(found):
        assert before.end <= after.start


@settings(deadline=None, max_examples=150)
@given(TEXTS, TEXTS)
def test_no_more_lines_are_changed_than_have_to_be(old: str, new: str) -> None:
    a, b = split_lines(old), split_lines(new)

    @cache
    def kept(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + kept(i + 1, j + 1)
        return max(kept(i + 1, j), kept(i, j + 1))

    assert changed_lines(old, new) == len(a) + len(b) - 2 * kept(0, 0)


@settings(deadline=None, max_examples=100)
@given(TEXTS, TEXTS)
def test_where_there_are_too_many_differences_the_result_is_right_all_the_same(
    old: str, new: str
) -> None:
    a, b = split_lines(old), split_lines(new)
    done = 0
    result = []
    for first, last, new_first, new_last in changed_runs(a, b, max_distance=1):
        result += a[done:first] + b[new_first:new_last]
        done = last
    assert "".join(result + a[done:]) == new


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("same\n", "same\n", []),
        ("one two three\n", "one 2 three\n", [TextEdit((0, 4), (0, 7), "2")]),
        ("a\nb\n", "a\nx\nb\n", [TextEdit((1, 0), (1, 0), "x\n")]),
        ("a\nb\nc\n", "a\nc\n", [TextEdit((1, 0), (2, 0), "")]),
        ("a\n", "a\nb\n", [TextEdit((0, 1), (0, 1), "\nb")]),
        ("a\r\n", "a\r\nb\r\n", [TextEdit((0, 1), (0, 1), "\r\nb")]),
        ("a\n", "a\nb", [TextEdit((1, 0), (1, 0), "b")]),
        ("a", "a\n", [TextEdit((0, 1), (0, 1), "\n")]),
        ("a\r\nb", "a\nb", [TextEdit((0, 1), (1, 0), "\n")]),
        ("", "new", [TextEdit((0, 0), (0, 0), "new")]),
        ("😀 a\n", "😀 b\n", [TextEdit((0, 3), (0, 4), "b")]),
        (
            "1\n2\n3\n4\n",
            "I\n2\n3\nIV\n",
            [TextEdit((0, 0), (0, 1), "I"), TextEdit((3, 0), (3, 1), "IV")],
        ),
    ],
)
def test_the_smallest_edit_is_found(old: str, new: str, wanted: list[TextEdit]) -> None:
    assert text_edits(old, new, "utf-16") == wanted


def test_a_few_changes_of_a_large_text_are_a_few_edits() -> None:
    lines = [f"    value_{i} = {i}\n" if i % 4 else "}\n" for i in range(60_000)]
    new = list(lines)
    for at in (10, 20_001, 59_998):
        new[at] = "changed\n"
    new.insert(30_001, "inserted\n")
    found = text_edits("".join(lines), "".join(new), "utf-16")
    assert [edit.start[0] for edit in found] == [10, 20_001, 30_001, 59_998]


def test_thousands_of_changes_leave_the_lines_between_alone() -> None:
    lines = [f"value_{i}\n" if i % 4 else "}\n" for i in range(8_000)]
    new = []
    for i, line in enumerate(lines):
        new += [line, "more\n"] if i % 8 == 1 else [line]
    runs = changed_runs(lines, new)
    assert len(runs) == 1_000
    assert all(last == first for first, last, _, _ in runs)


@settings(deadline=None, max_examples=100)
@given(TEXTS, TEXTS, ENCODINGS)
def test_tried_out_they_give_what_the_editor_gets(
    old: str, new: str, encoding: PositionEncoding
) -> None:
    assert applied_by_us(old, text_edits(old, new, encoding), encoding) == new


@settings(deadline=None, max_examples=200)
@given(TEXTS, TEXTS, TEXTS)
def test_a_merge_is_the_same_both_ways_and_can_be_undone(base: str, ours: str, theirs: str) -> None:
    result = merged(base, ours, theirs)
    assert merged(base, base, theirs) == theirs
    assert merged(base, ours, base) == ours
    assert merged(base, ours, ours) == ours
    assert result == merged(base, theirs, ours)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(["kept", "ours", "theirs"]), max_size=15))
def test_changes_of_different_places_are_merged(lines: list[str]) -> None:
    # Between the two there is always a line that neither changes.
    places = [[f"{number} {what}\n", f"{number} between\n"] for number, what in enumerate(lines)]
    base = "".join(line for place in places for line in place)
    ours = base.replace(" ours\n", " OURS\nand more\n")
    theirs = base.replace(" theirs\n", " THEIRS\n")
    both = ours.replace(" theirs\n", " THEIRS\n")
    assert merged(base, ours, theirs) == both
    assert merged(ours, base, both) == theirs


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("a\nB\nc\n", "a\nb!\nc\n"),
        ("a\nB\nc\n", "a\nb\nC\n"),
        ("a\nx\nb\nc\n", "a\ny\nb\nc\n"),
        ("A\nb\nc\n", ""),
    ],
)
def test_what_both_have_changed_is_not_merged(ours: str, theirs: str) -> None:
    assert merged("a\nb\nc\n", ours, theirs) is None

"""Positions and lines: whatever an editor changes, in whatever units, gives its text exactly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.lsp_client import CODECS, Buffer

from codex_rpc.rpc.lsp.text import PositionEncoding, index_of, replaced, split_lines, units

ALPHABET = st.sampled_from(
    ["a", "b", " ", "\n", "\r\n", "\r", "\f", "\u2028", "\x85", "é", "漢", "😀"]
)
TEXTS = st.lists(ALPHABET, max_size=25).map("".join)
ENCODINGS = st.sampled_from(["utf-8", "utf-16", "utf-32"])


@settings(deadline=None, max_examples=150)
@given(ENCODINGS, TEXTS, st.data())
def test_any_sequence_of_changes_gives_the_client_s_text(
    encoding: PositionEncoding, text: str, data: st.DataObject
) -> None:
    buffer = Buffer.of(text, encoding)
    lines = split_lines(text)
    for new in data.draw(st.lists(TEXTS, max_size=8)):
        places = [i for i in range(len(buffer) + 1) if buffer.is_between_characters(i)]
        start, end = sorted(data.draw(st.tuples(*[st.sampled_from(places)] * 2)))
        change = buffer.edit(start, end, new)
        range_ = change["range"]
        assert replaced(
            lines,
            (range_["start"]["line"], range_["start"]["character"]),
            (range_["end"]["line"], range_["end"]["character"]),
            new,
            encoding,
        )
        assert "".join(lines) == buffer.text
        assert lines == split_lines(buffer.text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a\n", ["a\n", ""]),
        ("a\rb\r\nc\n\rd", ["a\r", "b\r\n", "c\n", "\r", "d"]),
        ("a\fb\u2028c\x85d\x0be\n", ["a\fb\u2028c\x85d\x0be\n", ""]),
    ],
)
def test_only_three_line_ends_end_a_line(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines


@settings(deadline=None, max_examples=100)
@given(ENCODINGS, TEXTS)
def test_every_place_in_a_line_is_found_by_its_column(
    encoding: PositionEncoding, text: str
) -> None:
    line = split_lines(text)[0]
    end = line.rstrip("\r\n")
    for index in range(len(end) + 1):
        column = len(line[:index].encode(CODECS[encoding])) // len("a".encode(CODECS[encoding]))
        assert units(line[:index], encoding) == column
        assert index_of(line, column, encoding) == index


@pytest.mark.parametrize(
    ("start", "end", "after"),
    [
        ((0, 99), (0, 99), "ab!\r\ncd"),
        ((0, 3), (0, 4), "ab!\r\ncd"),
        ((1, 99), (7, 0), "ab\r\ncd!"),
        ((9, 9), (9, 9), "ab\r\ncd!"),
        ((2, 0), (2, 0), "ab\r\ncd!"),
        ((1, 2), (0, 0), "!"),
        ((2**31 - 1, 2**31 - 1), (0, 1), "a!"),
    ],
)
def test_what_is_outside_of_the_text_is_moved_to_its_edge(
    start: tuple[int, int], end: tuple[int, int], after: str
) -> None:
    lines = split_lines("ab\r\ncd")
    replaced(lines, start, end, "!", "utf-16")
    assert "".join(lines) == after


@pytest.mark.parametrize(("encoding", "column"), [("utf-16", 2), ("utf-8", 2), ("utf-8", 4)])
def test_a_column_inside_of_a_character_is_its_begin(
    encoding: PositionEncoding, column: int
) -> None:
    assert index_of("a😀b", column, encoding) == 1


def test_it_is_told_whether_a_range_was_inside() -> None:
    for start, inside in [((0, 2), True), ((0, 3), False), ((1, 0), True), ((2, 0), True)]:
        assert replaced(split_lines("ab\ncd"), start, start, "", "utf-16") is inside
    assert not replaced(split_lines("ab\ncd"), (3, 0), (3, 0), "", "utf-16")


def test_a_line_feed_after_a_lone_carriage_return_makes_one_line_end() -> None:
    lines = split_lines("a\rb")
    replaced(lines, (1, 0), (1, 0), "\n", "utf-16")
    assert lines == ["a\r\n", "b"]

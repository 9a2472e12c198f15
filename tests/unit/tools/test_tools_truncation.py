"""Long output keeps its beginning and its end."""

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codex_rpc.tools.truncation import HeadTail, marker, truncate

TEXTS = st.text(alphabet=st.sampled_from("ab\n\u00e9\u20ac\U0001f600"), max_size=120)


def lines_of(text: str) -> int:
    return len(text.split("\n")) - (text.endswith("\n") or not text)


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, max_bytes=st.integers(0, 60), max_lines=st.integers(0, 12))
@example(text="\n" * 30, max_bytes=0, max_lines=1)
@example(text="\U0001f600" * 3, max_bytes=3, max_lines=0)
def test_the_result_is_within_the_limits_and_counts_exactly(
    text: str, max_bytes: int, max_lines: int
) -> None:
    result = truncate(text, max_bytes=max_bytes, max_lines=max_lines)
    size = len(text.encode())
    if (not max_bytes or size <= max_bytes) and (not max_lines or lines_of(text) <= max_lines):
        assert result == text
        return
    # The generated texts hold no bracket. A line end before the marker may be an added one.
    shown, _, rest = result.partition("[")
    note, _, tail = rest.partition("]\n")
    assert text.endswith(tail)
    heads = [
        head
        for head in (shown, shown.removesuffix("\n"))
        if text.startswith(head)
        and (missing := text[len(head) : len(text) - len(tail)])
        and f"[{note}]" == marker(len(missing.encode()), lines_of(missing))
    ]
    assert heads
    head = heads[0]
    assert len(head) + len(tail) < len(text)
    assert shown == head or not head.endswith("\n")
    if max_bytes:
        assert len(head.encode()) + len(tail.encode()) <= max_bytes
        assert len(head.encode()) <= max_bytes // 2
    if max_lines:
        assert lines_of(head) <= max_lines // 2
        assert lines_of(head) + lines_of(tail) <= max_lines


@settings(deadline=None, max_examples=200)
@given(
    pieces=st.lists(TEXTS, max_size=12),
    max_bytes=st.integers(0, 40),
    max_lines=st.integers(0, 9),
)
def test_it_makes_no_difference_how_the_text_arrives(
    pieces: list[str], max_bytes: int, max_lines: int
) -> None:
    kept = HeadTail(max_bytes=max_bytes, max_lines=max_lines)
    for piece in pieces:
        kept.add(piece)
    assert kept.text() == truncate("".join(pieces), max_bytes=max_bytes, max_lines=max_lines)


@pytest.mark.parametrize(
    ("text", "max_bytes", "max_lines", "expected"),
    [
        ("", 10, 2, ""),
        ("1\n2\n3\n4\n", 0, 4, "1\n2\n3\n4\n"),
        ("1\n2\n3\n4\n5\n", 0, 4, "1\n2\n[... 2 bytes in 1 line left out ...]\n4\n5\n"),
        ("1\n2\n3\n4\n5", 0, 4, "1\n2\n[... 2 bytes in 1 line left out ...]\n4\n5"),
        ("a" * 100, 10, 0, "aaaaa\n[... 90 bytes in 1 line left out ...]\naaaaa"),
        ("a\n" * 50, 8, 256, "a\na\n[... 92 bytes in 46 lines left out ...]\na\na\n"),
        ("1\n2\n3\n", 0, 1, "[... 4 bytes in 2 lines left out ...]\n3\n"),
    ],
)
def test_the_marker_stands_between_head_and_tail(
    text: str, max_bytes: int, max_lines: int, expected: str
) -> None:
    assert truncate(text, max_bytes=max_bytes, max_lines=max_lines) == expected


def test_a_huge_text_takes_no_more_memory_than_a_short_one() -> None:
    kept = HeadTail(max_bytes=10_240, max_lines=256)
    chunk = ("x" * 79 + "\n") * 100
    tracemalloc.start()
    try:
        for _ in range(2_000):
            kept.add(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000
    # 64 whole lines are 5,120 bytes, half of what is allowed.
    missing = 2_000 * 100 - 128
    assert marker(missing * 80, missing) in kept.text()

"""Framing: bytes in any chunks, messages and faults out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codex_rpc.rpc.framing import (
    INVALID_REQUEST,
    MAX_HEADER_BYTES,
    PARSE_ERROR,
    FrameDecoder,
    Framing,
    FramingFault,
    encode,
)

MAX = 60
BOM = b"\xef\xbb\xbf"

Outcome = bytes | int
"""A message's bytes, or the code of a fault."""


def outcomes(chunks: list[bytes], max_bytes: int = MAX) -> list[Outcome]:
    decoder = FrameDecoder(max_bytes)
    found = [item for chunk in chunks for item in decoder.feed(chunk)] + decoder.finish()
    return [item.code if isinstance(item, FramingFault) else bytes(item) for item in found]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def header(payload: bytes, name: bytes = b"Content-Length", end: bytes = b"\r\n") -> bytes:
    return name + b": %d" % len(payload) + end + end + payload


bodies = st.binary(max_size=MAX).map(lambda b: b.replace(b"\n", b" ").replace(b"\r", b" "))
too_long = st.integers(MAX + 1, 3 * MAX).map(lambda n: b"x" * n)

lines = st.one_of(
    bodies.filter(lambda b: b.strip()).map(lambda b: (b + b"\n", [b])),
    bodies.filter(lambda b: b.strip()).map(lambda b: (b + b"\r\n", [b])),
    too_long.map(lambda b: (b + b"\n", [INVALID_REQUEST])),
    st.sampled_from([b"\n", b"\r\n", b"  \t\n"]).map(lambda b: (b, [])),
)

good_blocks = st.one_of(
    st.binary(max_size=MAX).map(lambda b: (header(b), [b])),
    st.binary(max_size=MAX).map(lambda b: (header(b, b"content-LENGTH", b"\n"), [b])),
    st.binary(max_size=MAX).map(lambda b: (b"Content-Type: x; charset=utf-8\r\n" + header(b), [b])),
    too_long.map(lambda b: (header(b), [INVALID_REQUEST])),
    st.sampled_from([(b"\r\n", []), (b"\n", [])]),
)
BAD_BLOCKS = {
    "a word": b"Content-Length: x\r\n\r\n",
    "negative": b"Content-Length: -1\r\n\r\n",
    "two words": b"Content-Length: 1 0\r\n\r\n",
    "a sign": b"Content-Length: +5\r\n\r\n",
    "digits of another script": b"Content-Length: \xd9\xa3\r\n\r\n",
    "nothing": b"Content-Length:\r\n\r\n",
    "more digits than there are bytes": b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "twice": b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n",
    "only another header": b"Content-Type: application/json\r\n\r\n",
    "part of another name": b"X-Content-Length: 2\r\n\r\n",
    "no header": b"no header at all\r\n\r\n",
    "a long line": b"Y" * (MAX_HEADER_BYTES + 1) + b"\r\n\r\n",
    "many lines": b"Y: y\r\n" * (MAX_HEADER_BYTES // 4) + b"Content-Length: 2\r\n\r\n",
}
bad_blocks = st.sampled_from(list(BAD_BLOCKS.values())).map(lambda b: (b, [PARSE_ERROR]))


@settings(deadline=None, max_examples=150)
@given(st.lists(lines, max_size=8), st.lists(st.integers(0, 10_000), max_size=30))
def test_lines_are_the_same_however_they_arrive(
    segments: list[tuple[bytes, list[Outcome]]], places: list[int]
) -> None:
    # A first message that begins like a header would decide for the other framing.
    data = b'""\n' + b"".join(segment for segment, _ in segments)
    expected = [b'""', *(outcome for _, found in segments for outcome in found)]
    assert outcomes(cut(data, places)) == expected


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.one_of(good_blocks, bad_blocks), max_size=8),
    st.lists(st.integers(0, 100_000), max_size=30),
)
def test_header_blocks_are_the_same_however_they_arrive(
    segments: list[tuple[bytes, list[Outcome]]], places: list[int]
) -> None:
    data = header(b"first") + b"".join(segment for segment, _ in segments)
    expected = [b"first", *(outcome for _, found in segments for outcome in found)]
    assert outcomes(cut(data, places)) == expected


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20))
@example(b"Content-Length: 3\r\n\r\nab", [])
@example(BOM[:2], [])
def test_any_bytes_at_all_are_the_same_however_they_arrive(data: bytes, places: list[int]) -> None:
    assert outcomes(cut(data, places)) == outcomes([data])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(Framing),
    st.lists(bodies.filter(lambda b: b.strip()).map(lambda b: b"{" + b[: MAX - 1]), max_size=5),
)
def test_what_is_encoded_is_decoded(framing: Framing, payloads: list[bytes]) -> None:
    assert outcomes([encode(framing, payload) for payload in payloads]) == payloads


@pytest.mark.parametrize(
    ("data", "framing"),
    [
        (b"Content-Length: 2\r\n\r\n{}", Framing.HEADERS),
        (b"content-length: 2\r\n\r\n{}", Framing.HEADERS),
        (b"X-Trace: 1\r\nContent-Length: 2\r\n\r\n{}", Framing.HEADERS),
        (b"x-trace: 1\r\nContent-Length: 2\r\n\r\n{}", Framing.HEADERS),
        (b" \r\n\t" + BOM + b"\nContent-Length: 2\r\n\r\n{}", Framing.HEADERS),
        (b"{}\n", Framing.LINES),
        (BOM + b"{}\n", Framing.LINES),
        (BOM + BOM + b" {}\n", Framing.LINES),
        (b"\n\n  {}\n", Framing.LINES),
    ],
)
def test_the_first_byte_that_is_not_blank_decides(data: bytes, framing: Framing) -> None:
    decoder = FrameDecoder()
    assert decoder.framing is None
    assert [item for i in range(len(data)) for item in decoder.feed(data[i : i + 1])] == [b"{}"]
    assert decoder.framing is framing
    assert outcomes([data]) == [b"{}"]


def test_what_is_no_json_and_no_header_decides_for_lines() -> None:
    assert outcomes([b"hello\n", b"Content-Length: 2\n{}\n"]) == [
        b"hello",
        b"Content-Length: 2",
        b"{}",
    ]


def test_before_the_first_byte_answers_are_lines() -> None:
    assert encode(FrameDecoder().framing, b"{}") == b"{}\n"


def test_a_last_line_without_its_end_is_a_message() -> None:
    assert outcomes([b'{"a":', b"1}"]) == [b'{"a":1}']


@pytest.mark.parametrize(
    "data", [b"Content-Len", b"Content-Length: 5\r\n", b"Content-Length: 5\r\n\r\nabc"]
)
def test_input_that_ends_inside_a_message_with_headers_is_a_fault(data: bytes) -> None:
    assert outcomes([data]) == [PARSE_ERROR]


def test_input_that_ends_between_messages_is_no_fault() -> None:
    assert outcomes([]) == []
    assert outcomes([b" \n"]) == []
    assert outcomes([b"{}\n  "]) == [b"{}"]
    assert outcomes([header(b"{}") + b"\r\n"]) == [b"{}"]


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_a_header_block_without_one_valid_length_is_a_fault(name: str) -> None:
    block = BAD_BLOCKS[name]
    assert outcomes([header(b"{}") + block + header(b"[]")]) == [b"{}", PARSE_ERROR, b"[]"]
    assert outcomes([header(b"{}") + block + block]) == [b"{}", PARSE_ERROR, PARSE_ERROR]


def test_a_body_of_unknown_length_is_skipped_and_the_next_message_is_found() -> None:
    stray = b'Content-Length: 4O\r\n\r\n{"a":\n"Content-Length: no"}'
    assert outcomes([stray + header(b"{}") + header(b"[]")]) == [PARSE_ERROR, b"{}", b"[]"]


@pytest.mark.parametrize("framing", Framing)
def test_a_message_of_the_largest_size_passes_and_one_byte_more_does_not(framing: Framing) -> None:
    fits, over = b"[" * MAX, b"[" * (MAX + 1)
    stream = [encode(framing, payload) for payload in (fits, over, b"{}")]
    assert outcomes(stream) == [fits, INVALID_REQUEST, b"{}"]
    if framing is Framing.LINES:
        assert outcomes([fits + b"\r\n", over + b"\r\n", b"{}"]) == [fits, INVALID_REQUEST, b"{}"]


@pytest.mark.parametrize("beginning", [b"Content-Length: 999999999\r\n\r\n", b"[", b"C"])
def test_what_is_too_large_is_not_kept(beginning: bytes) -> None:
    decoder = FrameDecoder(1000)
    decoder.feed(beginning)
    for _ in range(1000):
        decoder.feed(b"x" * 10_000)
    assert largest_buffer(decoder) <= MAX_HEADER_BYTES


def largest_buffer(value: object) -> int:
    """The size of the largest bytes reachable through attributes."""
    if isinstance(value, bytes | bytearray):
        return len(value)
    if type(value).__module__ != "codex_rpc.rpc.framing" or isinstance(value, Framing):
        return 0
    slots = (getattr(value, name, None) for name in getattr(type(value), "__slots__", ()))
    return max(map(largest_buffer, [*getattr(value, "__dict__", {}).values(), *slots]), default=0)


@pytest.mark.parametrize("framing", Framing)
def test_a_large_message_byte_by_byte_takes_time_in_proportion_to_its_size(
    framing: Framing,
) -> None:
    # A rescan of what was kept would look at 3 * 10**10 bytes, and run into the timeout.
    size = 250_000
    data = encode(framing, b"[" * size)
    assert outcomes([data[i : i + 1] for i in range(len(data))], size) == [b"[" * size]

"""Where hunks are found in a file, and what becomes of its bytes."""

from __future__ import annotations

import pytest
from patch_support import patch

from codex_rpc.protocol.errors import ToolError
from codex_rpc.tools.patch.grammar import UpdateFile, parse_patch
from codex_rpc.tools.patch.matching import updated


def after(content: bytes, *lines: str) -> bytes:
    """`content` after an update with `lines`."""
    (operation,) = parse_patch(patch("*** Update File: f", *lines))
    assert isinstance(operation, UpdateFile)
    return updated(content, operation.hunks, "/w/f")


def refusal(content: bytes, *lines: str) -> str:
    with pytest.raises(ToolError) as raised:
        after(content, *lines)
    return raised.value.message


def test_the_first_match_behind_the_hunk_before_is_taken() -> None:
    content = b"x\nx\nx\n"
    assert after(content, "@@", "-x", "+1", "@@", "-x", "+2") == b"1\n2\nx\n"


def test_contexts_narrow_the_search_from_the_outer_to_the_inner() -> None:
    content = (
        b"class A:\n  def f():\n    pass\nclass B:\n  def e():\n    pass\n  def f():\n    pass\n"
    )
    changed = after(content, "@@ class B:", "@@   def f():", "-    pass", "+    return")
    assert changed == content[: -len(b"    pass\n")] + b"    return\n"


def test_lines_that_are_only_added_go_behind_their_context() -> None:
    assert after(b"a\nb\nc\n", "@@ b", "+new") == b"a\nb\nnew\nc\n"


def test_lines_that_are_only_added_go_to_the_end_without_a_context() -> None:
    assert after(b"a\nb\n", "@@", "+new") == b"a\nb\nnew\n"
    assert after(b"a\nb\n", "@@ a", "+new", "*** End of File") == b"a\nb\nnew\n"
    # And the hunks behind it are still looked for from where they would have been.
    assert after(b"a\nb\n", "@@", "+new", "@@", "-a") == b"b\nnew\n"


def test_an_empty_file_can_be_filled() -> None:
    assert after(b"", "@@", "+a", "+b") == b"a\nb\n"


def test_a_file_can_be_emptied() -> None:
    assert after(b"a\nb\n", "@@", "-a", "-b") == b""


def test_end_of_file_anchors_at_the_end() -> None:
    assert after(b"x\nx\n", "@@", "-x", "+y", "*** End of File") == b"x\ny\n"
    message = refusal(b"x\nend\n", "@@", "-x", "+y", "*** End of File")
    assert message == 'error: Failed to find expected lines ["x"] in /w/f'


@pytest.mark.parametrize(
    ("line", "spelled"),
    [
        ("value  ", "value"),
        ("value", "value \t"),
        ("\tvalue", "    value"),
        ("a \u2014 b \u2212 c", "a - b - c"),
        ("\u2018a\u2019 \u201cb\u201d", "'a' \"b\""),
        ("a\u00a0b\u3000c", "a b c"),
        ("\ufeffa", "a"),
    ],
)
def test_kept_lines_match_leniently_and_keep_their_bytes(line: str, spelled: str) -> None:
    content = f"before\n{line}\nold\n".encode()
    assert after(content, "@@", f" {spelled}", "-old", "+new") == f"before\n{line}\nnew\n".encode()


def test_a_strict_match_further_down_goes_before_a_lenient_one() -> None:
    assert after(b"  a\na\n", "@@", "-a", "+b") == b"  a\nb\n"


def test_a_line_s_inside_is_not_matched_leniently() -> None:
    message = refusal(b"a  b\n", "@@", "-a b")
    assert message == 'error: Failed to find expected lines ["a b"] in /w/f'


def test_a_context_that_is_missing_is_named() -> None:
    message = refusal(b"a\n", "@@ class X", "-a")
    assert message == "error: Failed to find context 'class X' in /w/f"


def test_hunks_in_the_wrong_order_are_said_to_be_so() -> None:
    message = refusal(b"a\nb\nc\n", "@@", "-c", "@@", "-a", " b")
    assert message == (
        'error: Failed to find expected lines ["a", "b"] in /w/f after line 3; '
        "they are at line 1, but hunks have to be in the file's order"
    )


def test_blank_lines_behind_a_hunk_may_be_missing_in_the_file() -> None:
    assert after(b"a\nb\n", "@@", " a", "-b", "+c", "", "") == b"a\nc\n"
    # But where they are there they belong to it.
    assert after(b"a\nb\na\nb\n\n", "@@", " a", "-b", "+c", "") == b"a\nb\na\nc\n\n"


def test_crlf_stays_crlf() -> None:
    content = b"a\r\nb\r\nc\r\n"
    assert after(content, "@@", " a", "-b", "+B", "+BB", " c") == b"a\r\nB\r\nBB\r\nc\r\n"
    assert after(content, "@@", "+d") == b"a\r\nb\r\nc\r\nd\r\n"
    assert after(content, "@@", "+0", " a") == b"0\r\na\r\nb\r\nc\r\n"


def test_mixed_line_ends_stay_as_they_are_line_by_line() -> None:
    content = b"a\r\nb\nc\r\nd\n"
    assert after(content, "@@", "-b", "-c", "+B", "+C", "+D") == b"a\r\nB\nC\r\nD\r\nd\n"
    assert after(content, "@@", "-a", " b", "+new") == b"b\nnew\nc\r\nd\n"
    assert after(content, "@@", " b", "+new", " c") == b"a\r\nb\nnew\nc\r\nd\n"


def test_a_missing_final_line_end_stays_missing() -> None:
    assert after(b"a\nb", "@@", "-a", "+A") == b"A\nb"
    assert after(b"a\nb", "@@", "-b", "+B") == b"a\nB"
    assert after(b"a\nb", "@@", " b", "+c") == b"a\nb\nc"
    assert after(b"a\nb", "@@", " a", "-b") == b"a"
    assert after(b"a\r\nb", "@@", " b", "+c") == b"a\r\nb\r\nc"
    assert after(b"b", "@@", " b", "+c") == b"b\nc"


def test_a_byte_order_mark_stays() -> None:
    assert after(b"\xef\xbb\xbfa\nb\n", "@@", "-a", "+A", " b") == b"\xef\xbb\xbfA\nb\n"
    assert after(b"\xef\xbb\xbfa\n", "@@", "+0", " a") == b"\xef\xbb\xbf0\na\n"


def test_bytes_that_are_not_utf_8_stay() -> None:
    content = b"caf\xe9 \xff\nb\nna\xefve\n"
    assert after(content, "@@", "-b", "+B") == b"caf\xe9 \xff\nB\nna\xefve\n"
    # Shown to the model, such a byte is U+FFFD, and so it may be spelled.
    spelled = " caf\ufffd \ufffd"
    assert after(content, "@@", spelled, "-b", "+B") == b"caf\xe9 \xff\nB\nna\xefve\n"


def test_only_ascii_is_added_to_what_is_not_utf_8() -> None:
    message = refusal(b"caf\xe9\nb\n", "@@", "-b", "+\u00e9")
    assert message == (
        "error: cannot update /w/f: it is not UTF-8, so only ASCII can be added to it"
    )


def test_a_binary_file_is_not_updated() -> None:
    message = refusal("a\nb\n".encode("utf-16"), "@@", "-a")
    assert message == "error: cannot update /w/f: it is no text file, it holds NUL bytes"


def test_unusual_separators_are_no_line_ends() -> None:
    content = "a\u2028b\u0085c\x0bd\x0ce\rf\nold\n".encode()
    assert after(content, "@@", "-old", "+new") == content.replace(b"old", b"new")


def test_a_megabyte_is_searched_for_many_hunks() -> None:
    lines = [f"line {number} " + "x" * 45 for number in range(20_000)]
    content = "".join(f"{line}\n" for line in lines).encode()
    assert len(content) > 1 << 20
    hunks = []
    for number in range(5, 20_000, 40):
        # Indented, so that only the third way of comparing finds them.
        hunks += ["@@", f"   {lines[number - 1]}", f"-  {lines[number]}", f"+new {number}"]
        lines[number] = f"new {number}"
    assert after(content, *hunks) == "".join(f"{line}\n" for line in lines).encode()


def test_a_megabyte_of_equal_lines_is_searched_for_what_is_not_there() -> None:
    content = b"a\n" * (1 << 19)
    assert refusal(content, "@@", *[" a"] * 300, "-b").startswith("error: Failed to find")

"""What is a patch, and what is said about what is none."""

from __future__ import annotations

import pytest
from patch_support import patch

from codex_rpc.protocol.errors import ToolError
from codex_rpc.tools.patch.grammar import (
    MAX_PATCH_BYTES,
    AddFile,
    DeleteFile,
    Hunk,
    Line,
    UpdateFile,
    parse_patch,
)

KEEP_A, DROP_B, ADD_C = Line(" ", "a"), Line("-", "b"), Line("+", "c")


def test_all_operations_are_read_in_order() -> None:
    text = patch(
        "*** Add File: a/new.py",
        "+one",
        "+",
        "+two",
        "*** Delete File: old.py",
        "*** Update File: from.py",
        "*** Move to: to.py",
        "@@ class A:",
        "@@     def f(self):",
        " a",
        "-b",
        "+c",
        "@@",
        "-b",
        "*** End of File",
        "*** Update File: renamed.py",
        "*** Move to: pure.py",
        "*** Add File: empty.py",
    )
    assert parse_patch(text) == (
        AddFile("a/new.py", "one\n\ntwo\n"),
        DeleteFile("old.py"),
        UpdateFile(
            "from.py",
            (
                Hunk(
                    line_no=9,
                    contexts=("class A:", "    def f(self):"),
                    lines=(KEEP_A, DROP_B, ADD_C),
                ),
                Hunk(line_no=14, lines=(DROP_B,), at_end=True),
            ),
            "to.py",
        ),
        UpdateFile("renamed.py", (), "pure.py"),
        AddFile("empty.py", ""),
    )


UPDATE = (UpdateFile("f", (Hunk(line_no=3, lines=(KEEP_A, DROP_B, ADD_C)),)),)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(patch("*** Update File: f", "@@", " a", "-b", "+c"), id="plain"),
        pytest.param(
            "\n \n *** Begin Patch  \n *** Update File:   f \n@@ \n a\n-b\n+c\n\t*** End Patch\n\n",
            id="white space around markers",
        ),
        pytest.param(
            patch("*** Update File: f", "@@", " a", "-b", "+c").replace("\n", "\r\n"), id="CRLF"
        ),
        pytest.param(
            "<<'EOF'\n" + patch("*** Update File: f", "@@", " a", "-b", "+c") + "\nEOF\n",
            id="quoted heredoc",
        ),
        pytest.param(
            '<<"END"\n' + patch("*** Update File: f", "@@", " a", "-b", "+c") + "\nEND",
            id="double-quoted heredoc",
        ),
        pytest.param(
            "<<EOF\n" + patch("*** Update File: f", "@@", " a", "-b", "+c") + "\nEOF",
            id="bare heredoc",
        ),
    ],
)
def test_what_is_around_a_patch_does_not_matter(text: str) -> None:
    assert parse_patch(text) == UPDATE


def test_the_first_hunk_needs_no_marker() -> None:
    (operation,) = parse_patch(patch("*** Update File: f", " a", "+c"))
    assert operation == UpdateFile("f", (Hunk(line_no=3, lines=(KEEP_A, ADD_C)),))


def test_blank_lines_between_operations_are_no_lines_of_a_file() -> None:
    text = patch("*** Add File: f", "+x", "", " ", "*** Delete File: g", "", "*** Delete File: h")
    assert parse_patch(text) == (AddFile("f", "x\n"), DeleteFile("g"), DeleteFile("h"))


def test_blank_lines_behind_only_added_lines_are_no_lines_of_the_file() -> None:
    (operation, _) = parse_patch(patch("*** Update File: f", "@@", "+c", "", "*** Delete File: g"))
    assert operation == UpdateFile("f", (Hunk(line_no=3, lines=(ADD_C,)),))


def test_an_indented_marker_in_a_hunk_is_a_line_of_the_file() -> None:
    (operation,) = parse_patch(patch("*** Update File: f", "@@", " *** End Patch", "+c"))
    assert operation == UpdateFile(
        "f", (Hunk(line_no=3, lines=(Line(" ", "*** End Patch"), ADD_C)),)
    )


def test_carriage_returns_of_a_new_file_are_kept() -> None:
    text = patch("*** Add File: f", "+one\r", "+two\r")
    assert parse_patch(text) == (AddFile("f", "one\r\ntwo\r\n"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid patch: The first line of the patch must be '*** Begin Patch'"),
        ("*** Begin Patch", "invalid patch: The last line of the patch must be '*** End Patch'"),
        (
            "*** Begin Patch\n*** Add File: f\n+x",
            "invalid patch: The last line of the patch must be '*** End Patch'",
        ),
        (
            patch("*** Rename File: f"),
            (
                "invalid hunk at line 2, '*** Rename File: f' is not a valid hunk header. "
                "Valid hunk headers: '*** Add File: {path}', '*** Delete File: {path}', "
                "'*** Update File: {path}'"
            ),
        ),
        (
            patch("*** Update File: f"),
            "invalid hunk at line 2, Update file hunk for path 'f' is empty",
        ),
        (patch("*** Add File:"), "invalid hunk at line 2, expected a path after '*** Add File:'"),
        (
            patch("*** Update File: f", "*** Move to:  "),
            "invalid hunk at line 3, expected a path after '*** Move to:'",
        ),
        (
            patch("*** Delete File: a\0b"),
            "invalid hunk at line 2, expected a path after '*** Delete File:'",
        ),
        (
            patch("*** Update File: f", "@@"),
            "invalid hunk at line 4, Update hunk does not contain any lines",
        ),
        (
            patch("*** Update File: f", "@@", "*** End of File"),
            "invalid hunk at line 4, Update hunk does not contain any lines",
        ),
        (
            patch("*** Update File: f", "@@", " a", "oops"),
            (
                "invalid hunk at line 5, Unexpected line found in update hunk: 'oops'. Every line "
                "should start with ' ' (context line), '+' (added line), or '-' (removed line)"
            ),
        ),
        (
            patch("*** Update File: f", "@@", " a", "*** End of File", "+c"),
            (
                "invalid hunk at line 6, Expected update hunk to start with a @@ context marker, "
                "got: '+c'"
            ),
        ),
        (
            patch("*** Update File: f", "@@x", " a"),
            "invalid hunk at line 3, expected a blank after @@, got: '@@x'",
        ),
        (
            patch("*** Add File: f", "+x", "oops"),
            (
                "invalid hunk at line 4, expected a line that begins with '+', as every line of a "
                "new file does, got: 'oops'"
            ),
        ),
        (
            patch("*** Add File: f", "+x", "", "+y"),
            (
                "invalid hunk at line 4, expected a line that begins with '+', as every line of a "
                "new file does, got: ''"
            ),
        ),
        (
            patch("*** Add File: \ud800", "+x"),
            "invalid patch: it holds a character that UTF-8 cannot encode",
        ),
        (
            patch("*** Add File: f", "+" + "x" * MAX_PATCH_BYTES),
            "invalid patch: it is larger than 4 MiB",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_line(text: str, message: str) -> None:
    with pytest.raises(ToolError) as raised:
        parse_patch(text)
    assert raised.value.message == f"error: {message}"


def test_a_patch_without_operations_is_rejected() -> None:
    with pytest.raises(ToolError, match="patch rejected: empty patch"):
        parse_patch(patch("", " "))

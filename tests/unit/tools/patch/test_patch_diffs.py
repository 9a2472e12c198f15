"""Unified diffs: that they are right, and that they are as git writes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.tools.patch.diffs import unified_diff

line = st.sampled_from([b"a", b"b", b"c", b"dd", b"", b"\xff", "\u00e9".encode()])
content = st.tuples(st.lists(line, max_size=25), st.booleans()).map(
    lambda parts: b"\n".join(parts[0]) + (b"\n" if parts[1] and parts[0] else b"")
)


@given(old=content, new=content)
@settings(deadline=None, max_examples=300)
def test_a_diff_leads_from_the_old_to_the_new(old: bytes, new: bytes) -> None:
    shown_old, shown_new = old.decode("utf-8", "replace"), new.decode("utf-8", "replace")
    diff = unified_diff(old, new)
    assert applied(shown_old, diff) == shown_new
    assert (diff == "") is (old == new)


def applied(old: str, diff: str) -> str:
    """`old` after `diff`; every line that the diff says is kept or removed has to be there."""
    source = old.split("\n")
    source = [text + "\n" for text in source[:-1]] + ([source[-1]] if source[-1] else [])
    result: list[str] = []
    at = 0
    lines = diff.split("\n")[:-1]
    for index, text in enumerate(lines):
        ends = index + 1 == len(lines) or not lines[index + 1].startswith("\\")
        whole = text[1:] + ("\n" if ends else "")
        if text.startswith("@@"):
            start, _, length = text.split()[1][1:].partition(",")
            begin = int(start) - (length != "0")
            assert begin >= at
            result += source[at:begin]
            at = begin
        elif text.startswith("+"):
            result.append(whole)
        elif not text.startswith("\\"):
            assert source[at] == whole
            if text.startswith(" "):
                result.append(whole)
            at += 1
    return "".join(result + source[at:])


@pytest.mark.parametrize(
    ("old", "new", "diff"),
    [
        (b"", b"a\n", "@@ -0,0 +1 @@\n+a\n"),
        (b"a\nb\n", b"", "@@ -1,2 +0,0 @@\n-a\n-b\n"),
        (b"a", b"a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"),
        (
            b"a\nb",
            b"A\nb",
            "@@ -1,2 +1,2 @@\n-a\n+A\n b\n\\ No newline at end of file\n",
        ),
        (b"a\r\n", b"b\r\n", "@@ -1 +1 @@\n-a\r\n+b\r\n"),
    ],
)
def test_small_ones(old: bytes, new: bytes, diff: str) -> None:
    assert unified_diff(old, new) == diff


def test_it_is_what_git_says(tmp_path: Path) -> None:
    old = [f"line {number}" for number in range(60)]
    new = [*old[:4], "new", *old[4:20], *old[22:40], "changed", *old[41:]]
    before, behind = tmp_path / "a", tmp_path / "b"
    before.write_text("\n".join(old))
    behind.write_text("\n".join(new) + "\n")
    git = subprocess.run(
        [
            "git",
            "-c",
            "core.pager=cat",
            "diff",
            "--no-index",
            "--patience",
            str(before),
            str(behind),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    hunks = git.stdout[git.stdout.index("@@") :]
    # What git puts behind the second @@ is for people.
    ours = unified_diff(before.read_bytes(), behind.read_bytes())
    assert [text.partition(" @@ ")[0].removesuffix(" @@") for text in hunks.splitlines()] == [
        text.removesuffix(" @@") for text in ours.splitlines()
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"a\n" * 200_000, b"a\nb\n" * 100_000, id="few different lines"),
        pytest.param(
            b"".join(b"%d\n" % (n % 50) for n in range(100_000)),
            b"".join(b"%d\n" % (n * 7 % 50) for n in range(100_000)),
            id="no unique lines",
        ),
        pytest.param(
            b"".join(b"%d\n" % n for n in range(100_000)),
            b"".join(b"%d\n" % n for n in reversed(range(100_000))),
            id="reversed",
        ),
    ],
)
def test_large_files_that_have_little_in_common_are_compared(old: bytes, new: bytes) -> None:
    assert applied(old.decode(), unified_diff(old, new)) == new.decode()

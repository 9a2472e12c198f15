"""What becomes of text on its way to a terminal."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.cli.output_window import OutputWindow
from codex_rpc.cli.terminal import exact, harmless, shown_command, unstyled

LINES = st.lists(st.text("ab \x1b[m", max_size=4), max_size=30)
VISIBLE = st.text(
    st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("äß€漢\n"), max_size=20
)


def window_of(chunks: list[str], *, head: int, tail: int) -> tuple[list[str], int, list[str]]:
    """What is shown of a stream: lines at once, how many are left out, lines at the end."""
    window = OutputWindow(head=head, tail=tail)
    shown = [line for chunk in chunks for line in window.feed("stdout", chunk)]
    more, rest = window.finish()
    return [*shown, *more], rest.hidden, rest.lines


@settings(deadline=None, max_examples=100)
@given(LINES, st.integers(0, 5), st.integers(1, 5), st.data())
def test_a_window_shows_the_same_however_the_output_was_cut(
    lines: list[str], head: int, tail: int, data: st.DataObject
) -> None:
    text = "".join(f"{line}\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown, hidden, last = window_of(chunks, head=head, tail=tail)
    clean = [unstyled(line) for line in lines]
    assert shown == clean[:head]
    assert last == clean[head:][-tail:]
    assert hidden == len(lines) - len(shown) - len(last)


def test_an_unfinished_last_line_is_a_line() -> None:
    assert window_of(["one\ntw", "o"], head=5, tail=2) == (["one", "two"], 0, [])


def test_what_only_the_end_of_a_command_tells_is_found() -> None:
    window = OutputWindow(head=5, tail=2)
    window.feed("stderr", "warning\n")
    assert window.beyond("stderr", "warning\n[killed by signal 9]\n") == "[killed by signal 9]"
    assert window.beyond("stderr", "warning\n") == ""
    assert window.beyond("stdout", "") == ""


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("  5%\r 50%\r100%\r", "100%"),
        ("windows\r", "windows"),
        ("a\tb", "a       b"),
        ("bell\x07", "bell\\x07"),
        ("cut off \x1b", "cut off \\x1b"),
    ],
)
def test_output_looks_as_it_would_end_up_on_a_terminal(line: str, shown: str) -> None:
    assert unstyled(line) == shown


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30))
def test_no_text_can_steer_a_terminal(text: str) -> None:
    for cleaned in (harmless(text), unstyled(text), exact(text)):
        assert not any((c < " " and c not in "\n\t") or "\x7f" <= c < "\xa0" for c in cleaned)
        cleaned.encode()


@settings(deadline=None, max_examples=100)
@given(st.lists(VISIBLE, min_size=1, max_size=4))
def test_a_command_is_shown_as_a_shell_would_take_it(argv: list[str]) -> None:
    assert shlex.split(shown_command(argv)) == argv


def test_what_cannot_be_seen_in_a_command_is_spelt_out() -> None:
    shown = shown_command(["rm", "a\u202eb", "\x1b[2K", "no\xa0break"])
    assert shown == "rm 'a\\u202eb' '\\x1b[2K' 'no\\xa0break'"

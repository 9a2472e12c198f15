"""What an editor has made of an edit, seen from the texts that it tells of."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lsprotocol import types

from codex_rpc.rpc.lsp.documents import Document
from codex_rpc.rpc.lsp.edits import text_edits
from codex_rpc.rpc.lsp.goals import Goal
from codex_rpc.rpc.lsp.merging import applied

LINES = st.sampled_from(["a\n", "b\n", "c\n", "\n", "😀é\n", "x y\n"])
TEXTS = st.lists(LINES, min_size=2, max_size=8).map("".join)
TYPED = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["t", "\n", "T\n"])), max_size=3)


@settings(deadline=None, max_examples=300)
@given(TEXTS, TEXTS, TYPED, st.booleans())
def test_an_edit_of_any_text_can_be_taken_back_to_what_was_typed(
    before: str, after: str, typed: list[tuple[int, str]], in_one_go: bool
) -> None:
    edits = text_edits(before, after, "utf-16")
    assume(edits)
    wanted, now = Goal("file:///a", 1, before, after, "utf-16"), before
    for at, text in typed:
        now = now[:at] + text + now[at:]
        wanted.take(now)
    mine = now
    steps = [edits] if in_one_go else [[edit] for edit in reversed(edits)]
    for step in steps:
        now = applied(now, step, "utf-16")
        wanted.take(now)
    assume(now != mine)
    told = Document(types.TextDocumentItem("file:///a", "text", 2, now), "utf-16")
    verdict = wanted.verdict(told)
    assert verdict in ("done", "astray")
    if not typed:
        assert verdict == "done"
    if verdict == "astray":
        assert wanted.without(now) == mine

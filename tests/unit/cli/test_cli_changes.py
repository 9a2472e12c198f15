"""Patches, plans and questions as a person reads them."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from codex_rpc.cli.answers import Answer, plan_lines, shown_invocation
from codex_rpc.cli.changes import listed, spelt_out
from codex_rpc.cli.questions import shown_request
from codex_rpc.protocol.events import (
    AddFile,
    ApplyPatchApprovalRequest,
    Changes,
    ExecApprovalRequest,
    FileChange,
    McpInvocation,
    McpToolCallApprovalRequest,
    PlanStep,
    PlanUpdate,
    UpdateFile,
)


def shown(*renderables: RenderableType) -> str:
    out = StringIO()
    console = Console(file=out, width=200, color_system=None)
    console.print(*renderables, sep="\n")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


CHANGES: Changes = {
    "/src/docs/new.txt": FileChange(add=AddFile("one\n\n+two")),
    "/src/empty": FileChange(add=AddFile("")),
    "/src/a.py": FileChange(update=UpdateFile("@@ -1,2 +1,2 @@\n a\n-b\n---\n+B\n", None)),
    "/src/old.txt": FileChange(update=UpdateFile("", "/src/sub/new.txt")),
    "/etc/passwd": "delete",
}


def test_a_patch_is_a_line_for_each_file_with_what_comes_and_goes() -> None:
    assert listed(CHANGES, "/src").plain.splitlines() == [
        "add    docs/new.txt +3",
        "add    empty",
        "edit   a.py +1 -2",
        "move   old.txt -> sub/new.txt",
        "delete /etc/passwd",
    ]


def test_spelt_out_it_has_every_line_and_whole_paths() -> None:
    assert spelt_out(CHANGES).plain.splitlines() == [
        "add    /src/docs/new.txt +3",
        "+one",
        "+",
        "++two",
        "add    /src/empty",
        "edit   /src/a.py +1 -2",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "---",
        "+B",
        "move   /src/old.txt -> /src/sub/new.txt",
        "delete /etc/passwd",
    ]


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_nothing_in_a_patch_can_move_the_cursor_or_pass_for_another_line(text: str) -> None:
    changes: Changes = {f"/w/{text}": FileChange(add=AddFile(text))}
    head, *lines = spelt_out(changes).plain.split("\n")
    assert head.startswith("add    /w/")
    assert all(line.startswith("+") and line.isprintable() for line in lines)
    assert "\x1b" not in spelt_out(changes).plain


def test_a_plan_has_a_title_and_marks() -> None:
    plan = [PlanStep("look", "completed"), PlanStep("do\x1b[2K", "in_progress")]
    assert shown(*plan_lines(PlanUpdate(plan))) == "plan\n  [x] look\n  [>] do\\x1b[2K"


@pytest.mark.parametrize(
    ("result", "lines", "failure"),
    [
        ({"Ok": {"content": [{"type": "text", "text": "a\nb\x1b"}]}}, ["a", "b\\x1b"], None),
        ({"Ok": {"content": [{"type": "image", "data": "x"}]}}, ["(image)"], None),
        ({"Ok": {"content": [{"type": "text", "text": "no"}], "isError": True}}, ["no"], "says so"),
        ({"Err": "timed out after 60 s"}, [], "timed out after 60 s"),
        ({"Ok": {}}, [], None),
    ],
)
def test_an_answer_is_its_texts_and_whether_it_is_good(
    result: dict[str, object], lines: list[str], failure: str | None
) -> None:
    answer = Answer.of(result)
    assert answer.lines == lines
    assert (answer.failure or "").endswith(failure or "")
    assert (answer.failure is None) == (failure is None)


@pytest.mark.parametrize(
    ("sandbox", "network", "said"),
    [
        ("none", True, "NO: it may do whatever you may"),
        ("read-only", False, "read-only: it can change no file; no network"),
        ("workspace-write", True, "below the working directory and what is configured; it has"),
    ],
)
def test_a_question_says_in_words_what_holds_the_command(
    sandbox: str, network: bool, said: str
) -> None:
    request = ExecApprovalRequest(
        "c", ["rm", "-r", "a b"], "/src", sandbox=sandbox, network=network, reason="to\nsee"
    )  # type: ignore[arg-type]
    text = shown(*shown_request(request))
    assert text.startswith("Run this command?\n    rm -r 'a b'\nin        /src\nconfined  ")
    assert said in text
    assert text.endswith("why       to see")


def test_a_question_about_a_patch_shows_all_of_it() -> None:
    text = shown(*shown_request(ApplyPatchApprovalRequest("c", CHANGES, "outside")))
    for line in spelt_out(CHANGES).plain.splitlines():
        assert f"    {line}".rstrip() in text.splitlines()
    assert text.endswith("why       outside")


def test_a_question_about_a_tool_shows_its_arguments() -> None:
    invocation = McpInvocation("docs", "search", {"q": "ä\u202e"})
    assert shown_invocation(invocation) == 'docs.search {"q": "ä\\u202e"}'
    text = shown(*shown_request(McpToolCallApprovalRequest("c", invocation)))
    assert "NO: MCP servers are programs of your own" in text
    assert shown_invocation(McpInvocation("docs", "list")) == "docs.list {}"

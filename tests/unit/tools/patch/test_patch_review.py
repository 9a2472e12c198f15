"""Patches that the user looks at first: what they are shown, and what becomes of their answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from anyio import fail_after
from hypothesis import given, settings
from hypothesis import strategies as st
from patch_support import Host, a_host, a_tool, apply, diff_of, end_of, patch, told, tree
from support.editor import FakeEditor

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.events import PatchApplyBegin, ProposedFile
from codex_rpc.protocol.policy import ApprovalPolicy
from codex_rpc.protocol.tools import Review, ToolOutcome
from codex_rpc.tools.patch.diffs import count_hunks, unified_diff, with_hunks
from codex_rpc.tools.patch.questions import REJECTED
from codex_rpc.tools.patch.review import MAX_SHOWN_BYTES, MAX_TOLD_BYTES

SUCCESS = "Success. Updated the following files:\n"
TEN = "".join(f"{n}\n" for n in range(10))
TWO_HUNKS = ("*** Update File: ten", "@@", "-0", "+zero", "@@", "-9", "+nine")


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    cwd = tmp_path.resolve() / "project"
    cwd.mkdir()
    (cwd / "a.txt").write_text("a\n")
    (cwd / "old").write_text("old\n")
    (cwd / "ten").write_text(TEN)
    return cwd


@pytest.fixture
def editor() -> FakeEditor:
    return FakeEditor(reviews_patches=True)


async def reviewed(
    cwd: Path,
    editor: FakeEditor,
    *lines: str,
    host: Host | None = None,
    approval: ApprovalPolicy = "on-request",
    **answer: Any,
) -> tuple[ToolOutcome, Host]:
    """What becomes of a patch with that answer; its paths are relative to `cwd`."""
    answer = {
        kind: {str(cwd / path): value for path, value in given.items()}
        for kind, given in answer.items()
    }
    host = host or a_host(cwd, approval=approval, answers=[Review("approved", **answer)])
    with fail_after(5):
        outcome = await apply(
            patch(*lines), cwd, host=host, tool=a_tool(editor, review=True, grace_s=0.01)
        )
    return outcome, host


def begin_of(host: Host) -> PatchApplyBegin:
    (begin,) = (msg for msg in host.announced if isinstance(msg, PatchApplyBegin))
    return begin


async def test_the_user_is_shown_whole_texts(cwd: Path, editor: FakeEditor) -> None:
    editor.open(cwd / "a.txt", "typed\na\n").version = 7
    (cwd / "latin").write_bytes(b"caf\xe9\nx\n")
    (cwd / "secret").write_text("hush\n")
    editor.open(cwd / "secret")
    (cwd / "link").symlink_to("a.txt")
    outcome, host = await reviewed(
        cwd,
        editor,
        *("*** Update File: a.txt", "@@", "-a", "+A"),
        *("*** Add File: new", "+new"),
        "*** Delete File: old",
        *("*** Update File: ten", "*** Move to: zehn", "@@", "-9", "+neun"),
        *("*** Update File: latin", "@@", "-x", "+y"),
        *("*** Add File: secret", "+loud"),
        "*** Delete File: link",
        approval="untrusted",
    )
    assert end_of(outcome).success
    assert host.asked == []
    (request,) = host.reviewed
    # What is no text, or may not be read, is only in the changes.
    assert request.files == {
        str(cwd / "a.txt"): ProposedFile("typed\na\n", "typed\nA\n", 7),
        str(cwd / "new"): ProposedFile(None, "new\n"),
        str(cwd / "old"): ProposedFile("old\n", None),
        str(cwd / "ten"): ProposedFile(TEN, TEN.replace("9", "neun")),
    }
    assert set(request.files) < set(request.changes)
    assert begin_of(host).changes == request.changes
    assert not begin_of(host).auto_approved


@pytest.mark.parametrize(
    ("approval", "configured", "able", "asked"),
    [
        ("on-request", True, True, True),
        ("on-failure", True, True, True),
        ("untrusted", True, True, True),
        ("never", True, True, False),
        ("on-request", False, True, False),
        ("on-request", True, False, False),
    ],
)
async def test_who_is_shown_patches(
    cwd: Path, approval: ApprovalPolicy, configured: bool, able: bool, asked: bool
) -> None:
    editor = FakeEditor(reviews_patches=able)
    host = a_host(cwd, approval=approval)
    tool = a_tool(editor, review=configured)
    outcome = await apply(patch("*** Delete File: old"), cwd, host=host, tool=tool)
    assert end_of(outcome).success
    assert bool(host.reviewed) == asked


@pytest.mark.parametrize("is_open", [False, True])
async def test_what_the_user_makes_of_it_is_what_is_written(
    cwd: Path, editor: FakeEditor, is_open: bool
) -> None:
    if is_open:
        editor.open(cwd / "a.txt")
    outcome, host = await reviewed(
        cwd,
        editor,
        *("*** Update File: a.txt", "@@", "-a", "+A"),
        *("*** Add File: new", "+new"),
        edited={"a.txt": "mine\n", "new": "newer\n"},
    )
    now = editor.buffers[cwd / "a.txt"].text if is_open else (cwd / "a.txt").read_text()
    assert (now, (cwd / "new").read_text()) == ("mine\n", "newer\n")
    note = "Note: a.txt was changed in the editor and is not saved yet\n" if is_open else ""
    assert told(outcome)["output"] == (
        f"{SUCCESS}A new\nM a.txt\n{note}"
        "a.txt: the user changed what you proposed.\n"
        "--- a.txt (proposed)\n+++ a.txt (written)\n@@ -1 +1 @@\n-A\n+mine\n"
        "new: the user changed what you proposed.\n"
        "--- new (proposed)\n+++ new (written)\n@@ -1 +1 @@\n-new\n+newer\n"
    )
    changes = begin_of(host).changes
    assert changes[str(cwd / "a.txt")].update.unified_diff == "@@ -1 +1 @@\n-a\n+mine\n"  # type: ignore[union-attr]
    assert changes[str(cwd / "new")].add.content == "newer\n"  # type: ignore[union-attr]
    assert "+mine\n" in (diff_of(outcome) or "")
    assert "+A\n" not in (diff_of(outcome) or "")


async def test_a_file_that_the_user_wants_to_keep_is_kept(cwd: Path, editor: FakeEditor) -> None:
    outcome, host = await reviewed(
        cwd, editor, "*** Delete File: old", edited={"old": "old\nand mine\n"}
    )
    assert (cwd / "old").read_text() == "old\nand mine\n"
    assert told(outcome)["output"] == (
        f"{SUCCESS}M old\nold: the user did not want it to be deleted, and changed it.\n"
        "--- old (proposed)\n+++ old (written)\n@@ -1 +1,2 @@\n old\n+and mine\n"
    )
    assert begin_of(host).changes[str(cwd / "old")] != "delete"


async def test_a_moved_file_is_edited_where_it_goes(cwd: Path, editor: FakeEditor) -> None:
    outcome, host = await reviewed(
        cwd,
        editor,
        *("*** Update File: a.txt", "*** Move to: b.txt", "@@", "-a", "+A"),
        edited={"a.txt": "mine\n"},
    )
    assert not (cwd / "a.txt").exists()
    assert (cwd / "b.txt").read_text() == "mine\n"
    update = begin_of(host).changes[str(cwd / "a.txt")].update  # type: ignore[union-attr]
    assert update is not None
    assert (update.unified_diff, update.move_path) == (
        "@@ -1 +1 @@\n-a\n+mine\n",
        str(cwd / "b.txt"),
    )
    assert "b.txt: the user changed what you proposed." in told(outcome)["output"]


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ([0], TEN.replace("0", "zero")),
        ([1], TEN.replace("9", "nine")),
        ([1, 0, 1], TEN.replace("0", "zero").replace("9", "nine")),
    ],
)
async def test_only_the_wanted_hunks_are_done(
    cwd: Path, editor: FakeEditor, wanted: list[int], text: str
) -> None:
    outcome, _ = await reviewed(cwd, editor, *TWO_HUNKS, hunks={"ten": wanted})
    assert (cwd / "ten").read_text() == text
    is_all = len(wanted) > 1
    assert ("the user changed" in told(outcome)["output"]) != is_all


async def test_a_file_without_a_wanted_hunk_is_left_alone(cwd: Path, editor: FakeEditor) -> None:
    outcome, host = await reviewed(
        cwd,
        editor,
        *("*** Update File: a.txt", "*** Move to: b.txt", "@@", "-a", "+A"),
        *("*** Add File: new", "+new"),
        "*** Delete File: old",
        *TWO_HUNKS,
        hunks={"a.txt": [], "new": [], "old": [], "ten": [1]},
    )
    assert sorted(path.name for path in cwd.iterdir()) == ["a.txt", "old", "ten"]
    assert told(outcome)["output"] == (
        f"{SUCCESS}M ten\n"
        "a.txt: the user did not want this change.\n"
        "new: the user did not want this change.\n"
        "old: the user did not want this change.\n"
        "ten: the user changed what you proposed.\n"
        "--- ten (proposed)\n+++ ten (written)\n@@ -1,4 +1,4 @@\n-zero\n+0\n 1\n 2\n 3\n"
    )
    assert list(begin_of(host).changes) == [str(cwd / "ten")]


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (TWO_HUNKS, {"hunks": {"ten": []}}),
        (TWO_HUNKS, {"edited": {"ten": TEN}}),
        (("*** Delete File: old", *TWO_HUNKS), {"hunks": {"ten": [], "old": []}}),
    ],
)
async def test_who_wants_nothing_of_it_has_denied_it(
    cwd: Path, editor: FakeEditor, lines: tuple[str, ...], answer: dict[str, Any]
) -> None:
    before = tree(cwd)
    outcome, host = await reviewed(cwd, editor, *lines, **answer)
    assert outcome == ToolOutcome(REJECTED)
    assert (tree(cwd), host.announced) == (before, [])


async def test_a_denial_changes_nothing(cwd: Path, editor: FakeEditor) -> None:
    before = tree(cwd)
    host = a_host(cwd, approval="on-request", decision="denied")
    outcome, _ = await reviewed(cwd, editor, *TWO_HUNKS, host=host)
    assert outcome == ToolOutcome(REJECTED)
    assert tree(cwd) == before


@pytest.mark.parametrize(
    ("hunks", "message"),
    [
        ({"ten": [2]}, "hunk 2 of {cwd}/ten, which has 2 hunks"),
        ({"ten": [-1]}, "hunk -1 of {cwd}/ten, which has 2 hunks"),
        ({"old": [1]}, "hunk 1 of {cwd}/old, which has 1 hunk"),
    ],
)
async def test_a_hunk_that_does_not_exist_denies_it(
    cwd: Path, editor: FakeEditor, hunks: dict[str, list[int]], message: str
) -> None:
    before = tree(cwd)
    with pytest.raises(ToolError) as raised:
        await reviewed(cwd, editor, "*** Delete File: old", *TWO_HUNKS, hunks=hunks)
    assert message.format(cwd=cwd) in raised.value.message
    assert tree(cwd) == before


@pytest.mark.parametrize("answer", [{"edited": {"a.txt": "x"}}, {"hunks": {"ten": []}}])
async def test_an_answer_about_files_that_were_not_shown_denies_it(
    cwd: Path, editor: FakeEditor, answer: dict[str, Any]
) -> None:
    # What the user has meant to change cannot be told.
    before = tree(cwd)
    with pytest.raises(ToolError, match="names a file that was not shown: "):
        await reviewed(cwd, editor, "*** Delete File: old", **answer)
    assert tree(cwd) == before


async def test_what_the_user_types_meanwhile_is_not_lost_to_what_they_edited(
    cwd: Path, editor: FakeEditor
) -> None:
    ten = cwd / "ten"
    editor.open(ten)
    edited = {str(ten): TEN.replace("0", "null")}
    host = a_host(cwd, approval="on-request")
    host.answers = [Review("approved", edited), Review("approved")]
    typed = iter([TEN.replace("5", "five")])

    async def type_once() -> None:
        for text in typed:
            editor.type(ten, text)

    host.before_answering = type_once
    await reviewed(cwd, editor, "*** Update File: ten", "@@", "-0", "+zero", host=host)
    # The edited text would have taken back the five, so it is asked about again.
    assert len(host.reviewed) == 2
    assert editor.buffers[ten].text == TEN.replace("5", "five").replace("0", "zero")


async def test_an_answer_holds_for_the_same_patch_of_a_newer_text(
    cwd: Path, editor: FakeEditor
) -> None:
    ten = cwd / "ten"
    editor.open(ten)
    host = a_host(cwd, approval="on-request")
    host.answers = [Review("approved", hunks={str(ten): [1]})]

    async def type_a_little() -> None:
        editor.type(ten, TEN.replace("4", "four"))

    host.before_answering = type_a_little
    outcome, _ = await reviewed(cwd, editor, *TWO_HUNKS, host=host)
    assert end_of(outcome).success
    assert len(host.reviewed) == 1
    assert editor.buffers[ten].text == TEN.replace("4", "four").replace("9", "nine")


async def test_a_choice_of_hunks_that_are_not_there_any_more_is_asked_about_again(
    cwd: Path, editor: FakeEditor
) -> None:
    ten = cwd / "ten"
    editor.open(ten)
    host = a_host(cwd, approval="on-request")
    host.answers = [Review("approved", hunks={str(ten): [1]}), Review("approved")]
    typed = iter(["0\n9\n"])

    async def type_once() -> None:
        for text in typed:
            editor.type(ten, text)

    host.before_answering = type_once
    outcome, _ = await reviewed(cwd, editor, *TWO_HUNKS, host=host)
    assert end_of(outcome).success
    assert len(host.reviewed) == 2
    assert editor.buffers[ten].text == "zero\nnine\n"


async def test_line_ends_are_the_user_s_own(cwd: Path, editor: FakeEditor) -> None:
    (cwd / "dos").write_bytes(b"one\r\ntwo\r\n")
    outcome, host = await reviewed(
        cwd,
        editor,
        *("*** Update File: dos", "@@", "-one", "+ONE"),
        edited={"dos": "ONE\r\ntwo\nthree"},
    )
    assert host.reviewed[0].files == {
        str(cwd / "dos"): ProposedFile("one\r\ntwo\r\n", "ONE\r\ntwo\r\n")
    }
    assert (cwd / "dos").read_bytes() == b"ONE\r\ntwo\nthree"
    assert end_of(outcome).success


async def test_what_is_too_much_to_show_is_only_announced(cwd: Path, editor: FakeEditor) -> None:
    (cwd / "large").write_text("x" * (MAX_SHOWN_BYTES + 1))
    _, host = await reviewed(cwd, editor, "*** Delete File: large", "*** Delete File: old")
    (request,) = host.reviewed
    assert list(request.changes) == [str(cwd / "large"), str(cwd / "old")]
    assert request.files == {str(cwd / "old"): ProposedFile("old\n", None)}


async def test_what_the_model_is_told_is_bounded(cwd: Path, editor: FakeEditor) -> None:
    outcome, _ = await reviewed(
        cwd, editor, "*** Delete File: old", edited={"old": "mine\n" * 20_000}
    )
    output = told(outcome)["output"]
    assert MAX_TOLD_BYTES < len(output) < MAX_TOLD_BYTES + 500
    assert "left out" in output


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\u00e9\r\n"]), max_size=30).map("".join)


@given(LINES, LINES, st.booleans(), st.booleans(), st.data())
@settings(deadline=None, max_examples=200)
def test_hunks_done_one_by_one_make_the_whole(
    old: str, new: str, old_ends: bool, new_ends: bool, data: st.DataObject
) -> None:
    a = (old if old_ends else old.rstrip("\r\n")).encode()
    b = (new if new_ends else new.rstrip("\r\n")).encode()
    count = count_hunks(a, b)
    assert count == unified_diff(a, b).count("@@ -")
    assert with_hunks(a, b, range(count)) == b
    assert with_hunks(a, b, ()) == a
    wanted = data.draw(st.sets(st.integers(0, max(0, count - 1)))) if count else set()
    # What was not done is what is left to do.
    rest = count_hunks(with_hunks(a, b, wanted), b)
    assert rest <= count - len(wanted)

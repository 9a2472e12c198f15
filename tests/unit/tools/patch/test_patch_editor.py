"""Patches of files that are open in an editor: read there, changed there, all or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from anyio import fail_after
from patch_support import Host, a_host, a_tool, apply, diff_of, end_of, patch, told, tree
from support.editor import ALL_OPERATIONS, FakeEditor

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.events import EventMsg, PatchApplyBegin
from codex_rpc.protocol.tools import ToolOutcome
from codex_rpc.protocol.workspace import NoEditor
from codex_rpc.tools.patch.tool import LOOK_AGAIN, NOTHING_CHANGED, PatchTool

UPDATE_A = ("*** Update File: a.txt", "@@", "-one", "+ONE")
ADD_NEW = ("*** Add File: new.txt", "+new")
SUCCESS = "Success. Updated the following files:\n"


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    cwd = tmp_path.resolve() / "project"
    (cwd / ".git").mkdir(parents=True)
    (cwd / "a.txt").write_text("one\n")
    (cwd / "b.txt").write_text("bee\n")
    return cwd


@pytest.fixture
def editor() -> FakeEditor:
    return FakeEditor()


async def applied(
    cwd: Path,
    editor: FakeEditor,
    *lines: str,
    host: Host | None = None,
    tool: PatchTool | None = None,
) -> ToolOutcome:
    with fail_after(5):
        return await apply(patch(*lines), cwd, host=host, tool=tool or a_tool(editor, grace_s=0.01))


def begins(host: Host) -> list[PatchApplyBegin]:
    return [msg for msg in host.announced if isinstance(msg, PatchApplyBegin)]


# Where things go


async def test_what_is_open_is_changed_where_the_user_sees_it(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"
    editor.open(a, "typed\none\n")
    before = tree(cwd)
    host = a_host(cwd)
    outcome = await applied(cwd, editor, *UPDATE_A, host=host)
    assert end_of(outcome).success
    assert editor.buffers[a].text == "typed\nONE\n"
    assert tree(cwd) == before
    assert told(outcome)["output"] == (
        f"{SUCCESS}M a.txt\nNote: a.txt was changed in the editor and is not saved yet\n"
    )
    (edit,) = editor.edits
    assert edit.label == "Codex: a.txt"
    assert editor.shown == [a]
    # The diff begins with what the user saw.
    diff = diff_of(outcome)
    assert diff is not None
    assert diff.endswith("@@ -1,2 +1,2 @@\n typed\n-one\n+ONE\n")
    (begin,) = begins(host)
    change = begin.changes[str(a)]
    assert change != "delete"
    assert change.update is not None
    assert change.update.unified_diff == "@@ -1,2 +1,2 @@\n typed\n-one\n+ONE\n"
    editor.undo(a)
    assert editor.buffers[a].text == "typed\none\n"
    assert editor.buffers[a].undo == []


async def test_nothing_is_said_of_saving_when_the_editor_saves_by_itself(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.open(cwd / "a.txt")

    async def autosave() -> None:
        (cwd / "a.txt").write_text(editor.buffers[cwd / "a.txt"].text)

    editor.after_edit = autosave
    outcome = await applied(cwd, editor, *UPDATE_A)
    assert told(outcome)["output"] == f"{SUCCESS}M a.txt\n"


async def test_a_patch_over_open_and_other_files_is_one_edit_and_the_rest_on_disk(
    cwd: Path, editor: FakeEditor
) -> None:
    (cwd / "c.txt").write_text("see\n")
    editor.open(cwd / "a.txt")
    editor.open(cwd / "b.txt")
    outcome = await applied(
        cwd,
        editor,
        *UPDATE_A,
        *("*** Update File: b.txt", "@@", "-bee", "+BEE"),
        *("*** Update File: c.txt", "@@", "-see", "+SEE"),
        *ADD_NEW,
    )
    assert end_of(outcome).success
    assert editor.texts() == {cwd / "a.txt": "ONE\n", cwd / "b.txt": "BEE\n"}
    assert (cwd / "c.txt").read_text() + (cwd / "new.txt").read_text() == "SEE\nnew\n"
    assert [edit.label for edit in editor.edits] == ["Codex: a.txt, b.txt, c.txt, new.txt"]
    assert diff_of(outcome) is not None


async def test_a_file_that_is_only_open_counts_as_there(cwd: Path, editor: FakeEditor) -> None:
    editor.open(cwd / "draft.txt", "one\n")
    outcome = await applied(cwd, editor, "*** Update File: draft.txt", "@@", "-one", "+two")
    assert end_of(outcome).success
    assert editor.buffers[cwd / "draft.txt"].text == "two\n"
    assert not (cwd / "draft.txt").exists()
    assert (diff_of(outcome) or "").endswith("-one\n+two\n")

    for lines in (
        ("*** Delete File: draft.txt",),
        ("*** Update File: draft.txt", "*** Move to: d.txt"),
    ):
        with pytest.raises(ToolError, match="only in the editor and not saved yet"):
            await applied(cwd, editor, *lines)


@pytest.mark.parametrize("operations", [frozenset(), ALL_OPERATIONS])
async def test_an_open_file_is_removed_and_moved(
    cwd: Path, editor: FakeEditor, operations: frozenset[str]
) -> None:
    editor.resource_operations = operations  # type: ignore[assignment]
    editor.open(cwd / "a.txt", "one\nmore\n")
    editor.open(cwd / "b.txt")
    outcome = await applied(
        cwd,
        editor,
        *("*** Update File: a.txt", "*** Move to: sub/c.txt", "@@", "-one", "+ONE"),
        "*** Delete File: b.txt",
    )
    assert end_of(outcome).success
    assert not (cwd / "a.txt").exists()
    assert not (cwd / "b.txt").exists()
    moved = cwd / "sub/c.txt"
    if operations:
        # The document goes along, with what was not saved of it.
        assert editor.texts() == {moved: "ONE\nmore\n"}
        assert moved.read_text() == "one\n"
        (edit,) = editor.edits
        assert [change.moved_to for change in edit.changes] == [moved, None]
    else:
        assert moved.read_text() == "ONE\nmore\n"
        assert editor.edits == []
    assert not list(cwd.rglob(".codex-patch-*"))
    diff = diff_of(outcome) or ""
    assert "--- a/a.txt\n+++ b/sub/c.txt\n@@ -1,2 +1,2 @@\n-one\n+ONE\n more\n" in diff
    assert "deleted file mode 100644" in diff


async def test_a_move_onto_another_file_is_a_change_of_that_one(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.resource_operations = ALL_OPERATIONS
    editor.open(cwd / "a.txt")
    editor.open(cwd / "b.txt")
    outcome = await applied(cwd, editor, "*** Update File: a.txt", "*** Move to: b.txt")
    assert end_of(outcome).success
    assert editor.texts() == {cwd / "b.txt": "one\n"}
    assert not (cwd / "a.txt").exists()


@pytest.mark.parametrize(
    ("can_save", "operations", "in_editor"),
    [
        (True, ALL_OPERATIONS, True),
        (False, ALL_OPERATIONS, False),
        (True, frozenset({"create", "rename"}), False),
    ],
)
async def test_a_new_file_is_made_in_the_editor_only_if_that_can_save_it(
    cwd: Path,
    editor: FakeEditor,
    can_save: bool,
    operations: frozenset[str],
    in_editor: bool,
) -> None:
    editor.can_save, editor.resource_operations = can_save, operations  # type: ignore[assignment]
    outcome = await applied(cwd, editor, "*** Add File: sub/new.txt", "+new")
    assert told(outcome)["output"] == f"{SUCCESS}A sub/new.txt\n"
    assert (cwd / "sub/new.txt").read_text() == "new\n"
    assert bool(editor.edits) == in_editor
    assert editor.saves == ([([cwd / "sub/new.txt"], False)] if in_editor else [])
    assert "new file mode 100644" in (diff_of(outcome) or "")


async def test_an_editor_that_takes_no_edits_loses_nothing(cwd: Path, editor: FakeEditor) -> None:
    editor.can_edit = False
    editor.open(cwd / "a.txt")
    outcome = await applied(cwd, editor, *UPDATE_A)
    assert end_of(outcome).success
    assert (cwd / "a.txt").read_text() == "ONE\n"
    # The editor still has the old text, which is not what was saved.
    editor.type(cwd / "a.txt", "mine\n")
    with pytest.raises(ToolError, match="changes in the editor that are not saved"):
        await applied(cwd, editor, "*** Update File: a.txt", "@@", "-ONE", "+one")
    assert editor.edits == []


async def test_an_open_file_that_may_not_be_read_stays_unread(
    cwd: Path, editor: FakeEditor
) -> None:
    (cwd / "secret").write_text("hush\n")
    (cwd / "alias").symlink_to("secret")
    for name in ("secret", "alias"):
        editor.buffers.clear()
        editor.open(cwd / name, "hush\n")
        for path in ("secret", "alias"):
            with pytest.raises(ToolError, match="denies reading it"):
                await applied(cwd, editor, f"*** Update File: {path}", "@@", "-hush", "+loud")


async def test_a_document_of_a_denied_name_is_not_read_under_another_one(
    cwd: Path, editor: FakeEditor
) -> None:
    (cwd / "sub").mkdir()
    (cwd / "sub/secret").symlink_to(cwd / "a.txt")
    editor.open(cwd / "sub/secret", "one\n")
    with pytest.raises(ToolError, match="denies reading it"):
        await applied(cwd, editor, *UPDATE_A)


async def test_an_open_file_that_may_not_be_read_is_replaced_unread(
    cwd: Path, editor: FakeEditor
) -> None:
    (cwd / "secret").write_text("hush\n")
    editor.open(cwd / "secret")
    host = a_host(cwd, mode="danger-full-access", approval="untrusted")
    outcome = await applied(cwd, editor, "*** Add File: secret", "+loud", host=host)
    assert editor.buffers[cwd / "secret"].text == "loud\n"
    assert diff_of(outcome) == (
        "diff --git a/secret b/secret\nBinary files a/secret and b/secret differ\n"
    )
    assert "hush" not in repr((host.announced, host.asked, outcome))


async def test_a_mark_at_the_beginning_of_a_file_is_no_change(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"
    a.write_bytes(b"\xef\xbb\xbfone\n")
    editor.open(a, "one\n")
    tool = a_tool(editor)
    outcome = await applied(cwd, editor, *UPDATE_A, tool=tool)
    expected = "@@ -1 +1 @@\n-\ufeffone\n+\ufeffONE\n"
    assert (diff_of(outcome) or "").endswith(expected)
    # Saved and closed it is the same.
    a.write_bytes(b"\xef\xbb\xbfONE\n")
    editor.close(a)
    assert await tool.diff_again(a_host(cwd)) is None


async def test_what_the_user_does_later_is_part_of_the_turn_s_diff(
    cwd: Path, editor: FakeEditor
) -> None:
    tool, host = a_tool(editor), a_host(cwd)
    editor.open(cwd / "a.txt")
    await applied(cwd, editor, *UPDATE_A, host=host, tool=tool)
    editor.type(cwd / "a.txt", "ONE\nmine\n")
    diff = await tool.diff_again(host)
    assert diff is not None
    assert diff.unified_diff.endswith("-one\n+ONE\n+mine\n")
    editor.type(cwd / "a.txt", "one\n")
    diff = await tool.diff_again(host)
    assert diff is not None
    assert diff.unified_diff == ""


# Conflicts


def once(action: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    """`action`, the first time only."""
    actions = [action]

    async def act() -> None:
        if actions:
            actions.pop()()

    return act


async def test_a_change_while_the_user_is_asked_is_asked_about_again(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"
    editor.open(a)
    host = a_host(cwd, approval="untrusted")
    host.before_answering = once(lambda: editor.type(a, "above\none\n"))
    outcome = await applied(cwd, editor, *UPDATE_A, host=host)
    assert end_of(outcome).success
    assert len(host.asked) == 2
    assert editor.buffers[a].text == "above\nONE\n"
    (begin,) = begins(host)
    assert begin.changes == host.asked[1].changes  # type: ignore[union-attr]


async def test_a_change_that_makes_no_difference_is_not_asked_about_again(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"
    editor.open(a, "one\n2\n3\n4\n5\n6\n")
    host = a_host(cwd, approval="untrusted")
    host.before_answering = once(lambda: editor.type(a, "one\n2\n3\n4\n5\nsix\n"))
    outcome = await applied(cwd, editor, *UPDATE_A, host=host)
    assert end_of(outcome).success
    assert len(host.asked) == 1
    assert editor.buffers[a].text == "ONE\n2\n3\n4\n5\nsix\n"


async def test_who_types_on_and_on_is_left_alone(cwd: Path, editor: FakeEditor) -> None:
    a = cwd / "a.txt"
    editor.open(a)
    host = a_host(cwd, approval="untrusted")

    async def type_on() -> None:
        editor.type(a, f"{len(host.asked)}\n{editor.buffers[a].text}")

    host.before_answering = type_on
    with pytest.raises(ToolError, match=LOOK_AGAIN):
        await applied(cwd, editor, *UPDATE_A, host=host)
    assert len(host.asked) == 2
    assert (editor.edits, host.announced) == ([], [])


async def test_a_file_that_is_opened_meanwhile_is_changed_in_the_editor(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"
    host = a_host(cwd, approval="untrusted")
    host.before_answering = once(lambda: editor.open(a, "one\n"))
    outcome = await applied(cwd, editor, *UPDATE_A, host=host)
    assert end_of(outcome).success
    assert (a.read_text(), editor.buffers[a].text) == ("one\n", "ONE\n")


@pytest.mark.parametrize("typed", ["", "above\n"])
async def test_a_change_at_the_last_moment_is_worked_in_if_it_is_no_other_patch(
    cwd: Path, editor: FakeEditor, typed: str
) -> None:
    a = cwd / "a.txt"
    editor.open(a, "one\n2\n3\n4\n5\n6\n")
    editor.before_edit = once(lambda: editor.type(a, f"{typed}one\n2\n3\n4\n5\nsix\n"))
    host = a_host(cwd)
    outcome = await applied(cwd, editor, *UPDATE_A, *ADD_NEW, host=host)
    assert end_of(outcome).success
    assert editor.buffers[a].text == f"{typed}ONE\n2\n3\n4\n5\nsix\n"
    assert (cwd / "new.txt").read_text() == "new\n"
    assert len(begins(host)) == 1
    assert [edit.result and edit.result.outcome for edit in editor.edits] == ["changed", "applied"]
    # What the user typed is not the turn's doing.
    assert "six" not in (diff_of(outcome) or "")


@pytest.mark.parametrize("text", ["uno\n", "one, or two\n"])
async def test_a_change_at_the_last_moment_that_makes_another_patch_of_it_is_told(
    cwd: Path, editor: FakeEditor, text: str
) -> None:
    a = cwd / "a.txt"
    editor.open(a)
    editor.before_edit = once(lambda: editor.type(a, text))
    before = tree(cwd)
    host = a_host(cwd)
    outcome = await applied(cwd, editor, *UPDATE_A, *ADD_NEW, host=host)
    end = end_of(outcome)
    assert not end.success
    assert LOOK_AGAIN in end.stderr
    assert end.stderr.endswith(f"{NOTHING_CHANGED}\n")
    assert (editor.buffers[a].text, tree(cwd)) == (text, before)
    assert len(begins(host)) == 1
    assert len(outcome.events) == 1
    assert editor.shown == []


async def test_the_second_time_is_the_last(cwd: Path, editor: FakeEditor) -> None:
    a = cwd / "a.txt"
    editor.open(a, "one\n2\n3\n4\n5\n6\n")

    async def type_on() -> None:
        editor.type(a, editor.buffers[a].text + "x")

    editor.before_edit = type_on
    outcome = await applied(cwd, editor, *UPDATE_A)
    assert not end_of(outcome).success
    assert end_of(outcome).stderr == (
        f"a.txt has changed in the editor. {LOOK_AGAIN}\n{NOTHING_CHANGED}\n"
    )
    assert len(editor.edits) == 2


async def test_a_change_while_asked_and_another_at_the_last_moment_are_two(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"
    editor.open(a, "one\n2\n3\n4\n5\n6\n")
    host = a_host(cwd, approval="untrusted")
    host.before_answering = once(lambda: editor.type(a, "one\n2\n3\n4\n5\nsix\n"))
    editor.before_edit = once(lambda: editor.type(a, "one\n2\n3\n4\nfive\nsix\n"))
    outcome = await applied(cwd, editor, *UPDATE_A, host=host)
    assert LOOK_AGAIN in end_of(outcome).stderr
    assert editor.buffers[a].text == "one\n2\n3\n4\nfive\nsix\n"


async def test_what_the_editor_refuses_is_not_done_anywhere(cwd: Path, editor: FakeEditor) -> None:
    editor.open(cwd / "a.txt")
    editor.refusals = ["it is read-only"]
    before = tree(cwd)
    outcome = await applied(cwd, editor, *UPDATE_A, *ADD_NEW)
    assert end_of(outcome).stderr == (
        f"The editor has not applied the patch: it is read-only\n{NOTHING_CHANGED}\n"
    )
    assert (editor.buffers[cwd / "a.txt"].text, tree(cwd)) == ("one\n", before)


async def test_what_the_disk_does_not_take_is_taken_back_in_the_editor(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.resource_operations, editor.can_save = ALL_OPERATIONS, True
    for name in ("c", "d"):
        (cwd / name).write_text(f"{name}\n")
    editor.open(cwd / "a.txt", "typed\none\n")
    editor.open(cwd / "b.txt", "bee\nnot saved\n")
    editor.open(cwd / "c", "c\nnot saved\n")
    texts, before = editor.texts(), {p: f[:4] for p, f in tree(cwd).items()}

    editor.after_edit = once(lambda: (cwd / "d").write_text("theirs\n"))
    outcome = await applied(
        cwd,
        editor,
        *UPDATE_A,
        "*** Delete File: b.txt",
        *("*** Update File: c", "*** Move to: moved", "@@", "-c", "+C"),
        *ADD_NEW,
        *("*** Update File: d", "@@", "-d", "+D"),
    )
    assert "was changed by someone else" in end_of(outcome).stderr
    assert end_of(outcome).stderr.endswith(f"{NOTHING_CHANGED}\n")
    assert editor.texts() == texts
    after = {p: f[:4] for p, f in tree(cwd).items()}
    assert after.pop("d")[3] == b"theirs\n"
    del before["d"]
    assert after == before
    assert [edit.label.partition(":")[0] for edit in editor.edits] == ["Codex", "Take back"]


async def test_what_cannot_be_taken_back_is_said(cwd: Path, editor: FakeEditor) -> None:
    a = cwd / "a.txt"
    editor.open(a)

    def meanwhile() -> None:
        (cwd / "b.txt").write_text("theirs\n")
        editor.type(a, "ONE\nmine\n")

    editor.after_edit = once(meanwhile)
    outcome = await applied(cwd, editor, *UPDATE_A, "*** Update File: b.txt", "@@", "-bee", "+BEE")
    assert end_of(outcome).stderr.endswith(
        "Not all of what was done before that could be taken back:\n"
        f"- {a} keeps what the patch changed in the editor\n"
    )
    assert editor.buffers[a].text == "ONE\nmine\n"


async def test_what_a_refused_edit_has_changed_all_the_same_is_said(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.resource_operations = ALL_OPERATIONS
    a, b = cwd / "a.txt", cwd / "b.txt"
    (cwd / "c.txt").write_text("see\n")
    for name in ("a.txt", "b.txt", "c.txt"):
        editor.open(cwd / name)

    def do_half() -> None:
        editor.type(a, "ONE\n")
        # The user goes on with what the edit has made.
        editor.type(b, "BEE\nmine\n")

    editor.before_edit = once(do_half)
    editor.refusals = ["it is read-only"]
    before = tree(cwd)
    outcome = await applied(
        cwd,
        editor,
        *UPDATE_A,
        *("*** Update File: b.txt", "@@", "-bee", "+BEE"),
        *("*** Update File: c.txt", "@@", "-see", "+SEE"),
        *ADD_NEW,
    )
    assert end_of(outcome).stderr == (
        "The editor has not applied the patch: it is read-only\n"
        "Not all of what was done before that could be taken back:\n"
        f"- {a} keeps what the patch changed in the editor\n"
        f"- {b} keeps what the patch changed in the editor\n"
    )
    assert tree(cwd) == before
    assert "+ONE\n" in (diff_of(outcome) or "")


async def test_a_move_that_a_refused_edit_has_made_is_taken_back(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.resource_operations, editor.can_save = ALL_OPERATIONS, True
    a, c = cwd / "a.txt", cwd / "c.txt"
    editor.open(a, "one\nnot saved\n")

    def move() -> None:
        a.rename(c)
        editor.buffers[c] = editor.buffers.pop(a)
        editor.type(c, "ONE\nnot saved\n")
        (cwd / "new.txt").touch()

    editor.before_edit = once(move)
    editor.refusals = ["there is no room"]
    outcome = await applied(
        cwd,
        editor,
        *("*** Update File: a.txt", "*** Move to: c.txt", "@@", "-one", "+ONE"),
        *ADD_NEW,
    )
    assert editor.texts() == {a: "one\nnot saved\n"}
    assert (a.read_text(), c.exists()) == ("one\n", False)
    # Somebody else may have made it.
    assert f"- {cwd}/new.txt is there\n" in end_of(outcome).stderr


async def test_unsaved_text_that_does_not_come_back_is_said(cwd: Path, editor: FakeEditor) -> None:
    editor.resource_operations = ALL_OPERATIONS
    a = cwd / "a.txt"
    editor.open(a, "one\nnot saved\n")
    editor.after_edit = once(lambda: (cwd / "b.txt").write_text("theirs\n"))
    editor.refusals = [None, "no"]
    outcome = await applied(
        cwd, editor, "*** Delete File: a.txt", "*** Update File: b.txt", "@@", "-bee", "+BEE"
    )
    assert f"- {a} could not be brought back in the editor\n" in end_of(outcome).stderr
    assert a.read_text() == "one\n"


async def test_a_file_that_is_opened_while_the_begin_waits_is_changed_in_the_editor(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"

    async def announcing(msg: EventMsg) -> None:
        if isinstance(msg, PatchApplyBegin):
            editor.open(a, "one\n")

    outcome = await applied(cwd, editor, *UPDATE_A, host=a_host(cwd, before_announcing=announcing))
    assert end_of(outcome).success
    assert (a.read_text(), editor.buffers[a].text) == ("one\n", "ONE\n")


@pytest.mark.parametrize("typed", ["", "mine\n"])
async def test_a_file_that_is_opened_while_the_editor_thinks_is_not_changed_behind_it(
    cwd: Path, editor: FakeEditor, typed: str
) -> None:
    a, b = cwd / "a.txt", cwd / "b.txt"
    editor.open(a)
    editor.before_edit = once(lambda: editor.open(b, "bee\n" + typed))
    outcome = await applied(cwd, editor, *UPDATE_A, "*** Update File: b.txt", "@@", "-bee", "+BEE")
    assert end_of(outcome).success
    assert editor.texts() == {a: "ONE\n", b: "BEE\n" + typed}
    assert b.read_text() == "bee\n"


async def test_the_same_lines_at_another_place_are_another_patch(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"
    text = "def f():\n    pass\n\ndef g():\n    pass\n"
    editor.open(a, text)
    now = "def f():\n    return\n\ndef g():\n    pass\n"
    editor.before_edit = once(lambda: editor.type(a, now))
    outcome = await applied(
        cwd, editor, "*** Update File: a.txt", "@@", "-    pass", "+    return 1"
    )
    assert LOOK_AGAIN in end_of(outcome).stderr
    assert editor.buffers[a].text == now


@pytest.mark.parametrize("lines", [("*** Delete File: a.txt",), ("*** Add File: a.txt", "+whole")])
async def test_what_is_typed_into_a_file_that_goes_is_not_lost_unasked(
    cwd: Path, editor: FakeEditor, lines: tuple[str, ...]
) -> None:
    editor.resource_operations = ALL_OPERATIONS
    a = cwd / "a.txt"
    editor.open(a)
    host = a_host(cwd, approval="untrusted")
    host.before_answering = once(lambda: editor.type(a, "one\nprecious\n"))
    outcome = await applied(cwd, editor, *lines, host=host)
    assert len(host.asked) == 2
    assert end_of(outcome).success

    editor.open(a, "one\n")
    a.write_text("one\n")
    editor.before_edit = once(lambda: editor.type(a, "one\nprecious\n"))
    outcome = await applied(cwd, editor, *lines)
    assert LOOK_AGAIN in end_of(outcome).stderr
    assert editor.buffers[a].text == "one\nprecious\n"


async def test_an_editor_without_edits_is_looked_at_again_after_the_question(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.can_edit = False
    a = cwd / "a.txt"
    editor.open(a)
    host = a_host(cwd, approval="untrusted")
    host.before_answering = once(lambda: editor.type(a, "one\nmine\n"))
    with pytest.raises(ToolError, match="changes in the editor that are not saved"):
        await applied(cwd, editor, *UPDATE_A, host=host)
    assert a.read_text() == "one\n"


async def test_a_mark_at_the_beginning_goes_along_when_a_file_is_moved_on_disk(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"
    a.write_bytes(b"\xef\xbb\xbfone\n")
    editor.open(a, "one\n")
    outcome = await applied(cwd, editor, "*** Update File: a.txt", "*** Move to: c.txt")
    assert end_of(outcome).success
    assert (cwd / "c.txt").read_bytes() == b"\xef\xbb\xbfone\n"


# Interruption


async def test_an_editor_that_does_not_answer_holds_nobody_up(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.open(cwd / "a.txt")
    before = tree(cwd)
    with anyio.CancelScope() as scope:

        async def hang() -> None:
            scope.cancel()
            await anyio.sleep_forever()

        editor.before_edit = hang
        host = a_host(cwd)
        await applied(cwd, editor, *UPDATE_A, *ADD_NEW, host=host)
    assert scope.cancelled_caught
    (outcome,) = host.abandoned
    assert end_of(outcome).stderr.startswith("The editor had not answered")
    assert (editor.buffers[cwd / "a.txt"].text, tree(cwd)) == ("one\n", before)


async def test_an_editor_that_has_done_it_need_not_answer(cwd: Path, editor: FakeEditor) -> None:
    editor.open(cwd / "a.txt")
    with anyio.CancelScope() as scope:

        async def hang() -> None:
            scope.cancel()
            await anyio.sleep_forever()

        editor.after_edit = hang
        host = a_host(cwd)
        await applied(cwd, editor, *UPDATE_A, *ADD_NEW, host=host)
    (outcome,) = host.abandoned
    assert end_of(outcome).success
    assert editor.buffers[cwd / "a.txt"].text == "ONE\n"
    assert (cwd / "new.txt").read_text() == "new\n"
    assert diff_of(outcome) is not None


async def test_half_of_what_an_editor_has_done_is_taken_back(cwd: Path, editor: FakeEditor) -> None:
    a, b = cwd / "a.txt", cwd / "b.txt"
    editor.open(a)
    editor.open(b)
    with anyio.CancelScope() as scope:

        async def half() -> None:
            editor.before_edit = once(lambda: None)
            editor.type(a, "ONE\n")
            scope.cancel()
            await anyio.sleep_forever()

        editor.before_edit = half
        host = a_host(cwd)
        await applied(
            cwd, editor, *UPDATE_A, "*** Update File: b.txt", "@@", "-bee", "+BEE", host=host
        )
    (outcome,) = host.abandoned
    assert not end_of(outcome).success
    assert editor.texts() == {a: "one\n", b: "bee\n"}


async def test_an_editor_that_never_answers_again_is_not_waited_for(
    cwd: Path, editor: FakeEditor
) -> None:
    a = cwd / "a.txt"
    editor.open(a)
    editor.open(cwd / "b.txt")
    with anyio.CancelScope() as scope:

        async def half_and_hang() -> None:
            if not scope.cancel_called:
                editor.type(a, "ONE\n")
                scope.cancel()
            await anyio.sleep_forever()

        editor.before_edit = half_and_hang
        host = a_host(cwd)
        await applied(
            cwd, editor, *UPDATE_A, "*** Update File: b.txt", "@@", "-bee", "+BEE", host=host
        )
    (outcome,) = host.abandoned
    assert f"- {a} keeps what the patch changed in the editor\n" in end_of(outcome).stderr


async def test_an_interrupt_is_heard_after_the_editor_has_answered(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.open(cwd / "a.txt")
    with anyio.CancelScope() as scope:

        async def interrupt() -> None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

        editor.before_edit = interrupt
        host = a_host(cwd)
        await applied(cwd, editor, *UPDATE_A, *ADD_NEW, host=host)
    assert scope.cancelled_caught
    (outcome,) = host.abandoned
    assert end_of(outcome).success
    assert (cwd / "new.txt").exists()


async def test_a_bug_in_the_editor_s_side_leaves_the_disk_as_it_was(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.open(cwd / "a.txt")
    before = tree(cwd)

    async def fail() -> None:
        raise RuntimeError

    editor.before_edit = fail
    with pytest.raises(ExceptionGroup):
        await applied(cwd, editor, *UPDATE_A, *ADD_NEW)
    assert tree(cwd) == before


# Without an editor


async def test_without_an_editor_nothing_is_different(cwd: Path) -> None:
    class Watched(NoEditor):
        async def edit(self, changes: object, *, label: str) -> object:  # type: ignore[override]
            raise AssertionError("there is no editor")

    async def announce(msg: EventMsg) -> None:
        assert not isinstance(msg, PatchApplyBegin) or msg.auto_approved

    host = a_host(cwd, before_announcing=announce)
    outcome = await apply(
        patch(*UPDATE_A, *ADD_NEW), cwd, host=host, tool=a_tool(Watched(), review=True)
    )
    assert told(outcome)["output"] == f"{SUCCESS}A new.txt\nM a.txt\n"

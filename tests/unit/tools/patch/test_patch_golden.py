"""The patches of the recorded conversations, with the answers that were recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from patch_support import a_host, a_tool, apply, diff_of, end_of, patch, told

from codex_rpc.protocol.converter import unstructure
from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.events import ApplyPatchApprovalRequest, PatchApplyBegin

THREE = patch(
    "*** Add File: new.txt",
    "+line one",
    "+line two",
    "*** Update File: old.txt",
    "@@",
    " a",
    "-b",
    "+B",
    " c",
    "*** Delete File: gone.txt",
)
SUCCESS = "Success. Updated the following files:\n"
DIFF_OF_THREE = """\
diff --git a/gone.txt b/gone.txt
deleted file mode 100644
index b023018cabc396e7692c70bbf5784a93d3f738ab..0000000000000000000000000000000000000000
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-bye
diff --git a/new.txt b/new.txt
new file mode 100644
index 0000000000000000000000000000000000000000..e5c5c5583f49a34e86ce622b59363df99e09d4c6
--- /dev/null
+++ b/new.txt
@@ -0,0 +1,2 @@
+line one
+line two
diff --git a/old.txt b/old.txt
index de980441c3ab03a8c07dda1ad27b8a11f39deb1e..7be73ce3c1b1cdaea86e8168dfee8575175953bf
--- a/old.txt
+++ b/old.txt
@@ -1,3 +1,3 @@
 a
-b
+B
 c
"""
DIFF_WITH_MOVE = """\
diff --git a/here.txt b/here.txt
new file mode 100644
index 0000000000000000000000000000000000000000..18e54eb42183cfbcf9e5212906b5ab0e4473bcbe
--- /dev/null
+++ b/here.txt
@@ -0,0 +1 @@
+overwrite
diff --git a/mv.txt b/sub/mv2.txt
index b77b4eb1d946f923f61785536da9ca5af6909f06..215c42fc8ae61f0cb15b48fa4100e0386f1505fc
--- a/mv.txt
+++ b/sub/mv2.txt
@@ -1,2 +1,2 @@
-x
+X
 y
"""


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    (tmp_path / "old.txt").write_text("a\nb\nc\n")
    (tmp_path / "gone.txt").write_text("bye\n")
    (tmp_path / "mv.txt").write_text("x\ny\n")
    return tmp_path


def changes_of_three(cwd: Path) -> dict[str, object]:
    return {
        f"{cwd}/gone.txt": "delete",
        f"{cwd}/old.txt": {
            "update": {"unified_diff": "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n", "move_path": None}
        },
        f"{cwd}/new.txt": {"add": {"content": "line one\nline two\n"}},
    }


async def test_three_kinds_of_change_without_a_question(cwd: Path) -> None:
    host = a_host(cwd, mode="danger-full-access")
    outcome = await apply(THREE, cwd, host=host)
    assert [unstructure(event) for event in host.announced] == [
        {
            "type": "patch_apply_begin",
            "call_id": "call_0",
            "auto_approved": True,
            "changes": changes_of_three(cwd),
        }
    ]
    assert [unstructure(event) for event in outcome.events] == [
        {
            "type": "patch_apply_end",
            "call_id": "call_0",
            "stdout": f"{SUCCESS}A new.txt\nM old.txt\nD gone.txt\n",
            "stderr": "",
            "success": True,
        },
        {"type": "turn_diff", "unified_diff": DIFF_OF_THREE},
    ]
    assert outcome.output == (
        '{"output":"Success. Updated the following files:\\nA new.txt\\nM old.txt\\nD gone.txt\\n",'
        '"metadata":{"exit_code":0,"duration_seconds":0.0}}'
    )


async def test_three_kinds_of_change_that_are_asked_about(cwd: Path) -> None:
    host = a_host(cwd, approval="untrusted")
    await apply(THREE, cwd, host=host)
    (request,) = host.asked
    assert isinstance(request, ApplyPatchApprovalRequest)
    assert unstructure(request) == {
        "type": "apply_patch_approval_request",
        "call_id": "call_0",
        "changes": changes_of_three(cwd),
    }
    (begin,) = host.announced
    assert isinstance(begin, PatchApplyBegin)
    assert not begin.auto_approved


async def test_patches_of_one_turn_one_after_the_other(cwd: Path) -> None:
    tool, host = a_tool(), a_host(cwd, mode="danger-full-access")

    added = await apply(patch("*** Add File: here.txt", "+here"), cwd, host=host, tool=tool)
    assert end_of(added).stdout == f"{SUCCESS}A here.txt\n"

    move = patch("*** Update File: mv.txt", "*** Move to: sub/mv2.txt", "@@", "-x", "+X", " y")
    moved = await apply(move, cwd, host=host, tool=tool)
    assert end_of(moved).stdout == f"{SUCCESS}M sub/mv2.txt\n"
    begin = host.announced[-1]
    assert isinstance(begin, PatchApplyBegin)
    assert unstructure(begin)["changes"] == {
        f"{cwd}/mv.txt": {
            "update": {
                "unified_diff": "@@ -1,2 +1,2 @@\n-x\n+X\n y\n",
                "move_path": f"{cwd}/sub/mv2.txt",
            }
        }
    }

    again = await apply(patch("*** Add File: here.txt", "+overwrite"), cwd, host=host, tool=tool)
    assert end_of(again).stdout == f"{SUCCESS}A here.txt\n"
    assert diff_of(again) == DIFF_WITH_MOVE
    begin = host.announced[-1]
    assert isinstance(begin, PatchApplyBegin)
    assert unstructure(begin)["changes"] == {f"{cwd}/here.txt": {"add": {"content": "overwrite\n"}}}

    nothing = await apply(patch("*** Delete File: nope.txt"), cwd, host=host, tool=tool)
    assert unstructure(host.announced[-1]) == {
        "type": "patch_apply_begin",
        "call_id": "call_0",
        "auto_approved": True,
        "changes": {f"{cwd}/nope.txt": "delete"},
    }
    assert told(nothing) == {
        "output": "Failed to delete file nope.txt\n",
        "metadata": {"exit_code": 1, "duration_seconds": 0.0},
    }
    end = end_of(nothing)
    assert (end.stdout, end.stderr, end.success) == ("", "Failed to delete file nope.txt\n", False)
    assert diff_of(nothing) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            patch("*** Update File: old.txt", "@@", "-zzz", "+B"),
            'error: Failed to find expected lines ["zzz"] in {cwd}/old.txt',
        ),
        (
            "garbage",
            "error: invalid patch: The first line of the patch must be '*** Begin Patch'",
        ),
        (
            patch("*** Update File: missing.txt", "@@", "-a", "+B"),
            (
                "error: Failed to read file to update {cwd}/missing.txt: "
                "No such file or directory (os error 2)"
            ),
        ),
        (patch(), "patch rejected: empty patch"),
    ],
)
async def test_a_patch_that_does_not_fit_has_no_events(cwd: Path, text: str, message: str) -> None:
    host = a_host(cwd)
    with pytest.raises(ToolError) as raised:
        await apply(text, cwd, host=host)
    assert raised.value.message == message.format(cwd=cwd)
    assert host.announced == []


async def test_a_path_outside_is_refused_where_nobody_is_asked(cwd: Path) -> None:
    host = a_host(cwd, mode="danger-full-access")
    outside = cwd.parent / "abs.txt"
    outcome = await apply(patch(f"*** Add File: {outside}", "+abs"), cwd, host=host)
    assert outcome.output == (
        "patch rejected: writing outside of the project; rejected by user approval settings"
    )
    assert outcome.events == ()
    assert not outside.exists()


async def test_a_user_s_no_is_told(cwd: Path) -> None:
    host = a_host(cwd, approval="untrusted", decision="denied")
    outcome = await apply(THREE, cwd, host=host)
    assert outcome.output == "patch rejected by user"
    assert (outcome.events, host.announced) == ((), [])
    assert (cwd / "gone.txt").exists()

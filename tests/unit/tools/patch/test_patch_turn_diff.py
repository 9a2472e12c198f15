"""The diff of a turn: git's form, git's ids, and what the turn began with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from attrs import define, field
from patch_support import TURN, patch

from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.tools.patch.grammar import parse_patch
from codex_rpc.tools.patch.plan import make_plan
from codex_rpc.tools.patch.turn_diff import MAX_KEPT_BYTES, TurnDiff
from codex_rpc.tools.patch.versions import blob_id
from codex_rpc.tools.patch.writing import Written, write


@define
class Turns:
    """Applies patches in a folder, and keeps the diff."""

    root: Path
    diff: TurnDiff = field(factory=TurnDiff)

    def apply(self, *lines: str, turn: str = TURN) -> str | None:
        """The turn's diff after a patch."""
        operations = parse_patch(patch(*lines))
        plan = make_plan(operations, cwd=self.root, session_cwd=self.root, may_read=may_read)
        assert write(plan.edits) == Written()
        return self.diff.after(SubmissionId(turn), plan, cwd=self.root, may_read=may_read)


def may_read(path: Path) -> bool:
    return path.name != "secret"


@pytest.fixture
def turns(tmp_path: Path) -> Turns:
    root = tmp_path.resolve() / "root"
    root.mkdir()
    (root / "a.txt").write_text("a\n")
    return Turns(root)


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


def test_ids_are_git_s(turns: Turns) -> None:
    (turns.root / "x").write_bytes(b"\0\xffanything")
    assert git(turns.root, "hash-object", "x").strip() == blob_id(b"\0\xffanything")


def test_git_can_take_a_turn_back(turns: Turns) -> None:
    (turns.root / "run.sh").write_text("run\n")
    (turns.root / "run.sh").chmod(0o755)
    (turns.root / "end").write_text("no end")
    (turns.root / "old name").write_text("x\n")
    git(turns.root, "init", "-q")
    git(turns.root, "add", ".")
    git(turns.root, "commit", "-q", "-m", "m")
    diff = turns.apply(
        "*** Update File: a.txt",
        "@@",
        "-a",
        "+A",
        "*** Update File: end",
        "@@",
        "-no end",
        "+still none",
        "*** Delete File: run.sh",
        "*** Add File: sub/new.txt",
        "+new",
        "*** Add File: empty",
        "*** Update File: old name",
        "*** Move to: new n\u00e4me",
    )
    assert diff is not None
    (turns.root.parent / "diff").write_text(diff)
    git(turns.root, "apply", "--reverse", "../diff")
    assert git(turns.root, "status", "--porcelain") == ""


def test_what_a_turn_does_twice_is_one_change(turns: Turns) -> None:
    turns.apply("*** Update File: a.txt", "@@", "-a", "+b")
    diff = turns.apply("*** Update File: a.txt", "@@", "-b", "+c")
    assert diff is not None
    assert diff.endswith("@@ -1 +1 @@\n-a\n+c\n")
    assert diff.count("diff --git") == 1


def test_what_is_as_it_was_is_no_change(turns: Turns) -> None:
    assert turns.apply("*** Add File: b.txt", "+b") is not None
    assert turns.apply("*** Delete File: b.txt") == ""


def test_a_diff_that_did_not_change_is_not_told_again(turns: Turns) -> None:
    turns.apply("*** Add File: b.txt", "+b")
    assert turns.apply("*** Add File: b.txt", "+b") is None


def test_what_a_command_does_to_a_touched_file_is_part_of_it(turns: Turns) -> None:
    turns.apply("*** Update File: a.txt", "@@", "-a", "+b")
    (turns.root / "a.txt").write_text("b\nmore\n")
    (turns.root / "a.txt").chmod(0o755)
    diff = turns.apply("*** Add File: z", "+z")
    assert diff is not None
    assert diff.startswith(
        "diff --git a/a.txt b/a.txt\nold mode 100644\nnew mode 100755\nindex "
        f"{blob_id(b'a' + bytes([10]))}..{blob_id(b'b' + bytes([10]) + b'more' + bytes([10]))}\n"
    )
    assert "-a\n+b\n+more\n" in diff


def test_a_new_turn_begins_anew(turns: Turns) -> None:
    turns.apply("*** Update File: a.txt", "@@", "-a", "+b", turn="one")
    diff = turns.apply("*** Add File: z", "+z", turn="two")
    assert diff is not None
    assert "a.txt" not in diff


def test_a_file_that_moves_twice_has_moved_once(turns: Turns) -> None:
    turns.apply("*** Update File: a.txt", "*** Move to: b.txt", "@@", "-a", "+b")
    diff = turns.apply("*** Update File: b.txt", "*** Move to: c.txt")
    assert diff == (
        "diff --git a/a.txt b/c.txt\n"
        "index 78981922613b2afb6025042ff6bd878ac1994e85.."
        "61780798228d17af2d34fce4cfbdf35556832472\n"
        "--- a/a.txt\n+++ b/c.txt\n@@ -1 +1 @@\n-a\n+b\n"
    )


def test_a_move_without_a_change_is_a_rename(turns: Turns) -> None:
    diff = turns.apply("*** Update File: a.txt", "*** Move to: b.txt")
    assert diff == (
        "diff --git a/a.txt b/b.txt\nsimilarity index 100%\nrename from a.txt\nrename to b.txt\n"
    )


def test_a_move_over_another_file_is_a_removal_and_a_change(turns: Turns) -> None:
    (turns.root / "b.txt").write_text("b\n")
    diff = turns.apply("*** Update File: a.txt", "*** Move to: b.txt")
    assert diff is not None
    assert "diff --git a/a.txt b/a.txt\ndeleted file mode 100644\n" in diff
    assert "--- a/b.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-b\n+a\n" in diff


def test_a_file_that_moved_away_and_came_back_is_none_that_moved(turns: Turns) -> None:
    turns.apply("*** Update File: a.txt", "*** Move to: b.txt")
    diff = turns.apply("*** Add File: a.txt", "+new")
    assert diff is not None
    assert "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+new\n" in diff
    assert "diff --git a/b.txt b/b.txt\nnew file mode 100644\n" in diff


def test_a_binary_file_is_named_and_not_shown(turns: Turns) -> None:
    (turns.root / "b.bin").write_bytes(b"\0\1")
    diff = turns.apply("*** Delete File: b.bin")
    assert diff is not None
    assert diff.endswith("Binary files a/b.bin and /dev/null differ\n")
    assert "\0" not in diff


def test_a_file_that_may_not_be_read_is_named_and_not_shown(turns: Turns) -> None:
    (turns.root / "secret").write_text("hush\n")
    diff = turns.apply("*** Add File: secret", "+loud")
    assert diff == ("diff --git a/secret b/secret\nBinary files a/secret and b/secret differ\n")


def test_a_large_file_is_named_and_not_shown(turns: Turns) -> None:
    (turns.root / "large").write_bytes(b"x" * MAX_KEPT_BYTES + b"\nend\n")
    diff = turns.apply("*** Update File: large", "@@", "-end", "+END")
    assert diff is not None
    assert len(diff) < 300
    assert diff.endswith("Binary files a/large and b/large differ\n")
    # Only its hash is kept, which tells when it is as it was.
    assert turns.apply("*** Update File: large", "@@", "-END", "+end") == ""


def test_a_removed_link_is_shown_as_git_does(turns: Turns) -> None:
    (turns.root / "link").symlink_to("a.txt")
    diff = turns.apply("*** Delete File: link")
    assert diff == (
        "diff --git a/link b/link\ndeleted file mode 120000\n"
        f"index {blob_id(b'a.txt')}..{'0' * 40}\n--- a/link\n+++ /dev/null\n@@ -1 +0,0 @@\n-a.txt\n"
        "\\ No newline at end of file\n"
    )


def test_names_cannot_forge_lines(turns: Turns) -> None:
    name = 'x\n+++ b/"y\t'
    (turns.root / name).parent.mkdir()
    (turns.root / name).write_text("a\n")
    os.symlink(turns.root / name, turns.root / "link")
    diff = turns.apply("*** Update File: link", "@@", "-a", "+b")
    assert diff is not None
    assert diff.startswith(r'diff --git "a/x\n+++ b/\"y\t" "b/x\n+++ b/\"y\t"' + "\n")


def test_paths_outside_of_the_session_s_folder_are_absolute(turns: Turns) -> None:
    diff = turns.apply("*** Add File: ../outside", "+x")
    assert diff is not None
    outside = turns.root.parent / "outside"
    assert diff.startswith(f"diff --git a/{outside} b/{outside}\n")

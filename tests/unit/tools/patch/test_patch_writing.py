"""Files put in place: links, modes, folders, and what happens when that fails half way."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patch_support import patch, tree

from codex_rpc.protocol.converter import unstructure
from codex_rpc.protocol.errors import ToolError
from codex_rpc.tools.patch.grammar import parse_patch
from codex_rpc.tools.patch.plan import Plan, make_plan
from codex_rpc.tools.patch.writing import OWN_PREFIX, NotWritten, Written, write

IS_ROOT = os.geteuid() == 0
NOBODY = 65534
UPDATE_A = ("*** Update File: a.txt", "@@", "-a", "+A")


def planned(root: Path, *lines: str, cwd: Path | None = None) -> Plan:
    return make_plan(
        parse_patch(patch(*lines)),
        cwd=cwd or root,
        session_cwd=root,
        may_read=lambda path: path.name != "secret",
    )


def written(root: Path, *lines: str) -> Plan:
    plan = planned(root, *lines)
    assert write(plan.edits) == Written()
    assert not list(root.rglob(f"{OWN_PREFIX}*"))
    return plan


def refusal(root: Path, *lines: str) -> str:
    before = tree(root)
    with pytest.raises(ToolError) as raised:
        planned(root, *lines)
    assert tree(root) == before
    return raised.value.message


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "root"
    root.mkdir()
    (root / "a.txt").write_text("a\n")
    return root


# What stays


def test_a_file_keeps_its_mode_and_owner(root: Path) -> None:
    (root / "a.txt").chmod(0o4751)
    if IS_ROOT:
        os.chown(root / "a.txt", NOBODY, NOBODY)
        (root / "a.txt").chmod(0o4751)
    before = (root / "a.txt").stat()
    written(root, *UPDATE_A)
    after = (root / "a.txt").stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert (root / "a.txt").read_text() == "A\n"


@pytest.mark.skipif(not IS_ROOT, reason="only root can make a file that it does not own")
def test_a_file_that_cannot_keep_its_owner_loses_its_set_id_bits() -> None:
    with folder_of_nobody() as root:
        (root / "a.txt").write_text("a\n")
        (root / "a.txt").chmod(0o4755)
        with as_nobody():
            written(root, *UPDATE_A)
        status = (root / "a.txt").stat()
        assert (status.st_uid, status.st_mode & 0o7777) == (NOBODY, 0o755)


def test_a_moved_file_takes_its_mode_along(root: Path) -> None:
    (root / "a.txt").chmod(0o750)
    (root / "b.txt").write_text("b\n")
    (root / "b.txt").chmod(0o600)
    written(root, "*** Update File: a.txt", "*** Move to: b.txt")
    assert (root / "b.txt").stat().st_mode & 0o777 == 0o750
    assert (root / "b.txt").read_text() == "a\n"
    assert not (root / "a.txt").exists()


def test_a_new_file_has_the_mode_that_the_user_s_mask_gives(root: Path) -> None:
    mask = os.umask(0o027)
    try:
        written(root, "*** Add File: deep/er/new.txt", "+x")
    finally:
        os.umask(mask)
    assert (root / "deep/er/new.txt").stat().st_mode & 0o777 == 0o640
    assert (root / "deep/er").stat().st_mode & 0o777 == 0o750


def test_a_replaced_file_keeps_its_mode(root: Path) -> None:
    (root / "a.txt").chmod(0o700)
    written(root, "*** Delete File: a.txt", "*** Add File: a.txt", "+new")
    assert (root / "a.txt").stat().st_mode & 0o777 == 0o700
    assert (root / "a.txt").read_text() == "new\n"


def test_what_ends_as_it_was_is_not_written(root: Path) -> None:
    before = tree(root)
    plan = written(root, "*** Add File: b.txt", "+b", "*** Delete File: b.txt", *UPDATE_A[:3], "+a")
    assert plan.edits == ()
    assert tree(root) == before


def test_another_name_of_a_file_keeps_the_old_content(root: Path) -> None:
    os.link(root / "a.txt", root / "other.txt")
    written(root, *UPDATE_A)
    assert (root / "other.txt").read_text() == "a\n"


# Links


def test_an_update_goes_through_a_link_and_the_link_stays(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to("far/../a.txt")
    (root / "far").mkdir()
    plan = written(root, "*** Update File: link", "@@", "-a", "+A")
    assert (root / "link").is_symlink()
    assert (root / "a.txt").read_text() == "A\n"
    assert list(plan.changes) == [str(root / "a.txt")]
    assert plan.summary == "M link\n"


def test_the_target_of_a_link_is_what_has_to_be_allowed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("a\n")
    (root / "link").symlink_to(tmp_path / "outside.txt")
    (root / "folder").symlink_to(tmp_path)
    for path in ("link", "../outside.txt", "folder/outside.txt"):
        plan = planned(root, f"*** Update File: {path}", "@@", "-a", "+A")
        assert plan.touched == (tmp_path.resolve() / "outside.txt",)


def test_a_new_file_goes_to_where_a_dangling_link_leads(root: Path) -> None:
    (root / "link").symlink_to("sub/new.txt")
    written(root, "*** Add File: link", "+x")
    assert (root / "sub/new.txt").read_text() == "x\n"
    assert (root / "link").is_symlink()


def test_removing_a_link_leaves_its_target(root: Path) -> None:
    (root / "link").symlink_to("a.txt")
    plan = written(root, "*** Delete File: link")
    assert not (root / "link").is_symlink()
    assert (root / "a.txt").exists()
    assert plan.changes == {str(root / "link"): "delete"}


def test_moving_a_link_moves_the_content_and_leaves_the_target(root: Path) -> None:
    (root / "link").symlink_to("a.txt")
    written(root, "*** Update File: link", "*** Move to: b.txt", "@@", "-a", "+A")
    assert not (root / "link").is_symlink()
    assert (root / "a.txt").read_text() == "a\n"
    assert (root / "b.txt").read_text() == "A\n"
    assert not (root / "b.txt").is_symlink()


def test_a_file_takes_the_place_of_a_link_that_was_removed(root: Path) -> None:
    (root / "link").symlink_to("a.txt")
    written(root, "*** Delete File: link", "*** Add File: link", "+x")
    assert not (root / "link").is_symlink()
    assert (root / "link").stat().st_mode & 0o111 == 0
    assert (root / "a.txt").read_text() == "a\n"


def test_a_path_through_a_link_that_was_removed_is_refused(root: Path) -> None:
    (root / "real").mkdir()
    (root / "folder").symlink_to("real")
    message = refusal(root, "*** Delete File: folder", "*** Add File: folder/x", "+x")
    assert message == ("error: the path folder/x leads through a link that the same patch removes")


def test_two_spellings_of_one_file_are_one_file(root: Path) -> None:
    (root / "link").symlink_to("a.txt")
    written(root, *UPDATE_A, "*** Update File: ./link", "@@", "-A", "+AA")
    assert (root / "a.txt").read_text() == "AA\n"


def test_a_path_is_shown_as_the_session_spells_its_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    session = tmp_path / "alias"
    plan = make_plan(
        parse_patch(patch(*UPDATE_A)), cwd=session, session_cwd=session, may_read=lambda path: True
    )
    assert list(plan.changes) == [f"{session}/a.txt"]
    assert plan.edits[0].target == root / "a.txt"


def test_a_file_that_is_moved_away_and_made_anew_is_two_changes(root: Path) -> None:
    plan = written(
        root, "*** Update File: a.txt", "*** Move to: b.txt", "*** Add File: a.txt", "+new"
    )
    changes = {Path(path).name: unstructure(change) for path, change in plan.changes.items()}
    assert changes == {"a.txt": {"add": {"content": "new\n"}}, "b.txt": {"add": {"content": "a\n"}}}
    assert plan.moves == ()


# What cannot be planned


def test_what_is_no_file_is_not_touched(root: Path) -> None:
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to("loop")
    assert refusal(root, "*** Add File: folder", "+x") == (
        f"error: Failed to write file {root}/folder: Is a directory (os error 21)"
    )
    assert refusal(root, "*** Update File: pipe", "@@", "-x") == (
        f"error: Failed to read file to update {root}/pipe: Not a regular file (os error 22)"
    )
    assert refusal(root, "*** Update File: a.txt", "*** Move to: pipe") == (
        f"error: Failed to write file {root}/pipe: Not a regular file (os error 22)"
    )
    assert refusal(root, "*** Update File: loop", "@@", "-x") == (
        f"error: Failed to read file to update {root}/loop: "
        "Too many levels of symbolic links (os error 40)"
    )
    assert refusal(root, "*** Add File: a.txt/b", "+x") == (
        f"error: Failed to write file {root}/a.txt/b: Not a directory (os error 20)"
    )
    assert refusal(root, "*** Add File: ..", "+x") == (
        f"error: Failed to write file {root.parent}: Is a directory (os error 21)"
    )
    assert planned(root, "*** Delete File: folder").undeletable == ("folder",)


def test_a_file_cannot_be_a_folder_in_one_patch(root: Path) -> None:
    message = f"error: {root}/x cannot be a file and the folder of {root}/x/y in one patch"
    assert refusal(root, "*** Add File: x", "+1", "*** Add File: x/y", "+1") == message


def test_a_file_that_may_not_be_read_is_not_updated(root: Path) -> None:
    (root / "secret").write_text("a\n")
    assert refusal(root, "*** Update File: secret", "@@", "-a", "+b") == (
        f"error: Failed to read file to update {root}/secret: "
        "the user's configuration denies reading it"
    )
    (root / "link").symlink_to("secret")
    assert "denies reading it" in refusal(root, "*** Update File: link", "@@", "-a")


def test_a_file_that_may_not_be_read_is_replaced_unread(root: Path) -> None:
    (root / "secret").write_text("old\n")
    plan = written(root, "*** Add File: secret", "+new")
    assert plan.edits[0].before is not None
    assert plan.edits[0].before.content is None
    assert (root / "secret").read_text() == "new\n"


# Half way


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder that everyone can reach, with all that is in it root's."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        root.chmod(0o777)
        yield root


@contextmanager
def as_nobody() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def failure(plan: Plan) -> NotWritten:
    result = write(plan.edits)
    assert isinstance(result, NotWritten)
    return result


@pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")
def test_the_files_before_are_taken_back_when_one_cannot_be_removed() -> None:
    with folder_of_nobody() as root:
        (root / "a.txt").write_text("a\n")
        (root / "gone.txt").write_text("gone\n")
        (root / "locked").mkdir()
        (root / "locked/b.txt").write_text("b\n")
        os.chown(root / "gone.txt", NOBODY, NOBODY)
        before = tree(root)
        with as_nobody():
            plan = planned(
                root,
                *UPDATE_A,
                "*** Add File: new/x.txt",
                "+x",
                "*** Delete File: gone.txt",
                "*** Delete File: locked/b.txt",
            )
            result = failure(plan)
        assert result == NotWritten(
            f"Failed to delete file {root}/locked/b.txt: Permission denied (os error 13)"
        )
        assert tree(root) == before


_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_APPEND_ONLY, _IMMUTABLE = 0x20, 0x10


@contextmanager
def flagged(path: Path, flag: int) -> Iterator[None]:
    """`path` with one of the file system's own flags, as `chattr` sets them."""
    fd = os.open(path, os.O_RDONLY)
    try:
        try:
            flags = struct.unpack("L", fcntl.ioctl(fd, _GET_FLAGS, struct.pack("L", 0)))[0]
            fcntl.ioctl(fd, _SET_FLAGS, struct.pack("L", flags | flag))
        except OSError as exc:
            pytest.skip(f"this file system has no such flags here: {exc.strerror}")
        try:
            yield
        finally:
            fcntl.ioctl(fd, _SET_FLAGS, struct.pack("L", flags))
    finally:
        os.close(fd)


def test_the_files_before_are_taken_back_when_one_cannot_be_replaced(root: Path) -> None:
    (root / "fixed.txt").write_text("a\n")
    before = tree(root)
    with flagged(root / "fixed.txt", _IMMUTABLE):
        plan = planned(
            root, *UPDATE_A, "*** Add File: n/x", "+x", "*** Update File: fixed.txt", "@@", "-a"
        )
        result = failure(plan)
    assert result == NotWritten(
        f"Failed to write file {root}/fixed.txt: Operation not permitted (os error 1)"
    )
    assert tree(root) == before


def test_what_cannot_be_taken_back_is_said(root: Path) -> None:
    (root / "only-more").mkdir()
    (root / "fixed.txt").write_text("a\n")
    # In an append-only folder files can be made, but neither removed nor renamed.
    with flagged(root / "only-more", _APPEND_ONLY), flagged(root / "fixed.txt", _IMMUTABLE):
        plan = planned(
            root,
            *UPDATE_A,
            "*** Add File: only-more/x",
            "+x",
            "*** Update File: fixed.txt",
            "@@",
            "-a",
        )
        result = failure(plan)
    assert (root / "a.txt").read_text() == "a\n"
    left = sorted(path.name for path in (root / "only-more").iterdir())
    # The new content was there under both names when its first one could not be removed.
    assert left[1:] == ["x"]
    assert left[0].startswith(OWN_PREFIX)
    assert result.message == (
        f"Failed to write file {root}/only-more/x: Operation not permitted (os error 1)"
    )
    assert sorted(result.left) == [
        (
            f"{root}/only-more/{left[0]} is left and can be removed "
            "(Operation not permitted (os error 1))"
        ),
        f"the new file {root}/only-more/x is left (Operation not permitted (os error 1))",
    ]


def test_what_is_left_of_a_file_that_cannot_be_replaced_is_said(root: Path) -> None:
    folder = root / "only-more"
    folder.mkdir()
    (folder / "b.txt").write_text("b\n")
    with flagged(folder, _APPEND_ONLY):
        plan = planned(root, *UPDATE_A, "*** Update File: only-more/b.txt", "@@", "-b", "+B")
        result = failure(plan)
    assert (root / "a.txt").read_text() == "a\n"
    assert (folder / "b.txt").read_text() == "b\n"
    assert result.message == (
        f"Failed to write file {folder}/b.txt: Operation not permitted (os error 1)"
    )
    ours = [path for path in folder.iterdir() if path.name.startswith(OWN_PREFIX)]
    assert sorted(path.read_text() for path in ours) == ["B\n", "b\n"]
    assert sorted(result.left) == sorted(
        f"{path} is left and can be removed (Operation not permitted (os error 1))" for path in ours
    )


@pytest.mark.skipif(not IS_ROOT, reason="only root can mount a file system")
def test_a_full_disk_changes_nothing(root: Path) -> None:
    disk = root / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.strip()}")
    try:
        (disk / "b.txt").write_text("b\n")
        before = tree(root)
        large = ["*** Add File: disk/sub/large.txt", *["+" + "x" * 999] * 100]
        result = failure(planned(root, *UPDATE_A, "*** Delete File: disk/b.txt", *large))
        assert result == NotWritten(
            f"Failed to write file {disk}/sub/large.txt: No space left on device (os error 28)"
        )
        assert tree(root) == before
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_became_a_link_leads_nowhere(root: Path, tmp_path: Path) -> None:
    (root / "sub").mkdir()
    (tmp_path / "outside").mkdir()
    plan = planned(root, *UPDATE_A, "*** Add File: sub/new/x", "+x")
    (root / "sub").rmdir()
    (root / "sub").symlink_to(tmp_path / "outside")
    before = tree(tmp_path)
    result = failure(plan)
    assert result.message == (
        f"Failed to write file {root}/sub/new/x: Not a directory (os error 20); "
        "a folder on the way was replaced since the patch was prepared"
    )
    assert result.left == ()
    assert tree(tmp_path) == before


def test_a_file_that_became_a_link_is_not_written_through(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("a\n")
    plan = planned(root, *UPDATE_A)
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to(tmp_path / "outside.txt")
    before = tree(tmp_path)
    assert "was changed by someone else" in failure(plan).message
    assert tree(tmp_path) == before


def test_a_change_that_hides_behind_the_old_time_is_noticed(root: Path) -> None:
    status = (root / "a.txt").stat()
    plan = planned(root, *UPDATE_A)
    with (root / "a.txt").open("r+") as file:
        file.write("b\n")
    os.utime(root / "a.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert failure(plan) == NotWritten(
        f"{root}/a.txt was changed by someone else since the patch was prepared. "
        "Look at it again before the next patch."
    )
    assert (root / "a.txt").read_text() == "b\n"


def test_a_file_that_came_into_being_is_not_replaced(root: Path) -> None:
    plan = planned(root, *UPDATE_A, "*** Add File: new.txt", "+x")
    (root / "new.txt").write_text("someone's\n")
    assert "new.txt was changed by someone else" in failure(plan).message
    assert (root / "new.txt").read_text() == "someone's\n"
    assert (root / "a.txt").read_text() == "a\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files here")
def test_no_folder_stays_open(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    written(root, *UPDATE_A, "*** Add File: x/y/z", "+z")
    plan = planned(root, "*** Update File: a.txt", "@@", "-A", "+B")
    (root / "a.txt").unlink()
    failure(plan)
    refusal(root, "*** Update File: x/y/nothing", "@@", "-A", "+B")
    assert len(os.listdir("/proc/self/fd")) == before

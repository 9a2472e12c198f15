"""The scratch folder, and its removal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codex_rpc.sandbox import temporary
from codex_rpc.sandbox.temporary import Scratch


@pytest.fixture
def room(tmp_path: Path) -> Path:
    folder = tmp_path / "room"
    folder.mkdir()
    return folder


def made(room: Path) -> tuple[Scratch, Path]:
    scratch = Scratch({"TMPDIR": str(room)})
    folder = scratch.folder()
    assert folder is not None
    assert Path(folder).parent == room
    return scratch, Path(folder)


def test_the_folder_is_removed_with_all_that_is_in_it(room: Path) -> None:
    scratch, folder = made(room)
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("x")
    os.mkfifo(folder / "fifo")
    (folder / "a" / "link").symlink_to("/etc")
    for shut in (folder / "a" / "b", folder / "a", folder):
        shut.chmod(0 if shut != folder else 0o700)
    scratch.remove()
    scratch.remove()
    assert os.listdir(room) == []


def test_no_depth_is_too_deep(room: Path) -> None:
    scratch, folder = made(room)
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    scratch.remove()
    assert os.listdir(room) == []


@pytest.mark.parametrize("instead", ["link", "folder"])
def test_what_was_put_in_its_place_is_not_touched(
    room: Path, tmp_path: Path, instead: str, caplog: pytest.LogCaptureFixture
) -> None:
    victim = tmp_path / "victim"
    (victim / "a").mkdir(parents=True)
    (victim / "a").chmod(0o755)
    (victim / "a" / "file").write_text("precious")
    scratch, folder = made(room)
    folder.rename(room / "taken")
    if instead == "link":
        folder.symlink_to(victim)
    else:
        victim.rename(folder)
        victim = folder
    scratch.remove()
    assert (victim / "a" / "file").read_text() == "precious"
    assert (victim / "a").stat().st_mode & 0o777 == 0o755
    assert "something else is there" in caplog.text


def test_links_in_it_are_removed_and_not_followed(room: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "a").mkdir(parents=True)
    victim.chmod(0o750)
    scratch, folder = made(room)
    (folder / "link").symlink_to(victim)
    (folder / "shut").mkdir()
    (folder / "shut" / "link").symlink_to(victim)
    scratch.remove()
    assert os.listdir(room) == []
    assert os.listdir(victim) == ["a"]
    assert victim.stat().st_mode & 0o777 == 0o750


def test_what_can_be_removed_is_removed_where_something_cannot(room: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may remove everything")
    _, folder = made(room)
    (folder / "a").mkdir()
    fd = os.open(folder, os.O_RDONLY)
    folder.chmod(0o500)
    with pytest.raises(OSError, match="denied"):
        temporary.empty(fd)
    os.close(fd)
    folder.chmod(0o700)

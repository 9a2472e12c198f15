"""Patches against a model: a dictionary of paths and texts."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patch_model import on_disk, start
from patch_support import patch, tree

from codex_rpc.protocol.errors import ToolError
from codex_rpc.tools.patch.grammar import parse_patch
from codex_rpc.tools.patch.plan import Plan, make_plan
from codex_rpc.tools.patch.writing import NotWritten, Written, write


def planned(text: str, root: Path) -> Plan:
    operations = parse_patch(text)
    return make_plan(operations, cwd=root, session_cwd=root, may_read=lambda path: True)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_patch_does_what_its_operations_do_one_after_the_other(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        model = start(data.draw, root)
        for _ in range(data.draw(st.integers(1, 5))):
            model.step()
        if not model.operations:
            return
        plan = planned(patch(*model.operations), root)
        assert write(plan.edits) == Written()
        assert on_disk(root) == model.contents()


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_patch_that_does_not_fit_changes_nothing(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        model = start(data.draw, root)
        for _ in range(data.draw(st.integers(0, 4))):
            model.step()
        wrong = data.draw(
            st.sampled_from(
                [
                    ["*** Update File: missing.txt", "@@", "-x"],
                    ["*** Update File: d", "@@", "-x"],
                    ["*** Add File: d", "+x"],
                    *(
                        [f"*** Update File: {path}", "@@", "-not in it"]
                        for path in sorted(model.files)
                    ),
                ]
            )
        )
        (root / "d").mkdir(exist_ok=True)
        before = tree(root)
        with pytest.raises(ToolError):
            planned(patch(*model.operations, *wrong), root)
        assert tree(root) == before


@contextmanager
def largest_file(max_bytes: int) -> Iterator[None]:
    """No file can be written beyond `max_bytes`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def touch(root: Path, path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


def replace(root: Path, path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def swap_folder_for_link(root: Path, path: Path) -> None:
    folder = path.parent if path.parent != root else root / "d"
    folder.rename(root / "away")
    folder.symlink_to(root / "away")


HINDRANCES: list[Callable[[Path, Path], None]] = [touch, replace, Path.unlink, swap_folder_for_link]


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_a_failure_in_the_middle_leaves_everything_as_it_was(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        model = start(data.draw, root)
        for _ in range(data.draw(st.integers(0, 4))):
            model.step()
        # The last file of the patch cannot be written; it comes after all the others.
        model.operations += ["*** Add File: z/y/large.txt", "+" + "x" * 5000]
        plan = planned(patch(*model.operations), root)
        before = tree(root)
        with largest_file(data.draw(st.integers(4096, 5000))):
            result = write(plan.edits)
        assert isinstance(result, NotWritten)
        assert result.message == (
            f"Failed to write file {root}/z/y/large.txt: File too large (os error 27)"
        )
        assert result.left == ()
        assert tree(root) == before


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_nothing_is_written_when_a_file_is_another_one_meanwhile(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        model = start(data.draw, root)
        (root / "d").mkdir(exist_ok=True)
        (root / "d/last.txt").write_text("x\n")
        for _ in range(data.draw(st.integers(0, 4))):
            model.step()
        plan = planned(patch(*model.operations, "*** Delete File: d/last.txt"), root)
        touched = [edit.target for edit in plan.edits if edit.before is not None]
        hindrance = data.draw(st.sampled_from(HINDRANCES))
        victim = data.draw(st.sampled_from(touched))
        if hindrance is Path.unlink:
            victim.unlink()
        else:
            if hindrance is swap_folder_for_link:
                victim = root / "d/last.txt"
            hindrance(root, victim)
        before = tree(root)
        result = write(plan.edits)
        assert isinstance(result, NotWritten)
        assert result.left == ()
        assert tree(root) == before

"""Patches against a model: a dictionary of paths and texts."""

from __future__ import annotations

import difflib
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from patch_support import patch, tree

from codex_rpc.protocol.errors import ToolError
from codex_rpc.tools.patch.grammar import parse_patch
from codex_rpc.tools.patch.plan import Plan, make_plan
from codex_rpc.tools.patch.writing import NotWritten, Written, write

PATHS = ["a.txt", "b.txt", "d/c.txt", "d/e/f.txt", "new/g.txt", "new/h/i.txt"]


@define
class Model:
    """Files as lines with their line end, and the patch that led here."""

    draw: st.DrawFn
    files: dict[str, tuple[list[str], str, bool]] = field(factory=dict)
    """By path: lines, line end, whether the last line has one."""
    operations: list[str] = field(factory=list)
    lines_made: int = 0

    def some_lines(self, *, at_least: int = 0) -> list[str]:
        """New lines, no two alike, so that every hunk has one place."""
        count = self.draw(st.integers(at_least, 8))
        extra = st.sampled_from(["", " \u00e9", "\t\u201cx\u201d", " *** End Patch", "\u2028"])
        lines = [f"{self.lines_made + n} {self.draw(extra)}" for n in range(count)]
        self.lines_made += count
        return lines

    def contents(self) -> dict[str, bytes]:
        return {path: content_of(*file) for path, file in self.files.items()}

    def step(self) -> None:
        present = sorted(self.files)
        kinds = ["add"] + (["update", "move", "delete"] if present else [])
        kind = self.draw(st.sampled_from(kinds))
        if kind == "add":
            self.add(self.draw(st.sampled_from(PATHS)))
            return
        path = self.draw(st.sampled_from(present))
        if kind == "delete":
            del self.files[path]
            self.operations.append(f"*** Delete File: {path}")
        else:
            to = self.draw(st.sampled_from(PATHS)) if kind == "move" else path
            self.update(path, to)

    def add(self, path: str) -> None:
        lines = self.some_lines()
        self.files[path] = (lines, "\n", True)
        self.operations += [f"*** Add File: {path}", *("+" + line for line in lines)]

    def update(self, path: str, to: str) -> None:
        old, end, is_ended = self.files[path]
        new = list(old)
        for _ in range(self.draw(st.integers(1, 3))):
            at = self.draw(st.integers(0, len(new)))
            upto = self.draw(st.integers(at, min(len(new), at + 2)))
            new[at:upto] = self.some_lines()
        hunks = self.hunks(old, new)
        if not hunks and to == path:
            return
        self.operations.append(f"*** Update File: {path}")
        if to != path:
            self.operations.append(f"*** Move to: {to}")
        self.operations += hunks
        del self.files[path]
        is_ended = is_ended or not old
        self.files[to] = (new, known_end(new, end, is_ended), is_ended)

    def hunks(self, old: list[str], new: list[str]) -> list[str]:
        context = self.draw(st.integers(1, 3))
        spaces = self.draw(st.sampled_from(["", "  "]))
        lines = []
        matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
        for group in matcher.get_grouped_opcodes(context):
            lines.append("@@")
            for _, a0, a1, b0, b1 in group:
                if old[a0:a1] == new[b0:b1]:
                    lines += [f" {line}{spaces}" for line in old[a0:a1]]
                    continue
                lines += ["-" + line for line in old[a0:a1]]
                lines += ["+" + line for line in new[b0:b1]]
        return lines


def known_end(lines: list[str], end: str, is_ended: bool) -> str:
    """`end` if the file shows it, otherwise what new files have."""
    return end if len(lines) > (not is_ended) else "\n"


def content_of(lines: list[str], end: str, is_ended: bool) -> bytes:
    text = "".join(line + end for line in lines)
    return (text if is_ended else text.removesuffix(end)).encode()


def start(draw: st.DrawFn, root: Path) -> Model:
    """A model with some files, which are also put below `root`."""
    model = Model(draw)
    for path in sorted(draw(st.sets(st.sampled_from(PATHS[:4])))):
        end = draw(st.sampled_from(["\n", "\r\n"]))
        lines, is_ended = model.some_lines(at_least=1), draw(st.booleans())
        model.files[path] = (lines, known_end(lines, end, is_ended), is_ended)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content_of(*model.files[path]))
        (root / path).chmod(draw(st.sampled_from([0o644, 0o600, 0o755])))
    return model


def planned(text: str, root: Path) -> Plan:
    operations = parse_patch(text)
    return make_plan(operations, cwd=root, session_cwd=root, may_read=lambda path: True)


def on_disk(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


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

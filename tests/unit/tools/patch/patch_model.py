"""A model of patches for properties: a dictionary of paths and texts, and what changes it."""

from __future__ import annotations

import difflib
from pathlib import Path

from attrs import define, field
from hypothesis import strategies as st

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


def on_disk(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }

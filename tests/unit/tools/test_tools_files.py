"""Text files that the user points at: from the editor or from disk, whole or a part."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from anyio import fail_after
from hypothesis import given, settings
from hypothesis import strategies as st
from support.editor import FakeEditor
from tools_support import toolbox

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.ops import Position, Range
from codex_rpc.tools.files import MAX_FILE_BYTES, MAX_TEXT_BYTES, _cut


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    cwd = tmp_path.resolve() / "project"
    cwd.mkdir()
    return cwd


async def text(
    cwd: Path, name: str, part: Range | None = None, editor: FakeEditor | None = None
) -> str:
    box = toolbox(cwd, workspace=editor, deny_read=("**/.env",))
    with fail_after(5):
        return await box.read_text(cwd / name, part, cwd)


async def problem(cwd: Path, name: str, part: Range | None = None, **editor: FakeEditor) -> str:
    with pytest.raises(ToolError) as raised:
        await text(cwd, name, part, **editor)
    assert raised.value.message.startswith(f"cannot read {cwd}/{name}: ")
    return raised.value.message.removeprefix(f"cannot read {cwd}/{name}: ")


def span(*numbers: int) -> Range:
    line, character, to_line, to_character = numbers
    return Range(Position(line, character), Position(to_line, to_character))


async def test_a_file_is_read_as_it_is(cwd: Path) -> None:
    (cwd / "a.txt").write_bytes("\ufeffé\r\nb\u2028c\n".encode())
    (cwd / "latin").write_bytes(b"caf\xe9\n")
    (cwd / "empty").touch()
    assert await text(cwd, "a.txt") == "é\r\nb\u2028c\n"
    assert await text(cwd, "latin") == "caf\ufffd\n"
    assert await text(cwd, "empty") == ""


async def test_what_is_open_is_read_from_the_editor_that_is_waited_for(cwd: Path) -> None:
    (cwd / "a.txt").write_text("saved\n")
    (cwd / "link").symlink_to("a.txt")
    editor = FakeEditor()
    editor.open(cwd / "a.txt", "typed\n")
    editor.open(cwd / "draft", "not saved\n")
    assert await text(cwd, "a.txt", editor=editor) == "typed\n"
    assert await text(cwd, "link", editor=editor) == "typed\n"
    assert await text(cwd, "draft", editor=editor) == "not saved\n"
    assert editor.readied == 3


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (span(0, 0, 1, 0), "one\n"),
        (span(1, 1, 1, 3), "w\U0001f600"),
        (span(0, 2, 2, 2), "e\ntw\U0001f600o\r\nth"),
        # Beyond a line is its end, without what ends it; beyond the last line too.
        (span(1, 4, 1, 99), ""),
        (span(0, 99, 1, 99), "\ntw\U0001f600o"),
        (span(2, 0, 99, 99), "three"),
        (span(2, 3, 1, 0), ""),
        (span(2, 3, 2, 1), ""),
    ],
)
async def test_a_part_is_counted_in_lines_and_characters(
    cwd: Path, part: Range, expected: str
) -> None:
    (cwd / "a.txt").write_text("one\ntw\U0001f600o\r\nthree", newline="")
    assert await text(cwd, "a.txt", part) == expected


async def test_lines_end_where_they_do_in_an_editor(cwd: Path) -> None:
    (cwd / "a.txt").write_text("a\x0cb\u2028c\x85d\re\n\n", newline="")
    assert await text(cwd, "a.txt", span(0, 0, 1, 0)) == "a\x0cb\u2028c\x85d\r"
    assert await text(cwd, "a.txt", span(3, 0, 3, 5)) == ""
    assert await problem(cwd, "a.txt", span(4, 0, 4, 1)) == "it has only 4 lines, and no line 5"


async def test_what_is_too_long_loses_its_end(cwd: Path) -> None:
    (cwd / "fits").write_text("x" * MAX_TEXT_BYTES)
    (cwd / "long").write_text("x" * (MAX_TEXT_BYTES - 1) + "é" + "y" * 100)
    (cwd / "huge").touch()
    with (cwd / "huge").open("wb") as file:
        file.write(b"first\n" * 20_000)
        file.truncate(MAX_FILE_BYTES * 2)
    assert await text(cwd, "fits") == "x" * MAX_TEXT_BYTES
    long = await text(cwd, "long")
    assert long == "x" * (MAX_TEXT_BYTES - 1) + "\n[... 102 bytes left out ...]\n"
    huge = await text(cwd, "huge")
    assert huge.startswith("first\n")
    left = MAX_FILE_BYTES * 2 - MAX_TEXT_BYTES
    assert huge.endswith(f"\n[... {left} bytes left out ...]\n")
    assert "larger than 32 MiB" in await problem(cwd, "huge", span(0, 0, 1, 0))
    # A part of what is too long may be short.
    assert await text(cwd, "long", span(0, MAX_TEXT_BYTES - 1, 0, MAX_TEXT_BYTES + 1)) == "éy"


async def test_what_may_not_be_read_is_not_even_if_it_is_open(cwd: Path) -> None:
    (cwd / ".env").write_text("hush")
    (cwd / "link").symlink_to(".env")
    editor = FakeEditor()
    editor.open(cwd / ".env")
    for name in (".env", "link"):
        assert await problem(cwd, name) == "sandbox_deny_read denies it"
        assert await problem(cwd, name, editor=editor) == "sandbox_deny_read denies it"
    editor = FakeEditor()
    editor.open(cwd / "link")
    # A document that has a denied name is not given away under another one either.
    (cwd / "a.txt").touch()
    (cwd / "folder").mkdir()
    (cwd / "folder/.env").symlink_to(cwd / "a.txt")
    editor.open(cwd / "folder/.env")
    assert await problem(cwd, "a.txt", editor=editor) == "sandbox_deny_read denies it"
    assert await problem(cwd, "link", editor=editor) == "sandbox_deny_read denies it"


async def test_what_is_no_text_is_said(cwd: Path) -> None:
    (cwd / "folder").mkdir()
    (cwd / "binary").write_bytes(b"a\0b")
    (cwd / "a.txt").touch()
    os.mkfifo(cwd / "pipe")
    (cwd / "loop").symlink_to("loop")
    assert await problem(cwd, "folder") == "it is a directory"
    assert await problem(cwd, "binary") == "it is not a text file"
    assert await problem(cwd, "pipe") == "it is not a regular file"
    assert await problem(cwd, "missing") == "No such file or directory"
    assert await problem(cwd, "a.txt/x") == "Not a directory"
    assert await problem(cwd, "loop") == "Too many levels of symbolic links"
    assert await problem(cwd, "nul\0") == "embedded null byte"


@given(st.text(st.sampled_from("ab\n\r\u2028\x0b\U0001f600"), max_size=20), st.data())
@settings(deadline=None, max_examples=200)
def test_parts_that_meet_make_the_whole(content: str, data: st.DataObject) -> None:
    line, character = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    ends = content.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    if line > ends:
        return
    middle = Position(line, character)
    first = _cut(content, Range(Position(0, 0), middle))
    second = _cut(content, Range(middle, Position(99, 0)))
    assert first + second == content

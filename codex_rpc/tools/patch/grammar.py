"""The text of a patch, taken apart.

Owns the grammar and the texts that say where a patch does not follow it. It looks at no file:
whether the patch fits is not known here.

White space around markers is tolerated, except that within an update a line that begins with a
blank is a line of the file. Line numbers in errors are 1-based and count from `*** Begin Patch`.
"""

from __future__ import annotations

import re
from typing import Literal

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.frozen import frozen

MAX_PATCH_BYTES = 4 << 20

_BEGIN = "*** Begin Patch"
_END = "*** End Patch"
_ADD = "*** Add File:"
_DELETE = "*** Delete File:"
_UPDATE = "*** Update File:"
_MOVE = "*** Move to:"
_END_OF_FILE = "*** End of File"
_CONTEXT = "@@"

_HEREDOC = re.compile(r"<<\s*(['\"]?)(\w+)\1")


@frozen
class Line:
    """One line of a hunk: kept, added or removed."""

    kind: Literal[" ", "+", "-"]
    text: str


_BLANK = Line(" ", "")


@frozen(kw_only=True)
class Hunk:
    """Lines that belong together, and where to look for them."""

    line_no: int
    """Of the patch."""
    contexts: tuple[str, ...] = ()
    """Lines of the file to go to, one after the other, before the hunk's own are looked for."""
    lines: tuple[Line, ...]
    at_end: bool = False
    """Whether the lines are the file's last ones."""


@frozen
class AddFile:
    """Create a file, or replace one."""

    path: str
    content: str


@frozen
class DeleteFile:
    """Remove a file."""

    path: str


@frozen
class UpdateFile:
    """Change parts of a file, and perhaps its path."""

    path: str
    hunks: tuple[Hunk, ...]
    move_to: str | None = None


Operation = AddFile | DeleteFile | UpdateFile


def parse_patch(text: str) -> tuple[Operation, ...]:
    """The operations of a patch, in its order; there is at least one.

    A heredoc (`<<'EOF'`, the patch, `EOF`) around the patch is taken off. A patch whose first
    line ends in CRLF is taken for one that was written with CRLF throughout.

    Raises:
        ToolError: it is no patch; the message is for the model.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise _invalid("it holds a character that UTF-8 cannot encode") from exc
    if size > MAX_PATCH_BYTES:
        raise _invalid(f"it is larger than {MAX_PATCH_BYTES >> 20} MiB")
    lines = _without_envelope(text)
    operations = _Parser(lines).operations()
    if not operations:
        raise ToolError("patch rejected: empty patch")
    return operations


def _without_envelope(text: str) -> list[str]:
    """The lines between the first and the last one."""
    lines = text.strip().split("\n")
    heredoc = _HEREDOC.fullmatch(lines[0].strip())
    if heredoc is not None and len(lines) >= 4 and lines[-1].strip() == heredoc[2]:
        lines = "\n".join(lines[1:-1]).strip().split("\n")
    if lines[0].strip() != _BEGIN:
        raise _invalid(f"The first line of the patch must be '{_BEGIN}'")
    if len(lines) == 1 or lines[-1].strip() != _END:
        raise _invalid(f"The last line of the patch must be '{_END}'")
    if lines[0].endswith("\r"):
        lines = [line.removesuffix("\r") for line in lines]
    return lines[1:-1]


class _Parser:
    """Goes through the lines once."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def operations(self) -> tuple[Operation, ...]:
        operations = []
        while self._skip_blank():
            operations.append(self._operation())
        return tuple(operations)

    @property
    def _line_no(self) -> int:
        return self._at + 2

    def _peek(self) -> str | None:
        return self._lines[self._at] if self._at < len(self._lines) else None

    def _skip_blank(self) -> bool:
        """Go to the next line that is not blank; False if there is none."""
        while (line := self._peek()) is not None and not line.strip():
            self._at += 1
        return line is not None

    def _operation(self) -> Operation:
        line_no, line = self._line_no, self._lines[self._at].strip()
        if (path := self._path(line, _ADD)) is not None:
            return AddFile(path, self._content())
        if (path := self._path(line, _DELETE)) is not None:
            return DeleteFile(path)
        if (path := self._path(line, _UPDATE)) is not None:
            return self._update(path, line_no)
        raise self._error(
            f"'{line}' is not a valid hunk header. Valid hunk headers: '{_ADD} {{path}}', "
            f"'{_DELETE} {{path}}', '{_UPDATE} {{path}}'"
        )

    def _path(self, line: str, marker: str) -> str | None:
        """The path after `marker`, which is then behind us; None: it is another line."""
        if not line.startswith(marker):
            return None
        path = line.removeprefix(marker).strip()
        if not path or "\0" in path:
            raise self._error(f"expected a path after '{marker}'")
        self._at += 1
        return path

    def _content(self) -> str:
        """The lines of a new file."""
        content = []
        while (line := self._peek()) is not None and line.startswith("+"):
            content.append(line[1:] + "\n")
            self._at += 1
        line_no = self._line_no
        if self._skip_blank():
            following = self._lines[self._at]
            if not following.strip().startswith("*** "):
                wrong, line_no = ("", line_no) if line == "" else (following, self._line_no)
                raise _error_at(
                    line_no,
                    "expected a line that begins with '+', as every line of a new file does, "
                    f"got: '{wrong}'",
                )
        return "".join(content)

    def _update(self, path: str, line_no: int) -> UpdateFile:
        move_to = None
        if self._skip_blank():
            move_to = self._path(self._lines[self._at].strip(), _MOVE)
        hunks: list[Hunk] = []
        while self._skip_blank() and not _is_marker(self._lines[self._at]):
            hunks.append(self._hunk(is_first=not hunks))
        if not hunks and move_to is None:
            raise _error_at(line_no, f"Update file hunk for path '{path}' is empty")
        return UpdateFile(path, tuple(hunks), move_to)

    def _hunk(self, *, is_first: bool) -> Hunk:
        line_no = self._line_no
        contexts = self._contexts()
        if self._line_no == line_no and not is_first:
            raise self._error(
                f"Expected update hunk to start with a {_CONTEXT} context marker, "
                f"got: '{self._peek()}'"
            )
        lines = self._hunk_lines()
        if not lines:
            raise self._error("Update hunk does not contain any lines")
        at_end = (self._peek() or "").strip() == _END_OF_FILE
        if at_end:
            self._at += 1
        return Hunk(line_no=line_no, contexts=contexts, lines=tuple(lines), at_end=at_end)

    def _contexts(self) -> tuple[str, ...]:
        contexts = []
        while (line := self._peek()) is not None and line.lstrip().startswith(_CONTEXT):
            marked = line.lstrip().removesuffix("\r").removeprefix(_CONTEXT)
            if marked.strip():
                if not marked.startswith(" "):
                    raise self._error(f"expected a blank after {_CONTEXT}, got: '{line}'")
                contexts.append(marked[1:])
            self._at += 1
        return tuple(contexts)

    def _hunk_lines(self) -> list[Line]:
        lines: list[Line] = []
        while (line := self._peek()) is not None:
            # A file's lines get the ends that their neighbours in the file have.
            line = line.removesuffix("\r")
            match line[:1]:
                case "" | " ":
                    lines.append(Line(" ", line[1:]))
                case "+":
                    lines.append(Line("+", line[1:]))
                case "-":
                    lines.append(Line("-", line[1:]))
                case "@":
                    break
                case _ if line.startswith("***"):
                    break
                case _:
                    raise self._error(
                        f"Unexpected line found in update hunk: '{line}'. Every line should "
                        "start with ' ' (context line), '+' (added line), or '-' (removed line)"
                    )
            self._at += 1
        if all(line.kind == "+" or line == _BLANK for line in lines):
            # Without old lines there is nothing around which blank lines could be; they are
            # meant for whoever reads the patch.
            while lines and lines[-1] == _BLANK:
                lines.pop()
        return lines

    def _error(self, message: str) -> ToolError:
        return _error_at(self._line_no, message)


def _is_marker(line: str) -> bool:
    return line.startswith("***") or line.strip().startswith((_ADD, _DELETE, _UPDATE))


def _error_at(line_no: int, message: str) -> ToolError:
    return ToolError(f"error: invalid hunk at line {line_no}, {message}")


def _invalid(message: str) -> ToolError:
    return ToolError(f"error: invalid patch: {message}")

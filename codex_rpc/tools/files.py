"""Text files that the user points at: whole, or a part.

Owns what of a file is shown, and the refusals. It does not know how a text is put to the model.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import anyio.to_thread

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.ops import Position, Range
from codex_rpc.protocol.workspace import Workspace

MAX_TEXT_BYTES = 64 << 10
"""What is shown of a file."""

MAX_FILE_BYTES = 32 << 20
"""Of a larger file no part can be shown but its beginning."""

_BOM = "\ufeff"

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
"""A line ends where it does in an editor; `str.splitlines` knows more ends."""

_READ = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    # The path has been resolved; a link that has come since is not followed.
    | getattr(os, "O_NOFOLLOW", 0)
    # Opening a named pipe would wait for its writer.
    | getattr(os, "O_NONBLOCK", 0)
)


class FileRules(Protocol):
    """What the session's sandbox says about single files."""

    def may_read(self, path: Path, cwd: Path) -> bool:
        """Whether `path`, as given and resolved, may be read in a session in `cwd`."""
        ...


async def text_of(
    path: Path, part: Range | None, *, workspace: Workspace, rules: FileRules, cwd: Path
) -> str:
    """The text at the absolute `path`, in a session in `cwd`: the editor's if it is open there.

    `part` is counted in characters and cut to the lines that there are. At most `MAX_TEXT_BYTES`;
    then a line says how much is missing. What is no UTF-8 becomes U+FFFD.

    Raises:
        ToolError: it may not be read, or cannot be; it is no text; or it has no such lines.
    """
    if await anyio.to_thread.run_sync(_may_look, path, rules, cwd):
        await workspace.look([path])
    return await anyio.to_thread.run_sync(_text_of, path, part, workspace, rules, cwd)


def _may_look(path: Path, rules: FileRules, cwd: Path) -> bool:
    """Whether there is anything to ask the editor for; why not is found out later."""
    try:
        return rules.may_read(path, cwd)
    except (OSError, ValueError):
        return False


def _text_of(
    path: Path, part: Range | None, workspace: Workspace, rules: FileRules, cwd: Path
) -> str:
    try:
        document = workspace.document(path)
        real = Path(os.path.realpath(path))
        names = {path, real} if document is None else {path, real, document.path}
        if not all(rules.may_read(name, cwd) for name in names):
            raise ToolError("sandbox_deny_read denies it")
        if document is not None:
            text, beyond = document.text, 0
        else:
            text, beyond = _on_disk(real, whole=part is not None)
        if "\0" in text:
            raise ToolError("it is not a text file")
        return _bounded(text if part is None else _cut(text, part), beyond)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else None
        raise ToolError(f"cannot read {path}: {reason or exc}") from exc
    except ToolError as exc:
        raise ToolError(f"cannot read {path}: {exc.message}") from exc


def _on_disk(real: Path, *, whole: bool) -> tuple[str, int]:
    """The text of a file, or what is shown of its beginning; and how many bytes come behind."""
    # A folder or a device is not opened at all; the file that is opened is looked at again.
    _require_file(real.stat())
    with os.fdopen(os.open(real, _READ), "rb") as file:
        status = os.fstat(file.fileno())
        _require_file(status)
        if whole and status.st_size > MAX_FILE_BYTES:
            raise ToolError(
                f"it is larger than {MAX_FILE_BYTES >> 20} MiB; only its beginning can be shown"
            )
        # Some files, such as those in /proc, have more than they say.
        data = file.read(MAX_FILE_BYTES if whole else MAX_TEXT_BYTES + 1)
    beyond = max(0, status.st_size - len(data))
    if beyond:
        data, beyond = _at_character(data, beyond)
    return data.decode("utf-8", "replace").removeprefix(_BOM), beyond


def _require_file(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ToolError("it is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise ToolError("it is not a regular file")


def _at_character(data: bytes, beyond: int) -> tuple[bytes, int]:
    """`data` without the beginning of a character that does not end in it."""
    for length in range(1, min(4, len(data) + 1)):
        byte = data[-length]
        if byte >= 0xC0:
            return data[:-length], beyond + length
        if byte < 0x80:
            break
    return data, beyond


def _cut(text: str, part: Range) -> str:
    start, end = part.start, part.end
    wanted: list[str] = []
    count = 0
    # Line by line, and no further than needed: a text can have a million of them.
    for count, line in enumerate(_lines(text), 1):
        if count > start.line:
            wanted.append(line)
        if count > max(start.line, end.line):
            break
    if not wanted:
        has = "1 line" if count == 1 else f"{count} lines"
        raise ToolError(f"it has only {has}, and no line {start.line + 1}")
    if end.line < start.line:
        return ""
    # From behind: the first line may be the last one too.
    if end.line < count:
        wanted[-1] = wanted[-1][: _column(wanted[-1], end)]
    wanted[0] = wanted[0][_column(wanted[0], start) :]
    return "".join(wanted)


def _lines(text: str) -> Iterator[str]:
    """With their ends; behind the last end there is one more, which may be empty."""
    line = ""
    for found in _LINE.finditer(text):
        line = found[0]
        yield line
    if not line or line.endswith(("\n", "\r")):
        yield ""


def _column(line: str, position: Position) -> int:
    """Where `position` is in its line; one beyond that is its end."""
    return max(0, min(position.character, len(line.rstrip("\r\n"))))


def _bounded(text: str, beyond: int) -> str:
    data = text.encode("utf-8", "replace")
    shown = data[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    missing = len(data) - len(shown.encode("utf-8")) + beyond
    if not missing:
        return text
    separator = "" if shown.endswith("\n") else "\n"
    size = "1 byte" if missing == 1 else f"{missing} bytes"
    return f"{shown}{separator}[... {size} left out ...]\n"

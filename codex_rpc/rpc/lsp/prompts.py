"""What a command of the editor says to the model: where in which file, and what to do there.

Owns the words, and the way from a range in the client's units to one in characters. Loaded
when the first command comes.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread

from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.ops import (
    InputItem,
    MentionInput,
    Position,
    Range,
    SelectionInput,
    TextInput,
    UserInput,
)
from codex_rpc.rpc.lsp.arguments import TaskArguments
from codex_rpc.rpc.lsp.documents import Documents
from codex_rpc.rpc.lsp.text import PositionEncoding, index_of, split_lines
from codex_rpc.rpc.lsp.uris import path_of

MAX_DIAGNOSTICS = 50
"""How many diagnostics the model is told of."""

_SEVERITIES = {1: "error", 2: "warning", 3: "information", 4: "hint"}

_TASKS = {
    "codex.explain": "Explain this code.",
    "codex.fix": "Fix what is wrong with this code.",
    "codex.addTests": "Add tests for this code, in the way the project has its tests.",
}


async def input_for(command: str, arguments: TaskArguments, documents: Documents) -> UserInput:
    """The input that the command starts a turn with.

    Raises:
        InvalidParams: there is no such place, or `codex.ask` without a prompt.
    """
    text = _text(command, arguments)
    return UserInput([await _place(arguments, documents), TextInput(text)])


def _text(command: str, arguments: TaskArguments) -> str:
    prompt = (arguments.prompt or "").strip()
    if command == "codex.ask" and not prompt:
        raise InvalidParams(
            "arguments[0].prompt",
            "string",
            "codex.ask: give `prompt`, the user's question; the editor has to ask for it",
        )
    parts = [_TASKS.get(command, ""), prompt]
    shown = [_diagnostic(one) for one in (arguments.diagnostics or [])[:MAX_DIAGNOSTICS]]
    lines = [line for line in shown if line]
    if lines:
        parts.append("\n".join(["The editor reports:", *lines]))
    return "\n\n".join(part for part in parts if part)


def _diagnostic(diagnostic: Any) -> str:
    """One line for the model, or more if the message has more; "" for what has no message."""
    if not isinstance(diagnostic, dict) or not isinstance(diagnostic.get("message"), str):
        return ""
    severity = diagnostic.get("severity")
    # Without one, LSP leaves it to the client, and most take it for an error.
    what = _SEVERITIES.get(severity if isinstance(severity, int) else 1, "error")
    line_no = _line_no(diagnostic)
    where = f", line {line_no}" if line_no is not None else ""
    names = [diagnostic.get("source"), diagnostic.get("code")]
    origin = " ".join(str(name) for name in names if isinstance(name, str | int) and name != "")
    message = diagnostic["message"].strip().replace("\n", "\n  ")
    return f"- {what}{where}: {message}" + (f" ({origin})" if origin else "")


def _line_no(diagnostic: dict[str, Any]) -> int | None:
    place: Any = diagnostic
    for name in ("range", "start", "line"):
        place = place.get(name) if isinstance(place, dict) else None
    return place + 1 if isinstance(place, int) else None


async def _place(arguments: TaskArguments, documents: Documents) -> InputItem:
    path = path_of(arguments.uri)
    document = documents.get(arguments.uri)
    if document is None and path is None:
        expected = "a file's URI, or that of an open document"
        raise InvalidParams("arguments[0].uri", expected)
    wanted = arguments.range
    if path is not None and (wanted is None or wanted.start == wanted.end):
        return MentionInput(str(path))
    if document is not None:
        lines: Sequence[str] = document.lines
    else:
        assert path is not None
        lines = await anyio.to_thread.run_sync(_lines_of_file, path, abandon_on_cancel=True)
    if wanted is None or wanted.start == wanted.end:
        # What is no file can be shown only as a whole, since nobody could read it.
        wanted = Range(Position(0, 0), Position(len(lines), 0))
    range_ = in_characters(lines, wanted, documents.encoding)
    shown = str(path) if path is not None else arguments.uri
    return SelectionInput(shown, range_, _between(lines, range_))


def _lines_of_file(path: Path) -> list[str]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidParams("arguments[0].uri", "a file")
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise InvalidParams("arguments[0].uri", f"a file that can be read ({reason})") from exc
    return split_lines(text)


def in_characters(lines: Sequence[str], range_: Range, encoding: PositionEncoding) -> Range:
    """A range in the client's units as one in characters, inside of the text, its begin first."""
    places = [_in_characters(lines, place, encoding) for place in (range_.start, range_.end)]
    start, end = sorted(places)
    return Range(Position(*start), Position(*end))


def _in_characters(
    lines: Sequence[str], place: Position, encoding: PositionEncoding
) -> tuple[int, int]:
    if place.line >= len(lines):
        return len(lines) - 1, len(lines[-1])
    line = max(place.line, 0)
    return line, index_of(lines[line], max(place.character, 0), encoding)


def _between(lines: Sequence[str], range_: Range) -> str:
    start, end = range_.start, range_.end
    text = "".join(lines[start.line : end.line])
    return (text + lines[end.line][: end.character])[start.character :]

"""Lines and positions as LSP means them: three line ends, and columns in the client's units.

Owns the arithmetic, on plain strings. Python's own idea of lines does not fit: it also ends
lines at form feeds, U+2028 and others.
"""

from __future__ import annotations

import re
from typing import Literal

PositionEncoding = Literal["utf-8", "utf-16", "utf-32"]

_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)")


def split_lines(text: str) -> list[str]:
    """The lines of `text` with their ends; the last has none, and may be empty."""
    if "\r" not in text:
        *lines, last = text.split("\n")
        return [line + "\n" for line in lines] + [last]
    lines = _LINE.findall(text)
    lines.append(text[sum(map(len, lines)) :])
    return lines


def without_end(line: str) -> str:
    """`line` without its line end."""
    return line.rstrip("\r\n")


def units(text: str, encoding: PositionEncoding) -> int:
    """How long `text` is, in code units."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def index_of(line: str, column: int, encoding: PositionEncoding) -> int:
    """The index in `line` of a column in code units.

    A column beyond the line is its end, before the line end. One inside of a character is
    that character's begin.
    """
    text = without_end(line)
    if encoding == "utf-32" or text.isascii():
        return min(column, len(text))
    # A character has at least one unit, so no more characters are needed than units.
    text = text[:column]
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore"))
    data = text.encode("utf-16-le", "surrogatepass")[: 2 * column]
    return len(data.decode("utf-16-le", "ignore"))


def replaced(
    lines: list[str],
    start: tuple[int, int],
    end: tuple[int, int],
    text: str,
    encoding: PositionEncoding,
) -> bool:
    """Put `text` in place of a range of `lines`, in place; whether the range lay inside.

    Positions are lines and columns in code units. What is outside of the text is moved to
    where the text ends or the line does, and a range that is the wrong way round is turned.
    """
    inside = _is_inside(lines, start, encoding) and _is_inside(lines, end, encoding)
    (first, from_), (last, to) = sorted(
        _clamped(lines, position, encoding) for position in (start, end)
    )
    new = lines[first][:from_] + text + lines[last][to:]
    # A line feed that now follows a lone carriage return belongs to it.
    if first > 0 and new.startswith("\n") and lines[first - 1].endswith("\r"):
        first -= 1
        new = lines[first] + new
    pieces = split_lines(new)
    if last + 1 < len(lines):
        # The region ends with a line end, so its last piece is empty, and not a line.
        pieces.pop()
    lines[first : last + 1] = pieces
    return inside


def _clamped(
    lines: list[str], position: tuple[int, int], encoding: PositionEncoding
) -> tuple[int, int]:
    line_no, column = position
    if line_no >= len(lines):
        return len(lines) - 1, len(lines[-1])
    return line_no, index_of(lines[line_no], column, encoding)


def _is_inside(lines: list[str], position: tuple[int, int], encoding: PositionEncoding) -> bool:
    line_no, column = position
    if line_no >= len(lines):
        # The begin of the line after the last is how many clients write the end.
        return line_no == len(lines) and column == 0
    # Most columns are small, and cost nothing to check.
    line = lines[line_no]
    return column <= len(without_end(line)) or column <= units(without_end(line), encoding)

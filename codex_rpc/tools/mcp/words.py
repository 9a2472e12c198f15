"""Words of servers, fit to be quoted in a message of ours.

Owns what is left of them: not much, and nothing that could play tricks on a terminal.
"""

from __future__ import annotations

import re
from collections import deque

MAX_LINES = 10
MAX_LINE = 200
"""How much of a program's last words is kept: so many lines, each of so many characters."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Escape sequences, and characters that end lines or change their direction."""


class LastWords:
    """The end of what a program wrote to stderr."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._open = bytearray()

    def add(self, data: bytes) -> None:
        """Take in the next bytes."""
        *whole, last = data.split(b"\n")
        for part in whole:
            self._extend(part)
            self._finish()
        self._extend(last)

    def text(self) -> str:
        """The last lines, each indented; may be empty."""
        lines = [*self._lines, _line_in_words(self._open)]
        return "\n".join(f"  {line}" for line in lines if line)

    def _extend(self, part: bytes) -> None:
        self._open += part[: 8 * MAX_LINE]
        del self._open[8 * MAX_LINE :]

    def _finish(self) -> None:
        if line := _line_in_words(self._open):
            self._lines.append(line)
        self._open.clear()


def readable(text: str) -> str:
    """`text` without control characters and escape sequences, as one line."""
    return _CONTROL.sub("", " ".join(text.split()))


def _line_in_words(line: bytes | bytearray) -> str:
    text = line.decode("utf-8", "replace").replace("\t", " ")
    return _CONTROL.sub("", text).rstrip()[:MAX_LINE]

"""A file's new text: the hunks of an update found in the old one, and done.

Owns how lines are compared and what becomes of line ends, of a missing final line end, of a
byte order mark and of bytes that are not UTF-8. It knows neither paths nor disks.

What a hunk does not add or remove keeps the bytes that it has in the file, also where the
hunk's own spelling of it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import orjson

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.frozen import frozen
from codex_rpc.tools.patch.grammar import Hunk, Line

_BOM = "\ufeff"

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u00a0\u202f\u205f\u3000", " "),
        **dict.fromkeys((chr(code) for code in range(0x2002, 0x200B)), " "),
        _BOM: "",
        # A byte that is no UTF-8 is shown to the model as U+FFFD.
        **dict.fromkeys((chr(code) for code in range(0xDC80, 0xDD00)), "\ufffd"),
    }
)
"""Typographic characters that models write as ASCII, and what they are compared as."""


def _normalised(line: str) -> str:
    return line.translate(_PLAIN).strip()


_LEVELS: tuple[Callable[[str], str], ...] = (str, str.rstrip, str.strip, _normalised)
"""What is compared of a line, from strict to lenient; a stricter match anywhere goes first."""


def updated(content: bytes, hunks: Sequence[Hunk], shown: str) -> bytes:
    """`content` after `hunks`, which are looked for from top to bottom.

    Each hunk is the first match behind the one before it, and behind its contexts. A hunk
    without old lines goes behind its last context, else to the end. An added line ends as the
    line does whose place it takes, or else as the line before it. A file without a final line
    end has none afterwards; an empty one gets it. `shown` is the file's name in messages.

    Raises:
        ToolError: a hunk does not fit, or the file is none whose text could be changed safely.
    """
    text = _text(content, hunks, shown)
    bom = _BOM if text.startswith(_BOM) else ""
    file = _File(text.removeprefix(bom), hunks)
    return (bom + file.after(shown)).encode("utf-8", "surrogateescape")


def _text(content: bytes, hunks: Sequence[Hunk], shown: str) -> str:
    if b"\0" in content:
        raise ToolError(f"error: cannot update {shown}: it is no text file, it holds NUL bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass
    # In nearly every other encoding ASCII is ASCII; what else an added line means there is
    # not known.
    added = (line.text for hunk in hunks for line in hunk.lines if line.kind == "+")
    if not all(text.isascii() for text in added):
        raise ToolError(
            f"error: cannot update {shown}: it is not UTF-8, so only ASCII can be added to it"
        )
    return content.decode("utf-8", "surrogateescape")


@frozen(slots=True, weakref_slot=False)
class _FileLine:
    text: str
    end: str


class _File:
    """The lines of a file, and where hunks are in them."""

    def __init__(self, text: str, hunks: Sequence[Hunk]) -> None:
        self._lines = _split(text)
        self._end = self._lines[0].end if self._lines and self._lines[0].end else "\n"
        self._hunks = hunks
        self._views: dict[int, _View] = {}

    def after(self, shown: str) -> str:
        """The text with all hunks done."""
        places: list[tuple[int, Sequence[Line]]] = []
        at = 0
        for hunk in self._hunks:
            start = self._behind_contexts(hunk, at, shown)
            found, lines = self._place(hunk, start, shown)
            places.append((found, lines))
            # What is merely put at the end does not move the search there.
            if found < len(self._lines) or hunk.contexts:
                at = found + sum(line.kind != "+" for line in lines)
        places.sort(key=lambda place: place[0])
        result: list[_FileLine] = []
        at = 0
        for found, lines in places:
            result += self._lines[at:found]
            at = self._replace(result, lines, found)
        result += self._lines[at:]
        return self._joined(result)

    def _behind_contexts(self, hunk: Hunk, start: int, shown: str) -> int:
        for context in hunk.contexts:
            found = self._find([context], start)
            if found is None:
                raise ToolError(
                    f"error: Failed to find context '{context}' in {shown}"
                    f"{self._hint([context], start)}"
                )
            start = found + 1
        return start

    def _place(self, hunk: Hunk, start: int, shown: str) -> tuple[int, Sequence[Line]]:
        """Where `hunk` begins, and which of its lines are meant."""
        old = [line.text for line in hunk.lines if line.kind != "+"]
        if not old:
            in_context = hunk.contexts and not hunk.at_end
            return (start if in_context else len(self._lines)), hunk.lines
        for blank in _blank_ends(hunk.lines):
            kept = hunk.lines[: len(hunk.lines) - blank]
            wanted = old[: len(old) - blank]
            found = self._find(wanted, start, at_end=hunk.at_end) if wanted else None
            if found is not None:
                return found, kept
        listed = ", ".join(_quoted(text) for text in old)
        hint = "" if hunk.at_end else self._hint(old, start)
        raise ToolError(f"error: Failed to find expected lines [{listed}] in {shown}{hint}")

    def _hint(self, wanted: Sequence[str], start: int) -> str:
        """Said of lines that are only in front of where they were looked for."""
        elsewhere = self._find(wanted, 0) if start else None
        if elsewhere is None:
            return ""
        return (
            f" after line {start}; they are at line {elsewhere + 1}, "
            "but hunks have to be in the file's order"
        )

    def _find(self, wanted: Sequence[str], start: int, *, at_end: bool = False) -> int | None:
        for level in range(len(_LEVELS)):
            found = self._view(level).find(wanted, start, at_end=at_end)
            if found is not None:
                return found
        return None

    def _view(self, level: int) -> _View:
        if level not in self._views:
            patterns = (
                text
                for hunk in self._hunks
                for text in (*hunk.contexts, *(line.text for line in hunk.lines))
            )
            self._views[level] = _View(self._lines, patterns, _LEVELS[level])
        return self._views[level]

    def _replace(self, result: list[_FileLine], lines: Sequence[Line], at: int) -> int:
        """Add what becomes of the lines from `at` on to `result`; how far that goes."""
        # The ends of removed lines whose places are not taken yet.
        ends: list[str] = []
        for line in lines:
            if line.kind == "-":
                ends.append(self._lines[at].end)
                at += 1
            elif line.kind == " ":
                result.append(self._lines[at])
                ends.clear()
                at += 1
            else:
                end = ends.pop(0) if ends else result[-1].end if result else self._end
                result.append(_FileLine(line.text, end))
        return at

    def _joined(self, result: Sequence[_FileLine]) -> str:
        """The lines as a text. Only the last line can be without an end."""
        if not result:
            return ""
        parts = []
        before = self._end
        for line in result:
            before = line.end or before
            parts.append(line.text + before)
        if self._lines and not self._lines[-1].end:
            parts[-1] = parts[-1].removesuffix(before)
        return "".join(parts)


class _View:
    """A file's lines as one character each, so that a search for lines is one for a string."""

    def __init__(
        self, lines: Sequence[_FileLine], patterns: Iterable[str], key: Callable[[str], str]
    ) -> None:
        self._key = key
        self._characters: dict[str, str] = {}
        for pattern in patterns:
            self._characters.setdefault(key(pattern), chr(len(self._characters) + 1))
        self._lines = lines

    @cached_property
    def _text(self) -> str:
        key, characters = self._key, self._characters
        return "".join([characters.get(key(line.text), "\0") for line in self._lines])

    def find(self, wanted: Sequence[str], start: int, *, at_end: bool) -> int | None:
        """The first line, not before `start`, of lines like `wanted`."""
        pattern = "".join(self._characters[self._key(text)] for text in wanted)
        if at_end:
            start = max(start, len(self._text) - len(pattern))
        found = self._text.find(pattern, start)
        return None if found < 0 else found


def _split(text: str) -> list[_FileLine]:
    *whole, rest = text.split("\n")
    lines = [
        _FileLine(line[:-1], "\r\n") if line.endswith("\r") else _FileLine(line, "\n")
        for line in whole
    ]
    if rest:
        lines.append(_FileLine(rest, ""))
    return lines


def _blank_ends(lines: Sequence[Line]) -> list[int]:
    """How many blank lines at the end to leave out, in the order in which to try.

    Blank lines at a hunk's end are often meant for whoever reads the patch.
    """
    blank = 0
    while blank < len(lines) and lines[-1 - blank] == Line(" ", ""):
        blank += 1
    return sorted({0, min(blank, 1), blank})


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()

"""What a session goes by that was given no title: what the user said first."""

from __future__ import annotations

from collections.abc import Sequence

MAX_TITLE_CHARS = 80

HANDED_IN = ("<file path=", "<file uri=", "<selection path=")
"""How the parts of a message begin that are what the user pointed at, not what the user said."""


def spoken(texts: Sequence[str]) -> str:
    """What the user said of the texts of a message; all of them if that is nothing."""
    return "\n".join([text for text in texts if not text.startswith(HANDED_IN)] or texts)


def title_of(text: str) -> str:
    """The title that a first message gives."""
    return one_line(text, MAX_TITLE_CHARS)


def one_line(text: str, max_chars: int) -> str:
    """`text` on one line, at most `max_chars` long."""
    # Only as much as can matter is looked at: a pasted file is a first message too.
    line = " ".join(text[: max_chars * 8].split())
    return line if len(line) <= max_chars else line[: max_chars - 1].rstrip() + "…"

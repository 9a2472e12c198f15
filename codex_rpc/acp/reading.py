"""Commands that do nothing but read or search, for how a client shows them.

A guess from the words alone, which nothing depends on: what a command may do is decided elsewhere.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Literal

from codex_rpc.protocol.frozen import frozen

_MEANT_LITERALLY = re.compile(r"'[^']*'|\"[^\"$`\\]*\"|\\[^\n]")
_OPERATORS = re.compile(r"[;&|<>$`(){}\n\\#!]")
_PATTERN = re.compile(r"[*?\[~]")
_READERS = frozenset(("cat", "head", "tail", "nl", "less", "more", "bat"))
_SEARCHERS = frozenset(("rg", "grep", "egrep", "fgrep", "find", "fd", "ls", "tree", "ag"))
_ACTING = re.compile(r"-delete|-(?:exec|ok)(?:dir)?|-f(?:ls|printf?|print0)|--exec.*|--pre(?:=.*)?")
"""Options with which searchers change something, or run another program."""
_LINES = re.compile(r"(\d{1,9})(?:,(?:\d{1,9}|\$))?p")


@frozen
class Reading:
    """What a command looks at."""

    kind: Literal["read", "search"]
    path: str | None = None
    """The one file that is read, as it was written."""
    line: int | None = None
    """Counted from 1."""


def reading_of(script: str) -> Reading | None:
    """What `script` looks at, if it is one plain command that does only that."""
    bare = _MEANT_LITERALLY.sub("", script)
    if _OPERATORS.search(bare):
        return None
    try:
        words = shlex.split(script)
    except ValueError:
        return None
    if not words:
        return None
    name, rest = words[0], words[1:]
    if words[:2] in (["git", "grep"], ["git", "ls-files"]):
        return Reading("search")
    if name in _SEARCHERS:
        return None if _acts(name, rest) else Reading("search")
    if _PATTERN.search(bare):
        # It may stand for any number of files.
        return None
    if name == "sed":
        return _sed(rest)
    if name in _READERS:
        # The value of an option such as `-n 5` is a number, and no file.
        files = [word for word in rest if not word.startswith(("-", "+")) and not word.isdigit()]
        return Reading("read", files[0]) if len(files) == 1 else None
    return None


def _acts(name: str, options: Sequence[str]) -> bool:
    if name == "fd" and not {"-x", "-X"}.isdisjoint(options):
        return True
    return any(_ACTING.fullmatch(option) for option in options)


def _sed(rest: Sequence[str]) -> Reading | None:
    if len(rest) != 3 or rest[0] != "-n" or (match := _LINES.fullmatch(rest[1])) is None:
        return None
    return Reading("read", rest[2], max(int(match[1]), 1))

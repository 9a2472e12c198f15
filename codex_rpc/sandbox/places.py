"""Where paths lead: the links on a way, and what a session's folders were at first.

Owns the following of links a step at a time, and the memory that holds a folder to the place where
it was when a session began. It does not know what the folders are for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

MAX_LINKS = 40
"""How many links one way may have; the kernel follows no more either."""


def way_to(path: str) -> tuple[str, ...]:
    """All links on the way to the absolute `path`, and last where it leads.

    The folder that holds a link is resolved, so that who may not change these names cannot have
    `path` lead elsewhere. What does not exist leads to itself.
    """
    links: list[str] = []
    at, ahead = _taken_apart(path)
    while ahead:
        name = ahead.pop()
        if name == "..":
            at = os.path.dirname(at)  # noqa: PTH120
            continue
        there = os.path.join(at, name)  # noqa: PTH118
        try:
            target = os.readlink(there) if len(links) < MAX_LINKS else None  # noqa: PTH115
        except (OSError, ValueError):
            # It is no link, or is not there.
            target = None
        if target is None:
            at = there
            continue
        links.append(there)
        anchor, more = _taken_apart(target)
        at = anchor or at
        ahead += more
    return (*links, at)


def ways_to(paths: Iterable[str]) -> set[str]:
    """All that decides where `paths` lead, and where they do."""
    return {step for path in paths for step in way_to(path)}


def _taken_apart(path: str) -> tuple[str, list[str]]:
    """The anchor of `path` (none if it is relative), and its names, last one first."""
    parts = Path(path)
    names = parts.parts[1:] if parts.anchor else parts.parts
    # More than one slash at the beginning means nothing here, but something to pathlib.
    anchor = os.sep if parts.anchor == "//" else parts.anchor
    return anchor, list(reversed(names))


class Places:
    """Where the folders of a session really are: for its life where they were at first.

    What a command may change can hold names through which a folder was given: a link, or a folder
    that was not there yet. Were these followed anew each time, a command could choose what the
    next one may write. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: dict[str, str] = {}

    def of(self, given: str) -> str:
        """Where the absolute `given` led when it was first asked for, whether or not it existed.

        Raises:
            ValueError: no file can have this name.
        """
        with self._lock:
            if given not in self._first:
                self._first[given] = os.path.realpath(given)
            return self._first[given]

    def has_moved(self, given: str) -> bool:
        """Whether `given` leads elsewhere now."""
        return os.path.realpath(given) != self.of(given)

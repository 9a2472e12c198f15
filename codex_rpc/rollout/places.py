"""Where the session files of a folder are, and what the system says about each: fast, for many.

Knows names and `stat`, not what is in a file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.rollout.paths import SUFFIX, text_of


class Place(NamedTuple):
    """Where a file stands in a list: the latest first, those of one moment by path."""

    rank: int
    """Its moment in nanoseconds since the epoch, negated."""
    text: str
    """Its path as text that JSON can hold."""
    name: str
    """Its path as the system has it."""
    size: int
    """In bytes."""
    changed_ns: int
    """When its content was last changed, in nanoseconds since the epoch."""
    state: bytes
    """Which file it is and in which state: another one after every change."""
    touched_ns: int
    """When anything about it was last changed."""

    @property
    def path(self) -> Path:
        return Path(self.name)

    @property
    def order(self) -> tuple[int, str]:
        return self.rank, self.text


@frozen
class Places:
    """What a folder of sessions holds."""

    files: list[Place] = field(factory=list)
    """Everything named `*.jsonl`, at any depth, the last changed first."""
    unreadable_folders: int = 0


def places_under(root: Path) -> Places:
    """The session files below `root`, which may be missing; linked folders are not entered.

    A file that vanishes meanwhile is left out. A link that leads nowhere is there, as what it is.
    """
    files: list[Place] = []
    unreadable = 0
    pending = [os.fspath(root)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIX) and not entry.is_dir(follow_symlinks=False):
                        stat = _stat_of(entry)
                        if stat is not None:
                            name = entry.path
                            text = name if name.isascii() else text_of(Path(name))
                            files.append(_place(text, name, stat))
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:
            unreadable += 1
    files.sort()
    return Places(files, unreadable)


def _place(text: str, name: str, s: os.stat_result) -> Place:
    changed_ns, meta_ns, size = s.st_mtime_ns, s.st_ctime_ns, s.st_size
    state = b"%d %d %d %d %d" % (s.st_dev, s.st_ino, size, changed_ns, meta_ns)
    return Place(-changed_ns, text, name, size, changed_ns, state, max(changed_ns, meta_ns))


def _stat_of(entry: os.DirEntry[str]) -> os.stat_result | None:
    for follow in (True, False):
        try:
            return entry.stat(follow_symlinks=follow)
        except OSError:
            continue
    return None

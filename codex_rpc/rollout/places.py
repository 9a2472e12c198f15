"""Where the session files of a folder are, and what the system says about each: fast, for many.

Knows names and `stat`, not what is in a file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.rollout.paths import entries, text_of


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
    meta_ns: int
    """When what the system says about it was last changed."""
    device: int
    inode: int

    @property
    def path(self) -> Path:
        return Path(self.name)

    @property
    def state(self) -> bytes:
        """Which file it is and in which state: another one after every change."""
        return b"%d %d %d %d %d" % (
            self.device,
            self.inode,
            self.size,
            self.changed_ns,
            self.meta_ns,
        )

    @property
    def touched_ns(self) -> int:
        """When anything about it was last changed."""
        return max(self.changed_ns, self.meta_ns)

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
    unreadable: list[str] = []
    files = []
    for entry in entries(root, unreadable):
        stat = _stat_of(entry)
        if stat is not None:
            files.append(_place(entry.path, stat))
    files.sort()
    return Places(files, len(unreadable))


def _place(name: str, s: os.stat_result) -> Place:
    text = name if name.isascii() else text_of(Path(name))
    changed_ns = s.st_mtime_ns
    # In half the time of a call with these as arguments.
    return Place._make(
        (-changed_ns, text, name, s.st_size, changed_ns, s.st_ctime_ns, s.st_dev, s.st_ino)
    )


def _stat_of(entry: os.DirEntry[str]) -> os.stat_result | None:
    for follow in (True, False):
        try:
            return entry.stat(follow_symlinks=follow)
        except OSError:
            continue
    return None

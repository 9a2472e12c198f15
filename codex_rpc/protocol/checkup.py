"""What is wrong with session files, and what can be done about it."""

from __future__ import annotations

from typing import ClassVar, Literal

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.records import Damage


@frozen(kw_only=True)
class SessionFile:
    """A session's file, as far as it is known without reading all of it."""

    session_id: str
    path: str
    archived: bool


@frozen(kw_only=True)
class Inspection:
    """One session file, looked at from its first line to its last."""

    camel: ClassVar[bool] = True

    session_id: str
    path: str
    origin: Literal["codex-rpc", "codex"]
    reason: str | None = None
    """Why it cannot be read at all; None: it can."""
    item_count: int = 0
    damage: list[Damage]
    """Every line that cannot be used, or not whole."""
    mended: list[int]
    """The numbers of lines that were never finished, as the file itself says; not in `damage`."""
    open_calls: list[str]
    """The ids of calls that have no output; going on with the session answers them."""
    appends: str
    """What a repair adds to the file; "": it needs none, or is never changed."""
    live: bool = False
    """Someone says that they hold it, so its end may be about to change."""

    @property
    def is_whole(self) -> bool:
        """Nothing in it is lost."""
        return self.reason is None and not self.damage


@frozen(kw_only=True)
class Checkup:
    """All session files, and what stands beside them."""

    camel: ClassVar[bool] = True

    folder: str
    origins: dict[str, int]
    """How many files whose programs wrote."""
    statuses: dict[str, int]
    """How many are in which state."""
    archived: int
    live: int
    size_bytes: int
    """Of all session files."""
    blob_count: int
    blob_bytes: int
    free_bytes: int | None
    """What is left on the disk; None: it does not say."""
    inspections: list[Inspection]
    """The files that are damaged, cannot be read, or would be repaired."""
    unreadable_folders: list[str]
    unreferenced_blobs: list[str] | None
    """Stored strings that no session refers to; None: not every session could be asked."""
    stale_notes: list[str]
    """Notes of processes that are no more, in `.live`."""
    locks: str | None
    """Why file locks do not work here; None: they do."""

    @property
    def is_healthy(self) -> bool:
        """Nothing is lost, and sessions can be continued."""
        is_whole = all(inspection.is_whole for inspection in self.inspections)
        return is_whole and not self.unreadable_folders and self.locks is None

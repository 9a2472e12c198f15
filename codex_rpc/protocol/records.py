"""Records: what a session file holds besides response items (ROLLOUT format 1).

These are the vocabulary between the session loop, which decides what is recorded, and the
rollout room, which alone knows files.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SessionId, SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxPolicy

ExportFormat = Literal["markdown", "html", "json"]

FORMAT = 1
"""The `format` that this program writes, and the newest that it reads."""


@frozen(kw_only=True)
class Origin:
    """Where a session's first items came from (`forked_from` of its header)."""

    id: str
    path: str
    size: int | None = None
    """How long another program's file was, in bytes, when it was continued in ours."""
    item: int | None = None
    """The index of the last item that was taken over; None: all were."""


@frozen(kw_only=True)
class Header:
    """The first line of a session file."""

    id: SessionId
    timestamp: datetime
    instructions: str | None
    """The AGENTS.md text that the session began with."""
    cwd: Path
    originator: str = "codex-rpc"
    version: str = ""
    forked_from: Origin | None = None


@frozen(kw_only=True)
class ContextRecord:
    """Written when a session is opened, and when any of it changes."""

    record_type: ClassVar[str] = "context"
    timestamp: datetime
    cwd: str
    model: str
    model_provider: str
    approval_policy: ApprovalPolicy
    sandbox_policy: SandboxPolicy


@frozen(kw_only=True)
class TurnRecord:
    """A turn began or ended; a `started` without its end means interrupted."""

    record_type: ClassVar[str] = "turn"
    timestamp: datetime
    submission_id: SubmissionId
    status: Literal["started", "completed", "aborted", "failed"]
    reason: str | None = None
    usage: dict[str, int] | None = None


@frozen
class StateRecord:
    """The last one counts: items after it are those that the model server has not seen."""

    record_type: ClassVar[str] = "state"
    previous_response_id: str | None


@frozen
class TitleRecord:
    record_type: ClassVar[str] = "title"
    title: str


@frozen
class CompactedRecord:
    """The summary stands for everything before it.

    Recorded in one step with, and directly before, what else is needed to go on: the present
    context, state and title.
    """

    record_type: ClassVar[str] = "compacted"
    summary: str
    replaces: int
    """How many items it stands for, counted from the start of the session."""


Record = Item | ContextRecord | TurnRecord | StateRecord | TitleRecord | CompactedRecord


@frozen(kw_only=True)
class SavedContext:
    """What a file says of the last context; None where it does not say, or not validly."""

    cwd: str | None = None
    model: str | None = None
    model_provider: str | None = None
    approval_policy: ApprovalPolicy | None = None
    sandbox_policy: SandboxPolicy | None = None


@frozen
class Damage:
    """A line that could not be used."""

    line_no: int
    """Counted from 1."""
    byte_count: int
    reason: str


@frozen(kw_only=True)
class SavedSession:
    """A session as its file tells it."""

    session_id: SessionId
    path: Path
    context: SavedContext
    items: list[Item]
    """The history, in file order."""
    previous_response_id: str | None = None
    seen_item_count: int = 0
    """How many of `items`, from the first, the server of `previous_response_id` has seen."""
    updated_at: datetime
    title: str | None = None
    interrupted: bool = False
    """The last turn was aborted, or has no end."""
    damage: Sequence[Damage] = field(default=())
    items_before: int = 0
    """How many items of the session come before `items`: a compaction's summary, which is then
    the first of `items` and no item of the session, stands for them."""
    call_id_suffix: str = ""
    """What makes new call ids different from all in the part of the file that was not read."""
    forked_from: Origin | None = None
    foreign: Origin | None = None
    """The file is another program's: it is not held, and is to be continued in a new one."""


@frozen(kw_only=True)
class SessionRef:
    """Which saved session: exactly one of `session_id`, `path`, `last`."""

    session_id: str | None = None
    path: str | None = None
    last: bool = False
    """The newest, of those of `cwd` if it is given."""
    cwd: str | None = None


@frozen(kw_only=True)
class SessionSummary:
    """One row of `session/list`."""

    camel: ClassVar[bool] = True

    session_id: str
    path: str
    title: str
    preview: str
    excerpt: str | None = None
    """Where a query was found, if that is in the conversation."""
    cwd: str | None
    model: str | None
    model_provider: str | None
    created_at: str
    updated_at: str
    item_count: int | None = None
    size_bytes: int
    status: Literal["clean", "interrupted", "unreadable"]
    reason: str | None = None
    live: bool
    archived: bool
    origin: Literal["codex-rpc", "codex"]


@frozen(kw_only=True)
class SessionQuery:
    """What to list."""

    cwd: str | None = None
    query: str | None = None
    cursor: str | None = None
    limit: int = 50
    sort: Literal["updated", "created"] = "updated"
    archived: bool = False
    session_id: str | None = None
    """Nothing but the files of that session."""


@frozen(kw_only=True)
class SessionPage:
    """A page of `session/list`."""

    camel: ClassVar[bool] = True

    sessions: list[SessionSummary]
    filtered_out: dict[str, int]
    next_cursor: str | None = None


@frozen
class ReadEntry:
    """One item of `session/read` and its index, counted from 0."""

    camel: ClassVar[bool] = True

    index: int
    item: dict[str, Any]


@frozen(kw_only=True)
class ReadPage:
    """A page of `session/read`, in ascending order."""

    camel: ClassVar[bool] = True

    items: list[ReadEntry]
    damage: list[Damage] | None = None
    next_cursor: str | None = None

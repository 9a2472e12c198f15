"""One session file as a row of a list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from codex_rpc.protocol.converter import utc_text
from codex_rpc.protocol.errors import RolloutCorrupt, RolloutNotFound
from codex_rpc.protocol.records import Origin, SessionSummary
from codex_rpc.protocol.titles import one_line, title_of
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.lines import never_cancelled
from codex_rpc.rollout.paths import id_in_name, text_of
from codex_rpc.rollout.places import Place
from codex_rpc.rollout.reader import reading

MAX_PREVIEW_CHARS = 200


class Row(NamedTuple):
    """What a file says of itself that a list shows."""

    session_id: str
    title: str
    preview: str = ""
    cwd: str | None = None
    model: str | None = None
    model_provider: str | None = None
    created_at: str | None = None
    item_count: int | None = None
    is_running: bool = False
    """Its last turn has no end."""
    origin: Literal["codex-rpc", "codex"] = "codex-rpc"
    forked_from: Origin | None = None
    reason: str | None = None
    """Why it cannot be read; None: it can."""
    updated_at: str | None = None
    """When it was last changed; None: that is to be made from what the system says, which takes
    as long as all the rest of a row."""

    @property
    def can_be_continued(self) -> bool:
        """It can be read, and has items."""
        return bool(self.item_count)


def row_of(path: Path, check: Callable[[], None] = never_cancelled) -> Row:
    """The row of one file; one that cannot be read has a row too, which says why."""
    # Where all files are known already, it is not needed.
    from codex_rpc.rollout.facts import facts_in

    try:
        with reading(path) as fd:
            header = read_header(fd, path)
            facts = facts_in(fd, header, check)
    except (RolloutCorrupt, RolloutNotFound) as exc:
        return Row(
            session_id=id_in_name(path) or text_of(Path(path.stem)),
            title=text_of(Path(path.name)),
            reason=exc.data.get("reason", "the link leads nowhere"),
        )
    return Row(
        session_id=header.session_id,
        title=title_of(facts.title or facts.first_text),
        preview=one_line(facts.first_text, MAX_PREVIEW_CHARS),
        cwd=facts.cwd,
        model=facts.model,
        model_provider=facts.model_provider,
        created_at=utc_text(header.created_at) if header.created_at else None,
        item_count=facts.item_count,
        is_running=facts.running is not None,
        origin=header.origin,
        forked_from=header.forked_from,
    )


def summary_of(
    row: Row, place: Place, *, live: bool, archived: bool, excerpt: str | None = None
) -> SessionSummary:
    """A row as clients see it."""
    updated_at = row.updated_at or text_of_time(place.changed_ns)
    status: Literal["clean", "interrupted", "unreadable"] = "clean"
    if row.reason is not None:
        status = "unreadable"
    elif row.is_running and not live:
        status = "interrupted"
    return SessionSummary(
        session_id=row.session_id,
        path=place.text,
        title=row.title,
        preview=row.preview,
        excerpt=excerpt,
        cwd=row.cwd,
        model=row.model,
        model_provider=row.model_provider,
        created_at=row.created_at or updated_at,
        updated_at=updated_at,
        item_count=row.item_count,
        size_bytes=place.size,
        status=status,
        reason=row.reason,
        live=live,
        archived=archived,
        origin=row.origin,
    )


def text_of_time(ns: int) -> str:
    """A file's time as clients see it; the epoch if that is no date at all."""
    try:
        moment = datetime.fromtimestamp(ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return utc_text(moment)

"""A session as JSON, for programs: what the file tells, under names that stay.

    {"format": 1, "session": {…}, "entries": [{"kind": "item", "index": 0, "item": {…}}, …]}

Items are the bytes of the file wherever those are whole. Each entry is on a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from codex_rpc.protocol.converter import utc_text
from codex_rpc.protocol.records import Damage
from codex_rpc.rollout.exporting.composition import Facts
from codex_rpc.rollout.exporting.transcript import (
    CompactionPart,
    ContextPart,
    ItemPart,
    Part,
    RollbackPart,
    TitlePart,
    TurnPart,
)

FORMAT = 1


def json_document(parts: Iterable[Part], facts: Facts) -> str:
    """The document; `facts` are completed on the way."""
    entries: list[str] = []
    for part in parts:
        facts.take(part)
        entries.append(_line(_entry(part)))
    session = _line(_session(facts))
    body = ",\n".join(entries)
    return f'{{"format":{FORMAT},"session":{session},"entries":[\n{body}\n]}}\n'


def _entry(part: Part) -> dict[str, Any]:
    match part:
        case ItemPart():
            entry: dict[str, Any] = {"kind": "item", "index": part.index}
            if part.timestamp is not None:
                entry["timestamp"] = _time(part.timestamp)
            if not part.is_saved:
                entry["saved"] = False
            entry["item"] = part.value if part.raw is None else orjson.Fragment(part.raw)
            return entry
        case TurnPart():
            return _known(
                kind="turn",
                timestamp=_time(part.timestamp),
                submission_id=part.submission_id or None,
                status=part.status,
                reason=part.reason,
                usage=dict(part.usage) if part.usage else None,
            )
        case ContextPart():
            return _known(
                kind="context",
                timestamp=_time(part.timestamp),
                cwd=part.cwd,
                model=part.model,
                model_provider=part.model_provider,
                approval_policy=part.approval_policy,
                sandbox_mode=part.sandbox_mode,
            )
        case CompactionPart():
            return _known(
                kind="compaction",
                timestamp=_time(part.timestamp),
                summary=part.summary,
                replaces=part.replaces,
            )
        case RollbackPart():
            return _known(kind="rollback", timestamp=_time(part.timestamp), turns=part.turns)
        case TitlePart():
            return {"kind": "title", "title": part.title}
        case Damage():
            return {
                "kind": "damage",
                "line": part.line_no,
                "bytes": part.byte_count,
                "reason": part.reason,
            }


def _session(facts: Facts) -> dict[str, Any]:
    context, origin = facts.context, facts.forked_from
    session = _known(
        id=facts.session_id,
        origin=facts.origin,
        version=facts.version,
        title=facts.title,
        cwd=context.cwd,
        model=context.model,
        model_provider=context.model_provider,
        created_at=_time(facts.created_at),
        updated_at=_time(facts.updated_at),
        forked_from=_known(id=origin.id, item=origin.item) if origin else None,
        git=facts.git or None,
        instructions=facts.instructions,
        usage=facts.usage or None,
    )
    session["item_count"] = facts.item_count
    session["unsaved_count"] = facts.unsaved_count
    session["damage_count"] = len(facts.damage)
    return session


def _known(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _time(moment: datetime | None) -> str | None:
    return utc_text(moment.astimezone(UTC)) if moment else None


def _line(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()

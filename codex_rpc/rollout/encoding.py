"""Records as lines: what is written, byte for byte.

Reading them back is the reader's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from codex_rpc.protocol.converter import unstructure, utc_text
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import (
    FORMAT,
    CompactedRecord,
    ContextRecord,
    Header,
    Record,
    StateRecord,
    TitleRecord,
    TurnRecord,
)
from codex_rpc.rollout.paths import text_of

_Bookkeeping = ContextRecord | TurnRecord | StateRecord | TitleRecord | CompactedRecord


def header_line(header: Header, *, version: str, git: Mapping[str, str]) -> bytes:
    """The first line, with its end. Older readers want the first three members."""
    value: dict[str, Any] = {
        "id": header.id,
        "timestamp": _time(header.timestamp),
        "instructions": header.instructions,
        "format": FORMAT,
        "cwd": text_of(header.cwd),
        "originator": header.originator,
        "version": header.version or version,
    }
    if git:
        value["git"] = dict(git)
    if header.forked_from is not None:
        value["forked_from"] = _without_none(
            {
                "id": header.forked_from.id,
                "path": header.forked_from.path,
                "size": header.forked_from.size,
                "item": header.forked_from.item,
            }
        )
    return json_line(value)


def record_line(record: Record, line_no: int = 0) -> bytes:
    """One record, with its line end. An item's bytes are written as they are.

    `line_no`, counted from 1, is where it will stand; only a compaction says it.
    """
    if isinstance(record, Item):
        if b"\n" in record.raw:
            return json_line(record.value())
        return record.raw + b"\n"
    # The type comes first: readers look for the beginning of such a line from the file's end.
    return json_line({"record_type": record.record_type, **_members(record, line_no)})


def blobs_line(refs: Sequence[Mapping[str, Any]]) -> bytes:
    """What goes directly before an item of which `refs` were stored apart."""
    return json_line({"record_type": "blobs", "refs": list(refs)})


def _members(record: _Bookkeeping, line_no: int) -> dict[str, Any]:
    match record:
        case ContextRecord():
            return {
                "timestamp": _time(record.timestamp),
                "cwd": record.cwd,
                "model": record.model,
                "model_provider": record.model_provider,
                "approval_policy": record.approval_policy,
                "sandbox_policy": unstructure(record.sandbox_policy),
            }
        case TurnRecord():
            return {
                "timestamp": _time(record.timestamp),
                "submission_id": record.submission_id,
                "status": record.status,
                **_without_none({"reason": record.reason, "usage": record.usage}),
            }
        case StateRecord():
            return {"previous_response_id": record.previous_response_id}
        case TitleRecord():
            return {"title": record.title}
        case CompactedRecord():
            return {"summary": record.summary, "replaces": record.replaces, "line": line_no}


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _time(moment: datetime) -> str:
    return utc_text(moment.astimezone(UTC))


def json_line(value: dict[str, Any]) -> bytes:
    """`value` as compact JSON with a line end; text that is no UTF-8 is written with `?`."""
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # A path can hold bytes that are no UTF-8, and such a line is better than none.
        return orjson.dumps(_without_surrogates(value), option=orjson.OPT_APPEND_NEWLINE)


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
        case list() | tuple():
            return [_without_surrogates(member) for member in value]
        case _:
            return value

"""The first line of a session file: who wrote it, in which layout, and which session it is.

Strict: a file whose first line is not understood is no session file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from codex_rpc.protocol.errors import RolloutCorrupt, RolloutNewer
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import string_in
from codex_rpc.protocol.records import FORMAT, Origin
from codex_rpc.rollout.lines import BOM, first_line, object_in
from codex_rpc.rollout.paths import session_id_of, text_of


@frozen(kw_only=True)
class FileHeader:
    """What the first line says."""

    session_id: SessionId
    created_at: datetime | None
    """None: it does not say it in a form that is understood."""
    origin: Literal["codex-rpc", "codex"]
    format: int | None = None
    """None: not written by this project, whatever it says of state."""
    enveloped: bool = False
    """Every line is `{"timestamp", "type", "payload"}`, as today's Codex CLI writes them."""
    cwd: str | None = None
    model_provider: str | None = None
    forked_from: Origin | None = None


def read_header(fd: int, path: Path) -> FileHeader:
    """The header of an open file.

    Raises:
        RolloutNewer: its format is newer than what this program reads.
        RolloutCorrupt: it has none, or is empty.
    """
    line = first_line(fd).removeprefix(BOM)
    if not line.strip():
        raise RolloutCorrupt(text_of(path), "it is empty or begins with an empty line", line_no=1)
    value = object_in(line)
    if value is not None:
        _refuse_newer(value, path)
        header = _enveloped(value) if value.get("type") == "session_meta" else _plain(value)
        if header is not None:
            return header
    raise RolloutCorrupt(text_of(path), "its first line is no session header", line_no=1)


def moment_of(value: Any) -> datetime | None:
    """The moment that an ISO 8601 text names, in UTC; without a zone it is taken for UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _refuse_newer(value: dict[str, Any], path: Path) -> None:
    number = value.get("format")
    if isinstance(number, int) and number > FORMAT:
        reason = f"it has format {number} and this program reads up to {FORMAT}; upgrade codex-rpc"
        raise RolloutNewer(text_of(path), reason, line_no=1)


def _plain(value: dict[str, Any]) -> FileHeader | None:
    session_id = session_id_of(value.get("id"))
    number = value.get("format")
    if session_id is None or not isinstance(value.get("timestamp"), str):
        return None
    if "type" in value or "record_type" in value:
        return None
    if "format" in value and (type(number) is not int or number < 1):
        return None
    return FileHeader(
        session_id=session_id,
        created_at=moment_of(value["timestamp"]),
        origin="codex" if number is None else "codex-rpc",
        format=number,
        cwd=string_in(value, "cwd"),
        forked_from=_origin(value.get("forked_from")),
    )


def _origin(value: Any) -> Origin | None:
    """Where the first items came from; what is not told as it should be is not known."""
    if not isinstance(value, dict):
        return None
    session_id, path = string_in(value, "id"), string_in(value, "path")
    if session_id is None or path is None:
        return None
    size, item = value.get("size"), value.get("item")
    return Origin(
        id=session_id,
        path=path,
        size=size if type(size) is int else None,
        item=item if type(item) is int else None,
    )


def _enveloped(value: dict[str, Any]) -> FileHeader | None:
    payload = value.get("payload")
    if not isinstance(payload, dict):
        return None
    session_id = session_id_of(payload.get("id"))
    if session_id is None:
        return None
    return FileHeader(
        session_id=session_id,
        created_at=moment_of(payload.get("timestamp")) or moment_of(value.get("timestamp")),
        origin="codex",
        enveloped=True,
        cwd=string_in(payload, "cwd"),
        model_provider=string_in(payload, "model_provider"),
    )

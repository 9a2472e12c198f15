"""Everything that a session file tells, from its first line to its last, whoever wrote it.

Owns what the lines of each kind of file mean for a reader: items, turns, settings, compactions.
It does not know what a document looks like. Lines are taken one by one and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import string_in
from codex_rpc.protocol.records import Damage
from codex_rpc.rollout.blobs import BlobDamaged, BlobFolder
from codex_rpc.rollout.envelopes import TURN_ENDED, TURN_STARTED, conversational
from codex_rpc.rollout.headers import FileHeader, moment_of
from codex_rpc.rollout.lines import UNFINISHED, Lines, object_in
from codex_rpc.rollout.markers import NOT_WHOLE, START, compaction_in
from codex_rpc.rollout.replay import NO_TYPE, blob_refs_in, why_not

TurnStatus = Literal["started", "completed", "aborted", "failed"]
_STATUSES = ("started", "completed", "aborted", "failed")

Usage = Mapping[str, int]
"""Tokens, by the names that the model's API gives them."""


@frozen(kw_only=True)
class ItemPart:
    """A response item."""

    index: int
    """As `session/read` counts."""
    value: dict[str, Any]
    raw: bytes | None = None
    """The same as it stands in the file; None: it stands there in another form."""
    timestamp: datetime | None = None
    is_saved: bool = True


@frozen(kw_only=True)
class TurnPart:
    """A turn began or ended."""

    status: TurnStatus
    submission_id: str
    timestamp: datetime | None
    reason: str | None = None
    usage: Usage | None = None


@frozen(kw_only=True)
class ContextPart:
    """The settings from here on; None where the file does not say."""

    timestamp: datetime | None
    cwd: str | None = None
    model: str | None = None
    model_provider: str | None = None
    approval_policy: str | None = None
    sandbox_mode: str | None = None


@frozen(kw_only=True)
class CompactionPart:
    """From here on the model knew only a summary of what is before."""

    summary: str
    replaces: int | None = None
    timestamp: datetime | None = None


@frozen(kw_only=True)
class RollbackPart:
    """The last turns were taken back."""

    turns: int
    timestamp: datetime | None = None


@frozen
class TitlePart:
    title: str


Part = ItemPart | TurnPart | ContextPart | CompactionPart | RollbackPart | TitlePart | Damage


def transcript(
    fd: int, header: FileHeader, *, blobs: BlobFolder, check: Callable[[], None]
) -> Iterator[Part]:
    """The parts of an open file, whose header is known, in their order.

    Items are whole: what is stored beside the file is put back. A line that cannot be used, and
    an item of which something cannot be put back, come with their damage.
    """
    taker = _Envelopes() if header.enveloped else _Records(blobs)
    lines = Lines(fd, check)
    line_no = 0
    for batch in lines:
        for line in batch:
            line_no += 1
            if line_no > 1:
                yield from _taken(taker, line, line_no, is_whole=True)
    if lines.tail.fragment and line_no > 0:
        yield from _taken(taker, lines.tail.fragment, line_no + 1, is_whole=False)


def _taken(
    taker: _Envelopes | _Records, line: bytes, line_no: int, *, is_whole: bool
) -> Iterator[Part]:
    value = object_in(line)
    if value is not None:
        yield from taker.take(value, line, line_no)
    elif line.strip():
        yield Damage(line_no, len(line), why_not(line) if is_whole else UNFINISHED)


class _Records:
    """Lines of our format, and of the Codex CLI's of 2025."""

    def __init__(self, blobs: BlobFolder) -> None:
        self._blobs = blobs
        self._index = 0
        self._refs: Sequence[Mapping[str, Any]] = ()

    def take(self, value: dict[str, Any], line: bytes, line_no: int) -> Iterator[Part]:
        refs, self._refs = self._refs, ()
        if isinstance(value.get("record_type"), str):
            yield from self._record(value, line, line_no)
        elif string_in(value, "type") is None:
            yield Damage(line_no, len(line), NO_TYPE)
        else:
            yield from self._item(value, line, line_no, refs)
            self._index += 1

    def _item(
        self, value: dict[str, Any], line: bytes, line_no: int, refs: Sequence[Mapping[str, Any]]
    ) -> Iterator[Part]:
        raw: bytes | None = line.strip()
        if refs:
            try:
                value, raw = self._blobs.inline(value, refs), None
            except BlobDamaged as exc:
                yield Damage(line_no, len(line), exc.reason)
                # It may have been put together in part.
                value = object_in(line) or value
        yield ItemPart(index=self._index, value=value, raw=raw)

    def _record(self, value: dict[str, Any], line: bytes, line_no: int) -> Iterator[Part]:
        moment = moment_of(value.get("timestamp"))
        match value["record_type"]:
            case "turn" if value.get("status") in _STATUSES:
                yield TurnPart(
                    status=value["status"],
                    submission_id=string_in(value, "submission_id") or "",
                    timestamp=moment,
                    reason=string_in(value, "reason"),
                    usage=usage_in(value.get("usage")),
                )
            case "context":
                yield _context(value, moment, value.get("sandbox_policy"))
            case "title":
                title = string_in(value, "title")
                if title is not None:
                    yield TitlePart(title)
            case "blobs":
                self._refs = blob_refs_in(value)
            case "compacted" if line.startswith(START):
                compaction = compaction_in(value, line_no)
                if compaction is None:
                    yield Damage(line_no, len(line), NOT_WHOLE)
                else:
                    summary, replaces = compaction
                    self._index = max(self._index, replaces)
                    yield CompactionPart(summary=summary, replaces=replaces, timestamp=moment)


class _Envelopes:
    """Lines of today's Codex CLI."""

    def __init__(self) -> None:
        self._index = 0
        self._turn_id = ""
        self._total: Usage = {}
        """All tokens until now."""
        self._total_before: Usage = {}
        """The same when the turn began."""

    def take(self, value: dict[str, Any], line: bytes, line_no: int) -> Iterator[Part]:
        del line, line_no
        payload = value.get("payload")
        if not isinstance(payload, dict):
            return
        moment = moment_of(value.get("timestamp"))
        match value.get("type"):
            case "response_item":
                item = conversational(payload)
                if item is not None:
                    yield ItemPart(index=self._index, value=item, timestamp=moment)
                    self._index += 1
            case "turn_context":
                yield _context(payload, moment, payload.get("sandbox_policy"))
            case "compacted":
                summary = string_in(payload, "message") or ""
                yield CompactionPart(summary=summary, timestamp=moment)
            case "event_msg":
                yield from self._event(payload, moment)

    def _event(self, payload: dict[str, Any], moment: datetime | None) -> Iterator[Part]:
        kind = payload.get("type")
        if kind in TURN_STARTED:
            self._turn_id = string_in(payload, "turn_id") or ""
            self._total_before = self._total
            yield TurnPart(status="started", submission_id=self._turn_id, timestamp=moment)
        elif kind in TURN_ENDED:
            yield TurnPart(
                status="aborted" if kind == "turn_aborted" else "completed",
                submission_id=string_in(payload, "turn_id") or self._turn_id,
                timestamp=moment,
                reason=string_in(payload, "reason"),
                usage=self._turn_usage(),
            )
            self._total_before = self._total
        elif kind == "token_count":
            info = payload.get("info")
            total = usage_in(info.get("total_token_usage")) if isinstance(info, dict) else None
            self._total = total or self._total
        elif kind == "thread_rolled_back":
            turns = payload.get("num_turns")
            if type(turns) is int and turns > 0:
                yield RollbackPart(turns=turns, timestamp=moment)

    def _turn_usage(self) -> Usage | None:
        before = self._total_before
        spent = {name: count - before.get(name, 0) for name, count in self._total.items()}
        return usage_in(spent) if any(spent.values()) else None


def usage_in(value: object) -> Usage | None:
    """The counts in a `usage` object; None if it is none."""
    if not isinstance(value, dict):
        return None
    counts = {name: n for name, n in value.items() if type(n) is int and n >= 0}
    return counts or None


def _context(value: dict[str, Any], moment: datetime | None, sandbox: object) -> ContextPart:
    modes = sandbox if isinstance(sandbox, dict) else {"mode": sandbox}
    return ContextPart(
        timestamp=moment,
        cwd=string_in(value, "cwd"),
        model=string_in(value, "model"),
        model_provider=string_in(value, "model_provider"),
        approval_policy=string_in(value, "approval_policy"),
        sandbox_mode=string_in(modes, "mode") or string_in(modes, "type"),
    )

"""A session as today's Codex CLI wrote it, as far as it can go on here.

Owns what its lines amount to: the conversation, compactions and turns that were taken back
included, and the settings that its last turn had. What cannot be translated is left out.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import define, field

from codex_rpc.protocol.items import Item, string_in, summary_message
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxPolicy
from codex_rpc.protocol.records import Damage, Origin, SavedContext, SavedSession
from codex_rpc.rollout.envelopes import (
    TURN_ENDED,
    TURN_STARTED,
    conversational,
    item_in,
    may_tell,
    message_text,
)
from codex_rpc.rollout.headers import FileHeader
from codex_rpc.rollout.lines import UNFINISHED, Lines, object_in
from codex_rpc.rollout.paths import text_of
from codex_rpc.rollout.replay import why_not

MAX_KEPT_BYTES = 80_000
"""How much of the user's own words a compaction keeps that does not say what it keeps."""

_APPROVALS: dict[str, ApprovalPolicy] = {
    "untrusted": "untrusted",
    "unlesstrusted": "untrusted",
    "onfailure": "on-failure",
    "onrequest": "on-request",
    "never": "never",
}


@define
class ForeignReplay:
    """A session as far as its lines were taken."""

    header: FileHeader
    up_to: int | None = None
    """The index of the last item that counts; None: all do."""
    items: list[Item] = field(factory=list)
    damage: list[Damage] = field(factory=list)
    item_count: int = 0
    """How many items the file has, those that a compaction replaced included."""
    _context: dict[str, Any] = field(factory=dict, init=False)
    _running: bool = field(default=False, init=False)
    _aborted: bool = field(default=False, init=False)
    _turn_starts: list[int] = field(factory=list, init=False)
    """Where in `items` the user's messages are."""

    def take_all(self, lines: Lines) -> None:
        """Take all of `lines`; a last one that only lacks its end counts."""
        line_no = lines.line_count
        for batch in lines:
            for line in batch:
                line_no += 1
                if line_no > 1 and may_tell(line):
                    self._take(line, line_no)
        fragment = lines.tail.fragment
        if fragment and line_no > 0:
            self._take(fragment, line_no + 1, is_whole=False)

    def _take(self, line: bytes, line_no: int, *, is_whole: bool = True) -> None:
        value = object_in(line)
        if value is None:
            if line.strip():
                reason = why_not(line) if is_whole else UNFINISHED
                self.damage.append(Damage(line_no, len(line), reason))
            return
        payload = value.get("payload")
        if not isinstance(payload, dict):
            return
        match value.get("type"):
            case "response_item":
                item = item_in(value)
                if item is not None:
                    if self._counts:
                        self._add(item)
                    self.item_count += 1
            case "compacted" if self._counts:
                self._compact(payload)
            case "turn_context":
                self._context = payload
            case "event_msg":
                self._event(payload)

    @property
    def _counts(self) -> bool:
        """Whether what comes now is not beyond what is wanted."""
        return self.up_to is None or self.item_count <= self.up_to

    def _add(self, item: dict[str, Any]) -> None:
        if item.get("role") == "user":
            self._turn_starts.append(len(self.items))
        self.items.append(Item.from_value(item))

    def _compact(self, payload: dict[str, Any]) -> None:
        """Put in the place of everything so far what the program went on with.

        Older versions recorded only the summary; they kept the user's last messages.
        """
        replacement = payload.get("replacement_history")
        kept = self.items
        self.items, self._turn_starts = [], []
        if isinstance(replacement, list):
            for entry in replacement:
                item = conversational(entry) if isinstance(entry, dict) else None
                if item is not None:
                    self._add(item)
        else:
            for value in _last_words(kept):
                self._add(value)
        summary = string_in(payload, "message")
        if summary and not self._says(summary):
            self.items.append(summary_message(summary))

    def _says(self, summary: str) -> bool:
        """Whether the summary is among the items already."""
        messages = (item.value() for item in self.items if item.kind == "message")
        return any(summary in message_text(message) for message in messages)

    def _event(self, payload: dict[str, Any]) -> None:
        kind = string_in(payload, "type")
        if kind in TURN_STARTED:
            self._running, self._aborted = True, False
        elif kind in TURN_ENDED:
            self._running, self._aborted = False, kind == "turn_aborted"
        elif kind == "thread_rolled_back" and self._counts:
            self._roll_back(payload.get("num_turns"))

    def _roll_back(self, turns: object) -> None:
        """Take back the last turns: what the user said, and everything that came of it."""
        if type(turns) is not int or turns < 1 or not self._turn_starts:
            return
        first = self._turn_starts[-min(turns, len(self._turn_starts))]
        del self.items[first:]
        del self._turn_starts[-turns:]

    def session(self, path: Path, updated_at: datetime, size: int) -> SavedSession:
        """The session, of which `size` bytes were read."""
        header = self.header
        return SavedSession(
            session_id=header.session_id,
            path=path,
            context=_saved_context(self._context, header),
            items=self.items,
            updated_at=updated_at,
            interrupted=self._running or self._aborted,
            damage=tuple(self.damage),
            foreign=Origin(id=header.session_id, path=text_of(path), size=size),
        )


def _last_words(items: list[Item]) -> list[dict[str, Any]]:
    """The user's last messages, as many as fit."""
    kept: list[dict[str, Any]] = []
    room = MAX_KEPT_BYTES
    for item in reversed(items):
        value = item.value() if item.kind == "message" else {}
        if value.get("role") == "user":
            room -= len(item.raw)
            if room < 0:
                break
            kept.append(value)
    return kept[::-1]


def _saved_context(value: dict[str, Any], header: FileHeader) -> SavedContext:
    return SavedContext(
        cwd=string_in(value, "cwd") or header.cwd,
        model=string_in(value, "model"),
        model_provider=header.model_provider,
        approval_policy=_APPROVALS.get(_word(value.get("approval_policy"))),
        sandbox_policy=_sandbox(value.get("sandbox_policy")),
    )


def _sandbox(value: Any) -> SandboxPolicy | None:
    """A sandbox policy in any of the forms that were ever written; None: none that is known."""
    policy = value if isinstance(value, dict) else {"mode": value}
    match _word(policy.get("mode") or policy.get("type")):
        case "readonly":
            return SandboxPolicy("read-only")
        case "dangerfullaccess":
            return SandboxPolicy("danger-full-access")
        case "workspacewrite":
            roots = policy.get("writable_roots", policy.get("writableRoots"))
            network = policy.get("network_access", policy.get("networkAccess"))
            return SandboxPolicy(
                "workspace-write",
                tuple(
                    root
                    for root in (roots if isinstance(roots, list) else [])
                    if isinstance(root, str) and Path(root).is_absolute()
                ),
                network is True or network == "enabled",
            )
    return None


def _word(value: Any) -> str:
    """`value`, however its words are joined."""
    return re.sub(r"[^a-z]", "", value.lower()) if isinstance(value, str) else ""

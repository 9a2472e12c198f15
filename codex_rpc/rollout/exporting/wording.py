"""What documents for people have in common: how dates, counts, images and endings are worded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.shapes import Action, FileChange, Image, Outcome, Patch, Plan
from codex_rpc.rollout.exporting.composition import Change, Facts, Turn
from codex_rpc.rollout.exporting.transcript import CompactionPart, RollbackPart, Usage

_RASTER = re.compile(r"data:image/(png|jpe?g|gif|webp|bmp|avif);base64,([A-Za-z0-9+/]+={0,2})")
_SETTINGS = {
    "cwd": "folder",
    "model": "model",
    "model_provider": "provider",
    "approval_policy": "approvals",
    "sandbox_mode": "sandbox",
}
_CHANGES = {"Add": "added", "Update": "changed", "Delete": "deleted"}


@frozen
class Raster:
    """An image that is in the session itself, and of a kind that can do nothing but be seen."""

    url: str
    kind: str
    byte_count: int

    @property
    def label(self) -> str:
        return f"{self.kind.upper()} image, {size(self.byte_count)}"


def raster_of(image: Image) -> Raster | None:
    """None: it is somewhere else, or something else."""
    found = _RASTER.fullmatch(image.url)
    if found is None:
        return None
    byte_count = len(found[2]) * 3 // 4 - found[2].count("=")
    return Raster(image.url, found[1].replace("jpg", "jpeg"), byte_count)


def missing_image(image: Image) -> str:
    """What is said in the place of an image that is not shown."""
    if image.url.startswith("data:"):
        return f"image of a kind that is not shown, {size(len(image.url))}"
    return f"image, not in the session: {image.url[:300]}"


def size(byte_count: int) -> str:
    """A size as people say it."""
    if byte_count < 1024:
        return f"{byte_count} bytes"
    for unit in ("KiB", "MiB"):
        byte_count_in_unit = byte_count / (1024 if unit == "KiB" else 1 << 20)
        if byte_count_in_unit < 1024 or unit == "MiB":
            return f"{byte_count_in_unit:,.1f} {unit}"
    raise AssertionError


def moment(value: datetime | None) -> str | None:
    """A moment in UTC to the minute."""
    return f"{value.day} {value:%b %Y, %H:%M} UTC" if value else None


def took(turn: Turn) -> str | None:
    """How long a turn took."""
    if turn.started_at is None or turn.ended_at is None:
        return None
    seconds = (turn.ended_at - turn.started_at).total_seconds()
    return duration(seconds) if seconds >= 0 else None


def duration(seconds: float) -> str:
    """A duration as people say it."""
    if not seconds < 1e9:
        return "very long"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def tokens(usage: Usage | None) -> str | None:
    """What a response cost."""
    if not usage:
        return None
    given, answered = usage.get("input_tokens"), usage.get("output_tokens")
    if given is None or answered is None:
        total = usage.get("total_tokens")
        return f"{total:,} tokens" if total is not None else None
    cached, reasoned = usage.get("cached_input_tokens"), usage.get("reasoning_output_tokens")
    of_input = f" ({cached:,} cached)" if cached else ""
    of_output = f" ({reasoned:,} reasoning)" if reasoned else ""
    return f"{given:,} tokens in{of_input}, {answered:,} out{of_output}"


def ended(turn: Turn) -> str | None:
    """How a turn ended, where that is worth saying."""
    if turn.ending is None:
        return None
    # "aborted (interrupted)" says the same twice.
    reason = turn.reason if turn.reason not in (None, turn.ending, "interrupted") else None
    return f"{turn.ending} ({reason})" if reason else turn.ending


def came_back(outcome: Outcome | None) -> Iterator[str]:
    """What is known about how a call ended, besides what it gave back."""
    if outcome is None:
        yield "no output recorded"
        return
    if outcome.exit_code is not None:
        yield f"exit code {outcome.exit_code}"
    if outcome.duration_s:
        yield duration(outcome.duration_s)
    count = line_count(outcome.text)
    if count:
        yield counted(count, "line")
    elif not outcome.blocks:
        yield "no output"


def says_more_than(outcome: Outcome | None, action: Action) -> bool:
    """Whether what came back is worth showing: that a plan or a patch is done is seen from it."""
    if outcome is None or not isinstance(action, Patch | Plan):
        return True
    done = "Success. Updated the following files:" if isinstance(action, Patch) else "Plan updated"
    return outcome.exit_code not in (None, 0) or not outcome.text.startswith(done)


def damaged(facts: Facts) -> str:
    lines = counted(len(facts.damage), "line")
    return f"{lines} of the file could not be used whole, as told below."


def not_saved(facts: Facts) -> str:
    return f"{_last(facts.unsaved_count, 'item')} of the session."


def compacted(part: CompactionPart) -> str:
    items = f" of {counted(part.replaces, 'item')}" if part.replaces else ""
    return f"from here on the model knew a summary{items} instead."


def taken_back(part: RollbackPart) -> str:
    return f"{_last(part.turns, 'turn')} before this."


def _last(count: int, noun: str) -> str:
    return f"the last {noun}" if count == 1 else f"the last {counted(count, noun)}"


def counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def line_count(text: str) -> int:
    return len(text.rstrip("\n").split("\n")) if text.strip("\n") else 0


def changed(change: FileChange) -> str:
    """What a patch does with one file, without the file's name."""
    counts = [f"+{change.added}"] if change.added else []
    counts += [f"\N{MINUS SIGN}{change.removed}"] if change.removed else []
    return " ".join([_CHANGES[change.kind], *counts])


def setting(change: Change) -> str:
    return _SETTINGS.get(change.name, change.name)


def about(facts: Facts) -> Iterator[tuple[str, str]]:
    """What is known of a session, by name."""
    context = facts.context
    writer = "codex-rpc" if facts.origin == "codex-rpc" else "Codex CLI"
    yield "Folder", context.cwd or ""
    branch = facts.git.get("branch", "")
    commit = facts.git.get("commit_hash", "")[:12]
    yield "Repository", " ".join(word for word in (branch, commit) if word)
    yield "Model", ", ".join(facts.models)
    yield "Provider", context.model_provider or ""
    yield "Sandbox", context.sandbox_mode or ""
    yield "Approvals", context.approval_policy or ""
    yield "Started", moment(facts.created_at) or ""
    yield "Last change", moment(facts.updated_at) or ""
    yield "Turns", f"{len(facts.turns):,}"
    yield "Tokens", (tokens(facts.usage) or "").replace(" tokens", "")
    if facts.forked_from is not None:
        origin = facts.forked_from
        yield (
            "Forked from",
            origin.id + (f", item {origin.item}" if origin.item is not None else ""),
        )
    yield "Written by", f"{writer} {facts.version or ''}".strip()
    yield "Session", facts.session_id

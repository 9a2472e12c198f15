"""What is wrong with session files, and what becomes of it, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from codex_rpc.cli.quantities import counted, size
from codex_rpc.cli.session_ids import ShortIds
from codex_rpc.cli.terminal import Hanging, exact, home_relative
from codex_rpc.protocol.checkup import Checkup, Inspection

GOOD, BAD, CAREFUL, DIM = "green", "red", "yellow", "dim"
MAX_TOLD = 12
"""Of one kind, as long as nobody asked for that alone."""


def shown_checkup(checkup: Checkup, ids: ShortIds) -> Iterator[RenderableType]:
    """Everything that is worth knowing; the verdict comes last."""
    count = sum(checkup.statuses.values())
    known = [
        f"{checkup.origins[name]:,} by {who}"
        for name, who in (("codex-rpc", "codex-rpc"), ("codex", "the Codex CLI"))
        if checkup.origins.get(name)
    ]
    sessions = [counted(count, "file"), size(checkup.size_bytes), *known]
    if checkup.archived:
        sessions.append(f"{checkup.archived:,} archived")
    states = [f"{number:,} {status}" for status, number in sorted(checkup.statuses.items())]
    if checkup.live:
        states.append(f"{checkup.live:,} open now")
    blobs = f"{counted(checkup.blob_count, 'file')}, {size(checkup.blob_bytes)}"
    free = checkup.free_bytes
    rows = [
        ("folder", home_relative(checkup.folder)),
        ("sessions", ", ".join(sessions)),
        ("states", ", ".join(states)),
        ("large parts", blobs if checkup.blob_count else ""),
        ("disk", "" if free is None else f"{size(free)} free"),
        ("file locks", "work" if checkup.locks is None else ""),
    ]
    for name, value in rows:
        if value:
            yield Hanging(Text(exact(value)), Text(f"{name:<13}", style=DIM))
    if checkup.locks is not None:
        said = f"do not work ({checkup.locks}): sessions can be read and forked, not continued"
        yield Hanging(Text(exact(said), style=BAD), Text(f"{'file locks':<13}", style=DIM))
    for inspection in checkup.inspections:
        yield Text("")
        yield from shown_inspection(inspection, ids)
    yield from _listed("folders that cannot be read", checkup.unreadable_folders, BAD)
    yield from _listed("large parts of no session", checkup.unreferenced_blobs or [], CAREFUL)
    yield from _listed("notes of processes that are gone", checkup.stale_notes, CAREFUL)
    yield Text("")
    yield from _advice(checkup)


def shown_inspection(inspection: Inspection, ids: ShortIds) -> Iterator[RenderableType]:
    """What is wrong with one file."""
    path = home_relative(inspection.path)
    short = ids.short(inspection.session_id)
    yield Hanging(Text(exact(path), style=DIM), Text(f"{exact(short)}  ", style="cyan"))
    if inspection.reason is not None:
        yield Hanging(Text(f"cannot be read: {exact(inspection.reason)}", style=BAD))
    for damage in inspection.damage[:MAX_TOLD]:
        said = f"line {damage.line_no} ({size(damage.byte_count)}): {damage.reason}"
        yield Hanging(Text(exact(said), style=BAD))
    if (more := len(inspection.damage) - MAX_TOLD) > 0:
        yield Hanging(Text(f"and {counted(more, 'more line')}", style=BAD))
    if inspection.mended:
        lines = ", ".join(map(str, inspection.mended[:MAX_TOLD]))
        yield Hanging(Text(f"never finished, and passed over: line {lines}", style=DIM))
    if inspection.open_calls:
        said = f"calls without output: {', '.join(inspection.open_calls[:MAX_TOLD])}"
        yield Hanging(Text(exact(said), style=CAREFUL))
    if inspection.live:
        yield Hanging(Text("it is open now", style=DIM))


def shown_appendix(inspection: Inspection, *, is_done: bool) -> Iterator[RenderableType]:
    """What a repair adds, or has added."""
    if not inspection.appends:
        why = "nothing is to be added"
        if inspection.damage and inspection.reason is None:
            why += "; damaged lines stay where they are, and are passed over"
        yield Hanging(Text(why, style=DIM))
        return
    yield Hanging(Text("added:" if is_done else "would be added:", style=GOOD))
    lines = inspection.appends.removesuffix("\n").split("\n")
    if not lines[0]:
        yield Hanging(Text("(the end of the last line)", style=DIM), "    ")
    for line in filter(None, lines):
        yield Hanging(Text(exact(line)), "    ")


def _listed(what: str, names: list[str], style: str) -> Iterator[RenderableType]:
    if names:
        yield Text("")
        yield Text(f"{what}: {len(names):,}", style=style)
        for name in names[:MAX_TOLD]:
            yield Hanging(Text(exact(home_relative(name)), style=DIM))
        if len(names) > MAX_TOLD:
            yield Hanging(Text("…", style=DIM))


def _advice(checkup: Checkup) -> Iterator[RenderableType]:
    broken = sum(not inspection.is_whole for inspection in checkup.inspections)
    if any(inspection.appends for inspection in checkup.inspections):
        yield Text("codex-rpc sessions repair --all --dry-run shows what can be added", style=DIM)
    if broken:
        yield Text(f"{counted(broken, 'file')} damaged", style=BAD)
    elif checkup.is_healthy:
        yield Text("nothing is damaged", style=GOOD)

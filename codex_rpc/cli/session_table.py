"""Lists of sessions as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Literal

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from codex_rpc.cli.quantities import counted, relative, size
from codex_rpc.cli.session_ids import ShortIds
from codex_rpc.cli.terminal import exact, home_relative
from codex_rpc.protocol.records import SessionPage, SessionSummary

NARROW, WIDE = 70, 100
"""From so many columns on there is room for folders, and for numbers."""
GAP = 2
MIN_TITLE = 16
MAX_FOLDER = 28
UNTITLED = "(nothing said yet)"


def session_table(
    sessions: Sequence[SessionSummary],
    ids: ShortIds,
    *,
    now: datetime,
    columns: int,
    with_folder: bool,
) -> RenderableType:
    """One row for each session; where words were found, below its title."""
    rest: dict[str, list[str]] = {}
    if with_folder and columns >= NARROW:
        rest["FOLDER"] = [_folder(session.cwd) for session in sessions]
    if columns >= WIDE:
        rest["ITEMS"] = [_count(session.item_count) for session in sessions]
        rest["SIZE"] = [size(session.size_bytes) for session in sessions]
    first = {
        "ID": [_id(session, ids) for session in sessions],
        "CHANGED": [_changed(session, now) for session in sessions],
    }
    titles = [_title_and_excerpt(session) for session in sessions]
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    for name, cells in first.items():
        table.add_column(name, width=_width(name, cells), style="cyan" if name == "ID" else "")
    # The title has what the others leave.
    taken = sum(_width(name, cells) + GAP for name, cells in (first | rest).items())
    wanted = max(title.cell_len for title in titles)
    table.add_column("TITLE", width=max(min(wanted, columns - taken - 1), MIN_TITLE))
    for name, cells in rest.items():
        justify: Literal["left", "right"] = "left" if name == "FOLDER" else "right"
        table.add_column(name, width=_width(name, cells), justify=justify, style="dim")
    for column in table.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    for row in zip(*first.values(), titles, *rest.values(), strict=True):
        table.add_row(*row)
    return table


def left_out(page: SessionPage, *, archived: bool) -> str:
    """What the list does not show, in words; "" if it shows everything."""
    counts = page.filtered_out
    said = [f"{counted(counts['cwd'], 'session')} of other folders"] if counts.get("cwd") else []
    if counts.get("query"):
        said.append(f"{counted(counts['query'], 'session')} without these words")
    if counts.get("archived"):
        other = "not archived" if archived else "archived (--archived)"
        said.append(f"{counts['archived']:,} {other}")
    if counts.get("unreadableFolders"):
        said.append(f"{counted(counts['unreadableFolders'], 'folder')} that cannot be read")
    more = ["there are more (--limit N)"] if page.next_cursor is not None else []
    return "; ".join(more + ([f"left out: {', '.join(said)}"] if said else []))


def session_head(session: SessionSummary, *, now: datetime) -> list[RenderableType]:
    """What is known of a session, above its conversation."""
    told = [
        session.session_id,
        home_relative(session.cwd) if session.cwd else None,
        session.model,
        f"changed {_changed(session, now)}",
        counted(session.item_count, "item") if session.item_count is not None else None,
        size(session.size_bytes),
        "archived" if session.archived else None,
    ]
    line = " · ".join(exact(text) for text in told if text)
    return [_title(session), Text(line, style="dim"), Text("")]


def named(session: SessionSummary | None, session_id: str, ids: ShortIds) -> RenderableType:
    """A session on one line."""
    name = Text.assemble((ids.short(session_id), "cyan"), no_wrap=True, overflow="ellipsis")
    if session is not None:
        name.append("  ").append_text(_title(session))
        name.append(f"  {size(session.size_bytes)}", style="dim")
    return name


def _width(name: str, cells: Sequence[str]) -> int:
    return max(map(cell_len, [name, *cells]))


def _title_and_excerpt(session: SessionSummary) -> Text:
    title = _title(session)
    if session.excerpt is not None:
        title.append(f"\n{exact(session.excerpt)}", style="dim")
    return title


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _id(session: SessionSummary, ids: ShortIds) -> str:
    short = ids.short(session.session_id)
    # What is no id is the name of a file, and told as the title.
    return short if len(short) <= 36 and session.title != f"{short}.jsonl" else "-"


def _changed(session: SessionSummary, now: datetime) -> str:
    return relative(datetime.fromisoformat(session.updated_at).astimezone(now.tzinfo), now)


def _title(session: SessionSummary) -> Text:
    title = Text(exact(session.title) or UNTITLED, style="" if session.title else "dim")
    if session.status == "unreadable":
        return Text.assemble(("unreadable: ", "red"), exact(session.reason or ""), " (", title, ")")
    state = "open" if session.live else "interrupted" if session.status != "clean" else ""
    style = "green" if session.live else "yellow"
    return Text.assemble((f"{state}: ", style), title) if state else title


def _folder(cwd: str | None) -> str:
    """A folder's name that says the most at its end."""
    text = exact(home_relative(cwd)) if cwd else ""
    if len(text) <= MAX_FOLDER:
        return text
    name = PurePath(text).name
    return f"…/{name}" if len(name) < MAX_FOLDER - 2 else f"…{name[1 - MAX_FOLDER :]}"

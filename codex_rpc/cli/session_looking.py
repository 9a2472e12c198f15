"""Looking at saved sessions in the terminal: list, search, show, doctor. Changes nothing."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path

import orjson

from codex_rpc.cli.session_desk import Desk
from codex_rpc.cli.session_ids import session_id_of, short_ids
from codex_rpc.core.reconfiguration import normalised
from codex_rpc.protocol.converter import unstructure
from codex_rpc.protocol.records import (
    Damage,
    ReadEntry,
    ReadPage,
    SessionQuery,
    SessionRef,
    SessionSummary,
)

FOUND, NOT_FOUND = 0, 1
PAGE = 200
"""So many items of a conversation are read at once."""


async def show_list(desk: Desk, said: Namespace) -> int:
    """The sessions that fit; 1 if words were looked for and not found."""
    words = " ".join(said.words) if said.words else None
    query = SessionQuery(
        cwd=None if said.cwd is None else normalised(str(Path.cwd() / said.cwd)),
        query=words,
        cursor=said.cursor,
        limit=said.limit,
        sort=said.sort,
        archived=said.archived,
    )
    async with desk.scan() as scan:
        page = await desk.store.list(query, live=frozenset(), on_progress=scan)
    code = NOT_FOUND if words and not page.sessions else FOUND
    if said.json:
        await desk.json(unstructure(page))
        return code
    from codex_rpc.cli.session_table import left_out, session_table

    if page.sessions:
        ids = await short_ids(desk.store)
        now = desk.services.clock.now().astimezone()
        table = session_table(
            page.sessions, ids, now=now, columns=desk.columns, with_folder=said.cwd is None
        )
        await desk.show([table])
    else:
        await desk.note("no session fits" if page.filtered_out else "there is no session yet")
    await desk.note(left_out(page, archived=said.archived))
    return code


async def show_session(desk: Desk, said: Namespace) -> int:
    """One conversation, from its beginning or the last items of it."""
    session_id = await session_id_of(desk.store, said.id)
    session = await desk.summary(session_id)
    pages = _pages(desk, session_id, last=said.limit)
    if said.json:
        await _show_as_json(desk, session, pages)
        return FOUND
    from codex_rpc.cli.session_table import session_head
    from codex_rpc.cli.transcript import Transcript

    if session is not None:
        await desk.show(session_head(session, now=desk.services.clock.now().astimezone()))
    transcript = Transcript(full=said.full)
    damage: list[Damage] = []
    async for page in pages:
        damage += page.damage or []
        for entry in page.items:
            await desk.show(transcript.take(entry.item))
    await desk.show(transcript.end())
    for line in damage:
        await desk.note(f"line {line.line_no} of the file was left out: {line.reason}", "yellow")
    return FOUND


async def examine(desk: Desk, said: Namespace) -> int:
    """The state of all files; 1 if something is damaged."""
    async with desk.scan() as scan:
        checkup = await desk.store.examine(scan)
    if said.json:
        await desk.json(unstructure(checkup))
    else:
        from codex_rpc.cli.checkup_report import shown_checkup

        await desk.show(shown_checkup(checkup, await short_ids(desk.store)))
    return 0 if checkup.is_healthy else 1


async def _pages(desk: Desk, session_id: str, *, last: int | None) -> AsyncIterator[ReadPage]:
    """All pages of a session, or as many items as are wanted from its end."""
    ref = SessionRef(session_id=session_id)
    cursor: str | None = None
    if last is None:
        while True:
            page = await desk.store.read(ref, cursor=cursor, limit=PAGE, direction="forward")
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return
    # The last ones are found from the end, and shown from their first.
    pages: list[ReadPage] = []
    while last > 0:
        page = await desk.store.read(ref, cursor=cursor, limit=last, direction="backward")
        pages.append(page)
        last -= len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    for page in reversed(pages):
        yield page


async def _show_as_json(
    desk: Desk, session: SessionSummary | None, pages: AsyncIterator[ReadPage]
) -> None:
    """One object, written as it is read: a session may be larger than memory."""
    damage: list[Damage] = []
    begun = False
    async for page in pages:
        if not begun:
            # Not before something could be read.
            head = orjson.dumps({"session": unstructure(session)})
            await desk.write(head[:-1] + b',"items":[')
        entries = [orjson.dumps(_entry(entry)) for entry in page.items]
        await desk.write((b"," if begun and entries else b"") + b",".join(entries))
        begun = True
        damage += page.damage or []
    await desk.write(b'],"damage":' + orjson.dumps(unstructure(damage)) + b"}\n")


def _entry(entry: ReadEntry) -> dict[str, object]:
    return {"index": entry.index, "item": entry.item}

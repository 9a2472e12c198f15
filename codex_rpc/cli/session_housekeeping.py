"""Putting saved sessions in order in the terminal: names, the archive, the trash, repairs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path

from codex_rpc.cli.session_desk import Desk
from codex_rpc.cli.session_ids import session_id_of, short_ids
from codex_rpc.protocol.checkup import Inspection
from codex_rpc.protocol.errors import CodexError
from codex_rpc.protocol.params import ExportParams, RenameParams, SessionIdParams
from codex_rpc.protocol.records import ExportFormat

DONE, REFUSED = 0, 1
FORMATS: dict[str, ExportFormat] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".json": "json",
}


async def rename(desk: Desk, said: Namespace) -> int:
    """Give a session another title."""
    session_id = await session_id_of(desk.store, said.id)
    title = " ".join(said.title)
    await desk.saved_sessions.rename(RenameParams(session_id=session_id, title=title))
    await desk.note(f"{(await short_ids(desk.store)).short(session_id)} is now called: {title}")
    return DONE


async def archive(desk: Desk, said: Namespace) -> int:
    """Put sessions away."""
    return await _each(desk, said.id, desk.saved_sessions.archive, "archived")


async def unarchive(desk: Desk, said: Namespace) -> int:
    """Take sessions out of the archive."""
    return await _each(desk, said.id, desk.saved_sessions.unarchive, "back among the sessions")


async def delete(desk: Desk, said: Namespace) -> int:
    """Throw sessions away, after asking."""
    ids = [await session_id_of(desk.store, name) for name in said.id]
    if not said.yes and not await _is_wanted(desk, ids):
        await desk.note("nothing was deleted", "yellow")
        return REFUSED
    what = "moved to the trash" if desk.store.has_trash else "deleted"
    return await _each(desk, ids, desk.saved_sessions.delete, what)


async def export(desk: Desk, said: Namespace) -> int:
    """A session as a document, on standard output or in a new file."""
    session_id = await session_id_of(desk.store, said.id)
    path = None if said.output is None else str(Path.cwd() / said.output)
    suffix = "" if path is None else Path(path).suffix.lower()
    wanted = said.format or FORMATS.get(suffix, "markdown")
    params = ExportParams(session_id=session_id, format=wanted, path=path)
    result = await desk.saved_sessions.export(params)
    if result.text is not None:
        end = "" if result.text.endswith("\n") else "\n"
        await desk.write((result.text + end).encode("utf-8", "replace"))
    else:
        await desk.note(f"written to {result.path}")
    return DONE


async def repair(desk: Desk, said: Namespace) -> int:
    """Show what is wrong, and add what is missing; 1 if something could not be done."""
    from codex_rpc.cli.checkup_report import shown_appendix, shown_inspection

    inspections: Sequence[Inspection]
    if said.all:
        async with desk.scan() as scan:
            inspections = (await desk.store.examine(scan)).inspections
    else:
        inspections = [await desk.store.inspect(await session_id_of(desk.store, said.id))]
    ids = await short_ids(desk.store)
    code = DONE
    for inspection in inspections:
        await desk.show(shown_inspection(inspection, ids))
        if inspection.reason is not None:
            code = REFUSED
            continue
        if inspection.appends and not said.dry_run:
            try:
                await desk.store.repair(inspection.session_id)
            except CodexError as exc:
                await desk.note(exc.message, "red")
                code = REFUSED
                continue
        await desk.show(shown_appendix(inspection, is_done=not said.dry_run))
    if not inspections:
        await desk.note("nothing is to be repaired")
    return code


async def _each(
    desk: Desk,
    names: Sequence[str],
    act: Callable[[SessionIdParams], Awaitable[None]],
    what: str,
) -> int:
    """Do the same to each session; what one refuses does not keep the others."""
    # All are found before anything is done, and while the short ids still are.
    ids = [await session_id_of(desk.store, name) for name in names]
    short = await short_ids(desk.store)
    code = DONE
    for session_id in dict.fromkeys(ids):
        try:
            await act(SessionIdParams(session_id=session_id))
        except CodexError as exc:
            await desk.note(exc.message, "red")
            code = REFUSED
        else:
            await desk.note(f"{short.short(session_id)} {what}")
    return code


async def _is_wanted(desk: Desk, ids: Sequence[str]) -> bool:
    """Ask whether these are to be deleted; without a terminal the answer is no."""
    from codex_rpc.cli.session_table import named
    from codex_rpc.cli.terminal import Keyboard

    keyboard = Keyboard.find()
    if keyboard is None:
        await desk.note("there is no terminal to ask at; --yes deletes without asking", "red")
        return False
    short = await short_ids(desk.store)
    screen = desk.screen(2)
    for session_id in ids:
        await screen.print(named(await desk.summary(session_id), session_id, short))
    them = "it" if len(ids) == 1 else "them"
    if desk.store.has_trash:
        question = f"Move {them} to the trash?"
    else:
        question = f"Delete {them} for good? There is no trash here."
    with closing(keyboard), keyboard.single_keys():
        await screen.stream(f"{question} y/N ", "bold yellow")
        is_wanted = (await keyboard.key()).lower() == "y"
    await screen.stream("yes" if is_wanted else "no", end="\n")
    return is_wanted

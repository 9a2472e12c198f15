"""A patch applied where its files are: in the editor, on disk, or both. All of it, or nothing.

Owns the order. What goes to disk is checked and made ready first, then the editor makes its
changes as one step to undo, then the files change. If those fail, what the editor did is taken
back by an edit that says the opposite. It does not know what a patch is.

What the editor's documents say counts for more than what it answers, and for all there is if it
does not.
"""

from __future__ import annotations

from functools import partial

import anyio
import anyio.to_thread
from attrs import evolve

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.workspace import EditResult, Workspace
from codex_rpc.tools.patch.patience import Patience
from codex_rpc.tools.patch.remains import is_done, is_text_only, remains, taken_back
from codex_rpc.tools.patch.routes import Routes, is_creation, outdated
from codex_rpc.tools.patch.writing import NotWritten, Staged, Written, stage, write
from codex_rpc.tools.unsaved import SAVE_S

UNANSWERED = (
    "The editor had not answered when the user interrupted. What it does later is not known."
)


@frozen
class Outdated:
    """A document has changed since the changes were worked out; everything is as it was."""

    reason: str


async def apply(
    routes: Routes, workspace: Workspace, patience: Patience, *, label: str
) -> Written | Outdated | NotWritten:
    """Do what `routes` says. To be shielded: it ends by itself when `patience` does."""
    if (changed := outdated(routes.edits, workspace)) is not None:
        return Outdated(f"{changed.shown} was changed in the editor")
    if not routes.changes:
        return await anyio.to_thread.run_sync(write, routes.disk)
    staged = await anyio.to_thread.run_sync(partial(stage, routes.disk, lent=routes.removed))
    if isinstance(staged, NotWritten):
        return staged
    result: EditResult | None = None
    try:
        with patience.scope():
            result = await workspace.edit(routes.changes, label=label)
    except BaseException:
        # A bug: what is on disk is as it was all the same.
        await anyio.to_thread.run_sync(staged.take_back)
        raise
    is_applied = (
        all(is_done(change, workspace) for change in routes.changes)
        if result is None
        else result.outcome == "applied"
    )
    if not is_applied:
        return await _given_up(staged, routes, workspace, patience, result, label)
    done = await _committed(staged, routes, workspace, patience, label)
    if isinstance(done, Written) and result is not None and result.notes:
        return evolve(done, notes=(*done.notes, *result.notes))
    return done


async def _given_up(
    staged: Staged,
    routes: Routes,
    workspace: Workspace,
    patience: Patience,
    result: EditResult | None,
    label: str,
) -> NotWritten | Outdated:
    """Nothing is to be done, and what the editor has done all the same is taken back.

    An editor that has answered has itself taken back what it could of the texts, and new files may
    be somebody else's.
    """
    done = [
        change
        for change in routes.changes
        if is_done(change, workspace)
        and (result is None or not (is_text_only(change) or is_creation(change)))
    ]
    left = await anyio.to_thread.run_sync(staged.take_back)
    left += await taken_back(done, workspace, patience, label)
    if result is not None and result.outcome == "changed":
        return NotWritten(result.reason, left) if left else Outdated(result.reason)
    left += remains(routes.changes, workspace)
    message = UNANSWERED
    if result is not None:
        message = f"The editor has not applied the patch: {result.reason}"
    return NotWritten(message, tuple(dict.fromkeys(left)))


async def _committed(
    staged: Staged, routes: Routes, workspace: Workspace, patience: Patience, label: str
) -> Written | NotWritten | Outdated:
    """The rest, when the editor has done its part."""
    # It may have taken any time, in which its user may have opened what is to be changed on disk.
    changed = outdated(routes.disk, workspace)
    if changed is not None:
        reason = f"{changed.shown} was changed in the editor"
        left = await anyio.to_thread.run_sync(staged.take_back)
        left += await taken_back(routes.changes, workspace, patience, label)
        return NotWritten(reason, left) if left else Outdated(reason)
    written = await anyio.to_thread.run_sync(staged.commit)
    if isinstance(written, NotWritten):
        left = await taken_back(routes.changes, workspace, patience, label)
        return evolve(written, left=(*written.left, *left))
    if routes.created:
        with patience.scope(), anyio.move_on_after(SAVE_S):
            await workspace.save(routes.created, ask=False)
    return written

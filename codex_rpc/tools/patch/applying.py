"""A patch applied where its files are: in the editor, on disk, or both. All of it, or nothing.

Owns the order. What goes to disk is checked and made ready first, then the editor makes its
changes as one step to undo, then the files change. If those fail, what the editor did is taken
back by an edit that says the opposite. It does not know what a patch is.

An editor may ask its user and take any time. If the call is cancelled meanwhile, the editor is
given a moment more; after that what its documents say is what counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import evolve

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.workspace import DocumentChange, EditResult, Workspace
from codex_rpc.tools.patch.routes import Routes, is_creation
from codex_rpc.tools.patch.writing import NotWritten, Staged, Written, stage

GRACE_S = 1.5
"""How long an editor may still take once the call is cancelled."""


UNANSWERED = (
    "The editor had not answered when the user interrupted. What it does later is not known."
)


@frozen
class Outdated:
    """A document has changed since the changes were worked out; everything is as it was."""

    reason: str


class Patience:
    """How long the editor is waited for: as long as it takes, unless the call is cancelled."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._is_over = False
        self._scopes: list[anyio.CancelScope] = []

    async def watch(self) -> None:
        """To be run, until it is cancelled, in a task that is cancelled with the call."""
        try:
            await anyio.sleep_forever()
        finally:
            self._is_over = True
            for scope in self._scopes:
                self._limit(scope)

    def scope(self) -> anyio.CancelScope:
        """For what is to be given up when there is no more patience."""
        scope = anyio.CancelScope()
        if self._is_over:
            self._limit(scope)
        self._scopes.append(scope)
        return scope

    def _limit(self, scope: anyio.CancelScope) -> None:
        scope.deadline = anyio.current_time() + self._grace_s


@asynccontextmanager
async def patience(grace_s: float) -> AsyncIterator[Patience]:
    """For what is shielded inside of the block: it hears that the call is cancelled."""
    patience = Patience(grace_s)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(patience.watch)
        yield patience
        tasks.cancel_scope.cancel()


async def apply(
    routes: Routes, workspace: Workspace, patience: Patience, *, label: str
) -> Written | Outdated | NotWritten:
    """Do what `routes` says. To be shielded: it ends by itself when `patience` does."""
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
    if result is None:
        done = [change for change in routes.changes if _is_done(change, workspace)]
        if len(done) != len(routes.changes):
            left = await anyio.to_thread.run_sync(staged.take_back)
            left += await _taken_back(done, workspace, patience, label)
            return NotWritten(UNANSWERED, left)
    elif result.outcome != "applied":
        left = await anyio.to_thread.run_sync(staged.take_back)
        if result.outcome == "changed" and not left:
            return Outdated(result.reason)
        return NotWritten(f"The editor has not applied the patch: {result.reason}", left)
    return await _committed(staged, routes, workspace, patience, label)


async def _committed(
    staged: Staged, routes: Routes, workspace: Workspace, patience: Patience, label: str
) -> Written | NotWritten:
    """The rest, when the editor has done its part."""
    written = await anyio.to_thread.run_sync(staged.commit)
    if isinstance(written, NotWritten):
        left = await _taken_back(routes.changes, workspace, patience, label)
        return evolve(written, left=(*written.left, *left))
    if routes.created:
        with patience.scope():
            await workspace.save(routes.created, ask=False)
    return written


def _is_done(change: DocumentChange, workspace: Workspace) -> bool:
    if change.after is None:
        return workspace.document(change.path) is None and not change.path.exists()
    place = change.moved_to or change.path
    document = workspace.document(place)
    if document is None:
        return change.version is None and change.before is None and _has(place, change.after)
    is_same_document = change.moved_to is None and document.version == change.version
    return document.text == change.after and (not is_same_document or change.after == change.before)


def _has(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False


async def _taken_back(
    changes: Sequence[DocumentChange], workspace: Workspace, patience: Patience, label: str
) -> tuple[str, ...]:
    """Have the editor do the opposite of `changes`; what could not be, as sentences."""
    left, opposites = [], []
    for change in changes:
        opposite = _opposite(change, workspace)
        if opposite is None:
            left.append(_kept(change))
        elif opposite.before != opposite.after or opposite.moved_to is not None:
            opposites.append(opposite)
    if opposites:
        result = EditResult("refused")
        with patience.scope():
            result = await workspace.edit(opposites, label=f"Take back: {label}")
        if result.outcome != "applied":
            left += [_kept(change) for change in changes if _is_done(change, workspace)]
    return tuple(dict.fromkeys(left))


def _opposite(change: DocumentChange, workspace: Workspace) -> DocumentChange | None:
    """What takes `change` back; None: someone has changed the text since.

    A file that was removed is on disk again by now; what was not saved of it comes back here.
    """
    place = change.moved_to or change.path
    document = workspace.document(place)
    if document is not None:
        now: str | None = document.text
        path, version = document.path, document.version
    else:
        now, path, version = _text_at(place), place, None
    if now is None or (change.after is not None and now != change.after):
        return None
    return DocumentChange(
        path=path,
        version=version,
        before=now,
        after=None if is_creation(change) else change.before,
        moved_to=None if change.moved_to is None else change.path,
    )


def _text_at(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def _kept(change: DocumentChange) -> str:
    place = change.moved_to or change.path
    what = "could not be brought back" if change.after is None else "keeps what the patch changed"
    return f"{place} {what} in the editor"

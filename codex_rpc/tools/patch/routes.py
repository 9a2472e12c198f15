"""Which changes of a patch the editor makes, and which are made on disk.

Owns that choice. What is open is changed where the user sees it, as far as the editor can do it;
everything else is written on disk. A new file is made in the editor only if that can save it:
a command would find an empty one otherwise.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.workspace import DocumentChange, OpenDocument, Workspace
from codex_rpc.tools.patch.finding import OpenDocuments
from codex_rpc.tools.patch.plan import FileEdit, Plan


@frozen(kw_only=True)
class Routes:
    """A plan's edits, each where it belongs."""

    edits: tuple[FileEdit, ...] = ()
    """All of them."""
    changes: tuple[DocumentChange, ...] = ()
    """For the editor."""
    disk: tuple[FileEdit, ...] = ()
    removed: tuple[FileEdit, ...] = ()
    """The files that the editor removes."""

    @property
    def created(self) -> tuple[Path, ...]:
        """The files that the editor makes."""
        return tuple(change.path for change in self.changes if is_creation(change))


def is_creation(change: DocumentChange) -> bool:
    """Whether the editor is to make a new file."""
    return change.before is None


def routes_of(plan: Plan, workspace: Workspace) -> Routes:
    """Where each edit of `plan` belongs.

    Raises:
        ToolError: there is one that can be made nowhere; the message is for the model.
    """
    sorting = _Sorting(plan, workspace)
    for edit in plan.edits:
        sorting.take(edit)
    return Routes(
        edits=plan.edits,
        changes=tuple(sorting.changes),
        disk=tuple(sorting.disk),
        removed=tuple(sorting.removed),
    )


def opened_for_edits(workspace: Workspace) -> OpenDocuments:
    """The open documents that a patch has to do with, now.

    In an editor that takes no edits a saved document is as good as its file. (Raises ToolError
    for one that is not saved: neither it nor the file could be changed without losing something.)
    """

    unsaved: set[Path] | None = None

    def opened(path: Path) -> OpenDocument | None:
        nonlocal unsaved
        document = workspace.document(path)
        if document is None or workspace.can_edit:
            return document
        if unsaved is None:
            unsaved = set(workspace.unsaved())
        if document.path in unsaved:
            raise ToolError(
                f"error: {path} has changes in the editor that are not saved, and the editor "
                "takes no edits. Ask the user to save it first."
            )
        return None

    return opened


def outdated(edits: Sequence[FileEdit], workspace: Workspace) -> FileEdit | None:
    """One of `edits` that was worked out for another text than the editor has by now."""
    if not workspace.has_documents and not any(map(_document_of, edits)):
        return None
    if not workspace.can_edit:
        return None
    return next((edit for edit in edits if _is_outdated(edit, workspace)), None)


def unsaved_of(edits: Sequence[FileEdit], workspace: Workspace) -> FileEdit | None:
    """One of `edits` whose file the editor has not saved. Blocks."""
    unsaved = set(workspace.unsaved())
    for edit in edits:
        document = workspace.document(edit.target)
        if document is not None and document.path in unsaved:
            return edit
    return None


def _is_outdated(edit: FileEdit, workspace: Workspace) -> bool:
    if edit.before is not None and edit.before.is_link:
        return False
    then, now = _document_of(edit), workspace.document(edit.target)
    if then is None or now is None:
        return then is not now
    return (then.version, then.text) != (now.version, now.text)


def _document_of(edit: FileEdit) -> OpenDocument | None:
    return edit.before.document if edit.before is not None else None


class _Sorting:
    def __init__(self, plan: Plan, workspace: Workspace) -> None:
        self._operations = workspace.resource_operations if workspace.can_edit else frozenset()
        self._creates = workspace.can_save and {"create", "delete"} <= self._operations
        self._edits = {edit.target: edit for edit in plan.edits}
        self._marked = {to for source, to in plan.moves if _is_marked(self._edits.get(source))}
        """Where files go that begin with a mark, which the editor does not show."""
        self._moves = dict(plan.moves) if "rename" in self._operations else {}
        self._arrivals = {
            to for source, to in self._moves.items() if self._is_renamed(source, to) is not None
        }
        self.changes: list[DocumentChange] = []
        self.disk: list[FileEdit] = []
        self.removed: list[FileEdit] = []

    def take(self, edit: FileEdit) -> None:
        """Put `edit` where it belongs."""
        before = edit.before
        document = before.document if before is not None else None
        if edit.target in self._arrivals:
            return
        if document is None:
            if before is None and edit.mode is None and edit.after is not None and self._creates:
                self.changes.append(_change(edit, None, edit.after))
            elif edit.after is not None and edit.target in self._marked:
                self.disk.append(evolve(edit, after=BOM_UTF8 + edit.after))
            else:
                self.disk.append(edit)
        elif edit.after is not None:
            self.changes.append(_change(edit, document, edit.after))
        else:
            self._take_removal(edit, document)

    def _take_removal(self, edit: FileEdit, document: OpenDocument) -> None:
        assert edit.before is not None
        if edit.before.identity is None:
            raise ToolError(
                f"error: {edit.shown} is only in the editor and not saved yet, so it can neither "
                "be moved nor deleted. Ask the user to save it first."
            )
        to = self._moves.get(edit.target)
        if to in self._arrivals and to is not None:
            arrival = self._edits[to]
            assert arrival.after is not None
            self.changes.append(_change(edit, document, arrival.after, moved_to=arrival.shown))
        elif "delete" in self._operations:
            self.changes.append(_change(edit, document, None))
            self.removed.append(edit)
        else:
            self.disk.append(edit)

    def _is_renamed(self, source: Path, to: Path) -> FileEdit | None:
        """The arriving file's edit, if the editor can rename the one to the other."""
        removal, arrival = self._edits.get(source), self._edits.get(to)
        if removal is None or removal.before is None or arrival is None:
            return None
        was = removal.before
        is_open = was.document is not None and was.identity is not None
        return arrival if is_open and arrival.before is None else None


def _is_marked(edit: FileEdit | None) -> bool:
    return edit is not None and edit.before is not None and edit.before.is_marked


def _change(
    edit: FileEdit, document: OpenDocument | None, after: bytes | None, moved_to: Path | None = None
) -> DocumentChange:
    try:
        text = None if after is None else after.decode()
    except UnicodeDecodeError as exc:
        raise ToolError(
            f"error: {edit.shown} is open in the editor, and what it would become is not UTF-8"
        ) from exc
    return DocumentChange(
        path=edit.shown if document is None else document.path,
        version=None if document is None else document.version,
        before=None if document is None else document.text,
        after=text,
        moved_to=moved_to,
    )

"""Changes of documents, made by the editor: one `workspace/applyEdit` for all of them.

Owns what is sent, and finding out what the editor has really done: some say that they have
applied an edit which they have left out because its version was old, and some tell of the new
text only a while after their answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import anyio
from attrs import define, field
from lsprotocol import types

from codex_rpc.protocol.workspace import DocumentChange, EditResult, ResourceOperation
from codex_rpc.rpc.lsp.documents import Document, Documents, alike
from codex_rpc.rpc.lsp.edits import TextEdit, changed_lines, text_edits
from codex_rpc.rpc.lsp.engine import Engine
from codex_rpc.rpc.lsp.uris import uri_of
from codex_rpc.rpc.outgoing import PeerRefused
from codex_rpc.rpc.stdio import PeerGone

SETTLE_S = 2.0
"""How long after its answer the editor may take to tell of the new texts."""

HOPE_S = 0.5
"""The same for what it need not tell: that it has opened a new file, or closed one."""

_Operation = types.TextDocumentEdit | types.CreateFile | types.RenameFile | types.DeleteFile


@define(eq=False)
class _Goal:
    """What is to become of one document."""

    uri: str
    version: int | None
    """The document's as it is; None: it is to be opened."""
    before: str = field(repr=False)
    after: str | None = field(repr=False)
    """None: it is to be closed."""
    reached: bool = False
    """It was, at least for a moment; who types does not wait for us."""

    @property
    def is_certain(self) -> bool:
        """Whether every editor tells when it is done."""
        return self.version is not None and self.after is not None

    def look(self, document: Document | None, *, closely: bool) -> None:
        """Take notice of a change; `closely`: also of one that holds more than the edit."""
        if self.reached:
            return
        if document is None or self.after is None:
            self.reached = document is None and self.after is None
        elif document.version != self.version:
            self.reached = alike(document.source, self.after)
            if closely and self.is_certain and not self.reached:
                self.reached = self.was_done(document)

    def was_done(self, document: Document | None) -> bool:
        """Whether the edit is in the document, which may never have been exactly that: the
        user types, and some editors put several changes into one message."""
        if self.reached or not self.is_certain:
            # What need not be told is believed, unless what is told is something else.
            return self.reached or document is None or self.after is None or self._is_in(document)
        return document is not None and document.version != self.version and self._is_in(document)

    def _is_in(self, document: Document) -> bool:
        assert self.after is not None
        now = document.source
        return changed_lines(self.after, now) < changed_lines(self.before, now)


async def edit(engine: Engine, changes: Sequence[DocumentChange], label: str) -> EditResult:
    """Have the editor make `changes`: all or, as far as that is in our hands, none."""
    documents = engine.documents
    for change in changes:
        if _is_stale(documents, change):
            return EditResult("changed", f"{change.path.name} has changed in the editor")
    missing = _kinds(changes) - engine.client.resource_operations
    if missing:
        return EditResult("refused", f"the editor cannot {' or '.join(sorted(missing))} files")
    operations = _operations(documents, changes)
    if not operations:
        return EditResult("applied")
    goals = _goals(documents, changes)
    refusal = None
    for step, aims in _steps(engine, operations, goals):
        refusal = await _make(engine, step, aims, label)
        if refusal or not all(goal.was_done(documents.get(goal.uri)) for goal in aims):
            break
    done = [goal for goal in goals if goal.was_done(documents.get(goal.uri))]
    if refusal is None and done == goals:
        return EditResult("applied")
    done = [goal for goal in done if goal.is_certain]
    ours = {goal.uri for goal in done}
    moved = [
        change.path.name
        for change in changes
        if _uri(documents, change) not in ours and _is_stale(documents, change)
    ]
    kept = await _take_back(engine, done, label)
    reason = refusal or "the editor has not made the changes"
    if kept:
        reason += f"; what it has changed is still there in {', '.join(kept)}"
        return EditResult("refused", reason)
    if moved:
        return EditResult("changed", f"{', '.join(moved)} changed in the editor meanwhile")
    return EditResult("refused", reason)


def _steps(
    engine: Engine, operations: Sequence[_Operation], goals: Sequence[_Goal]
) -> Iterator[tuple[Sequence[_Operation], Sequence[_Goal]]]:
    """The edits that are sent one after the other, each with what it is to bring about.

    One for everything, where the editor takes back what it has done of an edit that fails. Others
    look at the version of the first document alone, so that each gets an edit of its own; their
    steps to undo are the documents' own anyway.
    """
    is_text = [isinstance(operation, types.TextDocumentEdit) for operation in operations]
    first_other = is_text.index(False) if False in is_text else len(operations)
    if engine.client.undoes_failed_edits or first_other < 2:
        yield operations, goals
        return
    for operation in operations[:first_other]:
        assert isinstance(operation, types.TextDocumentEdit)
        uri = operation.text_document.uri
        yield [operation], [goal for goal in goals if goal.uri == uri and goal.is_certain]
    if first_other < len(operations):
        told = {operation.text_document.uri for operation in operations[:first_other]}  # type: ignore[union-attr]
        rest = [goal for goal in goals if not (goal.uri in told and goal.is_certain)]
        yield operations[first_other:], rest


async def _make(
    engine: Engine, operations: Sequence[_Operation], goals: Sequence[_Goal], label: str
) -> str | None:
    """Send an edit and wait until it has settled; why it was not made, if it was not."""
    certain, all_ = anyio.Event(), anyio.Event()
    answered = False

    def look() -> None:
        for goal in goals:
            goal.look(engine.documents.get(goal.uri), closely=answered)
        if all(goal.reached for goal in goals if goal.is_certain):
            certain.set()
        if all(goal.reached for goal in goals):
            all_.set()

    with engine.documents.watched(look):
        refusal = await _send(engine, operations, label)
        answered = True
        look()
        if refusal is None:
            with anyio.move_on_after(SETTLE_S):
                await certain.wait()
                with anyio.move_on_after(HOPE_S):
                    await all_.wait()
        elif len(operations) > 1 and not engine.client.undoes_failed_edits:
            # Some of it may have been done, of which we are told after the answer.
            with anyio.move_on_after(HOPE_S):
                await certain.wait()
    return refusal


async def _send(engine: Engine, operations: Sequence[_Operation], label: str) -> str | None:
    """Why the editor has not applied an edit; None: it says that it has."""
    params = types.ApplyWorkspaceEditParams(
        types.WorkspaceEdit(document_changes=list(operations)), label=label
    )
    try:
        result = await engine.server.workspace_apply_edit_async(params)
    except PeerRefused as exc:
        return exc.message or "the editor answered with an error"
    except PeerGone:
        return "the editor is gone"
    if result.applied:
        return None
    return result.failure_reason or "the editor has not applied it and does not say why"


async def _take_back(engine: Engine, goals: Sequence[_Goal], label: str) -> list[str]:
    """Undo what was done of an edit that failed; the names of the documents where it stays."""
    operations: list[_Operation] = []
    backwards: list[_Goal] = []
    kept = []
    for goal in goals:
        document = engine.documents.get(goal.uri)
        assert goal.after is not None
        if document is None or not alike(document.source, goal.after):
            kept.append(goal.uri.rpartition("/")[2])
            continue
        now, version = document.state()
        edits = text_edits(now, goal.before, engine.documents.encoding)
        operations.append(_text_operation(document.uri, version, edits))
        backwards.append(_Goal(goal.uri, version, now, goal.before))
    if operations:
        refusal = await _make(engine, operations, backwards, f"Take back: {label}")
        if refusal is not None:
            kept += [goal.uri.rpartition("/")[2] for goal in backwards]
    return kept


def _is_stale(documents: Documents, change: DocumentChange) -> bool:
    """Whether a document is not what `change` was worked out for."""
    document = documents.find(change.path)
    if document is None or change.version is None:
        return (document is None) != (change.version is None)
    text, version = document.state()
    return version != change.version or change.before not in (None, text)


def _kinds(changes: Sequence[DocumentChange]) -> set[ResourceOperation]:
    kinds: set[ResourceOperation] = set()
    for change in changes:
        if change.after is None:
            kinds.add("delete")
        elif change.before is None and change.version is None:
            kinds.add("create")
        elif change.moved_to is not None:
            kinds.add("rename")
    return kinds


def _operations(documents: Documents, changes: Sequence[DocumentChange]) -> list[_Operation]:
    """What the editor is to do: texts first, since an old version is why most edits fail."""
    texts: list[_Operation] = []
    deletions: list[_Operation] = []
    moves: list[_Operation] = []
    creations: list[_Operation] = []
    for change in changes:
        uri = _uri(documents, change)
        if change.after is None:
            options = types.DeleteFileOptions(recursive=False, ignore_if_not_exists=False)
            deletions.append(types.DeleteFile(uri, options=options))
            continue
        edits = text_edits(change.before or "", change.after, documents.encoding)
        if change.before is None and change.version is None:
            creations.append(
                types.CreateFile(
                    uri, options=types.CreateFileOptions(overwrite=False, ignore_if_exists=False)
                )
            )
        into = creations if change.before is None and change.version is None else texts
        if edits:
            into.append(_text_operation(uri, change.version, edits))
        if change.moved_to is not None:
            moves.append(
                types.RenameFile(
                    uri,
                    uri_of(change.moved_to),
                    options=types.RenameFileOptions(overwrite=False, ignore_if_exists=False),
                )
            )
    return texts + deletions + moves + creations


def _text_operation(
    uri: str, version: int | None, edits: Sequence[TextEdit]
) -> types.TextDocumentEdit:
    return types.TextDocumentEdit(
        types.OptionalVersionedTextDocumentIdentifier(uri, version),
        [
            types.TextEdit(
                types.Range(types.Position(*edit.start), types.Position(*edit.end)), edit.text
            )
            for edit in edits
        ],
    )


def _goals(documents: Documents, changes: Sequence[DocumentChange]) -> list[_Goal]:
    goals = []
    for change in changes:
        uri, before = _uri(documents, change), change.before or ""
        is_open = change.version is not None
        if is_open and change.moved_to is None and change.after not in (None, before):
            goals.append(_Goal(uri, change.version, before, change.after))
        if is_open and (change.after is None or change.moved_to is not None):
            goals.append(_Goal(uri, change.version, before, None))
        if change.moved_to is not None and is_open:
            # Its text may be told only under its new name.
            goals.append(_Goal(uri_of(change.moved_to), None, before, change.after))
        elif change.before is None and not is_open:
            goals.append(_Goal(uri, None, "", change.after))
    return goals


def _uri(documents: Documents, change: DocumentChange) -> str:
    document = documents.find(change.path)
    return document.uri if document is not None else uri_of(change.path)

"""Changes of documents, made by the editor: one `workspace/applyEdit` for all of them.

Owns what is sent, how long to wait for what comes of it, and taking back what has come of an edit
that failed. What has come of it is the business of `goals.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import anyio
from lsprotocol import types

from codex_rpc.protocol.workspace import DocumentChange, EditResult, ResourceOperation
from codex_rpc.rpc.lsp.documents import Documents
from codex_rpc.rpc.lsp.edits import TextEdit, text_edits
from codex_rpc.rpc.lsp.engine import Engine
from codex_rpc.rpc.lsp.goals import Goal, Verdict
from codex_rpc.rpc.lsp.uris import uri_of
from codex_rpc.rpc.outgoing import PeerRefused
from codex_rpc.rpc.stdio import PeerGone

SETTLE_S = 2.0
"""How long after its answer the editor may take to tell of the new texts."""

HOPE_S = 0.5
"""The same for what it need not tell: that it has opened a new file, or closed one."""

MAX_ATTEMPTS = 3
"""How often an edit is taken back while the user types."""

MAX_REASON = 300
"""How many characters of what the editor says the model is told."""

_Operation = types.TextDocumentEdit | types.CreateFile | types.RenameFile | types.DeleteFile


async def edit(engine: Engine, changes: Sequence[DocumentChange], label: str) -> EditResult:
    """Have the editor make `changes`: all or, as far as that is in our hands, none."""
    documents = engine.documents
    for change in changes:
        if _is_stale(documents, change):
            return EditResult("changed", f"{change.path.name} has changed in the editor")
        document = documents.find(change.path)
        if document is not None and not document.is_known:
            reason = f"what {change.path.name} holds in the editor is not known any more"
            return EditResult("refused", f"{reason}; the user has to close it and open it again")
    missing = _kinds(changes) - engine.client.resource_operations
    if missing:
        return EditResult("refused", f"the editor cannot {' or '.join(sorted(missing))} files")
    operations = _operations(engine, changes)
    if not operations:
        return EditResult("applied")
    goals = _goals(documents, changes)
    refusal = None
    for step, aims in _steps(engine, operations, goals):
        if any(goal.is_outdated(documents.get(goal.uri)) for goal in aims):
            # Changed while the editor was busy with another one.
            break
        refusal = await _make(engine, step, aims, label)
        if refusal or any(_verdict(engine, goal) != "done" for goal in aims):
            break
    verdicts = [(goal, _verdict(engine, goal)) for goal in goals]
    if refusal is None and all(verdict == "done" for _, verdict in verdicts):
        return EditResult("applied")
    ours = [g for g, verdict in verdicts if g.is_certain and verdict in ("done", "astray")]
    done = {goal.uri for goal in ours if goal.reached}
    moved = [
        change.path.name
        for change in changes
        if _uri(documents, change) not in done and _is_stale(documents, change)
    ]
    kept = [goal.name for goal, verdict in verdicts if verdict == "unclear"]
    kept += [goal.name for goal in ours if not await _taken_back(engine, goal, label)]
    reason = refusal or "the editor has not made the changes"
    if kept:
        reason += f"; what it has changed is still there in {', '.join(kept)}"
        if moved:
            reason += ", perhaps in other lines than those it was meant for"
        return EditResult("refused", reason)
    if moved:
        return EditResult("changed", f"{', '.join(moved)} changed in the editor meanwhile")
    return EditResult("refused", reason)


def _verdict(engine: Engine, goal: Goal) -> Verdict:
    return goal.verdict(engine.documents.get(goal.uri))


def _steps(
    engine: Engine, operations: Sequence[_Operation], goals: Sequence[Goal]
) -> Iterator[tuple[Sequence[_Operation], Sequence[Goal]]]:
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
    engine: Engine, operations: Sequence[_Operation], goals: Sequence[Goal], label: str
) -> str | None:
    """Send an edit and wait until it has settled; why it was not made, if it was not."""
    certain, all_ = anyio.Event(), anyio.Event()
    with ExitStack() as stack:
        follow = [_following(engine.documents, goal, stack) for goal in goals]

        def look() -> None:
            for one in follow:
                one()
            if all(goal.settled for goal in goals if goal.is_certain):
                certain.set()
            if all(goal.settled for goal in goals):
                all_.set()

        stack.enter_context(engine.documents.watched(look))
        refusal = await _send(engine, operations, label)
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


def _following(documents: Documents, goal: Goal, stack: ExitStack) -> Callable[[], None]:
    """What has `goal` take notice of what its document has become since the last time."""
    begun = documents.get(goal.uri)
    trace: list[str] = stack.enter_context(begun.traced()) if begun is not None else []

    def follow() -> None:
        document = documents.get(goal.uri)
        if goal.is_certain and document is begun:
            for text in trace:
                goal.take(text)
        elif goal.is_certain and document is not None:
            # It was closed and opened anew.
            goal.take(document.source)
        else:
            goal.presence(document)
        trace.clear()

    return follow


async def _send(engine: Engine, operations: Sequence[_Operation], label: str) -> str | None:
    """Why the editor has not applied an edit; None: it says that it has."""
    params = types.ApplyWorkspaceEditParams(
        types.WorkspaceEdit(document_changes=list(operations)), label=label
    )
    try:
        result = await engine.server.workspace_apply_edit_async(params)
    except PeerRefused as exc:
        return _short(exc.message) or "the editor answered with an error"
    except PeerGone:
        return "the editor is gone"
    if result.applied:
        return None
    reason = _short(result.failure_reason or "")
    return reason or "the editor has not applied it and does not say why"


def _short(reason: str) -> str:
    line = " ".join(reason[: 2 * MAX_REASON].split())
    return line if len(line) <= MAX_REASON else f"{line[: MAX_REASON - 1]}…"


async def _taken_back(engine: Engine, goal: Goal, label: str) -> bool:
    """Undo what was done to one document, but for what the user has typed since."""
    for _ in range(MAX_ATTEMPTS):
        document = engine.documents.get(goal.uri)
        if document is None:
            return False
        now, version = document.state()
        wanted = goal.without(now)
        if wanted is None or wanted == now:
            return wanted == now
        encoding = engine.documents.encoding
        edits = text_edits(now, wanted, encoding)
        back = Goal(goal.uri, version, now, wanted, encoding)
        operation = _text_operation(engine, document.uri, version, edits)
        await _make(engine, [operation], [back], f"Take back: {label}")
        verdict = _verdict(engine, back)
        if verdict != "not done" or not back.is_outdated(engine.documents.get(goal.uri)):
            return verdict == "done"
    return False


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


def _operations(engine: Engine, changes: Sequence[DocumentChange]) -> list[_Operation]:
    """What the editor is to do: texts first, since an old version is why most edits fail."""
    documents = engine.documents
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
            into.append(_text_operation(engine, uri, change.version, edits))
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
    engine: Engine, uri: str, version: int | None, edits: Sequence[TextEdit]
) -> types.TextDocumentEdit:
    if version is not None:
        version = max(version, engine.client.least_version)
    return types.TextDocumentEdit(
        types.OptionalVersionedTextDocumentIdentifier(uri, version),
        [
            types.TextEdit(
                types.Range(types.Position(*edit.start), types.Position(*edit.end)), edit.text
            )
            for edit in edits
        ],
    )


def _goals(documents: Documents, changes: Sequence[DocumentChange]) -> list[Goal]:
    goals = []
    encoding = documents.encoding
    for change in changes:
        uri, before = _uri(documents, change), change.before or ""
        is_open = change.version is not None
        if is_open and change.moved_to is None and change.after not in (None, before):
            goals.append(Goal(uri, change.version, before, change.after, encoding))
        if is_open and (change.after is None or change.moved_to is not None):
            goals.append(Goal(uri, change.version, before, None, encoding))
        if change.moved_to is not None and is_open:
            # Its text may be told only under its new name.
            goals.append(Goal(uri_of(change.moved_to), None, before, change.after, encoding))
        elif change.before is None and not is_open:
            goals.append(Goal(uri, None, "", change.after, encoding))
    return goals


def _uri(documents: Documents, change: DocumentChange) -> str:
    document = documents.find(change.path)
    return document.uri if document is not None else uri_of(change.path)

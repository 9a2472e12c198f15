"""What an editor has made of the changes it was asked for, and how that is taken back.

Owns that its documents say what is done, whatever it answers. What cannot be taken back is named
in sentences; nothing that its user has typed meanwhile is ever overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codex_rpc.protocol.workspace import DocumentChange, EditResult, Workspace
from codex_rpc.tools.patch.diffs import count_changed_lines
from codex_rpc.tools.patch.patience import Patience
from codex_rpc.tools.patch.routes import is_creation


def is_done(change: DocumentChange, workspace: Workspace) -> bool:
    """Whether exactly `change` is there."""
    if change.after is None:
        return workspace.document(change.path) is None and not change.path.exists()
    place = change.moved_to or change.path
    document = workspace.document(place)
    if document is None:
        return change.version is None and change.before is None and _text_at(place) == change.after
    is_same_document = change.moved_to is None and document.version == change.version
    return document.text == change.after and (not is_same_document or change.after == change.before)


def is_text_only(change: DocumentChange) -> bool:
    """Whether no file comes, goes or moves with it."""
    return change.before is not None and change.after is not None and change.moved_to is None


def remains(changes: Sequence[DocumentChange], workspace: Workspace) -> tuple[str, ...]:
    """What there is of `changes` that were not made, or not all of them; as sentences."""
    return tuple(_kept(change) for change in changes if _is_there(change, workspace))


async def taken_back(
    changes: Sequence[DocumentChange], workspace: Workspace, patience: Patience, label: str
) -> tuple[str, ...]:
    """Have the editor do the opposite of `changes`; what could not be, as sentences."""
    left: list[str] = []
    backwards: list[DocumentChange] = []
    opposites: list[DocumentChange] = []
    for change in changes:
        opposite = _opposite(change, workspace)
        if opposite is None:
            left.append(_kept(change))
        elif opposite.before != opposite.after or opposite.moved_to is not None:
            backwards.append(change)
            opposites.append(opposite)
    if opposites:
        result = EditResult("refused")
        with patience.scope():
            result = await workspace.edit(opposites, label=f"Take back: {label}")
        if result.outcome != "applied":
            left += [_kept(change) for change in backwards if not _is_back(change, workspace)]
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


def _is_there(change: DocumentChange, workspace: Workspace) -> bool:
    """Whether something of `change` is there, perhaps with more that others have typed."""
    document = workspace.document(change.path)
    if is_creation(change):
        return document is not None or change.path.exists()
    if not is_text_only(change):
        return document is None and not change.path.exists()
    if document is None or document.version == change.version:
        return False
    assert change.before is not None
    assert change.after is not None
    now = document.text.encode("utf-8", "replace")
    before, after = (
        change.before.encode("utf-8", "replace"),
        change.after.encode("utf-8", "replace"),
    )
    return count_changed_lines(after, now) < count_changed_lines(before, now)


def _is_back(change: DocumentChange, workspace: Workspace) -> bool:
    """Whether the file is what it was before `change`."""
    document = workspace.document(change.path)
    text = document.text if document is not None else _text_at(change.path)
    return text == change.before


def _text_at(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def _kept(change: DocumentChange) -> str:
    if is_creation(change):
        return f"{change.path} is there"
    if change.after is None:
        return f"{change.path} could not be brought back in the editor"
    return f"{change.moved_to or change.path} keeps what the patch changed in the editor"

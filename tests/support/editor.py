"""An editor in memory: open documents with versions and undo, over real files.

Fits `protocol.workspace.Workspace`. What it does wrong, or what its user does at a bad moment,
is for a test to say.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from attrs import define, field

from codex_rpc.protocol.workspace import (
    DocumentChange,
    EditResult,
    OpenDocument,
    ResourceOperation,
)

ALL_OPERATIONS: frozenset[ResourceOperation] = frozenset({"create", "rename", "delete"})


async def _nothing() -> None:
    """The user does nothing meanwhile."""


@define
class Buffer:
    """One open document."""

    text: str
    version: int = 1
    undo: list[str] = field(factory=list)
    """The texts before each change, the last one last."""

    def change(self, text: str) -> None:
        self.undo.append(self.text)
        self.text = text
        self.version += 1


@define
class Edit:
    """An edit that was asked for."""

    label: str
    changes: tuple[DocumentChange, ...]
    result: EditResult | None = None
    """None: it was given up before it was answered."""


@define
class FakeEditor:
    """Does what it is asked for at once, unless it is told otherwise."""

    can_edit: bool = True
    can_save: bool = False
    reviews_patches: bool = False
    resource_operations: frozenset[ResourceOperation] = frozenset()
    refusals: list[str | None] = field(factory=list)
    """Why the next edits are not made; None: they are."""
    before_edit: Callable[[], Awaitable[None]] = _nothing
    after_edit: Callable[[], Awaitable[None]] = _nothing
    """Between the change and the answer."""
    before_save: Callable[[], Awaitable[None]] = _nothing
    on_document: Callable[[Path], None] = field(default=lambda path: None)
    """Called, in whatever thread, when somebody looks at a file."""
    will_save: bool = True
    """Whether the user, or the editor, saves what it is asked to."""
    buffers: dict[Path, Buffer] = field(factory=dict)
    edits: list[Edit] = field(factory=list)
    saves: list[tuple[list[Path], bool]] = field(factory=list)
    shown: list[Path] = field(factory=list)
    readied: int = 0
    looks: int = 0
    """How often somebody wanted to know what is not saved."""

    # The user's side.

    def open(self, path: Path, text: str | None = None) -> Buffer:
        """Open a file, with `text` that is not saved in place of its own."""
        buffer = Buffer(_read(path) if text is None else text)
        self.buffers[path] = buffer
        return buffer

    def type(self, path: Path, text: str) -> None:
        """Have the user change the whole text."""
        self.buffers[path].change(text)

    def close(self, path: Path) -> None:
        """Close a document and forget what was not saved."""
        del self.buffers[path]

    def undo(self, path: Path) -> None:
        """Take back the last change of a document."""
        buffer = self.buffers[path]
        buffer.text = buffer.undo.pop()
        buffer.version += 1

    def texts(self) -> dict[Path, str]:
        return {path: buffer.text for path, buffer in self.buffers.items()}

    # The port.

    async def look(self, paths: Sequence[Path]) -> None:
        """It has told already."""

    async def ready(self) -> None:
        self.readied += 1

    def document(self, path: Path) -> OpenDocument | None:
        self.on_document(path)
        found = self._find(path)
        if found is None:
            return None
        buffer = self.buffers[found]
        return OpenDocument(path=found, text=buffer.text, version=buffer.version)

    @property
    def has_documents(self) -> bool:
        return bool(self.buffers)

    def unsaved(self) -> Sequence[Path]:
        self.looks += 1
        return sorted(path for path in list(self.buffers) if not self._is_saved(path))

    async def edit(self, changes: Sequence[DocumentChange], *, label: str) -> EditResult:
        edit = Edit(label, tuple(changes))
        self.edits.append(edit)
        await self.before_edit()
        edit.result = self._edited(changes)
        await self.after_edit()
        return edit.result

    async def save(self, paths: Sequence[Path], *, ask: bool) -> Sequence[Path]:
        self.saves.append((list(paths), ask))
        await self.before_save()
        if not self.will_save:
            return ()
        for path in paths:
            if (found := self._find(path)) is not None:
                found.write_text(self.buffers[found].text, newline="")
        return list(paths)

    async def show(self, path: Path) -> None:
        self.shown.append(path)

    def _find(self, path: Path) -> Path | None:
        if path in self.buffers:
            return path
        real = os.path.realpath(path)
        return next((p for p in list(self.buffers) if os.path.realpath(p) == real), None)

    def _is_saved(self, path: Path) -> bool:
        return path.exists() and _read(path) == self.buffers[path].text

    def _edited(self, changes: Sequence[DocumentChange]) -> EditResult:
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            return EditResult("refused", refusal)
        for change in changes:
            if self._is_stale(change):
                return EditResult("changed", f"{change.path.name} has changed in the editor")
            if (problem := self._problem(change)) is not None:
                return EditResult("refused", problem)
        for change in sorted(changes, key=lambda change: change.after is not None):
            self._do(change)
        return EditResult("applied")

    def _is_stale(self, change: DocumentChange) -> bool:
        found = self._find(change.path)
        if found is None or change.version is None:
            return (found is None) != (change.version is None)
        buffer = self.buffers[found]
        return (buffer.version, buffer.text) != (change.version, change.before)

    def _problem(self, change: DocumentChange) -> str | None:
        kind: ResourceOperation
        if change.after is None:
            kind = "delete"
        elif change.moved_to is not None:
            kind = "rename"
        elif change.before is None:
            kind = "create"
        else:
            return None
        if kind not in self.resource_operations:
            return f"the editor cannot {kind} files"
        if kind == "create" and change.path.exists():
            return f"{change.path.name} is there already"
        if kind != "create" and not change.path.exists():
            return f"there is no {change.path.name}"
        if change.moved_to is not None and change.moved_to.exists():
            return f"{change.moved_to.name} is there already"
        return None

    def _do(self, change: DocumentChange) -> None:
        if change.after is None:
            change.path.unlink()
            self.buffers.pop(change.path, None)
            return
        if change.before is None:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            change.path.touch()
        found = self._find(change.path)
        buffer = self.open(change.path) if found is None else self.buffers[found]
        if buffer.text != change.after:
            buffer.change(change.after)
        if change.moved_to is not None:
            change.moved_to.parent.mkdir(parents=True, exist_ok=True)
            change.path.rename(change.moved_to)
            self.buffers[change.moved_to] = self.buffers.pop(found or change.path)


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")

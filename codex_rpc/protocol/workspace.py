"""The editor's side of the files: what is open in it, and what it may be asked to do.

Owns the shapes and the port. Whoever speaks to an editor implements it; tools and the session
loop see nothing else of editors, and `NoEditor` is what they see where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from attrs import field

from codex_rpc.protocol.frozen import frozen

ResourceOperation = Literal["create", "rename", "delete"]


@frozen(kw_only=True)
class OpenDocument:
    """A file as the user sees it in the editor, saved or not."""

    path: Path
    """Absolute, as the editor spells it."""
    text: str = field(repr=False)
    """With the line ends that it has."""
    version: int
    """Grows with each change."""


@frozen(kw_only=True)
class DocumentChange:
    """What is to become of one file, in the editor."""

    path: Path
    version: int | None
    """The document's for which this was worked out; None: it is not open."""
    before: str | None = field(repr=False)
    """None: there is no such file."""
    after: str | None = field(repr=False)
    """None: it is removed."""
    moved_to: Path | None = None
    """Where the file goes, with `after` as its text; None: it stays."""


@frozen
class EditResult:
    """What the editor has done about some changes: all of them or, as far as it could, none."""

    outcome: Literal["applied", "changed", "refused"]
    """`changed`: a document is not any more what the changes were worked out for, and nothing was
    done. After `refused` it is for the documents to say whether something is left of it."""
    reason: str = ""
    """Why it was not done, in words; for the model."""
    notes: tuple[str, ...] = ()
    """What became of it otherwise than asked for, in sentences; for the model."""


class Workspace(Protocol):
    """An editor's documents. Reading blocks nowhere and is safe in any thread."""

    async def ready(self) -> None:
        """Wait until everything that the editor has told so far is known."""
        ...

    async def look(self, paths: Sequence[Path]) -> None:
        """Find out how the editor has the files at `paths`, so that `document` knows.

        Where editors tell by themselves what is open, there is nothing to do.
        """
        ...

    def document(self, path: Path) -> OpenDocument | None:
        """What is open under `path` or another name of the same file; None: nothing is."""
        ...

    @property
    def has_documents(self) -> bool:
        """Whether anything is open. Costs nothing."""
        ...

    def unsaved(self) -> Sequence[Path]:
        """The open files that differ from what is on disk, sorted. Reads them."""
        ...

    @property
    def can_edit(self) -> bool:
        """Whether the editor changes its documents for us (`workspace/applyEdit`, versioned)."""
        ...

    @property
    def resource_operations(self) -> frozenset[ResourceOperation]:
        """Which files the editor creates, renames and deletes for us."""
        ...

    @property
    def can_save(self) -> bool:
        """Whether the editor saves documents for us (`codex/saveDocuments`)."""
        ...

    @property
    def reviews_patches(self) -> bool:
        """Whether the editor can show a patch as whole texts, and let the user change them."""
        ...

    async def edit(self, changes: Sequence[DocumentChange], *, label: str) -> EditResult:
        """Have the editor make `changes`, as one step to undo, and wait for that.

        When it returns `applied`, `document` gives the new texts. Cancelled, the editor is told,
        and it is not known whether it has done it.
        """
        ...

    async def save(self, paths: Sequence[Path], *, ask: bool) -> Sequence[Path]:
        """Have the editor save what is open under `paths`; those that are saved now.

        `ask`: the user is to be asked first.
        """
        ...

    async def show(self, path: Path) -> None:
        """Let the user see the file, without taking the focus, if the editor wants that."""
        ...


class NoEditor:
    """The workspace of a client that has no documents: the files are all there is."""

    has_documents = False
    can_edit = False
    can_save = False
    reviews_patches = False
    resource_operations: frozenset[ResourceOperation] = frozenset()

    async def ready(self) -> None:
        """There is nothing to wait for."""

    async def look(self, paths: Sequence[Path]) -> None:
        """Nothing is open."""

    def document(self, path: Path) -> OpenDocument | None:  # noqa: ARG002
        """Nothing is open."""
        return None

    def unsaved(self) -> Sequence[Path]:
        """Nothing is open."""
        return ()

    async def edit(self, changes: Sequence[DocumentChange], *, label: str) -> EditResult:  # noqa: ARG002
        """Nobody could do it."""
        return EditResult("refused", "no editor is connected")

    async def save(self, paths: Sequence[Path], *, ask: bool) -> Sequence[Path]:  # noqa: ARG002
        """Nobody could do it."""
        return ()

    async def show(self, path: Path) -> None:
        """Nobody could see it."""

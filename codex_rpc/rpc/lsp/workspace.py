"""The editor as tools and sessions see it: the port `Workspace`, over one connection.

Light, and there from the connection's begin: as long as the engine is not loaded nothing is
open. Knows no type of LSP.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

from codex_rpc.protocol.errors import InvalidState
from codex_rpc.protocol.workspace import (
    DocumentChange,
    EditResult,
    OpenDocument,
    ResourceOperation,
)
from codex_rpc.rpc.lsp.gate import Gate
from codex_rpc.rpc.lsp.uris import uri_of
from codex_rpc.rpc.outgoing import Outgoing, PeerRefused
from codex_rpc.rpc.stdio import PeerGone

logger = logging.getLogger(__name__)

SHOW_S = 2.0
"""How long to wait for a file to be shown, which nothing depends on."""


class EditorWorkspace:
    """Fits `protocol.workspace.Workspace`."""

    def __init__(self, gate: Gate, outgoing: Outgoing) -> None:
        self._gate = gate
        self._outgoing = outgoing

    async def ready(self) -> None:
        """Wait until everything that the editor has told so far is known."""
        await self._gate.ready()

    async def look(self, paths: Sequence[Path]) -> None:
        """The editor has told already."""

    def document(self, path: Path) -> OpenDocument | None:
        """What is open under `path` or another name of the same file; None: nothing is."""
        documents = self._gate.documents
        found = documents.find(path) if documents is not None else None
        return found.opened() if found is not None else None

    @property
    def has_documents(self) -> bool:
        """Whether anything is open."""
        documents = self._gate.documents
        return documents is not None and bool(documents.text_documents)

    def unsaved(self) -> Sequence[Path]:
        """The open files that differ from what is on disk, sorted. Reads them."""
        documents = self._gate.documents
        return documents.unsaved() if documents is not None else ()

    @property
    def can_edit(self) -> bool:
        """Whether the editor changes its documents for us."""
        return self._gate.client.can_edit

    @property
    def resource_operations(self) -> frozenset[ResourceOperation]:
        """Which files the editor creates, renames and deletes for us."""
        return self._gate.client.resource_operations

    @property
    def can_save(self) -> bool:
        """Whether the editor saves documents for us."""
        return self._gate.client.can_save

    @property
    def reviews_patches(self) -> bool:
        """Whether the editor can show a patch as whole texts, and let the user change them."""
        return self._gate.client.reviews_patches

    async def edit(self, changes: Sequence[DocumentChange], *, label: str) -> EditResult:
        """Have the editor make `changes`, as one step to undo, and wait for that.

        Not bounded: an editor may ask its user. Cancelled, the editor is told, and it is not
        known whether it has done it.
        """
        if not self.can_edit:
            return EditResult("refused", "the editor does not take edits")
        try:
            engine = await self._gate.load()
        except InvalidState as exc:
            return EditResult("refused", exc.message)
        # Imported with the engine.
        from codex_rpc.rpc.lsp.editing import edit

        return await edit(engine, changes, label)

    async def save(self, paths: Sequence[Path], *, ask: bool) -> Sequence[Path]:
        """Have the editor save what is open under `paths`; those that are saved now.

        Not bounded: with `ask` the user takes the time that it takes.
        """
        if not self.can_save:
            return ()
        await self._gate.ready()
        uris = {self._uri(path): path for path in paths}
        result = await self._ask("codex/saveDocuments", {"uris": list(uris), "ask": ask})
        saved = result.get("saved") if isinstance(result, dict) else None
        if not isinstance(saved, list):
            return ()
        return [path for uri, path in uris.items() if uri in saved]

    async def show(self, path: Path) -> None:
        """Let the user see the file, without taking the focus, if the editor wants that."""
        if self._gate.client.shows_documents:
            params = {"uri": self._uri(path), "external": False, "takeFocus": False}
            with anyio.move_on_after(SHOW_S):
                await self._ask("window/showDocument", params)

    def _uri(self, path: Path) -> str:
        """The file's name as the editor spells it."""
        documents = self._gate.documents
        found = documents.find(path) if documents is not None else None
        return found.uri if found is not None else uri_of(path)

    async def _ask(self, method: str, params: Any) -> Any:
        """The client's answer; None: it gives none that could be used."""
        try:
            return await self._outgoing.request(method, params)
        except (PeerRefused, PeerGone) as exc:
            logger.info("%s was not done: %s", method, exc)
            return None

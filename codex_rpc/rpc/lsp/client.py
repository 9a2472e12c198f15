"""What the client has said about itself in `initialize`, as far as it matters here.

Owns the reading of what may be anything: what is not of the shape that LSP gives it counts as
absent, by itself and not with what is beside it. Imports nothing of LSP.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.workspace import ResourceOperation
from codex_rpc.rpc.lsp.text import PositionEncoding
from codex_rpc.rpc.lsp.uris import path_of

_ENCODINGS: tuple[PositionEncoding, ...] = ("utf-8", "utf-32", "utf-16")
"""Those that cost us least come first."""

_RESOURCE_OPERATIONS: tuple[ResourceOperation, ...] = ("create", "rename", "delete")


@frozen(kw_only=True)
class LspClient:
    """A client's capabilities; by default those of one that is no editor."""

    speaks_lsp: bool = False
    root_uri: str | None = None
    """The folder that an editor without workspace folders has opened."""
    folders: tuple[str, ...] = ()
    """The URIs of the workspace folders that are open at the begin, as the editor spells them."""
    position_encoding: PositionEncoding = "utf-16"
    can_edit: bool = False
    """It applies versioned edits to documents (`workspace/applyEdit`)."""
    resource_operations: frozenset[ResourceOperation] = frozenset()
    undoes_failed_edits: bool = False
    """Of several edits of text it applies all or none."""
    least_version: int = 0
    """What an edit names as a document's version if that is smaller. Neovim tells of version 0 for
    what was never changed, and compares none with it; every change leads to more than 1."""
    can_save: bool = False
    reviews_patches: bool = False
    shows_documents: bool = False
    shows_progress: bool = False
    """It can be given tokens of ours (`window/workDoneProgress/create`)."""
    code_action_literals: bool = False
    """It takes code actions, and not only commands."""


def read_client(params: Mapping[str, Any]) -> LspClient:
    """The client that sent `initialize` with `params`."""
    if not isinstance(params.get("capabilities"), dict):
        return LspClient()
    capabilities = params["capabilities"]
    wanted = _member(params, "initializationOptions", "codex")
    edits = _member(capabilities, "workspace", "workspaceEdit")
    operations = _member(edits, "resourceOperations")
    # Who has resource operations has versioned edits, also without saying so, as Neovim does:
    # both are members of `documentChanges`.
    versioned = _member(edits, "documentChanges") is True or isinstance(operations, list)
    can_edit = _member(capabilities, "workspace", "applyEdit") is True and versioned
    handling = _member(edits, "failureHandling")
    shows = _member(capabilities, "window", "showDocument", "support") is True
    literals = _member(capabilities, "textDocument", "codeAction", "codeActionLiteralSupport")
    experimental = _member(capabilities, "experimental", "codex", "patchReview")
    return LspClient(
        speaks_lsp=True,
        root_uri=_root(params),
        folders=_folders(params.get("workspaceFolders")),
        position_encoding=_encoding(_member(capabilities, "general", "positionEncodings")),
        can_edit=can_edit,
        resource_operations=_known(operations) if can_edit else frozenset(),
        undoes_failed_edits=handling in ("transactional", "textOnlyTransactional", "undo"),
        least_version=int(_member(params, "clientInfo", "name") == "Neovim"),
        can_save=_member(wanted, "saveDocuments") is True,
        reviews_patches=True in (_member(wanted, "patchReview"), experimental),
        shows_documents=shows and _member(wanted, "showDocument") is True,
        shows_progress=_member(capabilities, "window", "workDoneProgress") is True,
        code_action_literals=isinstance(literals, dict),
    )


def _member(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _root(params: Mapping[str, Any]) -> str | None:
    uri, path = params.get("rootUri"), params.get("rootPath")
    if uri is None and isinstance(path, str) and Path(path).is_absolute():
        uri = Path(path).as_uri()
    return uri if _is_folder(uri) else None


def _folders(given: Any) -> tuple[str, ...]:
    uris = [_member(folder, "uri") for folder in given] if isinstance(given, list) else []
    return tuple(uri for uri in uris if _is_folder(uri))


def _is_folder(uri: Any) -> bool:
    return isinstance(uri, str) and path_of(uri) is not None


def _encoding(offered: Any) -> PositionEncoding:
    if isinstance(offered, list):
        for encoding in _ENCODINGS:
            if encoding in offered:
                return encoding
    return "utf-16"


def _known(operations: Any) -> frozenset[ResourceOperation]:
    if not isinstance(operations, list):
        return frozenset()
    return frozenset(kind for kind in _RESOURCE_OPERATIONS if kind in operations)

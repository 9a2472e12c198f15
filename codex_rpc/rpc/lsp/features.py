"""What of LSP there is here: the one table from which `initialize` and the dispatcher are fed.

A request is one line in `Features.requests`: its name, what `initialize` says about it, and who
answers it. Imports nothing of LSP: the engine gives handlers their parameters in lsprotocol's
types, and takes their results in them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.rpc.calls import Call
from codex_rpc.rpc.dispatch import Listener

DOCUMENT_NOTIFICATIONS = (
    "textDocument/didOpen",
    "textDocument/didChange",
    "textDocument/didSave",
    "textDocument/didClose",
    "workspace/didChangeWorkspaceFolders",
    "workspace/didChangeWatchedFiles",
)
"""What goes to the engine, in order of arrival."""

DOCUMENT_CAPABILITIES: Mapping[str, Any] = {
    "textDocumentSync": {"openClose": True, "change": 2, "save": {"includeText": False}},
    "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
}

QUIET_NOTIFICATIONS = ("initialized", "$/setTrace", "window/workDoneProgress/cancel")
"""Known, and of no consequence unless `Features.listeners` says otherwise."""


@frozen
class Feature:
    """A request that editors make."""

    capability: Mapping[str, Any]
    """Its part of `ServerCapabilities`, sent before anything of LSP is loaded."""
    handler: Callable[[Any, Call], Awaitable[Any]]
    """Takes the parameters as lsprotocol's class for them, every document notification that
    came before being known; gives lsprotocol's class for the result, a JSON value or None."""


@frozen
class Features:
    """What one connection offers to an editor beside its documents."""

    requests: Mapping[str, Feature] = field(factory=dict)
    listeners: Mapping[str, Listener] = field(factory=dict)
    """Notifications that need no engine."""

    @property
    def capabilities(self) -> dict[str, Any]:
        """What `initialize` announces, but for what depends on the client."""
        capabilities = dict(DOCUMENT_CAPABILITIES)
        for feature in self.requests.values():
            capabilities.update(feature.capability)
        return capabilities

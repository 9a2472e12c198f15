"""The LSP engine: a pygls language server that is fed by our dispatcher.

Owns the ways between LSP's messages and the documents. It reads and writes nothing itself:
requests of ours go out through `Outgoing`, and the connection's lifecycle, its requests and
their errors are not pygls' business. Importing this costs more than all else together, so only
`gate.py` does it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from cattrs import transform_error
from cattrs.errors import BaseValidationError
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter, lsp_method

from codex_rpc.protocol.converter import camel
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.rpc.lsp.client import LspClient
from codex_rpc.rpc.lsp.documents import Documents
from codex_rpc.rpc.outgoing import Outgoing, PeerRefused

logger = logging.getLogger(__name__)


class _Protocol(LanguageServerProtocol):
    """pygls' protocol with our documents, and our way to the peer."""

    documents: Documents
    outgoing: Outgoing

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self.documents.change(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_SAVE)
    def lsp_text_document__did_save(self, params: types.DidSaveTextDocumentParams) -> None:
        self.documents.saved(params.text_document.uri)

    @lsp_method(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def lsp_workspace__did_change_watched_files(
        self, _params: types.DidChangeWatchedFilesParams
    ) -> None:
        self.documents.files_changed()

    def begin(self, client: LspClient) -> None:
        """What pygls does on `initialize`, which is answered, and read, without it."""
        self.client_capabilities = types.ClientCapabilities()
        folders = [types.WorkspaceFolder(uri, uri) for uri in client.folders]
        self.documents = self._workspace = Documents(
            client.root_uri, folders, client.position_encoding
        )

    def notify(self, method: str, params: Any | None = None) -> None:
        """Tell the client something."""
        self.outgoing.notify(method, self._converter.unstructure(params))

    async def send_request_async(
        self,
        method: str,
        params: Any | None = None,
        msg_id: str | int | None = None,  # noqa: ARG002
    ) -> Any:
        """Ask the client. All typed requests of pygls' server come through here.

        Raises:
            PeerRefused, PeerGone
        """
        result = await self.outgoing.request(method, self._converter.unstructure(params))
        answer = {"jsonrpc": "2.0", "id": 0, "result": result}
        response: Any = types.METHOD_TO_TYPES[method][1]
        try:
            return self._converter.structure(answer, response).result
        except (BaseValidationError, KeyError, ValueError, TypeError) as exc:
            raise PeerRefused(method, {"message": "its answer makes no sense"}) from exc


class _Server(LanguageServer):
    protocol: _Protocol

    def report_server_error(self, error: Exception, source: Any) -> None:  # noqa: ARG002
        # Its text, and the log of pygls, may hold what the user wrote.
        cause = error.__cause__ or error
        logger.error("a notification of the editor was not handled: %s", type(cause).__name__)


class Engine:
    """What serves one editor's LSP messages. Made in any thread, used by the event loop."""

    def __init__(self, client: LspClient, outgoing: Outgoing, *, version: str) -> None:
        # pygls logs whole messages.
        logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)
        self.server = _Server(
            "codex-rpc",
            version,
            protocol_cls=_Protocol,
            converter_factory=default_converter,
        )
        """Its typed requests (`workspace_apply_edit_async`, ...) and notifications may be used."""
        self.client = client
        self._protocol = self.server.protocol
        self._protocol.outgoing = outgoing
        self._protocol.begin(client)
        self._warm_up()

    @property
    def documents(self) -> Documents:
        """What is open in the editor."""
        return self._protocol.documents

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Take a notification of the editor. What makes no sense is logged and ignored."""
        try:
            message = self._protocol.structure_message(_message(method, params))
        except JsonRpcException:
            logger.warning("a malformed %s was ignored", method)
            if method == types.TEXT_DOCUMENT_DID_CHANGE:
                self._miss_change(params.get("textDocument"))
            return
        self._protocol.handle_message(message)

    def _miss_change(self, document: Any) -> None:
        uri = document.get("uri") if isinstance(document, dict) else None
        if isinstance(uri, str):
            self.documents.change_missed(uri)

    def structured(self, method: str, params: Mapping[str, Any]) -> Any:
        """A request's parameters as lsprotocol's class for them.

        Raises:
            InvalidParams: they do not fit.
        """
        try:
            message = self._protocol.structure_message({**_message(method, params), "id": 0})
        except JsonRpcException as exc:
            raise _fault(exc.__cause__) from exc
        return message.params

    def unstructured(self, result: Any) -> Any:
        """A result as a JSON value."""
        return self._protocol._converter.unstructure(result)

    def _warm_up(self) -> None:
        """Have the converter make what it needs for the messages that come most."""
        document = {"uri": "file:///", "version": 0, "languageId": "", "text": ""}
        position = {"line": 0, "character": 0}
        change = {"range": {"start": position, "end": position}, "text": ""}
        messages: dict[str, dict[str, Any]] = {
            "textDocument/didOpen": {"textDocument": document},
            "textDocument/didChange": {"textDocument": document, "contentChanges": [change]},
            "textDocument/didSave": {"textDocument": document},
            "textDocument/didClose": {"textDocument": document},
        }
        for method, params in messages.items():
            self._protocol.structure_message(_message(method, params))


def _message(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def _fault(exc: BaseException | None) -> InvalidParams:
    if not isinstance(exc, BaseValidationError):
        return InvalidParams("", "what the Language Server Protocol says")
    # Its text says what is wrong, but not with which value.
    expected, _, place = transform_error(exc)[0].rpartition(" @ ")
    path = place.removeprefix("$.params").lstrip(".")
    _, _, wanted = expected.partition("expected ")
    if expected.startswith("required"):
        wanted = "a required member"
    return InvalidParams(".".join(map(camel, path.split("."))), wanted or "another value")

"""A client that others have written: pygls' own, on a socket."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from lsprotocol import types
from pygls.lsp.client import LanguageClient
from rpc_support import FakeManager
from support.lsp_client import Editor

from codex_rpc.protocol.workspace import DocumentChange, EditResult, Workspace
from codex_rpc.rpc.endpoint import serve
from codex_rpc.rpc.native import NativeFront
from codex_rpc.rpc.stdio import reader_for, writer_for


class Peer:
    """A language client, its editor, and the server's side of it."""

    def __init__(self, editor: Editor, manager: FakeManager) -> None:
        self.client = LanguageClient("tests", "1")
        self.editor = editor
        self.manager = manager
        self.exit_code: int | None = None

        @self.client.feature(types.WORKSPACE_APPLY_EDIT)
        def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
            converter = self.client.protocol._converter
            answer, told = editor.apply(converter.unstructure(params))
            for method, notification in told:
                message = self.client.protocol.get_message_type(method)
                body = {"jsonrpc": "2.0", "method": method, "params": notification}
                self.client.protocol.notify(method, converter.structure(body, message).params)
            return converter.structure(answer, types.ApplyWorkspaceEditResult)

    @property
    def workspace(self) -> Workspace:
        workspace: Workspace = self.manager.workspace
        return workspace

    def open(self, path: Path, text: str) -> str:
        self.editor.open(path.as_uri(), text)
        item = types.TextDocumentItem(path.as_uri(), "python", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return path.as_uri()

    async def known(self) -> None:
        """Wait until the server knows what it was told."""
        await self.client.protocol.send_request_async("session/list", {})
        await self.workspace.ready()


@asynccontextmanager
async def language_client(encoding: types.PositionEncodingKind) -> AsyncIterator[Peer]:
    """A client that has shaken hands; it says goodbye as LSP wants."""
    manager = FakeManager()
    peer = Peer(Editor(encoding.value), manager)
    with socket.create_server(("127.0.0.1", 0)) as listener, fail_after(10):
        async with anyio.create_task_group() as tg:
            await peer.client.start_tcp(*listener.getsockname())
            accepted, _ = listener.accept()
            sink = accepted.dup()

            async def run() -> None:
                reader, writer = reader_for(accepted.detach()), writer_for(sink.detach())
                peer.exit_code = await serve(
                    manager, reader, writer, partial(NativeFront, manager, version="1")
                )
                reader.close()
                writer.close()

            tg.start_soon(run)
            edit = types.WorkspaceEditClientCapabilities(document_changes=True)
            capabilities = types.ClientCapabilities(
                general=types.GeneralClientCapabilities(position_encodings=[encoding]),
                workspace=types.WorkspaceClientCapabilities(apply_edit=True, workspace_edit=edit),
            )
            result = await peer.client.initialize_async(
                types.InitializeParams(capabilities=capabilities)
            )
            assert result.capabilities.position_encoding == encoding
            sync = result.capabilities.text_document_sync
            assert isinstance(sync, types.TextDocumentSyncOptions)
            assert sync.change == types.TextDocumentSyncKind.Incremental
            peer.client.initialized(types.InitializedParams())
            yield peer
            await peer.client.shutdown_async(None)
            peer.client.exit(None)
            await peer.client.stop()


@pytest.mark.parametrize("encoding", list(types.PositionEncodingKind))
async def test_documents_and_edits_go_both_ways(
    encoding: types.PositionEncodingKind, tmp_path: Path
) -> None:
    text = "def f():\n    return '😀é'  # one\n"
    async with language_client(encoding) as peer:
        path = tmp_path / "a.py"
        uri = peer.open(path, text)
        changed = peer.editor.type(uri, 0, 0, "# 漢😀\r\n")
        document = types.VersionedTextDocumentIdentifier(**changed["textDocument"])
        [change] = changed["contentChanges"]
        start, end = (types.Position(**change["range"][side]) for side in ("start", "end"))
        event = types.TextDocumentContentChangePartial(types.Range(start, end), change["text"])
        peer.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [event]))
        await peer.known()
        found = peer.workspace.document(path)
        assert found is not None
        assert (found.text, found.version) == ("# 漢😀\r\n" + text, 2)
        after = found.text.replace("é'  # one", "ü'  # two")
        edit = DocumentChange(path=path, version=2, before=found.text, after=after)
        assert await peer.workspace.edit([edit], label="l") == EditResult("applied")
        assert peer.editor.buffers[uri].text == after
        peer.client.text_document_did_close(
            types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
        )
        await peer.known()
        assert peer.workspace.document(path) is None
    assert peer.exit_code == 0


async def test_a_conflict_is_seen(tmp_path: Path) -> None:
    async with language_client(types.PositionEncodingKind.Utf16) as peer:
        path = tmp_path / "a.py"
        uri = peer.open(path, "a\n")
        await peer.known()
        # The user types, and the server is about to learn it.
        peer.editor.buffers[uri].version = 2
        change = DocumentChange(path=path, version=1, before="a\n", after="b\n")
        result: EditResult = await peer.workspace.edit([change], label="l")
        assert result == EditResult("refused", "another version")


async def test_nothing_of_the_texts_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with language_client(types.PositionEncodingKind.Utf16) as peer:
        path = tmp_path / "secret.py"
        peer.open(path, "secret one\n")
        await peer.known()
        changes: list[Any] = [{"text": "secret two"}, {"range": {}, "text": "secret three"}]
        peer.client.protocol.notify(
            "textDocument/didChange", {"textDocument": {"uri": path.as_uri()}, "x": changes}
        )
        await peer.known()
        change = DocumentChange(path=path, version=1, before="secret one\n", after="secret 4\n")
        await peer.workspace.edit([change], label="l")
    ours = [record for record in caplog.records if not record.name.startswith("pygls.client")]
    assert "secret" not in "".join(record.getMessage() for record in ours)
    assert "secret" not in "".join(capfd.readouterr())

"""The editor's open documents: what they hold, which file they are, what is not saved."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from anyio import wait_all_tasks_blocked
from lsprotocol import types
from rpc_support import Client, FakeManager, connected

from codex_rpc.protocol.workspace import Workspace
from codex_rpc.rpc.lsp.documents import Document
from codex_rpc.rpc.lsp.uris import path_of, uri_of


class LspPeer:
    """A client that speaks LSP, and the workspace that comes of it."""

    def __init__(self, client: Client, manager: FakeManager) -> None:
        self.client = client
        self._manager = manager

    @property
    def workspace(self) -> Workspace:
        workspace: Workspace = self._manager.workspace
        return workspace

    async def tell(self, method: str, params: Any) -> None:
        """Send a notification, and wait until it is known."""
        await self.client.send({"method": method, "params": params})
        await self.client.call("session/list")
        await self.workspace.ready()

    async def open(self, uri: str, text: str, version: int = 1) -> None:
        item = {"uri": uri, "languageId": "any", "version": version, "text": text}
        await self.tell("textDocument/didOpen", {"textDocument": item})

    async def change(self, uri: str, version: int, *changes: Any) -> None:
        document = {"uri": uri, "version": version}
        params = {"textDocument": document, "contentChanges": list(changes)}
        await self.tell("textDocument/didChange", params)

    async def close(self, uri: str) -> None:
        await self.tell("textDocument/didClose", {"textDocument": {"uri": uri}})

    async def save(self, uri: str) -> None:
        await self.tell("textDocument/didSave", {"textDocument": {"uri": uri}})

    def text(self, path: Path) -> str | None:
        document = self.workspace.document(path)
        return document.text if document is not None else None


def insertion(text: str, line: int = 0, character: int = 0) -> dict[str, Any]:
    position = {"line": line, "character": character}
    return {"range": {"start": position, "end": position}, "text": text}


@pytest.fixture
async def peer() -> AsyncIterator[LspPeer]:
    manager = FakeManager()
    async with connected(manager) as client:
        await client.call("initialize", {"capabilities": {}})
        yield LspPeer(client, manager)


async def test_an_open_document_is_found_by_its_path(peer: LspPeer, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert peer.workspace.document(path) is None
    await peer.open(path.as_uri(), "text\r\n", version=7)
    document = peer.workspace.document(path)
    assert document is not None
    assert (document.path, document.text, document.version) == (path, "text\r\n", 7)
    await peer.close(path.as_uri())
    assert peer.workspace.document(path) is None


async def test_changes_are_applied_in_order_and_the_version_follows(
    peer: LspPeer, tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    uri = path.as_uri()
    await peer.open(uri, "b")
    await peer.change(uri, 2, insertion("a"), insertion("c\n", 0, 2), insertion("d", 1, 0))
    document = peer.workspace.document(path)
    assert document is not None
    assert (document.text, document.version) == ("abc\nd", 2)
    await peer.change(uri, 3, {"text": "whole"}, insertion("!", 0, 5))
    assert peer.text(path) == "whole!"


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 5), ("utf-16", 3), ("utf-32", 2)])
async def test_columns_are_counted_in_the_encoding_that_was_agreed_on(
    encoding: str, column: int, tmp_path: Path
) -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        capabilities = {"general": {"positionEncodings": [encoding]}}
        answer = await client.call("initialize", {"capabilities": capabilities})
        assert answer["capabilities"]["positionEncoding"] == encoding
        peer = LspPeer(client, manager)
        uri = (tmp_path / "a").as_uri()
        await peer.open(uri, "a😀b\n\x0c\u2028c")
        await peer.change(uri, 2, insertion("X", 0, column))
        assert peer.text(tmp_path / "a") == "a😀Xb\n\x0c\u2028c"


async def test_a_file_is_found_under_every_name_that_it_has(peer: LspPeer, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "a.txt").write_text("disk")
    (tmp_path / "b.txt").symlink_to("link/a.txt")
    await peer.open((tmp_path / "link" / "a.txt").as_uri(), "buffer")
    for name in ("link/a.txt", "real/a.txt", "b.txt", "real/../link/./a.txt"):
        assert peer.text(tmp_path / name) == "buffer", name
    assert peer.text(tmp_path / "real" / "other.txt") is None
    document = peer.workspace.document(tmp_path / "b.txt")
    assert document is not None
    assert document.path == tmp_path / "link" / "a.txt"


async def test_a_link_that_has_changed_leads_elsewhere_once_the_editor_says_so(
    peer: LspPeer, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "link"
    link.symlink_to("one")
    await peer.open(link.as_uri(), "buffer")
    assert peer.text(tmp_path / "one") == "buffer"
    link.unlink()
    link.symlink_to("two")
    changed = {"changes": [{"uri": link.as_uri(), "type": 2}]}
    await peer.tell("workspace/didChangeWatchedFiles", changed)
    assert peer.text(tmp_path / "two") == "buffer"
    assert peer.text(tmp_path / "one") is None


async def test_one_document_is_one_however_its_uri_is_escaped(
    peer: LspPeer, tmp_path: Path
) -> None:
    path = tmp_path / "a b#ü.txt"
    await peer.open(path.as_uri(), "x")
    await peer.change(path.as_uri().replace("%20", " "), 2, {"text": "y"})
    assert peer.text(path) == "y"


@pytest.mark.parametrize(
    "uri", ["untitled:Untitled-1", "git:/a/b.txt?HEAD", "file://elsewhere/a", "file:a", "", "::"]
)
async def test_what_is_no_file_of_this_machine_is_kept_and_is_at_no_path(
    peer: LspPeer, uri: str
) -> None:
    await peer.open(uri, "x")
    await peer.change(uri, 2, {"text": "y"})
    assert peer.workspace.unsaved() == []
    for path in ("/", "/a", "/a/b.txt"):
        assert peer.workspace.document(Path(path)) is None
    await peer.close(uri)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b.txt", "/a/b.txt"),
        ("file://localhost/a", "/a"),
        ("file:///a%20b/%C3%BC%23%3F.txt", "/a b/ü#?.txt"),
        ("file:///c%3A/x", "/c:/x"),
        ("file:///C:/x", "/C:/x"),
        ("file:///a;b,c", "/a;b,c"),
        ("file:///a%FFb", os.fsdecode(b"/a\xffb")),
        ("FILE:///a", "/a"),
        ("file:///a%00b", None),
        ("file://[/a", None),
        ("http://x/a", None),
    ],
)
def test_a_uri_names_a_file(uri: str, path: str | None) -> None:
    if os.name == "nt":
        pytest.skip("paths of POSIX")
    found = path_of(uri)
    assert found == (Path(path) if path is not None else None)
    if found is not None:
        assert path_of(uri_of(found)) == found


async def test_names_that_are_not_utf_8_are_not_mistaken_for_each_other(peer: LspPeer) -> None:
    await peer.open("file:///a%FF", "ff")
    await peer.open("file:///a%FE", "fe")
    await peer.change("file:///a%ff", 2, insertion("!"))
    names = {os.fsdecode(name): text for name, text in ((b"/a\xff", "!ff"), (b"/a\xfe", "fe"))}
    assert {name: peer.text(Path(name)) for name in names} == names


@pytest.mark.parametrize(
    ("on_disk", "text", "unsaved"),
    [
        (b"same\n", "same\n", False),
        (b"\xef\xbb\xbfsame\n", "same\n", False),
        (b"\xef\xbb\xbfsame\n", "\ufeffsame\n", False),
        (b"one\r\ntwo\n", "one\ntwo\n", False),
        (b"no end", "no end\n", False),
        (b"caf\xe9", "café", False),
        (b"old\n", "new\n", True),
        (None, "new\n", True),
    ],
)
async def test_it_is_known_which_documents_are_not_saved(
    peer: LspPeer, tmp_path: Path, on_disk: bytes | None, text: str, unsaved: bool
) -> None:
    path = tmp_path / "a.txt"
    if on_disk is not None:
        path.write_bytes(on_disk)
    await peer.open(path.as_uri(), text)
    assert list(peer.workspace.unsaved()) == ([path] if unsaved else [])


async def test_a_changed_document_is_unsaved_until_its_file_holds_the_same(
    peer: LspPeer, tmp_path: Path
) -> None:
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    for path in (b, a):
        path.write_bytes(b"caf\xe9\n")
        await peer.open(path.as_uri(), "café\n")
        await peer.change(path.as_uri(), 2, insertion("x"))
    assert await anyio.to_thread.run_sync(peer.workspace.unsaved) == [a, b]
    a.write_bytes(b"xcaf\xe9\n")
    await peer.save(a.as_uri())
    assert peer.workspace.unsaved() == [b]
    b.write_text("xcafé\n", encoding="utf-8")
    assert peer.workspace.unsaved() == []


async def test_something_that_is_no_regular_file_is_not_read(peer: LspPeer, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    await peer.open(path.as_uri(), "x")
    assert peer.workspace.unsaved() == [path]


async def test_whatever_the_editor_does_wrong_it_is_served_on(
    peer: LspPeer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "a.txt"
    uri = path.as_uri()
    await peer.open(uri, "secret one")
    await peer.change((tmp_path / "other").as_uri(), 2, {"text": "secret two"})
    await peer.close((tmp_path / "other").as_uri())
    await peer.save((tmp_path / "other").as_uri())
    await peer.change(uri, 2, insertion("secret three", -1, 0))
    await peer.change(uri, 3, {"range": {"start": 1}, "text": "secret four"})
    await peer.tell("textDocument/didChange", {"textDocument": {"uri": uri}})
    await peer.tell("textDocument/didOpen", ["secret five"])
    await peer.tell("textDocument/didOpen", {"textDocument": {"uri": 1, "text": "secret six"}})
    await peer.tell("textDocument/didSave", None)
    await peer.open("file://[/a", "secret eight")
    await peer.tell("textDocument/didWonder", {"a": "secret seven"})
    assert peer.text(path) == "secret one"
    await peer.change(uri, 0, insertion("!", 99, 99))
    await peer.open(uri, "again", version=1)
    await peer.change(uri, 2, insertion("!", 0, 99))
    assert peer.text(path) == "again!"
    assert "secret" not in caplog.text
    assert "not open" in caplog.text
    assert "malformed textDocument/didChange" in caplog.text
    assert "outside of its text" in caplog.text


async def test_workspace_folders_come_and_go(peer: LspPeer, tmp_path: Path) -> None:
    folder = {"uri": tmp_path.as_uri(), "name": "f"}
    for added, removed in (([folder], []), ([], [folder]), ([], [folder])):
        event = {"event": {"added": added, "removed": removed}}
        await peer.tell("workspace/didChangeWorkspaceFolders", event)
    await peer.open((tmp_path / "a").as_uri(), "x")
    assert peer.text(tmp_path / "a") == "x"


async def test_a_reader_in_another_thread_sees_whole_changes_only() -> None:
    width = 40
    document = Document(types.TextDocumentItem("file:///a", "", 0, "0" * width), "utf-16")
    changes = [
        [
            types.TextDocumentContentChangePartial(
                types.Range(types.Position(0, at), types.Position(0, at + 1)), digit
            )
            for at in range(width)
        ]
        for digit in "0123456789"
    ]
    done = False
    torn: list[int] = []

    def read() -> None:
        while not done:
            text, version = document.state()
            if text != str(version % 10) * width:
                torn.append(version)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        async with anyio.create_task_group() as tg:
            tg.start_soon(anyio.to_thread.run_sync, read)
            await wait_all_tasks_blocked()
            for version in range(1, 1500):
                document.change(changes[version % 10], version)
            done = True
    finally:
        sys.setswitchinterval(interval)
    assert torn == []

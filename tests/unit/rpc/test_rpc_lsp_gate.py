"""LSP on the connection: what is answered before the engine is there, and what waits for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from hypothesis import given, settings
from hypothesis import strategies as st
from rpc_support import FakeManager, connected, request

from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.rpc.calls import Calls
from codex_rpc.rpc.framing import Framing
from codex_rpc.rpc.lsp.client import LspClient, read_client
from codex_rpc.rpc.lsp.features import Feature, Features
from codex_rpc.rpc.lsp.gate import Gate
from codex_rpc.rpc.outbox import Outbox
from codex_rpc.rpc.outgoing import Outgoing

NEOVIM_EDITS = {"resourceOperations": ["rename", "create", "delete"]}
"""What Neovim 0.11 says of its workspace edits, all of which may have versions."""

EDITS = {"applyEdit": True, "workspaceEdit": {"documentChanges": True}}


async def test_a_client_with_capabilities_is_told_what_there_is_for_an_editor() -> None:
    async with connected(FakeManager()) as client:
        result = await client.call("initialize", {"processId": None, "capabilities": {}})
    capabilities = result["capabilities"]
    assert capabilities["experimental"]["codex"]["protocolVersion"] == 1
    del capabilities["experimental"]
    assert capabilities.pop("codeActionProvider") == {"codeActionKinds": ["quickfix", "refactor"]}
    assert "codex.explain" in capabilities.pop("executeCommandProvider")["commands"]
    assert capabilities == {
        "positionEncoding": "utf-16",
        "textDocumentSync": {"openClose": True, "change": 2, "save": {"includeText": False}},
        "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
    }


@pytest.mark.parametrize("params", [None, {}, {"capabilities": None}, {"capabilities": []}])
async def test_a_client_without_is_answered_as_ever_and_has_no_documents(params: Any) -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        result = await client.call("initialize", params)
        assert list(result["capabilities"]) == ["experimental"]
        item = {"uri": "file:///a", "languageId": "", "version": 1, "text": "x"}
        await client.send({"method": "textDocument/didOpen", "params": {"textDocument": item}})
        await client.call("session/list")
        await manager.workspace.ready()
        assert manager.workspace.document(Path("/a")) is None


async def test_nothing_can_be_asked_of_an_editor_before_it_has_said_what_it_can() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        await client.call("session/list")
        workspace = manager.workspace
        able = [workspace.can_edit, workspace.can_save, workspace.reviews_patches]
        assert able == [False] * 3
        assert workspace.resource_operations == frozenset()
        assert (await workspace.edit([], label="l")).outcome == "refused"
        assert await workspace.save([Path("/a")], ask=True) == ()
        await workspace.show(Path("/a"))
        assert workspace.unsaved() == ()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["utf-16", "utf-8"], "utf-8"),
        (["utf-16", "utf-32"], "utf-32"),
        (["utf-16"], "utf-16"),
        (["utf-7"], "utf-16"),
        ([], "utf-16"),
        ("utf-8", "utf-16"),
        ([[], {}, None, 8], "utf-16"),
    ],
)
def test_the_cheapest_position_encoding_is_chosen(offered: Any, chosen: str) -> None:
    capabilities = {"general": {"positionEncodings": offered}}
    assert read_client({"capabilities": capabilities}).position_encoding == chosen


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"capabilities": {"workspace": EDITS}}, {"can_edit": True}),
        (
            {"capabilities": {"workspace": {"applyEdit": True, "workspaceEdit": NEOVIM_EDITS}}},
            {"can_edit": True, "resource_operations": frozenset(["rename", "create", "delete"])},
        ),
        ({"capabilities": {"workspace": {"applyEdit": True}}}, {}),
        ({"capabilities": {"workspace": {**EDITS, "applyEdit": 1}}}, {}),
        (
            {"capabilities": {}, "initializationOptions": {"codex": {"saveDocuments": True}}},
            {"can_save": True},
        ),
        (
            {"capabilities": {}, "initializationOptions": {"codex": {"patchReview": True}}},
            {"reviews_patches": True},
        ),
        (
            {"capabilities": {"experimental": {"codex": {"patchReview": True}}}},
            {"reviews_patches": True},
        ),
        (
            {
                "capabilities": {"window": {"showDocument": {"support": True}}},
                "initializationOptions": {"codex": {"showDocument": True}},
            },
            {"shows_documents": True},
        ),
        ({"capabilities": {"window": {"showDocument": {"support": True}}}}, {}),
        ({"capabilities": {"window": []}, "initializationOptions": "codex"}, {}),
    ],
)
def test_what_a_client_can_do_is_read_from_its_capabilities(
    params: Any, expected: dict[str, Any]
) -> None:
    assert read_client(params) == LspClient(speaks_lsp=True, **expected)


def test_resource_operations_are_those_that_are_known() -> None:
    edit = {"documentChanges": True, "resourceOperations": ["create", "explode", "rename", 3]}
    capabilities = {"workspace": {"applyEdit": True, "workspaceEdit": edit}}
    client = read_client({"capabilities": capabilities})
    assert client.resource_operations == {"create", "rename"}


@pytest.mark.parametrize("framing", list(Framing))
async def test_documents_that_are_opened_while_the_engine_loads_are_all_there(
    framing: Framing,
) -> None:
    manager = FakeManager()
    async with connected(manager, framing=framing) as client:
        await client.send(request(1, "initialize", {"capabilities": {}}))
        opened = [
            {
                "method": "textDocument/didOpen",
                "params": {
                    "textDocument": {
                        "uri": f"file:///folder/{i}.py",
                        "languageId": "python",
                        "version": 1,
                        "text": f"text {i}\n",
                    }
                },
            }
            for i in range(5000)
        ]
        insert = {
            "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
        }
        changed = [
            {
                "method": "textDocument/didChange",
                "params": {
                    "textDocument": {"uri": f"file:///folder/{i}.py", "version": 2},
                    "contentChanges": [{**insert, "text": "new "}],
                },
            }
            for i in range(0, 5000, 2)
        ]
        await client.send({"method": "initialized", "params": {}}, *opened, *changed)
        await client.send(request(2, "session/configure", {"cwd": "/"}))
        assert [m.get("id") for m in await client.some(2)] == [1, 2]
        with fail_after(10):
            await manager.workspace.ready()
        for i in range(5000):
            document = manager.workspace.document(Path(f"/folder/{i}.py"))
            assert document is not None
            expected = ("new " if i % 2 == 0 else "", 2 if i % 2 == 0 else 1)
            assert (document.text, document.version) == (f"{expected[0]}text {i}\n", expected[1])


async def test_what_comes_while_others_are_delivered_waits_behind_them() -> None:
    gate = Gate(Outgoing(Outbox(None, lambda: None)), Calls(), version="1")  # type: ignore[arg-type]
    gate.initialize({"capabilities": {}})
    listeners = gate.listeners
    for i in range(500):
        item = {"uri": f"file:///{i}", "languageId": "", "version": 1, "text": "x"}
        listeners["textDocument/didOpen"]({"textDocument": item})
    async with anyio.create_task_group() as tg:
        tg.start_soon(gate.run)
        tg.start_soon(gate.ready)
        with fail_after(10):
            await gate._loaded.wait()
        document = {"uri": "file:///499", "version": 2}
        change = {"textDocument": document, "contentChanges": [{"text": "y"}]}
        listeners["textDocument/didChange"](change)
        with fail_after(10):
            await gate.ready()
        tg.cancel_scope.cancel()
    assert gate.documents is not None
    opened = gate.documents.find(Path("/499"))
    assert opened is not None
    assert opened.state() == ("y", 2)


async def test_the_engine_is_loaded_when_nobody_waits_for_anything() -> None:
    calls = Calls()
    gate = Gate(Outgoing(Outbox(None, lambda: None)), calls, version="1")  # type: ignore[arg-type]
    async with anyio.create_task_group() as tg:
        tg.start_soon(gate.run)
        gate.initialize({"capabilities": {}})
        call = calls.begin(1)
        # Longer than it waits for idleness: while a request is in flight it does not begin.
        with anyio.move_on_after(0.5):
            await gate._urgent.wait()
        assert not gate._urgent.is_set()
        calls.settle(call)
        with fail_after(10):
            await gate._loaded.wait()
        assert gate.engine is not None
        tg.cancel_scope.cancel()


async def test_an_engine_that_cannot_be_loaded_leaves_the_connection_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "codex_rpc.rpc.lsp.engine", None)
    manager = FakeManager()
    async with connected(manager) as client:
        await client.call("initialize", {"capabilities": {"workspace": EDITS}})
        item = {"uri": "file:///a", "languageId": "", "version": 1, "text": "x"}
        for _ in range(2):
            await client.send({"method": "textDocument/didOpen", "params": {"textDocument": item}})
            await client.call("session/list")
            with fail_after(5):
                await manager.workspace.ready()
        assert manager.workspace.document(Path("/a")) is None
        with fail_after(5):
            assert (await manager.workspace.edit([], label="l")).outcome == "refused"
        assert "cannot load codex_rpc.rpc.lsp.engine" in caplog.text


@pytest.mark.parametrize(
    "method", ["initialized", "$/setTrace", "window/workDoneProgress/cancel", "$/unknown", "x"]
)
async def test_notifications_that_mean_nothing_here_are_accepted(method: str) -> None:
    async with connected(FakeManager()) as client:
        await client.call("initialize", {"capabilities": {}})
        for params in ({}, None, {"value": "verbose", "token": 1}, [1]):
            await client.send({"method": method, "params": params})
        assert "sessions" in await client.call("session/list")


async def test_requests_that_are_not_here_are_refused_as_before() -> None:
    async with connected(FakeManager()) as client:
        assert (await client.call("textDocument/hover", {}))["code"] == -32002
        await client.call("initialize", {"capabilities": {}})
        assert (await client.call("textDocument/hover", {}))["code"] == -32601


@pytest.mark.parametrize(
    ("params", "root"),
    [
        ({"rootUri": "file:///root"}, "file:///root"),
        ({"rootPath": "/root"}, "file:///root"),
        ({"rootUri": "file:///root", "capabilities": {"textDocument": 3}}, "file:///root"),
        ({"rootUri": ["?"], "processId": {}, "workspaceFolders": 3}, None),
        ({"rootUri": "file://[", "rootPath": "/root"}, None),
        ({"rootUri": "http://[::1"}, None),
        ({"rootUri": "untitled:"}, None),
        ({"rootUri": "file:///root", "workspaceFolders": [None, {}, {"uri": 3}]}, "file:///root"),
        ({"rootUri": "", "rootPath": "/\0"}, None),
        ({"rootPath": "root"}, None),
    ],
)
def test_the_engine_takes_from_a_strange_hello_what_makes_sense(
    params: dict[str, Any], root: str | None
) -> None:
    from codex_rpc.rpc.lsp.engine import Engine

    outgoing = Outgoing(Outbox(None, lambda: None))  # type: ignore[arg-type]
    client = read_client({"capabilities": {}, **params})
    assert Engine(client, outgoing, version="1").documents.root_uri == root


def test_a_folder_that_makes_no_sense_does_not_hide_the_others() -> None:
    folders = [{"uri": "file:///a"}, 3, {"uri": "file://["}, {"uri": "file:///b%2F", "name": 3}]
    client = read_client({"capabilities": {}, "workspaceFolders": folders})
    assert client.folders == ("file:///a", "file:///b%2F")


NONSENSE = st.recursive(
    st.sampled_from([None, True, 0, -1, 1e300, "", "\0", "file:///a", "file://[", "utf-8"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *["workspace", "window", "general", "textDocument", "experimental", "codex"],
                    *["applyEdit", "workspaceEdit", "documentChanges", "resourceOperations"],
                    *[
                        "failureHandling",
                        "positionEncodings",
                        "showDocument",
                        "support",
                        "name",
                        "uri",
                    ],
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
MEMBERS = [
    *["capabilities", "rootUri", "rootPath", "workspaceFolders", "processId", "clientInfo"],
    *["initializationOptions", "trace", "locale"],
]


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(MEMBERS), NONSENSE))
async def test_whatever_a_client_says_of_itself_it_is_served(params: dict[str, Any]) -> None:
    gate = Gate(Outgoing(Outbox(None, lambda: None)), Calls(), version="1")  # type: ignore[arg-type]
    gate.initialize({"capabilities": {}, **params})
    if not gate.client.speaks_lsp:
        return
    async with anyio.create_task_group() as tg:
        tg.start_soon(gate.run)
        item = {"uri": "file:///a", "languageId": "", "version": 1, "text": "x"}
        gate.listeners["textDocument/didOpen"]({"textDocument": item})
        with fail_after(10):
            engine = await gate.load()
        tg.cancel_scope.cancel()
    assert engine.documents.get("file:///a") is not None


async def test_a_feature_is_announced_and_gets_its_parameters_typed() -> None:
    gate = Gate(Outgoing(Outbox(None, lambda: None)), Calls(), version="1")  # type: ignore[arg-type]
    seen: list[Any] = []

    async def hover(params: Any, _call: Any) -> Any:
        from lsprotocol import types

        seen.append((params, gate.documents))
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, "text"))

    gate.offer(Features({"textDocument/hover": Feature({"hoverProvider": True}, hover)}))
    assert gate.method("textDocument/hover") is None
    assert gate.initialize({"capabilities": {}})["hoverProvider"] is True
    method = gate.method("textDocument/hover")
    assert method is not None
    async with anyio.create_task_group() as tg:
        tg.start_soon(gate.run)
        item = {"uri": "file:///a", "languageId": "", "version": 1, "text": "x"}
        gate.listeners["textDocument/didOpen"]({"textDocument": item})
        position = {"line": 3, "character": 4}
        params = {"textDocument": {"uri": "file:///a"}, "position": position}
        with fail_after(10):
            result = await method.handler(params, None)  # type: ignore[arg-type]
            assert result == {"contents": {"kind": "markdown", "value": "text"}}
            for wrong, path in [
                ({}, "textDocument"),
                ({**params, "position": {"line": "secret", "character": 0}}, "position.line"),
                ({**params, "position": {"line": -1, "character": 0}}, "position"),
            ]:
                with pytest.raises(InvalidParams) as caught:
                    await method.handler(wrong, None)  # type: ignore[arg-type]
                assert caught.value.data["path"] == path
                assert "secret" not in caught.value.message
        tg.cancel_scope.cancel()
    [(typed, documents)] = seen
    assert (typed.position.line, typed.text_document.uri) == (3, "file:///a")
    assert documents.get("file:///a") is not None

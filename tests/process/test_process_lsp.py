"""The installed command as an editor's language server, and what others never pay for it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from lsprotocol import types
from pygls.lsp.client import LanguageClient
from support.client import COMMAND, environment, running
from support.conversation import text_events, write_config
from support.model_server import ModelServer

MODULE = [sys.executable, "-X", "importtime", "-m", "codex_rpc"]
HELLO = {"responses": [text_events(1, "hello")]}
ENGINE = b"lsprotocol.types"


def document(i: int) -> dict[str, Any]:
    uri = f"file:///folder/{i}.py"
    item = {"uri": uri, "languageId": "python", "version": 1, "text": f"text {i}\n"}
    return {"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": item}}


def request(id_: int, method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


async def until(process: anyio.abc.Process, text: bytes) -> bytes:
    """Read what is said on stderr until `text` comes, or the end."""
    assert process.stderr is not None
    said = b""
    with fail_after(15):
        async for chunk in process.stderr:
            said += chunk
            if text in said:
                break
    return said


@asynccontextmanager
async def imports_shown(home: Path) -> AsyncIterator[anyio.abc.Process]:
    """A server that says on stderr what it imports."""
    async with await anyio.open_process(MODULE, env=environment(home)) as process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()


async def ask(process: anyio.abc.Process, *messages: dict[str, Any]) -> None:
    assert process.stdin is not None
    await process.stdin.send(b"".join(json.dumps(m).encode() + b"\n" for m in messages))


async def test_a_client_without_lsp_never_loads_it(tmp_path: Path) -> None:
    async with ModelServer(HELLO) as server:
        write_config(tmp_path, server.url)
        said = tmp_path / "stderr"
        with said.open("wb") as stderr:
            async with running(tmp_path, command=MODULE, stderr=stderr) as client:
                await client.request("initialize", {"clientInfo": {"name": "script"}})
                await client.send(document(1))
                session = await client.request("session/configure", {"cwd": str(tmp_path)})
                await client.turn(session["sessionId"], "hi")
                assert await client.close_stdin() == 0
    modules = said.read_bytes()
    assert b"httpx" in modules
    assert b"pygls" not in modules
    assert b"lsprotocol" not in modules


async def test_an_editor_that_has_only_said_hello_gets_the_engine_when_it_is_idle(
    tmp_path: Path,
) -> None:
    async with imports_shown(tmp_path) as process:
        await ask(process, request(1, "initialize", {"capabilities": {}}))
        assert ENGINE in await until(process, ENGINE)


@pytest.mark.parametrize("count", [1, 5000])
async def test_the_end_may_come_while_the_engine_loads(tmp_path: Path, count: int) -> None:
    async with imports_shown(tmp_path) as process:
        opened = [document(i) for i in range(count)]
        await ask(process, request(1, "initialize", {"capabilities": {}}), *opened)
        await until(process, b"lsprotocol")
        assert process.stdin is not None
        await process.stdin.aclose()
        async with anyio.create_task_group() as tg:
            tg.start_soon(until, process, b"never")
            with fail_after(10):
                assert await process.wait() == 0


async def test_a_thousand_documents_do_not_stand_before_the_first_session(tmp_path: Path) -> None:
    async with ModelServer(HELLO) as server, running(tmp_path) as client:
        write_config(tmp_path, server.url)
        answer = await client.request("initialize", {"capabilities": {}, "processId": None})
        assert answer["capabilities"]["positionEncoding"] == "utf-16"
        lines = [json.dumps(document(i)).encode() for i in range(1000)]
        await client.send_raw(b"\n".join(lines) + b"\n")
        session = await client.request("session/configure", {"cwd": str(tmp_path)})
        events = await client.turn(session["sessionId"], "hi")
        assert events[-1]["msg"]["type"] == "task_complete"
        assert await client.close_stdin() == 0


class Quiet(LanguageClient):
    """pygls' own client; it fails the test if the server says what makes no sense."""

    def __init__(self) -> None:
        super().__init__("tests", "1")
        self.errors: list[str] = []

    def report_server_error(self, error: Exception, source: Any) -> None:
        self.errors.append(f"{type(error).__name__}: {error}")


async def test_pygls_own_client_is_served(tmp_path: Path) -> None:
    async with ModelServer(HELLO) as server:
        write_config(tmp_path, server.url)
        client = Quiet()
        with fail_after(15):
            await client.start_io(*COMMAND, env=environment(tmp_path))
            everything = types.ClientCapabilities(
                general=types.GeneralClientCapabilities(
                    position_encodings=list(types.PositionEncodingKind)
                ),
                workspace=types.WorkspaceClientCapabilities(apply_edit=True),
            )
            result = await client.initialize_async(types.InitializeParams(capabilities=everything))
            assert result.server_info is not None
            assert result.server_info.name == "codex-rpc"
            assert result.capabilities.position_encoding == types.PositionEncodingKind.Utf8
            client.initialized(types.InitializedParams())
            client.set_trace(types.SetTraceParams(types.TraceValue.Verbose))
            for i in range(100):
                item = types.TextDocumentItem(f"file:///folder/{i}.py", "python", 1, "x\n")
                client.text_document_did_open(types.DidOpenTextDocumentParams(item))
            session = await client.protocol.send_request_async(
                "session/configure", {"cwd": str(tmp_path)}
            )
            position = types.Position(0, 0)
            with pytest.raises(Exception, match="there is no method `textDocument/hover`"):
                await client.text_document_hover_async(
                    types.HoverParams(types.TextDocumentIdentifier("file:///folder/1.py"), position)
                )
            op = {"type": "user_input", "items": [{"type": "text", "text": "hi"}]}
            submission = {"sessionId": session.sessionId, "op": op}
            await client.protocol.send_request_async("session/submit", submission)
            await client.shutdown_async(None)
            client.exit(None)
            await client.stop()
        assert client._server is not None
        assert client._server.returncode == 0
    assert client.errors == []

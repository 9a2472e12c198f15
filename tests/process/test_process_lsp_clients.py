"""LSP clients that others wrote, on the installed command: pygls' own, and pytest-lsp's.

The second checks every request of the server against what the client has said that it can.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from lsprotocol import types
from pygls.lsp.client import LanguageClient
from pytest_lsp import ClientServerConfig, client_capabilities, make_test_lsp_client
from support.client import CLOSINGS, COMMAND, environment
from support.conversation import text_events, write_config
from support.lsp_client import Editor
from support.model_server import ModelServer

TEXT = "one\r\ntwo 🙂 𐍈\r\nthree\r\n"
PATCH = """\
*** Begin Patch
*** Update File: some.txt
@@
-two 🙂 𐍈
+TWO 🙂 𐍈
*** End Patch"""


class Desk:
    """An editor with its buffers behind a client that speaks for it."""

    def __init__(self, client: LanguageClient, folder: Path, encoding: str) -> None:
        self.client = client
        self.folder = folder
        self.editor = Editor(encoding)
        self.events: list[dict[str, Any]] = []
        self.session_id = ""
        self.before_edit: Callable[[], None] | None = None
        """What the user does in the moment in which an edit comes, once."""
        self._arrived = anyio.Event()
        # pygls marks what it calls, which cannot be done with methods.
        client.feature("session/event")(partial(self._on_event))
        client.feature(types.WORKSPACE_APPLY_EDIT)(partial(self._on_apply_edit))

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def text(self, name: str) -> str:
        """What the buffer shows."""
        return self.editor.buffers[self.uri(name)].text

    def _notify(self, method: str, params: Any) -> None:
        protocol = self.client.protocol
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        protocol.notify(method, protocol.structure_message(message).params)

    def _on_event(self, params: Any) -> None:
        self.events.append(plain(params))
        self._arrived.set()
        self._arrived = anyio.Event()

    def _on_apply_edit(
        self, params: types.ApplyWorkspaceEditParams
    ) -> types.ApplyWorkspaceEditResult:
        if self.before_edit is not None:
            act, self.before_edit = self.before_edit, None
            act()
        asked = self.client.protocol._converter.unstructure(params)
        answer, told = self.editor.apply(asked)
        for method, change in told:
            self._notify(method, change)
        return types.ApplyWorkspaceEditResult(answer["applied"], answer.get("failureReason"))

    def open(self, name: str, text: str) -> None:
        self._notify("textDocument/didOpen", self.editor.open(self.uri(name), text))

    def type(self, name: str, start: int, end: int, text: str) -> None:
        changed = self.editor.type(self.uri(name), start, end, text)
        self._notify("textDocument/didChange", changed)

    async def configure(self) -> None:
        params = {"cwd": str(self.folder)}
        session = plain(await self.client.protocol.send_request_async("session/configure", params))
        self.session_id = session["sessionId"]

    async def submit(self, op: dict[str, Any]) -> None:
        params = {"sessionId": self.session_id, "op": op}
        await self.client.protocol.send_request_async("session/submit", params)

    async def say(self, *items: dict[str, Any]) -> None:
        await self.submit({"type": "user_input", "items": list(items)})

    async def approve(self, asked: dict[str, Any]) -> None:
        op = {"type": "patch_approval", "id": asked["call_id"], "decision": "approved"}
        await self.submit(op)

    async def wait_event(self, *kinds: str) -> dict[str, Any]:
        """The first event of one of the types; it is taken away."""
        with fail_after(10):
            while True:
                for index, event in enumerate(self.events):
                    if event["msg"]["type"] in kinds:
                        del self.events[: index + 1]
                        return event["msg"]
                await self._arrived.wait()


def plain(value: Any) -> Any:
    """What pygls gives as objects, for lack of a type, as JSON."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, list | tuple) else value


def capabilities(encoding: str) -> types.ClientCapabilities:
    return types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=[encoding]),
        workspace=types.WorkspaceClientCapabilities(
            apply_edit=True,
            workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
        ),
    )


class Own(LanguageClient):
    """pygls' own client; it keeps what made no sense to it."""

    def __init__(self) -> None:
        super().__init__("tests", "1")
        self.errors: list[str] = []

    def report_server_error(self, error: Exception, source: Any) -> None:
        self.errors.append(f"{type(error).__name__}: {error}")


async def start_pygls(home: Path) -> LanguageClient:
    client = Own()
    await client.start_io(*COMMAND, env=environment(home))
    return client


async def start_pytest_lsp(home: Path) -> LanguageClient:
    config = ClientServerConfig(
        list(COMMAND), client_factory=make_test_lsp_client, server_env=environment(home)
    )
    client = await config.start()
    assert isinstance(client, LanguageClient)
    return client


Start = Callable[[Path], Awaitable[LanguageClient]]
CLIENTS = pytest.mark.parametrize("start", [start_pygls, start_pytest_lsp])


@asynccontextmanager
async def desk(
    start: Start,
    home: Path,
    encoding: str = "utf-16",
    declared: types.ClientCapabilities | None = None,
    options: dict[str, Any] | None = None,
) -> AsyncIterator[Desk]:
    """A client on a new server; at the end it is asked to shut down, and nothing was wrong."""
    folder = home / "folder"
    folder.mkdir(exist_ok=True)
    client = await start(home)
    # What pytest-lsp compares the server's requests with.
    client.capabilities = declared or capabilities(encoding)  # type: ignore[attr-defined]
    params = types.InitializeParams(
        capabilities=client.capabilities,  # type: ignore[attr-defined]
        initialization_options=options,
        workspace_folders=[types.WorkspaceFolder(folder.as_uri(), "folder")],
    )
    try:
        with fail_after(10):
            result = await client.initialize_async(params)
        chosen = result.capabilities.position_encoding
        assert chosen is not None
        client.initialized(types.InitializedParams())
        yield Desk(client, folder, chosen)
        with fail_after(5):
            await client.shutdown_async(None)
            client.exit(None)
            assert client._server is not None
            assert await client._server.wait() == 0
    finally:
        if client._server is not None and client._server.returncode is None:
            client._server.kill()
        await client.stop()
    assert getattr(client, "errors", []) == []
    assert getattr(client, "error", None) is None


def script(home: Path, *steps: dict[str, Any], **settings: str) -> None:
    """Have the scripted model do one step per response, and say that it is done."""
    path = home / "script.json"
    path.write_text(json.dumps({"response": [*steps, {"text": "done"}]}))
    values = {
        "model_provider": "scripted",
        "approval_policy": "never",
        "sandbox_mode": "danger-full-access",
        **settings,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    lines += ["[model_providers.scripted]", f"script = {json.dumps(str(path))}"]
    (home / ".codex").mkdir(exist_ok=True)
    (home / ".codex" / "config.toml").write_text("\n".join(lines) + "\n")


def patch(text: str) -> dict[str, Any]:
    return {"call": "apply_patch", "arguments": {"input": text}}


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def output_of(home: Path) -> str:
    """What the model was told about its call, as it is recorded."""
    (path,) = home.rglob("rollout-*.jsonl")
    records = map(json.loads, path.read_text().splitlines())
    (output,) = [r["output"] for r in records if r.get("type") == "function_call_output"]
    return output


@CLIENTS
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_the_model_reads_the_clients_text(
    tmp_path: Path, start: Start, encoding: str
) -> None:
    async with ModelServer({"responses": [text_events(1, "read")]}) as server:
        write_config(tmp_path, server.url)
        async with desk(start, tmp_path, encoding) as d:
            assert d.editor.encoding == encoding
            (d.folder / "some.txt").write_bytes(b"the file\n")
            d.open("some.txt", TEXT)
            await d.configure()
            buffer = d.editor.buffers[d.uri("some.txt")]
            for start_, end, text in [
                (0, 0, "𐍈 zero\r\n"),
                (len(buffer), len(buffer), "🎉\r\nend 🙂"),
                (2, 5, "𐍆"),
            ]:
                places = [i for i in range(len(buffer) + 1) if buffer.is_between_characters(i)]
                d.type("some.txt", *(min(p for p in places if p >= i) for i in (start_, end)), text)
            await d.say({"type": "mention", "path": "some.txt"}, said("read it"))
            assert (await d.wait_event(*CLOSINGS))["type"] == "task_complete"
            text = d.text("some.txt")
            assert "𐍆" in text
        (request,) = server.requests
    told = [part["text"] for item in request["body"]["input"] for part in item["content"]]
    assert any(text in part for part in told)


@CLIENTS
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_a_patch_goes_into_the_buffer_and_not_to_disk(
    tmp_path: Path, start: Start, encoding: str
) -> None:
    script(tmp_path, patch(PATCH))
    async with desk(start, tmp_path, encoding) as d:
        (d.folder / "some.txt").write_bytes(TEXT.encode())
        d.open("some.txt", TEXT)
        await d.configure()
        d.type("some.txt", 0, 0, "unsaved 𐍈\r\n")
        await d.say(said("patch it"))
        assert (await d.wait_event("patch_apply_end"))["success"] is True
        assert (await d.wait_event(*CLOSINGS))["type"] == "task_complete"
        assert d.text("some.txt") == "unsaved 𐍈\r\none\r\nTWO 🙂 𐍈\r\nthree\r\n"
        assert (d.folder / "some.txt").read_bytes() == TEXT.encode()
        (edit,) = d.editor.edits
        (change,) = edit["edit"]["documentChanges"]
        assert change["textDocument"]["version"] == 2
        assert [e["newText"] for e in change["edits"]] == ["TWO"]


@CLIENTS
async def test_a_patch_is_worked_out_anew_if_the_user_types_while_it_waits(
    tmp_path: Path, start: Start
) -> None:
    script(tmp_path, patch(PATCH), approval_policy="untrusted")
    async with desk(start, tmp_path) as d:
        (d.folder / "some.txt").write_bytes(TEXT.encode())
        d.open("some.txt", TEXT)
        await d.configure()
        await d.say(said("patch it"))
        asked = await d.wait_event("apply_patch_approval_request")
        d.type("some.txt", 0, 0, "typed meanwhile\r\n")
        await d.approve(asked)
        # The typed line is in what was shown, so that this is another patch than was approved.
        again = await d.wait_event("apply_patch_approval_request")
        assert "typed meanwhile" in json.dumps(again["changes"])
        await d.approve(again)
        assert (await d.wait_event(*CLOSINGS))["type"] == "task_complete"
        assert d.text("some.txt") == "typed meanwhile\r\n" + TEXT.replace("two", "TWO")
        assert (d.folder / "some.txt").read_bytes() == TEXT.encode()
    assert "Success" in output_of(tmp_path)


@CLIENTS
async def test_a_patch_is_worked_out_anew_if_the_user_types_before_the_edit_is_made(
    tmp_path: Path, start: Start
) -> None:
    script(tmp_path, patch(PATCH))
    async with desk(start, tmp_path) as d:
        (d.folder / "some.txt").write_bytes(TEXT.encode())
        d.open("some.txt", TEXT)
        await d.configure()
        d.before_edit = lambda: d.type("some.txt", 0, 0, "typed meanwhile\r\n")
        await d.say(said("patch it"))
        assert (await d.wait_event(*CLOSINGS))["type"] == "task_complete"
        assert d.text("some.txt") == "typed meanwhile\r\n" + TEXT.replace("two", "TWO")
        versions = [e["edit"]["documentChanges"][0]["textDocument"] for e in d.editor.edits]
        assert [document["version"] for document in versions] == [1, 2]
    assert "Success" in output_of(tmp_path)


@CLIENTS
async def test_the_second_time_that_the_user_is_faster_the_model_is_told(
    tmp_path: Path, start: Start
) -> None:
    script(tmp_path, patch(PATCH))
    async with desk(start, tmp_path) as d:
        (d.folder / "some.txt").write_bytes(TEXT.encode())
        d.open("some.txt", TEXT)
        await d.configure()

        def type_once_more() -> None:
            d.type("some.txt", 0, 0, "typed ")
            d.before_edit = type_once_more

        d.before_edit = type_once_more
        await d.say(said("patch it"))
        assert (await d.wait_event("patch_apply_end"))["success"] is False
        assert (await d.wait_event(*CLOSINGS))["type"] == "task_complete"
        assert d.text("some.txt") == "typed typed " + TEXT
        assert len(d.editor.edits) == 2
    output = output_of(tmp_path)
    assert "Success" not in output
    assert "some.txt" in output


@CLIENTS
async def test_the_model_is_told_if_the_patched_line_changes_while_it_waits(
    tmp_path: Path, start: Start
) -> None:
    script(tmp_path, patch(PATCH), approval_policy="untrusted")
    async with desk(start, tmp_path) as d:
        (d.folder / "some.txt").write_bytes(TEXT.encode())
        d.open("some.txt", TEXT)
        await d.configure()
        await d.say(said("patch it"))
        asked = await d.wait_event("apply_patch_approval_request")
        d.type("some.txt", 5, 8, "zwei")
        await d.approve(asked)
        assert (await d.wait_event(*CLOSINGS))["type"] == "task_complete"
        assert d.text("some.txt") == TEXT.replace("two", "zwei")
        assert d.editor.edits == []
    assert "Success" not in output_of(tmp_path)


@CLIENTS
async def test_documents_that_are_opened_before_the_engine_is_there_are_not_lost(
    tmp_path: Path, start: Start
) -> None:
    many = 5000
    async with ModelServer({"responses": [text_events(1, "read")]}) as server:
        write_config(tmp_path, server.url)
        async with desk(start, tmp_path) as d:
            for n in range(many):
                d.open(f"{n}.txt", f"the text of document {n}.")
            with fail_after(10):
                await d.configure()
            wanted = [0, many // 2, many - 1]
            d.type("0.txt", 0, 3, "THE")
            mentions = [{"type": "mention", "path": f"{n}.txt"} for n in wanted]
            await d.say(*mentions, said("read them"))
            assert (await d.wait_event(*CLOSINGS))["type"] == "task_complete"
        (request,) = server.requests
    told = json.dumps(request["body"]["input"])
    assert "THE text of document 0." in told
    for n in wanted[1:]:
        assert f"the text of document {n}." in told


@pytest.mark.parametrize("name", ["visual-studio-code", "neovim", "emacs"])
async def test_nothing_is_asked_of_a_known_editor_that_it_cannot_do(
    tmp_path: Path, name: str
) -> None:
    script(tmp_path, patch(PATCH))
    declared = client_capabilities(name)
    async with desk(start_pytest_lsp, tmp_path, declared=declared) as d:
        (d.folder / "some.txt").write_bytes(TEXT.encode())
        d.open("some.txt", TEXT)
        await d.configure()
        await d.say(said("patch it"))
        assert (await d.wait_event(*CLOSINGS))["type"] == "task_complete"
        assert d.text("some.txt") == TEXT.replace("two", "TWO")

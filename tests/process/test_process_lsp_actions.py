"""Code actions, commands and progress of the installed command, with pygls' own client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio import fail_after
from lsprotocol import types
from pygls.lsp.client import LanguageClient
from support.client import COMMAND, environment
from support.conversation import call_events, text_events, write_config
from support.model_server import ModelServer

TEXT = "def f():\n    return '𝄞' + naem\n"
NAME = types.Range(types.Position(1, 18), types.Position(1, 22))
"""Where `naem` is, in UTF-16."""


class Editor(LanguageClient):
    """Keeps the progress that it is told, and the types of the sessions' events."""

    def __init__(self) -> None:
        super().__init__("tests", "1")
        self.progress: list[Any] = []
        self.events: list[str] = []
        self.told = anyio.Event()

        @self.feature(types.WINDOW_WORK_DONE_PROGRESS_CREATE)
        def create(_params: types.WorkDoneProgressCreateParams) -> None:
            """Any token will do."""

        @self.feature(types.PROGRESS)
        def progress(params: types.ProgressParams) -> None:
            self.progress.append(params)
            self._tell()

        @self.feature("session/event")
        def event(params: Any) -> None:
            self.events.append(params.msg.type)
            self._tell()

    def _tell(self) -> None:
        self.told.set()
        self.told = anyio.Event()

    def values(self, kind: str) -> list[Any]:
        return [p.value for p in self.progress if p.value["kind"] == kind]

    async def until(self, kind: str, message: str | None = None) -> None:
        """Wait for progress of this kind."""
        with fail_after(10):
            while not any(message in (None, v.get("message")) for v in self.values(kind)):
                await self.told.wait()

    async def execute(self, command: str, *arguments: Any) -> Any:
        params = types.ExecuteCommandParams(command, list(arguments))
        return await self.workspace_execute_command_async(params)


@asynccontextmanager
async def editor(home: Path, work: Path) -> AsyncIterator[Editor]:
    """An editor that has opened the folder `work`."""
    client = Editor()
    with fail_after(18):
        await client.start_io(*COMMAND, env=environment(home))
        # Without code action literals: pygls' client cannot tell an action from a command.
        window = types.WindowClientCapabilities(work_done_progress=True)
        capabilities = types.ClientCapabilities(window=window)
        folder = types.WorkspaceFolder(work.as_uri(), "work")
        await client.initialize_async(
            types.InitializeParams(capabilities=capabilities, workspace_folders=[folder])
        )
        client.initialized(types.InitializedParams())
        yield client
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()
    assert client._server is not None
    assert client._server.returncode == 0


def folder_of_work(home: Path) -> Path:
    work = home / "work"
    work.mkdir()
    return work


async def test_a_fix_is_offered_and_worked_on_with_what_the_editor_holds(tmp_path: Path) -> None:
    work = folder_of_work(tmp_path)
    (work / "a.py").write_text("on disk there is something else\n")
    uri = (work / "a.py").as_uri()
    async with ModelServer({"responses": [text_events(1, "It is a typo.")]}) as server:
        write_config(tmp_path, server.url)
        async with editor(tmp_path, work) as client:
            item = types.TextDocumentItem(uri, "python", 1, TEXT)
            client.text_document_did_open(types.DidOpenTextDocumentParams(item))
            diagnostic = types.Diagnostic(
                NAME,
                "undefined name 'naem'",
                severity=types.DiagnosticSeverity.Error,
                code="F821",
                source="ruff",
            )
            offered = await client.text_document_code_action_async(
                types.CodeActionParams(
                    types.TextDocumentIdentifier(uri), NAME, types.CodeActionContext([diagnostic])
                )
            )
            assert offered is not None
            fix = offered[0]
            assert isinstance(fix, types.Command)
            assert fix.title == "Codex: Fix: undefined name 'naem'"
            answer = await client.execute(fix.command, *(fix.arguments or []))
            await client.until("end", "completed")
            (begin,) = client.values("begin")
            assert begin["message"].startswith("Fix what is wrong with this code.")
            listed = await client.execute("codex.sessions", {"limit": 1})
            (saved,) = listed["sessions"]
            assert saved["sessionId"] == answer["sessionId"]
            assert saved["cwd"] == str(work)
        request = await server.request(1)
    reported = "- error, line 2: undefined name 'naem' (ruff F821)"
    said = [part["text"] for part in request["body"]["input"][-1]["content"]]
    assert said == [
        f'<selection path="{work / "a.py"}" lines="2-2">\nnaem\n</selection>',
        f"Fix what is wrong with this code.\n\nThe editor reports:\n{reported}",
    ]


async def test_what_runs_is_shown_and_the_editor_can_stop_it(tmp_path: Path) -> None:
    work = folder_of_work(tmp_path)
    responses = [call_events(1, ["sleep", "30"]), text_events(2, "never")]
    async with ModelServer({"responses": responses}) as server:
        write_config(tmp_path, server.url)
        async with editor(tmp_path, work) as client:
            question = {"uri": (work / "a.py").as_uri(), "prompt": "how long?"}
            await client.execute("codex.ask", question)
            await client.until("report", "sleep 30")
            token = client.progress[0].token
            client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
            await client.until("end", "interrupted")
            assert {p.token for p in client.progress} == {token}
            assert client.events[-1] == "turn_aborted"

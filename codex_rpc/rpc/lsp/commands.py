"""The commands of `workspace/executeCommand`, and the code actions that lead to them.

Owns which session a command is for. A command is answered as soon as its operation is in
line; what comes of it comes as the session's events. Light: what is said to the model, and
what is offered when, is loaded when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from codex_rpc.core.manager import SessionManager
from codex_rpc.protocol.converter import unstructure
from codex_rpc.protocol.errors import (
    InvalidParams,
    InvalidState,
    SessionClosed,
    SessionNotFound,
)
from codex_rpc.protocol.events import Event, ShutdownComplete
from codex_rpc.protocol.ops import Interrupt, Op
from codex_rpc.protocol.params import ConfigureParams, ListParams, SubmitParams
from codex_rpc.rpc.calls import Call
from codex_rpc.rpc.lsp.features import Feature
from codex_rpc.rpc.lsp.gate import Gate
from codex_rpc.rpc.lsp.uris import path_of
from codex_rpc.rpc.session_methods import SessionMethods

if TYPE_CHECKING:
    from lsprotocol import types

    from codex_rpc.rpc.lsp.arguments import TaskArguments
    from codex_rpc.rpc.lsp.documents import Documents

TASKS = ("codex.explain", "codex.fix", "codex.addTests", "codex.ask")
"""The commands that begin with something in a document."""

COMMANDS = (*TASKS, "codex.interrupt", "codex.sessions")

_USES = {"session_configured", "user_message"}
"""The events that show that a session is being used."""


class Commands:
    """What an editor may have done on one connection."""

    def __init__(self, manager: SessionManager, methods: SessionMethods, gate: Gate) -> None:
        self._manager = manager
        self._methods = methods
        self._gate = gate
        self._used: dict[str, None] = {}
        """The sessions of this connection, the last used last."""
        self._choosing = anyio.Lock()
        """Of two commands that come together, the second finds the session of the first."""

    def table(self) -> dict[str, Feature]:
        """The requests, and what `initialize` says about them."""
        actions = {"codeActionProvider": {"codeActionKinds": ["quickfix", "refactor"]}}
        commands = {"executeCommandProvider": {"commands": list(COMMANDS)}}
        return {
            "textDocument/codeAction": Feature(actions, self.on_code_action),
            "workspace/executeCommand": Feature(commands, self.on_execute_command),
        }

    def observe(self, session_id: str, event: Event) -> None:
        """Take note of an event that leaves for the client."""
        if event.msg.type in _USES:
            self._note(session_id)
        elif isinstance(event.msg, ShutdownComplete):
            self._used.pop(session_id, None)

    def _note(self, session_id: str) -> None:
        self._used.pop(session_id, None)
        self._used[session_id] = None

    async def on_code_action(self, params: types.CodeActionParams, _call: Call) -> Any:
        from codex_rpc.rpc.lsp.actions import offered

        return offered(params, literals=self._gate.client.code_action_literals)

    async def on_execute_command(self, params: types.ExecuteCommandParams, call: Call) -> Any:
        from codex_rpc.rpc.lsp.arguments import InterruptArguments, TaskArguments, argument

        given = params.arguments
        match params.command:
            case "codex.interrupt":
                return await self._interrupt(argument(given, InterruptArguments).session_id, call)
            case "codex.sessions":
                return unstructure(await self._methods.on_list(argument(given, ListParams), call))
            case command if command in TASKS:
                return await self._begin(command, argument(given, TaskArguments), call)
        raise InvalidParams("command", " | ".join(COMMANDS))

    async def _interrupt(self, session_id: str | None, call: Call) -> dict[str, str]:
        if session_id is not None:
            return await self._submit(session_id, Interrupt(), call)
        last, _ = next(self._live(), (None, None))
        if last is None:
            raise InvalidState("no session is open on this connection")
        return await self._submit(last, Interrupt(), call)

    async def _begin(self, command: str, arguments: TaskArguments, call: Call) -> dict[str, str]:
        from codex_rpc.rpc.lsp.prompts import input_for

        documents = self._gate.documents
        assert documents is not None
        op = await input_for(command, arguments, documents)
        if arguments.session_id is not None:
            return await self._submit(arguments.session_id, op, call)
        folders = _folders(documents)
        path = path_of(arguments.uri)
        folder = _folder_of(path, folders)
        async with self._choosing:
            for candidate, cwd in self._live():
                # Without folders, a session works on what is below its directory.
                if _holder(cwd, folders) == folder if folders else _holder(path, [cwd]):
                    try:
                        return await self._submit(candidate, op, call)
                    except SessionClosed:
                        # It is being closed; perhaps there is another one.
                        continue
            opened = await self._methods.on_configure(ConfigureParams(cwd=str(folder)), call)
            return await self._submit(opened.session_id, op, call)

    async def _submit(self, session_id: str, op: Op, call: Call) -> dict[str, str]:
        self._manager.session(session_id)
        self._note(session_id)
        params = SubmitParams(session_id=session_id, op=op)
        submission = await self._methods.on_submit(params, call)
        return {"sessionId": session_id, "submissionId": submission.id}

    def _live(self) -> Iterator[tuple[str, Path]]:
        """The sessions that live, the last used first, with their directories."""
        for session_id in reversed(list(self._used)):
            try:
                session = self._manager.session(session_id)
            except (SessionClosed, SessionNotFound):
                self._used.pop(session_id, None)
                continue
            yield session_id, session.cwd


def _folders(documents: Documents) -> list[Path]:
    """The folders that the editor has opened, in its order."""
    uris = list(documents.folders) or [documents.root_uri or ""]
    return [path for uri in uris if (path := path_of(uri)) is not None]


def _folder_of(path: Path | None, folders: list[Path]) -> Path:
    """Where to work on a file: in the folder that holds it, else the first, else beside it."""
    holder = _holder(path, folders)
    if holder is not None:
        return holder
    if folders:
        return folders[0]
    if path is None:
        raise InvalidParams(
            "arguments[0].sessionId", "string, since the editor has no folder open to work in"
        )
    return path.parent


def _holder(path: Path | None, folders: list[Path]) -> Path | None:
    """The innermost of `folders` that holds `path`, whatever links lead there."""
    if path is None:
        return None
    real = Path(os.path.realpath(path))
    holding = [folder for folder in folders if real.is_relative_to(os.path.realpath(folder))]
    return max(holding, key=lambda folder: len(os.path.realpath(folder)), default=None)

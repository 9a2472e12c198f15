"""The native protocol, with LSP beside it, as a front of the endpoint.

Owns which of the rooms' parts are there on such a connection, and the events' envelope.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import anyio

from codex_rpc.core.manager import SessionManager
from codex_rpc.protocol.converter import converter
from codex_rpc.protocol.errors import CodexError
from codex_rpc.protocol.events import BackgroundEvent, Event, EventMsg, ItemRecorded
from codex_rpc.rpc import mapping, messages
from codex_rpc.rpc.dispatch import Listener, Method
from codex_rpc.rpc.front import Connection
from codex_rpc.rpc.lifecycle import Lifecycle
from codex_rpc.rpc.lsp.commands import Commands
from codex_rpc.rpc.lsp.features import Features
from codex_rpc.rpc.lsp.gate import Gate
from codex_rpc.rpc.lsp.progress import Progress
from codex_rpc.rpc.lsp.workspace import EditorWorkspace
from codex_rpc.rpc.session_methods import SessionMethods


class NativeFront:
    """The native protocol on one connection."""

    def __init__(self, manager: SessionManager, connection: Connection, *, version: str) -> None:
        outbox, outgoing = connection.outbox, connection.outgoing
        self._gate = Gate(outgoing, connection.calls, version=version)
        workspace = EditorWorkspace(self._gate, outgoing)
        # One editor, and the same documents in all sessions.
        manager.workspace_of = lambda _session_id: workspace
        methods = SessionMethods(manager, outbox)
        commands = Commands(manager, methods, self._gate)
        self._progress = Progress(manager, self._gate, outgoing)
        outbox.encoded = Envelopes().encoded
        outbox.observers += [commands.observe, self._progress.observe]
        self._gate.offer(Features(commands.table(), self._progress.listeners))
        self._lifecycle = Lifecycle(
            manager, connection, methods.table(), self._gate, version=version
        )
        self.admit: Callable[[str, Any], Method] = self._lifecycle.admit

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """What is done on which notification; all others are ignored."""
        return self._lifecycle.listeners

    @property
    def exit_requested(self) -> bool:
        """Whether `exit` has come."""
        return self._lifecycle.exit_requested

    @property
    def exit_code(self) -> int:
        """0, or 1 if `exit` came without `shutdown`."""
        return self._lifecycle.exit_code

    def code_of(self, exc: CodexError) -> int:
        """The code that PROTOCOL.md says."""
        return mapping.code_of(exc)

    async def run(self) -> None:
        """Load the editor's side when it is wanted, and show progress, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._gate.run)
            tasks.start_soon(self._progress.run)


class Envelopes:
    """Events as `session/event` notifications, numbered by session."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
        """They go on when a session is closed and resumed."""

    def encoded(self, session_id: str, event: Event) -> Iterable[bytes]:
        """The notification's payload."""
        msg = event.msg
        if isinstance(msg, ItemRecorded):
            return ()
        params: dict[str, Any] = {
            "sessionId": session_id,
            "seq": next(self._numbers[session_id]),
            "id": event.id,
        }
        if event.unsaved:
            params["unsaved"] = True
        try:
            params["msg"] = _to_json(msg)
            return (messages.notification("session/event", params),)
        except (messages.Unencodable, RecursionError):
            # Numbers have no gaps, so something has to stand in its place.
            note = BackgroundEvent(f"an event of type {msg.type} is nested too deep to be sent")
            params["msg"] = _to_json(note)
            return (messages.notification("session/event", params),)


_hooks: dict[type, Callable[[Any], Any]] = {}


def _to_json(msg: EventMsg) -> Any:
    # Finding the hook costs as much as running it, for the deltas of a stream.
    hook = _hooks.get(type(msg))
    if hook is None:
        hook = _hooks[type(msg)] = converter.get_unstructure_hook(type(msg))
    return hook(msg)

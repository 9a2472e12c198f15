"""What a session is asked that belongs to no turn: the message history, the tools, its title.

Owns their order. They touch files and may wait for the client, so they have a task of their
own: neither the submission loop nor a turn waits for them.
"""

from __future__ import annotations

import anyio

from codex_rpc.core.inbox import Mailbox, RenameRequest, Submission, Wish
from codex_rpc.core.ports import MessageHistory
from codex_rpc.core.surroundings import Surroundings
from codex_rpc.protocol.errors import RolloutWriteFailed
from codex_rpc.protocol.events import (
    Error,
    EventMsg,
    GetHistoryEntryResponse,
    McpListToolsResponse,
)
from codex_rpc.protocol.ops import AddToHistory, GetHistoryEntryRequest, ListMcpTools
from codex_rpc.protocol.records import TitleRecord


class Errands:
    """One session's errands, done one after the other."""

    def __init__(self, env: Surroundings, message_history: MessageHistory) -> None:
        self._env = env
        self._message_history = message_history
        self._waiting = Mailbox()

    def put(self, submission: Submission) -> None:
        """Add at the end. Never waits."""
        self._waiting.put(submission)

    async def run(self) -> None:
        """Do them as they come. Ends by cancellation."""
        async with anyio.create_task_group() as listings:
            while True:
                await self._waiting.wait()
                submission = self._waiting.take()
                assert submission is not None
                if isinstance(submission.op, RenameRequest):
                    await self._rename(submission.op)
                elif isinstance(submission.op, ListMcpTools):
                    # Servers may be slow to start, and nothing else is to wait for them.
                    listings.start_soon(self._list_tools, submission)
                else:
                    self._env.gate.leave("errand")
                    await self._answer(submission)

    def close(self) -> None:
        """Tell those who wait for an answer that there will be none."""
        while (submission := self._waiting.take()) is not None:
            if isinstance(submission.op, RenameRequest):
                submission.op.settled.set()

    async def _rename(self, request: RenameRequest) -> None:
        try:
            await self._env.recorder.record(TitleRecord(request.title))
            self._env.title = request.title
            request.is_saved = True
        except RolloutWriteFailed as exc:
            request.failure = exc
        finally:
            request.settled.set()

    async def _list_tools(self, submission: Submission) -> None:
        tools = self._env.tools
        await tools.ready()
        self._env.gate.leave("errand")
        await self._env.announce(submission.id, McpListToolsResponse(await tools.mcp_tools()))

    async def _answer(self, submission: Submission) -> None:
        try:
            answer = await self._do(submission.op)
        except OSError as exc:
            answer = Error(f"the message history cannot be used: {exc}")
        if answer is not None:
            await self._env.announce(submission.id, answer)

    async def _do(self, op: Wish) -> EventMsg | None:
        match op:
            case AddToHistory():
                text = self._env.redactor.text(op.text)
                await self._message_history.append(self._env.session_id, text)
                return None
            case _:
                assert isinstance(op, GetHistoryEntryRequest)
                entry = await self._message_history.entry(op.offset, op.log_id)
                return GetHistoryEntryResponse(op.offset, op.log_id, entry)

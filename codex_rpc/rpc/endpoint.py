"""A whole connection: reads, has each message handled, writes, and ends in good order.

Owns the tasks: one reads, one writes, one per request in flight. The sessions' own tasks
belong to the manager, which outlives the connection.
"""

from __future__ import annotations

import logging
import sys

import anyio
import anyio.lowlevel
from anyio.abc import ObjectSendStream, TaskGroup

from codex_rpc.core.manager import SessionManager
from codex_rpc.rpc.calls import Calls
from codex_rpc.rpc.dispatch import Dispatcher
from codex_rpc.rpc.endings import Endings
from codex_rpc.rpc.framing import MAX_MESSAGE_BYTES, Frame, FrameDecoder, FramingFault
from codex_rpc.rpc.front import Connection, FrontMaker
from codex_rpc.rpc.outbox import Outbox
from codex_rpc.rpc.outgoing import Outgoing
from codex_rpc.rpc.stdio import ByteReader, ByteWriter, PeerGone

logger = logging.getLogger(__name__)

READ_AHEAD_CHUNKS = 16
"""How many chunks are read before the first is handled: more than the system buffers for us."""

STALL_S = 1.5
"""At the end, how long the peer may read nothing before what is left is dropped."""


async def serve(
    manager: SessionManager,
    reader: ByteReader,
    writer: ByteWriter,
    front: FrontMaker,
    *,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> int:
    """Speak the protocol of `front` until the input ends, the peer asks for the end or is gone.

    Returns the process's exit code, with every session closed and every request answered.
    Does not close reader and writer.
    """
    return await _Endpoint(manager, reader, writer, front, max_message_bytes).run()


class _Endpoint:
    def __init__(
        self,
        manager: SessionManager,
        reader: ByteReader,
        writer: ByteWriter,
        front: FrontMaker,
        max_message_bytes: int,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = FrameDecoder(max_message_bytes)
        self._outbox = Outbox(writer, lambda: self._decoder.framing)
        self._calls = Calls()
        self._outgoing = Outgoing(self._outbox)
        self._endings = Endings(manager, self._outbox, self._calls)
        connection = Connection(self._outbox, self._calls, self._outgoing, self._endings)
        self._front = front(connection)
        self._dispatcher = Dispatcher(self._outbox, self._calls, self._front, self._outgoing.settle)
        self._input = anyio.CancelScope()

    async def run(self) -> int:
        async with anyio.create_task_group() as writing:
            writing.start_soon(self._write)
            writing.start_soon(self._front.run)
            async with anyio.create_task_group() as requests:
                with self._input:
                    await self._take_input(requests)
                self._outgoing.close()
                await self._endings.end_sessions()
                await self._write_the_rest()
                self._calls.cancel_all()
            writing.cancel_scope.cancel()
        if self._endings.unsaved:
            print(f"{self._endings.unsaved} records could not be saved", file=sys.stderr)
            return 1
        return self._front.exit_code

    async def _write(self) -> None:
        try:
            await self._outbox.run()
        except PeerGone as exc:
            logger.info("nobody reads any more: %s", exc)
            self._input.cancel()

    async def _take_input(self, requests: TaskGroup) -> None:
        sender, receiver = anyio.create_memory_object_stream[bytes](READ_AHEAD_CHUNKS)
        async with anyio.create_task_group() as reading, sender, receiver:
            reading.start_soon(self._read, sender)
            data = None
            while data != b"" and not self._front.exit_requested:
                data = await receiver.receive()
                await self._handle(
                    self._decoder.feed(data) if data else self._decoder.finish(), requests
                )
            reading.cancel_scope.cancel()

    async def _read(self, sender: ObjectSendStream[bytes]) -> None:
        # Apart from handling what was read, so that the end of the input is seen also while a
        # peer that does not read its answers is made to wait with its requests.
        while data := await self._reader.read():
            await sender.send(data)
        self._outbox.lift_limit()
        await sender.send(b"")

    async def _handle(self, frames: list[Frame | FramingFault], requests: TaskGroup) -> None:
        for frame in frames:
            await self._outbox.room()
            self._dispatcher.take(frame, requests)
            if self._front.exit_requested:
                return
            if self._calls.crowded:
                # Those that need not wait may finish, and their answers be taken.
                await anyio.lowlevel.checkpoint()
                await anyio.lowlevel.checkpoint()

    async def _write_the_rest(self) -> None:
        """Until all is written, or the peer has read nothing for `STALL_S`."""
        written = None
        while written != self._writer.written and not self._outbox.finished:
            written = self._writer.written
            with anyio.move_on_after(STALL_S):
                await self._calls.all_settled()
                self._outbox.close()
                await self._outbox.ended()

"""A client on real pipes, and a stand-in for core's manager whose sessions do as they are told."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio import fail_after
from attrs import define, field

from codex_rpc.core.events import EventQueue
from codex_rpc.protocol.errors import SessionClosed, SessionNotFound
from codex_rpc.protocol.events import (
    AgentMessageDelta,
    Event,
    EventMsg,
    SessionConfigured,
    ShutdownComplete,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.ops import Op, UserInput
from codex_rpc.protocol.params import (
    ConfigureParams,
    ConfigureResult,
    ExportParams,
    ExportResult,
    ForkParams,
    ForkResult,
    ListParams,
    ReadParams,
    RenameParams,
    ResumeParams,
    ResumeResult,
    SessionIdParams,
)
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.records import ReadPage, SessionPage
from codex_rpc.rpc.endpoint import serve
from codex_rpc.rpc.framing import FrameDecoder, Framing, FramingFault, encode
from codex_rpc.rpc.native import NativeFront
from codex_rpc.rpc.stdio import ByteReader, ByteWriter, reader_for, writer_for


@define(eq=False)
class FakeSession:
    """Keeps what is submitted; says what the test lets it say."""

    id: str
    cwd: Path = Path("/")
    events: EventQueue = field(factory=EventQueue)
    submitted: list[tuple[str, Op]] = field(factory=list)
    room: anyio.Event | None = None
    """If there is one, inputs wait for it."""
    interrupted: list[str] = field(factory=list)
    """The turns that were to be stopped."""
    on_op: Callable[[str, Op], None] = lambda _id, _op: None
    """Called when an operation is in line, before its answer."""

    async def submit(self, op: Op, submission_id: str | None = None) -> SubmissionId:
        id_ = SubmissionId(submission_id or str(uuid.uuid4()))
        if isinstance(op, UserInput) and self.room is not None:
            await self.room.wait()
        self.submitted.append((id_, op))
        self.on_op(id_, op)
        return id_

    def interrupt(self, turn_id: SubmissionId) -> None:
        self.interrupted.append(turn_id)

    def say(self, msg: EventMsg, id_: str = "0") -> None:
        """Announce `msg`, room or not."""
        self.events.put_now(Event(SubmissionId(id_), msg))

    async def stream(self, count: int, size: int = 20) -> None:
        """Announce deltas that cannot be merged, waiting for room before each."""
        for i in range(count):
            msg = AgentMessageDelta(f"m{i}", "x" * size)
            await self.events.put(Event(SubmissionId("turn"), msg))


@define(eq=False)
class FakeManager:
    """Sessions that are opened, closed and found; every wait and failure is the test's."""

    live: dict[str, FakeSession] = field(factory=dict)
    closed: set[str] = field(factory=set)
    saved: dict[str, str] = field(factory=dict)
    """Paths of saved sessions by id."""
    before: dict[str, Callable[[], Any]] = field(factory=dict)
    """What to await, or raise, at the beginning of a method."""
    calls: list[tuple[str, Any]] = field(factory=list)
    undone: list[str] = field(factory=list)
    """Methods that were cancelled while they waited."""
    unsaved: int = 0
    workspace_of: Any = None
    """What the connection has put there."""
    providers: list[str] = field(factory=lambda: ["openai", "scripted"])

    @property
    def workspace(self) -> Any:
        """The editor, as any session sees it."""
        return self.workspace_of("a session")

    @property
    def saved_sessions(self) -> FakeManager:
        """The saved sessions are here as well."""
        return self

    async def _enter(self, name: str, params: Any = None) -> None:
        self.calls.append((name, params))
        hook = self.before.get(name)
        if hook is not None:
            try:
                await hook()
            except anyio.get_cancelled_exc_class():
                self.undone.append(name)
                raise

    async def configure(self, params: ConfigureParams) -> Any:
        await self._enter("configure", params)
        session = self._open(str(uuid.uuid4()))
        session.cwd = Path(params.cwd)
        return Opened(session, ConfigureResult(**described(session, resumed=False)))

    async def resume(self, params: ResumeParams) -> Any:
        await self._enter("resume", params)
        session = self.live.get(params.session_id or "")
        already_live = session is not None
        if session is None:
            session = self._open(params.session_id or str(uuid.uuid4()))
        else:
            session.say(configured(session))
        result = ResumeResult(
            **described(session, resumed=True),
            updated_at="2026-11-22T16:29:43.832Z",
            warnings=[],
            already_live=already_live,
        )
        return Opened(session, result)

    def _open(self, session_id: str) -> FakeSession:
        session = self.live[session_id] = FakeSession(session_id)
        self.closed.discard(session_id)
        session.say(configured(session))
        return session

    def session(self, session_id: str) -> FakeSession:
        if session_id in self.live:
            return self.live[session_id]
        if session_id in self.closed:
            raise SessionClosed("closed")
        raise SessionNotFound("never live here")

    async def close(self, session_id: str, *, discard: bool = False) -> None:
        self.session(session_id)
        await self._enter("close", discard)
        if session_id in self.live:
            self.end(session_id)

    def end(self, session_id: str) -> None:
        """Close a session, as `session/close` or the op `shutdown` does."""
        session = self.session(session_id)
        del self.live[session_id]
        self.closed.add(session_id)
        session.say(ShutdownComplete())
        session.events.close()

    async def close_all(self) -> int:
        await self._enter("close_all")
        for session_id in list(self.live):
            self.end(session_id)
        unsaved, self.unsaved = self.unsaved, 0
        return unsaved

    async def list(self, params: ListParams) -> SessionPage:
        await self._enter("list", params)
        return SessionPage(sessions=[], filtered_out={})

    async def fork(self, params: ForkParams) -> Any:
        await self._enter("fork", params)
        session = self._open(str(uuid.uuid4()))
        opened = described(session, resumed=False)
        return Opened(session, ForkResult(**opened, forked_from="theirs", warnings=[]))

    async def rename(self, params: RenameParams) -> None:
        await self._enter("rename", params)

    async def archive(self, params: SessionIdParams) -> None:
        await self._enter("archive", params)

    async def unarchive(self, params: SessionIdParams) -> None:
        await self._enter("unarchive", params)

    async def delete(self, params: SessionIdParams) -> None:
        await self._enter("delete", params)

    async def export(self, params: ExportParams) -> ExportResult:
        await self._enter("export", params)
        return ExportResult(text="text")

    async def read(self, params: ReadParams) -> ReadPage:
        await self._enter("read", params)
        return ReadPage(items=[])


@define
class Opened:
    session: FakeSession
    result: ConfigureResult


def described(session: FakeSession, *, resumed: bool) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "model": "m",
        "model_provider": "scripted",
        "cwd": "/",
        "approval_policy": "never",
        "sandbox_policy": SandboxPolicy("read-only"),
        "sandbox": "none",
        "rollout_path": "/r.jsonl",
        "history_log_id": 0,
        "history_entry_count": 0,
        "resumed": resumed,
        "item_count": 0,
    }


def configured(session: FakeSession) -> SessionConfigured:
    return SessionConfigured(session.id, "m", 0, 0, "/r.jsonl")


@define(eq=False)
class Client:
    """The peer: speaks one framing, and reads only when the test says so."""

    reader: ByteReader
    writer: ByteWriter
    framing: Framing = Framing.LINES
    exit_code: int | None = None
    ended: anyio.Event = field(factory=anyio.Event)
    _decoder: FrameDecoder = field(factory=FrameDecoder, init=False)
    _messages: list[dict[str, Any]] = field(factory=list, init=False)
    _next_id: int = field(default=0, init=False)
    _reading: bool = field(default=True, init=False)
    _writing: bool = field(default=True, init=False)

    async def raw(self, data: bytes) -> None:
        with fail_after(5):
            await self.writer.write(data)

    async def send(self, *messages: dict[str, Any]) -> None:
        """Write messages in one go."""
        frames = (
            encode(self.framing, json.dumps({"jsonrpc": "2.0", **m}).encode()) for m in messages
        )
        await self.raw(b"".join(frames))

    async def next(self) -> dict[str, Any] | None:
        """The next message; None if the server has closed."""
        with fail_after(5):
            while not self._messages:
                data = await self.reader.read()
                if not data:
                    assert self._decoder.finish() == []
                    return None
                for frame in self._decoder.feed(data):
                    assert not isinstance(frame, FramingFault)
                    self._messages.append(json.loads(frame))
        return self._messages.pop(0)

    async def some(self, count: int) -> list[dict[str, Any]]:
        """The next `count` messages."""
        found = [await self.next() for _ in range(count)]
        assert None not in found
        return [message for message in found if message is not None]

    async def rest(self) -> list[dict[str, Any]]:
        """All messages until the server has closed."""
        found = []
        while (message := await self.next()) is not None:
            found.append(message)
        return found

    async def call(self, method: str, params: Any = None) -> Any:
        """Send a request; its answer must be the next message. The result, or the error."""
        self._next_id += 1
        await self.send(request(self._next_id, method, params))
        answer = await self.next()
        assert answer is not None
        assert answer["id"] == self._next_id, answer
        return answer.get("result", answer.get("error"))

    async def opened(self, method: str = "session/configure", **params: Any) -> str:
        """Open a session; its id, with the answer and `session_configured` read."""
        result = await self.call(method, params or {"cwd": "/"})
        event = await self.next()
        assert event is not None
        assert event["params"]["msg"]["type"] == "session_configured"
        session_id: str = result["sessionId"]
        return session_id

    def hang_up(self) -> None:
        """End the server's input."""
        if self._writing:
            self._writing = False
            self.writer.close()

    def stop_reading(self) -> None:
        """Close the end from which messages are read."""
        if self._reading:
            self._reading = False
            self.reader.close()


def request(id_: Any, method: str, params: Any = None) -> dict[str, Any]:
    message = {"id": id_, "method": method}
    return message if params is None else {**message, "params": params}


def submit(id_: Any, session_id: str, op: dict[str, Any], name: str | None = None) -> Any:
    params = {"sessionId": session_id, "op": op}
    return request(id_, "session/submit", params if name is None else {**params, "id": name})


def user_input(text: str) -> dict[str, Any]:
    return {"type": "user_input", "items": [{"type": "text", "text": text}]}


INTERRUPT = {"type": "interrupt"}


def pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    """The server's descriptors and the client's, each to read and to write."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    return (in_read, out_write), (out_read, in_write)


def sockets() -> tuple[tuple[int, int], tuple[int, int]]:
    """The same, of two socket pairs."""
    (a, b), (c, d) = socket.socketpair(), socket.socketpair()
    return (a.detach(), c.detach()), (d.detach(), b.detach())


@asynccontextmanager
async def connected(
    manager: FakeManager,
    *,
    framing: Framing = Framing.LINES,
    make: Callable[[], tuple[tuple[int, int], tuple[int, int]]] = pipes,
    **options: Any,
) -> AsyncIterator[Client]:
    """A client of a server, which has ended when the block is left."""
    (server_in, server_out), (client_in, client_out) = make()
    reader, writer = reader_for(server_in), writer_for(server_out)
    client = Client(reader_for(client_in), writer_for(client_out), framing)

    async def run() -> None:
        client.exit_code = await serve(
            manager, reader, writer, partial(NativeFront, manager, version="1.2.3"), **options
        )
        reader.close()
        writer.close()
        client.ended.set()

    async with anyio.create_task_group() as tg:
        tg.start_soon(run)
        try:
            yield client
            client.hang_up()
            with fail_after(10):
                await client.ended.wait()
        finally:
            client.hang_up()
            client.stop_reading()

"""A model server that misbehaves: real bytes on real sockets, one fault and then good answers.

    async with FaultServer("trickles", "chat", command=["ls"]) as server:
        server.url, server.posts, server.faults

From the `first` POST on, `times` of them get the fault, all others a good answer; a GET gets a 404.
The good answer calls the shell once, if the request holds no output yet, and then says "done".
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Self

from support.chat import chat_calls, chat_text
from support.conversation import call_events, text_events
from support.model_server import encoded

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = STREAM + b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """`data` as a chunk of HTTP."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class FaultServer:
    """Serves one fault, `times` times. Port 0: any that is free."""

    def __init__(
        self,
        fault: str,
        wire_api: str,
        *,
        command: list[str],
        first: int = 1,
        times: int = 1,
        port: int = 0,
        delay_s: float = 0.0005,
    ) -> None:
        self.faults = 0
        self.posts: list[dict[str, Any]] = []
        """The bodies of the requests."""
        self.port = port
        self._fault: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]] = getattr(
            self, f"_{fault}"
        )
        self._wire_api = wire_api
        self._command = command
        self._first = first
        self._times = times
        self._delay_s = delay_s
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The `base_url` of a provider."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            lengths = [line for line in lines if line.lower().startswith("content-length:")]
            length = int(lengths[0].partition(":")[2]) if lengths else 0
            body = await reader.readexactly(length)
            if lines[0].startswith("GET"):
                writer.write(plain(404, b'{"error": "no"}'))
            else:
                self.posts.append(json.loads(body))
                good = self._good()
                if len(self.posts) >= self._first and self.faults < self._times:
                    self.faults += 1
                    await self._fault(writer, good)
                else:
                    writer.write(CHUNKED + chunk(good) + chunk(b""))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    def _good(self) -> bytes:
        """The whole stream of a good answer to the request that has come last."""
        n = len(self.posts)
        has_output = '"tool"' in json.dumps(self.posts[-1]) or "function_call_output" in json.dumps(
            self.posts[-1]
        )
        is_chat = self._wire_api == "chat"
        if has_output:
            answer = chat_text("done") if is_chat else text_events(n, "done")
        elif is_chat:
            answer = chat_calls((f"call_{n}", self._command))
        else:
            answer = call_events(n, self._command)
        return b"".join(map(encoded, answer["events"]))

    def _without_end(self, good: bytes) -> bytes:
        """What comes before `response.completed`, or up to the reason to finish."""
        events = good.split(b"\n\n")[:-1]
        # Over chat, the usage and `[DONE]` are behind that.
        kept = events[:-2] if self._wire_api == "chat" else events[:-1]
        return b"\n\n".join([*kept, b""])

    # The faults.

    async def _resets(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """The connection is reset in the middle of an event."""
        writer.write(CHUNKED + chunk(good[: len(good) // 3]))
        await writer.drain()
        # Without lingering, closing sends a reset.
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def _closes(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """There is no answer at all."""

    async def _ends_early(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """The stream ends in good order, in the middle of the answer."""
        writer.write(CHUNKED + chunk(good[: len(good) // 3]) + chunk(b""))

    async def _ends_late(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """The call is whole, only the end is missing."""
        writer.write(CHUNKED + chunk(self._without_end(good)) + chunk(b""))

    async def _stalls_late(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """The whole call, and then nothing."""
        writer.write(CHUNKED + chunk(self._without_end(good)))
        await writer.drain()
        await asyncio.sleep(3600)

    async def _stalls(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """Headers, the beginning, and then nothing."""
        writer.write(CHUNKED + chunk(good[:20]))
        await writer.drain()
        await asyncio.sleep(3600)

    async def _stalls_at_once(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """Not even headers."""
        await asyncio.sleep(3600)

    async def _trickles(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """One byte at a time: slow, and no fault at all."""
        writer.write(CHUNKED)
        for n in range(len(good)):
            writer.write(chunk(good[n : n + 1]))
            await writer.drain()
            await asyncio.sleep(self._delay_s)
        writer.write(chunk(b""))

    async def _garbage(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """What comes is no stream of events."""
        writer.write(CHUNKED + chunk(bytes(range(256)) * 16) + chunk(b""))

    async def _garbage_within(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """Events that are none stand between good ones: passed over."""
        junk = b"data: {not json\n\nevent: x\ndata: [1, 2\n\n: a comment\n\ndata: 7\n\n\xff\xfe\n\n"
        writer.write(CHUNKED + chunk(junk + good.replace(b"\n\n", b"\n\n" + junk)) + chunk(b""))

    async def _no_http(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """Another protocol altogether."""
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    async def _says_too_long(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """The length that is announced never comes."""
        part = good[: len(good) // 3]
        writer.write(STREAM + f"Content-Length: {len(good) + 10}\r\n\r\n".encode() + part)

    async def _says_too_short(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """More comes than is announced."""
        length = len(good) // 3
        writer.write(STREAM + f"Content-Length: {length}\r\n\r\n".encode() + good)

    async def _broken_chunks(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """What should be the length of a chunk is none."""
        writer.write(CHUNKED + chunk(good[: len(good) // 3]) + b"zz\r\nxx\r\n")

    async def _wrong_type(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """A page of a portal, say."""
        writer.write(plain(200, b"<html><title>Log in</title></html>", "text/html"))

    async def _json_error(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """An error, with the status of success."""
        body = {"error": {"code": 400, "message": "no such thing", "type": "invalid_request_error"}}
        writer.write(plain(200, json.dumps(body).encode(), "application/json"))

    async def _limit_in_seconds(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        writer.write(
            plain(429, b'{"error": {"message": "slow down"}}', extra="Retry-After: 0.1\r\n")
        )

    async def _limit_until(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        date = format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)
        writer.write(
            plain(429, b'{"error": {"message": "slow down"}}', extra=f"Retry-After: {date}\r\n")
        )

    async def _limit(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        writer.write(plain(429, b'{"error": {"message": "slow down"}}'))

    async def _fails_once(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        writer.write(plain(500, b"oops", "text/plain"))

    async def _redirects(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """To where our key has no business."""
        writer.write(plain(302, b"", extra="Location: http://127.0.0.1:9/v1\r\n"))

    async def _zips(self, writer: asyncio.StreamWriter, good: bytes) -> None:
        """Compressed although nobody asked for that: still readable."""
        data = gzip.compress(good)
        writer.write(
            STREAM
            + f"Content-Encoding: gzip\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data
        )


def plain(status: int, body: bytes, kind: str = "application/json", extra: str = "") -> bytes:
    """A whole answer that is no stream."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}"
    return f"{head}Connection: close\r\n\r\n".encode() + body

"""A scripted model server on loopback: HTTP/1.1, server-sent events, standard library only.

It answers the n-th `POST` to any path with the n-th response of a script:

    {"responses": [
        {"events": [{"type": "response.created", "response": {"id": "resp_1"}}, {"sleep": 0.1}, …]},
        {"status": 429, "headers": {"Retry-After": "1"}, "body": {"error": {"message": "no"}}}
     ],
     "default": {…},
     "get": {"/v1/models": {…}}}

A response is either a stream of `events` or, with a `body` (JSON value or text) or a status
other than 200, one plain answer. Behind the last response comes `default`; without one, a 500.
What is asked of the server itself, a `GET` or anything under `/api/`, is answered with what `get`
has for its path, else with a 404.
Events are objects that are sent as they are, under their `type`, except for these actions:

    {"sleep": seconds}     {"raw": text}        bytes of one's own
    {"end": true}          the stream ends here, formally complete
    {"disconnect": true}   the connection is closed here, without the end of the stream
    {"hold": name}         waits for `release(name)`; the other process never releases, so there
                           it waits until the client goes away

In its own process:

    python tests/support/model_server.py SCRIPT.json --port-file F [--log F]
    python tests/support/model_server.py --deltas 20000 [--per-write 200] --port-file F

The port is written to the port file when the server listens; SIGTERM ends it. The log gets one
JSON line when a request is in, `{"n", "method", "path", "headers", "body"}`, and one when its
answer is over, `{"n", "done", "sent_events", "peer_closed"}`; `peer_closed` says that the client
left before that. `--deltas` answers every request with a text of so many deltas; bodies of
requests are then parsed only for a log.

In a test's own event loop (asyncio):

    async with ModelServer(script) as server:
        server.url, server.requests, server.answers
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

Script = dict[str, Any]
OUT_OF_SCRIPT = {"status": 500, "body": {"error": {"message": "the script is over"}}}


class PeerClosed(Exception):
    """Raised when the client has gone."""


class ModelServer:
    """Serves one script; `requests` and `answers` hold what would be logged."""

    def __init__(
        self,
        script: Script,
        *,
        log: Callable[[dict[str, Any]], None] | None = None,
        parse_bodies: bool = True,
    ) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.gets: list[dict[str, Any]] = []
        """What was asked of the server itself; it neither uses the script nor is a request."""
        self.connections = 0
        """How many connections have been made so far."""
        self.port = 0
        self._log = log or (lambda line: None)
        self._parse_bodies = parse_bodies
        self._started = time.monotonic()
        self._released: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Condition()
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The `base_url` of a provider."""
        return f"http://127.0.0.1:{self.port}/v1"

    def release(self, name: str) -> None:
        """Let `{"hold": name}` go on, now or when it is reached."""
        self._released.setdefault(name, asyncio.Event()).set()

    async def request(self, n: int) -> dict[str, Any]:
        """The n-th request, counted from 1, when it is in."""
        return await self._nth(self.requests, n)

    async def answer(self, n: int) -> dict[str, Any]:
        """How the answer to the n-th request went, when it is over."""
        return await self._nth(self.answers, n)

    async def _nth(self, lines: list[dict[str, Any]], n: int) -> dict[str, Any]:
        def found() -> Iterator[dict[str, Any]]:
            return (line for line in lines if line["n"] == n)

        async with self._changed:
            await self._changed.wait_for(lambda: any(found()))
        return next(found())

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        connection = Connection(reader, writer, parse_bodies=self._parse_bodies)
        try:
            while (request := await connection.read_request()) is not None:
                if not await self._answer(connection, request):
                    break
        except (PeerClosed, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            await connection.close()

    async def _answer(self, connection: Connection, request: dict[str, Any]) -> bool:
        """Answer one request; whether the connection can go on."""
        if request["method"] == "GET" or request["path"].startswith("/api/"):
            # What a client wants to know of the server is no part of the script.
            self.gets.append(request)
            told = self.script.get("get", {}).get(request["path"])
            await connection.send_body(404 if told is None else 200, {}, told or {"error": "no"})
            return True
        n = len(self.requests) + 1
        await self._note(self.requests, {"n": n, "t": self._now(), **request})
        line: dict[str, Any] = {"n": n, "done": False, "sent_events": 0, "peer_closed": False}
        try:
            goes_on = await self._play(connection, self._response(n), line)
            line["done"] = True
            return goes_on
        except (PeerClosed, ConnectionError):
            line["peer_closed"] = True
            raise
        finally:
            line["t"] = self._now()
            await self._note(self.answers, line)

    def _response(self, n: int) -> dict[str, Any]:
        responses = self.script.get("responses", [])
        response: dict[str, Any] = (
            responses[n - 1] if n <= len(responses) else self.script.get("default", OUT_OF_SCRIPT)
        )
        return response

    async def _play(
        self, connection: Connection, response: dict[str, Any], line: dict[str, Any]
    ) -> bool:
        status, headers = response.get("status", 200), response.get("headers", {})
        if "body" in response or status != 200:
            await connection.send_body(status, headers, response.get("body"))
            return True
        await connection.begin_stream(headers)
        if "chunks" in response:
            for chunk in response["chunks"]:
                await connection.send_chunk(chunk)
        for event in response.get("events", ()):
            if "sleep" in event:
                await connection.unless_closed(asyncio.sleep(event["sleep"]))
            elif "hold" in event:
                released = self._released.setdefault(event["hold"], asyncio.Event())
                await connection.unless_closed(released.wait())
            elif "disconnect" in event:
                return False
            elif "end" in event:
                break
            else:
                await connection.send_chunk(encoded(event))
                line["sent_events"] += 1
        await connection.end_stream()
        return True

    async def _note(self, lines: list[dict[str, Any]], line: dict[str, Any]) -> None:
        lines.append(line)
        self._log(line)
        async with self._changed:
            self._changed.notify_all()

    def _now(self) -> float:
        return round(time.monotonic() - self._started, 4)


class Connection:
    """One client's connection, as bytes of HTTP."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, parse_bodies: bool
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._parse_bodies = parse_bodies
        self._early = b""
        """What the client sent while it was being answered."""

    async def read_request(self) -> dict[str, Any] | None:
        """The next request; None when the client closes the connection instead."""
        first = self._early + await self._reader.readline()
        self._early = b""
        if not first:
            return None
        method, path, _ = first.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := (await self._reader.readline()).decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self._parsed(await self._read_body(headers))
        return {"method": method, "path": path, "headers": headers, "body": body}

    def _parsed(self, body: bytes) -> Any:
        if not self._parse_bodies:
            return None
        try:
            return json.loads(body) if body else None
        except ValueError:
            return body.decode(errors="replace")

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", "0")))
        body = b""
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readline()
        while (await self._reader.readline()).strip():
            pass
        return body

    async def send_body(self, status: int, headers: dict[str, str], body: Any) -> None:
        """A plain answer."""
        if body is None:
            body = {"error": {"message": f"scripted {status}", "type": "scripted", "code": None}}
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = "text/plain" if isinstance(body, str) else "application/json"
        headers = {"content-type": kind, **headers, "content-length": str(len(content))}
        await self._send(head(status, headers) + content)

    async def begin_stream(self, headers: dict[str, str]) -> None:
        """The head of a stream of events."""
        headers = {"content-type": "text/event-stream", **headers, "transfer-encoding": "chunked"}
        await self._send(head(200, headers))

    async def send_chunk(self, data: bytes) -> None:
        """A piece of the stream."""
        await self._send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end_stream(self) -> None:
        """The formal end of the stream."""
        await self._send(b"0\r\n\r\n")

    async def _send(self, data: bytes) -> None:
        if self._writer.is_closing() or self._reader.at_eof():
            raise PeerClosed
        self._writer.write(data)
        await self._writer.drain()

    async def unless_closed(self, waiting: Any) -> None:
        """Wait, and raise PeerClosed should the client go away meanwhile."""
        waiter = asyncio.ensure_future(waiting)
        watcher = asyncio.ensure_future(self._reader.read(1))
        try:
            await asyncio.wait({waiter, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if watcher.done():
                self._early += watcher.result()
                if not self._early:
                    raise PeerClosed
                await waiter
        finally:
            waiter.cancel()
            watcher.cancel()
            await asyncio.gather(waiter, watcher, return_exceptions=True)

    async def close(self) -> None:
        """Close, without any further words."""
        self._writer.close()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await self._writer.wait_closed()


def head(status: int, headers: dict[str, str]) -> bytes:
    """A response's head."""
    phrase = HTTPStatus(status).phrase
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {v}" for name, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def encoded(event: dict[str, Any]) -> bytes:
    """An event as the bytes of a stream."""
    if "raw" in event:
        return str(event["raw"]).encode()
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def completed(response_id: str = "resp_1", usage: dict[str, Any] | None = None) -> dict[str, Any]:
    """The event that ends a response."""
    response: dict[str, Any] = {"id": response_id, "output": []}
    if usage is not None:
        response["usage"] = usage
    return {"type": "response.completed", "response": response}


def message_events(text: str, deltas: Iterable[str] = (), item_id: str = "msg_1") -> list[Any]:
    """The events of one message, in `deltas` (by default one)."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"type": "message", "id": item_id, "role": "assistant"}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        *(
            {
                "type": "response.output_text.delta",
                "item_id": item_id,
                "output_index": 0,
                "content_index": 0,
                "delta": delta,
            }
            for delta in (tuple(deltas) or (text,))
        ),
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**item, "content": content},
        },
    ]


def many_deltas(count: int, per_write: int) -> Script:
    """A script that answers everything with one text of `count` deltas."""
    deltas = [f"tok{i} " for i in range(count)]
    events = [
        {"type": "response.created", "response": {"id": "resp_1"}},
        *message_events("".join(deltas), deltas),
        completed(usage={"input_tokens": 1, "output_tokens": count, "total_tokens": count + 1}),
    ]
    data = [encoded(event) for event in events]
    chunks = [b"".join(data[i : i + per_write]) for i in range(0, len(data), per_write)]
    return {"default": {"chunks": chunks}}


async def run(
    script: Script, *, port_file: Path | None, log_file: Path | None, parse_bodies: bool
) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with contextlib.ExitStack() as files:
        log: Callable[[dict[str, Any]], None] | None = None
        if log_file is not None:
            file = files.enter_context(log_file.open("a", encoding="utf-8", buffering=1))

            def log(line: dict[str, Any]) -> None:
                file.write(json.dumps(line) + "\n")

        async with ModelServer(script, log=log, parse_bodies=parse_bodies) as server:
            if port_file is None:
                print(server.port, flush=True)
            else:
                # In one step, so that whoever waits for the file never reads half of it.
                half = port_file.with_suffix(".part")
                half.write_text(str(server.port))
                half.replace(port_file)
            await stopped.wait()


def main(args: list[str]) -> None:
    """The command; see the module's docstring."""
    parser = argparse.ArgumentParser(description="A scripted model server on loopback.")
    parser.add_argument("script", type=Path, nargs="?", help="JSON file")
    parser.add_argument("--deltas", type=int, help="instead of a script: stream so many deltas")
    parser.add_argument("--per-write", type=int, default=200, help="events in one write")
    parser.add_argument("--port-file", type=Path, help="where to write the port; else stdout")
    parser.add_argument("--log", type=Path, help="where to write requests, one JSON a line")
    options = parser.parse_args(args)
    if options.deltas is not None:
        script = many_deltas(options.deltas, options.per_write)
    elif options.script is not None:
        script = json.loads(options.script.read_text(encoding="utf-8"))
    else:
        parser.error("a script or --deltas is needed")
    # A benchmark has no use for the time that parsing a large conversation takes.
    parse_bodies = options.deltas is None or options.log is not None
    asyncio.run(
        run(
            script,
            port_file=options.port_file,
            log_file=options.log,
            parse_bodies=parse_bodies,
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])

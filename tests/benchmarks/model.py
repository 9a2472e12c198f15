"""The model server of the benchmarks: a process of its own that costs as little as it can.

Standard library only, one thread for each connection, answers that were made before they are
asked for. How it answers is said in the path of the request, so that one process serves every
benchmark:

    http://127.0.0.1:PORT/deltas=20000,per_write=200/v1/responses

    deltas      how many the text has
    per_write   how many of them leave with one write
    wait_ms     how long it is silent before the first one
    pause_ms    how long it is silent after each write
    stamps      1: the first delta of each write tells when it was written
    call_every  every so many answers one calls a command first; 0: none does

A stamp is `@<nanoseconds>@` on the clock that `time.monotonic_ns` reads in every process.

    python tests/benchmarks/model.py        prints the port; ends when its standard input does
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from itertools import count

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
NOTHING_HERE = (
    b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
)
END = b"0\r\n\r\n"
STAMP = b"@0000000000000000000@"
"""Where a stamp goes; as long as one."""

RESPONSE_ID = b"resp_00000000"
"""Where the id of the response goes, which is also in those of its items; as long as one."""

CALLED = ["true"]
"""The command that is called."""


class Plan:
    """How to answer, and the answers' parts as bytes."""

    def __init__(self, text: str) -> None:
        said = dict(part.split("=") for part in text.split(",") if part)
        self.deltas = int(said.get("deltas", "1"))
        self.per_write = int(said.get("per_write", "200"))
        self.wait_s = int(said.get("wait_ms", "0")) / 1000
        self.pause_s = int(said.get("pause_ms", "0")) / 1000
        self.stamps = said.get("stamps", "0") == "1"
        self.call_every = int(said.get("call_every", "0"))
        self._answered = count()
        self.begin = _chunk(_begin())
        self.writes = [_chunk(part) for part in self._deltas()]
        self.end = _chunk(_end(text_of(self.deltas), self.deltas)) + END
        self.call = _chunk(_call()) + END

    def calls(self) -> bool:
        """Whether this answer, one more, is a call."""
        return bool(self.call_every) and next(self._answered) % self.call_every == 0

    def _deltas(self) -> Iterator[bytes]:
        for first in range(0, self.deltas, self.per_write):
            numbers = range(first, min(first + self.per_write, self.deltas))
            yield b"".join(
                _delta(f"tok{n} " + (STAMP.decode() if self.stamps and n == first else ""))
                for n in numbers
            )


def text_of(deltas: int) -> str:
    """What the deltas come to, stamps aside."""
    return "".join(f"tok{n} " for n in range(deltas))


def _event(value: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(value["type"]).encode(), json.dumps(value).encode())


def _begin() -> bytes:
    response = RESPONSE_ID.decode()
    item = {"type": "message", "id": f"msg_{response}", "role": "assistant", "content": []}
    return _event({"type": "response.created", "response": {"id": response}}) + _event(
        {"type": "response.output_item.added", "output_index": 0, "item": item}
    )


def _delta(text: str) -> bytes:
    return _event(
        {
            "type": "response.output_text.delta",
            "item_id": f"msg_{RESPONSE_ID.decode()}",
            "output_index": 0,
            "content_index": 0,
            "delta": text,
        }
    )


def _end(text: str, deltas: int) -> bytes:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {
        "type": "message",
        "id": f"msg_{RESPONSE_ID.decode()}",
        "role": "assistant",
        "content": content,
    }
    return _done(item, deltas)


def _call() -> bytes:
    response = RESPONSE_ID.decode()
    item = {
        "type": "function_call",
        "id": f"fc_{response}",
        "call_id": f"call_{response}",
        "name": "shell",
        "arguments": json.dumps({"command": CALLED}),
    }
    return _event({"type": "response.created", "response": {"id": response}}) + _done(item, 1)


def _done(item: dict[str, object], tokens: int) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": tokens, "total_tokens": tokens + 1}
    response = {"id": RESPONSE_ID.decode(), "output": [], "usage": usage}
    return _event({"type": "response.output_item.done", "output_index": 0, "item": item}) + _event(
        {"type": "response.completed", "response": response}
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@cache
def plan_for(text: str) -> Plan:
    """The plan that a path names, made once."""
    return Plan(text)


RESPONSES = count(1)


class Connection:
    """One client's connection."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._read = b""

    def serve(self) -> None:
        """Answer until the client goes away."""
        try:
            with self._peer:
                while (path := self._take_request()) is not None:
                    self._answer(path)
        except OSError:
            # The client has gone, in the middle of something.
            return

    def _take_request(self) -> str | None:
        """The path of the next request, whose body is read and left alone; None: no more."""
        while (end := self._read.find(b"\r\n\r\n")) < 0:
            if not self._more():
                return None
        head, self._read = self._read[: end + 2], self._read[end + 4 :]
        method, path, _ = head.split(b" ", 2)
        lower = head.lower()
        if b"\r\ntransfer-encoding: chunked\r\n" in lower:
            self._take_chunks()
        elif (at := lower.find(b"\r\ncontent-length:")) >= 0:
            self._take(int(lower[at + 17 : lower.index(b"\r\n", at + 2)]))
        return f"{method.decode()} {path.decode()}"

    def _take(self, size: int) -> None:
        size -= len(self._read)
        if size < 0:
            self._read = self._read[size:]
            return
        self._read = b""
        while size > 0:
            data = self._peer.recv(min(size, 1 << 20))
            if not data:
                raise ConnectionResetError
            size -= len(data)

    def _take_chunks(self) -> None:
        # JSON has no line ends of this kind, and nobody sends a request before the last one is
        # answered: so the end is where these bytes are the last.
        tail = self._read
        while not tail.endswith(END):
            data = self._peer.recv(1 << 20)
            if not data:
                raise ConnectionResetError
            tail = (tail + data)[-len(END) :]
        self._read = b""

    def _more(self) -> bool:
        data = self._peer.recv(1 << 16)
        self._read += data
        return bool(data)

    def _answer(self, request: str) -> None:
        method, path = request.split(" ")
        if method != "POST" or not path.endswith("/responses"):
            self._peer.sendall(NOTHING_HERE)
            return
        plan = plan_for(path.split("/")[1])
        response = b"resp_%08d" % next(RESPONSES)
        if plan.calls():
            self._peer.sendall(HEAD + plan.call.replace(RESPONSE_ID, response))
            return
        self._peer.sendall(HEAD + plan.begin.replace(RESPONSE_ID, response))
        if plan.wait_s:
            time.sleep(plan.wait_s)
        for write in plan.writes:
            data = write.replace(RESPONSE_ID, response)
            if plan.stamps:
                data = data.replace(STAMP, b"@%019d@" % time.monotonic_ns())
            self._peer.sendall(data)
            if plan.pause_s:
                time.sleep(plan.pause_s)
        self._peer.sendall(plan.end.replace(RESPONSE_ID, response))


def _accept(listener: socket.socket) -> None:
    while True:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Connection(peer).serve, daemon=True).start()


def main() -> None:
    """Serve until standard input ends, which it does when whoever started us is gone."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    sys.stdin.buffer.read()
    # The threads are stuck in their sockets.
    os._exit(0)


if __name__ == "__main__":
    main()

"""A server on loopback that answers every GET alike, for those who ask which models there are.

In a thread of its own, so that it can be asked by other processes as well as by the test itself.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast


class ModelListServer(ThreadingHTTPServer):
    """Answers with one status and body; `paths` and `headers` are those of what it was asked."""

    def __init__(
        self, body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.answer_headers = {"content-length": str(len(self.body)), **(headers or {})}
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        """With names in lower case."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """The `base_url` of a provider."""
        return f"http://127.0.0.1:{self.port}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = cast("ModelListServer", self.server)
        server.paths.append(self.path)
        server.headers.append({name.lower(): value for name, value in self.headers.items()})
        server.may_answer.wait()
        self.send_response(server.status)
        for name, value in server.answer_headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(server.body)
        except ConnectionError:
            # Whoever asked has given up.
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def models(*names: str, **more: Any) -> dict[str, Any]:
    """The list of these models."""
    entries = [{"id": name, "object": "model", **more} for name in names]
    return {"object": "list", "data": entries}


@contextmanager
def serving(
    body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Iterator[ModelListServer]:
    """A server that answers with `body`, JSON or text, while this lasts."""
    with ModelListServer(body, status=status, headers=headers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join()

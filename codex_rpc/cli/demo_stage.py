"""What the demo plays with: a real server process, and the messages on its pipe on the screen.

Owns the process, the pairing of requests with answers, and how a message looks when it is cut to
a line. Does not know the story.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import anyio
from anyio.abc import Process
from rich.console import Console
from rich.text import Text

from codex_rpc.cli.terminal import Hanging

PATIENCE_S = 20.0
"""How long the server may take for anything."""

LAST_S = 3.0
"""How long a server may take to end before it is killed."""

READING_S = 0.15
"""How long a message stays the newest, so that it can be read."""

MAX_TEXT = 60
"""Longer strings in messages are cut."""

_UUID = re.compile(r"([0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Message = dict[str, Any]


class DemoFailed(Exception):
    """Raised when something that the demo shows did not happen."""


class Stage:
    """The screen: steps of the story, and lines for messages."""

    def __init__(self, *, fast: bool) -> None:
        plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
        if hasattr(sys.stdout, "reconfigure"):
            # A screen without arrows shows something else in their place.
            sys.stdout.reconfigure(errors="replace")
        self.console = Console(
            color_system=None if plain else "auto", highlight=False, markup=False, emoji=False
        )
        self._fast = fast
        self._live = self.console.is_terminal and not self.console.is_dumb_terminal
        self._growing = _Growing()

    async def pause(self, seconds: float) -> None:
        """Give the audience time."""
        if not self._fast:
            await anyio.sleep(seconds)

    async def tell(self, title: str, text: str = "", *, pause_s: float = 0.8) -> None:
        """A step of the story."""
        self.settle()
        self.console.print()
        self.console.print(Text(title, style="bold cyan"))
        if text:
            self.console.print(Text(text, style="dim"))
        await self.pause(pause_s)

    async def remark(self, mark: str, text: str, style: str = "", *, pause_s: float = 0.6) -> None:
        """A line in between, with a mark before it."""
        self.settle()
        self.console.print(Hanging(Text(text, style=style), Text(f"  {mark:<2}", style=style)))
        await self.pause(pause_s)

    def row(self, name: str, text: str, style: str = "") -> None:
        """A line of a list, cut to the width."""
        self.settle()
        self._line(Text.assemble(name, (text, style)))

    def sent(self, method: str, params: Mapping[str, Any]) -> None:
        """A request on its way to the server."""
        self.settle()
        # What says least goes last, where it may be cut.
        ordered = sorted(params.items(), key=lambda item: item[0] == "sessionId")
        self._line(Text.assemble(("→ ", "green"), (method, "bold"), f" {brief(dict(ordered))}"))

    async def received(self, message: Message) -> None:
        """What has come from the server. Pieces of one text grow on one line."""
        if message.get("method") != "session/event":
            self.settle()
            name = "error" if "error" in message else "answer"
            value = message.get("error") or message.get("result")
            self._line(Text.assemble(("← ", "blue"), (name, "bold"), f" {brief(value)}"))
            return await self.pause(READING_S)
        params = message["params"]
        msg = dict(params["msg"])
        kind = msg.pop("type")
        piece = msg.get("delta", msg.get("chunk"))
        if kind.endswith("_delta") and isinstance(piece, str):
            if not self._growing.take((kind, msg.get("item_id")), params["seq"], piece):
                self.settle()
                self._growing.take((kind, msg.get("item_id")), params["seq"], piece)
            return self._show_growing()
        self.settle()
        body = f" {brief(msg)}" if msg else ""
        self._line(
            Text.assemble(("← ", "blue"), (f"#{params['seq']} ", "dim"), (kind, "bold"), body)
        )
        return await self.pause(READING_S)

    def settle(self) -> None:
        """Whatever grew has ended; what comes next is on a new line."""
        if self._growing.count:
            if self._live:
                self.console.print()
            else:
                self._line(self._growing.line(self.console.width - 1))
            self._growing = _Growing()

    def _show_growing(self) -> None:
        if self._live:
            self.console.file.write("\r\x1b[2K")
            self.console.print(self._growing.line(self.console.width - 1), end="", soft_wrap=True)

    def _line(self, line: Text) -> None:
        line.truncate(self.console.width - 1, overflow="ellipsis")
        self.console.print(line, no_wrap=True)


class _Growing:
    """Adjacent deltas of one text, on one line."""

    def __init__(self) -> None:
        self.count = 0
        self._key: object = None
        self._first = 0
        self._text = ""

    def take(self, key: object, seq: int, piece: str) -> bool:
        """Add a piece; False if it belongs to another text."""
        if self.count and key != self._key:
            return False
        self._key, self._first = key, self._first or seq
        self._text += piece
        self.count += 1
        return True

    def line(self, width: int) -> Text:
        """How many there were, and as much of the text's end as there is room for."""
        assert isinstance(self._key, tuple)
        line = Text.assemble(
            ("← ", "blue"), (f"#{self._first} ", "dim"), (self._key[0], "bold"), f" x{self.count} "
        )
        room = max(width - line.cell_len, 8)
        text = json.dumps(self._text, ensure_ascii=False)
        line.append(text if len(text) <= room else f"…{text[1 - room :]}", style="italic")
        return line


def brief(value: Any) -> str:
    """A JSON value with its long strings cut and its ids shortened, as compact JSON."""
    return json.dumps(_brief(value), ensure_ascii=False, separators=(",", ":"))


def _brief(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _brief(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_brief(item) for item in value]
    if isinstance(value, str):
        value = _UUID.sub(r"\1…", value)
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    return value


class Server:
    """One server process, and the client that speaks to it."""

    def __init__(self, process: Process, stage: Stage) -> None:
        self.pid = process.pid
        self.received: list[Message] = []
        """Every message, in order."""
        self._process = process
        self._stage = stage
        self._ids = itertools.count(1)
        self._arrived = anyio.Event()
        self._ended = False

    async def read(self) -> None:
        """Take messages until the server's output ends."""
        assert self._process.stdout is not None
        rest = b""
        async for chunk in self._process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                message = json.loads(line)
                # Seen before it is acted on, as the audience expects.
                await self._stage.received(message)
                self.received.append(message)
                self._wake()
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = anyio.Event()

    async def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a request.

        Raises:
            DemoFailed: it is an error.
        """
        assert self._process.stdin is not None
        request_id = next(self._ids)
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self._stage.sent(method, params)
        try:
            await self._process.stdin.send(json.dumps(message).encode() + b"\n")
        except anyio.BrokenResourceError as exc:
            raise DemoFailed(f"the server ended before {method} could be sent") from exc
        answer = await self.until(lambda: self._answer(request_id), f"the answer to {method}")
        if "error" in answer:
            raise DemoFailed(f"{method} failed: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _answer(self, request_id: int) -> Message | None:
        found = (m for m in self.received if m.get("id") == request_id and "method" not in m)
        return next(found, None)

    async def event(self, *kinds: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th event of one of the kinds."""

        def nth() -> dict[str, Any] | None:
            return next(itertools.islice(self.events(*kinds), count - 1, None), None)

        msg: dict[str, Any] = await self.until(nth, " or ".join(kinds))
        return msg

    def events(self, *kinds: str) -> Iterator[dict[str, Any]]:
        """The bodies of the events of these kinds so far."""
        for message in self.received:
            if message.get("method") == "session/event":
                msg = message["params"]["msg"]
                if msg["type"] in kinds:
                    yield msg

    async def until(self, found: Callable[[], Any], what: str) -> Any:
        """What `found` gives when it gives something.

        Raises:
            DemoFailed: it never does.
        """
        with anyio.move_on_after(PATIENCE_S):
            while not (value := found()):
                if self._ended:
                    raise DemoFailed(f"the server ended while the demo was waiting for {what}")
                await self._arrived.wait()
            return value
        raise DemoFailed(f"the server did not send {what} within {PATIENCE_S:.0f} s")

    async def kill(self) -> None:
        """End it at once, as a crash would, and take what it had written."""
        self._process.kill()
        await self._process.wait()
        with anyio.move_on_after(PATIENCE_S):
            while not self._ended:
                await self._arrived.wait()

    async def close(self) -> int | None:
        """End its input, which ends it; the exit code, or None if it does not end."""
        assert self._process.stdin is not None
        await self._process.stdin.aclose()
        with anyio.move_on_after(PATIENCE_S):
            return await self._process.wait()
        return None


@asynccontextmanager
async def running_server(
    stage: Stage, *, cwd: Path, codex_home: Path, log: IO[bytes]
) -> AsyncIterator[Server]:
    """A server; dead, whatever happens, when the context is left."""
    # In a session of its own, so that Ctrl-C reaches the demo alone and the demo ends it.
    process = await anyio.open_process(
        [sys.executable, "-m", "codex_rpc"],
        cwd=cwd,
        env={**os.environ, "CODEX_HOME": str(codex_home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=sys.platform != "win32",
    )
    server = Server(process, stage)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.read)
            yield server
            tasks.cancel_scope.cancel()
    finally:
        # Closing it lets the server end its commands and itself, and kills it if it does not.
        with anyio.move_on_after(LAST_S, shield=True):
            await process.aclose()

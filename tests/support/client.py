"""A JSON-RPC client of the real process, over the pipes of the installed `codex-rpc`."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

SCRIPT = shutil.which("codex-rpc", path=str(Path(sys.executable).parent))
"""The installed console script of the environment that runs the tests."""

COMMAND: Sequence[str] = [SCRIPT] if SCRIPT else [sys.executable, "-m", "codex_rpc"]

CLOSINGS = ("task_complete", "turn_aborted", "error")


class RpcError(Exception):
    """An error answer."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.data: Any = error.get("data")


class Client:
    """One server process and its pipes. All waits are bounded by `timeout_s`."""

    def __init__(self, process: anyio.abc.Process, *, timeout_s: float = 10) -> None:
        self.process = process
        self.timeout_s = timeout_s
        self.received: list[dict[str, Any]] = []
        """Every message, in order."""
        self._ids = itertools.count(1)
        self._arrived = anyio.Event()
        self._ended = False
        self._may_read = anyio.Event()
        self._may_read.set()

    async def pump(self) -> None:
        """Read messages until the server's stdout ends."""
        assert self.process.stdout is not None
        rest = b""
        async for chunk in self.process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            self.received.extend(json.loads(line) for line in lines if line.strip())
            self._wake()
            await self._may_read.wait()
        self._ended = True
        self._wake()

    def pause(self) -> anyio.Event:
        """Read nothing more, but for one piece, until the event is set."""
        self._may_read = anyio.Event()
        return self._may_read

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = anyio.Event()

    async def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], *, start: int = 0
    ) -> tuple[int, dict[str, Any]]:
        """The first message from `start` on that is wanted, and its index."""
        with anyio.fail_after(self.timeout_s):
            while True:
                for index in range(start, len(self.received)):
                    if wanted(self.received[index]):
                        return index, self.received[index]
                start = len(self.received)
                if self._ended:
                    raise EOFError(f"the server ended; last messages: {self.received[-5:]}")
                await self._arrived.wait()

    async def send(self, message: Any) -> None:
        """Write one message as a line."""
        await self.send_raw(json.dumps(message).encode() + b"\n")

    async def send_raw(self, data: bytes) -> None:
        """Write bytes."""
        assert self.process.stdin is not None
        await self.process.stdin.send(data)

    async def request(self, method: str, params: Any = None) -> Any:
        """The result of a request; raises RpcError."""
        request_id = next(self._ids)
        start = len(self.received)
        message = {"jsonrpc": "2.0", "id": request_id, "method": method}
        await self.send(message if params is None else {**message, "params": params})
        _, answer = await self.wait_for(
            lambda m: m.get("id") == request_id and "method" not in m, start=start
        )
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    async def submit(self, session_id: str, op: Mapping[str, Any], id: str | None = None) -> str:  # noqa: A002
        """Submit an op; its id."""
        params: dict[str, Any] = {"sessionId": session_id, "op": op}
        if id is not None:
            params["id"] = id
        return (await self.request("session/submit", params))["id"]

    async def say(self, session_id: str, text: str, id: str | None = None) -> str:  # noqa: A002
        """Submit a user's text."""
        op = {"type": "user_input", "items": [{"type": "text", "text": text}]}
        return await self.submit(session_id, op, id)

    def events(self, *, start: int = 0) -> list[dict[str, Any]]:
        """The params of the `session/event`s so far."""
        return [m["params"] for m in self.received[start:] if m.get("method") == "session/event"]

    async def wait_event(self, *types: str, start: int = 0, **members: Any) -> tuple[int, Any]:
        """The next event of one of the types, with these members of `msg`, and its index."""

        def wanted(message: dict[str, Any]) -> bool:
            if message.get("method") != "session/event":
                return False
            msg = message["params"]["msg"]
            return msg["type"] in types and all(msg.get(k) == v for k, v in members.items())

        index, message = await self.wait_for(wanted, start=start)
        return index, message["params"]

    async def turn(self, session_id: str, text: str) -> list[dict[str, Any]]:
        """Say `text` and return the events of its turn, up to the closing."""
        start = len(self.received)
        submission = await self.say(session_id, text)

        def closes(message: dict[str, Any]) -> bool:
            params = message.get("params", {})
            return params.get("id") == submission and params["msg"]["type"] in CLOSINGS

        index, _ = await self.wait_for(closes, start=start)
        messages = self.received[start : index + 1]
        return [m["params"] for m in messages if m.get("method") == "session/event"]

    async def wait_for_end(self) -> None:
        """Wait until the server is dead and everything that it wrote has been read."""
        with anyio.fail_after(self.timeout_s):
            while not self._ended:
                await self._arrived.wait()
            await self.process.wait()

    async def close_stdin(self) -> int:
        """End the server's input; its exit code."""
        assert self.process.stdin is not None
        await self.process.stdin.aclose()
        with anyio.fail_after(self.timeout_s):
            return await self.process.wait()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send_signal(signal.SIGKILL)


def environment(home: Path, **more: str) -> dict[str, str]:
    """A minimal environment with its own CODEX_HOME."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TMPDIR")}
    return {**kept, "HOME": str(home), "CODEX_HOME": str(home / ".codex"), **more}


@asynccontextmanager
async def running(
    home: Path,
    *arguments: str,
    command: Sequence[str] = COMMAND,
    stderr: Any = None,
    timeout_s: float = 10,
    **more: str,
) -> AsyncIterator[Client]:
    """A server with `home` as its HOME and `home/.codex` as its CODEX_HOME."""
    (home / ".codex").mkdir(exist_ok=True, parents=True)
    process = await anyio.open_process(
        [*command, *arguments], env=environment(home, **more), stderr=stderr
    )
    async with process, anyio.create_task_group() as tg:
        client = Client(process, timeout_s=timeout_s)
        tg.start_soon(client.pump)
        try:
            yield client
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    client.kill()
                    await process.wait()
            tg.cancel_scope.cancel()

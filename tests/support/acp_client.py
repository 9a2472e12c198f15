"""A client of `codex-rpc acp`, over the real process's pipes; every frame meets the schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from support.acp_schema import Conversation
from support.client import COMMAND, Client, environment

Answer = Callable[[str, dict[str, Any]], Any]
"""From the method and the parameters of a request of the agent to the result; None: no answer."""

SELECT = {"outcome": "selected"}


def allowing(*options: str) -> Answer:
    """Answers each question with the next of `options`, the last one again and again."""
    left = list(options)

    def answer(method: str, params: dict[str, Any]) -> Any:
        assert method == "session/request_permission"
        option = left.pop(0) if len(left) > 1 else left[0]
        if option == "cancelled":
            return {"outcome": {"outcome": "cancelled"}}
        assert option in [o["optionId"] for o in params["options"]]
        return {"outcome": {"outcome": "selected", "optionId": option}}

    return answer


def silent(_method: str, _params: dict[str, Any]) -> Any:
    """Answers nothing."""
    return None


class AcpClient(Client):
    """One agent process and its pipes."""

    answer: Answer = staticmethod(silent)

    def __init__(self, process: anyio.abc.Process, *, timeout_s: float = 10) -> None:
        super().__init__(process, timeout_s=timeout_s)
        self.frames = Conversation()
        self.checked = 0

    async def take(self) -> None:
        """Check what arrives, and answer the agent's questions."""
        while True:
            while self.checked < len(self.received):
                frame = self.received[self.checked]
                self.checked += 1
                self.frames.from_agent(frame)
                if "method" in frame and "id" in frame:
                    result = self.answer(frame["method"], frame["params"])
                    if result is not None:
                        await self.send({"jsonrpc": "2.0", "id": frame["id"], "result": result})
            await self._arrived.wait()

    async def send(self, message: Any) -> None:
        """Write one message as a line."""
        self.frames.from_client(message)
        await super().send(message)

    async def notify(self, method: str, params: Any) -> None:
        """Tell the agent something."""
        await self.send({"jsonrpc": "2.0", "method": method, "params": params})

    async def start(self, method: str, params: Any) -> int:
        """Ask, without waiting for the answer; the request's id."""
        id_ = next(self._ids)
        await self.send({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})
        return id_

    async def answer_to(self, id_: int) -> dict[str, Any]:
        """The whole answer to a request."""
        _, answer = await self.wait_for(lambda m: m.get("id") == id_ and "method" not in m)
        return answer

    async def initialize(self, **capabilities: Any) -> dict[str, Any]:
        """The answer to `initialize`."""
        params = {
            "protocolVersion": 1,
            "clientCapabilities": capabilities,
            "clientInfo": {"name": "tests", "version": "1"},
        }
        result: dict[str, Any] = await self.request("initialize", params)
        return result

    async def new(self, cwd: Path, **members: Any) -> str:
        """Open a session; its id."""
        params = {"cwd": str(cwd), "mcpServers": [], **members}
        return str((await self.request("session/new", params))["sessionId"])

    async def load(self, session_id: str, cwd: Path) -> list[dict[str, Any]]:
        """Load a session; the updates before the answer."""
        start = len(self.received)
        params = {"sessionId": session_id, "cwd": str(cwd), "mcpServers": []}
        id_ = await self.start("session/load", params)
        index, answer = await self.wait_for(
            lambda m: m.get("id") == id_ and "method" not in m, start=start
        )
        assert "result" in answer, answer
        return updates_in(self.received[start:index], session_id)

    async def prompt(self, session_id: str, *blocks: str | dict[str, Any]) -> Turn:
        """Say something, and wait for the end of the turn."""
        start = len(self.received)
        id_ = await self.start("session/prompt", prompt_of(session_id, *blocks))
        index, answer = await self.wait_for(
            lambda m: m.get("id") == id_ and "method" not in m, start=start
        )
        return Turn(answer, updates_in(self.received[start:index], session_id))

    def updates(self, session_id: str) -> list[dict[str, Any]]:
        """All updates of a session so far."""
        return updates_in(self.received, session_id)

    async def wait_update(
        self, kind: str, *, start: int = 0, **members: Any
    ) -> tuple[int, dict[str, Any]]:
        """The next update of that kind with these members, and its index."""

        def wanted(message: dict[str, Any]) -> bool:
            if message.get("method") != "session/update":
                return False
            update = message["params"]["update"]
            return update["sessionUpdate"] == kind and all(
                update.get(k) == v for k, v in members.items()
            )

        index, message = await self.wait_for(wanted, start=start)
        return index, message["params"]["update"]


class Turn:
    """What became of a prompt."""

    def __init__(self, answer: dict[str, Any], updates: list[dict[str, Any]]) -> None:
        self.answer = answer
        self.updates = updates

    @property
    def stop_reason(self) -> str:
        """As the answer says."""
        reason: str = self.answer["result"]["stopReason"]
        return reason

    @property
    def text(self) -> str:
        """What the agent said."""
        return text_in(self.updates, "agent_message_chunk")

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The updates of a kind."""
        return [u for u in self.updates if u["sessionUpdate"] == kind]


def prompt_of(session_id: str, *blocks: str | dict[str, Any]) -> dict[str, Any]:
    """Parameters of `session/prompt`."""
    prompt = [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]
    return {"sessionId": session_id, "prompt": prompt}


def updates_in(messages: Sequence[dict[str, Any]], session_id: str) -> list[dict[str, Any]]:
    """The updates of a session among `messages`."""
    return [
        m["params"]["update"]
        for m in messages
        if m.get("method") == "session/update" and m["params"]["sessionId"] == session_id
    ]


def text_in(updates: Sequence[dict[str, Any]], kind: str) -> str:
    """The text of all chunks of a kind."""
    return "".join(u["content"].get("text", "") for u in updates if u["sessionUpdate"] == kind)


BESIDE = frozenset(
    (
        "user_message_chunk",
        "usage_update",
        "session_info_update",
        "available_commands_update",
        "current_mode_update",
        "config_option_update",
        "notice",
    )
)
"""Updates that are not part of what a load repeats, or that the client knows by itself."""


def conversation(updates: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a loaded session has to repeat: chunks of one message joined, calls as they began and
    as they ended, the output of a terminal joined."""
    kept: list[dict[str, Any]] = []
    terminals: dict[str, dict[str, Any]] = {}
    for update in updates:
        kind = update["sessionUpdate"]
        if kind in BESIDE:
            continue
        last = kept[-1] if kept else {}
        if kind.endswith("_chunk") and last.get("messageId") == update["messageId"]:
            text = last["content"]["text"] + update["content"]["text"]
            kept[-1] = {**last, "content": {**last["content"], "text": text}}
        elif kind == "tool_call_update" and "status" not in update:
            output = update.get("_meta", {}).get("terminal_output")
            if output is not None and update["toolCallId"] in terminals:
                terminals[update["toolCallId"]]["data"] += output["data"]
            elif output is not None:
                terminals[update["toolCallId"]] = output = dict(output)
                kept.append({**update, "_meta": {"terminal_output": output}})
        elif kind != "tool_call_update" or update["status"] != "in_progress":
            kept.append(update)
    return kept


@asynccontextmanager
async def agent(
    home: Path, *arguments: str, timeout_s: float = 10, stderr: Any = None, **more: str
) -> AsyncIterator[AcpClient]:
    """`codex-rpc acp` with `home` as its HOME and `home/.codex` as its CODEX_HOME."""
    (home / ".codex").mkdir(exist_ok=True, parents=True)
    process = await anyio.open_process(
        [*COMMAND, *arguments, "acp"], env=environment(home, **more), stderr=stderr
    )
    async with process, anyio.create_task_group() as tg:
        client = AcpClient(process, timeout_s=timeout_s)
        tg.start_soon(client.pump)
        tg.start_soon(client.take)
        try:
            yield client
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    client.kill()
                    await process.wait()
            tg.cancel_scope.cancel()

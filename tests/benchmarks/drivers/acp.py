"""The Agent Client Protocol, version 1."""

from __future__ import annotations

from typing import Any

import orjson

from .base import Answer, Driver, Listed, Saved


class AcpDriver(Driver):
    """`codex-acp`, whose binary speaks nothing else."""

    delta_mark = b'"sessionUpdate":"agent_message_chunk"'
    end_mark = b'"stopReason":'

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._prompts: dict[int, str] = {}
        """The session of each prompt's request."""
        self.version = ""
        """What the program says of itself."""

    def greet(self) -> None:
        files = {"readTextFile": False, "writeTextFile": False}
        capabilities = {"fs": files, "terminal": False}
        hello = {"protocolVersion": 1, "clientCapabilities": capabilities}
        answer = self.request("initialize", hello)
        self.version = answer.result.get("agentInfo", {}).get("version", "")

    def open(self) -> str:
        answer = self.request("session/new", {"cwd": str(self.cwd), "mcpServers": []})
        session: str = answer.result["sessionId"]
        return session

    def say(self, session: str, text: str = "go") -> None:
        self._requests += 1
        self._prompts[self._requests] = session
        params = {"sessionId": session, "prompt": [{"type": "text", "text": text}]}
        message = {"jsonrpc": "2.0", "id": self._requests, "method": "session/prompt"}
        self.send({**message, "params": params})

    def interrupt(self, session: str) -> None:
        params = {"sessionId": session}
        self.send({"jsonrpc": "2.0", "method": "session/cancel", "params": params})

    def close(self, session: str) -> None:
        self.request("session/close", {"sessionId": session})

    def delta_of(self, line: bytes) -> tuple[str, str]:
        params = orjson.loads(line)["params"]
        return params["sessionId"], params["update"]["content"]["text"]

    def ended_session(self, line: bytes) -> str:
        return self._prompts[orjson.loads(line)["id"]]

    def resume(self, saved: Saved) -> Answer:
        return self._continue("session/resume", saved)

    def replay(self, saved: Saved) -> Answer:
        return self._continue("session/load", saved)

    def _continue(self, method: str, saved: Saved) -> Answer:
        params = {"sessionId": saved.session_id, "cwd": str(self.cwd), "mcpServers": []}
        return self.request(method, params)

    def page(self, cursor: str | None = None, limit: int | None = None) -> Listed:
        answer = self.request("session/list", {} if cursor is None else {"cursor": cursor})
        result = answer.result
        return Listed(len(result["sessions"]), result.get("nextCursor"), answer.seconds)

"""`codex app-server`, today's protocol of the Codex CLI."""

from __future__ import annotations

from typing import Any

import orjson

from .base import Answer, Driver, Listed, Saved


class AppServerDriver(Driver):
    """Threads are its sessions."""

    arguments = ("app-server",)
    delta_mark = b'"method":"item/agentMessage/delta"'
    end_mark = b'"method":"turn/completed"'
    failure_marks = (b'"error":{', b'"method":"error"')

    def greet(self) -> None:
        client = {"name": "benchmark", "title": None, "version": "0"}
        capabilities = {"experimentalApi": True}
        self.request("initialize", {"clientInfo": client, "capabilities": capabilities})
        self.send({"method": "initialized"})

    def open(self) -> str:
        answer = self.request("thread/start", {"cwd": str(self.cwd)})
        session: str = answer.result["thread"]["id"]
        return session

    def say(self, session: str, text: str = "go") -> None:
        self._requests += 1
        params = {"threadId": session, "input": [{"type": "text", "text": text}]}
        self.send({"id": self._requests, "method": "turn/start", "params": params})

    def delta_of(self, line: bytes) -> tuple[str, str]:
        params = orjson.loads(line)["params"]
        return params["threadId"], params["delta"]

    def ended_session(self, line: bytes) -> str:
        session: str = orjson.loads(line)["params"]["threadId"]
        return session

    def resume(self, saved: Saved) -> Answer:
        return self.request("thread/resume", {"threadId": saved.session_id, "excludeTurns": True})

    def replay(self, saved: Saved) -> Answer:
        return self.request("thread/resume", {"threadId": saved.session_id})

    def page(self, cursor: str | None = None, limit: int | None = None) -> Listed:
        params: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        if limit is not None:
            params["limit"] = min(limit, 100)
        answer = self.request("thread/list", params)
        result = answer.result
        return Listed(len(result["data"]), result.get("nextCursor"), answer.seconds)

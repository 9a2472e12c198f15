"""Our own protocol: see codex_rpc/protocol/PROTOCOL.md."""

from __future__ import annotations

from typing import Any

import orjson

from .base import Answer, Driver, Listed, Saved


class NativeDriver(Driver):
    """`codex-rpc`."""

    delta_mark = b'"type":"agent_message_delta"'
    end_mark = b'"type":"task_complete"'
    failure_marks = (b'"error":{', b'"type":"error"', b'"type":"turn_aborted"')

    def greet(self) -> None:
        self.request("initialize", {})

    def open(self) -> str:
        answer = self.request("session/configure", {"cwd": str(self.cwd)})
        session: str = answer.result["sessionId"]
        return session

    def say(self, session: str, text: str = "go") -> None:
        op = {"type": "user_input", "items": [{"type": "text", "text": text}]}
        self._submit(session, op)

    def interrupt(self, session: str) -> None:
        self._submit(session, {"type": "interrupt"})

    def close(self, session: str) -> None:
        self.request("session/close", {"sessionId": session})

    def _submit(self, session: str, op: dict[str, Any]) -> None:
        self._requests += 1
        params = {"sessionId": session, "op": op}
        message = {"jsonrpc": "2.0", "id": self._requests, "method": "session/submit"}
        self.send({**message, "params": params})

    def delta_of(self, line: bytes) -> tuple[str, str]:
        params = orjson.loads(line)["params"]
        return params["sessionId"], params["msg"]["delta"]

    def ended_session(self, line: bytes) -> str:
        session: str = orjson.loads(line)["params"]["sessionId"]
        return session

    def resume(self, saved: Saved) -> Answer:
        return self.request("session/resume", {"sessionId": saved.session_id})

    def page(self, cursor: str | None = None, limit: int | None = None) -> Listed:
        params: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        if limit is not None:
            params["limit"] = limit
        answer = self.request("session/list", params)
        result = answer.result
        return Listed(len(result["sessions"]), result.get("nextCursor"), answer.seconds)

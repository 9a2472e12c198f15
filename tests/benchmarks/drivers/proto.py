"""`codex proto`, the line protocol of 2025: one session, made by the process itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from ..child import SECOND_NS, ProgramFailed
from .base import PATIENCE_S, Driver, Resumed, Saved

CONFIGURED = b'"type":"session_configured"'


class ProtoDriver(Driver):
    """Version 0.20."""

    arguments = ("proto",)
    delta_mark = b'"type":"agent_message_delta"'
    end_mark = b'"type":"task_complete"'
    failure_marks = (b'"type":"error"', b'"type":"background_event"')
    many_sessions = False

    def __init__(self, command: Sequence[str], home: Path, cwd: Path, *more: str) -> None:
        super().__init__(command, home, cwd, "-c", f'cwd="{cwd}"', *more)
        self._session = ""

    def greet(self) -> None:
        line = self.child.take_until(lambda line: CONFIGURED in line, PATIENCE_S)[-1][1]
        self._session = orjson.loads(line)["msg"]["session_id"]

    def open(self) -> str:
        return self._session

    def say(self, session: str, text: str = "go") -> None:
        self._requests += 1
        op = {"type": "user_input", "items": [{"type": "text", "text": text}]}
        self.send({"id": str(self._requests), "op": op})

    def delta_of(self, line: bytes) -> tuple[str, str]:
        return self._session, orjson.loads(line)["msg"]["delta"]

    def ended_session(self, line: bytes) -> str:
        return self._session

    @classmethod
    def resumed(cls, command: Sequence[str], home: Path, cwd: Path, saved: Saved) -> Resumed:
        """As for the others, except that the process's start is part of it."""
        driver = cls(command, home, cwd, "-c", f'experimental_resume="{saved.path}"')
        began_ns = driver.child.began_ns
        try:
            line = driver.child.take_until(lambda line: CONFIGURED in line, PATIENCE_S)[-1]
            driver._session = orjson.loads(line[1])["msg"]["session_id"]
            if driver._session != saved.session_id:
                raise ProgramFailed("it began a new session instead")
        except BaseException:
            driver.child.kill()
            raise
        return Resumed(driver, (line[0] - began_ns) / SECOND_NS)

    def end(self) -> None:
        # It does not end by itself when its input does.
        self.child.kill()

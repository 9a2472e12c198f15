"""The shape of a driver: one process, its start, sessions, turns, resuming and listing.

Owns what all protocols have in common: lines of JSON, requests with ids, and telling by a few
bytes of a line whether it ends a turn, so that nothing is decoded while a clock runs.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson
from attrs import frozen

from ..child import SECOND_NS, Child, Line, ProgramFailed, environment

PATIENCE_S = 300.0
"""How long an answer may take."""

STAMP = re.compile(rb"@(\d{19})@")


class Unable(Exception):
    """Raised for what a program has not; says what."""


@frozen
class Saved:
    """A session on disk."""

    session_id: str
    path: Path
    items: int


@frozen
class Answer:
    """What a request brought, and how long it took to arrive whole."""

    result: Any
    seconds: float
    lines: Sequence[Line] = ()
    """All that came up to it."""


@frozen
class Listed:
    """A page of a list."""

    count: int
    next_cursor: str | None
    seconds: float


@frozen
class Turn:
    """What came of an input, from its being sent to the line that says that all is done."""

    asked_ns: int
    lines: Sequence[Line]

    @property
    def seconds(self) -> float:
        """From the input to the end."""
        return (self.lines[-1][0] - self.asked_ns) / SECOND_NS


@frozen
class Delta:
    """A piece of a text, as a client got it."""

    read_ns: int
    session: str
    text: str


class Driver(ABC):
    """A running program; made by starting it."""

    arguments: ClassVar[Sequence[str]] = ()
    """What stands behind the program's path."""
    delta_mark: ClassVar[bytes]
    """In each line that has a piece of text, and in no other."""
    end_mark: ClassVar[bytes]
    """In each line that ends a turn, and in no other."""
    failure_marks: ClassVar[Sequence[bytes]] = (b'"error":{',)
    """In each line that says that something went wrong."""
    many_sessions = True
    """Whether one process has several of them at once."""

    def __init__(self, command: Sequence[str], home: Path, cwd: Path, *more: str) -> None:
        self.home, self.cwd = home, cwd
        self.child = Child([*command, *self.arguments, *more], env=environment(home), cwd=cwd)
        self._requests = 0

    # What each protocol does in its own way.

    @abstractmethod
    def greet(self) -> None:
        """Return when the program has said its first words."""

    @abstractmethod
    def open(self) -> str:
        """A new session's id, when it is ready for an input."""

    @abstractmethod
    def say(self, session: str, text: str = "go") -> None:
        """Hand in an input, and do not wait."""

    @abstractmethod
    def delta_of(self, line: bytes) -> tuple[str, str]:
        """The session and the text of a line that has the mark of a delta."""

    @abstractmethod
    def ended_session(self, line: bytes) -> str:
        """The session whose turn a line with the mark of an end ends."""

    def interrupt(self, session: str) -> None:
        """Stop the session's turn, and do not wait."""
        raise Unable("is not interrupted here")

    def close(self, session: str) -> None:
        """Let go of a session; it stays on disk."""
        raise Unable("does not close sessions")

    def resume(self, saved: Saved) -> Answer:
        """Continue a saved session without having it told anew."""
        raise Unable("does not resume without telling all")

    def replay(self, saved: Saved) -> Answer:
        """Continue a saved session and have all of it told."""
        raise Unable("does not tell what was said before")

    def page(self, cursor: str | None = None, limit: int | None = None) -> Listed:
        """A page of the saved sessions; `limit` where the program knows of such a thing."""
        raise Unable("has no list of sessions")

    @classmethod
    def resumed(cls, command: Sequence[str], home: Path, cwd: Path, saved: Saved) -> Resumed:
        """A process that has resumed `saved`, and how long that took once it was there."""
        driver = cls(command, home, cwd)
        try:
            driver.greet()
            answer = driver.resume(saved)
        except BaseException:
            driver.child.kill()
            raise
        return Resumed(driver, answer.seconds)

    # What they share.

    def send(self, message: dict[str, Any]) -> None:
        """Write one message."""
        self.child.write(orjson.dumps(message) + b"\n")

    def request(self, method: str, params: dict[str, Any]) -> Answer:
        """The result of a request.

        Raises:
            ProgramFailed: the answer is an error, or does not come.
        """
        self._requests += 1
        number = self._requests
        asked = time.monotonic_ns()
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        marks = (b'"id":%d,' % number, b'"id":%d}' % number)

        def answers(line: bytes) -> bool:
            # An answer's id is near one of its ends.
            ends = line[:60] + line[-60:]
            return b'"method":' not in line[:200] and any(mark in ends for mark in marks)

        lines = self.child.take_until(answers, PATIENCE_S)
        seconds = (lines[-1][0] - asked) / SECOND_NS
        message = orjson.loads(lines[-1][1])
        if "error" in message:
            raise ProgramFailed(f"{method}: {message['error']}")
        return Answer(message["result"], seconds, lines)

    def turn(self, session: str, text: str = "go", *, timeout_s: float = PATIENCE_S) -> Turn:
        """Say something and wait for the turn's end.

        Raises:
            ProgramFailed: the turn fails, or does not end.
        """
        asked = time.monotonic_ns()
        self.say(session, text)
        lines = self.child.take_until(self.ends_or_fails, timeout_s)
        if self.end_mark not in lines[-1][1]:
            raise ProgramFailed(f"a turn failed: {lines[-1][1][:2000]!r}")
        return Turn(asked, lines)

    def ends_or_fails(self, line: bytes) -> bool:
        """Whether the line ends a turn, well or not."""
        if self.end_mark in line:
            return True
        return self.delta_mark not in line and any(mark in line for mark in self.failure_marks)

    def deltas(self, lines: Iterable[Line]) -> list[Delta]:
        """The pieces of text in `lines`, in order."""
        return [
            Delta(read_ns, *self.delta_of(line))
            for read_ns, line in lines
            if self.delta_mark in line
        ]

    def texts(self, lines: Iterable[Line]) -> dict[str, str]:
        """The text that each session's deltas in `lines` come to, without stamps."""
        pieces: dict[str, list[str]] = defaultdict(list)
        for delta in self.deltas(lines):
            pieces[delta.session].append(delta.text)
        return {
            session: STAMP.sub(b"", "".join(texts).encode()).decode()
            for session, texts in pieces.items()
        }

    def delays_s(self, lines: Iterable[Line]) -> list[float]:
        """How long after its being written by the model each stamped delta was read."""
        return [
            (read_ns - int(written_ns)) / SECOND_NS
            for read_ns, line in lines
            for written_ns in STAMP.findall(line)
        ]

    def end(self) -> None:
        """Let the program end."""
        self.child.end(patience_s=0.5)


@frozen
class Resumed:
    """A process that goes on with a saved session."""

    driver: Driver
    seconds: float
    """What the resuming took."""

"""Which part of a command's output is worth a screen: its beginning at once, its end at the end.

Knows text only; how it looks is the view's.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from codex_rpc.cli.terminal import unstyled
from codex_rpc.protocol.frozen import frozen

MAX_LINE = 4096
"""How many characters of a line that has not ended are kept; no screen shows more."""

MAX_TAIL = 4096
"""How many characters of a stream's last output are remembered, to recognise it."""


@frozen
class Rest:
    """What is shown when the command has ended."""

    hidden: int
    """How many lines are not shown, before `lines`."""
    lines: list[str]


@define
class OutputWindow:
    """The output of one command as it comes in."""

    head: int
    """How many lines are shown as they come."""
    tail: int
    """How many more are shown at the end, if there are more."""
    _shown: int = field(default=0, init=False)
    _count: int = field(default=0, init=False)
    _last: deque[str] = field(init=False)
    _unfinished: dict[str, str] = field(factory=dict, init=False)
    _recent: dict[str, str] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._last = deque(maxlen=self.tail)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come in."""
        return not self._recent

    def feed(self, stream: str, chunk: str) -> list[str]:
        """Take a piece of a stream; the lines that are to be shown now."""
        self._recent[stream] = (self._recent.get(stream, "") + chunk)[-MAX_TAIL:]
        *lines, rest = (self._unfinished.pop(stream, "") + chunk).split("\n")
        if rest:
            # Of a line that is written over, the end counts; of any other, the beginning.
            self._unfinished[stream] = rest[-MAX_LINE:] if "\r" in rest else rest[:MAX_LINE]
        return self._take(lines)

    def finish(self) -> tuple[list[str], Rest]:
        """The output has ended: lines that still belong to the beginning, and the rest."""
        now = self._take(list(self._unfinished.values()))
        self._unfinished.clear()
        return now, Rest(self._count - self._shown - len(self._last), list(self._last))

    def beyond(self, stream: str, told: str) -> str:
        """What `told`, the stream as it was reported at the end, says after what came in."""
        lines = self._recent.get(stream, "").strip("\n").rsplit("\n", 1)
        last = lines[-1]
        if not last:
            return told.strip("\n")
        _, found, after = told.rpartition(last)
        return after.strip("\n") if found else ""

    def _take(self, lines: list[str]) -> list[str]:
        self._count += len(lines)
        now = [unstyled(line) for line in lines[: self.head - self._shown]]
        self._shown += len(now)
        # Only what may be shown in the end is worth cleaning.
        for line in lines[len(now) :][-self.tail :]:
            self._last.append(unstyled(line))
        return now

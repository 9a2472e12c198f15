"""Long texts cut down to their beginning and their end.

Owns the rule of what is kept, and keeps no more than that in memory while a text arrives. It
does not know what the text is.
"""

from __future__ import annotations

_CONTINUATION = 0b1000_0000
_CONTINUATION_MASK = 0b1100_0000


class HeadTail:
    """A text that arrives in pieces, cut to at most `max_bytes` and `max_lines` (0: no limit).

    If it is within both limits all of it is kept. Otherwise about half of each limit is spent on
    the beginning and the rest on the end, with a marker line between them that is not counted.
    Characters are never split. How the text was divided into pieces makes no difference.
    With `max_bytes` 0 the whole text is held; else a small multiple of `max_bytes`.
    """

    def __init__(self, *, max_bytes: int, max_lines: int) -> None:
        self._max_bytes = max_bytes
        self._max_lines = max_lines
        self._head = bytearray()
        self._head_lines = 0
        self._head_open = True
        self._rest = bytearray()
        """What came after the head, or the end of it."""
        self._total_bytes = 0
        self._total_newlines = 0
        self._ends_line = True

    def add(self, text: str) -> None:
        """Append `text`."""
        data = text.encode("utf-8", "replace")
        if not data:
            return
        self._total_bytes += len(data)
        self._total_newlines += data.count(b"\n")
        self._ends_line = data.endswith(b"\n")
        if self._head_open:
            taken = self._head_part(data)
            self._head += data[:taken]
            self._head_lines += data.count(b"\n", 0, taken)
            self._head_open = taken == len(data)
            data = data[taken:]
        self._rest += data
        # One byte more than any tail needs: it tells what is in front of the tail.
        keep = self._max_bytes + 1
        if self._max_bytes and len(self._rest) > 2 * keep:
            del self._rest[:-keep]

    @property
    def cut(self) -> bool:
        """Whether something is missing from `text()`."""
        too_long = 0 < self._max_bytes < self._total_bytes
        return too_long or 0 < self._max_lines < _lines(self._total_newlines, self._ends_line)

    def text(self) -> str:
        """What is kept of the text so far."""
        if not self.cut:
            return (self._head + self._rest).decode()
        start = self._tail_start()
        tail = self._rest[start:]
        missing_bytes = self._total_bytes - len(self._head) - len(tail)
        newlines = self._total_newlines - self._head_lines - tail.count(b"\n")
        missing_lines = _lines(newlines, start > 0 and self._rest[start - 1] == ord("\n"))
        head = self._head.decode()
        separator = "" if not head or head.endswith("\n") else "\n"
        return f"{head}{separator}{marker(missing_bytes, missing_lines)}\n{tail.decode()}"

    def _head_part(self, data: bytes) -> int:
        """How many bytes of `data` still belong to the head."""
        end = len(data)
        if self._max_bytes:
            end = _character_start(data, min(end, self._max_bytes // 2 - len(self._head)))
        if self._max_lines:
            at = 0
            for _ in range(self._max_lines // 2 - self._head_lines):
                at = data.find(b"\n", at, end) + 1
                if not at:
                    return end
            end = at
        return end

    def _tail_start(self) -> int:
        """Where in `_rest` the end begins that is shown."""
        rest = self._rest
        start = 0
        if self._max_bytes:
            room = self._max_bytes - self._max_bytes // 2
            start = max(0, len(rest) - room)
            while start < len(rest) and rest[start] & _CONTINUATION_MASK == _CONTINUATION:
                start += 1
        if self._max_lines:
            # The newline that ends the last line begins no line.
            at = len(rest) - 1 if self._ends_line else len(rest)
            for _ in range(self._max_lines - self._max_lines // 2):
                at = rest.rfind(b"\n", start, at)
                if at < 0:
                    return start
            start = at + 1
        return start


def marker(missing_bytes: int, missing_lines: int) -> str:
    """The line that stands for what is missing; lines of which a part is missing count."""
    lines = "1 line" if missing_lines == 1 else f"{missing_lines} lines"
    size = "1 byte" if missing_bytes == 1 else f"{missing_bytes} bytes"
    return f"[... {size} in {lines} left out ...]"


def truncate(text: str, *, max_bytes: int, max_lines: int) -> str:
    """`text` at once, as `HeadTail` would keep it."""
    kept = HeadTail(max_bytes=max_bytes, max_lines=max_lines)
    kept.add(text)
    return kept.text()


def _lines(newlines: int, ends_line: bool) -> int:
    return newlines if ends_line else newlines + 1


def _character_start(data: bytes, end: int) -> int:
    """The largest position up to `end` that is not inside a character."""
    while 0 < end < len(data) and data[end] & _CONTINUATION_MASK == _CONTINUATION:
        end -= 1
    return end

"""Messages in a stream of bytes: where one ends and the next begins, in either framing.

Owns the choice of the framing, the limits, and getting back on track after bytes that make
no sense. Does no I/O and does not look inside a message; that a message is JSON is the
business of `messages.py`. Every byte is looked at a bounded number of times, however the
stream is cut into chunks, and nothing larger than the maximum is ever kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Protocol

from attrs import define, field

from codex_rpc.protocol.frozen import frozen

PARSE_ERROR = -32700
INVALID_REQUEST = -32600

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest message that is taken, unless another maximum is given."""

MAX_HEADER_BYTES = 16 * 1024
"""The largest header block that is looked at; a larger one has no valid Content-Length."""


class Framing(Enum):
    """How messages are told apart, for both directions of a connection."""

    HEADERS = "Content-Length"
    LINES = "NDJSON"


@frozen
class FramingFault:
    """Bytes that are no message, to be answered with `id: null`."""

    code: int
    message: str


Frame = bytes | bytearray
"""One message's bytes, not yet known to be JSON; the receiver's own."""

_BLANK = b" \t\r\n\v\f"
_BOM = b"\xef\xbb\xbf"
_HEADER_LETTERS = b"CcXx"


def encode(framing: Framing | None, payload: bytes) -> bytes:
    """`payload`, JSON without a raw line end, as it goes on the wire.

    Before the peer's first byte there is no framing yet; that is NDJSON.
    """
    if framing is Framing.HEADERS:
        return b"Content-Length: %d\r\n\r\n%b" % (len(payload), payload)
    return payload + b"\n"


class FrameDecoder:
    """Turns chunks of the peer's bytes into messages and faults, in their order.

    How the stream is cut into chunks changes nothing about what comes out.
    """

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_bytes = max_message_bytes
        self._framing: Framing | None = None
        self._preamble = b""
        """Bytes before the first that decides: at most an unfinished byte order mark."""
        self._inner: _Decoder | None = None

    @property
    def framing(self) -> Framing | None:
        """What the first byte decided; None before it came."""
        return self._framing

    def feed(self, data: bytes) -> list[Frame | FramingFault]:
        """What `data` completes."""
        if self._inner is None:
            data = self._without_preamble(data)
            if not data:
                return []
            self._inner = self._decide(data)
        return list(self._inner.feed(data))

    def finish(self) -> list[Frame | FramingFault]:
        """What is left when the input has ended.

        A last line without its line end is a message. Anything else that was begun is a fault.
        """
        if self._inner is None:
            if not self._preamble:
                return []
            self._inner = self._decide(self._preamble)
            return [*self._inner.feed(self._preamble), *self._inner.finish()]
        return list(self._inner.finish())

    def _decide(self, data: bytes) -> _Decoder:
        if data[0] in _HEADER_LETTERS:
            self._framing = Framing.HEADERS
            return _Headers(self._max_bytes)
        self._framing = Framing.LINES
        return _Lines(self._max_bytes)

    def _without_preamble(self, data: bytes) -> bytes:
        data = (self._preamble + data).lstrip(_BLANK)
        while data.startswith(_BOM):
            data = data[len(_BOM) :].lstrip(_BLANK)
        if data and _BOM.startswith(data):
            self._preamble = data
            return b""
        self._preamble = b""
        return data


class _Decoder(Protocol):
    def feed(self, data: bytes) -> Iterator[Frame | FramingFault]: ...

    def finish(self) -> Iterator[Frame | FramingFault]: ...


def _too_large(max_bytes: int) -> FramingFault:
    return FramingFault(
        INVALID_REQUEST, f"the message is larger than {max_bytes} bytes (--max-message-bytes)"
    )


@define
class _LineBuffer:
    """Collects a line up to a limit; what is beyond it is counted, not kept."""

    max_bytes: int
    kept: bytearray = field(factory=bytearray, init=False)
    overflowed: bool = field(default=False, init=False)

    def add(self, data: bytes) -> None:
        if not self.overflowed and len(self.kept) + len(data) > self.max_bytes:
            self.overflowed = True
            self.kept.clear()
        if not self.overflowed:
            self.kept += data

    def take(self) -> bytearray:
        """The line; the buffer is empty after."""
        line, self.kept, self.overflowed = self.kept, bytearray(), False
        return line


class _Lines:
    """One JSON value per line."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # One more than the maximum, for the "\r" of a line that just fits.
        self._line = _LineBuffer(max_bytes + 1)

    def feed(self, data: bytes) -> Iterator[Frame | FramingFault]:
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._line.add(data[start:end])
            start = end + 1
            yield from self._ended()
        self._line.add(data[start:])

    def finish(self) -> Iterator[Frame | FramingFault]:
        yield from self._ended()

    def _ended(self) -> Iterator[Frame | FramingFault]:
        overflowed, line = self._line.overflowed, self._line.take()
        if line.endswith(b"\r"):
            del line[-1:]
        if overflowed or len(line) > self._max_bytes:
            yield _too_large(self._max_bytes)
        elif line and not line.isspace():
            yield line


class _Headers:
    """A header block, a blank line, and as many bytes as the block says."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._block = _Block()
        self._line = _LineBuffer(MAX_HEADER_BYTES)
        self._body: bytearray | None = None
        """None: in a header block, or skipping."""
        self._missing = 0
        """How many bytes of the body are still to come."""

    def feed(self, data: bytes) -> Iterator[Frame | FramingFault]:
        start = 0
        while start < len(data):
            if self._missing:
                start += self._skip_or_keep(data, start)
                if not self._missing and self._body is not None:
                    yield self._body
                    self._body = None
                continue
            end = data.find(b"\n", start)
            if end < 0:
                self._line.add(data[start:])
                return
            self._line.add(data[start:end])
            start = end + 1
            yield from self._header_ended()

    def finish(self) -> Iterator[Frame | FramingFault]:
        line_begun = self._line.overflowed or self._line.kept.strip(_BLANK)
        if self._body is not None or self._block.begun or line_begun:
            yield FramingFault(PARSE_ERROR, "the input ended inside a message")

    def _skip_or_keep(self, data: bytes, start: int) -> int:
        piece = data[start : start + self._missing]
        if self._body is not None:
            self._body += piece
        self._missing -= len(piece)
        return len(piece)

    def _header_ended(self) -> Iterator[Frame | FramingFault]:
        overflowed, line = self._line.overflowed, bytes(self._line.take()).strip(_BLANK)
        if line or overflowed:
            self._block.add(line, overflowed=overflowed)
            return
        if not self._block.begun:
            return
        length = self._block.length
        self._block = _Block(after_fault=length is None)
        if length is None:
            yield FramingFault(PARSE_ERROR, "a message needs exactly one valid Content-Length")
        elif length > self._max_bytes:
            self._missing = length
            yield _too_large(self._max_bytes)
        elif length == 0:
            yield b""
        else:
            self._missing, self._body = length, bytearray()


_HEADER = re.compile(rb"(?i)content-length[ \t]*:[ \t]*(.*)", re.DOTALL)
_GLUED_HEADER = re.compile(rb"(?i)(?:\A|[\]}\s])content-length[ \t]*:[ \t]*([0-9]{1,18})\Z")
_LENGTH = re.compile(rb"[0-9]{1,18}")


@define
class _Block:
    """What is known of a header block, of which no line is kept."""

    after_fault: bool = False
    """The block before had no length, so a body of unknown length may stand before this one."""
    begun: bool = field(default=False, init=False)
    _size: int = field(default=0, init=False)
    _lengths: list[int | None] = field(factory=list, init=False)
    """Of each Content-Length in it; None where that is no number."""

    def add(self, line: bytes, *, overflowed: bool) -> None:
        self.begun = True
        self._size += len(line) if not overflowed else MAX_HEADER_BYTES + 1
        if self._size > MAX_HEADER_BYTES:
            return
        # A body whose length was not known runs into the next header line without a line end.
        header = _GLUED_HEADER.search(line) if self.after_fault else _HEADER.match(line)
        if header is not None:
            value = header[1]
            self._lengths.append(int(value) if _LENGTH.fullmatch(value) else None)

    @property
    def length(self) -> int | None:
        """The body's length in bytes, if the block says exactly one."""
        if self._size > MAX_HEADER_BYTES or len(self._lengths) != 1:
            return None
        return self._lengths[0]

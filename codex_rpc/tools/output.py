"""What a running command prints: decoded, shown as it comes, and kept within limits.

Owns the way of the bytes: per stream one incremental decoder; from there to the client as
deltas, and into three cut-down texts (stdout, stderr, and both in order of arrival). It does not
know how the command was started, nor how it ended.
"""

from __future__ import annotations

import codecs

from codex_rpc.protocol.events import ExecCommandOutputDelta
from codex_rpc.protocol.ids import CallId
from codex_rpc.protocol.tools import ToolHost
from codex_rpc.sandbox.pipes import STREAMS, Stream
from codex_rpc.tools.truncation import HeadTail


class CommandOutput:
    """The output of one command."""

    def __init__(self, call_id: CallId, host: ToolHost, *, max_bytes: int, max_lines: int) -> None:
        def limited() -> HeadTail:
            return HeadTail(max_bytes=max_bytes, max_lines=max_lines)

        self._call_id = call_id
        self._host = host
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {stream: decoder("replace") for stream in STREAMS}
        self._streams = {stream: limited() for stream in STREAMS}
        self._both = limited()
        self._showing: set[Stream] = set()

    async def take(self, stream: Stream, data: bytes) -> None:
        """Keep `data`, then show it, waiting while the client reads slowly.

        Invalid UTF-8 becomes U+FFFD; a character that is split between two calls does not.
        Cancelled while it waits: the data is kept, and nothing more of that stream is shown,
        so that what was shown is always the beginning of it.
        """
        await self._show(stream, self._keep(stream, self._decoders[stream].decode(data)))

    async def finish(self) -> None:
        """Nothing more will come: show what is left of a character that never became whole."""
        for stream in STREAMS:
            await self._show(stream, self._flush(stream))

    def close(self) -> None:
        """As `finish`, but only keep it, without waiting."""
        for stream in STREAMS:
            self._flush(stream)

    def text(self, stream: Stream | None = None) -> str:
        """What is kept of one stream, or of both in order of arrival."""
        return (self._both if stream is None else self._streams[stream]).text()

    def _keep(self, stream: Stream, text: str) -> str:
        self._streams[stream].add(text)
        self._both.add(text)
        return text

    def _flush(self, stream: Stream) -> str:
        return self._keep(stream, self._decoders[stream].decode(b"", final=True))

    async def _show(self, stream: Stream, text: str) -> None:
        if not text or stream in self._showing:
            return
        self._showing.add(stream)
        await self._host.announce(ExecCommandOutputDelta(self._call_id, stream, text))
        self._showing.remove(stream)

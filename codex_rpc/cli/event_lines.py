"""Events as lines of JSON, for programs (`exec --json`): what `session/event` would carry."""

from __future__ import annotations

from itertools import count

from codex_rpc.protocol.converter import unstructure
from codex_rpc.protocol.events import Event
from codex_rpc.protocol.params import ConfigureResult
from codex_rpc.rpc import messages
from codex_rpc.rpc.stdio import ByteWriter


class EventLines:
    """Writes each event as one line."""

    def __init__(self, out: ByteWriter) -> None:
        self._out = out
        self._numbers = count(1)
        self._session_id = ""

    async def opened(self, result: ConfigureResult, turn_id: str) -> None:
        """The session whose events follow; the first of them says what there is to say."""
        del turn_id
        self._session_id = result.session_id

    async def show(self, event: Event) -> None:
        """Write it.

        Raises:
            PeerGone: nobody reads any more.
        """
        params = {
            "sessionId": self._session_id,
            "seq": next(self._numbers),
            "id": event.id,
            "msg": unstructure(event.msg),
        }
        if event.unsaved:
            params["unsaved"] = True
        await self._out.write(messages.encoded(params) + b"\n")

    async def asked(self, call_id: str) -> None:
        """Of no interest: the request was an event."""

    async def say(self, text: str) -> None:
        """Of no interest to a program."""

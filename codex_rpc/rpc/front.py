"""What is spoken on a connection: which requests there are, and how events are told.

The endpoint reads, writes and ends in the same way for every protocol; what differs is behind
the `Front`. Knows no protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from codex_rpc.protocol.frozen import frozen
from codex_rpc.rpc.calls import Calls
from codex_rpc.rpc.dispatch import Speaker
from codex_rpc.rpc.endings import Endings
from codex_rpc.rpc.outbox import Outbox
from codex_rpc.rpc.outgoing import Outgoing


@frozen(eq=False)
class Connection:
    """What a front works with."""

    outbox: Outbox
    calls: Calls
    outgoing: Outgoing
    endings: Endings


class Front(Speaker, Protocol):
    """One protocol on one connection."""

    @property
    def exit_requested(self) -> bool:
        """Whether the peer has asked the process to end: nothing after that counts."""

    @property
    def exit_code(self) -> int:
        """The process's, as far as it is the protocol's affair."""

    async def run(self) -> None:
        """Do what is done beside requests, until cancelled."""


FrontMaker = Callable[[Connection], Front]

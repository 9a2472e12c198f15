"""The requests in flight: which there are, how to cancel them, and when they have settled.

A request is in flight from its arrival until its answer is about to be written, so an id
cannot be used twice, and a peer that does not read cannot have more than a number of
answers pile up. Knows neither methods nor bytes.
"""

from __future__ import annotations

import anyio
from attrs import define, field

from codex_rpc.core.session import Session
from codex_rpc.protocol.errors import DuplicateRequest, Overloaded
from codex_rpc.rpc.messages import RequestId

MAX_IN_FLIGHT = 1024


@define(eq=False)
class Call:
    """One request that is being answered."""

    id: RequestId
    number: int
    """Which request of the connection it is, counted from 1."""
    scope: anyio.CancelScope = field(factory=anyio.CancelScope, init=False)
    opened: Session | None = field(default=None, init=False)
    """Set by a handler: the session whose events are to follow the answer."""
    ends_sessions: bool = field(default=False, init=False)
    """It is settled by the end of the sessions, and so not cancelled before."""
    settled: bool = field(default=False, init=False)
    """There is an answer, written or not."""


class Calls:
    """All requests in flight, by id."""

    def __init__(self) -> None:
        self._calls: dict[RequestId, Call] = {}
        self.begun = 0
        """How many requests there have been."""
        self._settled = anyio.Event()
        """Set and replaced when a call is settled."""

    @property
    def crowded(self) -> bool:
        """Whether it would be good to let some requests finish before taking more."""
        return len(self._calls) > MAX_IN_FLIGHT // 2

    def begin(self, id_: RequestId) -> Call:
        """Enter a request.

        Raises:
            DuplicateRequest: one with this id is in flight.
            Overloaded: too many are.
        """
        if id_ in self._calls:
            raise DuplicateRequest("a request with this id is still in flight")
        if len(self._calls) >= MAX_IN_FLIGHT:
            raise Overloaded(f"more than {MAX_IN_FLIGHT} requests are in flight")
        self.begun += 1
        call = self._calls[id_] = Call(id_, self.begun)
        return call

    def cancel(self, id_: RequestId) -> None:
        """Cancel a request, if it is still being worked on."""
        call = self._calls.get(id_)
        if call is not None:
            call.scope.cancel()

    def cancel_all(self, *, but_ending: bool = False) -> None:
        """Cancel every request; with `but_ending`, not those that end sessions."""
        for call in self._calls.values():
            if not (but_ending and call.ends_sessions):
                call.scope.cancel()

    def settle(self, call: Call) -> None:
        """There is an answer to `call`; its id stays taken until `forget`."""
        call.settled = True
        self._settled.set()
        self._settled = anyio.Event()

    def forget(self, call: Call) -> None:
        """The answer to `call` is on its way."""
        del self._calls[call.id]

    async def all_settled(self, *, but_ending: bool = False) -> None:
        """Wait until every request has an answer; with `but_ending`, not for those that end
        sessions."""
        while any(
            not call.settled and not (but_ending and call.ends_sessions)
            for call in self._calls.values()
        ):
            await self._settled.wait()

"""Our own requests to the peer, and its answers to them.

Owns their ids and the table of who waits. Knows no method.
"""

from __future__ import annotations

import logging
from itertools import count
from typing import Any

import anyio
from attrs import define, field

from codex_rpc.rpc import messages
from codex_rpc.rpc.messages import RequestId, Response
from codex_rpc.rpc.outbox import Outbox
from codex_rpc.rpc.stdio import PeerGone

logger = logging.getLogger(__name__)


class PeerRefused(Exception):
    """Raised when the peer answers a request of ours with an error; `error` is what it said."""

    def __init__(self, method: str, error: Any) -> None:
        super().__init__(f"the client answered {method} with an error")
        self.error = error

    @property
    def message(self) -> str:
        """The error's text, if it has one."""
        text = self.error.get("message") if isinstance(self.error, dict) else None
        return text if isinstance(text, str) else ""


@define(eq=False)
class _Waiter:
    settled: anyio.Event = field(factory=anyio.Event)
    response: Response | None = None


class Outgoing:
    """Requests of ours in flight, and notifications, which nobody waits for."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.cancelled: tuple[str, str] = ("$/cancelRequest", "id")
        """The notification, and its member with the request's id, that say that an answer is not
        wanted any more."""
        self._ids = count(1)
        self._waiting: dict[RequestId, _Waiter] = {}
        self._closed = False

    def notify(self, method: str, params: Any) -> None:
        """Tell the peer something, before the events that wait. Never waits."""
        self._outbox.put(messages.notification(method, params))

    async def request(self, method: str, params: Any) -> Any:
        """The result that the peer gives. Cancelled, it tells the peer so.

        Raises:
            PeerRefused: the answer is an error.
            PeerGone: there will be no answer.
        """
        if self._closed:
            raise PeerGone("the connection has ended")
        id_ = f"codex-{next(self._ids)}"
        payload = messages.request(id_, method, params)
        # In the table before it leaves, so that no answer is too fast.
        waiter = self._waiting[id_] = _Waiter()
        self._outbox.put(payload)
        try:
            await waiter.settled.wait()
        except anyio.get_cancelled_exc_class():
            if not waiter.settled.is_set():
                method, member = self.cancelled
                self.notify(method, {member: id_})
            raise
        finally:
            del self._waiting[id_]
        if waiter.response is None:
            raise PeerGone("the connection has ended")
        if waiter.response.error is not None:
            raise PeerRefused(method, waiter.response.error)
        return waiter.response.result

    def settle(self, response: Response) -> None:
        """Hand an answer to whoever waits for it, if anyone does."""
        id_ = response.id
        waiter = self._waiting.get(id_) if isinstance(id_, str) else None
        if waiter is None or waiter.settled.is_set():
            logger.debug("an answer came that nobody waits for")
            return
        waiter.response = response
        waiter.settled.set()

    def close(self) -> None:
        """No more answers will come, and no more requests leave. Idempotent."""
        self._closed = True
        for waiter in self._waiting.values():
            waiter.settled.set()

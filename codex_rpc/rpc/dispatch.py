"""From a message to whoever handles it, and from what came of it to the answer.

Owns the request boundary: each request is a task of its own, started in order of arrival,
and has exactly one answer, whatever happens in it. Handlers only validate, submit and wait;
the work is done in the sessions' own tasks. Knows no session.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import anyio.lowlevel
from anyio.abc import TaskGroup

from codex_rpc.protocol.converter import structure, unstructure
from codex_rpc.protocol.errors import CodexError, InvalidParams, ProtocolError
from codex_rpc.protocol.frozen import frozen
from codex_rpc.rpc import mapping, messages
from codex_rpc.rpc.calls import Call, Calls
from codex_rpc.rpc.framing import Frame, FramingFault
from codex_rpc.rpc.messages import Fault, Notification, Request, RequestId, Response
from codex_rpc.rpc.outbox import Outbox

logger = logging.getLogger(__name__)


@frozen
class Method:
    """How a request is answered."""

    handler: Callable[[Any, Call], Awaitable[Any]]
    """Takes the parameters, as `params`, and returns the result, of the vocabulary."""
    params: type = dict
    """What the parameters are structured to; `dict`: any object, as it came."""
    ends_sessions: bool = False


Listener = Callable[[dict[str, Any]], None]
"""Takes a notification's parameters. Never waits."""


class Speaker(Protocol):
    """What there is to be asked for."""

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """What is done on which notification; all others are ignored."""

    def admit(self, name: str, params: Any) -> Method:
        """The method of a request that has just arrived, and the change of state it brings;
        asked in order of arrival. `params` of a stateful one are an object or absent.

        Raises:
            ProtocolError
        """

    def code_of(self, exc: CodexError) -> int:
        """The JSON-RPC error code for `exc`."""


class Dispatcher:
    """Takes the peer's messages in the order in which they arrive."""

    def __init__(
        self,
        outbox: Outbox,
        calls: Calls,
        speaker: Speaker,
        settle: Callable[[Response], None],
    ) -> None:
        self._outbox = outbox
        self._calls = calls
        self._speaker = speaker
        self._listeners = speaker.listeners
        self._settle = settle

    def take(self, frame: Frame | FramingFault, tasks: TaskGroup) -> None:
        """Begin with what `frame` asks for, in `tasks`. Never waits."""
        if isinstance(frame, FramingFault):
            self._outbox.put(messages.error(None, frame.code, frame.message))
            return
        match messages.parse(frame):
            case Fault() as fault:
                self._outbox.put(messages.error(fault.id, fault.code, fault.message))
            case Request() as request:
                self._begin(request, tasks)
            case Notification(method, params):
                listener = self._listeners.get(method)
                if listener is not None:
                    listener(params if isinstance(params, dict) else {})
            case Response() as response:
                self._settle(response)

    def _begin(self, request: Request, tasks: TaskGroup) -> None:
        try:
            call = self._calls.begin(request.id)
        except ProtocolError as exc:
            self._outbox.put(self._error(request.id, exc))
            return
        try:
            # Before it is admitted, which may change what is allowed from here on.
            if request.method in _STATEFUL:
                _object(request.params)
            method = self._speaker.admit(request.method, request.params)
        except ProtocolError as exc:
            self._answer(call, self._error(request.id, exc))
            return
        call.ends_sessions = method.ends_sessions
        tasks.start_soon(self._serve, call, method, request)

    async def _serve(self, call: Call, method: Method, request: Request) -> None:
        # What stands if the scope below swallows a cancellation.
        payload = mapping.cancelled_answer(call.id)
        try:
            with call.scope:
                await anyio.lowlevel.checkpoint_if_cancelled()
                result = await method.handler(_params(request.params, method.params), call)
                payload = messages.result(call.id, unstructure(result))
        except Exception as exc:
            if not isinstance(exc, CodexError):
                _log_unexpected(request.method, exc)
            payload = self._error(call.id, exc)
        self._answer(call, payload)

    def _error(self, id_: RequestId, exc: Exception) -> bytes:
        return mapping.error_answer(id_, exc, self._speaker.code_of)

    def _answer(self, call: Call, payload: bytes) -> None:
        # Nothing waits between a handler's return and this, so a session that was opened has
        # its answer, and the answer comes before its events.
        self._calls.settle(call)
        taken = partial(self._calls.forget, call)
        if call.opened is not None:
            self._outbox.open(call.opened.id, call.opened.events, payload, taken)
        else:
            self._outbox.put(payload, taken)


_STATEFUL = frozenset({"initialize", "shutdown"})


def _object(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidParams("", "object")
    return value


def _params(value: Any, cls: type) -> Any:
    members = _object(value)
    return members if cls is dict else structure(members, cls)


def _log_unexpected(method: str, exc: Exception) -> None:
    """Say where it happened, but not its text, which may hold what the user wrote."""
    where = "".join(traceback.format_tb(exc.__traceback__))
    logger.error("internal error in %s: %s\n%s", method, type(exc).__name__, where.rstrip())

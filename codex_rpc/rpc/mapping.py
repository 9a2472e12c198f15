"""Which exception is which JSON-RPC error: the one table, and the one way from it to bytes.

Whatever is not in the tree of `protocol/errors.py` is an internal error, of which the peer
learns the type and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from codex_rpc.protocol import errors
from codex_rpc.rpc import messages
from codex_rpc.rpc.framing import INVALID_REQUEST
from codex_rpc.rpc.messages import RequestId

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
SERVER_NOT_INITIALIZED = -32002
REQUEST_CANCELLED = -32800
SESSION_NOT_FOUND = 1001
SESSION_IN_USE = 1002
ROLLOUT_UNREADABLE = 1003
NOT_CONFIGURED = 1004
SESSION_CLOSED = 1005
STORAGE_FAILED = 1006
INVALID_STATE = 1007
OVERLOADED = 1008


class RequestRefused(errors.ProtocolError):
    """Raised when a request cannot be taken in the connection's present state."""


class ServerNotInitialized(errors.ProtocolError):
    """Raised when an LSP request comes before `initialize`."""


CODES: dict[type[errors.CodexError], int] = {
    errors.InvalidParams: INVALID_PARAMS,
    errors.UnknownMethod: METHOD_NOT_FOUND,
    errors.DuplicateRequest: INVALID_REQUEST,
    RequestRefused: INVALID_REQUEST,
    ServerNotInitialized: SERVER_NOT_INITIALIZED,
    errors.SessionNotFound: SESSION_NOT_FOUND,
    errors.RolloutNotFound: SESSION_NOT_FOUND,
    errors.RolloutInUse: SESSION_IN_USE,
    errors.RolloutCorrupt: ROLLOUT_UNREADABLE,
    errors.RolloutNewer: ROLLOUT_UNREADABLE,
    errors.ConfigError: NOT_CONFIGURED,
    errors.SessionClosed: SESSION_CLOSED,
    errors.RolloutWriteFailed: STORAGE_FAILED,
    errors.InvalidState: INVALID_STATE,
    errors.Overloaded: OVERLOADED,
    # What follows is dealt with inside a turn; reaching the peer, it is our mistake.
    errors.ModelError: INTERNAL_ERROR,
    errors.ToolError: INTERNAL_ERROR,
    errors.SandboxError: INTERNAL_ERROR,
    errors.ProtocolError: INTERNAL_ERROR,
    errors.RolloutError: INTERNAL_ERROR,
    errors.CodexError: INTERNAL_ERROR,
}
"""The code of an exception is that of its nearest class in here."""


def code_of(exc: errors.CodexError) -> int:
    """The JSON-RPC error code for `exc`."""
    return next(CODES[cls] for cls in type(exc).__mro__ if cls in CODES)


def error_answer(
    id_: RequestId | None,
    exc: Exception,
    code_of: Callable[[errors.CodexError], int] = code_of,
) -> bytes:
    """The answer to a request that ended with `exc`, with the protocol's code for it."""
    if isinstance(exc, errors.CodexError):
        code = code_of(exc)
        try:
            return messages.error(id_, code, exc.message, exc.data)
        except messages.Unencodable:
            return messages.error(id_, code, exc.message)
    return messages.error(id_, INTERNAL_ERROR, f"internal error ({type(exc).__name__})")


def cancelled_answer(id_: RequestId) -> bytes:
    """The answer to a request that was cancelled."""
    return messages.error(id_, REQUEST_CANCELLED, "the request was cancelled")

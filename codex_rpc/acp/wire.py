"""What clients ask for, as far as it is used, and the errors of the protocol.

Members that are not named here are ignored, as the protocol wants: it grows.
"""

from __future__ import annotations

from typing import Any, ClassVar

from codex_rpc.protocol import errors
from codex_rpc.protocol.frozen import frozen
from codex_rpc.rpc import mapping

PROTOCOL_VERSION = 1

AUTH_REQUIRED = -32000
RESOURCE_NOT_FOUND = -32002

_CODES: dict[type[errors.CodexError], int] = {
    errors.CredentialsMissing: AUTH_REQUIRED,
    errors.SessionNotFound: RESOURCE_NOT_FOUND,
    errors.RolloutNotFound: RESOURCE_NOT_FOUND,
}
"""Where the protocol has a code of its own."""


class TurnFailed(errors.CodexError):
    """Raised when a turn ends because it cannot go on; `code` is the event's, None without one."""

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message, data=None if code is None else {"code": code})
        self.code = code


def code_of(exc: errors.CodexError) -> int:
    """The JSON-RPC error code for `exc`: the protocol's own, else the native one."""
    if isinstance(exc, TurnFailed) and exc.code is not None:
        return exc.code
    own = next((code for cls, code in _CODES.items() if isinstance(exc, cls)), None)
    return mapping.code_of(exc) if own is None else own


@frozen(kw_only=True)
class SessionParams:
    """Whatever is about one session."""

    camel: ClassVar[bool] = True
    session_id: str


@frozen(kw_only=True)
class NewParams:
    """session/new."""

    camel: ClassVar[bool] = True
    cwd: str
    mcp_servers: list[Any] | None = None


@frozen(kw_only=True)
class OpenParams(NewParams):
    """session/load, session/resume, session/fork."""

    session_id: str


@frozen(kw_only=True)
class ListParams:
    """session/list."""

    camel: ClassVar[bool] = True
    cwd: str | None = None
    cursor: str | None = None


@frozen(kw_only=True)
class PromptParams(SessionParams):
    """session/prompt; each block is a `ContentBlock`."""

    prompt: list[Any]


@frozen(kw_only=True)
class ModeParams(SessionParams):
    """session/set_mode."""

    mode_id: str


@frozen(kw_only=True)
class OptionParams(SessionParams):
    """session/set_config_option."""

    config_id: str
    value: Any


@frozen(kw_only=True)
class AuthenticateParams:
    """authenticate."""

    camel: ClassVar[bool] = True
    method_id: str

"""Every exception this project raises on purpose.

    CodexError
    |- ProtocolError          the peer's fault
    |  |- InvalidParams       a parameter is missing, unknown or of the wrong type (`path`)
    |  |- UnknownMethod
    |  |- DuplicateRequest
    |  |- Overloaded          too much in flight
    |  |- InvalidState        the operation does not fit now (`data` says what would)
    |  |- SessionNotFound     an id that was never live here
    |  |- SessionClosed       was live here, and was closed
    |- ModelError             `retryable`, `retry_after_s`
    |  |- ModelUnreachable    no connection
    |  |- StreamInterrupted   the stream ended, idled or failed before `response.completed`
    |  |- RateLimited         429, or a quota said in the body
    |  |- ServerFailed        5xx, 408, 409, 425
    |  |- ModelRejected       any other refusal of the request (`status`)
    |  |- ContextFull         the prompt is larger than the model's window
    |  `- PreviousResponseUnknown   the server no longer knows `previous_response_id`
    |- ToolError              becomes tool output for the model, never ends a turn
    |  |- BadArguments
    |  `- UnknownTool
    |- SandboxError
    |  `- SandboxUnavailable  refuse or ask, never fall back
    |- RolloutError
    |  |- RolloutNotFound
    |  |- RolloutCorrupt      a directory, empty, no header, unreadable (`line_no`)
    |  |- RolloutNewer        a `format` larger than ours
    |  |- RolloutInUse        held by another process
    |  `- RolloutWriteFailed  cannot be created, locked or written
    `- ConfigError            file, key, and what would be accepted

Exceptions have no side effects and never hold prompts, file contents or keys. Each has a
`message` that a person can act on, and `data` for programs (JSON values only).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class CodexError(Exception):
    """The root of the tree; `message` is for people, `data` for programs."""

    def __init__(self, message: str, *, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.data: dict[str, Any] = dict(data or {})


class ProtocolError(CodexError):
    """The peer asked for something that cannot be understood or does not fit."""


class InvalidParams(ProtocolError):
    """Raised when a parameter is missing, unknown, or of the wrong type.

    `path` is where, as in `op.items[0].text`; `""` is the params object itself.
    """

    def __init__(self, path: str, expected: str, message: str | None = None) -> None:
        where = path or "params"
        super().__init__(
            message or f"{where}: expected {expected}", data={"path": path, "expected": expected}
        )
        self.path = path
        self.expected = expected


class Mismatch(ValueError):
    """Raised while structuring; `structure` turns it into `InvalidParams`.

    `expected` is what was wanted, `at` where below the value that was being structured.
    """

    def __init__(self, expected: str, at: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.at = at


class UnknownMethod(ProtocolError):
    """Raised when a request names a method that does not exist."""


class DuplicateRequest(ProtocolError):
    """Raised when a request reuses the id of one that is still in flight."""


class Overloaded(ProtocolError):
    """Raised when too much is in flight; try again when answers have come."""


class InvalidState(ProtocolError):
    """Raised when an operation does not fit now; `data` says what would."""


class SessionNotFound(ProtocolError):
    """Raised when a session id was never live in this process."""


class SessionClosed(ProtocolError):
    """Raised when a session was live in this process and has been closed."""


class ModelError(CodexError):
    """Something between us and an answer of the model.

    `retryable` says whether the same request may succeed later; `retry_after_s` is the
    server's own hint in seconds, None without one.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, data=data)
        self.retry_after_s = retry_after_s


class ModelUnreachable(ModelError):
    """Raised when no connection to the model server could be made."""

    retryable = True


class StreamInterrupted(ModelError):
    """Raised when a stream ended, idled or failed before the response was complete."""

    retryable = True


class RateLimited(ModelError):
    """Raised when the server says to slow down."""

    retryable = True


class ServerFailed(ModelError):
    """Raised when the server answers with a 5xx status, or with 408, 409 or 425."""

    retryable = True


class ModelRejected(ModelError):
    """Raised when the server refuses the request for good; `status` is the HTTP status or None."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class AnswerFiltered(ModelRejected):
    """Raised when the server's content filter refuses the request or stops the answer."""


class ContextFull(ModelError):
    """Raised when the prompt does not fit into the model's context window."""


class PreviousResponseUnknown(ModelError):
    """Raised when the server does not know (or does not support) `previous_response_id`."""


class ToolError(CodexError):
    """Becomes the output of the tool call; the turn goes on."""


class BadArguments(ToolError):
    """Raised when the model's arguments do not fit the tool."""


class UnknownTool(ToolError):
    """Raised when the model calls a tool that it was not offered."""


class SandboxError(CodexError):
    """Something about confining a command."""


class SandboxUnavailable(SandboxError):
    """Raised when a policy cannot be enforced here; never run unconfined instead."""


class RolloutError(CodexError):
    """Something about a session file."""


class RolloutNotFound(RolloutError):
    """Raised when there is no session file of that id or path, or no `last` one."""


class RolloutCorrupt(RolloutError):
    """Raised when a file is no session file: a directory, empty, no permission, no valid header."""

    def __init__(self, path: str, reason: str, *, line_no: int | None = None) -> None:
        data: dict[str, Any] = {"path": path, "reason": reason}
        if line_no is not None:
            data["line"] = line_no
        super().__init__(f"cannot read the session file {path}: {reason}", data=data)
        self.line_no = line_no


class RolloutNewer(RolloutCorrupt):
    """Raised when the file's `format` is newer than this program; the message says to upgrade."""


class RolloutInUse(RolloutError):
    """Raised when another process holds the session."""

    def __init__(
        self, session_id: str, reason: str, *, pid: int | None = None, host: str | None = None
    ) -> None:
        data: dict[str, Any] = {"sessionId": session_id, "reason": reason}
        holder = ""
        if pid is not None:
            data["pid"] = pid
            holder = f" (process {pid}" + (f" on {host}" if host else "") + ")"
        if host is not None:
            data["host"] = host
        super().__init__(
            f"session {session_id} is open in another process{holder}; close it there first",
            data=data,
        )


class RolloutWriteFailed(RolloutError):
    """Raised when a session file cannot be created, locked or written.

    After a failed append the unwritten bytes stay queued in order inside the log.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"cannot save the session to {path}: {reason}", data={"path": path, "reason": reason}
        )
        self.path = path
        self.reason = reason


class ConfigError(CodexError):
    """Raised when the configuration cannot be used; says file, key and what is accepted."""

    def __init__(self, message: str, *, file: str | None = None, key: str | None = None) -> None:
        data = {k: v for k, v in (("file", file), ("key", key)) if v is not None}
        super().__init__(message, data=data)
        self.file = file
        self.key = key


class CredentialsMissing(ConfigError):
    """Raised when a provider needs a key that nobody gave; the message says where to put it."""

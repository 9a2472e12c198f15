"""Parameters and results of the `session/*` methods (camelCase on the wire)."""

from __future__ import annotations

from typing import ClassVar, Literal

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ops import Op
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxMeans, SandboxPolicy
from codex_rpc.protocol.records import ExportFormat, ReadPage, SessionPage
from codex_rpc.protocol.settings import Settings


@frozen(kw_only=True)
class SessionOverrides(Settings):
    """What a client says about a session when opening it."""

    camel: ClassVar[bool] = True


@frozen(kw_only=True)
class ConfigureParams(SessionOverrides):
    """session/configure."""

    cwd: str
    resume_path: str | None = None


@frozen(kw_only=True)
class ResumeParams(SessionOverrides):
    """session/resume: exactly one of `session_id`, `path`, `last`."""

    cwd: str | None = None
    session_id: str | None = None
    path: str | None = None
    last: bool | None = None
    takeover: bool | None = None


@frozen(kw_only=True)
class ForkParams(SessionOverrides):
    """session/fork: exactly one of `session_id`, `path`."""

    cwd: str | None = None
    session_id: str | None = None
    path: str | None = None
    up_to: int | None = None
    """The index of the last item that is kept; None: all are."""


@frozen(kw_only=True)
class ConfigureResult:
    """The answer to session/configure."""

    camel: ClassVar[bool] = True
    session_id: str
    model: str
    model_provider: str
    cwd: str
    approval_policy: ApprovalPolicy
    sandbox_policy: SandboxPolicy
    sandbox: SandboxMeans
    rollout_path: str
    history_log_id: int
    history_entry_count: int
    resumed: bool
    item_count: int


@frozen(kw_only=True)
class ResumeResult(ConfigureResult):
    """The answer to session/resume."""

    updated_at: str
    warnings: list[str]
    already_live: bool = False
    forked_from: str | None = None


@frozen(kw_only=True)
class ForkResult(ConfigureResult):
    """The answer to session/fork."""

    forked_from: str
    warnings: list[str]


@frozen(kw_only=True)
class SubmitParams:
    """session/submit."""

    camel: ClassVar[bool] = True
    forbid_unknown: ClassVar[bool] = True
    session_id: str
    op: Op
    id: str | None = None


@frozen
class SubmitResult:
    """Queued, not yet saved."""

    id: str


@frozen(kw_only=True)
class ListParams:
    """session/list."""

    camel: ClassVar[bool] = True
    forbid_unknown: ClassVar[bool] = True
    cwd: str | None = None
    query: str | None = None
    cursor: str | None = None
    limit: int = 50
    sort: Literal["updated", "created"] = "updated"
    archived: bool = False


@frozen(kw_only=True)
class ReadParams:
    """session/read: exactly one of `session_id`, `path`."""

    camel: ClassVar[bool] = True
    forbid_unknown: ClassVar[bool] = True
    session_id: str | None = None
    path: str | None = None
    cursor: str | None = None
    limit: int = 50
    direction: Literal["backward", "forward"] = "backward"


@frozen(kw_only=True)
class CloseParams:
    """session/close."""

    camel: ClassVar[bool] = True
    forbid_unknown: ClassVar[bool] = True
    session_id: str
    discard: bool = False


@frozen(kw_only=True)
class RenameParams:
    """session/rename."""

    camel: ClassVar[bool] = True
    forbid_unknown: ClassVar[bool] = True
    session_id: str
    title: str


@frozen(kw_only=True)
class SessionIdParams:
    """session/archive, session/unarchive, session/delete."""

    camel: ClassVar[bool] = True
    forbid_unknown: ClassVar[bool] = True
    session_id: str


@frozen(kw_only=True)
class ExportParams:
    """session/export."""

    camel: ClassVar[bool] = True
    forbid_unknown: ClassVar[bool] = True
    session_id: str
    format: ExportFormat
    path: str | None = None
    """An absolute path of a file that does not exist yet; None: the text is the answer."""


@frozen(kw_only=True)
class ExportResult:
    """The answer to session/export: exactly one of the two."""

    camel: ClassVar[bool] = True
    text: str | None = None
    path: str | None = None


@frozen
class Empty:
    """`{}`."""


METHODS: dict[str, tuple[type, type]] = {
    "session/configure": (ConfigureParams, ConfigureResult),
    "session/resume": (ResumeParams, ResumeResult),
    "session/submit": (SubmitParams, SubmitResult),
    "session/list": (ListParams, SessionPage),
    "session/read": (ReadParams, ReadPage),
    "session/fork": (ForkParams, ForkResult),
    "session/rename": (RenameParams, Empty),
    "session/archive": (SessionIdParams, Empty),
    "session/unarchive": (SessionIdParams, Empty),
    "session/delete": (SessionIdParams, Empty),
    "session/export": (ExportParams, ExportResult),
    "session/close": (CloseParams, Empty),
}
"""Every `session/*` request: its parameters and its result."""

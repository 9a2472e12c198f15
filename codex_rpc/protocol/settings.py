"""What a client may say about a session instead of config.toml; None: not said.

One list for everything that says it: opening a session (camelCase) and the op that
reconfigures one (snake_case).
"""

from __future__ import annotations

from typing import Any, ClassVar

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxPolicy


@frozen(kw_only=True)
class Settings:
    """Each member overrides what is configured."""

    forbid_unknown: ClassVar[bool] = True
    model: str | None = None
    model_provider: str | None = None
    profile: str | None = None
    approval_policy: ApprovalPolicy | None = None
    sandbox_policy: SandboxPolicy | None = None
    model_reasoning_effort: str | None = None
    model_reasoning_summary: str | None = None
    user_instructions: str | None = None
    base_instructions: str | None = None
    disable_response_storage: bool | None = None
    notify: list[str] | None = None
    config: dict[str, Any] | None = None
    """Dotted keys, as for `-c`."""

"""Which means confines commands on this machine, and the confined form of a command.

Owns the step from a sandbox policy and an argv to an argv that obeys the policy. It does not
know who may be asked when there is no such argv, and never falls back to an unconfined one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.protocol.params import SandboxMeans
from codex_rpc.protocol.policy import SandboxPolicy


def sandbox_means() -> SandboxMeans:
    """What confines commands here; "none": only `danger-full-access` can be obeyed."""
    return "none"


def confine(policy: SandboxPolicy, argv: Sequence[str], cwd: Path) -> tuple[str, ...]:
    """`argv` in a form that, run in `cwd`, can do no more than `policy` allows.

    Raises:
        SandboxUnavailable: nothing on this machine enforces `policy`.
    """
    if policy.mode == "danger-full-access":
        return tuple(argv)
    raise SandboxUnavailable(
        f"no sandbox is available on this machine to enforce `{policy.mode}`",
        data={"mode": policy.mode, "cwd": str(cwd)},
    )

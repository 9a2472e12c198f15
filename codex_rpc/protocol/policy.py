"""What may run, and how confined: approval policies, sandbox policies, decisions.

The order "stricter than" is defined here because a resumed session takes the stricter of
what was saved and what is configured.
"""

from __future__ import annotations

from typing import Literal, get_args

from codex_rpc.protocol.frozen import frozen

ApprovalPolicy = Literal["untrusted", "on-failure", "on-request", "never"]
"""Who is asked before a command runs.

`untrusted`: everything but trusted read-only commands is asked about. `on-failure`: asked when
a sandboxed command was denied something. `on-request`: asked when the model requests more.
`never`: nobody is asked; what would need asking is refused.
"""

SandboxMode = Literal["read-only", "workspace-write", "danger-full-access"]
SandboxMeans = Literal["bubblewrap", "landlock", "seatbelt", "none"]
"""What confines commands on a machine."""
Decision = Literal["approved", "approved_for_session", "denied", "abort"]

APPROVAL_POLICIES: tuple[ApprovalPolicy, ...] = get_args(ApprovalPolicy)
SANDBOX_MODES: tuple[SandboxMode, ...] = get_args(SandboxMode)


@frozen
class SandboxPolicy:
    """How a command is confined."""

    mode: SandboxMode
    writable_roots: tuple[str, ...] = ()
    """Absolute folders, besides cwd, that may be written in `workspace-write`."""
    network_access: bool = False
    """Whether `workspace-write` commands may reach the network."""

    @property
    def has_network(self) -> bool:
        """Whether a command under this policy reaches the network."""
        if self.mode == "danger-full-access":
            return True
        return self.mode == "workspace-write" and self.network_access


# How much each approval policy lets happen without asking, from strict to loose. `never` asks
# nobody, so with respect to what runs unasked it is the loosest.
_APPROVAL_LOOSENESS: dict[ApprovalPolicy, int] = {
    "untrusted": 0,
    "on-request": 1,
    "on-failure": 2,
    "never": 3,
}
_MODE_LOOSENESS: dict[SandboxMode, int] = {
    "read-only": 0,
    "workspace-write": 1,
    "danger-full-access": 2,
}


def stricter_approval(a: ApprovalPolicy, b: ApprovalPolicy) -> ApprovalPolicy:
    """Whichever of the two lets less run unasked."""
    return a if _APPROVAL_LOOSENESS[a] <= _APPROVAL_LOOSENESS[b] else b


def stricter_sandbox(a: SandboxPolicy, b: SandboxPolicy) -> SandboxPolicy:
    """A policy that allows no more than either of the two.

    Two `workspace-write` policies meet in the roots that both name, and in the network only
    if both allow it.
    """
    if a.mode != b.mode:
        return a if _MODE_LOOSENESS[a.mode] < _MODE_LOOSENESS[b.mode] else b
    if a.mode != "workspace-write":
        return a
    return SandboxPolicy(
        mode="workspace-write",
        writable_roots=tuple(root for root in a.writable_roots if root in b.writable_roots),
        network_access=a.network_access and b.network_access,
    )

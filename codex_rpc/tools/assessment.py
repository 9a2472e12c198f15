"""Whether a command runs, is asked about, or is refused.

Owns the table of approval policies, sandboxes and trusted commands. Pure: it asks nobody and
runs nothing.
"""

from __future__ import annotations

from pathlib import Path

from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxPolicy
from codex_rpc.sandbox.means import confine


@frozen
class Run:
    """Run `argv`; nobody is asked."""

    argv: tuple[str, ...]


@frozen
class Ask:
    """Run `argv` if the user agrees."""

    argv: tuple[str, ...]
    reason: str | None


@frozen
class Refuse:
    """Do not run it, and tell the model why."""

    message: str


Verdict = Run | Ask | Refuse


def assess(
    argv: tuple[str, ...],
    cwd: Path,
    *,
    approval: ApprovalPolicy,
    sandbox: SandboxPolicy,
    trusted: bool,
    justification: str | None,
) -> Verdict:
    """What to do with a command that the model wants to run in `cwd`.

    Where the sandbox cannot be had the command would run unconfined, so that is never done
    without a question, except for what is `trusted` to only read.
    """
    if trusted:
        return Run(argv)
    try:
        confined = confine(sandbox, argv, cwd)
    except SandboxUnavailable as exc:
        if approval == "never":
            return Refuse(
                f"the command was not run: {exc.message}, and the approval policy `never` lets "
                "nobody be asked whether it may run without one"
            )
        reason = f"{exc.message}, so the command would run unconfined"
        return Ask(argv, f"{reason}; the model says: {justification}" if justification else reason)
    if approval == "untrusted":
        return Ask(confined, justification)
    return Run(confined)

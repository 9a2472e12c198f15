"""Whether a command runs, how it is confined, and whether anybody is asked.

Owns the table of approval policies, sandbox modes, trusted commands and requests for more. Pure:
it asks nobody, runs nothing, and knows no sandbox but what that one says of itself. *May run* and
*without the sandbox* are two decisions: each verdict says both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import orjson

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxMode

Enclosure = Literal["none", "read-only", "session"]
"""What is to hold a command: nothing, the read-only policy, or the session's policy."""

MAX_JUSTIFICATION = 1_000
"""Characters; what is longer is cut, so that it cannot push the rest of a question away."""


@frozen(kw_only=True)
class Case:
    """What there is to know about a command before it is decided."""

    approval: ApprovalPolicy
    mode: SandboxMode
    trusted: bool
    escalated: bool = False
    """The model asks for it to run without the sandbox."""
    freed: bool = False
    """The user has approved, for the session, that exactly this runs without the sandbox."""

    @property
    def enclosure(self) -> Enclosure:
        """What would hold the command if it runs."""
        if self.mode == "danger-full-access":
            return "none"
        if self.escalated and self.approval in ("on-request", "untrusted"):
            return "none"
        if self.freed and self.approval in _ASKING_AFTER_DENIAL:
            return "none"
        return "read-only" if self.trusted else "session"

    @property
    def runs_as_trusted(self) -> bool:
        """Whether it runs, if it does, in the form in which it is trusted."""
        return self.trusted and (self.enclosure == "read-only" or self.mode == "danger-full-access")

    @property
    def asks_after_denial(self) -> bool:
        """Whether the user is asked about a run without the sandbox when one inside has failed
        because of it; else the model is told.

        What only reads is mostly stopped by a denied file among those that it came across. Nobody
        is to be asked about those each time; the model can say that it needs them.
        """
        if self.runs_as_trusted and not self.escalated:
            return False
        return self.approval in _ASKING_AFTER_DENIAL


_ASKING_AFTER_DENIAL: frozenset[ApprovalPolicy] = frozenset({"on-failure", "untrusted"})


@frozen
class Run:
    """Run it; nobody is asked."""


@frozen
class Ask:
    """Run it if the user agrees."""

    reason: str
    """For the user: why they are asked."""


@frozen
class Refuse:
    """Do not run it."""

    message: str
    """For the model: what was not done, why, and what it can do instead."""
    notice: str
    """For the user, whom nobody asks."""


Verdict = Run | Ask | Refuse


def assess(case: Case, gaps: Sequence[str], justification: str | None) -> Verdict:
    """What to do with a command; `gaps`: what its enclosure does not enforce here, as clauses."""
    if case.mode == "danger-full-access":
        if case.approval == "untrusted" and not case.trusted:
            return Ask(_reason("there is no sandbox (`danger-full-access`)", justification))
        return Run()
    if case.escalated and case.approval == "never":
        return Refuse(
            "the command was not run: it asked to run without the sandbox, and the approval "
            "policy `never` lets nobody be asked. Call it again without "
            "with_escalated_permissions to run it inside the sandbox",
            "the model asked to run it without the sandbox",
        )
    if case.enclosure == "none":
        cause = "the model asks to run it without the sandbox"
        if not case.escalated:
            cause = "it was allowed to run without the sandbox before"
        return Ask(_reason(cause, justification))
    if gaps:
        missing = "; ".join(gaps)
        if case.approval == "never":
            return Refuse(
                "the command was not run, because this machine cannot confine it as the sandbox "
                f"policy says ({missing}), and the approval policy `never` lets nobody be asked. "
                f"{_instead(case)}",
                f"what the sandbox policy says cannot be enforced here: {missing}",
            )
        return Ask(_reason(f"not everything is enforced here: {missing}", justification))
    if case.approval == "untrusted" and not case.trusted:
        return Ask(_reason("it is not known to only read (policy `untrusted`)", justification))
    return Run()


def rerun_reason(evidence: str, justification: str | None) -> str:
    """Why the user is asked to let a command run again, without the sandbox.

    `evidence`: the line of its output that looks as if the sandbox stopped it. A command can
    print what it likes, so the user is told no more than that.
    """
    return _reason(
        f"it failed, and its output says {quoted(evidence)}, which may be the sandbox; "
        "run it again, from its start, without the sandbox?",
        justification,
    )


def denial_note(case: Case, evidence: str) -> str:
    """What the model is told when the sandbox stopped a command and it does not run without."""
    stopped = f"the sandbox stopped it ({quoted(evidence)})"
    if case.asks_after_denial:
        return f"{stopped}; the user did not let it run without the sandbox"
    if case.approval == "never":
        return f"{stopped}; nobody can be asked, so it has to be done in another way"
    return f"{stopped}; if it cannot work inside, ask with with_escalated_permissions"


def _instead(case: Case) -> str:
    if case.mode == "read-only" or case.trusted:
        return "No command can run; tell the user what you would have run"
    return "Commands that are known to only read, such as ls, cat, grep and git diff, may still run"


def _reason(cause: str, justification: str | None) -> str:
    """`cause` is ours; what the model says is marked as such, in quotes and on one line."""
    if not justification or justification.isspace():
        return cause
    text = justification.strip()
    if len(text) > MAX_JUSTIFICATION:
        text = f"{text[:MAX_JUSTIFICATION]}…"
    return f"{cause}; the model says: {quoted(text)}"


def quoted(text: str) -> str:
    """`text` that is not ours, for a place in a sentence: in quotes and on one line."""
    return orjson.dumps(text.encode("utf-8", "replace").decode()).decode()

"""One row of the table: a command, what it needs around it, and where it may succeed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .stage import Stage

Mode = Literal["read-only", "workspace-write", "network"]
"""`network` is workspace-write with network access."""

MODES: tuple[Mode, ...] = ("read-only", "workspace-write", "network")
WRITING: frozenset[Mode] = frozenset({"workspace-write", "network"})

Gap = Literal["protected", "denied", "metadata"]
"""What Landlock does not enforce where anything may be written. The command is then refused, or
runs after a question that says so; only in the second case may such a row get out."""

GAP_WORDS: dict[Gap, str] = {
    "protected": "`.git` and `.codex`",
    "denied": "sandbox_deny_read",
    "metadata": "modes, owners",
}
"""What the question has to say of each."""

ATTEMPTING = "attempting"
"""The first word of every attempt's output."""

ACTS = Path(__file__).with_name("acts")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A way that might lead out."""

    name: str
    argv: tuple[str, ...]
    then: tuple[str, ...] | None = None
    """A second command, run afterwards under the same policy."""
    needs: tuple[str, ...] = ()
    """Names of `outsiders`."""
    arrange: Callable[[Stage], None] | None = None
    """Further preparations, before anything is looked at."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that the command is given; `{name}` is filled in from the others."""
    allowed: frozenset[Mode] = frozenset()
    """Where the policy lets it happen, and where it therefore has to succeed."""
    network: bool = False
    """Whether it may, and need not, get out where the network is allowed."""
    gap: Gap | None = None
    limit: str = ""
    """Why it may get out everywhere: a limit that the user is told of."""
    limited_in: frozenset[Mode] = frozenset(MODES)
    """Where `limit` holds."""
    impossible: Callable[[], str | None] = lambda: None
    """Why this machine lets nobody do it, whatever confines them; None: it does."""
    control_may_fail: str = ""
    """Why the attempt may come to nothing on some machines, where that cannot be known before."""
    as_nobody: bool = False
    """Whether an unprivileged user tries it."""
    exclusive: bool = False
    """Whether it is about something of which the machine has one."""


def shell(script: str, program: str = "/bin/sh") -> tuple[str, ...]:
    """A line of shell; every command of it runs, whatever became of the one before."""
    return (program, "-c", f"echo {ATTEMPTING}; {script}")


def act(module: str, name: str) -> tuple[str, ...]:
    """A function of `acts`."""
    return (sys.executable, "-E", "-s", "-S", str(ACTS / f"{module}.py"), name)

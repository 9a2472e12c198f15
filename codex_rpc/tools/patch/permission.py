"""Whether a patch is written, asked about, or refused.

Owns the table of approval policies for edits. Which files may be written is for others to say.
Pure but for the looks at the disk that this takes: it asks nobody and writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

import orjson

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.tools import TurnContext
from codex_rpc.tools.patch.plan import Plan

OUTSIDE = "patch rejected: writing outside of the project; rejected by user approval settings"

_MAX_SAID = 5
"""Reasons of each kind."""


class FileRules(Protocol):
    """What the session's sandbox says about single files."""

    def may_read(self, path: Path, cwd: Path) -> bool:
        """Whether `path`, as given and resolved, may be read in a session in `cwd`."""
        ...

    def write_problem(self, path: Path, policy: SandboxPolicy, cwd: Path) -> str | None:
        """Why our own tools may not write `path` unasked, in words; None: they may."""
        ...


@frozen
class Allowed:
    """Write it; nobody is asked."""


@frozen
class Ask:
    """Write it if the user agrees."""

    reason: str | None


@frozen
class Refuse:
    """Do not write it, and tell the model why."""

    message: str


Verdict = Allowed | Ask | Refuse


def assess(plan: Plan, context: TurnContext, rules: FileRules) -> Verdict:
    """What to do with `plan` in a turn with `context`."""
    policy, cwd = context.sandbox_policy, context.cwd
    problems: dict[str, Path] = {}
    for path in _written(plan):
        problem = rules.write_problem(path, policy, cwd)
        if problem is not None:
            problems.setdefault(problem, path)
    if context.approval_policy == "untrusted":
        return _question(plan, problems)
    if not problems:
        return Allowed()
    if context.approval_policy != "never":
        return _question(plan, problems)
    if policy.mode != "read-only" and any(
        _is_outside(path, policy, cwd) for path in problems.values()
    ):
        return Refuse(OUTSIDE)
    return Refuse(f"patch rejected: {_listed(problems)}; rejected by user approval settings")


def _written(plan: Plan) -> Iterator[Path]:
    """All that has to be allowed: each file, and for a link the folder that it is in too.

    Where a link leads says nothing about whether the link may be removed.
    """
    yield from plan.touched
    for edit in plan.edits:
        if edit.before is not None and edit.before.is_link:
            yield edit.target.parent


def _question(plan: Plan, problems: dict[str, Path]) -> Ask:
    """With what is wrong, and with what the description of the changes does not show."""
    replaced = [f"replaces the existing file {_quoted(path)}" for path in plan.replaced]
    reasons = [_listed(found) for found in (problems, replaced) if found]
    return Ask("; ".join(reasons) or None)


def _quoted(path: Path) -> str:
    return orjson.dumps(os.fsencode(path).decode("utf-8", "replace")).decode()


def _listed(reasons: Collection[str]) -> str:
    said = list(reasons)[:_MAX_SAID]
    more = len(reasons) - len(said)
    return "; ".join([*said, f"and {more} more"] if more else said)


def _is_outside(path: Path, policy: SandboxPolicy, cwd: Path) -> bool:
    real = Path(os.path.realpath(path))
    roots = [cwd, *map(Path, policy.writable_roots)]
    return not any(real.is_relative_to(os.path.realpath(root)) for root in roots)

"""From configuration to what a turn runs under, and from a saved session to a configuration.

Owns the rules of precedence between what a client says, what is configured and what a
session file remembers. The rule that matters: nothing in a session file can loosen a policy,
start a program or choose an address.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import attrs
from attrs import evolve

from codex_rpc.config.settings import Config
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.ops import ConfigureSession, OverrideTurnContext
from codex_rpc.protocol.params import SessionOverrides
from codex_rpc.protocol.policy import stricter_approval, stricter_sandbox
from codex_rpc.protocol.records import SavedContext
from codex_rpc.protocol.tools import TurnContext


def existing_directory(path: str, at: str) -> Path:
    """`path` as a Path.

    Raises:
        InvalidParams: it is relative, or no directory; the error names `at`.
    """
    directory = Path(path)
    if not directory.is_absolute() or not directory.is_dir():
        raise InvalidParams(
            at,
            "an absolute path of an existing directory",
            f"{at}: {path!r} is not the absolute path of an existing directory",
        )
    return directory


def context_of(config: Config) -> TurnContext:
    """What turns run under as long as nothing is overridden."""
    return TurnContext(
        cwd=config.cwd,
        approval_policy=config.approval_policy,
        sandbox_policy=config.sandbox_policy,
        model=config.model,
        effort=config.model_reasoning_effort,
        summary=config.model_reasoning_summary,
    )


def overridden(context: TurnContext, op: OverrideTurnContext) -> TurnContext:
    """`context` with what `op` gives."""
    return TurnContext(
        cwd=Path(op.cwd) if op.cwd is not None else context.cwd,
        approval_policy=op.approval_policy or context.approval_policy,
        sandbox_policy=op.sandbox_policy or context.sandbox_policy,
        model=op.model or context.model,
        effort=op.effort or context.effort,
        summary=op.summary or context.summary,
    )


def merged(overrides: SessionOverrides, op: ConfigureSession) -> SessionOverrides:
    """What the client has said so far, with what `op` says now on top."""
    names = [a.name for a in attrs.fields(SessionOverrides)]
    said = {n: getattr(op, n) for n in names if getattr(op, n) is not None}
    known = {n: getattr(overrides, n) for n in names}
    if op.config is not None and overrides.config is not None:
        said["config"] = {**overrides.config, **op.config}
    return SessionOverrides(**(known | said))


def is_empty(overrides: SessionOverrides) -> bool:
    """Whether nothing is said."""
    return all(getattr(overrides, a.name) is None for a in attrs.fields(SessionOverrides))


def with_saved_model(
    overrides: SessionOverrides, saved: SavedContext, known_providers: Collection[str]
) -> tuple[SessionOverrides, list[str]]:
    """`overrides` with the saved model and provider where the client names none; warnings."""
    warnings: list[str] = []
    config = overrides.config or {}
    if overrides.model is None and "model" not in config and saved.model is not None:
        overrides = evolve(overrides, model=saved.model)
    provider = saved.model_provider
    if overrides.model_provider is None and "model_provider" not in config and provider:
        if provider in known_providers:
            overrides = evolve(overrides, model_provider=provider)
        else:
            warnings.append(
                f"the session used the model provider {provider!r}, which is not configured here"
            )
    return overrides, warnings


def with_stricter_policies(
    config: Config, overrides: SessionOverrides, saved: SavedContext
) -> tuple[Config, list[str]]:
    """`config` under the stricter of the saved and the configured policies; warnings.

    A policy that the client gives explicitly stands.
    """
    warnings: list[str] = []
    if overrides.approval_policy is None and saved.approval_policy is not None:
        approval = stricter_approval(config.approval_policy, saved.approval_policy)
        if approval != saved.approval_policy:
            warnings.append(
                f"the session's approval policy {saved.approval_policy!r} is looser than the "
                f"configured {approval!r}, which holds now"
            )
        config = evolve(config, approval_policy=approval)
    if overrides.sandbox_policy is None and saved.sandbox_policy is not None:
        sandbox = stricter_sandbox(config.sandbox_policy, saved.sandbox_policy)
        if sandbox != saved.sandbox_policy:
            warnings.append(
                f"the session's sandbox policy {saved.sandbox_policy.mode!r} is looser than the "
                f"configured one; {sandbox.mode!r} holds now"
            )
        config = evolve(config, sandbox_policy=sandbox)
    return config, warnings

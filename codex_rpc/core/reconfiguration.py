"""From configuration to what a turn runs under, and from a saved session to a configuration.

Owns the rules of precedence between what a client says, what is configured and what a
session file remembers. The rule that matters: nothing in a session file can loosen a policy,
start a program or choose an address.
"""

from __future__ import annotations

import os
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
    directory = Path(os.path.normpath(path))
    if not directory.is_absolute() or not directory.is_dir():
        raise InvalidParams(
            at,
            "an absolute path of an existing directory",
            f"{at}: {path!r} is not the absolute path of an existing directory",
        )
    return directory


def normalised(cwd: str | None) -> str | None:
    """`cwd` as the files have it: without `..`, doubled or trailing slashes."""
    return os.path.normpath(cwd) if cwd else None


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
        effort=_unless_none(op.effort or context.effort),
        summary=_unless_none(op.summary or context.summary),
    )


def _unless_none(value: str | None) -> str | None:
    """As config.toml has it: what is called "none" is not asked for."""
    return None if value == "none" else value


def reconfigured(context: TurnContext, op: ConfigureSession, config: Config) -> TurnContext:
    """`context` with what `op` names, as `config` has it.

    What `op` does not name stays as it is, so that changing the model can never loosen a
    policy; a profile, which names them all at once, can only make a policy stricter.
    """
    said = op.config or {}
    by_profile = op.profile is not None

    def names(value: object, *keys: str) -> bool:
        return value is not None or any(key.split(".")[0] in keys for key in said)

    approval, sandbox = context.approval_policy, context.sandbox_policy
    if names(op.approval_policy, "approval_policy"):
        approval = config.approval_policy
    elif by_profile:
        approval = stricter_approval(approval, config.approval_policy)
    if names(op.sandbox_policy, "sandbox_mode", "sandbox_workspace_write"):
        sandbox = config.sandbox_policy
    elif by_profile:
        sandbox = stricter_sandbox(sandbox, config.sandbox_policy)
    model = by_profile or names(op.model, "model")
    effort = by_profile or names(op.model_reasoning_effort, "model_reasoning_effort")
    summary = by_profile or names(op.model_reasoning_summary, "model_reasoning_summary")
    return TurnContext(
        cwd=config.cwd,
        approval_policy=approval,
        sandbox_policy=sandbox,
        model=config.model if model else context.model,
        effort=config.model_reasoning_effort if effort else context.effort,
        summary=config.model_reasoning_summary if summary else context.summary,
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

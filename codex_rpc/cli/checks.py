"""Everything that `doctor` looks at, all at once.

Owns the list of checks, that they run side by side, and that neither a check that fails nor a
secret in what it says gets out. What is looked at is told by the modules beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
from attrs import evolve

from codex_rpc.cli import (
    config_checks,
    confinement_checks,
    local_checks,
    mcp_checks,
    program_checks,
    provider_checks,
    session_checks,
)
from codex_rpc.cli.findings import Check, Finding, Installation, in_thread
from codex_rpc.config.secrets import MIN_CHARS
from codex_rpc.core.redaction import Redactor
from codex_rpc.protocol.errors import CodexError

MIN_SECRET = 8
"""A shorter secret may be a word, and is told by nobody anyway."""

CHECKS = (
    Check("program", in_thread(program_checks.program)),
    Check("config", in_thread(config_checks.configuration)),
    Check("model", in_thread(provider_checks.model)),
    Check("credentials", in_thread(provider_checks.credentials)),
    Check("provider", provider_checks.provider),
    Check("local_servers", local_checks.local_servers),
    Check("home", in_thread(session_checks.home)),
    Check("sessions", session_checks.sessions),
    Check("sandbox", in_thread(confinement_checks.sandbox)),
    Check("policy", confinement_checks.policy),
    Check("deny_read", in_thread(confinement_checks.deny_read)),
    Check("mcp", mcp_checks.mcp),
    Check("editors", program_checks.editors),
    Check("packages", in_thread(program_checks.packages)),
    Check("git", program_checks.git),
)
"""In the order in which people want to know it. A new check is a function and a line here."""


async def examine(installation: Installation, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """What `checks` find, in their order. Takes as long as the slowest of them."""
    found: dict[str, Finding | None] = {}

    async def run(check: Check) -> None:
        found[check.name] = await _guarded(check, installation)

    async with anyio.create_task_group() as group:
        for check in checks:
            group.start_soon(run, check)
    redactor = Redactor(_secrets(installation))
    findings = (found[check.name] for check in checks)
    return [_redacted(finding, redactor) for finding in findings if finding is not None]


async def _guarded(check: Check, installation: Installation) -> Finding | None:
    """What the check finds, or that it could not look."""
    failures: list[Exception] = []
    try:
        return await check.look(installation)
    except* (OSError, ValueError, CodexError) as group:
        failures += _members(group)
    said = "; ".join(dict.fromkeys(_in_words(failure) for failure in failures))
    text = f"the check itself has failed: {said}"
    return Finding(check.name, "error", text, is_fatal=False)


def _members(group: BaseExceptionGroup[Any]) -> list[Exception]:
    """The exceptions in it, however deep."""
    found: list[Exception] = []
    for member in group.exceptions:
        found += _members(member) if isinstance(member, BaseExceptionGroup) else [member]
    return found


def _in_words(failure: Exception) -> str:
    if isinstance(failure, OSError) and failure.strerror:
        name = f": {failure.filename}" if isinstance(failure.filename, str) else ""
        return f"{failure.strerror}{name}"
    if isinstance(failure, CodexError):
        return failure.message
    # What else such an exception says may be part of a file.
    return type(failure).__name__


def _secrets(installation: Installation) -> list[str]:
    """Whatever must not be shown, should a server or a program have said it."""
    config = installation.config
    if config is None:
        return []
    provider = config.provider
    found = [provider.api_key or "", *provider.http_headers.values()]
    found += provider.query_params.values()
    for server in config.mcp_servers:
        found += server.http_headers.values()
        # A program may say what it was given, when something is wrong.
        found += (value for value in server.env.values() if len(value) >= MIN_CHARS)
        found += (value.removeprefix("Bearer ") for value in server.http_headers.values())
    long = {secret for secret in found if len(secret) >= MIN_SECRET}
    return [*long, *config.secrets]


def _redacted(finding: Finding, redactor: Redactor) -> Finding:
    def clean(value: Any) -> Any:
        match value:
            case str():
                return redactor.text(value)
            case Mapping():
                return {clean(name): clean(member) for name, member in value.items()}
            case list() | tuple():
                return [clean(member) for member in value]
            case _:
                return value

    return evolve(
        finding,
        text=redactor.text(finding.text),
        details=clean(finding.details),
        data=clean(finding.data),
    )

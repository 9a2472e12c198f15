"""What the model asks of the shell tool, in its two spellings.

Owns the shapes of the arguments and the texts that tell the model what is wrong with them.
Members that we do not know are ignored. It does not know whether the command may run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import orjson
from attrs import field

from codex_rpc.protocol.converter import structure
from codex_rpc.protocol.errors import BadArguments, InvalidParams
from codex_rpc.protocol.frozen import frozen

DEFAULT_TIMEOUT_MS = 10_000

MAX_ENV_CHARACTERS = 2_000
"""Of all names and values together: the user is shown them, and has to be able to read them."""

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

T = TypeVar("T")


@frozen
class ShellArguments:
    """`function_call.arguments` of `shell`."""

    command: list[str]
    workdir: str | None = None
    timeout: float | None = None
    """In milliseconds."""
    with_escalated_permissions: bool | None = None
    justification: str | None = None


@frozen
class LocalShellAction:
    """`local_shell_call.action`."""

    type: Literal["exec"]
    command: list[str]
    timeout_ms: float | None = None
    working_directory: str | None = None
    env: dict[str, str] | None = None
    user: str | None = None


@frozen(kw_only=True)
class Command:
    """One command that the model wants to run."""

    argv: tuple[str, ...]
    workdir: str | None = None
    """Relative to the turn's directory; None: there."""
    timeout_ms: float = DEFAULT_TIMEOUT_MS
    env: Mapping[str, str] = field(factory=dict)
    """Variables that the model adds."""
    escalated: bool = False
    """Whether the model asks for it to run without the sandbox."""
    justification: str | None = None
    """Why the model thinks that it should be allowed."""


def command_of_function(item: Mapping[str, Any]) -> Command:
    """The command of a `function_call` item.

    Raises:
        BadArguments: they are not JSON, or a member has the wrong type.
    """
    text = item.get("arguments")
    if not isinstance(text, str):
        raise _bad("arguments: expected a JSON object in a string")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise _bad(str(exc)) from exc
    given = _structure(value, ShellArguments)
    return Command(
        argv=tuple(given.command),
        workdir=given.workdir,
        timeout_ms=_timeout_ms("timeout", given.timeout),
        escalated=bool(given.with_escalated_permissions),
        justification=given.justification,
    )


def command_of_local_shell(item: Mapping[str, Any]) -> Command:
    """The command of a `local_shell_call` item.

    Raises:
        BadArguments: the action is no `exec`, or a member has the wrong type.
    """
    given = _structure(item.get("action"), LocalShellAction, at="action")
    if given.user:
        raise _bad("action.user: expected null; commands cannot run as another user")
    return Command(
        argv=tuple(given.command),
        workdir=given.working_directory,
        timeout_ms=_timeout_ms("action.timeout_ms", given.timeout_ms),
        env=_env(given.env or {}),
    )


def _env(given: dict[str, str]) -> dict[str, str]:
    # Names are shown to the user as they are.
    if not all(map(_ENV_NAME.fullmatch, given)):
        raise _bad("action.env: expected names of letters, digits and underscores")
    if any("\0" in value for value in given.values()):
        raise _bad("action.env: expected values without null bytes")
    if sum(len(name) + len(value) for name, value in given.items()) > MAX_ENV_CHARACTERS:
        raise _bad(f"action.env: expected at most {MAX_ENV_CHARACTERS} characters")
    return given


def _structure(value: Any, cls: type[T], *, at: str = "") -> T:
    try:
        return structure(value, cls, at=at)
    except InvalidParams as exc:
        raise _bad(f"{exc.path or 'arguments'}: expected {exc.expected}") from exc


def _timeout_ms(name: str, given: float | None) -> float:
    if given is None:
        return DEFAULT_TIMEOUT_MS
    if given <= 0:
        raise _bad(f"{name}: expected a positive number of milliseconds")
    return given


def _bad(what: str) -> BadArguments:
    return BadArguments(f"failed to parse function arguments: {what}")

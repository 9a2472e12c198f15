"""What the commands of `workspace/executeCommand` take: one object each.

Loaded when the first command comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from codex_rpc.protocol.converter import structure
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ops import Range

T = TypeVar("T")


@frozen(kw_only=True)
class TaskArguments:
    """codex.explain, codex.fix, codex.addTests, codex.ask."""

    camel: ClassVar[bool] = True
    forbid_unknown: ClassVar[bool] = True
    uri: str
    range: Range | None = None
    """In the client's position encoding; None or empty: the document as a whole."""
    diagnostics: list[Any] | None = None
    """LSP's diagnostics, as the editor has them."""
    prompt: str | None = None
    """What the user says; only codex.ask needs it."""
    session_id: str | None = None


@frozen(kw_only=True)
class InterruptArguments:
    """codex.interrupt."""

    camel: ClassVar[bool] = True
    forbid_unknown: ClassVar[bool] = True
    session_id: str | None = None


def argument(given: Sequence[Any] | None, cls: type[T]) -> T:
    """The one argument of a command; without any, an empty object.

    Raises:
        InvalidParams: it is not what the command takes.
    """
    if given is not None and len(given) > 1:
        raise InvalidParams("arguments", "one object")
    value = given[0] if given else {}
    try:
        return structure({} if value is None else value, cls)
    except InvalidParams as exc:
        path = f"arguments[0].{exc.path}" if exc.path else "arguments[0]"
        raise InvalidParams(path, exc.expected) from exc

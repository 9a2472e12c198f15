"""What is offered to the user on a selection and on diagnostics.

Owns titles, kinds and when which is offered; that they work is the business of `commands.py`.
Loaded when an editor asks for the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsprotocol import types

MAX_FIXES = 20
"""For how many diagnostics of one place a fix is offered."""

MAX_TITLE = 60
"""How many characters of a diagnostic's message a title has."""

_ON_SELECTION = (
    ("Codex: Explain", "codex.explain"),
    ("Codex: Add tests", "codex.addTests"),
    ("Codex: Ask…", "codex.ask"),
)


def offered(params: types.CodeActionParams, *, literals: bool) -> list[dict[str, Any]]:
    """The answer to `textDocument/codeAction`; without `literals`, plain commands."""
    actions: list[dict[str, Any]] = []
    context = params.context
    if _wanted("quickfix", context.only):
        actions += [_fix(params, diagnostic) for diagnostic in context.diagnostics[:MAX_FIXES]]
    if _wanted("refactor", context.only) and _is_asked_for(params):
        for title, command in _ON_SELECTION:
            arguments = _arguments(params, params.range, context.diagnostics)
            actions.append(_action(title, "refactor", command, arguments))
    return actions if literals else [action["command"] for action in actions]


def _wanted(kind: str, only: Sequence[types.CodeActionKind | str] | None) -> bool:
    if only is None:
        return True
    # A kind stands for all that are below it, and the empty one for all.
    return any(parent in ("", kind) for parent in only)


def _is_asked_for(params: types.CodeActionParams) -> bool:
    """Whether something is selected, or the user has opened the menu: an editor that only wants
    to know whether to show a lamp would show it everywhere."""
    asked = params.context.trigger_kind != types.CodeActionTriggerKind.Automatic
    return asked or params.range.start != params.range.end


def _fix(params: types.CodeActionParams, diagnostic: types.Diagnostic) -> dict[str, Any]:
    selected = params.range.start != params.range.end
    place = params.range if selected else diagnostic.range
    arguments = _arguments(params, place, [diagnostic])
    title = f"Codex: Fix: {_cut(diagnostic.message)}"
    return _action(title, "quickfix", "codex.fix", arguments) | {"diagnostics": [diagnostic]}


def _arguments(
    params: types.CodeActionParams, place: types.Range, diagnostics: Sequence[types.Diagnostic]
) -> dict[str, Any]:
    arguments: dict[str, Any] = {"uri": params.text_document.uri, "range": place}
    if diagnostics:
        arguments["diagnostics"] = list(diagnostics)
    return arguments


def _action(title: str, kind: str, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    run = {"title": title, "command": command, "arguments": [arguments]}
    return {"title": title, "kind": kind, "command": run}


def _cut(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= MAX_TITLE else f"{line[: MAX_TITLE - 1]}…"

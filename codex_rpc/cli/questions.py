"""Questions to the user at the terminal: may this run?

Owns how a request looks and which key is which decision. What decides is a single key that is
pressed after the question was shown; without a terminal, and when it goes away, the answer is
no. Does not know what becomes of the answer.
"""

from __future__ import annotations

import os
from contextlib import closing

import anyio
from rich.console import RenderableType
from rich.text import Text

from codex_rpc.cli.terminal import Hanging, Keyboard, Screen, exact, shown_command
from codex_rpc.cli.view import shown_invocation
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    Changes,
    ExecApprovalRequest,
)
from codex_rpc.protocol.policy import Decision
from codex_rpc.rpc.stdio import writer_for

KEYS: dict[str, tuple[Decision, str]] = {
    "y": ("approved", "yes, once"),
    "s": ("approved_for_session", "yes, and for the rest of this session"),
    "n": ("denied", "no"),
    "q": ("abort", "no, and stop the turn"),
}
CHOICES = "y yes   s yes, for this session   n no   q stop the turn"
DENIED = (
    "denied: there is no terminal to ask at; `-s danger-full-access -a never` lets everything "
    "run unasked and unconfined"
)


async def decide(request: ApprovalRequest, screen: Screen) -> Decision:
    """The user's decision, asked for on `screen`, or on their terminal if that is none.

    Cancelled, it leaves the terminal as it was. To be called for one question at a time.
    """
    keyboard = Keyboard.find()
    if keyboard is None:
        await screen.print(*_question(request), Text(DENIED, style="red"))
        return "denied"
    with closing(keyboard):
        if screen.is_terminal:
            return await _decision(request, keyboard, screen)
        with closing(writer_for(os.dup(keyboard.fd))) as writer:
            return await _decision(request, keyboard, Screen(keyboard.fd, writer))


async def _decision(request: ApprovalRequest, keyboard: Keyboard, screen: Screen) -> Decision:
    await screen.print(*_question(request), Text(CHOICES, style="bold"))
    try:
        with keyboard.single_keys():
            await screen.stream("> ", "bold")
            while (key := (await keyboard.key()).lower()) not in KEYS:
                if not key:
                    await screen.stream("no: the terminal is gone", "red", end="\n")
                    return "denied"
                await screen.stream(f"one of {', '.join(KEYS)}\n> ", "bold")
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await screen.stream("(no longer asked)", "yellow", end="\n")
        raise
    decision, words = KEYS[key]
    style = "green" if decision.startswith("approved") else "red"
    await screen.stream(words, style, end="\n")
    return decision


def _question(request: ApprovalRequest) -> list[RenderableType]:
    """What is asked, completely: nothing that is decided about is hidden."""
    rows: list[tuple[str, str, str]] = []
    if isinstance(request, ExecApprovalRequest):
        title, body = "Run this command?", shown_command(request.command)
        rows.append(("in", request.cwd, ""))
        rows.append(_confinement(request))
    elif isinstance(request, ApplyPatchApprovalRequest):
        title, body = "Make these changes?", _shown_changes(request.changes)
        if request.grant_root is not None:
            rows.append(("also", f"write below {request.grant_root} from now on", "yellow"))
    else:
        title, body = "Call this tool?", shown_invocation(request.invocation)
    if request.reason is not None:
        rows.append(("why", " ".join(request.reason.split()), ""))
    return [
        Text(title, style="bold yellow"),
        Hanging(Text(body, style="bold"), "    "),
        *(
            Hanging(Text(exact(t), style=style), Text(f"{n:<10}", style="dim"))
            for n, t, style in rows
        ),
    ]


def _confinement(request: ExecApprovalRequest) -> tuple[str, str, str]:
    network = "with network" if request.network else "no network"
    if request.sandbox == "none":
        return ("confined", "NO: it may do whatever you may", "red")
    return ("confined", f"{request.sandbox}, {network}", "")


def _shown_changes(changes: Changes) -> str:
    lines: list[str] = []
    for path, change in changes.items():
        if change == "delete":
            lines.append(f"delete {path}")
        elif change.add is not None:
            lines += [f"add {path}", *(f"+{line}" for line in change.add.content.splitlines())]
        elif change.update is not None:
            moved = f" -> {change.update.move_path}" if change.update.move_path else ""
            lines += [f"update {path}{moved}", *change.update.unified_diff.splitlines()]
    return exact("\n".join(lines))

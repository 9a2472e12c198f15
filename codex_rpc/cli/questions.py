"""Questions to the user at the terminal: may this run?

Owns how a request looks and which key is which decision. What decides is a single key that is
pressed after the question was shown; without a terminal, and when it goes away, the answer is
no. Does not know what becomes of the answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing

import anyio
from rich.console import RenderableType
from rich.text import Text

from codex_rpc.cli.answers import shown_invocation
from codex_rpc.cli.changes import spelt_out
from codex_rpc.cli.terminal import Hanging, Keyboard, Screen, exact, shown_command
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    ExecApprovalRequest,
)
from codex_rpc.protocol.policy import Decision
from codex_rpc.rpc.stdio import writer_for

Keys = Mapping[str, tuple[Decision, str, str]]
"""By key: the decision, the words beside the key, and those that repeat it."""

NO: Keys = {"n": ("denied", "no", "no"), "q": ("abort", "stop the turn", "no, and stop the turn")}
COMMAND_KEYS: Keys = {
    "y": ("approved", "yes", "yes, once"),
    "s": (
        "approved_for_session",
        "yes, for this session",
        "yes, and for the rest of this session",
    ),
    **NO,
}
PATCH_KEYS: Keys = {"y": ("approved", "yes", "yes"), **NO}
TOOL_KEYS: Keys = {
    "y": ("approved", "yes", "yes, once"),
    "s": (
        "approved_for_session",
        "yes, this tool for this session",
        "yes, and with whatever arguments for the rest of this session",
    ),
    **NO,
}
SANDBOXES = {
    "read-only": "read-only: it can change no file",
    "workspace-write": "workspace-write: it can change files below the working directory and "
    "what is configured",
}
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
        await screen.print(*shown_request(request), Text(DENIED, style="red"))
        return "denied"
    with closing(keyboard):
        if screen.is_terminal:
            return await _decision(request, keyboard, screen)
        with closing(writer_for(os.dup(keyboard.fd))) as writer:
            return await _decision(request, keyboard, Screen(keyboard.fd, writer))


async def _decision(request: ApprovalRequest, keyboard: Keyboard, screen: Screen) -> Decision:
    keys = _keys(request)
    choices = "   ".join(f"{key} {words}" for key, (_, words, _) in keys.items())
    await screen.print(*shown_request(request), Text(choices, style="bold"))
    try:
        with keyboard.single_keys():
            await screen.stream("> ", "bold")
            while (key := (await keyboard.key()).lower()) not in keys:
                if not key:
                    await screen.stream("no: the terminal is gone", "red", end="\n")
                    return "denied"
                await screen.stream(f"one of {', '.join(keys)}\n> ", "bold")
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await screen.stream("(no longer asked)", "yellow", end="\n")
        raise
    decision, _, words = keys[key]
    style = "green" if decision.startswith("approved") else "red"
    await screen.stream(words, style, end="\n")
    return decision


def _keys(request: ApprovalRequest) -> Keys:
    if isinstance(request, ExecApprovalRequest):
        return COMMAND_KEYS
    # An approval for the session covers no other patch, so it is not offered.
    return PATCH_KEYS if isinstance(request, ApplyPatchApprovalRequest) else TOOL_KEYS


def shown_request(request: ApprovalRequest) -> list[RenderableType]:
    """What is asked, completely: nothing that is decided about is hidden."""
    rows: list[tuple[str, str, str]] = []
    if isinstance(request, ExecApprovalRequest):
        title, body = "Run this command?", Text(shown_command(request.command), style="bold")
        # A line of its own is ours; the name of a folder is anybody's.
        rows.append(("in", request.cwd.replace("\n", "\\n"), ""))
        rows.append(_confinement(request))
    elif isinstance(request, ApplyPatchApprovalRequest):
        title, body = "Make these changes?", spelt_out(request.changes)
        if request.grant_root is not None:
            rows.append(("also", f"write below {request.grant_root!r} from now on", "yellow"))
    else:
        title, body = "Call this tool?", Text(shown_invocation(request.invocation), style="bold")
        rows.append(("confined", "NO: MCP servers are programs of your own", "yellow"))
    if request.reason is not None:
        rows.append(("why", " ".join(request.reason.split()), ""))
    return [
        Text(title, style="bold yellow"),
        Hanging(body, "    "),
        *(
            Hanging(Text(exact(t), style=style), Text(f"{n:<10}", style="dim"))
            for n, t, style in rows
        ),
    ]


def _confinement(request: ExecApprovalRequest) -> tuple[str, str, str]:
    if request.sandbox == "none":
        return ("confined", "NO: it may do whatever you may", "red")
    network = "it has network" if request.network else "no network"
    return ("confined", f"{SANDBOXES[request.sandbox]}; {network}", "")

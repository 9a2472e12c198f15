"""How our own tools are described to the model, in the Responses API's form.

Owns the choice, which depends on the model and the policies, and the shell tool's definition;
those of the other tools stand beside what they define.
"""

from __future__ import annotations

from typing import Any

from codex_rpc.protocol.tools import TurnContext

LOCAL_SHELL_MODELS = frozenset({"codex-mini-latest"})
"""Models that know a shell tool of their own and need no definition of ours."""

_SHELL_PARAMETERS: dict[str, Any] = {
    "command": {
        "type": "array",
        "items": {"type": "string"},
        "description": "The program and its arguments.",
    },
    "workdir": {
        "type": "string",
        "description": "Where to run it; relative to, and by default, the session's working "
        "directory.",
    },
    "timeout": {
        "type": "number",
        "description": "After how many milliseconds it is stopped; 10000 by default.",
    },
}

_ESCALATION: dict[str, Any] = {
    "with_escalated_permissions": {
        "type": "boolean",
        "description": "Ask the user to let it run outside the sandbox. Only for what cannot work "
        "inside.",
    },
    "justification": {
        "type": "string",
        "description": "One sentence for the user: why it should be allowed.",
    },
}


def specs_for(context: TurnContext) -> list[dict[str, Any]]:
    """The definitions for a turn with `context`, always in the same order."""
    # Only here: whoever answers a call, or starts a session, does not wait for all of them.
    from codex_rpc.tools import image, plan
    from codex_rpc.tools.patch import tool as patch

    return [_shell(context), patch.SPEC, plan.SPEC, image.SPEC]


def _shell(context: TurnContext) -> dict[str, Any]:
    if context.model in LOCAL_SHELL_MODELS:
        return {"type": "local_shell"}
    parameters = dict(_SHELL_PARAMETERS)
    confined = context.sandbox_policy.mode != "danger-full-access"
    if confined and context.approval_policy == "on-request":
        # Elsewhere there is no sandbox to leave, or the user is asked without being told to.
        parameters |= _ESCALATION
    return {
        "type": "function",
        "name": "shell",
        "description": (
            "Run a program on the user's machine and get what it printed. The program is started "
            "directly, not by a shell, with an empty stdin; for pipes, redirections and the like "
            'start one: ["bash", "-lc", "..."]. Processes that are still in the background when '
            "the program ends are stopped. Depending on the user's settings the user is asked "
            "first, and may decline."
        ),
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": parameters,
            "required": ["command"],
            "additionalProperties": False,
        },
    }

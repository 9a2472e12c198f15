"""How our own tools are described to the model, in the Responses API's form.

Owns the definitions, and their choice, which depends on the model and the policies. The tools
themselves are not needed for it, and a turn begins without waiting for them.
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


APPLY_PATCH: dict[str, Any] = {
    "type": "function",
    "name": "apply_patch",
    "description": """\
Create, change, move and delete text files. Either the whole patch takes effect or nothing of it.
Depending on the user's settings the user is asked first, and may decline.

A patch:

*** Begin Patch
*** Add File: docs/new.txt
+every line of the new file
+begins with a plus
*** Update File: src/app.py
*** Move to: src/main.py
@@ class App:
@@     def run(self):
         ready = True
-        old_line()
+        new_line()
         finish()
*** Delete File: docs/old.txt
*** End Patch

Paths are relative to the working directory. `*** Move to:` is optional, and may come without any \
change of lines. The lines of an update are the file's own, each behind one character: a blank \
for a line that stays, `-` for one that goes, `+` for one that comes. Give about three lines that \
stay on each side of a change, so that the place is clear. Where that is not enough, begin with \
`@@ ` and a complete line further up, such as the head of the class or function; several of them \
lead from the outer to the inner one. Each new place in the same file begins with `@@`, and \
places go from top to bottom. Put `*** End of File` behind lines that are the last of the file. \
Lines that only come, without any that stay or go, are put right behind the `@@` line, or without \
one at the end of the file. Adding a file that exists replaces it.""",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {
            "input": {
                "type": "string",
                "description": "The patch, from `*** Begin Patch` to `*** End Patch`.",
            },
        },
        "required": ["input"],
        "additionalProperties": False,
    },
}

UPDATE_PLAN: dict[str, Any] = {
    "type": "function",
    "name": "update_plan",
    "description": (
        "Show the user what you are going to do as a list of short steps, and how far you are. "
        "Each call replaces the list before, so send all steps. Have one step in progress at a "
        "time until all are completed. Leave it out for what takes a step or two."
    ),
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {
            "explanation": {
                "type": "string",
                "description": "One sentence for the user: why the plan is new or different.",
            },
            "plan": {
                "type": "array",
                "description": "The steps, in order.",
                "items": {
                    "type": "object",
                    "properties": {
                        "step": {"type": "string", "description": "A few words."},
                        "status": {
                            "type": "string",
                            "enum": ["pending", "in_progress", "completed"],
                        },
                    },
                    "required": ["step", "status"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["plan"],
        "additionalProperties": False,
    },
}

VIEW_IMAGE: dict[str, Any] = {
    "type": "function",
    "name": "view_image",
    "description": "Look at an image file on the user's machine: PNG, JPEG, GIF or WebP.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "description": "The file; relative to the session's working directory.",
            },
        },
        "required": ["path"],
        "additionalProperties": False,
    },
}


def specs_for(context: TurnContext) -> list[dict[str, Any]]:
    """The definitions for a turn with `context`, always in the same order."""
    return [_shell(context), APPLY_PATCH, UPDATE_PLAN, VIEW_IMAGE]


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

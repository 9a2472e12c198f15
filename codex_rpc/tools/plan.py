"""The plan tool: the model says what it is going to do, and how far it is.

Owns the definition of the tool. The plan itself is the model's and the client's: nothing of it
is kept here.
"""

from __future__ import annotations

from typing import Any

from codex_rpc.protocol.events import PlanStep, PlanUpdate
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.tools import ToolHost, ToolOutcome
from codex_rpc.tools.function_arguments import arguments_of

SPEC: dict[str, Any] = {
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

UPDATED = "Plan updated"


@frozen
class _Arguments:
    """`function_call.arguments` of `update_plan`."""

    plan: list[PlanStep]
    explanation: str | None = None


async def update_plan(call: Item, _host: ToolHost) -> ToolOutcome:
    """Answer a `function_call` of `update_plan`. The event follows when the answer is recorded.

    Raises:
        BadArguments: the arguments do not fit.
    """
    given = arguments_of(call, _Arguments)
    return ToolOutcome(UPDATED, (PlanUpdate(given.plan, given.explanation),))

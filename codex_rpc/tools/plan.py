"""The plan tool: the model says what it is going to do, and how far it is.

The plan itself is the model's and the client's: nothing of it is kept here.
"""

from __future__ import annotations

from codex_rpc.protocol.events import PlanStep, PlanUpdate
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.tools import ToolHost, ToolOutcome
from codex_rpc.tools.function_arguments import arguments_of

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

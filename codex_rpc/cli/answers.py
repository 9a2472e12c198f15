"""Calls of MCP servers' tools and plans, as a person reads them.

Knows nothing of when they are shown, nor where.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from codex_rpc.cli.terminal import Hanging, exact, unstyled
from codex_rpc.protocol.events import McpInvocation, PlanUpdate
from codex_rpc.protocol.frozen import frozen

PLAN_MARKS = {
    "pending": ("[ ]", ""),
    "in_progress": ("[>]", "bold"),
    "completed": ("[x]", "dim"),
}


def plan_lines(update: PlanUpdate) -> list[Hanging]:
    """A title, then the steps, each with a mark."""
    lines = [Hanging(Text(exact(update.explanation or "plan"), style="yellow"), "")]
    for step in update.plan:
        mark, style = PLAN_MARKS[step.status]
        lines.append(Hanging(Text(exact(step.step), style=style), Text(f"  {mark} ", style=style)))
    return lines


def shown_invocation(invocation: McpInvocation) -> str:
    """A tool call as one reads it, nothing hidden."""
    arguments = json.dumps(invocation.arguments or {}, ensure_ascii=False)
    return exact(f"{invocation.server}.{invocation.tool} {arguments}")


@frozen
class Answer:
    """What a tool has answered."""

    lines: list[str]
    """Its texts; of other content what it is."""
    failure: str | None
    """Why there is no good answer."""

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Answer:
        """That in the `result` of an `mcp_tool_call_end`."""
        if "Err" in result:
            return cls([], str(result["Err"]))
        said = result.get("Ok") or {}
        parts = [part for part in said.get("content") or () if isinstance(part, dict)]
        text = "\n".join(str(part.get("text", f"({part.get('type')})")) for part in parts)
        failure = "the tool says so" if said.get("isError") else None
        return cls([unstyled(line) for line in text.splitlines()], failure)

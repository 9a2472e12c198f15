"""Messages that every request carries and no session file does: surroundings and AGENTS.md.

They are derived anew for each request, so a resumed session tells the model where it is now
and not where it was.
"""

from __future__ import annotations

from codex_rpc.core.prompts import interruption_note
from codex_rpc.protocol.items import Item, text_message
from codex_rpc.protocol.tools import TurnContext


def environment_message(context: TurnContext) -> Item:
    """Where commands run and what they may do."""
    policy = context.sandbox_policy
    network = "enabled" if policy.has_network else "restricted"
    lines = [
        f"Current working directory: {context.cwd}",
        f"Approval policy: {context.approval_policy}",
        f"Sandbox policy: {policy.mode}",
        f"Network access: {network}",
    ]
    if policy.mode == "workspace-write" and policy.writable_roots:
        lines.append(f"Writable besides the working directory: {', '.join(policy.writable_roots)}")
    return text_message("<environment_context>\n" + "\n".join(lines) + "\n</environment_context>")


def instructions_message(user_instructions: str) -> Item:
    """What the user's AGENTS.md files say."""
    return text_message(f"<user_instructions>\n{user_instructions}\n</user_instructions>")


def interruption_message() -> Item:
    """That the turn before did not come to its end; goes before the input that follows it."""
    note = interruption_note()
    return text_message(f"<interrupted_turn>\n{note}\n</interrupted_turn>")


def injected_messages(context: TurnContext, user_instructions: str | None) -> list[Item]:
    """What goes before the conversation in a request."""
    messages = [environment_message(context)]
    if user_instructions:
        messages.append(instructions_message(user_instructions))
    return messages

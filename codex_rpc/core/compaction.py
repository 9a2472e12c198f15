"""Replacing a conversation by its summary when it gets too long.

Owns when that is due, the request that asks for the summary, and what takes the place of the
conversation. Everything before stays in the session's file; only what the model is sent
becomes shorter.
"""

from __future__ import annotations

from collections.abc import Sequence

from codex_rpc.core.prompts import compaction_instructions
from codex_rpc.core.retries import Retries
from codex_rpc.core.surroundings import Surroundings
from codex_rpc.protocol.errors import ContextFull, ModelError, StreamInterrupted
from codex_rpc.protocol.items import Item, message_text, part_texts, text_message
from codex_rpc.protocol.model import ItemDone, Prompt, ResponseCompleted, Usage
from codex_rpc.protocol.tools import TurnContext

SHARE_OF_WINDOW = 0.9
"""A conversation that fills more of the context window is compacted."""
SHORT = 2
"""So many items are not compacted."""
OUTPUT_CHARS = 1000
"""Of an output, what the summary is made from where there is not enough room."""
REQUEST = "Write the summary now."


def is_due(env: Surroundings, model: str, limit: int | None) -> bool:
    """Whether the conversation has more tokens than `limit`.

    None: nine tenths of the model's context window, if that is known; 0: never. A conversation
    that is little more than a summary stays: to compact it again would not make it shorter.
    """
    if limit is None:
        window = env.model.context_window(model)
        limit = int(window * SHARE_OF_WINDOW) if window else 0
    return 0 < limit < env.history.tokens and is_possible(env)


def too_long(exc: ContextFull) -> ContextFull:
    """What to say when nothing more can be left out."""
    happened = exc.message.removesuffix(".")
    return ContextFull(
        f"{happened}. Send less at once, or set model_context_window if the model takes more."
    )


def is_possible(env: Surroundings) -> bool:
    """Whether a summary could make the conversation shorter."""
    return len(env.history.items) > SHORT


async def ask_for_summary(
    env: Surroundings, context: TurnContext, retries: Retries
) -> tuple[str, Usage | None]:
    """The model's summary of the conversation, and what it cost.

    Where the conversation does not even fit into the request for its summary, long outputs lose
    their ends; then its older half is left out, again and again.

    Raises:
        ModelError: there is none, after all retries.
    """
    items: list[Item] = list(env.history.items)
    while True:
        prompt = Prompt(
            instructions=compaction_instructions(),
            input=[*items, text_message(REQUEST)],
            tools=[],
            model=context.model,
            session_id=env.session_id,
            effort=context.effort,
        )
        try:
            return await _answer(env, prompt)
        except ContextFull as exc:
            shorter = [_shortened(item) for item in items]
            items = _newer_half(items) if shorter == items else shorter
            if not items:
                raise too_long(exc) from exc
        except ModelError as exc:
            if not await retries.pause(exc):
                raise


async def _answer(env: Surroundings, prompt: Prompt) -> tuple[str, Usage | None]:
    text, usage = "", None
    async with env.model.stream(prompt) as events:
        async for event in events:
            if isinstance(event, ItemDone) and event.item.kind == "message":
                text = message_text(event.item.value()) or text
            elif isinstance(event, ResponseCompleted):
                usage = event.usage
    if not text.strip():
        raise StreamInterrupted("the model gave no summary of the conversation")
    return env.redactor.text(text.strip()), usage


def _shortened(item: Item) -> Item:
    """An output with its beginning only; any other item as it is."""
    if not item.is_output or len(item.raw) <= 2 * OUTPUT_CHARS:
        return item
    value = item.value()
    output = value.get("output")
    said = output if isinstance(output, str) else "".join(part_texts(output, "input_text", "text"))
    value["output"] = said[:OUTPUT_CHARS] + "\n[the rest is left out]"
    return Item.from_value(value)


def _newer_half(items: list[Item]) -> list[Item]:
    """The second half, without outputs whose calls are in the first.

    What follows from a thought of the first half stays behind with it: some servers refuse it
    without.
    """
    cut = (len(items) + 1) // 2
    while cut < len(items) and items[cut - 1].kind == "reasoning":
        cut += 1
    newer = items[cut:]
    calls = {item.call_id for item in newer if item.is_call}
    return [item for item in newer if not item.is_output or item.call_id in calls]


def with_running_task(summary: str, inputs: Sequence[str]) -> str:
    """`summary`, and what the user has asked for in the turn that goes on after it.

    The model's own words about a task that is under way are no match for the user's.
    """
    if not inputs:
        return summary
    asked = "\n\n".join(inputs)
    return f"{summary}\n\nThe user's request that is being worked on, word for word:\n\n{asked}"

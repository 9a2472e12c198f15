"""What the Responses API is asked: the body, streamed from the items' own bytes.

A conversation can be twenty megabytes in a hundred thousand items. They are sent as the bytes
in which they are kept: never parsed again, and never all in one piece.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from itertools import accumulate
from typing import Any

import orjson

from codex_rpc.config.families import family_of
from codex_rpc.config.settings import Config
from codex_rpc.model.chat_messages import whole_arguments
from codex_rpc.model.http_request import CHUNK_BYTES
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import Prompt


class ResponsesBody:
    """The JSON of one request; iterating gives its bytes in chunks, any number of times."""

    def __init__(self, config: Config, prompt: Prompt) -> None:
        head = {"model": prompt.model, "instructions": prompt.instructions}
        self._head = orjson.dumps(head)[:-1] + b',"input":['
        self._tail = b"]," + orjson.dumps(_options(config, prompt))[1:]
        self._raw = _usable(prompt.input, is_local=config.provider.local is not None)
        self._begins = list(accumulate([len(raw) + 1 for raw in self._raw], initial=0))
        """Where each begins, counted from the first, and where one behind the last would."""
        inside = max(0, self._begins[-1] - 1)
        self.length = len(self._head) + inside + len(self._tail)
        """In bytes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = len(self._raw)
        head, begin = self._head, 0
        while begin < count:
            end = bisect_left(self._begins, self._begins[begin] + CHUNK_BYTES, begin + 1, count)
            yield head + b",".join(self._raw[begin:end])
            head, begin = b",", end
        yield self._tail if count else head + self._tail


def _usable(items: Sequence[Item], *, is_local: bool) -> list[bytes]:
    """`items` as every server takes them: without reasoning that only another dialect could show,
    which has neither a name nor a content that a server of this one knows, and with arguments
    that were cut off made whole. llama.cpp takes them apart, and would refuse the conversation for
    ever.
    """
    usable = []
    for item in items:
        kind, raw = item.kind, item.raw
        if kind == "reasoning" and _is_foreign_reasoning(item):
            continue
        # What is merely wrong is the model's own, and goes back as it came; but such servers do
        # not say that they have cut off a call.
        if kind == "function_call" and (is_local or b'"incomplete"' in raw):
            raw = _with_whole_arguments(item)
        usable.append(raw)
    return usable


def _is_foreign_reasoning(item: Item) -> bool:
    value = item.value()
    return not (value.get("id") or value.get("encrypted_content"))


def _with_whole_arguments(item: Item) -> bytes:
    value = item.value()
    arguments = value.get("arguments")
    whole = whole_arguments(arguments if isinstance(arguments, str) else "")
    if whole == arguments:
        return item.raw
    return Item.from_value({**value, "arguments": whole}).raw


def _options(config: Config, prompt: Prompt) -> dict[str, Any]:
    options: dict[str, Any] = {
        "tools": list(prompt.tools),
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }
    summary = None if prompt.summary == "none" else prompt.summary
    reasoning = {"effort": prompt.effort, "summary": summary}
    reasoning = {key: value for key, value in reasoning.items() if value is not None}
    reasons = family_of(prompt.model).reasons is not False
    if reasoning and reasons:
        options["reasoning"] = reasoning
    if config.model_max_output_tokens is not None:
        options["max_output_tokens"] = config.model_max_output_tokens
    options["store"] = prompt.store
    options["stream"] = True
    # Without the server's copy, its own reasoning comes back to it only through us.
    keeps_reasoning = prompt.store or not reasons
    options["include"] = [] if keeps_reasoning else ["reasoning.encrypted_content"]
    if prompt.previous_response_id is not None:
        options["previous_response_id"] = prompt.previous_response_id
    options["prompt_cache_key"] = prompt.session_id
    return options

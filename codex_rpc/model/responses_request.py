"""What the Responses API is asked: the body, streamed from the items' own bytes.

A conversation can be twenty megabytes in a hundred thousand items. They are sent as the bytes
in which they are kept: never parsed again, and never all in one piece.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import islice
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
        self._items = _usable(prompt.input, is_local=config.provider.local is not None)
        self._count = len(self._items)
        self.length = (
            len(self._head)
            + sum(len(item.raw) for item in self._items)
            + max(0, self._count - 1)
            + len(self._tail)
        )
        """In bytes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = [self._head]
        size = len(self._head)
        comma = b""
        for item in islice(self._items, self._count):
            pieces += (comma, item.raw)
            size += len(comma) + len(item.raw)
            comma = b","
            if size >= CHUNK_BYTES:
                yield b"".join(pieces)
                pieces, size = [], 0
        pieces.append(self._tail)
        yield b"".join(pieces)


def _usable(items: Sequence[Item], *, is_local: bool) -> Sequence[Item]:
    """`items` as every server takes them: without reasoning that only another dialect could show,
    which has neither a name nor a content that a server of this one knows, and with arguments
    that were cut off made whole. llama.cpp takes them apart, and would refuse the conversation for
    ever.
    """
    return [
        _with_whole_arguments(item, is_local=is_local)
        for item in items
        if not _is_foreign_reasoning(item)
    ]


def _is_foreign_reasoning(item: Item) -> bool:
    if item.kind != "reasoning":
        return False
    value = item.value()
    return not (value.get("id") or value.get("encrypted_content"))


def _with_whole_arguments(item: Item, *, is_local: bool) -> Item:
    # What is merely wrong is the model's own, and goes back as it came; but such servers do not
    # say that they have cut off a call.
    if item.kind != "function_call" or not (is_local or b'"incomplete"' in item.raw):
        return item
    value = item.value()
    arguments = value.get("arguments")
    whole = whole_arguments(arguments if isinstance(arguments, str) else "")
    return item if whole == arguments else Item.from_value({**value, "arguments": whole})


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

"""What the Chat Completions API is asked: the body, made in chunks and sent in chunks.

The messages are made anew from the items for each request. Of a long conversation there is
then one copy, in the bytes that are sent, and never a second one as objects.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson

from codex_rpc.config.families import family_of
from codex_rpc.config.settings import Config
from codex_rpc.model.chat_messages import messages_of
from codex_rpc.model.http_request import CHUNK_BYTES
from codex_rpc.protocol.model import Prompt


class ChatBody:
    """The JSON of one request; iterating gives its bytes in chunks, any number of times."""

    def __init__(self, config: Config, prompt: Prompt) -> None:
        """Takes some 15 ms for each megabyte of conversation. May be called in any thread."""
        self._chunks = list(_chunks(config, prompt))
        self.length = sum(map(len, self._chunks))
        """In bytes."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def _chunks(config: Config, prompt: Prompt) -> Iterator[bytes]:
    pieces = [orjson.dumps({"model": prompt.model})[:-1], b',"messages":[']
    size, comma = 0, b""
    for message in messages_of(prompt.instructions, prompt.input):
        piece = orjson.dumps(message)
        pieces += (comma, piece)
        size += len(comma) + len(piece)
        comma = b","
        if size >= CHUNK_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    options = orjson.dumps(_options(config, prompt))
    yield b"".join((*pieces, b"],", options[1:]))


def _options(config: Config, prompt: Prompt) -> dict[str, Any]:
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    tools = [tool for spec in prompt.tools if (tool := _tool(spec)) is not None]
    if tools:
        options["tools"] = tools
        options["tool_choice"] = "auto"
    if prompt.effort is not None and family_of(prompt.model).reasons:
        options["reasoning_effort"] = prompt.effort
    if config.model_max_output_tokens is not None:
        options[_max_tokens(config)] = config.model_max_output_tokens
    return options


def _max_tokens(config: Config) -> str:
    """What the limit of an answer is called: OpenAI's newer models refuse the older name, which
    others know alone."""
    is_openai = config.provider.id in ("openai", "azure")
    return "max_completion_tokens" if is_openai else "max_tokens"


def _tool(spec: dict[str, Any]) -> dict[str, Any] | None:
    """A function with the definition `spec`; None: it is nothing that this API can have."""
    kind = spec.get("type")
    if kind == "local_shell":
        return {"type": "function", "function": _LOCAL_SHELL}
    function: dict[str, Any] = {}
    for member in ("name", "description", "parameters"):
        if member in spec:
            function[member] = spec[member]
    if kind == "custom":
        function["parameters"] = _FREE_TEXT
    elif kind != "function":
        return None
    elif spec.get("strict"):
        function["strict"] = True
    return {"type": "function", "function": function}


_LOCAL_SHELL: dict[str, Any] = {
    "name": "shell",
    "description": "Run a program on the user's machine and get what it printed.",
    "parameters": {
        "type": "object",
        "properties": {"command": {"type": "array", "items": {"type": "string"}}},
        "required": ["command"],
    },
}
"""For a model that has a shell tool of its own over the other API only."""

_FREE_TEXT: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The parameters of a tool that takes a text as it is."""

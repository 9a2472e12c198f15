"""The arguments of a `function_call`, for every tool that is a function.

Owns the reading, and the text that tells the model what is wrong with them.
"""

from __future__ import annotations

from typing import TypeVar

import orjson

from codex_rpc.protocol.converter import structure
from codex_rpc.protocol.errors import BadArguments, InvalidParams
from codex_rpc.protocol.items import Item

T = TypeVar("T")


def arguments_of(call: Item, cls: type[T]) -> T:
    """What `call` says, as the frozen attrs class `cls`. Members that it lacks are ignored.

    Raises:
        BadArguments: they are no JSON object in a string, or a member has the wrong type.
    """
    text = call.value().get("arguments")
    if not isinstance(text, str):
        raise _bad("arguments: expected a JSON object in a string")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise _bad(str(exc)) from exc
    try:
        return structure(value, cls)
    except InvalidParams as exc:
        raise _bad(f"{exc.path or 'arguments'}: expected {exc.expected}") from exc


def _bad(what: str) -> BadArguments:
    return BadArguments(f"failed to parse function arguments: {what}")

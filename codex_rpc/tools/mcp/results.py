"""What a call brought, in the two forms in which it is told: to the model, and to the client.

Owns the limits: what comes from a server may be of any size and hold anything. It does not know
how the call was made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from codex_rpc.protocol.errors import BadArguments, ToolError
from codex_rpc.tools.truncation import truncate

MAX_EVENT_BYTES = 8 << 20
"""How long a result is that clients get whole."""

MAX_IMAGE_CHARACTERS = 8 << 20
"""How much base64 the images of one result may be together."""

_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def parsed_arguments(text: Any) -> dict[str, Any] | None:
    """The arguments of a call; None: there are none.

    Raises:
        BadArguments: they are no JSON object.
    """
    if not isinstance(text, str):
        raise BadArguments("expected a JSON object in a string")
    if not text.strip():
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise BadArguments(str(exc)) from exc
    if not isinstance(value, dict):
        raise BadArguments("expected a JSON object")
    return value


def checked(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """`result`, which can be written as JSON again.

    Raises:
        ToolError: it cannot, or the server wants something from the user first.
    """
    if result.get("resultType", "complete") != "complete":
        raise ToolError("the tool asks for more input, which is not supported")
    try:
        orjson.dumps(result)
    except orjson.JSONEncodeError as exc:
        raise ToolError(
            "the answer holds numbers that are too large, or is nested too deep"
        ) from exc
    return result


def for_model(result: Mapping[str, Any], *, max_bytes: int) -> str | list[dict[str, Any]]:
    """The JSON text of the result's content, cut to `max_bytes` (0: no limit).

    If images are among it: a list of parts, with the texts before, between and after the images
    as JSON texts of their own, which share `max_bytes`.
    """
    content = result.get("content") or []
    if not content and result.get("structuredContent") is not None:
        return _cut(result["structuredContent"], max_bytes)
    if not any(_image_url(block) for block in content):
        return _cut(content, max_bytes)
    room = MAX_IMAGE_CHARACTERS
    runs: list[list[Any] | str] = []
    for block in content:
        url = _image_url(block)
        if url is not None and len(url) <= room:
            room -= len(url)
            runs.append(url)
            continue
        if url is not None:
            note = f"[an image is left out: {len(url)} characters, {room} are left]"
            block = {"type": "text", "text": note}
        if not runs or isinstance(runs[-1], str):
            runs.append([])
        assert isinstance(runs[-1], list)
        runs[-1].append(block)
    texts = sum(isinstance(run, list) for run in runs)
    share = max(1, max_bytes // texts) if max_bytes and texts else 0
    return [
        {"type": "input_image", "image_url": run}
        if isinstance(run, str)
        else {"type": "input_text", "text": _cut(run, share)}
        for run in runs
    ]


def for_client(result: Mapping[str, Any], *, max_bytes: int) -> dict[str, Any]:
    """`mcp_tool_call_end.result`: the result whole, or its beginning and end if it is huge."""
    kept = {
        key: result[key]
        for key in ("content", "structuredContent", "isError")
        if result.get(key) is not None
    }
    if len(orjson.dumps(kept)) > MAX_EVENT_BYTES:
        limit = min(max_bytes or MAX_EVENT_BYTES, MAX_EVENT_BYTES)
        text = _cut(kept.get("content") or kept.get("structuredContent"), limit)
        kept = {**kept, "content": [{"type": "text", "text": text}]}
        kept.pop("structuredContent", None)
    return {"Ok": kept}


def _cut(value: Any, max_bytes: int) -> str:
    # Sorted, so that the same result is the same text, whoever wrote it.
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return truncate(text, max_bytes=max_bytes, max_lines=0)


def _image_url(block: Any) -> str | None:
    """The `data:` URL of an image that models take; None: it is something else."""
    if not isinstance(block, dict) or block.get("type") != "image":
        return None
    media_type, data = block.get("mimeType"), block.get("data")
    if media_type not in _IMAGE_TYPES or not isinstance(data, str):
        return None
    return f"data:{media_type};base64,{data}" if _BASE64.fullmatch(data) else None

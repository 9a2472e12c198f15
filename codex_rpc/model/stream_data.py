"""What the data of a stream's events is made of, for readers of any dialect.

Owns the leniency: a value of the wrong shape is as good as none.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def parse(data: str) -> dict[str, Any] | None:
    """The JSON object that `data` is; None: it is none."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _parse_leniently(data)
    return value if isinstance(value, dict) else None


def _parse_leniently(data: str) -> object:
    """`data` with lone surrogates replaced by U+FFFD; None if that is not what is wrong with it.

    A server that cuts its text in the middle of a UTF-16 pair writes half of it as `\\ud83d`.
    """
    if "\\ud" not in data and "\\uD" not in data:
        return None
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return orjson.loads(whole)
    except (ValueError, RecursionError):
        return None


def detail(details: object, name: str) -> int | None:
    """A number in an object that may be missing."""
    return count(details.get(name)) if isinstance(details, dict) else None


def count(value: object) -> int | None:
    """`value` if it counts something."""
    return value if type(value) is int and value >= 0 else None

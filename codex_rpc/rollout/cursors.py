"""Cursors: where the next page goes on, opaque to whoever carries them."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from codex_rpc.protocol.errors import InvalidParams

MAX_LIMIT = 1_000_000


def cursor_of(kind: str, *position: str | int) -> str:
    """`position` among pages of this `kind`, as text that says nothing to anyone else."""
    return base64.urlsafe_b64encode(orjson.dumps([kind, *position])).decode().rstrip("=")


def position_of(cursor: str, kind: str, *shape: type) -> list[Any]:
    """The position that `cursor` was made from, its members of the types in `shape`.

    Raises:
        InvalidParams: it was not made here, or for another kind of page.
    """
    try:
        text = cursor.encode("ascii")
        position = orjson.loads(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    except ValueError as exc:
        raise _not_ours() from exc
    if not isinstance(position, list) or position[:1] != [kind]:
        raise _not_ours()
    if [type(member) for member in position[1:]] != list(shape):
        raise _not_ours()
    return position[1:]


def check_limit(limit: int) -> None:
    """Raises InvalidParams if no page can have `limit` entries."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidParams("limit", f"integer, 1 to {MAX_LIMIT}")


def _not_ours() -> InvalidParams:
    return InvalidParams("cursor", "the nextCursor of the page before, asked for in the same way")

"""Saved sessions as a client sees them: whole, page by page, and as lines of their file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.client import Client


async def items_of(client: Client, session_id: str, *, limit: int = 50) -> list[dict[str, Any]]:
    """Every item of a saved session, from the first to the last."""
    items: list[dict[str, Any]] = []
    params: dict[str, Any] = {"sessionId": session_id, "limit": limit, "direction": "forward"}
    while True:
        page = await client.request("session/read", params)
        for entry in page["items"]:
            assert entry["index"] == len(items)
            items.append(entry["item"])
        if page.get("nextCursor") is None:
            return items
        params["cursor"] = page["nextCursor"]


def records_of(path: str | Path) -> list[dict[str, Any]]:
    """Every line of a session file, of which each has to be whole."""
    data = Path(path).read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data[:-1].split(b"\n")]


def kinds_of(records: list[dict[str, Any]]) -> list[str]:
    """What each record is: its record type, or the type of the item."""
    return [r.get("record_type") or r.get("type") or "header" for r in records]

"""The requests about saved sessions: validated, handed on, answered."""

from __future__ import annotations

from typing import Any

import pytest
from rpc_support import FakeManager, connected

ID = "0b9d6a64-3a53-4d3e-8d0e-3a8f0c2a7f11"


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        ("session/rename", {"sessionId": ID, "title": "t"}, {}),
        ("session/archive", {"sessionId": ID}, {}),
        ("session/unarchive", {"sessionId": ID}, {}),
        ("session/delete", {"sessionId": ID}, {}),
        ("session/export", {"sessionId": ID, "format": "html"}, {"text": "text"}),
    ],
)
async def test_each_is_handed_on_and_answered(
    method: str, params: dict[str, Any], result: Any
) -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        assert await client.call(method, params) == result
    name, given = next(call for call in manager.calls if call[0] != "close_all")
    assert name == method.removeprefix("session/")
    assert given.session_id == ID


async def test_a_fork_is_opened_like_any_session() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        result = await client.call("session/fork", {"sessionId": ID, "upTo": 3})
        assert result["forkedFrom"] == "theirs"
        assert result["sessionId"] in manager.live
        event = await client.next()
    assert event is not None
    assert event["params"]["msg"]["type"] == "session_configured"
    assert manager.calls[0][1].up_to == 3


@pytest.mark.parametrize(
    ("method", "params", "path"),
    [
        ("session/rename", {"sessionId": ID}, "title"),
        ("session/rename", {"sessionId": "no", "title": "t"}, "sessionId"),
        ("session/archive", {"sessionId": 7}, "sessionId"),
        ("session/delete", {"sessionId": ID, "force": True}, "force"),
        ("session/export", {"sessionId": ID, "format": "pdf"}, "format"),
        ("session/fork", {"sessionId": ID, "path": "/x"}, "path"),
        ("session/fork", {"sessionId": ID, "upTo": -1}, "upTo"),
        ("session/fork", {}, ""),
    ],
)
async def test_what_does_not_fit_is_named(method: str, params: dict[str, Any], path: str) -> None:
    async with connected(FakeManager()) as client:
        error = await client.call(method, params)
    assert (error["code"], error["data"]["path"]) == (-32602, path)

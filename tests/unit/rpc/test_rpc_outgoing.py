"""Requests of ours to the client: each is answered once, or given up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after, wait_all_tasks_blocked
from rpc_support import FakeManager, connected

from codex_rpc.rpc.framing import Framing
from codex_rpc.rpc.messages import Response
from codex_rpc.rpc.outbox import Outbox
from codex_rpc.rpc.outgoing import Outgoing, PeerRefused
from codex_rpc.rpc.stdio import PeerGone


class Sink:
    """Takes what is written; fails when told to."""

    def __init__(self) -> None:
        self.written = 0
        self.messages: list[dict[str, Any]] = []

    async def write(self, data: bytes) -> None:
        self.written += len(data)
        self.messages += [json.loads(line) for line in data.splitlines()]

    def close(self) -> None:
        """Nothing is held."""


class Peer:
    """What came out of an outbox."""

    def __init__(self, sink: Sink, outbox: Outbox) -> None:
        self.sink = sink
        self.outgoing = Outgoing(outbox)

    async def sent(self, count: int = 1) -> list[dict[str, Any]]:
        await wait_all_tasks_blocked()
        assert len(self.sink.messages) == count
        return self.sink.messages


@asynccontextmanager
async def reading() -> AsyncIterator[Peer]:
    """A peer whose outbox is written until the block is left."""
    sink = Sink()
    outbox = Outbox(sink, lambda: Framing.LINES)
    with fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(outbox.run)
            yield Peer(sink, outbox)
            outbox.close()


async def ask(peer: Peer, results: list[Any], method: str = "m") -> None:
    try:
        results.append(await peer.outgoing.request(method, {"a": 1}))
    except (PeerRefused, PeerGone) as exc:
        results.append(exc)


async def test_a_request_gets_the_answer_with_its_id() -> None:
    results: list[Any] = []
    async with reading() as peer, anyio.create_task_group() as tg:
        tg.start_soon(ask, peer, results)
        tg.start_soon(ask, peer, results)
        first, second = await peer.sent(2)
        assert first == {"jsonrpc": "2.0", "id": first["id"], "method": "m", "params": {"a": 1}}
        assert first["id"] != second["id"]
        peer.outgoing.settle(Response(second["id"], "two", None))
        await wait_all_tasks_blocked()
        peer.outgoing.settle(Response(first["id"], None, None))
        await wait_all_tasks_blocked()
        assert results == ["two", None]


async def test_an_error_is_raised_with_what_the_client_said() -> None:
    results: list[Any] = []
    async with reading() as peer, anyio.create_task_group() as tg:
        tg.start_soon(ask, peer, results)
        [asked] = await peer.sent()
        error = {"code": -32601, "message": "no such method"}
        peer.outgoing.settle(Response(asked["id"], None, error))
        await wait_all_tasks_blocked()
        assert results[0].error == error
        assert results[0].message == "no such method"


@pytest.mark.parametrize("id_", [None, 1, True, "codex-99", ["codex-1"], {}])
async def test_an_answer_that_nobody_waits_for_is_ignored(id_: Any) -> None:
    results: list[Any] = []
    async with reading() as peer, anyio.create_task_group() as tg:
        tg.start_soon(ask, peer, results)
        [asked] = await peer.sent()
        peer.outgoing.settle(Response(id_, "wrong", None))
        peer.outgoing.settle(Response(asked["id"], "right", None))
        peer.outgoing.settle(Response(asked["id"], "again", None))
        await wait_all_tasks_blocked()
        assert results == ["right"]


async def test_who_is_cancelled_tells_the_client() -> None:
    results: list[Any] = []
    async with reading() as peer, anyio.create_task_group() as tg:
        tg.start_soon(ask, peer, results)
        [asked] = await peer.sent()
        tg.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            _, cancelled = await peer.sent(2)
        assert cancelled["method"] == "$/cancelRequest"
        assert cancelled["params"] == {"id": asked["id"]}
        peer.outgoing.settle(Response(asked["id"], "late", None))
    assert results == []


async def test_when_it_is_closed_nobody_waits_any_more() -> None:
    results: list[Any] = []
    async with reading() as peer, anyio.create_task_group() as tg:
        tg.start_soon(ask, peer, results)
        await peer.sent()
        peer.outgoing.close()
        tg.start_soon(ask, peer, results)
        await wait_all_tasks_blocked()
        assert [type(result) for result in results] == [PeerGone, PeerGone]
        await peer.sent(1)


async def test_the_end_of_the_input_settles_what_the_client_has_not_answered() -> None:
    manager = FakeManager()
    ended = anyio.Event()

    async with connected(manager) as client, anyio.create_task_group() as tg:
        options = {"codex": {"saveDocuments": True}}
        await client.call("initialize", {"capabilities": {}, "initializationOptions": options})

        async def save() -> None:
            assert await manager.workspace.save([Path("/a")], ask=False) == ()
            ended.set()

        tg.start_soon(save)
        asked = await client.next()
        assert asked is not None
        assert asked["method"] == "codex/saveDocuments"
        client.hang_up()
        with fail_after(5):
            await ended.wait()
    assert client.exit_code == 0

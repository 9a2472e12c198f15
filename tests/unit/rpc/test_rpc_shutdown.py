"""How a connection ends: end of input, exit, and a peer that is gone or does not read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio import fail_after, wait_all_tasks_blocked
from rpc_support import (
    FakeManager,
    connected,
    pipes,
    request,
    sockets,
    submit,
    user_input,
)

from codex_rpc.protocol.events import AgentMessage
from codex_rpc.rpc.endpoint import STALL_S

channels = pytest.mark.parametrize("make", [pipes, sockets])


def kinds(messages: list[dict[str, Any]]) -> list[Any]:
    return [m["id"] if "id" in m else m["params"]["msg"]["type"] for m in messages]


@channels
async def test_the_end_of_input_closes_the_sessions_and_ends_with_0(
    make: Callable[[], Any],
) -> None:
    manager = FakeManager()
    async with connected(manager, make=make) as client:
        await client.opened()
        await client.opened()
        client.hang_up()
        assert kinds(await client.rest()) == ["shutdown_complete"] * 2
    assert client.exit_code == 0
    assert manager.live == {}


async def test_a_connection_on_which_nothing_is_said_ends_with_0() -> None:
    async with connected(FakeManager()) as client:
        client.hang_up()
        assert await client.rest() == []
    assert client.exit_code == 0


async def test_requests_are_answered_although_the_input_has_ended() -> None:
    manager = FakeManager()
    released = anyio.Event()
    manager.before["list"] = released.wait
    async with connected(manager) as client:
        await client.send(request(1, "session/list"))
        client.hang_up()
        await wait_all_tasks_blocked()
        assert not client.ended.is_set()
        released.set()
        [answer] = await client.rest()
        assert "result" in answer
        with fail_after(5):
            await client.ended.wait()


async def test_a_request_that_does_not_settle_is_cancelled_before_the_sessions_are_closed() -> None:
    manager = FakeManager()

    async def too_long() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            manager.calls.append(("cancelled", None))

    manager.before["configure"] = too_long
    async with connected(manager) as client:
        await client.send(request(1, "session/configure", {"cwd": "/"}))
        client.hang_up()
        [answer] = await client.rest()
    assert (answer["id"], answer["error"]["code"]) == (1, -32800)
    assert [name for name, _ in manager.calls] == ["configure", "cancelled", "close_all"]
    assert client.exit_code == 0


async def test_an_input_that_waits_for_room_does_not_hold_up_the_end() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        manager.live[session_id].room = anyio.Event()
        await client.send(submit(1, session_id, user_input("hi")))
        client.hang_up()
        assert kinds(await client.rest()) == [1, "shutdown_complete"]


async def test_a_close_that_is_under_way_is_answered_after_the_sessions_end() -> None:
    manager = FakeManager()
    sessions_end = anyio.Event()

    async def close_all() -> None:
        sessions_end.set()

    manager.before |= {"close": sessions_end.wait, "close_all": close_all}
    async with connected(manager) as client:
        session_id = await client.opened()
        await client.send(request(1, "session/close", {"sessionId": session_id}))
        client.hang_up()
        assert kinds(await client.rest()) == ["shutdown_complete", 1]


async def test_a_shutdown_that_is_under_way_is_answered() -> None:
    manager = FakeManager()
    released = anyio.Event()
    manager.before["close_all"] = released.wait
    async with connected(manager) as client:
        await client.opened()
        await client.send(request(1, "shutdown"))
        client.hang_up()
        await wait_all_tasks_blocked()
        released.set()
        assert kinds(await client.rest()) == ["shutdown_complete", 1]
    assert client.exit_code == 0


@pytest.mark.parametrize("ending", ["end of input", "shutdown and exit"])
async def test_records_that_could_not_be_saved_are_counted_and_end_with_1(
    ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manager = FakeManager(unsaved=3)
    async with connected(manager) as client:
        if ending != "end of input":
            await client.send(request(1, "shutdown"), {"method": "exit"})
        client.hang_up()
        await client.rest()
    assert client.exit_code == 1
    assert capsys.readouterr().err == "3 records could not be saved\n"


# A peer that does not read.


@channels
async def test_a_client_that_does_not_read_does_not_hold_the_process(
    make: Callable[[], Any],
) -> None:
    manager = FakeManager()
    async with connected(manager, make=make) as client:
        session_id = await client.opened()
        async with anyio.create_task_group() as tg:
            tg.start_soon(manager.live[session_id].stream, 100_000)
            await wait_all_tasks_blocked()
            await client.send(request(1, "session/close", {"sessionId": session_id}))
            tg.cancel_scope.cancel()
        client.hang_up()
        with fail_after(5):
            await client.ended.wait()
    assert client.exit_code == 0


async def test_the_end_of_input_is_seen_behind_requests_that_are_made_to_wait() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        # More than the answers that may wait, so that the server stops handling requests.
        await client.send(*(request(i, "session/list") for i in range(6000)))
        client.hang_up()
        with fail_after(10):
            await client.ended.wait()
    assert client.exit_code == 0


async def test_a_client_that_reads_slowly_gets_everything() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        session = manager.live[session_id]
        for _ in range(400):
            session.say(AgentMessage("m", "x" * 2000))
        client.hang_up()
        await wait_all_tasks_blocked()
        assert not client.ended.is_set()
        messages = []
        for _ in range(5):
            # Slow, but never so long that it would be given up.
            await anyio.sleep(STALL_S / 4)
            messages += await client.some(60)
        messages += await client.rest()
    assert [m["params"]["seq"] for m in messages] == list(range(2, 403))
    assert kinds(messages)[-1] == "shutdown_complete"


# A peer that is gone.


@channels
async def test_a_client_that_is_gone_ends_the_connection_in_good_order(
    make: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    manager = FakeManager()
    manager.before["list"] = anyio.sleep_forever
    async with connected(manager, make=make) as client:
        session_id = await client.opened()
        session = manager.live[session_id]
        async with anyio.create_task_group() as tg:
            tg.start_soon(session.stream, 100_000)
            await client.send(request(1, "session/list"))
            await wait_all_tasks_blocked()
            # The input stays open: that nobody reads is enough.
            client.stop_reading()
            with fail_after(5):
                await client.ended.wait()
            tg.cancel_scope.cancel()
    assert client.exit_code == 0
    assert manager.undone == ["list"]
    assert manager.live == {}
    assert caplog.records == []

"""The buffer between the reader of a stream and its caller."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from codex_rpc.model.read_ahead import EVENTS_PER_CHECKPOINT, ReadAhead
from codex_rpc.protocol.errors import StreamInterrupted
from codex_rpc.protocol.model import TextDelta


def deltas(*texts: str) -> list[TextDelta]:
    return [TextDelta("m", text) for text in texts]


async def test_events_come_out_in_order_and_end_with_the_end() -> None:
    events = ReadAhead()
    events.put(deltas("a", "b"), 10)
    events.put(deltas("c"), 10)
    events.end()
    assert [event async for event in events] == deltas("a", "b", "c")
    assert events.completed


async def test_a_failure_comes_after_every_event_and_once() -> None:
    events = ReadAhead()
    events.put(deltas("a"), 10)
    events.end(StreamInterrupted("no"))
    events.end()
    assert await anext(events) == TextDelta("m", "a")
    with pytest.raises(StreamInterrupted):
        await anext(events)
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    assert not events.completed


async def test_a_caller_that_waits_is_woken_by_an_event_and_by_the_end() -> None:
    events = ReadAhead()
    seen: list[object] = []

    async def take() -> None:
        seen.extend([event async for event in events])

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            events.put(deltas("a"), 1)
            await anyio.wait_all_tasks_blocked()
            events.put(deltas("b"), 1)
            events.end()
    assert seen == deltas("a", "b")


async def test_a_full_buffer_makes_the_reader_wait_until_half_of_it_is_free() -> None:
    events = ReadAhead(max_bytes=100)
    for text in "abcde":
        events.put(deltas(text), 20)
    assert events.full
    gone_on = anyio.Event()

    async def read() -> None:
        await events.room()
        gone_on.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            for _ in range(2):
                await anext(events)
                await anyio.wait_all_tasks_blocked()
                assert not gone_on.is_set()
            await anext(events)
            await gone_on.wait()


async def test_others_run_while_a_caller_takes_from_a_large_buffer() -> None:
    events = ReadAhead()
    events.put(deltas(*"x" * (EVENTS_PER_CHECKPOINT * 4)), 1)
    events.end()
    turns = 0
    done = False

    async def other() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await checkpoint()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(other)
            async for _ in events:
                pass
            done = True
    assert turns >= 3

"""The outbox: order, fair turns, numbers, and a peer that reads slowly or not at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import anyio
import pytest
from anyio import fail_after, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from rpc_support import (
    INTERRUPT,
    FakeManager,
    connected,
    pipes,
    request,
    sockets,
    submit,
)
from support.leftovers import kinds, leftovers

from codex_rpc.core.events import MAX_EVENTS, EventQueue
from codex_rpc.protocol import converter
from codex_rpc.protocol.events import (
    AgentMessage,
    AgentMessageDelta,
    ApplyPatchApprovalRequest,
    BackgroundEvent,
    Duration,
    Event,
    EventMsg,
    FileChange,
    McpInvocation,
    McpToolCallEnd,
    ShutdownComplete,
    TaskStarted,
    UpdateFile,
    UserMessage,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.ops import TextInput
from codex_rpc.rpc import messages
from codex_rpc.rpc.framing import Framing
from codex_rpc.rpc.native import Envelopes
from codex_rpc.rpc.outbox import BATCH_BYTES, MAX_WAITING_ANSWERS, Outbox
from codex_rpc.rpc.stdio import PeerGone

TURN = SubmissionId("turn")


class Pipe:
    """A writer that passes a batch on only when the test lets it."""

    def __init__(self, *, open_: bool = True) -> None:
        self.batches: list[bytes] = []
        self.written = 0
        self.gone = False
        self._open = anyio.Event()
        if open_:
            self._open.set()

    async def write(self, data: bytes) -> None:
        await self._open.wait()
        if self.gone:
            raise PeerGone("gone")
        self.batches.append(data)
        self.written += len(data)

    def let_through(self) -> None:
        self._open.set()

    def close(self) -> None: ...

    @property
    def messages(self) -> list[Any]:
        return [json.loads(line) for batch in self.batches for line in batch.splitlines()]

    @property
    def events(self) -> list[Any]:
        return [m["params"] for m in self.messages if m.get("method") == "session/event"]


def outbox_on(pipe: Pipe) -> Outbox:
    outbox = Outbox(pipe, lambda: Framing.LINES)
    outbox.encoded = Envelopes().encoded
    return outbox


async def run_to_the_end(outbox: Outbox) -> None:
    with fail_after(5):
        outbox.close()
        await outbox.run()


def delta(item: str, text: str = "x") -> Event:
    return Event(TURN, AgentMessageDelta(item, text))


# What is written.


async def test_an_event_is_numbered_and_in_its_envelope() -> None:
    pipe, queue = Pipe(), EventQueue()
    outbox = outbox_on(pipe)
    outbox.open("s", queue, b'{"id":1}')
    queue.put_now(delta("m", "\u2028 ü"))
    queue.put_now(Event(TURN, TaskStarted(), unsaved=True))
    await run_to_the_end(outbox)
    assert pipe.messages == [
        {"id": 1},
        {
            "jsonrpc": "2.0",
            "method": "session/event",
            "params": {
                "sessionId": "s",
                "seq": 1,
                "id": "turn",
                "msg": {"type": "agent_message_delta", "item_id": "m", "delta": "\u2028 ü"},
            },
        },
        {
            "jsonrpc": "2.0",
            "method": "session/event",
            "params": {
                "sessionId": "s",
                "seq": 2,
                "id": "turn",
                "unsaved": True,
                "msg": {"type": "task_started"},
            },
        },
    ]


@pytest.mark.parametrize(
    "msg",
    [
        UserMessage([TextInput("hi"), {"type": "text", "text": "raw"}], "turn"),
        ApplyPatchApprovalRequest(
            "c", {"/a": "delete", "/b": FileChange(update=UpdateFile("@@", None))}
        ),
        *[cls() for cls in get_args(EventMsg) if cls in (TaskStarted, ShutdownComplete)],
    ],
)
async def test_a_message_is_written_as_the_converter_has_it(msg: EventMsg) -> None:
    pipe, queue = Pipe(), EventQueue()
    outbox = outbox_on(pipe)
    outbox.open("s", queue, b"{}")
    queue.put_now(Event(TURN, msg))
    await run_to_the_end(outbox)
    assert pipe.events[0]["msg"] == converter.unstructure(msg)


async def test_an_event_that_cannot_be_written_leaves_no_gap() -> None:
    bottomless: dict[str, Any] = {}
    for _ in range(5000):
        bottomless = {"a": bottomless}
    pipe, queue = Pipe(), EventQueue()
    outbox = outbox_on(pipe)
    outbox.open("s", queue, b"{}")
    queue.put_now(Event(TURN, UserMessage([bottomless], "turn")))
    queue.put_now(Event(TURN, AgentMessage("m", "a lone \udce9 surrogate")))
    await run_to_the_end(outbox)
    first, second = pipe.events
    assert (first["seq"], second["seq"]) == (1, 2)
    assert first["msg"]["type"] == "background_event"
    assert "user_message" in first["msg"]["message"]
    assert second["msg"]["message"].startswith("a lone \ufffd")


# Order.


async def test_answers_go_before_events_that_wait() -> None:
    pipe, queue = Pipe(), EventQueue()
    outbox = outbox_on(pipe)
    outbox.open("s", queue, b'{"id":"open"}')
    queue.put_now(delta("m"))
    outbox.put(b'{"id":"later"}')
    await run_to_the_end(outbox)
    assert [m.get("id") for m in pipe.messages] == ["open", "later", None]


async def test_sessions_take_fair_turns() -> None:
    pipe = Pipe()
    outbox = outbox_on(pipe)
    queues = {name: EventQueue() for name in ("busy", "large", "quiet")}
    for name, queue in queues.items():
        outbox.open(name, queue, b"{}")
    for i in range(500):
        queues["busy"].put_now(delta(f"m{i}"))
        queues["large"].put_now(Event(TURN, AgentMessage("m", "y" * 5000)))
    queues["quiet"].put_now(delta("m"))
    await run_to_the_end(outbox)
    order = [event["sessionId"] for event in pipe.events]
    assert order.index("quiet") < 80
    # Whoever says little at a time is not held up by whoever says much.
    assert order[: order.index("busy", 400)].count("large") < 60
    assert [e["seq"] for e in pipe.events if e["sessionId"] == "large"] == list(range(1, 501))


async def test_no_batch_is_much_larger_than_a_pipe() -> None:
    pipe, queue = Pipe(), EventQueue()
    outbox = outbox_on(pipe)
    outbox.open("s", queue, b"{}")
    for _ in range(500):
        queue.put_now(Event(TURN, AgentMessage("m", "y" * 5000)))
    await run_to_the_end(outbox)
    assert max(map(len, pipe.batches)) < BATCH_BYTES + 6000


async def test_a_session_resumed_before_its_end_was_written_is_answered_after_that() -> None:
    pipe = Pipe()
    outbox = outbox_on(pipe)
    taken: list[str] = []
    generations = [EventQueue() for _ in range(3)]
    for number, queue in enumerate(generations):
        answer = b'{"id":%d}' % number
        outbox.open("s", queue, answer, lambda number=number: taken.append(number))
        queue.put_now(Event(TURN, BackgroundEvent(str(number))))
        if number < 2:
            queue.put_now(Event(TURN, ShutdownComplete()))
            queue.close()
    await run_to_the_end(outbox)
    assert [m.get("id", m.get("params", {}).get("seq")) for m in pipe.messages] == [
        *(0, 1, 2),
        *(1, 3, 4),
        *(2, 5),
    ]
    assert taken == [0, 1, 2]


async def test_the_end_of_a_session_is_when_its_last_event_is_written() -> None:
    pipe, queue = Pipe(open_=False), EventQueue()
    outbox = outbox_on(pipe)
    outbox.open("s", queue, b"{}")
    last_event_written = outbox.end_of("s")
    waited = anyio.Event()

    async def wait() -> None:
        await last_event_written()
        waited.set()

    with fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(outbox.run)
            tg.start_soon(wait)
            queue.put_now(Event(TURN, ShutdownComplete()))
            queue.close()
            await wait_all_tasks_blocked()
            assert not waited.is_set()
            # Its next life does not count.
            outbox.open("s", EventQueue(), b"{}")
            pipe.let_through()
            await waited.wait()
            assert pipe.events[-1]["msg"]["type"] == "shutdown_complete"
            await last_event_written()
            await outbox.end_of("never opened")()
            outbox.close()


async def test_a_peer_that_is_gone_ends_all_waiting() -> None:
    pipe, queue = Pipe(open_=False), EventQueue()
    outbox = outbox_on(pipe)
    taken: list[int] = []
    outbox.open("s", queue, b"{}", lambda: taken.append(1))
    ended = False

    async def run() -> None:
        nonlocal ended
        with pytest.raises(PeerGone):
            await outbox.run()
        ended = True

    with fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(run)
            await wait_all_tasks_blocked()
            for i in range(MAX_WAITING_ANSWERS):
                outbox.put(b"{}", lambda i=i: taken.append(i))
            tg.start_soon(outbox.room)
            tg.start_soon(outbox.end_of("s"))
            tg.start_soon(outbox.all_ended)
            await wait_all_tasks_blocked()
            pipe.gone = True
            pipe.let_through()
    assert ended
    assert outbox.finished
    assert len(taken) == 1 + MAX_WAITING_ANSWERS
    outbox.put(b"{}", lambda: taken.append(-1))
    assert taken[-1] == -1


async def test_all_who_wait_for_room_are_let_in() -> None:
    pipe = Pipe(open_=False)
    outbox = outbox_on(pipe)
    with fail_after(5):
        async with anyio.create_task_group() as tg:
            for _ in range(2 * MAX_WAITING_ANSWERS):
                outbox.put(b"{}")
            for _ in range(3):
                tg.start_soon(outbox.room)
                await wait_all_tasks_blocked()
            tg.start_soon(outbox.run)
            pipe.let_through()
            outbox.close()


class Sessions:
    """Some sessions of which the test knows what they said."""

    def __init__(self, outbox: Outbox, names: str) -> None:
        self.queues = {name: EventQueue() for name in names}
        self.said: dict[str, list[str]] = {name: [] for name in names}
        for name, queue in self.queues.items():
            outbox.open(name, queue, b"{}")

    def say(self, name: str, item: int, text: str) -> None:
        self.said[name] += [f"{item}:{character}" for character in text]
        self.queues[name].put_now(delta(str(item), text))


def heard(events: list[Any]) -> Iterator[str]:
    for event in events:
        for character in event["msg"]["delta"]:
            yield f"{event['msg']['item_id']}:{character}"


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.integers(0, 1), st.text("xyz", min_size=1), st.booleans()
        ),
        max_size=60,
    )
)
def test_however_it_is_read_each_session_is_heard_in_order_and_whole(
    steps: list[tuple[str, int, str, bool]],
) -> None:
    async def run() -> None:
        pipe = Pipe()
        outbox = outbox_on(pipe)
        sessions = Sessions(outbox, "ab")
        async with anyio.create_task_group() as tg:
            tg.start_soon(outbox.run)
            for name, item, text, pause in steps:
                sessions.say(name, item, text)
                if pause:
                    await checkpoint()
            outbox.close()
        for name in "ab":
            events = [event for event in pipe.events if event["sessionId"] == name]
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
            assert list(heard(events)) == sessions.said[name]

    anyio.run(run)


# A whole connection whose client does not read.


@pytest.mark.parametrize("make", [pipes, sockets])
async def test_a_client_that_stops_reading_stops_events_and_nothing_else(
    make: Callable[[], Any],
) -> None:
    manager = FakeManager()
    count = 20_000
    async with connected(manager, make=make) as client:
        session_id = await client.opened()
        session = manager.live[session_id]
        said = 0

        async def talk() -> None:
            nonlocal said
            for i in range(count):
                await session.events.put(delta(f"m{i}", "x" * 100))
                said += 1

        async with anyio.create_task_group() as tg:
            tg.start_soon(talk)
            await wait_all_tasks_blocked()
            assert session.events.full
            on_the_way = said - MAX_EVENTS
            assert on_the_way < 5000
            # Operations get through, and their answers are kept in order.
            await client.send(*(submit(i, session_id, INTERRUPT, f"s{i}") for i in range(50)))
            await wait_all_tasks_blocked()
            assert len(session.submitted) == 50
            assert said == on_the_way + MAX_EVENTS
            received = [await client.next() for _ in range(count + 50)]
    answers = [m["id"] for m in received if m and "id" in m]
    numbers = [m["params"]["seq"] for m in received if m and "id" not in m]
    assert answers == list(range(50))
    assert numbers == list(range(2, count + 2))
    first_answer = next(i for i, m in enumerate(received) if m and "id" in m)
    assert first_answer <= on_the_way


async def test_a_client_that_reads_no_answers_is_made_to_wait_with_its_requests() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        params = {"query": "x" * 1000}
        # About 8 MB, of which the server is to leave most in the pipe.
        requests = [request(i, "session/list", params) for i in range(8000)]
        async with anyio.create_task_group() as tg:
            tg.start_soon(lambda: client.send(*requests))
            await wait_all_tasks_blocked()
            assert client.writer.written < 5_000_000
            answered = await client.some(8000)
    assert sorted(answer["id"] for answer in answered) == list(range(8000))
    assert {answer["error"]["code"] for answer in answered if "error" in answer} <= {1008}


async def test_two_sessions_share_the_pipe() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        first, second = await client.opened(), await client.opened()
        async with anyio.create_task_group() as tg:
            for session_id in (first, second):
                tg.start_soon(manager.live[session_id].stream, 5000)
            await wait_all_tasks_blocked()
            order = [m["params"]["sessionId"] for m in await client.some(10_000)]
    shares = [order[i : i + 1000].count(first) for i in range(0, 8000, 1000)]
    assert all(400 <= share <= 600 for share in shares[1:]), shares


async def test_answers_and_events_come_whole_whatever_is_asked_meanwhile() -> None:
    manager = FakeManager()
    async with connected(manager, framing=Framing.HEADERS) as client:
        session_id = await client.opened()
        received = []
        async with anyio.create_task_group() as tg:
            tg.start_soon(manager.live[session_id].stream, 2000, 300)
            for i in range(200):
                await client.send(request(i, "session/list"))
                received += await client.some(11)
    assert sorted(m["id"] for m in received if "id" in m) == list(range(200))
    numbers = [m["params"]["seq"] for m in received if "id" not in m]
    assert numbers == list(range(2, 2002))


async def test_an_event_too_deep_for_anyone_does_not_end_the_connection() -> None:
    manager = FakeManager()
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    async with connected(manager) as client:
        session_id = await client.opened()
        session = manager.live[session_id]
        session.say(McpToolCallEnd("c", McpInvocation("s", "t"), Duration.of(1), {"Ok": deep}))
        [event] = await client.some(1)
        assert event["params"]["seq"] == 2
        assert "sessions" in await client.call("session/list")


def test_an_answer_without_a_framing_is_a_line() -> None:
    pipe = Pipe()
    outbox = Outbox(pipe, lambda: None)
    outbox.put(messages.error(None, -32700, "m"))

    anyio.run(run_to_the_end, outbox)
    assert pipe.batches[0].endswith(b"}\n")


# Deltas that rest.


@asynccontextmanager
async def resting(rest_s: float) -> AsyncIterator[tuple[Pipe, EventQueue]]:
    """A running outbox with one session, of which one delta has left."""
    pipe, queue = Pipe(), EventQueue()
    outbox = outbox_on(pipe)
    outbox.rest_s = rest_s
    outbox.open("s", queue, b"{}")
    queue.put_now(delta("m", "first"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outbox.run)
        await wait_all_tasks_blocked()
        yield pipe, queue
        outbox.close()


def told(pipe: Pipe) -> list[Any]:
    return [(e["msg"]["type"], e["msg"].get("delta")) for e in pipe.events]


FIRST = ("agent_message_delta", "first")


async def test_the_first_delta_leaves_at_once_and_those_that_follow_it_merge() -> None:
    async with resting(3600) as (pipe, queue):
        assert told(pipe) == [FIRST]
        for text in "abc":
            queue.put_now(delta("m", text))
            await wait_all_tasks_blocked()
        assert told(pipe) == [FIRST]
        queue.put_now(Event(TURN, TaskStarted()))
        await wait_all_tasks_blocked()
        assert told(pipe) == [FIRST, ("agent_message_delta", "abc"), ("task_started", None)]
        queue.put_now(delta("n", "d"))
        await wait_all_tasks_blocked()
        assert len(told(pipe)) == 3
        queue.close()
        await wait_all_tasks_blocked()
        assert told(pipe)[3:] == [("agent_message_delta", "d")]


async def test_a_rest_ends_by_itself() -> None:
    async with resting(0.02) as (pipe, queue):
        queue.put_now(delta("m", "second"))
        with fail_after(5):
            while len(told(pipe)) < 2:
                await checkpoint()
        assert told(pipe) == [FIRST, ("agent_message_delta", "second")]


async def test_one_sessions_rest_holds_up_no_other_and_no_answer() -> None:
    pipe, one, other = Pipe(), EventQueue(), EventQueue()
    outbox = outbox_on(pipe)
    outbox.rest_s = 3600
    outbox.open("one", one, b"{}")
    outbox.open("other", other, b"{}")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outbox.run)
        for queue in (one, one, other):
            queue.put_now(delta("m"))
            await wait_all_tasks_blocked()
        outbox.put(b'{"id":1}')
        await wait_all_tasks_blocked()
        assert [e["sessionId"] for e in pipe.events] == ["one", "other"]
        assert pipe.messages[-1] == {"id": 1}
        one.close()
        other.close()
        outbox.close()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.booleans()), max_size=30))
@settings(deadline=None, max_examples=50)
def test_with_rests_nothing_is_lost_and_the_order_is_kept(
    steps: list[tuple[str, bool, bool]],
) -> None:
    async def run() -> tuple[Pipe, list[Any]]:
        pipe, said = Pipe(), []
        outbox = outbox_on(pipe)
        outbox.rest_s = 3600
        queues = {name: EventQueue() for name in "ab"}
        for name, queue in queues.items():
            outbox.open(name, queue, b"{}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.run)
            for number, (name, is_delta, settle) in enumerate(steps):
                msg = AgentMessageDelta("m", f"{number},") if is_delta else BackgroundEvent("b")
                said.append((name, f"{number}," if is_delta else "b"))
                queues[name].put_now(Event(TURN, msg))
                if settle:
                    await wait_all_tasks_blocked()
            for queue in queues.values():
                queue.close()
            outbox.close()
        return pipe, said

    pipe, said = anyio.run(run)
    for name in "ab":
        texts = [e["msg"].get("delta", "b") for e in pipe.events if e["sessionId"] == name]
        assert "".join(texts) == "".join(text for n, text in said if n == name)


async def test_nothing_is_left_of_a_session_whose_last_event_is_written() -> None:
    outbox = outbox_on(Pipe())
    with leftovers() as found:
        queue = EventQueue()
        outbox.open("s", queue, b'{"id":1}')
        queue.put_now(delta("m"))
        queue.close()
        del queue
        await run_to_the_end(outbox)
    assert kinds(found, "codex_rpc") == set()

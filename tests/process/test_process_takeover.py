"""Two windows and one session: who holds it, who reads it, and how it changes hands."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.client import Client, RpcError, running
from support.conversation import (
    call_events,
    conversation_of,
    text_events,
    text_of,
    write_config,
)
from support.model_server import ModelServer
from support.saved import items_of, records_of


def texts_of(items: list[dict[str, Any]]) -> list[str]:
    """The texts of messages, and the kinds of what is none."""
    return [text_of(i) if i["type"] == "message" else i["type"] for i in items]


async def refused(client: Client, method: str, params: dict[str, Any]) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await client.request(method, params)
    return caught.value


async def test_a_running_turn_is_aborted_and_saved_and_the_other_window_goes_on(
    tmp_path: Path,
) -> None:
    responses = [
        text_events(1, "one"),
        call_events(2, ["sh", "-c", "echo begun; exec sleep 1000"]),
        text_events(3, "three"),
    ]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as old, running(tmp_path) as new:
            session = await old.request("session/configure", {"cwd": str(tmp_path)})
            session_id = session["sessionId"]
            await old.turn(session_id, "first")
            turn = await old.say(session_id, "second")
            await old.wait_event("exec_command_output_delta")

            params = {"sessionId": session_id, "takeover": True}
            resumed = await new.request("session/resume", params)

            await old.wait_event("shutdown_complete")
            said = [e["msg"] for e in old.events() if e["id"] == turn or "by" in e["msg"]]
            last = [e["msg"] for e in old.events()][-3:]
            assert {"type": "turn_aborted", "reason": "taken_over"} in said
            assert [m["type"] for m in last] == [
                "turn_aborted",
                "session_taken_over",
                "shutdown_complete",
            ]
            assert last[1]["by"]["pid"] == new.process.pid
            (end,) = [m for m in said if m["type"] == "exec_command_end"]
            assert end["stdout"] == "begun\n"
            numbers = [e["seq"] for e in old.events()]
            assert numbers == list(range(1, len(numbers) + 1))

            # The old one knows that it has it no more, and works on for others.
            assert (await refused(old, "session/submit", say(session_id))).code == 1005
            assert (await refused(old, "session/resume", {"sessionId": session_id})).code == 1002
            await old.request("session/configure", {"cwd": str(tmp_path)})

            assert resumed["sessionId"] == session_id
            assert resumed["rolloutPath"] == session["rolloutPath"]
            assert resumed["itemCount"] == 5
            await new.turn(session_id, "third")
        sent = conversation_of(model.requests[2])
    items = [i for i in sent if not text_of_message(i).startswith("<turn_aborted>")]
    kinds = ["first", "one", "second", "function_call", "function_call_output"]
    assert texts_of(items)[:5] == kinds
    assert "begun" in items[4]["output"]
    assert texts_of(items)[-1] == "third"
    turns = [r for r in records_of(session["rolloutPath"]) if r.get("record_type") == "turn"]
    assert [t["status"] for t in turns] == [
        "started",
        "completed",
        "started",
        "aborted",
        "started",
        "completed",
    ]
    assert turns[3]["reason"] == "taken_over"


def say(session_id: str) -> dict[str, Any]:
    op = {"type": "user_input", "items": [{"type": "text", "text": "?"}]}
    return {"sessionId": session_id, "op": op}


def text_of_message(item: dict[str, Any]) -> str:
    return text_of(item) if item["type"] == "message" else ""


async def test_a_session_can_be_taken_back(tmp_path: Path) -> None:
    responses = [text_events(n, f"answer {n}") for n in range(1, 6)]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as one, running(tmp_path) as two:
            session = await one.request("session/configure", {"cwd": str(tmp_path)})
            session_id = session["sessionId"]
            await one.turn(session_id, "turn 1")
            for n, client in enumerate((two, one, two, one), start=2):
                params = {"sessionId": session_id, "takeover": True}
                resumed = await client.request("session/resume", params)
                assert resumed["itemCount"] == 2 * (n - 1)
                await client.turn(session_id, f"turn {n}")
    said = [text_of(i) for i in conversation_of(model.requests[4])]
    expected = [text for n in range(1, 5) for text in (f"turn {n}", f"answer {n}")]
    assert said == [*expected, "turn 5"]
    items = [r for r in records_of(session["rolloutPath"]) if r.get("type") == "message"]
    assert len(items) == 10


@pytest.mark.parametrize("waits", ["for the model", "for an approval"])
async def test_what_a_turn_waits_for_does_not_hold_up_a_takeover(
    tmp_path: Path, waits: str
) -> None:
    stuck = text_events(1, "never")
    stuck["events"].insert(0, {"hold": "never"})
    asks = call_events(1, ["touch", "ran"])
    responses = [stuck if waits == "for the model" else asks, text_events(2, "two")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, approval_policy='"untrusted"')
        async with running(tmp_path) as old, running(tmp_path) as new:
            session = await old.request("session/configure", {"cwd": str(tmp_path)})
            session_id = session["sessionId"]
            await old.say(session_id, "first")
            if waits == "for the model":
                with anyio.fail_after(5):
                    await model.request(1)
            else:
                await old.wait_event("exec_approval_request")
            params = {"sessionId": session_id, "takeover": True}
            resumed = await new.request("session/resume", params)
            assert resumed["itemCount"] == (1 if waits == "for the model" else 3)
            await old.wait_event("turn_aborted", reason="taken_over")
            await old.wait_event("shutdown_complete")
            await new.turn(session_id, "second")
            assert not (tmp_path / "ran").exists()


async def test_a_holder_that_does_not_react_keeps_its_session(tmp_path: Path) -> None:
    async with ModelServer({"default": text_events(1, "one")}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as old, running(tmp_path, timeout_s=18) as new:
            session = await old.request("session/configure", {"cwd": str(tmp_path)})
            session_id = session["sessionId"]
            await old.turn(session_id, "first")
            before = Path(session["rolloutPath"]).read_bytes()
            old.process.send_signal(signal.SIGSTOP)
            try:
                params = {"sessionId": session_id, "takeover": True}
                error = await refused(new, "session/resume", params)
            finally:
                old.process.send_signal(signal.SIGCONT)
            assert error.code == 1002
            assert error.data["pid"] == old.process.pid
            assert error.data["host"]
            assert Path(session["rolloutPath"]).read_bytes() == before
            # Nobody waits for it any more, so it does not let go either.
            await old.turn(session_id, "second")
            kinds = {event["msg"]["type"] for event in old.events()}
            assert not kinds & {"session_taken_over", "turn_aborted", "shutdown_complete"}


async def test_without_takeover_a_second_window_reads_and_forks_and_writes_nothing_there(
    tmp_path: Path,
) -> None:
    responses = [
        text_events(1, "one"),
        call_events(2, ["sh", "-c", "echo begun; exec sleep 1000"]),
        text_events(3, "of the fork"),
    ]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as old, running(tmp_path) as new:
            session = await old.request("session/configure", {"cwd": str(tmp_path)})
            session_id, path = session["sessionId"], Path(session["rolloutPath"])
            await old.turn(session_id, "first")
            await old.say(session_id, "second")
            await old.wait_event("exec_command_output_delta")
            before = path.read_bytes()

            error = await refused(new, "session/resume", {"sessionId": session_id})
            assert (error.code, error.data["pid"]) == (1002, old.process.pid)
            for method, more in (
                ("session/rename", {"title": "mine"}),
                ("session/archive", {}),
                ("session/delete", {}),
            ):
                error = await refused(new, method, {"sessionId": session_id, **more})
                assert error.code == 1002, method
            (row,) = (await new.request("session/list", {}))["sessions"]
            assert (row["sessionId"], row["live"]) == (session_id, True)
            assert texts_of(await items_of(new, session_id)) == [
                "first",
                "one",
                "second",
                "function_call",
            ]
            fork = await new.request("session/fork", {"sessionId": session_id, "upTo": 1})
            assert fork["forkedFrom"] == session_id
            assert fork["rolloutPath"] != str(path)
            await new.turn(fork["sessionId"], "another way")
            assert path.read_bytes() == before

            whole = await new.request("session/fork", {"sessionId": session_id})
            items = await items_of(new, whole["sessionId"])
            assert [i["type"] for i in items][-2:] == ["function_call", "function_call_output"]
            assert path.read_bytes() == before
    assert texts_of(conversation_of(model.requests[2])) == ["first", "one", "another way"]


async def test_of_servers_that_race_for_a_session_exactly_one_gets_it(tmp_path: Path) -> None:
    async with ModelServer({"default": text_events(1, "answer")}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as first:
            session = await first.request("session/configure", {"cwd": str(tmp_path)})
            session_id = session["sessionId"]
            await first.turn(session_id, "begin")
            assert await first.close_stdin() == 0
        async with running(tmp_path) as one, running(tmp_path) as two, running(tmp_path) as three:
            for n in range(5):
                codes = await race((one, two, three), {"sessionId": session_id})
                assert sorted(codes.values()) == [0, 1002, 1002]
                (winner,) = (client for client, code in codes.items() if code == 0)
                await winner.turn(session_id, f"round {n}")
                await winner.request("session/close", {"sessionId": session_id})
    said = [text_of(r) for r in records_of(session["rolloutPath"]) if r.get("role") == "user"]
    assert said == ["begin", *(f"round {n}" for n in range(5))]


async def test_of_servers_that_race_to_take_over_one_has_it_in_the_end(tmp_path: Path) -> None:
    async with ModelServer({"default": text_events(1, "answer")}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as old, running(tmp_path) as one, running(tmp_path) as two:
            session = await old.request("session/configure", {"cwd": str(tmp_path)})
            session_id = session["sessionId"]
            await old.turn(session_id, "begin")
            codes = await race((one, two), {"sessionId": session_id, "takeover": True})
            assert set(codes.values()) <= {0, 1002}
            winners = [client for client, code in codes.items() if code == 0]
            await old.wait_event("shutdown_complete")
            assert winners
            await (await last_of(winners)).turn(session_id, "end")
    said = [text_of(r) for r in records_of(session["rolloutPath"]) if r.get("role") == "user"]
    assert said == ["begin", "end"]


async def race(clients: Sequence[Client], params: dict[str, Any]) -> dict[Client, int]:
    """All resume a session at once; the code of each one's error, 0 for none."""
    codes: dict[Client, int] = {}

    async def resume(client: Client) -> None:
        try:
            await client.request("session/resume", params)
        except RpcError as error:
            codes[client] = error.code
        else:
            codes[client] = 0

    async with anyio.create_task_group() as tg:
        for client in clients:
            tg.start_soon(resume, client)
    return codes


async def last_of(winners: list[Client]) -> Client:
    """The one that was not taken over in its turn."""
    left = list(winners)

    async def is_told(client: Client) -> None:
        await client.wait_event("shutdown_complete")
        left.remove(client)
        waiting.cancel_scope.cancel()

    if len(winners) > 1:
        async with anyio.create_task_group() as waiting:
            for client in winners:
                waiting.start_soon(is_told, client)
    (last,) = left
    return last

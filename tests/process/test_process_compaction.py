"""Compaction through the real process: by order, by itself, and what a resume makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from support.client import Client, running
from support.conversation import (
    call_events,
    conversation_of,
    text_events,
    text_of,
    write_config,
)
from support.model_server import ModelServer
from support.saved import items_of, kinds_of, records_of

from codex_rpc.core.turn import GO_ON

SUMMARY = "We said hello, and echoed."
LIMIT = 1_000
FAR = {"input_tokens": 2 * LIMIT, "output_tokens": 1, "total_tokens": 2 * LIMIT + 1}
"""The usage of a response after which the conversation is too long."""


def held_events(n: int, name: str) -> dict[str, Any]:
    """The n-th response: it begins, and then waits for `release(name)`."""
    response = text_events(n, SUMMARY)
    response["events"].insert(1, {"hold": name})
    return response


def first_turns() -> list[dict[str, Any]]:
    """The responses of two turns: a text; a call and a text."""
    return [
        text_events(1, "Hello."),
        call_events(2, ["echo", "one"]),
        text_events(3, "Echoed."),
    ]


async def open_session(client: Client, work: Path) -> dict[str, Any]:
    """A new session."""
    work.mkdir(exist_ok=True)
    configured: dict[str, Any] = await client.request("session/configure", {"cwd": str(work)})
    return configured


async def compact(client: Client, session_id: str) -> list[dict[str, Any]]:
    """Order a compaction; the events of its turn."""
    start = len(client.received)
    submission = await client.submit(session_id, {"type": "compact"})

    def closes(message: dict[str, Any]) -> bool:
        params = message.get("params", {})
        return params.get("id") == submission and params["msg"]["type"] == "task_complete"

    await client.wait_for(closes, start=start)
    return [e for e in client.events(start=start) if e["id"] == submission]


def told(request: dict[str, Any]) -> list[str]:
    """What a request holds, without what every request does: texts, and the kinds of the rest."""
    return [
        text_of(item) if item["type"] == "message" else item["type"]
        for item in conversation_of(request)
    ]


async def test_an_ordered_compaction_is_announced_recorded_and_survives_a_resume(
    tmp_path: Path,
) -> None:
    responses = [*first_turns(), text_events(4, SUMMARY), text_events(5, "Yes.")]
    async with ModelServer({"responses": [*responses, text_events(6, "Still.")]}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await open_session(client, tmp_path / "work")
            session_id = session["sessionId"]
            await client.turn(session_id, "hello")
            await client.turn(session_id, "echo")
            events = [event["msg"] for event in await compact(client, session_id)]
            assert [msg["type"] for msg in events] == [
                "task_started",
                "token_count",
                "context_compacted",
                "task_complete",
            ]
            assert events[2]["summary"] == SUMMARY
            await client.turn(session_id, "do you remember?")
        assert "tools" not in model.requests[3]["body"] or not model.requests[3]["body"]["tools"]
        before = ["hello", "Hello.", "echo", "function_call", "function_call_output", "Echoed."]
        assert told(model.requests[3])[:-1] == before
        assert told(model.requests[4]) == [SUMMARY, "do you remember?"]
        # The process was killed there.
        async with running(tmp_path) as client:
            resumed = await client.request("session/resume", {"sessionId": session_id})
            assert resumed["itemCount"] == 8
            await client.turn(session_id, "and now?")
            assert len(await items_of(client, session_id, limit=3)) == 10
        assert told(model.requests[5]) == [SUMMARY, "do you remember?", "Yes.", "and now?"]
    records = records_of(session["rolloutPath"])
    at = kinds_of(records).index("compacted")
    assert records[at]["line"] == at + 1
    assert records[at]["replaces"] == 6
    assert kinds_of(records)[at + 1 : at + 3] == ["context", "state"]


async def test_a_conversation_that_gets_too_long_is_compacted_before_the_next_request(
    tmp_path: Path,
) -> None:
    responses = first_turns()
    responses[1]["events"][-1]["response"]["usage"] = FAR
    responses.insert(2, text_events(9, SUMMARY))
    async with ModelServer({"responses": [*responses, text_events(5, "Go on.")]}) as model:
        write_config(tmp_path, model.url, model_auto_compact_token_limit=str(LIMIT))
        async with running(tmp_path) as client:
            session = await open_session(client, tmp_path / "work")
            await client.turn(session["sessionId"], "hello")
            events = await client.turn(session["sessionId"], "echo")
        kinds = [event["msg"]["type"] for event in events]
        # In the middle of the turn: between the command's end and the next request.
        assert kinds.index("exec_command_end") < kinds.index("context_compacted")
        assert kinds.index("context_compacted") < kinds.index("agent_message")
        assert kinds[-1] == "task_complete"
        sent, go_on = told(model.requests[3])
        # The model is not given its own words last.
        assert go_on == GO_ON
        assert sent.startswith(SUMMARY)
        assert "echo" in sent.removeprefix(SUMMARY), "what the user asked for is not lost"
        async with running(tmp_path) as client:
            await client.request("session/resume", {"sessionId": session["sessionId"]})
            await client.turn(session["sessionId"], "more")
        assert told(model.requests[4]) == [sent, "Echoed.", "more"]


async def test_it_goes_on_from_the_summary_when_killed_right_after_it_was_announced(
    tmp_path: Path,
) -> None:
    responses = [*first_turns(), text_events(4, SUMMARY), text_events(5, "Yes.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session_id = (await open_session(client, tmp_path / "work"))["sessionId"]
            await client.turn(session_id, "hello")
            await client.turn(session_id, "echo")
            await client.submit(session_id, {"type": "compact"})
            await client.wait_event("context_compacted")
            client.kill()
            await client.wait_for_end()
        async with running(tmp_path) as client:
            resumed = await client.request("session/resume", {"sessionId": session_id})
            assert resumed["itemCount"] == 6
            await client.turn(session_id, "and now?")
        sent = told(model.requests[4])
        assert (sent[0], sent[-1]) == (SUMMARY, "and now?")
        assert "hello" not in sent


async def test_nothing_has_happened_when_killed_while_the_summary_is_written(
    tmp_path: Path,
) -> None:
    responses = [*first_turns(), held_events(4, "never"), text_events(5, "Yes.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await open_session(client, tmp_path / "work")
            session_id = session["sessionId"]
            await client.turn(session_id, "hello")
            await client.turn(session_id, "echo")
            await client.submit(session_id, {"type": "compact"})
            with anyio.fail_after(5):
                await model.request(4)
            client.kill()
            await client.wait_for_end()
        async with running(tmp_path) as client:
            await client.request("session/resume", {"sessionId": session_id})
            await client.turn(session_id, "and now?")
    sent = told(model.requests[4])
    assert sent[:6] == [
        "hello",
        "Hello.",
        "echo",
        "function_call",
        "function_call_output",
        "Echoed.",
    ]
    assert sent[-1] == "and now?"
    assert "compacted" not in kinds_of(records_of(session["rolloutPath"]))


async def test_an_interrupted_compaction_leaves_the_conversation_as_it_was(
    tmp_path: Path,
) -> None:
    responses = [*first_turns(), held_events(4, "never"), text_events(5, "Yes.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session_id = (await open_session(client, tmp_path / "work"))["sessionId"]
            await client.turn(session_id, "hello")
            await client.turn(session_id, "echo")
            await client.submit(session_id, {"type": "compact"})
            with anyio.fail_after(5):
                await model.request(4)
            await client.submit(session_id, {"type": "interrupt"})
            await client.wait_event("turn_aborted", reason="interrupted")
            await client.turn(session_id, "and now?")
    sent = told(model.requests[4])
    assert sent[0] == "hello"
    assert sent[-1] == "and now?"


async def test_a_second_compaction_stands_for_the_first_one_too(tmp_path: Path) -> None:
    responses = [
        text_events(1, "Hello."),
        text_events(2, "FIRST SUMMARY"),
        text_events(3, "Yes."),
        text_events(4, "SECOND SUMMARY"),
        text_events(5, "And on."),
    ]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await open_session(client, tmp_path / "work")
            session_id = session["sessionId"]
            await client.turn(session_id, "one")
            await compact(client, session_id)
            await client.turn(session_id, "two")
            await compact(client, session_id)
        assert told(model.requests[3])[:-1] == ["FIRST SUMMARY", "two", "Yes."]
        async with running(tmp_path) as client:
            await client.request("session/resume", {"sessionId": session_id})
            await client.turn(session_id, "three")
            # What was said is all there to be read, summaries are no items.
            texts = [text_of(item) for item in await items_of(client, session_id)]
        assert told(model.requests[4]) == ["SECOND SUMMARY", "three"]
    assert texts == ["one", "Hello.", "two", "Yes.", "three", "And on."]
    counts = [r["replaces"] for r in records_of(session["rolloutPath"]) if "replaces" in r]
    assert counts == [2, 4]

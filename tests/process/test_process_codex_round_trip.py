"""Sessions go from this program to the real Codex CLI and back, where that is installed.

    npm install --prefix A @openai/codex@0.20.0
    npm install --prefix B @openai/codex
    pytest tests/process/test_process_codex_round_trip.py \
        --codex-020 A/node_modules/.bin/codex --codex-latest B/node_modules/.bin/codex
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from support import real_codex
from support.conversation import (
    call_events,
    completed,
    conversation_of,
    message,
    text_events,
    text_of,
)
from support.model_server import ModelServer
from support.saved import items_of, kinds_of, records_of

pytestmark = pytest.mark.timeout(90)

BIG_TEXT = "line of a large paste\n" * 20_000
PICTURE = "data:image/png;base64," + base64.b64encode(os.urandom(30_000)).decode()


@pytest.fixture
def codex_020(request: pytest.FixtureRequest) -> str:
    return real_codex.find(request.config, "--codex-020", lambda version: version == (0, 20))


@pytest.fixture
def codex_latest(request: pytest.FixtureRequest) -> str:
    def is_of_today(version: tuple[int, int]) -> bool:
        return version >= real_codex.FIRST_OF_TODAY

    return real_codex.find(request.config, "--codex-latest", is_of_today)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def thinking(n: int) -> dict[str, Any]:
    """A reasoning item, a message, and an item that no other program knows."""
    reasoning = {
        "type": "reasoning",
        "id": f"rs_{n}",
        "summary": [{"type": "summary_text", "text": "I think."}],
        "encrypted_content": "gAAAA" + "x" * 40,
    }
    unknown = {"type": "brand_new", "id": f"bn_{n}", "payload": {"a": [1, 2]}}
    items = [reasoning, unknown, message(f"msg_{n}", "Thought.")]
    return {
        "events": [
            {"type": "response.created", "response": {"id": f"resp_{n}"}},
            *({"type": "response.output_item.done", "item": item} for item in items),
            completed(n),
        ]
    }


def told(items: list[dict[str, Any]]) -> list[str]:
    """Items in short: texts by their beginnings, and the kinds of the rest with call ids."""
    return [
        text_of(item)[:40]
        if item["type"] == "message"
        else f"{item['type']} {item.get('call_id', '')}".strip()
        for item in items
    ]


def known_to_020(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in items if item["type"] != "brand_new"]


async def test_a_session_of_ours_goes_on_in_020_and_comes_back(
    tmp_path: Path, work: Path, codex_020: str
) -> None:
    responses = [
        text_events(1, "One."),
        call_events(2, ["echo", "hi"]),
        thinking(3),
        text_events(4, "A long one."),
        text_events(5, "SUMMARY so far."),
        text_events(6, "After it."),
        text_events(7, "From the old program."),
        text_events(8, "Ours again."),
    ]
    async with ModelServer({"responses": responses}) as model:
        real_codex.write_config(tmp_path, model.url)
        async with real_codex.ours(tmp_path) as client:
            session = await client.request("session/configure", {"cwd": str(work)})
            session_id, path = session["sessionId"], Path(session["rolloutPath"])
            await client.turn(session_id, "first")
            await client.turn(session_id, "run something")
            inputs = [
                {"type": "text", "text": BIG_TEXT},
                {"type": "image", "image_url": PICTURE},
            ]
            await client.submit(session_id, {"type": "user_input", "items": inputs}, "big")
            await client.wait_event("task_complete", last_agent_message="A long one.")
            await client.request("session/rename", {"sessionId": session_id, "title": "A trip"})
            start = len(client.received)
            await client.submit(session_id, {"type": "compact"})
            await client.wait_event("task_complete", start=start)
            await client.turn(session_id, "and then")
            assert await client.close_stdin() == 0
        before = path.read_bytes()
        records = records_of(path)
        kinds = kinds_of(records)
        assert {"blobs", "compacted", "title", "context", "turn"} <= set(kinds)
        ours = [record for record in records if "type" in record]
        assert len(before) < 100_000, "what is large is not in the file"

        async with real_codex.proto(codex_020, tmp_path, work, resume=path) as old:
            assert (await old.configured())["session_id"] == session_id
            assert (await old.turn("to the old one"))["last_agent_message"] == (
                "From the old program."
            )
        sent = conversation_of(model.requests[6])
        assert told(sent) == [*told(known_to_020(ours)), "to the old one"]
        assert path.read_bytes().startswith(before)

        async with real_codex.ours(tmp_path) as client:
            resumed = await client.request("session/resume", {"sessionId": session_id})
            assert resumed["rolloutPath"] == str(path)
            await client.turn(session_id, "back again")
            items = await items_of(client, session_id)
    # The summary stands for what was before it; what came since is all there.
    assert told(conversation_of(model.requests[7])) == [
        "SUMMARY so far.",
        "and then",
        "After it.",
        "to the old one",
        "From the old program.",
        "back again",
    ]
    (large,) = [i for i in items if i["type"] == "message" and len(i["content"]) == 2]
    assert large["content"][0]["text"] == BIG_TEXT
    assert large["content"][1]["image_url"] == PICTURE


async def test_a_session_of_020_goes_on_here_in_the_same_file_and_there_again(
    tmp_path: Path, work: Path, codex_020: str
) -> None:
    responses = [
        text_events(1, "One."),
        call_events(2, ["echo", "hi"]),
        thinking(3),
        call_events(4, ["echo", "ours"]),
        text_events(5, "From ours."),
        text_events(6, "The old one again."),
    ]
    async with ModelServer({"responses": responses}) as model:
        real_codex.write_config(tmp_path, model.url)
        async with real_codex.proto(codex_020, tmp_path, work) as old:
            session_id = (await old.configured())["session_id"]
            await old.turn("first")
            await old.turn("run something")
        (path,) = (tmp_path / ".codex").rglob("rollout-*.jsonl")
        before = path.read_bytes()
        theirs = [record for record in records_of(path) if "type" in record]
        assert len(theirs) == 7

        async with real_codex.ours(tmp_path) as client:
            (row,) = (await client.request("session/list", {}))["sessions"]
            assert (row["sessionId"], row["path"]) == (session_id, str(path))
            assert row["preview"] == "first"
            params = {"sessionId": session_id, "cwd": str(work)}
            resumed = await client.request("session/resume", params)
            assert resumed["sessionId"] == session_id
            assert resumed["rolloutPath"] == str(path)
            assert resumed["itemCount"] == len(theirs)
            events = await client.turn(session_id, "to ours")
            assert events[-1]["msg"]["last_agent_message"] == "From ours."
            assert await client.close_stdin() == 0
        assert conversation_of(model.requests[3])[: len(theirs)] == theirs
        assert path.read_bytes().startswith(before)
        everything = [record for record in records_of(path) if "type" in record]

        async with real_codex.proto(codex_020, tmp_path, work, resume=path) as old:
            assert (await old.configured())["session_id"] == session_id
            await old.turn("once more")
    assert told(conversation_of(model.requests[5])) == [*told(everything), "once more"]


async def test_a_session_of_todays_codex_is_listed_read_and_continued_in_a_file_of_its_own(
    tmp_path: Path, work: Path, codex_latest: str
) -> None:
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "exec_command",
        "arguments": json.dumps({"cmd": "echo hi"}),
    }
    calls = {
        "events": [
            {"type": "response.created", "response": {"id": "resp_1"}},
            {"type": "response.output_item.done", "item": call},
            completed(1),
        ]
    }
    responses = [
        calls,
        text_events(2, "Theirs."),
        text_events(3, "Ours."),
        text_events(4, "Ours again."),
        text_events(5, "Theirs again."),
        text_events(6, "Ours anew."),
    ]
    async with ModelServer({"responses": responses}) as model:
        real_codex.write_config(tmp_path, model.url)
        arguments = ("--skip-git-repo-check", "run something")
        assert "Theirs." in await real_codex.execute(codex_latest, tmp_path, work, *arguments)
        (path,) = (tmp_path / ".codex").rglob("rollout-*.jsonl")
        before = path.read_bytes()

        async with real_codex.ours(tmp_path) as client:
            (row,) = (await client.request("session/list", {}))["sessions"]
            foreign_id = row["sessionId"]
            assert row["path"] == str(path)
            assert (row["origin"], row["status"]) == ("codex", "clean")
            assert row["preview"] == "run something"
            assert row["cwd"] == str(work)
            shown = await items_of(client, foreign_id)
            assert told(shown) == [
                "run something",
                "function_call call_1",
                "function_call_output call_1",
                "Theirs.",
            ]
            resumed = await client.request("session/resume", {"sessionId": foreign_id})
            first_id = resumed["sessionId"]
            assert (resumed["forkedFrom"], resumed["itemCount"]) == (foreign_id, 4)
            assert first_id != foreign_id
            assert resumed["rolloutPath"] != str(path)
            await client.turn(first_id, "to ours")
            assert await client.close_stdin() == 0
        assert path.read_bytes() == before
        assert told(conversation_of(model.requests[2])) == [*told(shown), "to ours"]

        async with real_codex.ours(tmp_path) as client:
            # It has not grown: its continuation goes on.
            resumed = await client.request("session/resume", {"sessionId": foreign_id})
            assert resumed["sessionId"] == first_id
            await client.turn(first_id, "once more")
            assert await client.close_stdin() == 0
        assert told(conversation_of(model.requests[3])) == [
            *told(shown),
            "to ours",
            "Ours.",
            "once more",
        ]

        # Our files do not disturb it: it goes on with its own.
        arguments = ("resume", "--skip-git-repo-check", foreign_id, "go on")
        said = await real_codex.execute(codex_latest, tmp_path, work, *arguments)
        assert "Theirs again." in said
        grown = path.read_bytes()
        assert grown.startswith(before)
        assert len(grown) > len(before)

        async with real_codex.ours(tmp_path) as client:
            resumed = await client.request("session/resume", {"sessionId": foreign_id})
            assert resumed["sessionId"] not in (foreign_id, first_id)
            assert (resumed["forkedFrom"], resumed["itemCount"]) == (foreign_id, 6)
            await client.turn(resumed["sessionId"], "anew")
            rows = (await client.request("session/list", {}))["sessions"]
            assert len(rows) == 3
    assert path.read_bytes() == grown
    assert told(conversation_of(model.requests[5])) == [
        *told(shown),
        "go on",
        "Theirs again.",
        "anew",
    ]

"""A secret that this process knows by its value is in no file and in no event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.client import running
from support.conversation import call_events, conversation_of, text_events, write_config
from support.model_server import ModelServer
from support.saved import records_of

KEY = "sk-proj-9fQ2xLr71ZbT0uVw"
TOKEN = "ghp4aB9kQz81LmXc0Rt"
MASK = "[redacted]"


def split(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def responses() -> list[dict[str, Any]]:
    """The model says a key in pieces, has one printed in pieces, and names one in a call."""
    first, second = split(KEY)
    script = (
        f"printf %s {first}; sleep 0.2; echo {second}; printf %s {first} >&2; echo {second} >&2"
    )
    return [
        text_events(1, f"You wrote {first}", f"{second}, right?"),
        call_events(2, ["sh", "-c", script], ["echo", f"the key is {KEY}"]),
        text_events(3, "Done."),
        text_events(4, f"A summary with {KEY}."),
        text_events(5, "Still."),
    ]


@pytest.mark.parametrize("redact", [True, False])
async def test_a_pasted_key_and_a_printed_one_are_nowhere_but_in_the_models_arguments(
    tmp_path: Path, redact: bool
) -> None:
    async with ModelServer({"responses": responses()}) as model:
        write_config(tmp_path, model.url)
        config = tmp_path / ".codex" / "config.toml"
        config.write_text(
            config.read_text()
            + 'env_key = "MY_KEY"\n'
            + f"[history]\nredact = {str(redact).lower()}\n"
        )
        async with running(tmp_path, MY_KEY=KEY, GITHUB_TOKEN=TOKEN) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            session_id = session["sessionId"]
            await client.turn(session_id, f"my key is {KEY} and {TOKEN}, keep it")
            await client.turn(session_id, "print it")
            op = {"type": "add_to_history", "text": f"my key is {KEY}"}
            await client.submit(session_id, op)
            start = len(client.received)
            await client.submit(session_id, {"type": "compact"})
            await client.wait_event("task_complete", start=start)
            await client.turn(session_id, "go on")
            (row,) = (await client.request("session/list", {}))["sessions"]
            page = await client.request("session/read", {"sessionId": session_id})
            params = {"sessionId": session_id, "format": "json"}
            export = await client.request("session/export", params)
            assert await client.close_stdin() == 0
            await client.wait_for_end()
            events = client.events()
    records = records_of(session["rolloutPath"])
    history = (tmp_path / ".codex" / "history.jsonl").read_text()
    calls = [record for record in records if record.get("type") == "function_call"]
    assert len(calls) == 2
    assert KEY in json.dumps(calls), "what the model wrote into a call is the model's"
    assert all(r["headers"]["authorization"] == f"Bearer {KEY}" for r in model.requests)
    kept = json.dumps([record for record in records if record not in calls])
    shown = json.dumps([e for e in events if e["msg"]["type"] != "exec_command_begin"])
    if not redact:
        assert KEY in kept
        assert KEY in shown
        return
    for name, text in (("file", kept), ("events", shown), ("message history", history)):
        assert KEY not in text, name
        assert TOKEN not in text, name
    assert MASK in kept
    assert MASK in shown
    assert KEY not in row["title"] + row["preview"]
    listed = [e["item"] for e in page["items"] if e["item"]["type"] != "function_call"]
    assert KEY not in json.dumps(listed)
    assert KEY not in export["text"].replace(json.dumps(f"the key is {KEY}")[1:-1], "")
    # In pieces it is no secret either: what was streamed, put together, is masked as well.
    for kind, member in (("agent_message_delta", "delta"), ("exec_command_output_delta", "chunk")):
        pieces = [e["msg"] for e in events if e["msg"]["type"] == kind]
        for of in ("stdout", "stderr", None):
            joined = "".join(p[member] for p in pieces if p.get("stream") == of)
            assert KEY not in joined, (kind, of)
    # The next requests hold what the file holds.
    for request in model.requests[1:]:
        sent = [i for i in conversation_of(request) if i["type"] != "function_call"]
        assert KEY not in json.dumps(sent)
        assert TOKEN not in json.dumps(sent)
    for path in (tmp_path / ".codex").rglob("*"):
        if path.is_file() and path != Path(session["rolloutPath"]):
            assert KEY.encode() not in path.read_bytes(), path


async def test_what_was_kept_in_plain_stays_and_nothing_is_added_to_it(tmp_path: Path) -> None:
    responses = [text_events(1, "One."), text_events(2, f"It is {KEY}.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        config = tmp_path / ".codex" / "config.toml"
        config.write_text(config.read_text() + 'env_key = "MY_KEY"\n')
        async with running(tmp_path, "-c", "history.redact=false", MY_KEY=KEY) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            await client.turn(session["sessionId"], f"my key is {KEY}")
        path = Path(session["rolloutPath"])
        before = path.read_bytes()
        assert KEY.encode() in before
        async with running(tmp_path, MY_KEY=KEY) as client:
            await client.request("session/resume", {"sessionId": session["sessionId"]})
            await client.turn(session["sessionId"], f"again {KEY}")
        after = path.read_bytes()
    assert after.startswith(before)
    assert KEY.encode() not in after[len(before) :]

"""Questions over the Agent Client Protocol: only a clear yes lets anything happen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.acp_client import AcpClient, agent, allowing, conversation, prompt_of
from support.conversation import call_events, completed, text_events, write_config
from support.model_server import ModelServer

ASKING = {"approval_policy": '"untrusted"', "sandbox_mode": '"workspace-write"'}

PATCH = "*** Begin Patch\n*** Update File: notes.txt\n@@\n-one\n+1\n*** End Patch\n"


def patch_events(n: int) -> dict[str, Any]:
    call = {
        "type": "custom_tool_call",
        "id": f"ct_{n}",
        "call_id": f"call_{n}_0",
        "name": "apply_patch",
        "input": PATCH,
    }
    return {"events": [{"type": "response.output_item.done", "item": call}, completed(n)]}


async def question(client: AcpClient, *, start: int = 0) -> dict[str, Any]:
    """The next question."""
    _, asked = await client.wait_for(
        lambda m: m.get("method") == "session/request_permission", start=start
    )
    return asked


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32603, "message": "the client broke"}},
        {"error": {"code": -32601, "message": "no such method"}},
        {"result": None},
        {"result": {}},
        {"result": {"outcome": "selected"}},
        {"result": {"outcome": {"outcome": "selected"}}},
        {"result": {"outcome": {"outcome": "selected", "optionId": "reject_once"}}},
        {"result": {"outcome": {"outcome": "selected", "optionId": "approved"}}},
        {"result": {"outcome": {"outcome": "later", "optionId": "allow_once"}}},
    ],
    ids=json.dumps,
)
async def test_whatever_is_no_yes_is_a_no_after_which_the_turn_goes_on(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    responses = [call_events(1, ["touch", "made"]), text_events(2, "Without it.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            prompt = await client.start("session/prompt", prompt_of(session, "go"))
            asked = await question(client)
            late = {"outcome": {"outcome": "selected", "optionId": "allow_once"}}
            for said in (answer, {"result": late}):
                frame = {"jsonrpc": "2.0", "id": asked["id"], **said}
                await client.send_raw(json.dumps(frame).encode() + b"\n")
            assert (await client.answer_to(prompt))["result"]["stopReason"] == "end_turn"
            assert not (tmp_path / "made").exists()
            ends = [u for u in client.updates(session) if u.get("status") == "failed"]
            assert [u["toolCallId"] for u in ends] == ["call_1_0"]
            live = conversation(client.updates(session))
            assert conversation(await client.load(session, tmp_path)) == live


async def test_an_answer_that_comes_behind_the_cancellation_does_nothing(tmp_path: Path) -> None:
    responses = [call_events(1, ["touch", "a"], ["touch", "b"]), text_events(2, "Next.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            prompt = await client.start("session/prompt", prompt_of(session, "go"))
            asked = await question(client)
            yes = {"outcome": {"outcome": "selected", "optionId": "allow_once"}}
            await client.notify("session/cancel", {"sessionId": session})
            await client.send({"jsonrpc": "2.0", "id": asked["id"], "result": yes})
            assert (await client.answer_to(prompt))["result"]["stopReason"] == "cancelled"
            live = conversation(client.updates(session))
            begun = [u["toolCallId"] for u in live if u["sessionUpdate"] == "tool_call"]
            assert begun[0] == "call_1_0"
            assert [u["toolCallId"] for u in live if u.get("status") == "failed"] == begun
            assert conversation(await client.load(session, tmp_path)) == live
            turn = await client.prompt(session, "on")
            assert turn.text == "Next."
            assert not (tmp_path / "a").exists()
            assert not (tmp_path / "b").exists()


async def test_a_client_that_says_cancelled_to_the_question_ends_the_turn(tmp_path: Path) -> None:
    responses = [call_events(1, ["touch", "made"]), text_events(2, "Next.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            client.answer = allowing("cancelled")
            await client.initialize()
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            assert turn.stop_reason == "cancelled"
            assert not (tmp_path / "made").exists()
            assert (await client.prompt(session, "on")).text == "Next."


async def test_a_patch_that_is_refused_changes_nothing_and_keeps_its_diff(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one\n")
    responses = [patch_events(1), text_events(2, "Well."), patch_events(3), text_events(4, "Done.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            client.answer = allowing("reject_once", "allow_once")
            await client.initialize()
            session = await client.new(tmp_path)
            refused = await client.prompt(session, "go")
            assert refused.stop_reason == "end_turn"
            assert (tmp_path / "notes.txt").read_text() == "one\n"
            end = refused.of("tool_call_update")[-1]
            assert end["status"] == "failed"
            diff = {
                "type": "diff",
                "path": str(tmp_path / "notes.txt"),
                "oldText": "one\n",
                "newText": "1\n",
            }
            assert diff in end["content"]
            allowed = await client.prompt(session, "again")
            assert (tmp_path / "notes.txt").read_text() == "1\n"
            loaded = conversation(await client.load(session, tmp_path))
            assert loaded == conversation([*refused.updates, *allowed.updates])


async def test_what_is_allowed_always_is_asked_again_in_another_session_and_after_a_load(
    tmp_path: Path,
) -> None:
    responses = []
    for n in range(1, 9, 2):
        responses += [call_events(n, ["touch", "made"]), text_events(n + 1, "x")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            client.answer = allowing("allow_always")

            async def asked_in(session: str) -> list[list[str]]:
                start = len(client.received)
                await client.prompt(session, "go")
                return [
                    [option["name"] for option in m["params"]["options"]]
                    for m in client.received[start:]
                    if m.get("method") == "session/request_permission"
                ]

            await client.initialize()
            session = await client.new(tmp_path)
            ((_, scope, _),) = await asked_in(session)
            assert "touch made" in scope
            assert await asked_in(session) == []
            assert len(await asked_in(await client.new(tmp_path))) == 1
            await client.request("session/close", {"sessionId": session})
            await client.load(session, tmp_path)
            assert len(await asked_in(session)) == 1


async def test_questions_of_two_sessions_are_answered_each_for_itself(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    script = {"responses": [call_events(1, ["touch", "made"])] * 2}
    async with ModelServer({**script, "default": text_events(2, "x")}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            await client.initialize()
            sessions = [await client.new(folder) for folder in folders]
            prompts = [await client.start("session/prompt", prompt_of(s, "go")) for s in sessions]
            asked: dict[str, dict[str, Any]] = {}
            start = 0
            while len(asked) < 2:
                found = await question(client, start=start)
                start = client.received.index(found) + 1
                asked[found["params"]["sessionId"]] = found
            for session, option in zip(sessions[::-1], ("allow_once", "reject_once"), strict=True):
                outcome = {"outcome": {"outcome": "selected", "optionId": option}}
                frame = {"jsonrpc": "2.0", "id": asked[session]["id"], "result": outcome}
                await client.send(frame)
            for prompt in prompts:
                assert (await client.answer_to(prompt))["result"]["stopReason"] == "end_turn"
            assert [(folder / "made").exists() for folder in folders] == [False, True]

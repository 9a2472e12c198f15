"""Turns over the Agent Client Protocol: how they are cancelled, how they end, what steers them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.acp_client import AcpClient, Turn, agent, allowing, prompt_of, silent, text_in
from support.client import RpcError
from support.conversation import (
    call_events,
    conversation_of,
    message,
    text_events,
    text_of,
    write_config,
)
from support.model_server import ModelServer

ASKING = {"approval_policy": '"untrusted"', "sandbox_mode": '"workspace-write"'}


async def ended(client: AcpClient, id_: int) -> str:
    """The stop reason with which a prompt was answered."""
    answer = await client.answer_to(id_)
    reason: str = answer["result"]["stopReason"]
    return reason


async def test_cancelling_a_question_a_command_and_a_stream(tmp_path: Path) -> None:
    streaming = text_events(3, "Once ", "upon ")
    streaming["events"].insert(-2, {"hold": "for ever"})
    responses = [
        call_events(1, ["touch", "made"]),
        call_events(2, ["sleep", "1000"]),
        streaming,
        text_events(4, "Still here."),
    ]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            # Nothing runs: nothing happens.
            await client.notify("session/cancel", {"sessionId": session})
            await client.notify("session/cancel", {"sessionId": "unknown"})

            asked = await client.start("session/prompt", prompt_of(session, "one"))
            _, question = await client.wait_for(
                lambda m: m.get("method") == "session/request_permission"
            )
            await client.notify("session/cancel", {"sessionId": session})
            assert await ended(client, asked) == "cancelled"
            # The question is taken back.
            _, withdrawn = await client.wait_for(lambda m: m.get("method") == "$/cancel_request")
            assert withdrawn["params"]["requestId"] == question["id"]
            assert not (tmp_path / "made").exists()
            assert client.updates(session)[-1].get("updatedAt")

            client.answer = allowing("allow_once")
            running = await client.start("session/prompt", prompt_of(session, "two"))
            start, _ = await client.wait_update("tool_call_update", status="in_progress")
            await client.notify("session/cancel", {"sessionId": session})
            assert await ended(client, running) == "cancelled"
            await client.wait_update("tool_call_update", status="failed", start=start)

            streamed = await client.start("session/prompt", prompt_of(session, "three"))
            await client.wait_update("agent_message_chunk")
            await client.notify("session/cancel", {"sessionId": session})
            assert await ended(client, streamed) == "cancelled"

            assert (await client.prompt(session, "four")).text == "Still here."


async def test_a_prompt_and_its_cancellation_in_one_write(tmp_path: Path) -> None:
    async with ModelServer({"default": {"events": [{"hold": "for ever"}]}}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            for n in range(10):
                id_ = 100 + n
                text = "/unknown thing" if n % 2 else "hello"
                prompt = {"id": id_, "method": "session/prompt", "params": prompt_of(session, text)}
                cancel = {"method": "session/cancel", "params": {"sessionId": session}}
                frames = [{"jsonrpc": "2.0", **frame} for frame in (prompt, cancel)]
                for frame in frames:
                    client.frames.from_client(frame)
                await client.send_raw(b"".join(json.dumps(f).encode() + b"\n" for f in frames))
                answer = await client.answer_to(id_)
                assert answer["result"] == {"stopReason": "cancelled"}


async def test_a_cancellation_is_not_for_a_prompt_that_comes_behind_it(tmp_path: Path) -> None:
    async with ModelServer({"default": text_events(1, "Said.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            for n in range(10):
                frames = [
                    {
                        "jsonrpc": "2.0",
                        "method": "session/cancel",
                        "params": {"sessionId": session},
                    },
                    {
                        "jsonrpc": "2.0",
                        "id": 100 + n,
                        "method": "session/prompt",
                        "params": prompt_of(session, "hello"),
                    },
                ]
                for frame in frames:
                    client.frames.from_client(frame)
                await client.send_raw(b"".join(json.dumps(f).encode() + b"\n" for f in frames))
                assert await ended(client, 100 + n) == "end_turn"


async def test_cancelling_the_request_stops_its_turn(tmp_path: Path) -> None:
    responses = [call_events(1, ["sleep", "1000"]), text_events(2, "Next.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            id_ = await client.start("session/prompt", prompt_of(session, "one"))
            await client.wait_update("tool_call_update", status="in_progress")
            await client.notify("$/cancel_request", {"requestId": id_})
            assert (await client.answer_to(id_))["error"]["code"] == -32800
            await client.wait_update("tool_call_update", status="failed")
            assert (await client.prompt(session, "two")).text == "Next."


async def test_a_prompt_that_comes_while_a_turn_runs_joins_it(tmp_path: Path) -> None:
    responses = [call_events(1, ["bash", "-c", "until [ -e go ]; do sleep 0.02; done"])]
    responses.append(text_events(2, "Both."))
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            first = await client.start("session/prompt", prompt_of(session, "one"))
            await client.wait_update("tool_call_update", status="in_progress")
            second = await client.start("session/prompt", prompt_of(session, "also this"))
            (tmp_path / "go").write_text("")
            assert await ended(client, first) == "end_turn"
            assert await ended(client, second) == "end_turn"
            texts = [text_of(i) for i in conversation_of(model.requests[1]) if "content" in i]
            assert texts[-1] == "also this"
            assert text_in(client.updates(session), "agent_message_chunk") == "Both."


async def test_cancelling_ends_all_prompts_that_wait(tmp_path: Path) -> None:
    async with ModelServer({"default": call_events(1, ["sleep", "1000"])}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            ids = [await client.start("session/prompt", prompt_of(session, "one"))]
            await client.wait_update("tool_call_update", status="in_progress")
            ids += [await client.start("session/prompt", prompt_of(session, t)) for t in "abc"]
            await client.notify("session/cancel", {"sessionId": session})
            assert [await ended(client, id_) for id_ in ids] == ["cancelled"] * 4


async def test_why_a_turn_ended_early(tmp_path: Path) -> None:
    cut_off = text_events(1, "Once upon")
    cut_off["events"][-1] = {
        "type": "response.incomplete",
        "response": {"id": "r", "incomplete_details": {"reason": "max_output_tokens"}},
    }
    refused = message("msg_2", "")
    refused["content"] = [{"type": "refusal", "refusal": "I will not."}]
    refusal = text_events(2)
    refusal["events"][-2]["item"] = refused
    filtered = text_events(3, "Well")
    filtered["events"][-1] = {
        "type": "response.incomplete",
        "response": {"id": "r", "incomplete_details": {"reason": "content_filter"}},
    }
    failed = {"status": 400, "body": {"error": {"message": "no such thing"}}}
    responses = [cut_off, refusal, filtered, failed, *[call_events(n, ["true"]) for n in (5, 6, 7)]]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, max_turn_requests="2")
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            reasons = [(await client.prompt(session, "go")).stop_reason for _ in range(3)]
            assert reasons == ["max_tokens", "refusal", "refusal"]
            turn = await client.prompt(session, "go")
            assert turn.answer["error"]["code"] == -32603
            assert "no such thing" in turn.answer["error"]["message"]
            assert (await client.prompt(session, "go")).stop_reason == "max_turn_requests"


async def test_allowing_always_and_what_a_no_leads_to(tmp_path: Path) -> None:
    command = ["touch", "made"]
    responses = [call_events(n, command) for n in (1, 2)]
    responses += [text_events(3, "ok"), call_events(4, ["touch", "other"]), text_events(5, "Well.")]
    responses += [call_events(6, ["touch", "third"]), text_events(7, "On.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            client.answer = allowing("allow_always", "reject_once")
            await client.initialize()
            session = await client.new(tmp_path)
            assert (await client.prompt(session, "one")).text == "ok"
            assert len(questions(client)) == 1
            turn = await client.prompt(session, "two")
            assert turn.text == "Well."
            assert turn.stop_reason == "end_turn"
            assert not (tmp_path / "other").exists()
            client.answer = lambda _method, _params: {"outcome": {"outcome": "cancelled"}}
            assert (await client.prompt(session, "three")).stop_reason == "cancelled"
            client.answer = silent


def questions(client: AcpClient) -> list[dict[str, Any]]:
    return [m["params"] for m in client.received if m.get("method") == "session/request_permission"]


async def test_modes_and_options_hold_for_the_next_turn(tmp_path: Path) -> None:
    responses = [text_events(1, "a"), call_events(2, ["touch", "made"]), text_events(3, "b")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, model='"first"')
        async with agent(tmp_path) as client:
            await client.initialize()
            opened = await client.request("session/new", {"cwd": str(tmp_path), "mcpServers": []})
            session = opened["sessionId"]
            assert opened["modes"]["currentModeId"] == "full"
            values = {o["id"]: o["currentValue"] for o in opened["configOptions"]}
            assert (values["mode"], values["model"]) == ("full", "first")
            assert "reasoning_effort" in values

            async def choose(option: str, value: str) -> dict[str, Any]:
                params = {"sessionId": session, "configId": option, "value": value}
                said = await client.request("session/set_config_option", params)
                return {o["id"]: o["currentValue"] for o in said["configOptions"]}

            assert (await choose("model", "second"))["model"] == "second"
            assert (await choose("reasoning_effort", "high"))["reasoning_effort"] == "high"
            await client.prompt(session, "one")
            body = model.requests[0]["body"]
            assert body["model"] == "second"
            assert body["reasoning"]["effort"] == "high"

            start = len(client.received)
            params = {"sessionId": session, "modeId": "ask"}
            assert await client.request("session/set_mode", params) == {}
            await client.wait_update("current_mode_update", start=start, currentModeId="ask")
            _, update = await client.wait_update("config_option_update", start=start)
            assert update["configOptions"][0]["currentValue"] == "ask"
            client.answer = allowing("reject_once")
            await client.prompt(session, "two")
            assert len(questions(client)) == 1
            with pytest.raises(RpcError) as raised:
                await client.request("session/set_mode", {"sessionId": session, "modeId": "x"})
            assert raised.value.code == -32602


async def test_commands_of_the_agent(tmp_path: Path) -> None:
    prompts = tmp_path / ".codex/prompts"
    prompts.mkdir(parents=True)
    (prompts / "greet.md").write_text("---\ndescription: Says hello\n---\nGreet $ARGUMENTS warmly.")
    responses = [
        text_events(1, "Hello."),
        text_events(2, "A summary."),
        text_events(3, "Reviewed."),
    ]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            _, update = await client.wait_update("available_commands_update")
            described = {c["name"]: c["description"] for c in update["availableCommands"]}
            assert described["greet"] == "Says hello"
            assert (await client.prompt(session, "/greet Ada and Bob")).text == "Hello."
            (item,) = conversation_of(model.requests[0])
            assert text_of(item) == "Greet Ada and Bob warmly."
            status = await client.prompt(session, "/status")
            assert status.stop_reason == "end_turn"
            assert session in status.text
            assert len(model.requests) == 1
            compacted: Turn = await client.prompt(session, "/compact")
            assert compacted.stop_reason == "end_turn"
            assert "summarised" in text_in(compacted.updates, "agent_thought_chunk")
            assert (await client.prompt(session, "/review")).text == "Reviewed."
            diff = await client.prompt(session, "/diff")
            assert diff.stop_reason == "end_turn"
            assert diff.text


async def test_sessions_run_side_by_side_in_their_own_folders(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    async with ModelServer(
        {"responses": [*[call_events(1, ["bash", "-c", "pwd > here; sleep 1000"])] * 2]}
    ) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            sessions = [await client.new(folder) for folder in folders]
            ids = [await client.start("session/prompt", prompt_of(s, "go")) for s in sessions]
            with anyio.fail_after(10):
                for folder in folders:
                    while not (folder / "here").exists() or not (folder / "here").read_text():
                        await anyio.sleep(0.01)
            assert [(f / "here").read_text().strip() for f in folders] == [str(f) for f in folders]
            await client.notify("session/cancel", {"sessionId": sessions[0]})
            assert await ended(client, ids[0]) == "cancelled"
            closing = await client.start("session/close", {"sessionId": sessions[1]})
            assert await ended(client, ids[1]) == "cancelled"
            assert (await client.answer_to(closing))["result"] == {}

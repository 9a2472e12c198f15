"""Sessions over the Agent Client Protocol that other processes hold, take over, or leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.acp_client import agent, conversation, prompt_of, text_in
from support.client import RpcError, running
from support.conversation import call_events, text_events, write_config
from support.model_server import ModelServer

HELD = 1002
CLOSED = 1005
NOT_FOUND = -32002

ASKING = {"approval_policy": '"untrusted"', "sandbox_mode": '"workspace-write"'}


def opening(session: str, cwd: Path) -> dict[str, Any]:
    return {"sessionId": session, "cwd": str(cwd), "mcpServers": []}


async def test_a_session_of_another_agent_is_refused_with_who_has_it_until_that_one_dies(
    tmp_path: Path,
) -> None:
    responses = [
        text_events(1, "One."),
        call_events(2, ["sleep", "1000"]),
        text_events(3, "Gone on."),
    ]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as holder, agent(tmp_path) as other:
            await holder.initialize()
            await other.initialize()
            session = await holder.new(tmp_path)
            await holder.prompt(session, "one")
            for method in ("load", "resume", "delete"):
                params = opening(session, tmp_path)
                if method == "delete":
                    params = {"sessionId": session}
                with pytest.raises(RpcError, match="another process") as raised:
                    await other.request(f"session/{method}", params)
                assert raised.value.code == HELD
                assert raised.value.data["pid"] == holder.process.pid
            # It is refused, not half open.
            with pytest.raises(RpcError) as raised:
                await other.request("session/prompt", prompt_of(session, "x"))
            assert raised.value.code == NOT_FOUND
            assert other.updates(session) == []
            (row,) = (await other.request("session/list", {}))["sessions"]
            assert row["sessionId"] == session

            await holder.start("session/prompt", prompt_of(session, "two"))
            await holder.wait_update("tool_call_update", status="in_progress")
            live = conversation(holder.updates(session))
            holder.kill()
            await holder.wait_for_end()
            *same, end = conversation(await other.load(session, tmp_path))
            assert same == live
            assert end["status"] == "failed"
            assert (await other.prompt(session, "go on")).text == "Gone on."


@pytest.mark.parametrize("notices", [False, True], ids=["thoughts", "notices"])
async def test_who_loses_a_session_to_a_takeover_is_told(tmp_path: Path, notices: bool) -> None:
    async with ModelServer({"default": text_events(1, "One.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client, running(tmp_path) as native:
            await client.initialize(**({"session": {"notices": {}}} if notices else {}))
            session = await client.new(tmp_path)
            await client.prompt(session, "one")
            start = len(client.received)
            params = {"sessionId": session, "takeover": True}
            assert (await native.request("session/resume", params))["sessionId"] == session
            kind = "notice" if notices else "agent_thought_chunk"
            _, told = await client.wait_update(kind, start=start)
            text = told["title"] if notices else told["content"]["text"]
            assert str(native.process.pid) in text
            with pytest.raises(RpcError) as raised:
                await client.request("session/prompt", prompt_of(session, "x"))
            assert raised.value.code == CLOSED
            assert await client.request("session/close", {"sessionId": session}) == {}
            await native.request("session/close", {"sessionId": session})
            await client.load(session, tmp_path)
            assert (await client.prompt(session, "two")).text == "One."


async def test_a_question_that_the_end_of_input_leaves_open_is_a_call_that_came_to_nothing(
    tmp_path: Path,
) -> None:
    responses = [call_events(1, ["touch", "made"]), text_events(2, "Gone on.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            await client.start("session/prompt", prompt_of(session, "go"))
            await client.wait_for(lambda m: m.get("method") == "session/request_permission")
            assert await client.close_stdin() == 0
        assert not (tmp_path / "made").exists()
        async with agent(tmp_path) as client:
            await client.initialize()
            loaded = conversation(await client.load(session, tmp_path))
            assert [u.get("status") for u in loaded] == ["pending", "failed"]
            start = len(client.received)
            assert (await client.prompt(session, "go on")).text == "Gone on."
            # What was asked then is not asked again.
            assert [m for m in client.received[start:] if "method" in m and "id" in m] == []


async def test_who_has_terminals_is_shown_in_one_what_another_client_was_told_as_text(
    tmp_path: Path,
) -> None:
    responses = [call_events(1, ["seq", "-f", "line %.0f", "100"]), text_events(2, "Done.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            (call,) = turn.of("tool_call")
            await client.request("session/close", {"sessionId": session})
        async with agent(tmp_path) as client:
            await client.initialize(_meta={"terminal_output": True})
            loaded = await client.load(session, tmp_path)
            (shown,) = [u for u in loaded if u["sessionUpdate"] == "tool_call"]
            assert shown["toolCallId"] == call["toolCallId"]
            assert {"type": "terminal", "terminalId": call["toolCallId"]} in shown["content"]
            output = "".join(
                u["_meta"]["terminal_output"]["data"]
                for u in loaded
                if "terminal_output" in u.get("_meta", {})
            )
            assert output == "".join(f"line {n}\n" for n in range(1, 101))
            assert text_in(loaded, "agent_message_chunk") == "Done."

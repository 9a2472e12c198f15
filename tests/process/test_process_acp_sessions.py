"""Sessions over the Agent Client Protocol: loaded, resumed, listed, forked, closed and deleted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.acp_client import agent, conversation, prompt_of
from support.client import RpcError, running
from support.conversation import call_events, conversation_of, text_events, write_config
from support.model_server import ModelServer
from support.rollout_files import write_session

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def opening(session: str, cwd: Path) -> dict[str, Any]:
    return {"sessionId": session, "cwd": str(cwd), "mcpServers": []}


async def test_an_unknown_session_is_not_found(tmp_path: Path) -> None:
    async with agent(tmp_path) as client:
        await client.initialize()
        for method in ("load", "resume", "fork"):
            for name in (UNKNOWN, "no such thing", "../../etc/passwd"):
                with pytest.raises(RpcError) as raised:
                    await client.request(f"session/{method}", opening(name, tmp_path))
                assert raised.value.code == -32002
        for method, params in (
            ("prompt", prompt_of(UNKNOWN, "hi")),
            ("close", {"sessionId": UNKNOWN}),
            ("set_mode", {"sessionId": UNKNOWN, "modeId": "auto"}),
        ):
            with pytest.raises(RpcError) as raised:
                await client.request(f"session/{method}", params)
            assert raised.value.code == -32002
        assert await client.request("session/delete", {"sessionId": UNKNOWN}) == {}


async def test_a_session_is_loaded_after_a_kill_in_the_middle_of_a_command(
    tmp_path: Path,
) -> None:
    responses = [
        call_events(1, ["echo", "first"]),
        text_events(2, "One."),
        call_events(3, ["sleep", "1000"]),
        text_events(4, "Gone on."),
    ]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            first = await client.prompt(session, "one")
            await client.start("session/prompt", prompt_of(session, "two"))
            await client.wait_update(
                "tool_call_update", status="in_progress", toolCallId="call_3_0"
            )
            live = client.updates(session)
            client.kill()
            await client.wait_for_end()
        async with agent(tmp_path) as client:
            await client.initialize()
            loaded = await client.load(session, tmp_path)
            said = [u for u in loaded if u["sessionUpdate"] == "user_message_chunk"]
            assert [u["content"]["text"] for u in said] == ["one", "two"]
            *same, end = conversation(loaded)
            assert same == conversation(live)
            assert same[:3] == conversation(first.updates)
            assert (end["toolCallId"], end["status"]) == ("call_3_0", "failed")
            turn = await client.prompt(session, "go on")
            assert turn.text == "Gone on."


async def test_a_resumed_session_is_not_replayed_and_goes_on(tmp_path: Path) -> None:
    responses = [text_events(1, "One."), text_events(2, "Two.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            await client.prompt(session, "one")
            await client.close_stdin()
        async with agent(tmp_path) as client:
            await client.initialize()
            start = len(client.received)
            result = await client.request("session/resume", opening(session, tmp_path))
            assert result["modes"]["currentModeId"] == "full"
            await client.wait_update("available_commands_update", start=start)
            assert conversation(client.updates(session)) == []
            turn = await client.prompt(session, "two")
            assert turn.text == "Two."
            assert [u for u in turn.of("session_info_update") if "title" in u] == []
        assert "One." in str(conversation_of(model.requests[1]))


async def test_loading_what_is_open_tells_it_again(tmp_path: Path) -> None:
    async with ModelServer({"responses": [text_events(1, "One."), text_events(2, "x")]}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            live = await client.prompt(session, "one")
            assert conversation(await client.load(session, tmp_path)) == conversation(live.updates)
            (tmp_path / "other").mkdir()
            with pytest.raises(RpcError, match="close it first") as raised:
                await client.request("session/load", opening(session, tmp_path / "other"))
            assert raised.value.code == 1007
            assert (await client.prompt(session, "two")).text == "x"


async def test_a_closed_session_is_loaded_again_on_the_same_connection(tmp_path: Path) -> None:
    async with ModelServer({"responses": [text_events(1, "One."), text_events(2, "x")]}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            live = await client.prompt(session, "one")
            # Without a pause between the two.
            closing = await client.start("session/close", {"sessionId": session})
            loaded = await client.load(session, tmp_path)
            assert (await client.answer_to(closing))["result"] == {}
            assert conversation(loaded) == conversation(live.updates)
            assert (await client.prompt(session, "two")).text == "x"
            await client.request("session/close", {"sessionId": session})
            with pytest.raises(RpcError) as raised:
                await client.request("session/prompt", prompt_of(session, "hi"))
            assert raised.value.code == 1005


async def test_sessions_are_listed_in_pages_by_folder(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    responses = [text_events(n, f"Answer {n}.") for n in range(1, 56)]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            made = []
            for n in range(55):
                session = await client.new(other if n == 54 else tmp_path)
                await client.prompt(session, f"Question {n}")
                await client.request("session/close", {"sessionId": session})
                made.append(session)
            page = await client.request("session/list", {"cwd": str(tmp_path)})
            assert len(page["sessions"]) == 50
            rest = await client.request(
                "session/list", {"cwd": str(tmp_path), "cursor": page["nextCursor"]}
            )
            listed = [s["sessionId"] for s in page["sessions"] + rest["sessions"]]
            assert listed == made[:54][::-1]
            assert "nextCursor" not in rest
            (row,) = (await client.request("session/list", {"cwd": str(other)}))["sessions"]
            assert row["title"] == "Question 54"
            assert row["cwd"] == str(other)
            with pytest.raises(RpcError) as raised:
                await client.request("session/list", {"cursor": "nonsense"})
            assert raised.value.code == -32602


async def test_whoever_wants_all_sessions_gets_them_with_few_pages(tmp_path: Path) -> None:
    folder = tmp_path / ".codex" / "sessions" / "2026" / "11" / "22"
    newest_first = [f"00000000-0000-4000-8000-{n:012x}" for n in range(1_060)]
    for age_s, session_id in enumerate(newest_first):
        path = folder / f"rollout-2026-11-22T16-29-43-{session_id}.jsonl"
        write_session(path, id=session_id, format=1, cwd=str(tmp_path))
        os.utime(path, (1_764_000_000 - age_s,) * 2)
    async with agent(tmp_path) as client:
        await client.initialize()
        pages = [await client.request("session/list", {})]
        while (cursor := pages[-1].get("nextCursor")) is not None:
            pages.append(await client.request("session/list", {"cursor": cursor}))
    assert [len(page["sessions"]) for page in pages] == [50, 1_000, 10]
    assert [s["sessionId"] for page in pages for s in page["sessions"]] == newest_first


async def test_a_fork_goes_its_own_way(tmp_path: Path) -> None:
    responses = [text_events(1, "One."), text_events(2, "Here."), text_events(3, "There.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            await client.prompt(session, "one")
            fork = (await client.request("session/fork", opening(session, tmp_path)))["sessionId"]
            assert fork != session
            assert (await client.prompt(session, "two")).text == "Here."
            assert (await client.prompt(fork, "other two")).text == "There."
            last = conversation_of(model.requests[2])
            assert [i["content"][0]["text"] for i in last] == ["one", "One.", "other two"]


async def test_a_deleted_session_is_gone_also_when_it_is_open(tmp_path: Path) -> None:
    async with ModelServer({"responses": [text_events(1, "One.")]}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            await client.prompt(session, "one")
            assert await client.request("session/delete", {"sessionId": session}) == {}
            assert await client.request("session/delete", {"sessionId": session}) == {}
            assert (await client.request("session/list", {}))["sessions"] == []
            with pytest.raises(RpcError) as raised:
                await client.request("session/load", opening(session, tmp_path))
            assert raised.value.code == -32002


async def test_a_session_that_another_process_holds_is_said_to_be_held(tmp_path: Path) -> None:
    async with ModelServer({"responses": [text_events(1, "One.")]}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as holder:
            opened = await holder.request("session/configure", {"cwd": str(tmp_path)})
            session = opened["sessionId"]
            await holder.turn(session, "one")
            async with agent(tmp_path) as client:
                await client.initialize()
                with pytest.raises(RpcError) as raised:
                    await client.request("session/load", opening(session, tmp_path))
                assert raised.value.code == 1002
                assert raised.value.data["pid"] == holder.process.pid
                # A copy of it can be had.
                fork = await client.request("session/fork", opening(session, tmp_path))
                assert fork["sessionId"] != session


async def test_a_file_of_the_codex_cli_goes_on_under_the_id_that_was_asked_for(
    tmp_path: Path,
) -> None:
    golden = Path(__file__).parents[1] / "golden/rollouts/codex-0.169-tools.jsonl"
    folder = tmp_path / ".codex/sessions/2026/11/22"
    folder.mkdir(parents=True)
    session = "01a20423-80a4-7423-a36d-bf5daae9b96c"
    target = folder / f"rollout-2026-11-22T16-42-45-{session}.jsonl"
    target.write_text(golden.read_text().replace("{CWD}", str(tmp_path)))
    before = target.read_bytes()
    async with ModelServer({"default": text_events(1, "Gone on.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize(session={"notices": {}})
            (row,) = (await client.request("session/list", {}))["sessions"]
            assert row["sessionId"] == session
            loaded = await client.load(session, tmp_path)
            assert {u["sessionUpdate"] for u in loaded} >= {"user_message_chunk", "tool_call"}
            turn = await client.prompt(session, "go on")
            assert turn.text == "Gone on."
            await client.request("session/close", {"sessionId": session})
        async with agent(tmp_path) as client:
            await client.initialize(session={"notices": {}})
            again = await client.load(session, tmp_path)
            assert conversation(again) == conversation([*loaded, *turn.updates])
    assert target.read_bytes() == before


async def test_a_load_that_is_cancelled_leaves_nothing_open(tmp_path: Path) -> None:
    responses = [text_events(1, "One."), text_events(2, "Two.")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            await client.prompt(session, "one")
            await client.request("session/close", {"sessionId": session})
            for _ in range(20):
                id_ = await client.start("session/load", opening(session, tmp_path))
                await client.notify("$/cancel_request", {"requestId": id_})
                answer = await client.answer_to(id_)
                if "result" in answer:
                    await client.request("session/close", {"sessionId": session})
                else:
                    assert answer["error"]["code"] == -32800
            with anyio.fail_after(5):
                assert conversation(await client.load(session, tmp_path))
            assert (await client.prompt(session, "two")).text == "Two."

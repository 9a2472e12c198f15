"""The Agent Client Protocol with the real process: a conversation from its start to its end."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.acp_client import AcpClient, agent, allowing, conversation, prompt_of
from support.client import RpcError
from support.conversation import (
    call_events,
    completed,
    conversation_of,
    text_events,
    write_config,
)
from support.model_server import ModelServer

ASKING = {"approval_policy": '"untrusted"', "sandbox_mode": '"workspace-write"'}

PATCH = """*** Begin Patch
*** Update File: notes.txt
@@
 one
-two
+2
 three
*** Add File: more/new.txt
+new
*** End Patch
"""


def patch_events(n: int, patch: str) -> dict[str, Any]:
    call = {
        "type": "custom_tool_call",
        "id": f"ct_{n}",
        "call_id": f"call_{n}_0",
        "name": "apply_patch",
        "input": patch,
    }
    return {"events": [{"type": "response.output_item.done", "item": call}, completed(n)]}


def function_events(n: int, name: str, arguments: str) -> dict[str, Any]:
    call = {
        "type": "function_call",
        "id": f"fc_{n}",
        "call_id": f"call_{n}_0",
        "name": name,
        "arguments": arguments,
    }
    return {"events": [{"type": "response.output_item.done", "item": call}, completed(n)]}


async def test_it_says_what_it_can_do(tmp_path: Path) -> None:
    async with agent(tmp_path) as client:
        params = {"protocolVersion": 99, "clientCapabilities": {}}
        said = await client.request("initialize", params)
        assert said["protocolVersion"] == 1
        assert said["agentInfo"]["name"] == "codex-rpc"
        capabilities = said["agentCapabilities"]
        assert capabilities["loadSession"] is True
        assert set(capabilities["sessionCapabilities"]) == {
            "list",
            "resume",
            "close",
            "delete",
            "fork",
        }
        # What is announced is there; what is not, is not.
        absent = {"cwd": str(tmp_path), "sessionId": "x", "mcpServers": []}
        for method in ("load", "resume", "close", "fork"):
            with pytest.raises(RpcError) as raised:
                await client.request(f"session/{method}", absent)
            assert raised.value.code == -32002
        assert await client.request("session/list", {}) == {"sessions": []}
        assert await client.request("session/delete", {"sessionId": "x"}) == {}
        id_ = 1000
        await client.send_raw(b'{"jsonrpc":"2.0","id":1000,"method":"session/other"}\n')
        assert (await client.answer_to(id_))["error"]["code"] == -32601
        with pytest.raises(RpcError) as raised:
            await client.request("initialize", params | {"protocolVersion": 1})
        assert raised.value.code == -32600


async def test_a_turn_is_streamed_and_ends(tmp_path: Path) -> None:
    async with ModelServer({"responses": [text_events(1, "Hel", "lo", " you")]}) as model:
        write_config(tmp_path, model.url, model_context_window="50000")
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            _, commands = await client.wait_update("available_commands_update")
            assert {"compact", "status", "review", "init", "diff"} <= {
                c["name"] for c in commands["availableCommands"]
            }
            turn = await client.prompt(session, "Say hello\nto me")
            assert turn.stop_reason == "end_turn"
            assert turn.text == "Hello you"
            assert {u["messageId"] for u in turn.of("agent_message_chunk")} == {"msg_1"}
            assert turn.of("usage_update")[-1] == {
                "sessionUpdate": "usage_update",
                "used": 15,
                "size": 50000,
            }
            titles = [u["title"] for u in turn.of("session_info_update") if "title" in u]
            assert titles == ["Say hello to me"]
            listed = await client.request("session/list", {"cwd": str(tmp_path)})
            (row,) = listed["sessions"]
            assert row["title"] == titles[0]
            assert row["sessionId"] == session
            assert await client.close_stdin() == 0


async def test_what_is_handed_in_reaches_the_model(tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("one\ntwo\nthree\n")
    pixel = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    uri = (tmp_path / "a b.txt").as_uri()
    async with ModelServer({"responses": [text_events(1, "seen")]}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            turn = await client.prompt(
                session,
                "Look",
                {"type": "image", "mimeType": "image/png", "data": pixel},
                {"type": "resource_link", "name": "a", "uri": uri},
                {"type": "resource_link", "name": "b", "uri": f"{uri}#L2:3"},
                {"type": "resource_link", "name": "site", "uri": "https://example.com/x"},
                {"type": "resource", "resource": {"uri": f"{uri}#L2", "text": "two"}},
                {"type": "resource", "resource": {"uri": "mem://x", "text": "kept"}},
            )
            assert turn.stop_reason == "end_turn"
            path = tmp_path / "a b.txt"
            (item,) = conversation_of(model.requests[0])
            assert [p.get("text", p.get("image_url")) for p in item["content"]] == [
                "Look",
                f"data:image/png;base64,{pixel}",
                f'<file path="{path}">\none\ntwo\nthree\n</file>',
                f'<file path="{path}" lines="2-3">\ntwo\nthree\n</file>',
                "[site](https://example.com/x)",
                f'<selection path="{path}" lines="2-2">\ntwo\n</selection>',
                '<file uri="mem://x">\nkept\n</file>',
            ]
            sound = {"type": "audio", "mimeType": "audio/wav", "data": ""}
            with pytest.raises(RpcError) as raised:
                await client.request("session/prompt", prompt_of(session, sound))
            assert raised.value.code == -32602


async def replayed(client: AcpClient, session: str, home: Path, **capabilities: Any) -> Any:
    """The conversation as another process loads it."""
    await client.request("session/close", {"sessionId": session})
    async with agent(home) as other:
        await other.initialize(**capabilities)
        return await other.load(session, home)


async def test_a_command_is_asked_about_shown_and_loaded_again(tmp_path: Path) -> None:
    responses = [
        call_events(1, ["bash", "-c", "echo out; echo err >&2; exit 3"]),
        call_events(2, ["touch", "made"]),
        text_events(3, "Done."),
    ]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            client.answer = allowing("allow_once", "reject_once")
            await client.initialize()
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            assert turn.stop_reason == "end_turn"
            asked = [
                m["params"]
                for m in client.received
                if m.get("method") == "session/request_permission"
            ]
            assert len(asked) == 2
            assert asked[0]["toolCall"]["toolCallId"] == "call_1_0"
            assert asked[0]["toolCall"]["status"] == "pending"
            assert asked[0]["toolCall"]["title"] == "echo out; echo err >&2; exit 3"
            assert [o["kind"] for o in asked[0]["options"]] == [
                "allow_once",
                "allow_always",
                "reject_once",
            ]
            calls = turn.of("tool_call")
            assert [(c["toolCallId"], c["kind"], c["status"]) for c in calls] == [
                ("call_1_0", "execute", "pending"),
                ("call_2_0", "execute", "pending"),
            ]
            ends = [u for u in turn.of("tool_call_update") if u.get("status") == "failed"]
            assert [e["toolCallId"] for e in ends] == ["call_1_0", "call_2_0"]
            assert ends[0]["rawOutput"]["exit_code"] == 3
            shown = ends[0]["content"][0]["content"]["text"]
            assert "out" in shown
            assert "err" in shown
            assert "rejected" in ends[1]["content"][0]["content"]["text"]
            assert not (tmp_path / "made").exists()
            loaded = await replayed(client, session, tmp_path)
            assert conversation(loaded) == conversation(turn.updates)
            said = [u for u in loaded if u["sessionUpdate"] == "user_message_chunk"]
            assert [u["content"]["text"] for u in said] == ["go"]


async def test_a_patch_is_shown_as_diffs(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one\ntwo\nthree\n")
    async with ModelServer({"responses": [patch_events(1, PATCH), text_events(2, "ok")]}) as model:
        write_config(tmp_path, model.url, **ASKING)
        async with agent(tmp_path) as client:
            client.answer = allowing("allow_once")
            await client.initialize()
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            (call,) = turn.of("tool_call")
            assert call["kind"] == "edit"
            diffs = [
                {
                    "type": "diff",
                    "path": str(tmp_path / "notes.txt"),
                    "oldText": "one\ntwo\nthree\n",
                    "newText": "one\n2\nthree\n",
                },
                {
                    "type": "diff",
                    "path": str(tmp_path / "more/new.txt"),
                    "oldText": None,
                    "newText": "new\n",
                },
            ]
            assert call["content"] == diffs
            (asked,) = [
                m["params"]["toolCall"]
                for m in client.received
                if m.get("method") == "session/request_permission"
            ]
            assert asked["content"][:2] == diffs
            assert [loc["path"] for loc in asked["locations"]] == [d["path"] for d in diffs]
            assert turn.of("tool_call_update")[-1]["status"] == "completed"
            assert (tmp_path / "notes.txt").read_text() == "one\n2\nthree\n"
            loaded = await replayed(client, session, tmp_path)
            assert conversation(loaded) == conversation(turn.updates)


async def test_thoughts_and_plans_are_shown_and_loaded_again(tmp_path: Path) -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [
            {"type": "summary_text", "text": "First."},
            {"type": "summary_text", "text": "Second."},
        ],
    }
    reasoning = "response.reasoning_summary_text.delta"
    first = {
        "events": [
            {"type": reasoning, "item_id": "rs_1", "summary_index": 0, "delta": "Fir"},
            {"type": reasoning, "item_id": "rs_1", "summary_index": 0, "delta": "st."},
            {"type": "response.output_item.done", "item": thought},
            *function_events(1, "update_plan", '{"plan":[{"step":"Look","status":"in_progress"}]}')[
                "events"
            ],
        ]
    }
    async with ModelServer({"responses": [first, text_events(2, "ok")]}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            kept = conversation(turn.updates)
            assert [u["sessionUpdate"] for u in kept] == [
                "agent_thought_chunk",
                "agent_thought_chunk",
                "plan",
                "agent_message_chunk",
            ]
            assert kept[2]["entries"] == [
                {"content": "Look", "priority": "medium", "status": "in_progress"}
            ]
            assert conversation(await replayed(client, session, tmp_path)) == kept


@pytest.mark.parametrize("terminals", [False, True])
async def test_output_comes_as_it_is_printed_and_never_twice(
    tmp_path: Path, terminals: bool
) -> None:
    script = "for i in 1 2 3; do echo line $i; sleep 0.15; done"
    responses = [call_events(1, ["bash", "-c", script]), text_events(2, "ok")]
    capabilities = {"_meta": {"terminal_output": True}} if terminals else {}
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize(**capabilities)
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            growing = [u for u in turn.of("tool_call_update") if "status" not in u]
            assert len(growing) > 1
            if terminals:
                parts = [u["_meta"]["terminal_output"]["data"] for u in growing]
                (call,) = turn.of("tool_call")
                assert {"type": "terminal", "terminalId": "call_1_0"} in call["content"]
                end = turn.of("tool_call_update")[-1]
                assert end["_meta"]["terminal_exit"]["exit_code"] == 0
                assert end["content"] == call["content"]
            else:
                texts = [u["content"][0]["content"]["text"] for u in growing]
                parts = [text.removeprefix("```\n").removesuffix("```") for text in texts]
                end = turn.of("tool_call_update")[-1]
                text = end["content"][-1]["content"]["text"]
                assert text == "```\nline 1\nline 2\nline 3\n```"
            assert "".join(parts) == "line 1\nline 2\nline 3\n"
            loaded = await replayed(client, session, tmp_path, **capabilities)
            assert conversation(loaded) == conversation(turn.updates)


async def test_a_missing_key_is_asked_for(tmp_path: Path) -> None:
    async with agent(tmp_path) as client:
        said = await client.initialize(auth={"terminal": True})
        assert [m["id"] for m in said["authMethods"]] == ["login", "environment"]
        for method, params in (
            ("session/new", {"cwd": str(tmp_path), "mcpServers": []}),
            ("authenticate", {"methodId": "environment"}),
        ):
            with pytest.raises(RpcError) as raised:
                await client.request(method, params)
            assert raised.value.code == -32000
        (tmp_path / ".codex/auth.json").write_text('{"OPENAI_API_KEY": "sk-x", "tokens": {"a": 1}}')
        assert await client.request("authenticate", {"methodId": "environment"}) == {}
        await client.new(tmp_path)
        assert await client.request("logout", {}) == {}
        assert '"a": 1' in (tmp_path / ".codex/auth.json").read_text()
        with pytest.raises(RpcError) as raised:
            await client.new(tmp_path)
        assert raised.value.code == -32000


async def test_the_end_of_input_ends_it_with_everything_dead(tmp_path: Path) -> None:
    responses = [call_events(1, ["bash", "-c", "echo $$ > pid; sleep 1000"])]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            await client.start("session/prompt", prompt_of(session, "go"))
            await client.wait_update("tool_call_update", status="in_progress")
            with anyio.fail_after(5):
                while not (tmp_path / "pid").exists():
                    await anyio.sleep(0.01)
            assert await client.close_stdin() == 0
            pid = int((tmp_path / "pid").read_text())
            assert not Path(f"/proc/{pid}").exists()

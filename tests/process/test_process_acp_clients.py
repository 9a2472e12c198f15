"""What clients bring and stand over the Agent Client Protocol: files, MCP servers, long streams."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.acp_client import agent, conversation, prompt_of, text_in
from support.conversation import call_events, completed, text_events, write_config
from support.model_server import ModelServer

SUPPORT = Path(__file__).parents[1] / "support"


def patch_of(path: str, old: str, new: str) -> dict[str, Any]:
    patch = f"*** Begin Patch\n*** Update File: {path}\n@@\n-{old}\n+{new}\n*** End Patch\n"
    call = {
        "type": "custom_tool_call",
        "id": "ct_1",
        "call_id": "call_1_0",
        "name": "apply_patch",
        "input": patch,
    }
    return {"events": [{"type": "response.output_item.done", "item": call}, completed(1)]}


class Editor:
    """The files of a client, some of which it has not saved."""

    def __init__(self, **unsaved: str) -> None:
        self.unsaved = unsaved
        self.written: dict[str, str] = {}

    def answer(self, method: str, params: dict[str, Any]) -> Any:
        name = Path(params["path"]).name
        if method == "fs/read_text_file":
            text = self.unsaved.get(name)
            if text is None:
                text = Path(params["path"]).read_text()
            return {"content": text}
        assert method == "fs/write_text_file"
        self.written[name] = params["content"]
        self.unsaved.pop(name, None)
        Path(params["path"]).write_text(params["content"])
        return {}


async def test_a_patch_goes_through_the_buffers_of_a_client_that_reads_and_writes(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").write_text("one\ntwo\n")
    editor = Editor(a="typed\none\ntwo\n")
    responses = [patch_of("a", "two", "2"), text_events(2, "ok")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            client.answer = editor.answer
            await client.initialize(fs={"readTextFile": True, "writeTextFile": True})
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            assert turn.of("tool_call_update")[-1]["status"] == "completed"
            assert editor.written == {"a": "typed\none\n2\n"}


@pytest.mark.parametrize("offered", [{"readTextFile": True}, {"writeTextFile": True}, {}])
async def test_a_client_that_does_only_one_of_both_is_asked_for_neither(
    tmp_path: Path, offered: dict[str, bool]
) -> None:
    (tmp_path / "a").write_text("one\ntwo\n")
    responses = [patch_of("a", "two", "2"), text_events(2, "ok")]
    fs = {"readTextFile": False, "writeTextFile": False, **offered}
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize(fs=fs)
            session = await client.new(tmp_path)
            await client.prompt(session, "go")
            assert (tmp_path / "a").read_text() == "one\n2\n"
            assert [m["method"] for m in client.received if "method" in m and "id" in m] == []


async def test_20_000_deltas_are_told_whole_in_far_fewer_updates(tmp_path: Path) -> None:
    words = [f"word{n} " for n in range(20_000)]
    async with ModelServer({"responses": [text_events(1, *words)]}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path, timeout_s=15) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            assert turn.text == "".join(words)
            assert len(turn.of("agent_message_chunk")) < 2_000


async def test_a_long_output_is_cut_in_the_middle_live_and_loaded(tmp_path: Path) -> None:
    script = "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo the end"
    responses = [call_events(1, ["bash", "-c", script]), text_events(2, "ok")]
    async with ModelServer({"responses": responses}) as model:
        limits = {"tool_output_max_bytes": "2000000", "model_context_window": "9000000"}
        write_config(tmp_path, model.url, **limits)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            end = turn.of("tool_call_update")[-1]
            (block,) = end["content"]
            text = block["content"]["text"]
            assert "characters left out" in text
            assert "the end" in text
            assert len(text) < 70_000
            sent = sum(len(json.dumps(u)) for u in turn.of("tool_call_update"))
            assert sent < 1_300_000
            loaded = await client.load(session, tmp_path)
            assert conversation(loaded) == conversation(turn.updates)


async def test_a_client_that_does_not_read_loses_nothing(tmp_path: Path) -> None:
    # More than a pipe and all queues hold together.
    script = "for i in $(seq 40000); do echo line $i; done"
    responses = [call_events(1, ["bash", "-c", script]), text_events(2, "ok")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize(_meta={"terminal_output": True})
            session = await client.new(tmp_path)
            reading = client.pause()
            id_ = await client.start("session/prompt", prompt_of(session, "go"))
            with anyio.fail_after(10):
                await model.request(1)
            await anyio.sleep(0.5)
            reading.set()
            answer = await client.answer_to(id_)
            assert answer["result"]["stopReason"] == "end_turn"
            output = "".join(
                u["_meta"]["terminal_output"]["data"]
                for u in client.updates(session)
                if "terminal_output" in u.get("_meta", {})
            )
            assert output == "".join(f"line {n}\n" for n in range(1, 40_001))


async def test_mcp_servers_of_the_client_are_there_for_the_model(tmp_path: Path) -> None:
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1_0",
        "name": "demo__echo",
        "arguments": '{"text":"over there"}',
    }
    responses = [
        {"events": [{"type": "response.output_item.done", "item": call}, completed(1)]},
        text_events(2, "ok"),
    ]
    server = {
        "name": "demo",
        "command": sys.executable,
        "args": [str(SUPPORT / "mcp_demo.py")],
        "env": [{"name": "PATH", "value": os.environ["PATH"]}],
    }
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path, mcpServers=[server])
            turn = await client.prompt(session, "go")
            (told,) = turn.of("tool_call")
            assert told["kind"] == "other"
            end = turn.of("tool_call_update")[-1]
            assert end["status"] == "completed", end
            assert "over there" in json.dumps(end["content"])


async def test_what_is_no_message_is_answered_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with ModelServer({"responses": [text_events(1, "ok")]}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.send_raw(b"nonsense\n[]\n{}\n")
            await client.wait_for(lambda m: m.get("error", {}).get("code") == -32700)
            await client.initialize()
            session = await client.new(tmp_path)
            wrong: list[tuple[str, Any]] = [
                ("session/prompt", {"sessionId": session}),
                ("session/prompt", {"sessionId": session, "prompt": []}),
                ("session/prompt", {"sessionId": session, "prompt": ["x"]}),
                ("session/prompt", {"sessionId": 1, "prompt": []}),
                ("session/new", {"cwd": "relative", "mcpServers": []}),
                ("session/new", {"cwd": str(tmp_path / "nowhere"), "mcpServers": []}),
                ("session/new", {"mcpServers": []}),
                ("session/set_config_option", {"sessionId": session, "configId": "x"}),
            ]
            for n, (method, params) in enumerate(wrong):
                frame = {"jsonrpc": "2.0", "id": 500 + n, "method": method, "params": params}
                await client.send_raw(json.dumps(frame).encode() + b"\n")
                answer = await client.answer_to(500 + n)
                assert answer["error"]["code"] == -32602, answer
            turn = await client.prompt(session, "go")
            assert text_in(turn.updates, "agent_message_chunk") == "ok"

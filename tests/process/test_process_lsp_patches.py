"""Patches of what is open in an editor, on the installed command: what a session keeps of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.client import Client, RpcError, running
from support.conversation import text_events, write_config
from support.lsp_client import Editor
from support.model_server import ModelServer

CAPABILITIES = {
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
    "general": {"positionEncodings": ["utf-16"]},
}
PATCH = """\
*** Begin Patch
*** Update File: a.txt
@@
-one
+ONE
*** Update File: b.txt
@@
-bee
+BEE
*** End Patch"""


def patching() -> dict[str, Any]:
    """The model's response with the patch."""
    arguments = json.dumps({"input": PATCH})
    call = {"type": "function_call", "name": "apply_patch", "call_id": "p", "arguments": arguments}
    return {
        "events": [
            {"type": "response.output_item.done", "item": call},
            {"type": "response.completed", "response": {"id": "resp_p"}},
        ]
    }


def outputs(server: ModelServer) -> str:
    """All that the model was last told."""
    return json.dumps(server.requests[-1]["body"]["input"])


@asynccontextmanager
async def desk(home: Path) -> AsyncIterator[tuple[Client, Editor]]:
    """An editor that shows a.txt with a line that is not saved."""
    editor = Editor()
    async with running(home) as client:
        options = {"codex": {"patchReview": True}}
        params = {"capabilities": CAPABILITIES, "initializationOptions": options}
        await client.request("initialize", params)
        opened = editor.open((home / "a.txt").as_uri(), "typed\none\n")
        await client.send({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": opened})
        yield client, editor


async def asked_to_edit(client: Client, editor: Editor, start: int) -> tuple[Any, dict[str, Any]]:
    """The id of the request, after the edit is made and told, and the answer to it."""
    _, request = await client.wait_for(
        lambda m: m.get("method") == "workspace/applyEdit", start=start
    )
    answer, told = editor.apply(request["params"])
    for method, params in told:
        await client.send({"jsonrpc": "2.0", "method": method, "params": params})
    return request["id"], answer


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "b.txt").write_text("bee\n")
    return tmp_path


async def test_what_the_user_made_of_a_patch_is_what_a_resumed_session_knows(home: Path) -> None:
    edited = "typed\nmine \U0001f642\n"
    script = {"responses": [patching(), text_events(2, "done"), text_events(3, "yes")]}
    async with ModelServer(script) as server:
        write_config(home, server.url, approval_policy='"on-request"', patch_review="true")
        async with desk(home) as (client, editor):
            session = await client.request("session/configure", {"cwd": str(home)})
            id_ = session["sessionId"]
            start = len(client.received)
            await client.say(id_, "go")
            _, event = await client.wait_event("apply_patch_approval_request", start=start)
            (path, _) = event["msg"]["files"]
            assert event["msg"]["files"][path] == {
                "old_text": "typed\none\n",
                "new_text": "typed\nONE\n",
                "version": 1,
            }
            op = {"type": "patch_approval", "id": event["msg"]["call_id"], "decision": "approved"}
            # A name that was not shown is no consent to the rest.
            with pytest.raises(RpcError) as refused:
                await client.submit(id_, op | {"edited": {"a.txt": edited}})
            assert (refused.value.code, refused.value.data["path"]) == (-32602, "op.edited")
            await client.submit(id_, op | {"edited": {path: edited}})
            request, answer = await asked_to_edit(client, editor, start)
            await client.send({"jsonrpc": "2.0", "id": request, "result": answer})
            await client.wait_event("task_complete", start=start)
            assert editor.buffers[Path(path).as_uri()].text == edited
            client.process.kill()
            await client.process.wait()
        async with running(home) as client:
            await client.request("session/resume", {"last": True})
            await client.turn(id_, "what is in a.txt?")
        told = json.loads(outputs(server))
    (output,) = [item["output"] for item in told if item["type"] == "function_call_output"]
    said = json.loads(output)["output"]
    assert "a.txt: the user changed what you proposed.\n" in said
    assert "-ONE\n+mine \U0001f642\n" in said
    assert ((home / "a.txt").read_text(), (home / "b.txt").read_text()) == ("one\n", "BEE\n")


async def test_a_kill_between_the_two_halves_of_a_patch_loses_nothing_and_is_said(
    home: Path,
) -> None:
    async with ModelServer({"responses": [patching(), text_events(2, "I see")]}) as server:
        write_config(home, server.url)
        async with desk(home) as (client, editor):
            session = await client.request("session/configure", {"cwd": str(home)})
            id_ = session["sessionId"]
            await client.say(id_, "go")
            await asked_to_edit(client, editor, 0)
            client.process.kill()
            await client.process.wait()
        assert [buffer.text for buffer in editor.buffers.values()] == ["typed\nONE\n"]
        assert ((home / "a.txt").read_text(), (home / "b.txt").read_text()) == ("one\n", "bee\n")
        async with running(home) as client:
            await client.request("session/resume", {"last": True})
            events = await client.turn(id_, "go on")
            assert events[-1]["msg"]["type"] == "task_complete"
        told = outputs(server)
    assert '"output": "aborted"' in told
    assert "command or a patch that was stopped may have done a part of its work" in told

"""The agent driven by the Python SDK's client connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from acp_world import agent_command, environ, scripted

acp = pytest.importorskip("acp", reason="needs agent-client-protocol")
from acp import schema  # noqa: E402


class Editor:
    """A client that allows once, and keeps what it is told."""

    def __init__(self) -> None:
        self.updates: list[Any] = []
        self.asked: list[Any] = []
        self.options = ["allow_once"]
        self.files: dict[str, str] = {}

    async def request_permission(self, **params: Any) -> Any:
        self.asked.append(params)
        outcome = schema.AllowedOutcome(outcome="selected", option_id=self.options[0])
        return schema.RequestPermissionResponse(outcome=outcome)

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)

    async def read_text_file(self, path: str, **_: Any) -> Any:
        content = self.files.get(path)
        return schema.ReadTextFileResponse(
            content=Path(path).read_text() if content is None else content
        )

    async def write_text_file(self, path: str, content: str, **_: Any) -> Any:
        self.files[path] = content
        Path(path).write_text(content)
        return schema.WriteTextFileResponse()

    def on_connect(self, _agent: Any) -> None:
        pass

    def texts(self, kind: type) -> str:
        return "".join(u.content.text for u in self.updates if isinstance(u, kind))


PATCH = "*** Begin Patch\n*** Update File: a\n@@\n-one\n+1\n*** End Patch\n"
CALL = {"call": "apply_patch", "arguments": {"input": PATCH}}


async def test_a_conversation_with_the_sdks_client(tmp_path: Path) -> None:
    scripted(
        tmp_path,
        {
            "steps": [
                {"text": "I change it."},
                {"call": "apply_patch", "arguments": {"input": PATCH}},
            ]
        },
        {"text": "Changed."},
        {"text": "Gone on."},
    )
    work = tmp_path / "work"
    work.mkdir()
    (work / "a").write_text("one\n")
    command, *arguments = agent_command()
    editor = Editor()
    # What the user has not saved is what is changed.
    editor.files[str(work / "a")] = "typed\none\n"
    with anyio.fail_after(15):
        async with acp.spawn_agent_process(
            editor, command, *arguments, env=environ(tmp_path), use_unstable_protocol=True
        ) as (agent, _process):
            said = await agent.initialize(
                protocol_version=acp.PROTOCOL_VERSION,
                client_capabilities=schema.ClientCapabilities(
                    fs=schema.FileSystemCapabilities(read_text_file=True, write_text_file=True)
                ),
            )
            assert said.agent_capabilities.load_session
            opened = await agent.new_session(cwd=str(work), mcp_servers=[])
            assert opened.modes.current_mode_id == "ask"
            turn = await agent.prompt(
                session_id=opened.session_id, prompt=[acp.text_block("change it")]
            )
            assert turn.stop_reason == "end_turn"
            assert (work / "a").read_text() == "typed\n1\n"
            assert editor.asked[0]["tool_call"].content[0].new_text == "1\n"
            assert editor.texts(schema.AgentMessageChunk) == "I change it.Changed."
            ends = [u for u in editor.updates if isinstance(u, schema.ToolCallProgress)]
            assert ends[-1].status == "completed"
            listed = await agent.list_sessions(cwd=str(work))
            assert [s.session_id for s in listed.sessions] == [opened.session_id]
            await agent.set_session_mode(session_id=opened.session_id, mode_id="full")
            await agent.close_session(session_id=opened.session_id)
    again = Editor()
    with anyio.fail_after(15):
        async with acp.spawn_agent_process(
            again, command, *arguments, env=environ(tmp_path), use_unstable_protocol=True
        ) as (agent, _process):
            await agent.initialize(protocol_version=acp.PROTOCOL_VERSION)
            await agent.load_session(cwd=str(work), session_id=opened.session_id, mcp_servers=[])
            assert again.texts(schema.AgentMessageChunk) == "I change it.Changed."
            assert again.texts(schema.UserMessageChunk) == "change it"
            await agent.close_session(session_id=opened.session_id)
            resumed = Editor()
            again.updates, resumed.updates = resumed.updates, again.updates
            await agent.resume_session(session_id=opened.session_id, cwd=str(work))
            assert again.texts(schema.AgentMessageChunk) == ""
            fork = await agent.fork_session(session_id=opened.session_id, cwd=str(work))
            assert fork.session_id != opened.session_id
            with pytest.raises(acp.RequestError) as raised:
                await agent.load_session(cwd=str(work), session_id="nobody", mcp_servers=[])
            assert raised.value.code == -32002

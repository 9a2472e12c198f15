"""Turns that the Python SDK's client refuses, cancels and steers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from acp_world import agent_command, environ, scripted

acp = pytest.importorskip("acp", reason="needs agent-client-protocol")
from acp import schema  # noqa: E402

MAKING = {"steps": [{"text": "I make it."}, {"shell": ["touch", "made"]}]}


class Editor:
    """A client that answers questions with `option`, None: with nothing until it is cancelled."""

    def __init__(self, option: str | None) -> None:
        self.option = option
        self.updates: list[Any] = []
        self.was_asked = anyio.Event()

    async def request_permission(self, options: list[Any], **_: Any) -> Any:
        self.was_asked.set()
        if self.option is None:
            await anyio.sleep_forever()
        assert self.option in [o.option_id for o in options]
        outcome = schema.AllowedOutcome(outcome="selected", option_id=self.option)
        return schema.RequestPermissionResponse(outcome=outcome)

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)

    def on_connect(self, _agent: Any) -> None:
        pass

    def statuses(self) -> list[Any]:
        calls = (schema.ToolCallStart, schema.ToolCallProgress)
        return [u.status for u in self.updates if isinstance(u, calls)]


@asynccontextmanager
async def session(home: Path, editor: Editor) -> AsyncIterator[tuple[Any, str]]:
    """A connection, and a session on it."""
    (home / "work").mkdir(exist_ok=True)
    command, *arguments = agent_command()
    with anyio.fail_after(15):
        async with acp.spawn_agent_process(
            editor, command, *arguments, env=environ(home), use_unstable_protocol=True
        ) as (agent, _process):
            await agent.initialize(protocol_version=acp.PROTOCOL_VERSION)
            opened = await agent.new_session(cwd=str(home / "work"), mcp_servers=[])
            yield agent, opened.session_id


async def say(agent: Any, session_id: str, text: str) -> str:
    turn = await agent.prompt(session_id=session_id, prompt=[acp.text_block(text)])
    return str(turn.stop_reason)


async def test_a_no_lets_the_turn_go_on(tmp_path: Path) -> None:
    scripted(tmp_path, MAKING, {"text": "Without it."})
    editor = Editor("reject_once")
    async with session(tmp_path, editor) as (agent, session_id):
        assert await say(agent, session_id, "make it") == "end_turn"
        assert editor.statuses() == ["pending", "failed"]
        assert not (tmp_path / "work/made").exists()


async def test_cancelling_while_the_user_thinks_about_the_question(tmp_path: Path) -> None:
    scripted(tmp_path, MAKING, {"text": "Next."})
    editor = Editor(None)
    async with session(tmp_path, editor) as (agent, session_id):
        reasons: list[str] = []

        async def ask() -> None:
            reasons.append(await say(agent, session_id, "make it"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await editor.was_asked.wait()
            await agent.cancel(session_id=session_id)
        assert reasons == ["cancelled"]
        assert editor.statuses() == ["pending", "failed"]
        assert await say(agent, session_id, "on") == "end_turn"
        assert not (tmp_path / "work/made").exists()


async def test_an_option_and_a_mode_that_the_user_chooses(tmp_path: Path) -> None:
    scripted(tmp_path, MAKING, {"text": "Made."})
    editor = Editor("reject_once")
    async with session(tmp_path, editor) as (agent, session_id):
        answer = await agent.set_config_option(
            session_id=session_id, config_id="mode", value="full"
        )
        assert {o.id: o.current_value for o in answer.config_options}["mode"] == "full"
        assert await say(agent, session_id, "make it") == "end_turn"
        # In this mode nobody is asked.
        assert not editor.was_asked.is_set()
        assert (tmp_path / "work/made").exists()
        modes = [u for u in editor.updates if isinstance(u, schema.CurrentModeUpdate)]
        assert [u.current_mode_id for u in modes] == ["full"]

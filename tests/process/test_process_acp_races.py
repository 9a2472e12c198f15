"""Requests about one session that come without a pause: each is answered, in every order."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from support.acp_client import AcpClient, agent, conversation, prompt_of
from support.conversation import call_events, text_events, write_config
from support.model_server import ModelServer

GONE = {-32002, 1005, 1007, -32800}
"""Errors of requests that come when the session is closed, being closed, or deleted."""


def params_of(method: str, session: str, cwd: Path) -> dict[str, Any]:
    if method in ("close", "delete"):
        return {"sessionId": session}
    if method == "prompt":
        return prompt_of(session, "again")
    return {"sessionId": session, "cwd": str(cwd), "mcpServers": []}


async def saved(client: AcpClient, cwd: Path) -> str:
    """A session that is closed."""
    session = await client.new(cwd)
    await client.prompt(session, "one")
    await client.request("session/close", {"sessionId": session})
    return session


async def test_a_session_that_is_loaded_by_several_requests_at_once_answers_all(
    tmp_path: Path,
) -> None:
    async with ModelServer({"default": text_events(1, "One.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await saved(client, tmp_path)
            params = params_of("load", session, tmp_path)
            start = len(client.received)
            ids = [await client.start("session/load", params) for _ in range(3)]
            for id_ in ids:
                assert "result" in await client.answer_to(id_)
            told = [
                m["params"]["update"]["sessionUpdate"]
                for m in client.received[start:]
                if m.get("method") == "session/update"
            ]
            assert told.count("agent_message_chunk") == 3
            assert (await client.prompt(session, "two")).text == "One."


@pytest.mark.parametrize(
    "methods",
    [
        *itertools.permutations(("load", "close", "prompt")),
        ("load", "close", "resume", "close", "load", "delete"),
        ("load", "delete", "load"),
        ("resume", "resume", "delete", "close"),
    ],
    ids=" ".join,
)
async def test_whatever_comes_without_a_pause_is_answered(
    tmp_path: Path, methods: tuple[str, ...]
) -> None:
    async with ModelServer({"default": text_events(1, "One.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await saved(client, tmp_path)
            ids = [
                await client.start(f"session/{m}", params_of(m, session, tmp_path)) for m in methods
            ]
            answers = [await client.answer_to(id_) for id_ in ids]
            codes = {a["error"]["code"] for a in answers if "error" in a}
            assert codes <= GONE, answers
            # What is left is a connection that goes on.
            other = await client.new(tmp_path)
            assert (await client.prompt(other, "go")).text == "One."


async def test_a_session_is_closed_and_loaded_again_many_times(tmp_path: Path) -> None:
    async with ModelServer({"default": text_events(1, "One.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            live = conversation((await client.prompt(session, "one")).updates)
            for _ in range(10):
                closing = await client.start("session/close", {"sessionId": session})
                assert conversation(await client.load(session, tmp_path)) == live
                assert (await client.answer_to(closing))["result"] == {}


@pytest.mark.parametrize("how", ["close", "delete"])
async def test_closing_while_a_command_runs_ends_its_prompt_first(tmp_path: Path, how: str) -> None:
    async with ModelServer({"default": call_events(1, ["sleep", "1000"])}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            prompt = await client.start("session/prompt", prompt_of(session, "one"))
            await client.wait_update("tool_call_update", status="in_progress")
            closing = await client.start(f"session/{how}", {"sessionId": session})
            assert (await client.answer_to(closing))["result"] == {}
            answers = [m for m in client.received if "id" in m and "method" not in m]
            assert [m["id"] for m in answers[-2:]] == [prompt, closing]
            assert answers[-2]["result"] == {"stopReason": "cancelled"}
            ends = [u for u in client.updates(session) if u.get("status") == "failed"]
            assert len(ends) == 1

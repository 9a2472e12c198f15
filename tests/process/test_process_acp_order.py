"""Several requests of the Agent Client Protocol about one session in one write: in their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.acp_client import AcpClient, agent, allowing, prompt_of, silent
from support.conversation import (
    call_events,
    completed,
    conversation_of,
    text_events,
    text_of,
    write_config,
)
from support.model_server import ModelServer


async def burst(client: AcpClient, *requests: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers to requests that are written at once; notifications have none."""
    frames: list[dict[str, Any]] = []
    ids: list[int] = []
    for method, params in requests:
        frame = {"jsonrpc": "2.0", "method": method, "params": params}
        if method != "session/cancel":
            ids.append(next(client._ids))
            frame["id"] = ids[-1]
        client.frames.from_client(frame)
        frames.append(frame)
    await client.send_raw(b"".join(json.dumps(frame).encode() + b"\n" for frame in frames))
    return [await client.answer_to(id_) for id_ in ids]


def opening(session: str, cwd: Path) -> dict[str, Any]:
    return {"sessionId": session, "cwd": str(cwd), "mcpServers": []}


async def test_a_mode_holds_for_the_prompt_behind_it_and_the_last_one_counts(
    tmp_path: Path,
) -> None:
    responses = [call_events(1, ["touch", "made"]), text_events(2, "ok")] * 2
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            client.answer = allowing("reject_once")
            await client.initialize()
            session = await client.new(tmp_path)

            def mode(name: str) -> tuple[str, dict[str, Any]]:
                return "session/set_mode", {"sessionId": session, "modeId": name}

            prompt = ("session/prompt", prompt_of(session, "go"))
            await burst(client, mode("ask"), prompt)
            await burst(client, mode("full"), mode("ask"), prompt)
            assert not (tmp_path / "made").exists()
            asked = [m for m in client.received if m.get("method") == "session/request_permission"]
            assert len(asked) == 2


async def test_a_prompt_between_a_cancellation_and_its_effect_is_not_cancelled(
    tmp_path: Path,
) -> None:
    async with ModelServer({"default": text_events(1, "Said.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            for _ in range(10):
                first, second = await burst(
                    client,
                    ("session/prompt", prompt_of(session, "one")),
                    ("session/cancel", {"sessionId": session}),
                    ("session/prompt", prompt_of(session, "two")),
                )
                assert first["result"]["stopReason"] == "cancelled"
                assert second["result"]["stopReason"] == "end_turn"


async def test_a_command_that_is_looked_up_keeps_its_place(tmp_path: Path) -> None:
    async with ModelServer({"default": text_events(1, "Said.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            await burst(
                client,
                ("session/prompt", prompt_of(session, "/unknown thing")),
                ("session/prompt", prompt_of(session, "second")),
            )
            said = [text_of(item) for item in conversation_of(model.requests[-1])]
            assert [text for text in said if text != "Said."] == ["/unknown thing", "second"]


@pytest.mark.parametrize("open_before", [False, True])
async def test_opening_closing_and_deleting_in_any_order(tmp_path: Path, open_before: bool) -> None:
    async with ModelServer({"default": text_events(1, "Said.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()

            async def saved() -> str:
                session = await client.new(tmp_path)
                await client.prompt(session, "hi")
                if not open_before:
                    await client.request("session/close", {"sessionId": session})
                return session

            session = await saved()
            load = ("session/load", opening(session, tmp_path))
            close = ("session/close", {"sessionId": session})
            assert all("result" in a for a in await burst(client, load, load))
            assert (await client.prompt(session, "on")).stop_reason == "end_turn"
            assert all("result" in a for a in await burst(client, load, close))
            (answer,) = await burst(client, ("session/prompt", prompt_of(session, "hi")))
            assert answer["error"]["code"] == 1005
            assert all("result" in a for a in await burst(client, load, close, load))
            assert (await client.prompt(session, "on")).stop_reason == "end_turn"
            delete = ("session/delete", {"sessionId": session})
            loaded, deleted, gone = await burst(client, load, delete, load)
            assert "result" in loaded
            assert deleted["result"] == {}
            assert gone["error"]["code"] == -32002


async def test_a_prompt_behind_a_load_waits_for_it_and_has_an_answer_whatever_happens(
    tmp_path: Path,
) -> None:
    async with ModelServer({"default": text_events(1, "Said.")}) as model:
        write_config(tmp_path, model.url)
        async with agent(tmp_path) as client:
            await client.initialize()
            session = await client.new(tmp_path)
            await client.prompt(session, "hi")
            for _ in range(5):
                await client.request("session/close", {"sessionId": session})
                load = ("session/load", opening(session, tmp_path))
                prompt = ("session/prompt", prompt_of(session, "on"))
                start = len(client.received)
                loaded, prompted = await burst(client, load, prompt)
                assert "result" in loaded
                assert prompted["result"]["stopReason"] == "end_turn"
                answers = [m.get("id") for m in client.received[start:] if "result" in m]
                assert answers == [loaded["id"], prompted["id"]]
            await client.request("session/close", {"sessionId": session})
            id_ = await client.start("session/load", opening(session, tmp_path))
            waiting = await client.start("session/prompt", prompt_of(session, "on"))
            await client.notify("$/cancel_request", {"requestId": id_})
            assert {"result", "error"} & set(await client.answer_to(id_))
            assert {"result", "error"} & set(await client.answer_to(waiting))


async def test_what_the_model_makes_up_does_not_end_the_agent(tmp_path: Path) -> None:
    deep = "[" * 300 + "]" * 300
    odd = ['{"command":["touch","made"],"x":' + deep + "}", deep, '{"x":1e999}', '{"x":"\\ud800"}']
    names = ["shell", "nothing_of_ours", "shell", "view_image"]
    responses: list[dict[str, Any]] = []
    for n, (name, arguments) in enumerate(zip(names, odd, strict=True), 1):
        call = {
            "type": "function_call",
            "id": f"fc_{n}",
            "call_id": f"call_{n}",
            "name": name,
            "arguments": arguments,
        }
        done = {"type": "response.output_item.done", "item": call}
        responses.append({"events": [done, completed(n)]})
    responses.append(text_events(9, "Said."))
    settings = {"approval_policy": '"untrusted"', "sandbox_mode": '"workspace-write"'}
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **settings)
        async with agent(tmp_path) as client:
            client.answer = allowing("reject_once")
            await client.initialize()
            session = await client.new(tmp_path)
            turn = await client.prompt(session, "go")
            assert turn.text == "Said."
            assert len(turn.of("tool_call")) == 4
            client.answer = silent
            await client.request("session/close", {"sessionId": session})
            loaded = await client.load(session, tmp_path)
            assert len([u for u in loaded if u["sessionUpdate"] == "tool_call"]) == 4

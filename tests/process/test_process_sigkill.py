"""Nothing that was announced is lost when the process is killed at any moment."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.client import Client, running
from support.conversation import (
    call_events,
    conversation_of,
    text_events,
    text_of,
    write_config,
)
from support.model_server import ModelServer

MOMENTS = 50
AT_ONCE = 3


def script() -> dict[str, Any]:
    """Three turns: a text, calls of which one runs a while, and a streamed text."""
    return {
        "responses": [
            text_events(1, "I am ", "here."),
            call_events(2, ["echo", "one"], ["sh", "-c", "echo two; sleep 0.05; echo three"]),
            call_events(3, ["sh", "-c", "echo ran >> ran.txt; echo four"]),
            text_events(4, "All ", "four ", "are ", "done.", pause_s=0.01),
            text_events(5, *(f"word{n} " for n in range(20)), pause_s=0.005),
        ],
        "default": text_events(6, "And on it goes."),
    }


class Announced:
    """What a client has been told, and so has to come back."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.user: list[str] = []
        self.assistant: list[str] = []
        self.outputs: dict[str, str] = {}
        self.calls: set[str] = set()
        for event in events:
            msg = event["msg"]
            match msg["type"]:
                case "user_message":
                    self.user.append(msg["items"][0]["text"])
                case "agent_message":
                    self.assistant.append(msg["message"])
                case "exec_command_begin":
                    # A begin announces nothing about the command, but the call was recorded.
                    self.calls.add(msg["call_id"])
                case "exec_command_end":
                    self.outputs[msg["call_id"]] = msg["stdout"]

    def check(self, conversation: list[dict[str, Any]], where: str) -> None:
        """All of it is in what the model was sent after the resume, and every call is answered."""
        texts: dict[str, list[str]] = {"user": [], "assistant": []}
        outputs: dict[str, str] = {}
        calls: list[str] = []
        for item in conversation:
            match item["type"]:
                case "message":
                    texts[item["role"]].append(text_of(item))
                case "function_call":
                    calls.append(item["call_id"])
                case "function_call_output":
                    assert item["call_id"] not in outputs, where
                    outputs[item["call_id"]] = item["output"]
        assert texts["user"][: len(self.user)] == self.user, where
        assert texts["assistant"][: len(self.assistant)] == self.assistant, where
        assert self.calls <= set(calls), where
        for call_id, stdout in self.outputs.items():
            assert json.loads(outputs[call_id])["output"] == stdout, where
        assert set(outputs) == set(calls), where
        assert len(calls) == len(set(calls)), where


async def talk(client: Client, session_id: str) -> None:
    """The conversation, for as long as the server lives."""
    for text in ("first", "second", "third"):
        await client.turn(session_id, text)


async def kill_and_resume(folder: Path, moment: random.Random, longest_s: float) -> float | None:
    """Kill the server at some moment, resume, and check. How long the talk took if it ended."""
    work = folder / "work"
    work.mkdir(parents=True)
    took: float | None = None
    async with ModelServer(script()) as model:
        write_config(folder, model.url)
        async with running(folder, timeout_s=30) as client:
            configured = await client.request("session/configure", {"cwd": str(work)})
            session_id = configured["sessionId"]
            delay_s = moment.uniform(0, longest_s)
            began = anyio.current_time()
            with anyio.move_on_after(delay_s):
                await talk(client, session_id)
                took = anyio.current_time() - began
            client.kill()
            await client.wait_for_end()
        announced = Announced(client.events())
        asked_before = len(model.requests)
        async with running(folder, timeout_s=30) as client:
            await client.request("session/resume", {"sessionId": session_id})
            events = await client.turn(session_id, "go on")
            where = f"killed after {delay_s:.3f} s in {folder}"
            assert events[-1]["msg"]["type"] == "task_complete", where
            conversation = conversation_of(model.requests[asked_before])
            announced.check(conversation, where)
            assert text_of(conversation[-1]) == "go on", where
        ran = work / "ran.txt"
        assert not ran.exists() or ran.read_text() == "ran\n", f"a command ran twice: {where}"
    return took


@pytest.mark.timeout(300)
async def test_what_was_announced_comes_back_after_sigkill_at_any_of_50_moments(
    tmp_path: Path,
) -> None:
    longest_s = await kill_and_resume(tmp_path / "whole", random.Random(0), 3600.0)
    assert longest_s is not None
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}; the whole conversation takes {longest_s:.2f} s")
    places = anyio.Semaphore(AT_ONCE)

    async def one(n: int) -> None:
        async with places:
            # Started side by side, everything takes longer than alone.
            await kill_and_resume(tmp_path / str(n), random.Random(seed + n), longest_s * 1.5)

    async with anyio.create_task_group() as tg:
        for n in range(MOMENTS):
            tg.start_soon(one, n)

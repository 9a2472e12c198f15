"""Nothing that was announced is lost when the process is killed at any moment.

`--kills 200` kills as often as that, at random moments; a failure names its moment.
"""

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
from support.saved import items_of

AT_ONCE = 3
LIMIT = 5_000
"""Tokens; a conversation that has more is compacted without being told to."""
SUMMARIES = ("SUMMARY of the first two", "SUMMARY of everything")


def script() -> dict[str, Any]:
    """Four turns with texts and calls; between them one compaction by order and one by itself."""
    full = text_events(7, "That ", "was ", "a lot.", pause_s=0.005)
    full["events"][-1]["response"]["usage"] = {
        "input_tokens": 2 * LIMIT,
        "output_tokens": 5,
        "total_tokens": 2 * LIMIT + 5,
    }
    return {
        "responses": [
            text_events(1, "I am ", "here."),
            call_events(2, ["echo", "one"], ["sh", "-c", "echo two; sleep 0.05; echo three"]),
            call_events(3, ["sh", "-c", "echo ran >> ran.txt; echo four"]),
            text_events(4, "All ", "four ", "are ", "done.", pause_s=0.01),
            text_events(5, SUMMARIES[0], pause_s=0.02),
            call_events(6, ["sh", "-c", "echo five; sleep 0.02; echo six"]),
            full,
            text_events(8, SUMMARIES[1], pause_s=0.02),
            text_events(9, *(f"word{n} " for n in range(20)), pause_s=0.005),
        ],
        "default": text_events(10, "And on it goes."),
    }


class Announced:
    """What a client has been told, and so has to come back."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.user: list[str] = []
        self.assistant: list[str] = []
        self.outputs: dict[str, str] = {}
        self.calls: set[str] = set()
        self.summaries: list[str] = []
        self.since_summary: Announced | None = None
        """What came behind the last summary."""
        for event in events:
            self._take(event["msg"])
        at = max((n for n, e in enumerate(events) if _is_summary(e)), default=-1)
        if at >= 0:
            self.since_summary = Announced(events[at + 1 :])

    def _take(self, msg: dict[str, Any]) -> None:
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
            case "context_compacted":
                self.summaries.append(msg["summary"])

    def check_request(self, conversation: list[dict[str, Any]], where: str) -> None:
        """The model was sent all of it, or the summary that stands for it and all since."""
        first = conversation[0]
        text = text_of(first) if first["type"] == "message" else ""
        count = next((n for n, s in enumerate(SUMMARIES, 1) if text.startswith(s)), 0)
        if count > len(self.summaries):
            # It was recorded and not announced any more, and so stands for all that was.
            assert count == len(self.summaries) + 1, where
            return
        assert count == len(self.summaries), where
        if self.since_summary is None:
            self.check(conversation, where)
        else:
            assert text == self.summaries[-1], where
            self.since_summary.check(conversation[1:], where)

    def check(self, conversation: list[dict[str, Any]], where: str) -> None:
        """All of it is there in its order, and every call is answered, once."""
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


def _is_summary(event: dict[str, Any]) -> bool:
    return bool(event["msg"]["type"] == "context_compacted")


async def talk(client: Client, session_id: str) -> None:
    """The conversation, for as long as the server lives."""
    await client.turn(session_id, "first")
    await client.turn(session_id, "second")
    start = len(client.received)
    compact = await client.submit(session_id, {"type": "compact"})
    await client.wait_for(lambda m: _closes(m, compact), start=start)
    await client.turn(session_id, "third")
    await client.turn(session_id, "fourth")


def _closes(message: dict[str, Any], submission: str) -> bool:
    params = message.get("params", {})
    return bool(params.get("id") == submission and params["msg"]["type"] == "task_complete")


async def kill_and_resume(folder: Path, moment: random.Random, longest_s: float) -> float | None:
    """Kill the server at some moment, resume, and check. How long the talk took if it ended."""
    work = folder / "work"
    work.mkdir(parents=True)
    took: float | None = None
    async with ModelServer(script()) as model:
        write_config(folder, model.url, model_auto_compact_token_limit=str(LIMIT))
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
            announced.check_request(conversation, where)
            assert text_of(conversation[-1]) == "go on", where
            announced.check(await items_of(client, session_id), where)
        if took is not None:
            assert len(announced.summaries) == len(SUMMARIES), "the script is not what it says"
        ran = work / "ran.txt"
        # Killed between the opening of the file and its line, it is empty.
        assert not ran.exists() or ran.read_text() in ("", "ran\n"), f"ran twice: {where}"
    return took


@pytest.mark.timeout(1200)
async def test_what_was_announced_comes_back_after_sigkill_at_any_moment(
    tmp_path: Path, kills: int
) -> None:
    longest_s = await kill_and_resume(tmp_path / "whole", random.Random(0), 3600.0)
    assert longest_s is not None
    seed = random.SystemRandom().randrange(2**32)
    print(f"{kills} kills, seed {seed}; the whole conversation takes {longest_s:.2f} s")
    places = anyio.Semaphore(AT_ONCE)

    async def one(n: int) -> None:
        async with places:
            # Started side by side, everything takes longer than alone.
            await kill_and_resume(tmp_path / str(n), random.Random(seed + n), longest_s * 1.5)

    async with anyio.create_task_group() as tg:
        for n in range(kills):
            tg.start_soon(one, n)

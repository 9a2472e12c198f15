"""Scripted conversations over the real pipe, written down in a form that does not change.

A script (`script.json`) has the server's `arguments`, the `responses` of the model server, and
the client's `steps`, taken one after the other:

    {"request": method, "params": {…}}   send it and wait for the answer
    {"wait": {…}}                        wait for the next event whose `msg` has these members
    {"kill": true}                       SIGKILL, and start the server anew
    {"end": true}                        close the server's input, and wait for its end

`{SESSION}` in params stands for the session's id, `{CWD}` for the working directory.

What is chance is written in one way: ids, times, paths, durations, versions, what confines
commands here, and in how many pieces a text came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from support.client import Client, running
from support.conversation import write_config
from support.golden import DELTA_TEXTS
from support.golden_compare import Json, replaced
from support.model_server import ModelServer

TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\d(\.\d+)?Z?")
DAYS = re.compile(r"/sessions/\d{4}/\d\d/\d\d/")
BROKEN = re.compile(r"(?<=^stream disconnected before completion: ).*", re.DOTALL)
"""In the words of a library."""

SECONDS = re.compile(r"after \d+\.\d s")
DURATION = re.compile(r'"duration_seconds":\d+\.\d')

CHANCE = {
    "duration": {"secs": 0, "nanos": 0},
    "retry_in_ms": 0,
    "version": "{VERSION}",
    "seq": None,
}
"""Members that are written in one way wherever they stand; None: left out.

Merged deltas make every later `seq` another; that it has no gaps is asserted instead.
"""

CHANCE_OF_A_SESSION = {**CHANCE, "sandbox": "{SANDBOX}"}
"""The same in what tells about a session: what confines commands depends on the machine."""


class Player:
    """Plays one script; `lines` is the conversation, in order."""

    def __init__(self, script: Json, folder: Path) -> None:
        self._script = script
        self._home, self._cwd = folder / "home", folder / "work"
        self._cwd.mkdir()
        self._home.mkdir()
        self._seen = 0
        self._session_id = ""
        self._rollout: Path | None = None
        self.lines: list[Json] = []

    async def play(self) -> None:
        """All steps."""
        async with ModelServer({"responses": self._script["responses"]}) as model:
            write_config(self._home, model.url)
            steps = iter(self._script["steps"])
            for _ in range(1 + sum("kill" in step for step in self._script["steps"])):
                async with running(self._home, *self._script["arguments"]) as client:
                    self._seen = 0
                    await self._talk(client, steps)

    async def _talk(self, client: Client, steps: Iterator[Json]) -> None:
        """The steps up to the end of this process."""
        for step in steps:
            match step:
                case {"request": method, "params": params}:
                    await self._request(client, method, params)
                case {"wait": members}:
                    at, _ = await client.wait_event(members["type"], start=self._seen, **members)
                    self._take(client, at + 1)
                case {"kill": True}:
                    client.kill()
                    await client.wait_for_end()
                    assert_gapless(client)
                    self.lines.append({"killed": True})
                    return
                case {"end": True}:
                    code = await client.close_stdin()
                    await client.wait_for_end()
                    self._take(client, len(client.received))
                    self.lines.append({"exit": code})
                    assert_gapless(client)
                    return
        raise AssertionError("the script ends without an end")

    async def _request(self, client: Client, method: str, params: Json) -> None:
        self._take(client, len(client.received))
        given = [("{SESSION}", self._session_id), ("{CWD}", str(self._cwd))]
        start = len(client.received)
        message = {"jsonrpc": "2.0", "id": len(self.lines) + 1, "method": method}
        message["params"] = replaced(params, given)
        self.lines.append({"to": "server", **message})
        await client.send(message)
        at, answer = await client.wait_for(
            lambda m: m.get("id") == message["id"] and "method" not in m, start=start
        )
        self._take(client, at + 1)
        result = answer.get("result") or {}
        self._session_id = result.get("sessionId", self._session_id)
        if "rolloutPath" in result:
            self._rollout = Path(result["rolloutPath"])

    def _take(self, client: Client, end: int) -> None:
        messages = client.received[self._seen : end]
        self.lines.extend({"to": "client", **message} for message in messages)
        self._seen = end

    def conversation(self) -> list[Json]:
        """All messages, without what is chance."""
        return _merged([self._plain(line) for line in self.lines])

    def rollout(self) -> list[Json]:
        """The session file's lines, without what is chance."""
        assert self._rollout is not None
        return [self._plain(json.loads(line)) for line in self._rollout.read_bytes().splitlines()]

    def _plain(self, value: Any) -> Any:
        places = [
            (str(self._cwd), "{CWD}"),
            (str(self._home), "{HOME}"),
            (self._session_id, "{SESSION}"),
        ]
        return _plain(replaced(value, places))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        value = DAYS.sub("/sessions/{DAY}/", TIMES.sub("{TIME}", value))
        value = BROKEN.sub("{REASON}", SECONDS.sub("after 0.0 s", value))
        return DURATION.sub('"duration_seconds":0.0', value)
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, dict):
        chance = CHANCE_OF_A_SESSION if value.keys() & {"rolloutPath", "rollout_path"} else CHANCE
        plain = {key: chance.get(key, _plain(member)) for key, member in value.items()}
        return {key: member for key, member in plain.items() if chance.get(key, "") is not None}
    return value


def _merged(lines: Iterable[Json]) -> list[Json]:
    """Adjacent deltas of one thing as one."""
    done: list[Json] = []
    for line in lines:
        text = _delta_text(line)
        if text and done and _without_text(done[-1], text) == _without_text(line, text):
            done[-1]["params"]["msg"][text] += line["params"]["msg"][text]
        else:
            done.append(line)
    return done


def _delta_text(line: Json) -> str | None:
    if line.get("method") != "session/event":
        return None
    return DELTA_TEXTS.get(line["params"]["msg"]["type"])


def _without_text(line: Json, text: str) -> Any:
    if _delta_text(line) != text:
        return None
    params = line["params"]
    return {**params, "msg": {k: v for k, v in params["msg"].items() if k != text}}


def assert_gapless(client: Client) -> None:
    """The events of the one session are numbered 1, 2, 3…"""
    numbers = [event["seq"] for event in client.events()]
    assert numbers == list(range(1, len(numbers) + 1))

"""The Agent Client Protocol on the wire: frames in every shape in which clients send them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.acp_client import agent
from support.client import COMMAND, environment

INITIALIZE = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": 1}}
LIST = {"jsonrpc": "2.0", "id": 9, "method": "session/list", "params": {}}
LISTED = {"jsonrpc": "2.0", "id": 9, "result": {"sessions": []}}


async def answers(home: Path, data: bytes) -> list[dict[str, Any]]:
    """Everything that is written for `data`, up to the end."""
    (home / ".codex").mkdir(exist_ok=True)
    with anyio.fail_after(10):
        ran = await anyio.run_process(
            [*COMMAND, "acp"], input=data, env=environment(home), check=True
        )
    assert ran.stderr == b""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def lines(*messages: Any) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def by_id(frames: Sequence[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {frame["id"]: frame for frame in frames}


@pytest.mark.parametrize("version", [1, 2, 99, 0, "2024-11-05", None])
async def test_every_version_is_answered_with_the_one_that_is_spoken(
    tmp_path: Path, version: Any
) -> None:
    params = {} if version is None else {"protocolVersion": version}
    (frame,) = await answers(tmp_path, lines({**INITIALIZE, "params": params}))
    assert frame["result"]["protocolVersion"] == 1
    assert type(frame["result"]["protocolVersion"]) is int


@pytest.mark.parametrize(
    "data",
    [
        lines(INITIALIZE).replace(b"\n", b"\r\n"),
        b"\n\n" + lines(INITIALIZE) + b"\n",
        lines(INITIALIZE).rstrip(b"\n"),
        lines({**INITIALIZE, "id": "a name"}),
        lines({**INITIALIZE, "params": {**INITIALIZE["params"], "_meta": {"x": 1}, "more": []}}),
        lines(
            {**INITIALIZE, "params": {"clientCapabilities": {"fs": 5, "session": [], "_meta": 7}}}
        ),
    ],
    ids=["CRLF", "blank lines", "no line end", "a name as id", "more members", "odd capabilities"],
)
async def test_initialize_is_understood_however_it_is_written(tmp_path: Path, data: bytes) -> None:
    (frame,) = await answers(tmp_path, data)
    assert frame["result"]["agentCapabilities"]["loadSession"] is True


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"nonsense\n", -32700),
        (b'{"jsonrpc":"2.0","id":1,\n', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}\n', -32700),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b"[" * 9999 + b"]" * 9999 + b"}\n",
            -32700,
        ),
        (lines([INITIALIZE]), -32600),
        (lines(5), -32600),
        (lines({}), -32600),
        (lines({"id": 1, "method": "session/list"}), -32600),
        (lines({"jsonrpc": "2.0", "id": 1.5, "method": "session/list"}), -32600),
        (lines({"jsonrpc": "2.0", "id": 1, "method": 5}), -32600),
        (lines({"jsonrpc": "2.0", "id": 1, "method": "_vendor/method"}), -32601),
        (lines({"jsonrpc": "2.0", "id": 1, "method": "shutdown"}), -32601),
        (lines({"jsonrpc": "2.0", "id": 1, "method": "session/submit", "params": {}}), -32601),
        (lines({"jsonrpc": "2.0", "id": 1, "method": "fs/read_text_file", "params": {}}), -32601),
        (lines({"jsonrpc": "2.0", "id": 1, "method": "session/list", "params": [1]}), -32602),
        (
            lines({"jsonrpc": "2.0", "id": 1, "method": "session/list", "params": {"cwd": 5}}),
            -32602,
        ),
        (
            lines({"jsonrpc": "2.0", "id": 1, "method": "session/list", "params": {"cwd": "x"}}),
            -32602,
        ),
        (lines({"jsonrpc": "2.0", "id": 1, "method": "session/prompt", "params": {}}), -32602),
    ],
)
async def test_what_makes_no_sense_is_answered_and_what_follows_is_done(
    tmp_path: Path, data: bytes, code: int
) -> None:
    frames = await answers(tmp_path, lines(INITIALIZE) + data + lines(LIST))
    refused = [frame for frame in frames if "error" in frame]
    assert [frame["error"]["code"] for frame in refused] == [code]
    assert LISTED in frames
    assert len(frames) == 3


async def test_what_wants_no_answer_gets_none(tmp_path: Path) -> None:
    messages: list[dict[str, Any]] = [
        {"method": "_vendor/notification", "params": {"x": 1}},
        {"method": "no/such/notification"},
        {"method": "exit"},
        {"method": "session/cancel"},
        {"method": "session/cancel", "params": {"sessionId": 5}},
        {"method": "session/cancel", "params": {"sessionId": "nobody"}},
        {"method": "$/cancel_request"},
        {"method": "$/cancel_request", "params": []},
        {"method": "$/cancel_request", "params": {"requestId": 99}},
        {"method": "$/cancel_request", "params": {"requestId": None}},
        {"id": 77, "result": {}},
        {"id": "codex-1", "result": {}},
        {"id": 77, "error": 5},
    ]
    sent = [{"jsonrpc": "2.0", **message} for message in messages]
    frames = await answers(tmp_path, lines(INITIALIZE, *sent, LIST))
    assert [frame for frame in frames if frame["id"] != 0] == [LISTED]


async def test_an_id_that_is_in_use_is_refused_and_the_first_request_is_answered(
    tmp_path: Path,
) -> None:
    frames = await answers(tmp_path, lines(INITIALIZE, LIST, LIST))
    said = [frame for frame in frames if frame["id"] == 9]
    assert LISTED in said
    assert [frame["error"]["code"] for frame in said if "error" in frame] in ([], [-32600])
    assert len(said) == 2


async def test_a_line_of_many_megabytes_is_read(tmp_path: Path) -> None:
    big = {**LIST, "id": 1, "params": {"_meta": {"x": "y" * 20_000_000}}}
    frames = by_id(await answers(tmp_path, lines(INITIALIZE, big, LIST)))
    assert frames[1]["result"] == {"sessions": []}
    assert frames[9] == LISTED


async def test_an_initialize_that_was_refused_can_be_sent_again(tmp_path: Path) -> None:
    async with agent(tmp_path) as client:
        await client.send_raw(lines({**INITIALIZE, "id": 500, "params": [1]}))
        assert (await client.answer_to(500))["error"]["code"] == -32602
        assert (await client.initialize())["protocolVersion"] == 1

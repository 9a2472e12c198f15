"""Model servers that misbehave: each time the session says what happened, and goes on."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.client import Client, running
from support.conversation import write_config
from support.fault_server import FaultServer

WIRE_APIS = ("responses", "chat")

RETRIED = {
    "resets": "disconnected",
    "closes": "disconnected",
    "ends_early": "before the response was complete",
    "stalls": "nothing came for 0.3 s",
    "stalls_at_once": "nothing came for 0.3 s",
    "garbage": "before the response was complete",
    "says_too_long": "disconnected",
    "says_too_short": "disconnected",
    "broken_chunks": "disconnected",
    "no_http": "disconnected",
    "limit_in_seconds": "slow down",
    "limit_until": "slow down",
    "limit": "slow down",
    "fails_once": "500",
}
"""What is tried again, and a part of what is said."""

REFUSED = {
    "wrong_type": "not with a stream of events",
    "json_error": "no such thing",
    "redirects": "302",
}
"""What ends the turn."""

PAUSES_MS = {"limit_in_seconds": 100, "limit_until": 0}
"""How long is waited where the server says it; the date that it gives is over."""

HARMLESS = ("trickles", "garbage_within", "zips")


def configure(home: Path, url: str, wire_api: str) -> None:
    write_config(home, url)
    with (home / ".codex/config.toml").open("a") as file:
        file.write(f'wire_api = "{wire_api}"\nstream_idle_timeout_ms = 300\n')


async def opened(client: Client, home: Path) -> str:
    session_id: str = (await client.request("session/configure", {"cwd": str(home)}))["sessionId"]
    return session_id


def append(home: Path) -> list[str]:
    """A command that shows how often it ran."""
    return ["bash", "-c", f"echo ran >> {home}/runs"]


@asynccontextmanager
async def conversing(
    home: Path, fault: str, wire_api: str, *, first: int = 1, times: int = 1
) -> AsyncIterator[tuple[FaultServer, Client, str]]:
    """A session whose model's server has a fault; afterwards its command has run once."""
    command = append(home)
    async with FaultServer(fault, wire_api, command=command, first=first, times=times) as server:
        configure(home, server.url, wire_api)
        async with running(home) as client:
            yield server, client, await opened(client, home)
    assert (home / "runs").read_text() == "ran\n"


def messages(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event["msg"] for event in events if event["msg"]["type"] == kind]


def closings(events: list[dict[str, Any]]) -> list[str]:
    kinds = [event["msg"]["type"] for event in events]
    return [kind for kind in kinds if kind in ("task_complete", "error", "turn_aborted")]


@pytest.mark.parametrize("wire_api", WIRE_APIS)
@pytest.mark.parametrize("fault", RETRIED)
async def test_what_may_pass_is_said_and_tried_again(
    tmp_path: Path, fault: str, wire_api: str
) -> None:
    async with conversing(tmp_path, fault, wire_api) as (server, client, session):
        events = await client.turn(session, "go")
        assert closings(events) == ["task_complete"]
        (told,) = messages(events, "stream_error")
        assert RETRIED[fault] in told["message"]
        assert (told["attempt"], told["max_attempts"]) == (1, 2)
        assert told["retry_in_ms"] == PAUSES_MS.get(fault, told["retry_in_ms"])
        assert closings(await client.turn(session, "more")) == ["task_complete"]
        assert server.faults == 1


@pytest.mark.parametrize("wire_api", WIRE_APIS)
@pytest.mark.parametrize("fault", REFUSED)
async def test_what_will_not_pass_ends_the_turn_and_the_session_goes_on(
    tmp_path: Path, fault: str, wire_api: str
) -> None:
    async with conversing(tmp_path, fault, wire_api) as (_, client, session):
        events = await client.turn(session, "go")
        assert closings(events) == ["error"]
        assert messages(events, "stream_error") == []
        assert REFUSED[fault] in events[-1]["msg"]["message"]
        assert closings(await client.turn(session, "again")) == ["task_complete"]


@pytest.mark.parametrize("wire_api", WIRE_APIS)
@pytest.mark.parametrize("fault", HARMLESS)
async def test_what_is_only_strange_is_understood(
    tmp_path: Path, fault: str, wire_api: str
) -> None:
    async with conversing(tmp_path, fault, wire_api, times=2) as (server, client, session):
        events = await client.turn(session, "go")
        assert closings(events) == ["task_complete"]
        assert messages(events, "stream_error") == []
        assert events[-1]["msg"]["last_agent_message"] == "done"
        assert server.faults == 2


@pytest.mark.parametrize("wire_api", WIRE_APIS)
@pytest.mark.parametrize("fault", ["resets", "stalls"])
async def test_a_command_that_ran_before_a_fault_does_not_run_again(
    tmp_path: Path, fault: str, wire_api: str
) -> None:
    async with conversing(tmp_path, fault, wire_api, first=2) as (server, client, session):
        events = await client.turn(session, "go")
        assert closings(events) == ["task_complete"]
        assert len(messages(events, "stream_error")) == 1
        assert events[-1]["msg"]["last_agent_message"] == "done"
        assert (server.faults, len(server.posts)) == (1, 3)


@pytest.mark.parametrize("wire_api", WIRE_APIS)
@pytest.mark.parametrize("fault", ["ends_late", "stalls_late"])
async def test_a_call_that_came_whole_before_a_fault_runs_once(
    tmp_path: Path, fault: str, wire_api: str
) -> None:
    async with conversing(tmp_path, fault, wire_api) as (server, client, session):
        events = await client.turn(session, "go")
        assert closings(events) == ["task_complete"]
        # Over chat, the reason to finish came, and with it all that matters.
        told = len(messages(events, "stream_error"))
        assert told == {"responses": 1, "chat": 0}[wire_api]
        # The call is not asked for again either.
        assert (server.faults, len(server.posts)) == (1, 2)


@pytest.mark.parametrize("wire_api", WIRE_APIS)
async def test_a_fault_that_stays_ends_the_turn_after_the_retries(
    tmp_path: Path, wire_api: str
) -> None:
    async with conversing(tmp_path, "ends_early", wire_api, times=3) as (_, client, session):
        events = await client.turn(session, "go")
        assert closings(events) == ["error"]
        assert [m["attempt"] for m in messages(events, "stream_error")] == [1, 2]
        assert closings(await client.turn(session, "again")) == ["task_complete"]


@pytest.mark.parametrize("wire_api", WIRE_APIS)
async def test_a_server_that_is_not_there_is_said_and_waited_for(
    tmp_path: Path, wire_api: str
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configure(tmp_path, f"http://127.0.0.1:{port}/v1", wire_api)
    async with running(tmp_path) as client:
        session = await opened(client, tmp_path)
        events = await client.turn(session, "go")
        assert closings(events) == ["error"]
        assert len(messages(events, "stream_error")) == 2
        assert f"http://127.0.0.1:{port}/v1" in events[-1]["msg"]["message"]
        assert "refused" in events[-1]["msg"]["message"].lower()
        command = append(tmp_path)
        async with FaultServer("closes", wire_api, command=command, times=0, port=port):
            assert closings(await client.turn(session, "again")) == ["task_complete"]
    assert (tmp_path / "runs").read_text() == "ran\n"

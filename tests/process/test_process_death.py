"""However a command or the server ends: nothing that the command started is left.

The real server and real commands, under each means that works on this machine.
"""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio import fail_after
from support.client import Client, running
from support.conversation import call_events, text_events, write_config
from support.model_server import ModelServer
from support.processes import FAMILY, family, marked, none_marked

from codex_rpc.sandbox import landlock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="found through /proc")

MEANS = {
    "none": {},
    "bubblewrap": {"sandbox_mode": '"workspace-write"', "sandbox_means": '"bubblewrap"'},
    "landlock": {"sandbox_mode": '"read-only"', "sandbox_means": '"landlock"'},
}


@pytest.fixture(params=MEANS)
def means(request: pytest.FixtureRequest) -> str:
    """What holds the commands; a machine that lacks it skips."""
    name: str = request.param
    if name == "bubblewrap" and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    if name == "landlock" and landlock.abi() == 0:
        pytest.skip("this kernel has no usable Landlock")
    return name


class Place:
    """A server with a session, whose model calls one command."""

    def __init__(self, client: Client, session_id: str, mark: str) -> None:
        self.client = client
        self.session_id = session_id
        self.mark = mark

    async def begin(self) -> None:
        """Have the command run, until all that it starts is there."""
        await self.client.say(self.session_id, "go")
        await self.client.wait_event("exec_command_output_delta", chunk="ready\n")
        assert len(marked(self.mark)) >= FAMILY

    async def closing(self) -> dict[str, Any]:
        """Wait for the end of the turn; the end of the command."""
        await self.client.wait_event("task_complete", "turn_aborted")
        _, event = await self.client.wait_event("exec_command_end")
        msg: dict[str, Any] = event["msg"]
        return msg


@asynccontextmanager
async def place(tmp_path: Path, means: str, script: str, **arguments: Any) -> AsyncIterator[Place]:
    """The command is `script`, behind the start of a family."""
    # Not a path: the server's own environment has all of those.
    mark = f"family-{uuid.uuid4().hex}"
    work = tmp_path / "work"
    work.mkdir()
    stubborn = bool(arguments.pop("stubborn", False))
    command = ["bash", "-c", f"{family(mark, stubborn=stubborn)} echo ready; {script}"]
    responses = [call_events(1, command, **arguments), text_events(2, "done")]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url, **MEANS[means])
        async with running(tmp_path) as client:
            configured = await client.request("session/configure", {"cwd": str(work)})
            assert configured["sandbox"] == means
            yield Place(client, configured["sessionId"], mark)


async def test_a_timeout_leaves_nothing(tmp_path: Path, means: str) -> None:
    async with place(tmp_path, means, "wait", timeout=1500, stubborn=True) as there:
        await there.begin()
        end = await there.closing()
        assert end["exit_code"] == -1
        assert "timed out" in end["stderr"]
        assert not marked(there.mark)


async def test_the_end_of_the_command_leaves_nothing(tmp_path: Path, means: str) -> None:
    async with place(tmp_path, means, "exit 3") as there:
        await there.client.say(there.session_id, "go")
        assert (await there.closing())["exit_code"] == 3
        assert not marked(there.mark)


async def test_an_interrupt_leaves_nothing(tmp_path: Path, means: str) -> None:
    async with place(tmp_path, means, "wait", stubborn=True) as there:
        await there.begin()
        await there.client.submit(there.session_id, {"type": "interrupt"})
        assert (await there.closing())["exit_code"] == -1
        assert not marked(there.mark)


async def test_closing_the_session_leaves_nothing(tmp_path: Path, means: str) -> None:
    async with place(tmp_path, means, "wait") as there:
        await there.begin()
        await there.client.request("session/close", {"sessionId": there.session_id})
        assert not marked(there.mark)


async def test_the_end_of_input_leaves_nothing(tmp_path: Path, means: str) -> None:
    async with place(tmp_path, means, "wait", stubborn=True) as there:
        await there.begin()
        assert await there.client.close_stdin() == 0
        assert not marked(there.mark)


async def test_sigkill_of_the_server_leaves_nothing(tmp_path: Path, means: str) -> None:
    async with place(tmp_path, means, "wait", stubborn=True) as there:
        await there.begin()
        there.client.kill()
        await there.client.wait_for_end()
        with fail_after(5):
            await none_marked(there.mark)

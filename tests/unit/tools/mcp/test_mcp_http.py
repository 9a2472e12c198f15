"""MCP servers at an address: real HTTP on 127.0.0.1."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from mcp_support import (
    STARTUP_S,
    SUPPORT,
    Turn,
    call,
    end_of,
    running,
    told,
    written,
)

from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.events import Error

TOKEN = "token-in-a-header"


def at(url: str, *, token: str = TOKEN, **settings: Any) -> McpServer:
    settings.setdefault("startup_timeout_s", float(STARTUP_S))
    headers = {"Authorization": f"Bearer {token}"}
    return McpServer(name="web", url=url, http_headers=headers, **settings)


@asynccontextmanager
async def web_server(
    folder: Path, *, port: int = 0
) -> AsyncIterator[tuple[str, anyio.abc.Process]]:
    """The demo server's address, and its process."""
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    options = {"port-file": port_file, "port": port, "token": TOKEN, "log": folder / "log"}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    process = await anyio.open_process(
        [sys.executable, str(SUPPORT / "mcp_demo.py"), "--http", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None,
    )
    try:
        await written(port_file, "")
        yield f"http://127.0.0.1:{port_file.read_text()}/mcp", process
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()


async def test_a_server_at_an_address_is_called_and_told_goodbye(tmp_path: Path) -> None:
    with fail_after(STARTUP_S):
        async with web_server(tmp_path) as (url, _):
            async with running(at(url)) as world:
                assert not world.announced
                outcome = await world.call("web__echo", {"text": "hello"})
                assert outcome.output == '[{"text":"echo: hello","type":"text"}]'
                long = await world.call("web__repeat", {"text": "x", "times": 3_000_000})
                assert len(end_of(long).result["Ok"]["content"][0]["text"]) == 3_000_000
                failed = await world.call("web__fail")
                assert end_of(failed).result["Ok"]["isError"] is True
                await world.call("web__grow", {"name": "more"})
                while "web__more" not in world.names:
                    await anyio.sleep(0.005)
            assert "DELETE 200" in (tmp_path / "log").read_text()


async def test_a_cancelled_call_is_told_to_the_server(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    turn = Turn()
    arguments = {"trace": str(trace)}
    with fail_after(STARTUP_S):
        async with web_server(tmp_path) as (url, _), running(at(url)) as world:
            async with anyio.create_task_group() as group:
                group.start_soon(world.servers.call, call("web__slow", arguments), turn)
                await written(trace, "began")
                group.cancel_scope.cancel()
            assert len(turn.abandoned) == 1
            await written(trace, "cancelled")
            assert told(await world.call("web__echo", {"text": "a"})) == "echo: a"


async def test_a_refused_token_is_an_error_that_does_not_show_it(tmp_path: Path) -> None:
    with fail_after(STARTUP_S):
        async with web_server(tmp_path) as (url, _), running(at(url, token="wrong")) as world:
            (error,) = world.announced
            assert isinstance(error, Error)
            assert error.message.startswith("MCP client for `web` failed to start: ")
            assert error.message.endswith("(HTTP 401)")
            assert "wrong" not in error.message


async def test_a_server_that_forgot_the_session_is_connected_to_anew(tmp_path: Path) -> None:
    with fail_after(STARTUP_S):
        async with web_server(tmp_path) as (url, process), running(at(url)) as world:
            process.kill()
            await process.wait()
            port = int(url.split(":")[2].split("/")[0])
            async with web_server(tmp_path, port=port):
                lost = await world.call("web__echo", {"text": "a"})
                assert str(lost.output).startswith("err: ")
                (message,) = await world.until_announced(1)
                assert "was lost and is started again: it has ended the session" in message
                assert told(await world.call("web__echo", {"text": "b"})) == "echo: b"


async def test_a_server_that_is_gone_is_noticed_by_the_next_call(tmp_path: Path) -> None:
    with fail_after(STARTUP_S):
        async with web_server(tmp_path) as (url, process), running(at(url)) as world:
            process.send_signal(signal.SIGKILL)
            await process.wait()
            lost = await world.call("web__echo", {"text": "a"})
            assert "was lost during the call" in str(lost.output)
            _, second = await world.until_announced(2)
            assert "could not be started again" in second
            assert world.names == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/mcp", "not-an-address", "http://[::1/"])
async def test_an_address_where_nobody_is_is_an_error(url: str) -> None:
    with fail_after(5):
        async with running(at(url)) as world:
            (error,) = world.announced
            assert isinstance(error, Error)
            assert error.message.startswith("MCP client for `web` failed to start: ")
            assert TOKEN not in error.message


async def test_a_token_that_is_no_header_is_an_error_that_does_not_show_it() -> None:
    with fail_after(5):
        async with running(at("http://127.0.0.1:1/mcp", token="gehéim\n")) as world:
            (error,) = world.announced
            assert isinstance(error, Error)
            assert "geh" not in error.message


async def test_a_server_that_never_answers_is_an_error_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, fail_after(5):
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
        async with running(at(url, startup_timeout_s=0.2)) as world:
            (message,) = await world.until_announced(1)
            assert message.endswith("it did not answer within 0.2 s")

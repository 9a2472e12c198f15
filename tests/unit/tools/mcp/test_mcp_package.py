"""What holds around the `mcp` package: without it, before it, and when we are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio import fail_after
from mcp_support import pid_from, write_plain
from support.processes import gone, is_running

RUN = """
import os, sys
from pathlib import Path
import anyio
from codex_rpc.config.settings import McpServer
from codex_rpc.tools.mcp.servers import McpServers

SERVERS = [
    McpServer(name=name, command=sys.executable, args=("-S", *sys.argv[1:]))
    for name in ("one", "two")
]

async def run(servers, after):
    servers = McpServers(servers, cwd=Path("/"), environ=os.environ, max_output_bytes=0)
    async with anyio.create_task_group() as group:
        group.start_soon(servers.run, lambda msg: print(type(msg).__name__, msg.message))
        await servers.ready()
        await after(servers)
        group.cancel_scope.cancel()
"""


async def _output(script: str, *arguments: str) -> list[str]:
    """What an interpreter of its own prints."""
    done = await anyio.run_process(
        [sys.executable, "-W", "error", "-c", RUN + script, *arguments], stderr=None
    )
    return done.stdout.decode().splitlines()


async def test_without_the_package_there_is_one_error_and_the_session_works() -> None:
    script = """
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mcp", "mcp_types", "pydantic"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())

async def after(servers):
    print(servers.specs(), servers.tools(), servers.knows("one__echo"))

anyio.run(run, SERVERS, after)
"""
    with fail_after(10):
        error, offered = await _output(script)
    assert error.startswith("Error MCP servers are configured (`one`, `two`), but ")
    assert error.endswith("Install it: pip install 'codex-rpc[mcp]'")
    assert offered == "[] {} False"


async def test_nothing_heavy_is_imported_unless_a_server_is_configured() -> None:
    script = """
async def after(servers):
    heavy = {"mcp", "mcp_types", "pydantic", "httpx2", "httpx", "opentelemetry", "jsonschema"}
    print(sorted(heavy & set(sys.modules)))

anyio.run(run, [], after)
"""
    with fail_after(10):
        assert await _output(script) == ["[]"]


async def test_the_package_is_imported_off_the_event_loop(tmp_path: Path) -> None:
    script = """
import threading
threads = set()

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mcp", "pydantic", "mcp_types"):
            threads.add(threading.current_thread() is threading.main_thread())

sys.meta_path.insert(0, Watch())

async def after(servers):
    print(threads, [spec["name"] for spec in servers.specs()])

anyio.run(run, SERVERS, after)
"""
    with fail_after(15):
        (line,) = await _output(script, str(write_plain(tmp_path)))
    assert line == "{False} ['one__echo', 'two__echo']"


async def test_what_the_package_logs_is_not_shown(tmp_path: Path) -> None:
    script = """
import logging
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)

async def after(servers):
    print("ready")

anyio.run(run, SERVERS[:1], after)
"""
    odd = "send({'method': 'notifications/message', 'params': {'secret': 1}})"
    with fail_after(15):
        lines = await _output(script, str(write_plain(tmp_path, odd)))
    assert [line for line in lines if "asyncio" not in line] == ["ready"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a supervisor, which is for Linux")
async def test_servers_die_with_us_when_we_are_killed(tmp_path: Path) -> None:
    changes = """
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleeper = subprocess.Popen(["sleep", "3600"], start_new_session=True)
with open(sys.argv[1], "w") as file:
    file.write(f"{sleeper.pid}\\n")
def on_list(request):
    answer(request, {"tools": TOOLS})
    time.sleep(3600)
"""
    script = """
async def after(servers):
    print("ready", flush=True)
    await anyio.sleep_forever()

anyio.run(run, SERVERS[:1], after)
"""
    pid_file = tmp_path / "pid"
    arguments = [str(write_plain(tmp_path, changes)), str(pid_file)]
    with fail_after(15):
        process = await anyio.open_process(
            [sys.executable, "-c", RUN + script, *arguments],
            stdin=subprocess.DEVNULL,
            stderr=None,
        )
        try:
            assert process.stdout is not None
            assert (await process.stdout.receive()).startswith(b"ready")
            sleeper = await pid_from(pid_file)
            assert is_running(sleeper)
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        await gone(sleeper)

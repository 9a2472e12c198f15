"""How MCP servers end, with everything that they started, and come back once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio import fail_after
from mcp_support import (
    STARTUP_S,
    Turn,
    call,
    demo,
    end_of,
    made,
    pid_from,
    plain,
    running,
    told,
    write_plain,
)
from support.processes import gone, is_running

from codex_rpc.protocol.events import (
    BackgroundEvent,
    EventMsg,
)

WITH_PACKAGE_S = STARTUP_S
"""For waits in which a program of the official package has to start."""

SAYS_PID = """
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
"""

CRASHES = (
    SAYS_PID
    + """
def on_call(request):
    if request["params"]["name"] == "crash":
        print("about to crash", file=sys.stderr, flush=True)
        os._exit(3)
    answer(request, text("fine"))
TOOLS = [tool("crash"), tool("echo")]
"""
)


async def test_a_server_that_dies_is_started_again_once_and_nothing_is_called_twice(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    script = write_plain(tmp_path, CRASHES)
    with fail_after(5):
        async with running(plain(script, str(pids))) as world:
            lost = await world.call("plain__crash")
            assert "was lost during the call" in str(lost.output)
            assert "Err" in end_of(lost).result
            # It waits for the restart.
            assert told(await world.call("plain__echo")) == "fine"
            assert len(pids.read_text().split()) == 2
            await world.call("plain__crash")
            first, second = await world.until_announced(2)
            assert "was lost and is started again: it ended with exit code 3" in first
            assert first.endswith("about to crash")
            assert "was lost again, and its tools are gone" in second
            assert all(isinstance(msg, BackgroundEvent) for msg in world.announced)
            assert world.names == []
            assert world.servers.tools() == {}
            turn = Turn("untrusted")
            assert world.servers.knows("plain__echo")
            outcome = await world.call("plain__echo", turn=turn)
            assert str(outcome.output).startswith("err: MCP server `plain` is not running: ")
            assert not turn.asked
            assert len(pids.read_text().split()) == 2


async def test_a_server_that_cannot_be_started_again_is_over(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = write_plain(
        tmp_path, CRASHES + "if open(sys.argv[1]).read().count('\\n') > 1: sys.exit(7)"
    )
    with fail_after(5):
        async with running(plain(script, str(pids))) as world:
            await world.call("plain__crash")
            _, second = await world.until_announced(2)
            assert "could not be started again, and its tools are gone" in second
            assert "exit code 7" in second


async def test_a_death_is_noticed_although_a_child_holds_the_output_open(tmp_path: Path) -> None:
    script = write_plain(
        tmp_path,
        CRASHES.replace(
            "os._exit(3)", "__import__('subprocess').Popen(['sleep', '3600']); os._exit(3)"
        ),
    )
    with fail_after(5):
        async with running(plain(script, str(tmp_path / "pids"))) as world:
            assert "was lost" in str((await world.call("plain__crash")).output)
            assert told(await world.call("plain__echo")) == "fine"


async def test_a_message_that_is_too_long_ends_the_connection(tmp_path: Path) -> None:
    script = write_plain(
        tmp_path,
        """
def on_call(request):
    block = "x" * 1_000_000
    while True:
        sys.stdout.write(block)
""",
    )
    with fail_after(10):
        async with running(plain(script)) as world:
            await world.call("plain__echo")
            (message,) = await world.until_announced(1)
            assert "it sent a message of more than 32 MiB" in message


@pytest.mark.skipif(sys.platform != "linux", reason="needs a supervisor, which is for Linux")
async def test_nothing_that_a_server_started_outlives_it(tmp_path: Path) -> None:
    trace = tmp_path / "pid"
    with fail_after(WITH_PACKAGE_S):
        async with running(demo()) as world:
            server = int(told(await world.call("demo__spawn", {"trace": str(trace)})))
            grandchild = await pid_from(trace)
            assert is_running(grandchild)
        assert not is_running(grandchild)
        assert not is_running(server)


async def test_a_server_that_will_not_end_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    script = write_plain(
        tmp_path,
        SAYS_PID
        + """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def on_call(request):
    answer(request, text("deaf"))
    time.sleep(3600)
""",
    )
    with fail_after(5):
        async with running(plain(script, str(pids))) as world:
            await world.call("plain__echo")
            pid = await pid_from(pids)
        assert not is_running(pid)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
async def test_a_server_that_ignores_the_end_of_its_input_is_asked_to_end(tmp_path: Path) -> None:
    farewell = tmp_path / "farewell"
    script = write_plain(
        tmp_path,
        """
import signal
def leave(*_):
    open(sys.argv[1], "w").write("terminated")
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
def on_call(request):
    answer(request, text("deaf"))
    time.sleep(3600)
""",
    )
    with fail_after(5):
        async with running(plain(script, str(farewell))) as world:
            await world.call("plain__echo")
    assert farewell.read_text() == "terminated"


async def test_a_server_that_is_starting_dies_with_the_run(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    script = write_plain(tmp_path, SAYS_PID + "time.sleep(3600)")
    servers = made([plain(script, str(pids))])
    with fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(servers.run, lambda msg: None)
            pid = await pid_from(pids)
            group.cancel_scope.cancel()
        assert not is_running(pid)


async def test_a_server_reads_the_end_of_its_input_first(tmp_path: Path) -> None:
    farewell = tmp_path / "farewell"
    script = write_plain(
        tmp_path,
        "import atexit; atexit.register(lambda: open(sys.argv[1], 'w').write('goodbye'))",
    )
    with fail_after(5):
        async with running(plain(script, str(farewell))):
            pass
    assert farewell.read_text() == "goodbye"


async def test_a_call_that_is_cut_off_by_the_end_of_the_run_is_answered(tmp_path: Path) -> None:
    script = write_plain(tmp_path, "def on_call(request): send({'method': 'x'})")
    servers = made([plain(script)])
    outcomes: list[Any] = []
    began = anyio.Event()

    async def note(msg: EventMsg) -> None:
        began.set()

    async def ask() -> None:
        turn = Turn(before_announcing=note)
        outcomes.append(await servers.call(call("plain__echo", {}), turn))

    async def keep() -> None:
        with scope:
            await servers.run(lambda msg: None)

    with fail_after(5):
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(keep)
            await servers.ready()
            group.start_soon(ask)
            await began.wait()
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert str(outcomes[0].output).startswith("err: MCP server `plain` was lost during the call")


async def test_the_processes_of_many_servers_all_end(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = write_plain(tmp_path, SAYS_PID)
    with fail_after(10):
        async with running(*(plain(script, str(pids), name=f"s{n}") for n in range(5))) as world:
            assert len(world.names) == 5
        await gone(*map(int, pids.read_text().split()))

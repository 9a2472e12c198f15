"""MCP servers as programs, over real pipes: how they start, and what they offer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import orjson
import pytest
from anyio import fail_after
from mcp_support import (
    STARTUP_S,
    Turn,
    begin_of,
    demo,
    end_of,
    made,
    plain,
    running,
    told,
    write_plain,
)

from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.events import (
    Error,
    McpInvocation,
)

WITH_PACKAGE_S = STARTUP_S
"""For waits in which a program of the official package has to start."""


async def test_a_tool_of_the_official_package_is_offered_and_called() -> None:
    with fail_after(WITH_PACKAGE_S):
        async with running(demo()) as world:
            assert "demo__fail" in world.names
            (echo,) = [spec for spec in world.servers.specs() if spec["name"] == "demo__echo"]
            assert echo["description"] == "Echo text back"
            assert echo["strict"] is False
            assert echo["parameters"]["required"] == ["text"]
            turn = Turn()
            outcome = await world.call("demo__echo", {"text": "hello"}, turn=turn)
            assert outcome.output == '[{"text":"echo: hello","type":"text"}]'
            assert end_of(outcome).result["Ok"]["content"] == [
                {"type": "text", "text": "echo: hello"}
            ]
            invocation = McpInvocation("demo", "echo", {"text": "hello"})
            assert begin_of(turn).invocation == end_of(outcome).invocation == invocation
            failed = await world.call("demo__fail")
            assert told(failed) == "Error executing tool fail: it failed"
            assert end_of(failed).result["Ok"]["isError"] is True
            pictured = await world.call("demo__picture")
            assert [part["type"] for part in pictured.output] == ["input_text", "input_image"]  # type: ignore[index]
            assert not world.announced


async def test_without_servers_ready_returns_at_once_and_run_goes_on(tmp_path: Path) -> None:
    servers = made([])
    with fail_after(5):
        await servers.ready()
        with anyio.move_on_after(0.01) as waited:
            await servers.run(lambda msg: None)
        assert waited.cancelled_caught
    assert servers.specs() == []
    assert servers.tools() == {}
    assert not servers.knows("shell")


async def test_ready_waits_for_a_run_that_has_not_begun(tmp_path: Path) -> None:
    script = write_plain(tmp_path)
    servers = made([plain(script)])
    offered: list[str] = []

    async def wait() -> None:
        await servers.ready()
        offered.extend(spec["name"] for spec in servers.specs())
        group.cancel_scope.cancel()

    with fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            assert not offered
            group.start_soon(servers.run, lambda msg: None)
    assert offered == ["plain__echo"]


async def test_ready_returns_when_run_is_cancelled_before_a_server_answers(
    tmp_path: Path,
) -> None:
    script = write_plain(tmp_path, "time.sleep(3600)")
    servers = made([plain(script)])
    with fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(servers.run, lambda msg: None)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await servers.ready()


async def test_the_tools_of_all_servers_are_listed_in_order_of_their_names(tmp_path: Path) -> None:
    script = write_plain(tmp_path, "TOOLS = [tool(n, title='T') for n in sys.argv[1:]]")
    servers = (plain(script, "z", "a", name="two"), plain(script, "m", name="one"))
    with fail_after(5):
        async with running(*servers) as world:
            assert world.names == ["one__m", "two__a", "two__z"]
            assert list(world.servers.tools()) == world.names
            assert world.servers.tools()["two__a"]["title"] == "T"
            assert world.servers.knows("one__m")
            assert not world.servers.knows("one__n")


async def test_only_enabled_tools_are_offered_and_known(tmp_path: Path) -> None:
    script = write_plain(tmp_path, "TOOLS = [tool(n) for n in 'abc']")
    server = plain(script, enabled_tools=("a", "b"), disabled_tools=("b",))
    with fail_after(5):
        async with running(server) as world:
            assert world.names == ["plain__a"]
            assert not world.servers.knows("plain__b")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("no-such-program",), "No such file or directory (os error 2)"),
        (("/etc/passwd",), "Permission denied (os error 13)"),
        (("sh", "-c", "exit 3"), "it ended with exit code 3"),
        (("sh", "-c", "kill -9 $$"), "it was killed by signal 9 (SIGKILL)"),
        (
            ("sh", "-c", r"printf 'a\033[31mb\033[0m\007c\n' >&2; echo hello; exit 1"),
            "it ended with exit code 1; the last it said:\n",
        ),
        (("sh", "-c", "exec >&-; sleep 3600"), "it closed its output"),
        (("sleep", "3600"), "it did not answer within 0.3 s"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
async def test_a_server_that_does_not_start_is_an_error_and_the_others_work(
    tmp_path: Path, command: tuple[str, ...], reason: str
) -> None:
    broken = McpServer(
        name="broken",
        command=command[0],
        args=command[1:],
        startup_timeout_s=0.3 if command[0] == "sleep" else 4.0,
    )
    with fail_after(5):
        async with running(broken, plain(write_plain(tmp_path))) as world:
            (error,) = world.announced
            assert isinstance(error, Error)
            assert error.code is None
            assert error.message.startswith(f"MCP client for `broken` failed to start: {reason}")
            if "last it said" in reason:
                assert sorted(error.message.split("\n")[1:]) == ["  abc", "  hello"]
            assert world.names == ["plain__echo"]


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    server = plain(write_plain(tmp_path), cwd=tmp_path / "missing")
    with fail_after(5):
        async with running(server) as world:
            (error,) = world.announced
            assert isinstance(error, Error)
            assert f"{tmp_path}/missing, the folder it should run in" in error.message


async def test_only_the_end_of_what_a_server_said_is_quoted(tmp_path: Path) -> None:
    script = write_plain(
        tmp_path,
        "sys.stderr.write('x' * 100000 + '\\n')\n"
        "for n in range(1000): print('line', n, file=sys.stderr)\n"
        "sys.exit(1)",
    )
    with fail_after(5):
        async with running(plain(script)) as world:
            (message,) = await world.until_announced(1)
            lines = message.split("\n")[1:]
            assert lines == [f"  line {n}" for n in range(990, 1000)]


async def test_what_is_no_message_on_stdout_is_passed_over(tmp_path: Path) -> None:
    script = write_plain(tmp_path, "print('Welcome!\\n\\n[1, 2]\\n{}', flush=True)")
    with fail_after(5):
        async with running(plain(script)) as world:
            assert world.names == ["plain__echo"]
            assert told(await world.call("plain__echo", {"a": None})) == '{"a": null}'


async def test_an_odd_tool_does_not_cost_the_others(tmp_path: Path) -> None:
    script = write_plain(
        tmp_path, 'TOOLS = [{"name": "a", "inputSchema": {}}, {"x": 1}, tool("b", icons=1)]'
    )
    with fail_after(5):
        async with running(plain(script)) as world:
            assert world.names == ["plain__a", "plain__b"]
            assert not world.announced


async def test_all_pages_of_tools_are_read(tmp_path: Path) -> None:
    script = write_plain(
        tmp_path,
        """
def on_list(request):
    page = int((request.get("params") or {}).get("cursor", "0"))
    more = {"nextCursor": str(page + 1)} if page < 3 else {}
    answer(request, {"tools": [tool(f"t{page}")], **more})
""",
    )
    with fail_after(5):
        async with running(plain(script)) as world:
            assert world.names == [f"plain__t{page}" for page in range(4)]


async def test_a_server_without_tools_is_no_error(tmp_path: Path) -> None:
    script = write_plain(tmp_path, "on_list = on_other")
    with fail_after(5):
        async with running(plain(script)) as world:
            assert world.names == []
            assert not world.announced


async def test_a_server_that_knows_no_greeting_is_asked_what_it_is(tmp_path: Path) -> None:
    script = write_plain(
        tmp_path,
        """
META = "io.modelcontextprotocol/"

def on_initialize(request):
    refuse(request, -32022, "no", data={"supported": ["2026-07-28"], "requested": "2025"})

def on_list(request):
    answer(request, {"tools": TOOLS, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})

def on_call(request):
    answer(request, {**text("modern"), "resultType": "complete"})

def on_other(message):
    global TOOLS
    if message["method"] == "server/discover":
        answer(message, {
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0,
            "capabilities": {"tools": {"listChanged": True}}, "cacheScope": "private",
        })
    elif message["method"] == "subscriptions/listen":
        meta = {META + "subscriptionId": message["id"]}
        send({"method": "notifications/subscriptions/acknowledged", "params": {
            "notifications": {"toolsListChanged": True}, "_meta": meta}})
        TOOLS = [tool("new")]
        send({"method": "notifications/tools/list_changed", "params": {"_meta": meta}})
""",
    )
    with fail_after(5):
        async with running(plain(script)) as world:
            while world.names != ["plain__new"]:
                await anyio.sleep(0.005)
            assert told(await world.call("plain__new")) == "modern"


# What a program is given.


async def test_a_program_sees_its_own_variables_and_a_few_of_ours_and_nothing_else(
    tmp_path: Path,
) -> None:
    script = write_plain(
        tmp_path,
        "def on_call(request): answer(request, text(json.dumps([dict(os.environ), os.getcwd()])))",
    )
    few = {"HOME": "/h", "LANG": "C", "PATH": os.environ["PATH"], "SHELL": "/bin/sh"}
    few |= {"TERM": "dumb", "USER": "u", "LOGNAME": "u", "TMPDIR": "/tmp"}
    environ = {**few, "OPENAI_API_KEY": "sk-secret", "PYTHONPATH": "/x", "LD_PRELOAD": "/y"}
    server = plain(script, env={"SECRET": "s", "HOME": "/other"})
    with fail_after(5):
        async with running(server, environ=environ, cwd=tmp_path) as world:
            shown = told(await world.call("plain__echo"))
    value, cwd = orjson.loads(shown)
    value.pop("LC_CTYPE", None)  # Python itself sets it.
    assert value == {**few, "SECRET": "s", "HOME": "/other"}
    assert cwd == str(tmp_path)


async def test_a_program_runs_in_its_own_folder_if_it_has_one(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    script = write_plain(tmp_path, "def on_call(request): answer(request, text(os.getcwd()))")
    with fail_after(5):
        async with running(plain(script, cwd=folder), cwd=tmp_path) as world:
            assert told(await world.call("plain__echo")) == str(folder)

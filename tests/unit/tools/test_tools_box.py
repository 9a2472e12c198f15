"""The one door to the tools."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from support.processes import is_running, pid_from
from tools_support import (
    Host,
    config,
    context,
    end_of,
    function_call,
    shell,
    toolbox,
)

from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.events import (
    Duration,
    EventMsg,
    ExecCommandOutputDelta,
    McpInvocation,
    McpToolCallBegin,
    McpToolCallEnd,
    PatchApplyBegin,
    PatchApplyEnd,
)
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxMode, SandboxPolicy
from codex_rpc.protocol.tools import ToolHost, ToolOutcome
from codex_rpc.protocol.workspace import NoEditor
from codex_rpc.tools.box import ToolBox

DEMO = Path(__file__).parents[2] / "support" / "mcp_demo.py"

PATCH = """\
*** Begin Patch
*** Add File: new.txt
+one
*** End Patch
"""


def custom_call(name: str, text: str) -> Item:
    return Item.from_value(
        {"type": "custom_tool_call", "call_id": "call_0", "name": name, "input": text}
    )


# What is offered.


def names(box: ToolBox, **settings: Any) -> list[str]:
    specs = box.specs(context(Path("/"), **settings))
    return [spec.get("name", spec["type"]) for spec in specs]


def test_the_same_tools_are_offered_under_every_policy_in_the_same_order(tmp_path: Path) -> None:
    box = toolbox(tmp_path)
    own = ["apply_patch", "update_plan", "view_image"]
    assert names(box) == names(box, approval="untrusted", mode="read-only") == ["shell", *own]
    assert names(box, model="codex-mini-latest") == ["local_shell", *own]


def test_every_definition_says_what_it_takes(tmp_path: Path) -> None:
    for spec in toolbox(tmp_path).specs(context(tmp_path)):
        assert (spec["type"], spec["strict"]) == ("function", False)
        assert spec["description"]
        parameters = spec["parameters"]
        assert parameters["additionalProperties"] is False
        assert set(parameters["required"]) <= set(parameters["properties"])


@pytest.mark.parametrize(
    ("approval", "mode", "offered"),
    [
        ("on-request", "read-only", True),
        ("on-request", "workspace-write", True),
        ("on-request", "danger-full-access", False),
        ("untrusted", "read-only", False),
        ("on-failure", "workspace-write", False),
        ("never", "read-only", False),
    ],
)
def test_to_leave_the_sandbox_is_offered_where_the_user_is_asked_for_it(
    tmp_path: Path, approval: ApprovalPolicy, mode: SandboxMode, offered: bool
) -> None:
    spec, *_ = toolbox(tmp_path).specs(context(tmp_path, approval=approval, mode=mode))
    always = ["command", "workdir", "timeout"]
    more = ["with_escalated_permissions", "justification"] if offered else []
    assert list(spec["parameters"]["properties"]) == [*always, *more]
    assert spec["parameters"]["required"] == ["command"]


async def test_it_says_what_confines_commands(tmp_path: Path) -> None:
    box = toolbox(tmp_path)
    with fail_after(10):
        assert await box.sandbox_means(SandboxPolicy("danger-full-access")) == "none"
        means = await box.sandbox_means(SandboxPolicy("read-only"))
    assert means in ("bubblewrap", "landlock", "seatbelt", "none")


def test_nothing_of_a_tool_is_loaded_before_it_is_needed() -> None:
    program = (
        "import sys\n"
        "from codex_rpc.tools.box import ToolBox\n"
        "from codex_rpc.config.settings import Config, Provider\n"
        "from pathlib import Path\n"
        "here = Path('/')\n"
        "provider = Provider(id='p', name='P')\n"
        "config = Config(codex_home=here, cwd=here, model='m', provider=provider)\n"
        "from codex_rpc.protocol.workspace import NoEditor\n"
        "ToolBox(config, environ={}, workspace=NoEditor())\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=15
    )
    loaded = {name for name in done.stdout.split() if name.startswith("codex_rpc.")}
    ours = {name for name in loaded if name.startswith(("codex_rpc.tools", "codex_rpc.sandbox"))}
    assert ours == {"codex_rpc.tools", "codex_rpc.tools.box", "codex_rpc.tools.specs"}
    assert not {"PIL", "mcp", "tree_sitter", "httpx"} & set(done.stdout.split())


# Calls.


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (function_call("nope", {}), "nope"),
        (function_call("server__tool", {}), "server__tool"),
        (function_call("", {}), "function_call"),
        (custom_call("shell", "ls"), "shell"),
        (Item.from_value({"type": "function_call", "call_id": "c", "name": 5}), "function_call"),
    ],
)
async def test_a_call_of_what_was_not_offered_is_answered(
    tmp_path: Path, call: Item, name: str
) -> None:
    host = Host(context(tmp_path))
    outcome = await toolbox(tmp_path).call(call, host)
    assert (outcome.output, outcome.events) == (f"unsupported call: {name}", ())
    assert host.announced == []


@pytest.mark.parametrize(
    "call",
    [
        function_call("apply_patch", {"input": PATCH}),
        custom_call("apply_patch", PATCH),
        shell(["apply_patch", PATCH]),
        function_call("container.exec", {"command": ["apply_patch", PATCH]}),
    ],
)
async def test_a_patch_is_applied_however_it_comes(tmp_path: Path, call: Item) -> None:
    host = Host(context(tmp_path))
    box = toolbox(tmp_path)
    with fail_after(5):
        outcome = await box.call(call, host)
    assert (tmp_path / "new.txt").read_text() == "one\n"
    assert [event.type for event in outcome.events] == ["patch_apply_end", "turn_diff"]
    assert [type(event) for event in host.announced] == [PatchApplyBegin]
    await box.aclose()


async def test_all_patches_of_a_turn_are_one_diff(tmp_path: Path) -> None:
    host, box = Host(context(tmp_path)), toolbox(tmp_path)
    second = PATCH.replace("new.txt", "other.txt")
    with fail_after(5):
        await box.call(shell(["apply_patch", PATCH]), host)
        outcome = await box.call(custom_call("apply_patch", second), host)
    diff = outcome.events[-1]
    assert diff.type == "turn_diff"
    assert "b/new.txt" in diff.unified_diff
    assert "b/other.txt" in diff.unified_diff


async def test_what_a_patch_cannot_do_is_told(tmp_path: Path) -> None:
    outcome = await toolbox(tmp_path).call(
        custom_call("apply_patch", "garbage"), Host(context(tmp_path))
    )
    assert "invalid patch" in str(outcome.output)
    assert outcome.events == ()


# What goes wrong.


async def test_a_bug_becomes_honest_output_and_what_began_ends(tmp_path: Path) -> None:
    async def fail_at_output(msg: EventMsg) -> None:
        if isinstance(msg, ExecCommandOutputDelta):
            raise RuntimeError("a text that might hold anything")

    host = Host(context(tmp_path), before_announcing=fail_at_output)
    with fail_after(10):
        outcome = await toolbox(tmp_path).call(
            shell(["bash", "-c", "echo $$ > child; echo hi; sleep 100"]), host
        )
        assert not is_running(await pid_from(tmp_path / "child"))
    assert "error in codex-rpc itself" in str(outcome.output)
    assert "might hold anything" not in str(outcome.output)
    assert (end_of(outcome).call_id, end_of(outcome).exit_code) == ("call_0", -1)


INVOCATION = McpInvocation("demo", "echo", {"text": "hi"})


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (
            PatchApplyBegin("call_0", True, {"/new.txt": "delete"}),
            PatchApplyEnd("call_0", "", "the reason", success=False),
        ),
        (
            McpToolCallBegin("call_0", INVOCATION),
            McpToolCallEnd("call_0", INVOCATION, Duration(0, 0), {"Err": "the reason"}),
        ),
    ],
)
@pytest.mark.parametrize("error", [RuntimeError("secret"), ToolError("the reason")])
async def test_whatever_began_ends_also_when_its_tool_fails(
    tmp_path: Path, begin: EventMsg, end: EventMsg, error: Exception
) -> None:
    class Failing(ToolBox):
        def _handler(self, kind: str, name: str) -> Any:
            async def handler(call: Item, host: ToolHost) -> ToolOutcome:
                await host.announce(begin)
                assert host.turn_id == "1"
                raise error

            return handler

    host = Host(context(tmp_path))
    outcome = await Failing(config(tmp_path), environ={}, workspace=NoEditor()).call(
        function_call("x", {}), host
    )
    assert host.announced == [begin]
    (ended,) = outcome.events
    assert type(ended) is type(end)
    assert ended.call_id == "call_0"
    if isinstance(error, ToolError):
        assert (outcome.output, ended) == ("the reason", end)
    else:
        assert "RuntimeError" in str(outcome.output)
        assert "secret" not in f"{outcome}"


async def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    box = toolbox(tmp_path)
    await box.aclose()
    await box.prepare()
    await box.prepare()
    await box.sandbox_means(SandboxPolicy("danger-full-access"))
    await box.aclose()
    await box.aclose()


async def test_calls_of_several_turns_do_not_disturb_each_other(tmp_path: Path) -> None:
    box = toolbox(tmp_path)
    hosts = [Host(context(tmp_path)) for _ in range(4)]

    async def call(number: int) -> None:
        script = f"for i in 1 2 3; do echo {number}; done; sleep 100 & echo $! > child{number}"
        await box.call(shell(["bash", "-c", script]), hosts[number])

    with fail_after(10):
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(call, number)
        for number, host in enumerate(hosts):
            assert host.shown() == f"{number}\n" * 3
            assert not is_running(await pid_from(tmp_path / f"child{number}"))
    assert os.getpgrp() > 0


# MCP servers.


async def test_without_servers_there_is_nothing_to_wait_for_and_running_goes_on(
    tmp_path: Path,
) -> None:
    box = toolbox(tmp_path)
    assert await box.mcp_tools() == {}
    with fail_after(5):
        await box.ready()
    with anyio.move_on_after(0.05) as waited:
        await box.run(lambda msg: None)
    assert waited.cancelled_caught


async def test_the_tools_of_a_server_are_offered_behind_ours_and_called(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    server = McpServer(name="demo", command=sys.executable, args=(str(DEMO),))
    broken = McpServer(name="broken", command="/no/such/bin")
    box = toolbox(tmp_path, mcp_servers=(broken, server))
    said: list[EventMsg] = []
    host = Host(context(tmp_path))
    with fail_after(15):
        async with anyio.create_task_group() as group:
            group.start_soon(box.run, said.append)
            await box.ready()
            offered = names(box)
            assert offered[:4] == ["shell", "apply_patch", "update_plan", "view_image"]
            assert offered[4:] == sorted(offered[4:]) == list(await box.mcp_tools())
            assert "demo__echo" in offered
            outcome = await box.call(function_call("demo__echo", {"text": "hi"}), host)
            unknown = await box.call(function_call("demo__nope", {}), host)
            group.cancel_scope.cancel()
    assert "echo: hi" in str(outcome.output)
    assert [type(msg) for msg in (*host.announced, *outcome.events)] == [
        McpToolCallBegin,
        McpToolCallEnd,
    ]
    assert unknown.output == "unsupported call: demo__nope"
    assert [msg.type for msg in said] == ["error"]


async def test_tools_that_never_ran_keep_nobody_waiting_once_they_are_closed(
    tmp_path: Path,
) -> None:
    server = McpServer(name="slow", command=sys.executable)
    box = toolbox(tmp_path, mcp_servers=(server,))
    async with anyio.create_task_group() as group:
        group.start_soon(box.ready)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await box.aclose()
    assert await box.mcp_tools() == {}


async def test_the_diff_of_a_turn_follows_what_a_command_does_to_patched_files(
    tmp_path: Path,
) -> None:
    box, host = toolbox(tmp_path), Host(context(tmp_path))
    patch = "*** Begin Patch\n*** Add File: a.txt\n+one\n*** End Patch"
    with fail_after(10):
        await box.call(custom_call("apply_patch", patch), host)
        same = await box.call(shell(["true"]), host)
        more = await box.call(shell(["sh", "-c", "echo two >> a.txt"]), host)
        other = await box.call(shell(["sh", "-c", "echo new > b.txt"]), host)
    assert [event.type for event in same.events] == ["exec_command_end"]
    assert [event.type for event in more.events] == ["exec_command_end", "turn_diff"]
    assert "+one\n+two\n" in more.events[-1].unified_diff
    assert [event.type for event in other.events] == ["exec_command_end"]
    await box.aclose()

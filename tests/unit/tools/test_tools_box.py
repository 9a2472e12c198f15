"""The one door to the tools."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from anyio import fail_after
from tools_support import Host, context, end_of, function_call, is_running, pid_from, shell, toolbox

from codex_rpc.protocol.events import EventMsg, ExecCommandOutputDelta
from codex_rpc.protocol.items import Item


def test_shell_is_offered_in_stable_form(tmp_path: Path) -> None:
    box = toolbox(tmp_path)
    (spec,) = box.specs(context(tmp_path))
    assert (spec["type"], spec["name"]) == ("function", "shell")
    assert list(spec["parameters"]["properties"]) == [
        "command",
        "workdir",
        "timeout",
        "with_escalated_permissions",
        "justification",
    ]
    assert spec["parameters"]["required"] == ["command"]
    assert box.specs(context(tmp_path, approval="untrusted", mode="read-only")) == [spec]


def test_a_model_with_a_shell_of_its_own_is_offered_that(tmp_path: Path) -> None:
    specs = toolbox(tmp_path).specs(context(tmp_path, model="codex-mini-latest"))
    assert specs == [{"type": "local_shell"}]


def test_nothing_confines_commands_yet(tmp_path: Path) -> None:
    assert toolbox(tmp_path).sandbox_means == "none"


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (function_call("nope", {}), "nope"),
        (function_call("apply_patch", {}), "apply_patch"),
        (function_call("update_plan", {}), "update_plan"),
        (function_call("view_image", {}), "view_image"),
        (function_call("server__tool", {}), "server__tool"),
        (function_call("", {}), "function_call"),
        (
            Item.from_value({"type": "custom_tool_call", "call_id": "c", "name": "shell"}),
            "shell",
        ),
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


async def test_a_bug_becomes_honest_output_and_what_began_ends(tmp_path: Path) -> None:
    async def fail_at_output(msg: EventMsg) -> None:
        if isinstance(msg, ExecCommandOutputDelta):
            raise RuntimeError("a text that might hold anything")

    host = Host(context(tmp_path), before_announcing=fail_at_output)
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(
            shell(["bash", "-c", "echo $$ > child; echo hi; sleep 100"]), host
        )
        assert not is_running(await pid_from(tmp_path / "child"))
    assert "error in codex-rpc itself" in str(outcome.output)
    assert "might hold anything" not in str(outcome.output)
    assert (end_of(outcome).call_id, end_of(outcome).exit_code) == ("call_0", -1)


async def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    box = toolbox(tmp_path)
    await box.aclose()
    await box.aclose()


async def test_calls_of_several_turns_do_not_disturb_each_other(tmp_path: Path) -> None:
    box = toolbox(tmp_path)
    hosts = [Host(context(tmp_path)) for _ in range(4)]

    async def call(number: int) -> None:
        script = f"for i in 1 2 3; do echo {number}; done; sleep 100 & echo $! > child{number}"
        await box.call(shell(["bash", "-c", script]), hosts[number])

    with fail_after(5):
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(call, number)
        for number, host in enumerate(hosts):
            assert host.shown() == f"{number}\n" * 3
            assert not is_running(await pid_from(tmp_path / f"child{number}"))
    assert os.getpgrp() > 0

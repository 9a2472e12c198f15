"""The shell tool, from the call to what the model and the client are told."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from anyio import fail_after
from support.processes import is_running, pid_from
from tools_support import (
    Host,
    StageConfinement,
    StageSandbox,
    config,
    context,
    end_of,
    function_call,
    shell,
    shell_tool,
    told,
    toolbox,
)

from codex_rpc.config.settings import ShellEnvironment
from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.protocol.events import (
    EventMsg,
    ExecCommandBegin,
    ExecCommandEnd,
    ExecCommandOutputDelta,
    PatchApplyBegin,
    PatchApplyEnd,
)
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.workspace import NoEditor
from codex_rpc.tools.box import ToolBox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells and signals")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(context(tmp_path))


def local_shell(**action: Any) -> Item:
    return Item.from_value(
        {"type": "local_shell_call", "call_id": "call_0", "action": {"type": "exec", **action}}
    )


async def test_begin_deltas_and_end_come_in_order(tmp_path: Path, host: Host) -> None:
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["echo", "hi"]), host)
    assert host.announced == [
        ExecCommandBegin("call_0", ["echo", "hi"], str(tmp_path)),
        ExecCommandOutputDelta("call_0", "stdout", "hi\n"),
    ]
    end = end_of(outcome)
    assert (end.call_id, end.stdout, end.stderr, end.exit_code) == ("call_0", "hi\n", "", 0)


async def test_the_model_gets_both_streams_in_order_whatever_the_exit_code(
    tmp_path: Path, host: Host
) -> None:
    script = "echo a; sleep 0.05; echo b >&2; sleep 0.05; echo c; exit 3"
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["bash", "-c", script]), host)
    assert list(told(outcome)) == ["output", "metadata"]
    assert told(outcome)["output"] == "a\nb\nc\n"
    assert told(outcome)["metadata"] == {
        "exit_code": 3,
        "duration_seconds": pytest.approx(0.1, abs=5),
    }
    end = end_of(outcome)
    assert (end.stdout, end.stderr, end.exit_code) == ("a\nc\n", "b\n", 3)


async def test_output_is_announced_before_the_command_ends(tmp_path: Path, host: Host) -> None:
    os.mkfifo(tmp_path / "go-on")
    outcomes = []

    async def call() -> None:
        script = "echo first; read < go-on; echo second"
        outcomes.append(await toolbox(tmp_path).call(shell(["bash", "-c", script]), host))

    with fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await host.until_shown("first\n")
            assert outcomes == []
            await anyio.Path(tmp_path / "go-on").write_text("\n")
    assert told(outcomes[0])["output"] == host.shown() == "first\nsecond\n"


async def test_characters_split_between_reads_stay_whole(tmp_path: Path, host: Host) -> None:
    script = (
        "import os, time\n"
        "for byte in '\u20ac\U0001f600'.encode():\n"
        "    os.write(1, bytes([byte])); time.sleep(0.01)\n"
        "os.write(1, b'\\xff|\\xe2\\x82')"
    )
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell([sys.executable, "-c", script]), host)
    expected = "\u20ac\U0001f600\ufffd|\ufffd"
    assert host.shown() == end_of(outcome).stdout == told(outcome)["output"] == expected


async def test_a_character_is_not_broken_by_the_other_stream(tmp_path: Path, host: Host) -> None:
    script = "printf '\\xe2\\x82'; sleep 0.05; echo err >&2; sleep 0.05; printf '\\xac'"
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["bash", "-c", script]), host)
    assert told(outcome)["output"] == "err\n\u20ac"


async def test_long_output_keeps_head_and_tail_and_is_streamed_whole(
    tmp_path: Path, host: Host
) -> None:
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["seq", "1", "1000"]), host)
    everything = "".join(f"{n}\n" for n in range(1, 1001))
    head, tail = ("".join(f"{n}\n" for n in r) for r in (range(1, 129), range(873, 1001)))
    missing = len(everything) - len(head) - len(tail)
    expected = f"{head}[... {missing} bytes in 744 lines left out ...]\n{tail}"
    assert told(outcome)["output"] == end_of(outcome).stdout == expected
    assert host.shown() == everything


async def test_limits_come_from_the_configuration(tmp_path: Path, host: Host) -> None:
    box = toolbox(tmp_path, tool_output_max_bytes=0, tool_output_max_lines=0)
    with fail_after(5):
        outcome = await box.call(shell(["seq", "1", "5000"]), host)
    assert told(outcome)["output"] == "".join(f"{n}\n" for n in range(1, 5001))


async def test_a_timeout_tells_the_model_and_keeps_what_was_printed(
    tmp_path: Path, host: Host
) -> None:
    script = "echo $$ > child; printf before; sleep 100; echo after"
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["bash", "-c", script], timeout=500), host)
        assert not is_running(await pid_from(tmp_path / "child"))
    note = "[timed out after 500 ms; what still ran was stopped]\n"
    assert told(outcome)["output"] == f"before\n{note}"
    assert told(outcome)["metadata"]["exit_code"] == -1
    end = end_of(outcome)
    assert (end.stdout, end.stderr, end.exit_code) == ("before", note, -1)


async def test_a_signal_is_named(tmp_path: Path, host: Host) -> None:
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["bash", "-c", "kill -9 $$"]), host)
    assert told(outcome)["output"] == "[killed by signal 9 (SIGKILL)]\n"
    assert end_of(outcome).exit_code == -1


async def test_what_was_left_in_the_background_is_stopped_and_said(
    tmp_path: Path, host: Host
) -> None:
    script = "sleep 100 & echo $! > child; echo started"
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["bash", "-c", script]), host)
        assert not is_running(await pid_from(tmp_path / "child"))
    note = "[stopped 1 background process that the command left running]\n"
    assert told(outcome)["output"] == f"started\n{note}"
    assert (end_of(outcome).exit_code, end_of(outcome).stderr) == (0, "")


async def test_stdin_is_empty(tmp_path: Path, host: Host) -> None:
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["cat"]), host)
    assert told(outcome) == {"output": "", "metadata": {"exit_code": 0, "duration_seconds": 0.0}}


async def test_keys_do_not_reach_commands(tmp_path: Path, host: Host) -> None:
    settings = config(
        tmp_path, shell_environment=ShellEnvironment(always_exclude=frozenset({"CREDENTIAL"}))
    )
    environ = {**os.environ, "CREDENTIAL": "a", "OPENAI_API_KEY": "b", "VISIBLE": "c"}
    with fail_after(5):
        box = ToolBox(settings, environ=environ, workspace=NoEditor())
        outcome = await box.call(shell(["env"]), host)
    names = {line.partition("=")[0] for line in told(outcome)["output"].splitlines()}
    assert "VISIBLE" in names
    assert not names & {"CREDENTIAL", "OPENAI_API_KEY"}


async def test_workdir_is_relative_to_the_turns_directory(tmp_path: Path, host: Host) -> None:
    (tmp_path / "sub").mkdir()
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["pwd", "-P"], workdir="sub"), host)
        absolute = await toolbox(tmp_path).call(shell(["pwd", "-P"], workdir="/"), host)
    assert told(outcome)["output"] == f"{(tmp_path / 'sub').resolve()}\n"
    assert told(absolute)["output"] == "/\n"
    (begin,) = [m for m in host.announced if isinstance(m, ExecCommandBegin)][:1]
    assert begin.cwd == str(tmp_path / "sub")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"command": ["no-such-program"]}, "No such file or directory: 'no-such-program'"),
        ({"command": ["./file"]}, "Permission denied: './file'"),
        ({"command": ["a\0b"]}, "embedded null byte"),
        ({"command": ["ls"], "workdir": "missing"}, "No such file or directory: '{cwd}/missing'"),
        ({"command": ["ls"], "workdir": "file"}, "Not a directory: '{cwd}/file'"),
        ({"command": []}, "command args are empty"),
    ],
)
async def test_what_cannot_start_begins_ends_and_says_why(
    tmp_path: Path, host: Host, arguments: dict[str, Any], reason: str
) -> None:
    (tmp_path / "file").write_text("no program")
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(function_call("shell", arguments), host)
    reason = reason.format(cwd=tmp_path)
    assert outcome.output == f"execution error: {reason}"
    assert [type(msg) for msg in host.announced] == [ExecCommandBegin]
    end = end_of(outcome)
    assert (end.stdout, end.stderr, end.exit_code) == ("", reason, -1)


PATCH = "*** Begin Patch\n*** Add File: made\n+hi\n*** End Patch"


@pytest.mark.parametrize(
    "command",
    [
        ["apply_patch", PATCH],
        ["bash", "-lc", f"apply_patch <<'EOF'\n{PATCH}\nEOF"],
        ["bash", "-lc", f"cd sub && apply_patch <<'EOF'\n{PATCH}\nEOF"],
    ],
)
async def test_a_command_that_is_a_patch_is_applied_and_not_run(
    tmp_path: Path, host: Host, command: list[str]
) -> None:
    (tmp_path / "sub").mkdir()
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(command), host)
    folder = tmp_path / "sub" if "cd sub" in command[-1] else tmp_path
    assert (folder / "made").read_text() == "hi\n"
    assert [type(msg) for msg in host.announced] == [PatchApplyBegin]
    assert isinstance(outcome.events[0], PatchApplyEnd)


async def test_where_there_is_no_patch_tool_a_patch_is_a_command(
    tmp_path: Path, host: Host
) -> None:
    with fail_after(5):
        outcome = await shell_tool(tmp_path).call_function(shell(["apply_patch", PATCH]), host)
    assert "No such file or directory: 'apply_patch'" in str(outcome.output)
    assert [type(msg) for msg in outcome.events] == [ExecCommandEnd]


async def test_a_sandbox_that_fails_to_start_runs_nothing(tmp_path: Path, host: Host) -> None:
    class Broken(StageConfinement):
        def launched(self, argv: Any, env: Any) -> Any:
            raise SandboxUnavailable("the folder has been moved")

    class BrokenSandbox(StageSandbox):
        def unconfined(self) -> StageConfinement:
            return Broken("danger-full-access", "none", network=True)

    with fail_after(5):
        tool = shell_tool(tmp_path, BrokenSandbox())
        outcome = await tool.call_function(shell(["touch", "made"]), host)
    assert outcome.output == "execution error: the folder has been moved"
    assert end_of(outcome).exit_code == -1
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("workdir", ["missing", "file"])
async def test_nobody_is_asked_about_a_directory_that_is_none(tmp_path: Path, workdir: str) -> None:
    (tmp_path / "file").write_text("")
    host = Host(context(tmp_path, approval="untrusted"))
    with fail_after(5):
        await toolbox(tmp_path).call(shell(["touch", "x"], workdir=workdir), host)
    assert host.asked == []


async def test_an_interrupt_leaves_the_outcome_when_everything_is_dead(
    tmp_path: Path, host: Host
) -> None:
    script = "sleep 100 & echo $! > grandchild; echo $$ > child; printf 'begun\\xe2'; wait"
    returned = False

    async def call() -> None:
        nonlocal returned
        await toolbox(tmp_path).call(shell(["bash", "-c", script]), host)
        returned = True

    with fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await host.until_shown("begun")
            group.cancel_scope.cancel()
        assert not returned
        for name in ("child", "grandchild"):
            assert not is_running(await pid_from(tmp_path / name)), name
    (outcome,) = host.abandoned
    assert told(outcome)["output"].startswith("begun\ufffd\n[interrupted by the user after 0.")
    assert told(outcome)["metadata"]["exit_code"] == -1
    end = end_of(outcome)
    assert (end.stdout, end.exit_code) == ("begun\ufffd", -1)


async def test_an_interrupt_while_the_user_is_asked_leaves_nothing(tmp_path: Path) -> None:
    asked = anyio.Event()

    class Waiting(Host):
        async def ask(self, request: Any, *, scope: Any = None) -> Any:
            asked.set()
            await anyio.sleep_forever()

    host = Waiting(context(tmp_path, approval="untrusted"))
    with fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(toolbox(tmp_path).call, shell(["touch", "x"]), host)
            await asked.wait()
            group.cancel_scope.cancel()
    assert (host.announced, host.abandoned) == ([], [])
    assert not (tmp_path / "x").exists()


async def test_a_client_that_does_not_read_stops_the_deltas_not_the_deadline(
    tmp_path: Path,
) -> None:
    stopped = False

    async def stop_at_output(msg: EventMsg) -> None:
        nonlocal stopped
        if isinstance(msg, ExecCommandOutputDelta) and len(host.announced) > 1 and not stopped:
            stopped = True
            await anyio.sleep_forever()

    host = Host(context(tmp_path), before_announcing=stop_at_output)
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(
            shell(["bash", "-c", "echo one; sleep 0.05; yes"], timeout=500), host
        )
    # What came after the piece that was never taken would leave a hole.
    assert host.shown() == "one\n"
    assert told(outcome)["output"].startswith("one\ny\ny\n")
    assert "timed out after 500 ms" in told(outcome)["output"]


async def test_gigabytes_do_not_take_memory(tmp_path: Path) -> None:
    import tracemalloc

    async def forget(msg: EventMsg) -> None:
        host.announced.clear()

    host = Host(context(tmp_path), before_announcing=forget)
    tracemalloc.start()
    try:
        with fail_after(15):
            outcome = await toolbox(tmp_path).call(
                shell(["head", "-c", "30000000", "/dev/zero"]), host
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "[... 29989760 bytes in 1 line left out ...]" in told(outcome)["output"]
    assert peak < 2_000_000


async def test_a_local_shell_call_is_answered_alike(tmp_path: Path, host: Host) -> None:
    call = local_shell(
        command=["bash", "-c", "echo $A; pwd -P"],
        env={"A": "1"},
        working_directory="/",
        timeout_ms=None,
        user=None,
    )
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(call, host)
        slow = await toolbox(tmp_path).call(
            local_shell(command=["sleep", "100"], timeout_ms=100), host
        )
    assert told(outcome)["output"] == "1\n/\n"
    assert "timed out after 100 ms" in told(slow)["output"]


async def test_container_exec_is_another_name_of_shell(tmp_path: Path, host: Host) -> None:
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(
            function_call("container.exec", {"command": ["echo", "hi"], "unknown": {"x": 1}}), host
        )
    assert told(outcome)["output"] == "hi\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("[]", "arguments: expected object"),
        ("{}", "command: expected array of string"),
        ({"command": "echo hi"}, "command: expected array of string"),
        ({"command": ["echo", 1]}, "command[1]: expected string"),
        ({"command": ["ls"], "workdir": 1}, "workdir: expected string"),
        ({"command": ["ls"], "timeout": "1"}, "timeout: expected number"),
        ({"command": ["ls"], "timeout": True}, "timeout: expected number"),
        ({"command": ["ls"], "timeout": 0}, "timeout: expected a positive number of milliseconds"),
        ({"command": ["ls"], "timeout": -1}, "timeout: expected a positive number of milliseconds"),
        (
            {"command": ["ls"], "with_escalated_permissions": "yes"},
            "with_escalated_permissions: expected boolean",
        ),
    ],
)
async def test_arguments_that_do_not_fit_are_explained(
    tmp_path: Path, host: Host, arguments: Any, complaint: str
) -> None:
    outcome = await toolbox(tmp_path).call(function_call("shell", arguments), host)
    assert outcome.output == f"failed to parse function arguments: {complaint}"
    assert (host.announced, outcome.events) == ([], ())


@pytest.mark.parametrize(
    ("arguments", "where"),
    [("{", "line 1 column 2"), ("", "line 1 column 1"), ('{"timeout": 1e999}', "line 1 column")],
)
async def test_arguments_that_are_not_json_are_explained(
    tmp_path: Path, host: Host, arguments: str, where: str
) -> None:
    outcome = await toolbox(tmp_path).call(function_call("shell", arguments), host)
    assert str(outcome.output).startswith("failed to parse function arguments: ")
    assert where in str(outcome.output)


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (None, "action: expected object"),
        ({"type": "exec"}, "action.command: expected array of string"),
        ({"type": "spawn", "command": ["ls"]}, 'action.type: expected "exec"'),
        ({"type": "exec", "command": ["ls"], "env": {"A": 1}}, "action.env.A: expected string"),
        (
            {"type": "exec", "command": ["ls"], "user": "root"},
            "action.user: expected null; commands cannot run as another user",
        ),
    ],
)
async def test_actions_that_do_not_fit_are_explained(
    tmp_path: Path, host: Host, action: Any, complaint: str
) -> None:
    call = Item.from_value({"type": "local_shell_call", "call_id": "c", "action": action})
    outcome = await toolbox(tmp_path).call(call, host)
    assert outcome.output == f"failed to parse function arguments: {complaint}"
    assert host.announced == []


async def test_the_output_is_compact_json_in_a_string(tmp_path: Path, host: Host) -> None:
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["echo", 'a"\u00e9']), host)
    assert isinstance(outcome.output, str)
    assert orjson.loads(outcome.output)["output"] == 'a"\u00e9\n'
    assert outcome.output.startswith('{"output":"a\\"\u00e9\\n","metadata":{"exit_code":0,')


async def test_every_begin_has_its_end(tmp_path: Path, host: Host) -> None:
    box = toolbox(tmp_path)
    with fail_after(5):
        for command in (["true"], ["false"], ["no-such-program"], [], ["bash", "-c", "kill $$"]):
            outcome = await box.call(shell(command), host)
            begun = [m for m in host.announced if isinstance(m, ExecCommandBegin)]
            assert [type(m) for m in outcome.events] == [ExecCommandEnd]
            assert len(begun) == 1
            host.announced.clear()

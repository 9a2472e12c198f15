"""Calls of MCP tools: results, errors, deadlines, interruptions, approvals, changed tools."""

from __future__ import annotations

from pathlib import Path

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
    plain,
    running,
    told,
    write_plain,
    written,
)

from codex_rpc.protocol.events import (
    McpInvocation,
    McpToolCallApprovalRequest,
)
from codex_rpc.protocol.policy import ApprovalPolicy
from codex_rpc.tools.mcp.servers import McpScope

WITH_PACKAGE_S = STARTUP_S
"""For waits in which a program of the official package has to start."""


async def test_bad_arguments_begin_nothing(tmp_path: Path) -> None:
    with fail_after(5):
        async with running(plain(write_plain(tmp_path))) as world:
            turn = Turn("untrusted")
            outcome = await world.call("plain__echo", "{bad", turn=turn)
            assert str(outcome.output).startswith("err: ")
            assert (outcome.events, turn.announced, turn.asked) == ((), [], [])


@pytest.mark.parametrize(
    ("answer", "told_model"),
    [
        ("refuse(request, -32000, 'not\\nthis one')", "err: not this one"),
        ("answer(request, {'content': 3})", "err: its answer is not as the protocol says: "),
        ("answer(request, {'content': [], 'structuredContent': {'a': 10**30}})", "err: the answer"),
    ],
)
async def test_what_is_no_result_is_an_error_of_the_call_only(
    tmp_path: Path, answer: str, told_model: str
) -> None:
    script = write_plain(tmp_path, f"def on_call(request): {answer}")
    with fail_after(5):
        async with running(plain(script)) as world:
            outcome = await world.call("plain__echo")
            assert str(outcome.output).startswith(told_model)
            assert f"err: {end_of(outcome).result['Err']}" == outcome.output
            assert not world.announced


async def test_a_long_result_is_cut_for_the_model_and_not_for_the_client(tmp_path: Path) -> None:
    script = write_plain(tmp_path, "def on_call(request): answer(request, text('x' * 3_000_000))")
    with fail_after(5):
        async with running(plain(script), max_output_bytes=1000) as world:
            outcome = await world.call("plain__echo")
            assert len(str(outcome.output)) < 1200
            assert "left out" in str(outcome.output)
            assert len(end_of(outcome).result["Ok"]["content"][0]["text"]) == 3_000_000


async def test_a_call_that_takes_too_long_ends_and_the_server_is_told(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with fail_after(WITH_PACKAGE_S):
        async with running(demo(tool_timeout_s=0.2)) as world:
            outcome = await world.call("demo__slow", {"trace": str(trace)})
            assert outcome.output == "err: timed out after 0.2 s"
            assert end_of(outcome).result == {"Err": "timed out after 0.2 s"}
            await written(trace, "cancelled")
            assert told(await world.call("demo__echo", {"text": "a"})) == "echo: a"


async def test_an_interrupted_call_is_left_to_the_turn_and_the_server_is_told(
    tmp_path: Path,
) -> None:
    trace = tmp_path / "trace"
    turn = Turn()
    with fail_after(WITH_PACKAGE_S):
        async with running(demo()) as world:
            async with anyio.create_task_group() as group:
                group.start_soon(
                    world.servers.call, call("demo__slow", {"trace": str(trace)}), turn
                )
                await written(trace, "began")
                group.cancel_scope.cancel()
            (outcome,) = turn.abandoned
            assert str(outcome.output).startswith("[interrupted by the user after ")
            assert "Err" in end_of(outcome).result
            await written(trace, "cancelled")
            assert told(await world.call("demo__echo", {"text": "a"})) == "echo: a"


async def test_an_interruption_does_not_wait_for_a_server_that_reads_nothing(
    tmp_path: Path,
) -> None:
    script = write_plain(tmp_path, "def on_call(request): time.sleep(3600)")
    turn = Turn()
    with fail_after(5):
        async with running(plain(script)) as world:
            # More than a pipe holds.
            arguments = {"text": "x" * 1_000_000}
            for _ in range(2):
                with anyio.move_on_after(0.05):
                    await world.call("plain__echo", arguments, turn=turn)
            assert len(turn.abandoned) == 2


# Approvals.


@pytest.mark.parametrize(
    ("policy", "asked"),
    [("untrusted", True), ("on-request", True), ("on-failure", False), ("never", False)],
)
async def test_calls_are_asked_about_as_the_policy_says(
    tmp_path: Path, policy: ApprovalPolicy, asked: bool
) -> None:
    turn = Turn(policy)
    server = plain(write_plain(tmp_path))
    with fail_after(5):
        async with running(server) as world:
            outcome = await world.call("plain__echo", {"a": 1}, turn=turn)
            assert told(outcome) == '{"a": 1}'
    request = McpToolCallApprovalRequest("call_0", McpInvocation("plain", "echo", {"a": 1}))
    assert turn.asked == ([request] if asked else [])
    assert turn.scopes == ([McpScope.of(server, "echo")] if asked else [])


def test_an_approval_for_the_session_is_for_the_program_that_was_there(tmp_path: Path) -> None:
    server = plain(tmp_path / "a.py", env={"MODE": "1"})
    scope = McpScope.of(server, "echo")
    assert scope == McpScope.of(plain(tmp_path / "a.py", env={"MODE": "1"}), "echo")
    others = [
        plain(tmp_path / "b.py", env={"MODE": "1"}),
        plain(tmp_path / "a.py", env={"MODE": "2"}),
        plain(tmp_path / "a.py", env={"MODE": "1"}, cwd=tmp_path),
    ]
    assert all(McpScope.of(other, "echo") != scope for other in others)
    assert "MODE" not in repr(scope)


async def test_half_a_character_does_not_cost_the_answer(tmp_path: Path) -> None:
    half = "{'type': 'text', 'text': 'cut \\ud83d'}"
    script = write_plain(tmp_path, f"def text(value): return {{'content': [{half}]}}")
    with fail_after(5):
        async with running(plain(script)) as world:
            outcome = await world.call("plain__echo", {})
    assert end_of(outcome).result["Ok"]["content"] == [{"type": "text", "text": "cut ?"}]


@pytest.mark.parametrize(
    ("trusted", "hint", "asked"),
    [(True, True, False), (False, True, True), (True, False, True), (True, None, True)],
)
async def test_a_hint_counts_only_from_a_server_whose_hints_are_trusted(
    tmp_path: Path, trusted: bool, hint: bool | None, asked: bool
) -> None:
    annotations = {} if hint is None else {"annotations": {"readOnlyHint": hint}}
    script = write_plain(tmp_path, f"TOOLS = [tool('echo', **{annotations!r})]")
    turn = Turn("untrusted")
    with fail_after(5):
        async with running(plain(script, trust_hints=trusted)) as world:
            await world.call("plain__echo", turn=turn)
    assert bool(turn.asked) is asked


async def test_a_call_that_the_user_denies_is_not_made(tmp_path: Path) -> None:
    script = write_plain(tmp_path, "def on_call(request): os._exit(1)")
    turn = Turn("on-request", decision="denied")
    with fail_after(5):
        async with running(plain(script)) as world:
            outcome = await world.call("plain__echo", turn=turn)
            assert outcome.output == "mcp tool call rejected by user"
            assert (outcome.events, turn.announced, world.announced) == ((), [], [])


# Changes.


async def test_tools_are_listed_anew_when_the_server_says_so(tmp_path: Path) -> None:
    with fail_after(WITH_PACKAGE_S):
        async with running(demo()) as world:
            await world.call("demo__grow", {"name": "more"})
            while "demo__more" not in world.names:
                await anyio.sleep(0.005)
            assert told(await world.call("demo__more")) == "grown"


async def test_a_tool_that_has_just_gone_can_still_be_called(tmp_path: Path) -> None:
    script = write_plain(
        tmp_path,
        """
def on_call(request):
    global TOOLS
    TOOLS = [tool("other")]
    answer(request, text(request["params"]["name"]))
    send({"method": "notifications/tools/list_changed"})
""",
    )
    with fail_after(5):
        async with running(plain(script)) as world:
            await world.call("plain__echo")
            while world.names != ["plain__other"]:
                await anyio.sleep(0.005)
            assert world.servers.knows("plain__echo")
            assert told(await world.call("plain__echo")) == "echo"

"""Which commands run, which are asked about, which are refused: until there is a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from anyio import fail_after
from tools_support import Host, context, end_of, shell, told, toolbox

from codex_rpc.protocol.events import ExecApprovalRequest, ExecCommandBegin
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import SANDBOX_MODES, ApprovalPolicy, SandboxMode

TRUSTED = ["echo", "hi"]
OTHER = ["printf", "hi"]

# For a command that is not trusted. A trusted one always runs.
EXPECTED: dict[tuple[SandboxMode, ApprovalPolicy], str] = {
    ("danger-full-access", "untrusted"): "asked",
    ("danger-full-access", "on-failure"): "run",
    ("danger-full-access", "on-request"): "run",
    ("danger-full-access", "never"): "run",
    ("workspace-write", "untrusted"): "asked",
    ("workspace-write", "on-failure"): "asked",
    ("workspace-write", "on-request"): "asked",
    ("workspace-write", "never"): "refused",
    ("read-only", "untrusted"): "asked",
    ("read-only", "on-failure"): "asked",
    ("read-only", "on-request"): "asked",
    ("read-only", "never"): "refused",
}


@pytest.mark.parametrize(("mode", "approval"), list(EXPECTED))
@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("escalated", [True, False])
async def test_policies(
    tmp_path: Path, mode: SandboxMode, approval: ApprovalPolicy, trusted: bool, escalated: bool
) -> None:
    host = Host(context(tmp_path, approval=approval, mode=mode))
    call = shell(TRUSTED if trusted else OTHER, with_escalated_permissions=escalated)
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(call, host)
    happened = "run" if trusted else EXPECTED[mode, approval]
    assert len(host.asked) == (happened == "asked")
    if happened == "refused":
        assert host.announced == []
        assert outcome.events == ()
        assert "no sandbox is available" in str(outcome.output)
        assert "`never`" in str(outcome.output)
    else:
        assert told(outcome)["output"].strip() == "hi"


@pytest.mark.parametrize("mode", SANDBOX_MODES)
async def test_a_denied_command_does_not_begin(tmp_path: Path, mode: SandboxMode) -> None:
    host = Host(context(tmp_path, approval="untrusted", mode=mode), decision="denied")
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(shell(["touch", "made"]), host)
    assert outcome.output == "exec command rejected by user"
    assert (host.announced, outcome.events) == ([], ())
    assert not (tmp_path / "made").exists()


async def test_the_question_says_that_nothing_would_confine_the_command(tmp_path: Path) -> None:
    host = Host(context(tmp_path, approval="on-request", mode="workspace-write"))
    call = shell(["touch", "made"], justification="I need it.", with_escalated_permissions=True)
    with fail_after(5):
        outcome = await toolbox(tmp_path).call(call, host)
    (request,) = host.asked
    assert isinstance(request, ExecApprovalRequest)
    assert (request.call_id, request.command) == ("call_0", ["touch", "made"])
    assert (request.cwd, request.sandbox, request.network) == (str(tmp_path), "none", True)
    assert request.reason is not None
    assert "unconfined" in request.reason
    assert request.reason.endswith("the model says: I need it.")
    assert end_of(outcome).exit_code == 0


@pytest.mark.parametrize("justification", ["I need it.", None])
async def test_with_full_access_the_reason_is_the_models(
    tmp_path: Path, justification: str | None
) -> None:
    host = Host(context(tmp_path, approval="untrusted"))
    with fail_after(5):
        await toolbox(tmp_path).call(shell(OTHER, justification=justification), host)
    (request,) = host.asked
    assert request.reason == justification  # type: ignore[union-attr]


async def test_a_question_comes_before_the_begin(tmp_path: Path) -> None:
    host = Host(context(tmp_path, approval="untrusted"))
    with fail_after(5):
        await toolbox(tmp_path).call(shell(OTHER), host)
    assert isinstance(host.announced[0], ExecCommandBegin)
    assert len(host.asked) == 1


async def test_a_decision_for_the_session_covers_only_the_same_command(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    host = Host(context(tmp_path, approval="untrusted"))
    local = {"type": "local_shell_call", "call_id": "c", "status": "completed"}
    with fail_after(5):
        for call in (
            shell(OTHER),
            shell(OTHER, timeout=500, justification="again"),
            shell([*OTHER, "there"]),
            shell(OTHER, workdir="sub"),
            Item.from_value({**local, "action": {"type": "exec", "command": OTHER, "env": {}}}),
            Item.from_value(
                {**local, "action": {"type": "exec", "command": OTHER, "env": {"A": "1"}}}
            ),
        ):
            await toolbox(tmp_path).call(call, host)
    same, again, longer, elsewhere, local_same, with_variable = host.scopes
    assert None not in host.scopes
    assert same == again == local_same
    assert len({same, longer, elsewhere, with_variable}) == 4


async def test_variables_of_the_models_choice_are_asked_about_and_shown(tmp_path: Path) -> None:
    host = Host(context(tmp_path, approval="untrusted"), decision="denied")
    action = {"type": "exec", "command": ["git", "status"], "env": {"GIT_DIR": "/x"}}
    call = Item.from_value({"type": "local_shell_call", "call_id": "c", "action": action})
    with fail_after(5):
        await toolbox(tmp_path).call(call, host)
    (request,) = host.asked
    assert request.reason == "with the environment variables GIT_DIR='/x'"  # type: ignore[union-attr]

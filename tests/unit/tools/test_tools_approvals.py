"""Which commands run, under what, which are asked about, and which are refused."""

from __future__ import annotations

import os
import sys
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from attrs import define, evolve, field
from tools_support import (
    Host,
    StageSandbox,
    config,
    context,
    end_of,
    shell,
    shell_tool,
    told,
)

from codex_rpc.protocol.errors import BadArguments
from codex_rpc.protocol.events import (
    BackgroundEvent,
    EventMsg,
    ExecApprovalRequest,
    ExecCommandBegin,
    ExecCommandOutputDelta,
)
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import (
    APPROVAL_POLICIES,
    SANDBOX_MODES,
    ApprovalPolicy,
    SandboxMode,
    SandboxPolicy,
)
from codex_rpc.protocol.workspace import NoEditor
from codex_rpc.sandbox.confinement import Sandbox
from codex_rpc.tools.assessment import Ask, Case, Refuse, Run, assess, denial_note, rerun_reason
from codex_rpc.tools.shell import Shell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")

TRUSTED = ["bash", "-lc", "pwd"]
OTHER = ["sh", "-c", "echo held by $HELD"]
DENIED = [
    "sh",
    "-c",
    "echo held by $HELD; test $HELD = danger-full-access || { echo oh no; false; }",
]
REJECTED = "exec command rejected by user"

GAPS = ("`/w/.git` can be written",)

# The table. A row says what happens, and what holds the command if it runs: "none" is nothing,
# "session" the session's policy, "read-only" that policy. First without, then with gaps.
TABLE: dict[tuple[ApprovalPolicy, str, str], tuple[str, str]] = {
    # policy, command, escalated or not
    ("untrusted", "trusted", "plain"): ("run read-only", "ask read-only"),
    ("untrusted", "trusted", "escalated"): ("ask none", "ask none"),
    ("untrusted", "other", "plain"): ("ask session", "ask session"),
    ("untrusted", "other", "escalated"): ("ask none", "ask none"),
    ("on-failure", "trusted", "plain"): ("run read-only", "ask read-only"),
    ("on-failure", "trusted", "escalated"): ("run read-only", "ask read-only"),
    ("on-failure", "other", "plain"): ("run session", "ask session"),
    ("on-failure", "other", "escalated"): ("run session", "ask session"),
    ("on-request", "trusted", "plain"): ("run read-only", "ask read-only"),
    ("on-request", "trusted", "escalated"): ("ask none", "ask none"),
    ("on-request", "other", "plain"): ("run session", "ask session"),
    ("on-request", "other", "escalated"): ("ask none", "ask none"),
    ("never", "trusted", "plain"): ("run read-only", "refuse"),
    ("never", "trusted", "escalated"): ("refuse", "refuse"),
    ("never", "other", "plain"): ("run session", "refuse"),
    ("never", "other", "escalated"): ("refuse", "refuse"),
}


def expected(
    approval: ApprovalPolicy, mode: SandboxMode, *, trusted: bool, escalated: bool, gaps: bool
) -> str:
    if mode == "danger-full-access":
        return "ask none" if approval == "untrusted" and not trusted else "run none"
    row = TABLE[approval, "trusted" if trusted else "other", "escalated" if escalated else "plain"]
    return row[gaps]


CASES = list(product(APPROVAL_POLICIES, SANDBOX_MODES, *[(False, True)] * 3))


@pytest.mark.parametrize(("approval", "mode", "trusted", "escalated", "gaps"), CASES)
def test_the_table(
    approval: ApprovalPolicy, mode: SandboxMode, trusted: bool, escalated: bool, gaps: bool
) -> None:
    case = Case(approval=approval, mode=mode, trusted=trusted, escalated=escalated)
    verdict = assess(case, GAPS if gaps else (), None)
    words = {Run: "run", Ask: "ask", Refuse: "refuse"}
    found = words[type(verdict)]
    if found != "refuse":
        found = f"{found} {case.enclosure}"
    assert found == expected(approval, mode, trusted=trusted, escalated=escalated, gaps=gaps)


@pytest.mark.parametrize(("approval", "mode", "trusted", "escalated", "gaps"), CASES)
def test_what_was_freed_for_the_session_changes_only_where_a_denial_is_asked_about(
    approval: ApprovalPolicy, mode: SandboxMode, trusted: bool, escalated: bool, gaps: bool
) -> None:
    case, freed = (
        Case(approval=approval, mode=mode, trusted=trusted, escalated=escalated, freed=freed)
        for freed in (False, True)
    )
    before, after = (assess(c, GAPS if gaps else (), None) for c in (case, freed))
    if mode != "danger-full-access" and approval in ("untrusted", "on-failure"):
        # Still a question: only the host knows that it has been answered.
        assert (freed.enclosure, type(after)) == ("none", Ask)
    else:
        assert (freed.enclosure, after) == (case.enclosure, before)


def test_never_and_no_sandbox_let_nothing_run_at_all() -> None:
    for trusted, escalated in product((True, False), repeat=2):
        case = Case(approval="never", mode="read-only", trusted=trusted, escalated=escalated)
        assert isinstance(assess(case, ("nothing enforces it",), None), Refuse)


@pytest.mark.parametrize(
    ("justification", "ending"),
    [
        (None, ""),
        ("  \n", ""),
        ("I need it.", '; the model says: "I need it."'),
        ('a "b"\n\nThe user agreed.', '; the model says: "a \\"b\\"\\n\\nThe user agreed."'),
        ("x" * 1_001, f'; the model says: "{"x" * 1_000}…"'),
    ],
)
def test_what_the_model_says_is_quoted_on_one_line(justification: str | None, ending: str) -> None:
    case = Case(approval="untrusted", mode="read-only", trusted=False)
    verdict = assess(case, (), justification)
    assert verdict == Ask(f"it is not known to only read (policy `untrusted`){ending}")
    assert rerun_reason("It stopped", justification).endswith(f"without the sandbox?{ending}")


@pytest.mark.parametrize(
    ("approval", "words"),
    [
        ("untrusted", "the user did not let it"),
        ("on-failure", "the user did not let it"),
        ("on-request", "with_escalated_permissions"),
        ("never", "in another way"),
    ],
)
def test_the_model_is_told_what_it_can_do_about_a_denial(
    approval: ApprovalPolicy, words: str
) -> None:
    case = Case(approval=approval, mode="read-only", trusted=False)
    note = denial_note(case, 'x: "y"')
    assert note.startswith('the sandbox stopped it ("x: \\"y\\""); ')
    assert words in note


def test_what_only_reads_is_told_of_a_denial_and_asked_about_only_if_it_asks() -> None:
    for approval, escalated in product(APPROVAL_POLICIES, (False, True)):
        case = Case(approval=approval, mode="read-only", trusted=True, escalated=escalated)
        assert case.asks_after_denial is (escalated and approval in ("on-failure", "untrusted")), (
            approval
        )
        if not case.asks_after_denial and approval != "never":
            assert "with_escalated_permissions" in denial_note(case, "")


# The tool, on a stage: nothing is confined, but each command knows what would have held it.


def local_shell(command: list[str], **env: str) -> Item:
    action = {"type": "exec", "command": command, "env": env}
    return Item.from_value({"type": "local_shell_call", "call_id": "call_0", "action": action})


async def call(tool: Shell, host: Host, command: list[str], **arguments: Any) -> Any:
    with fail_after(5):
        return await tool.call_function(shell(command, **arguments), host)


def requests(host: Host) -> list[ExecApprovalRequest]:
    assert all(isinstance(request, ExecApprovalRequest) for request in host.asked)
    return host.asked  # type: ignore[return-value]


@pytest.mark.parametrize(("mode", "approval"), list(product(SANDBOX_MODES, APPROVAL_POLICIES)))
@pytest.mark.parametrize("escalated", [True, False])
async def test_a_command_runs_under_what_was_decided(
    tmp_path: Path, mode: SandboxMode, approval: ApprovalPolicy, escalated: bool
) -> None:
    host = Host(context(tmp_path, approval=approval, mode=mode))
    outcome = await call(shell_tool(tmp_path), host, OTHER, with_escalated_permissions=escalated)
    word, _, enclosure = expected(
        approval, mode, trusted=False, escalated=escalated, gaps=False
    ).partition(" ")
    assert len(host.asked) == (word == "ask")
    if word == "refuse":
        assert [type(msg) for msg in host.announced] == [BackgroundEvent]
        assert outcome.events == ()
        return
    held = {"none": "danger-full-access", "session": mode}[enclosure]
    assert told(outcome)["output"] == f"held by {held}\n"
    for request in requests(host):
        assert request.sandbox == ("none" if held == "danger-full-access" else held)
        assert request.network is (held == "danger-full-access")


@pytest.mark.parametrize("mode", ["read-only", "workspace-write"])
async def test_a_trusted_command_runs_under_the_read_only_policy(
    tmp_path: Path, mode: SandboxMode
) -> None:
    @define
    class Watched(StageSandbox):
        modes: list[str] = field(factory=list)

        async def confine(self, policy: Any, cwd: Path) -> Any:
            self.modes.append(policy.mode)
            return await super().confine(policy, cwd)

    sandbox = Watched()
    host = Host(context(tmp_path, approval="untrusted", mode=mode))
    outcome = await call(shell_tool(tmp_path, sandbox), host, TRUSTED)
    assert told(outcome)["output"] == f"{tmp_path}\n"
    assert (host.asked, sandbox.modes) == ([], ["read-only"])


async def test_a_trusted_command_that_asks_for_more_runs_as_it_was_written(tmp_path: Path) -> None:
    host = Host(context(tmp_path, approval="on-request", mode="read-only"))
    outcome = await call(
        shell_tool(tmp_path), host, ["git", "--no-pager", "branch"], with_escalated_permissions=True
    )
    (request,) = requests(host)
    assert (request.sandbox, request.network) == ("none", True)
    assert end_of(outcome).exit_code == 128


@pytest.mark.parametrize("mode", SANDBOX_MODES)
async def test_a_declined_command_does_not_begin(tmp_path: Path, mode: SandboxMode) -> None:
    host = Host(context(tmp_path, approval="untrusted", mode=mode), decision="denied")
    outcome = await call(shell_tool(tmp_path), host, ["touch", "made"])
    assert outcome.output == REJECTED
    assert (host.announced, outcome.events) == ([], ())
    assert not (tmp_path / "made").exists()


async def test_a_declined_request_for_more_says_what_is_left(tmp_path: Path) -> None:
    host = Host(context(tmp_path, approval="on-request", mode="read-only"), decision="denied")
    outcome = await call(
        shell_tool(tmp_path), host, OTHER, with_escalated_permissions=True, justification="Why not"
    )
    assert outcome.output == (
        f"{REJECTED}; without with_escalated_permissions it may work inside the sandbox"
    )
    (request,) = requests(host)
    assert request.reason == (
        'the model asks to run it without the sandbox; the model says: "Why not"'
    )


@pytest.mark.parametrize("means", ["none", "landlock"])
async def test_what_is_not_enforced_is_asked_about(tmp_path: Path, means: Any) -> None:
    sandbox = StageSandbox(means=means, gaps=("nobody guards x", "nor y"))
    host = Host(context(tmp_path, approval="on-request", mode="workspace-write"))
    outcome = await call(shell_tool(tmp_path, sandbox), host, OTHER)
    (request,) = requests(host)
    assert request.reason == "not everything is enforced here: nobody guards x; nor y"
    # Where nothing holds it, the client is not told that something does.
    held = ("none", True) if means == "none" else ("workspace-write", False)
    assert (request.sandbox, request.network) == held
    assert told(outcome)["output"] == "held by workspace-write\n"


async def test_a_refusal_is_explained_to_the_model_and_shown_to_the_user(tmp_path: Path) -> None:
    sandbox = StageSandbox(gaps=("nobody guards x",))
    host = Host(context(tmp_path, approval="never", mode="workspace-write"))
    outcome = await call(shell_tool(tmp_path, sandbox), host, ["touch", "a b"])
    assert "was not run" in outcome.output
    assert "nobody guards x" in outcome.output
    assert "`never`" in outcome.output
    assert host.announced == [
        BackgroundEvent(
            "not run: touch 'a b' (what the sandbox policy says cannot be enforced here: "
            "nobody guards x)"
        )
    ]
    long = await call(shell_tool(tmp_path, sandbox), host, ["touch", "x" * 9_000])
    assert len(host.announced[-1].message) < 400  # type: ignore[union-attr]
    assert long.events == ()
    assert not (tmp_path / "a b").exists()


async def test_an_escalation_under_never_is_told_how_to_go_on(tmp_path: Path) -> None:
    host = Host(context(tmp_path, approval="never", mode="workspace-write"))
    outcome = await call(shell_tool(tmp_path), host, OTHER, with_escalated_permissions=True)
    assert "without with_escalated_permissions" in outcome.output
    (notice,) = host.announced
    assert isinstance(notice, BackgroundEvent)
    assert "without the sandbox" in notice.message


async def test_what_changed_while_the_user_thought_is_asked_about_again(tmp_path: Path) -> None:
    sandbox = StageSandbox()

    class Thoughtful(Host):
        async def ask(self, request: Any, *, scope: Any = None) -> Any:
            sandbox.gaps = ("a new file can be read",)
            return await super().ask(request, scope=scope)

    host = Thoughtful(context(tmp_path, approval="untrusted", mode="read-only"))
    outcome = await call(shell_tool(tmp_path, sandbox), host, OTHER)
    assert ["new file" in (request.reason or "") for request in requests(host)] == [False, True]
    assert told(outcome)["metadata"]["exit_code"] == 0
    # Once before each question, and once before the run.
    assert sandbox.confined == 3


async def test_a_question_comes_before_the_begin(tmp_path: Path) -> None:
    host = Host(context(tmp_path, approval="untrusted"))
    await call(shell_tool(tmp_path), host, OTHER)
    assert isinstance(host.announced[0], ExecCommandBegin)
    assert len(host.asked) == 1


async def test_a_decision_for_the_session_covers_only_the_same_command(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    tool = shell_tool(tmp_path)
    host = Host(context(tmp_path, approval="untrusted", mode="read-only"))
    writing = Host(context(tmp_path, approval="untrusted", mode="workspace-write"))
    await call(tool, host, OTHER)
    await call(tool, host, OTHER, timeout=500, justification="again")
    await call(tool, host, [*OTHER, "there"])
    await call(tool, host, OTHER, workdir="sub")
    await call(tool, host, OTHER, with_escalated_permissions=True)
    with fail_after(5):
        await tool.call_local(local_shell(OTHER), host)
        await tool.call_local(local_shell(OTHER, A="1"), host)
    await call(tool, writing, OTHER)
    await call(shell_tool(tmp_path, StageSandbox(gaps=GAPS)), writing, OTHER)
    same, again, longer, elsewhere, free, local_same, with_variable = host.scopes
    writable, unguarded = writing.scopes
    assert None not in host.scopes
    assert same == again == local_same
    others = {longer, elsewhere, free, with_variable, writable, unguarded}
    assert len({same, *others}) == 7


@pytest.mark.parametrize(
    ("approval", "policy", "folder"),
    [
        ("on-request", SandboxPolicy("workspace-write"), "."),
        ("untrusted", SandboxPolicy("read-only"), "."),
        ("untrusted", SandboxPolicy("danger-full-access"), "."),
        ("untrusted", SandboxPolicy("workspace-write", ("/srv",)), "."),
        ("untrusted", SandboxPolicy("workspace-write", (), True), "."),
        ("untrusted", SandboxPolicy("workspace-write"), "sub"),
    ],
)
async def test_a_decision_for_the_session_is_one_under_the_policies_of_its_time(
    tmp_path: Path, approval: ApprovalPolicy, policy: SandboxPolicy, folder: str
) -> None:
    (tmp_path / "sub").mkdir()
    tool = shell_tool(tmp_path, StageSandbox(gaps=GAPS))
    host = Host(context(tmp_path, approval="untrusted", mode="workspace-write"))
    argument = {"workdir": str(tmp_path), "with_escalated_permissions": True}
    await call(tool, host, OTHER, **argument)
    host.context = evolve(
        host.context, approval_policy=approval, sandbox_policy=policy, cwd=tmp_path / folder
    )
    await call(tool, host, OTHER, **argument)
    before, after = host.scopes
    assert before != after


async def test_variables_of_the_models_choice_are_asked_about_and_shown(tmp_path: Path) -> None:
    host = Host(context(tmp_path, approval="untrusted"), decision="denied")
    with fail_after(5):
        await shell_tool(tmp_path).call_local(local_shell(["git", "status"], GIT_DIR='/x"\n'), host)
    (request,) = requests(host)
    assert request.reason is not None
    assert request.reason.startswith('with the environment variables GIT_DIR="/x\\"\\n"; ')


@pytest.mark.parametrize(
    "env",
    [
        {"LANG='C'; this was checked by your administrator ": "1"},
        {"A B": "1"},
        {"A\n": "1"},
        {"1A": "1"},
        {"": "1"},
        {"É": "1"},
        {"A=B": "1"},
        {"A": "a\0b"},
        {"A": "x" * 2_000},
        {f"A{n}": "x" * 100 for n in range(20)},
    ],
)
async def test_variables_that_cannot_be_shown_as_they_are_are_not_taken(
    tmp_path: Path, env: dict[str, str]
) -> None:
    host = Host(context(tmp_path, approval="untrusted"))
    with fail_after(5), pytest.raises(BadArguments, match=r"action\.env: expected "):
        await shell_tool(tmp_path).call_local(local_shell(["true"], **env), host)
    assert (host.asked, host.announced) == ([], [])


async def test_a_denied_file_makes_reading_a_question(tmp_path: Path) -> None:
    sandbox = StageSandbox(secrets=frozenset({tmp_path / ".env"}))
    host = Host(context(tmp_path, approval="untrusted", mode="read-only"), decision="denied")
    await call(shell_tool(tmp_path, sandbox), host, ["cat", ".env"])
    await call(shell_tool(tmp_path, sandbox), host, ["cat", "other"])
    await call(shell_tool(tmp_path, sandbox), host, ["cat", "../.env"], workdir="/tmp")
    assert [request.command for request in requests(host)] == [["cat", ".env"]]


async def test_a_program_in_a_writable_root_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ls").write_text("#!/bin/sh\ntouch made\n")
    (tmp_path / "ls").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    host = Host(context(tmp_path, approval="untrusted", mode="read-only"), decision="denied")
    await call(shell_tool(tmp_path), host, ["ls"])
    await call(shell_tool(tmp_path), host, ["bash", "-lc", "ls"])
    assert len(host.asked) == 2
    assert not (tmp_path / "made").exists()


# What the sandbox stopped.


@pytest.mark.parametrize("approval", ["on-failure", "untrusted"])
async def test_what_the_sandbox_stopped_may_run_again_without_it(
    tmp_path: Path, approval: ApprovalPolicy
) -> None:
    host = Host(context(tmp_path, approval=approval, mode="workspace-write"))
    outcome = await call(shell_tool(tmp_path), host, DENIED, justification="To see")
    request = requests(host)[-1]
    assert len(host.asked) == (2 if approval == "untrusted" else 1)
    assert (request.call_id, request.sandbox, request.network) == ("call_0", "none", True)
    assert request.reason == (
        'it failed, and its output says "oh no", which may be the sandbox; '
        'run it again, from its start, without the sandbox?; the model says: "To see"'
    )
    # The model and the end have the second run; whoever watched has seen both.
    assert told(outcome)["output"] == "held by danger-full-access\n"
    assert end_of(outcome).stdout == "held by danger-full-access\n"
    assert end_of(outcome).exit_code == 0
    assert host.shown() == "held by workspace-write\noh no\nheld by danger-full-access\n"
    begins = [msg for msg in host.announced if isinstance(msg, ExecCommandBegin)]
    assert len(begins) == 1


async def test_if_the_user_declines_the_first_run_stands(tmp_path: Path) -> None:
    host = Host(
        context(tmp_path, approval="untrusted", mode="read-only"), decision=["approved", "denied"]
    )
    outcome = await call(shell_tool(tmp_path), host, DENIED)
    assert told(outcome)["output"] == (
        "held by read-only\noh no\n"
        '[the sandbox stopped it ("oh no"); the user did not let it run without the sandbox]\n'
    )
    assert (end_of(outcome).exit_code, end_of(outcome).stderr) == (1, "")


@pytest.mark.parametrize("approval", ["on-request", "never"])
async def test_where_nobody_is_asked_the_model_is_told(
    tmp_path: Path, approval: ApprovalPolicy
) -> None:
    host = Host(context(tmp_path, approval=approval, mode="read-only"))
    outcome = await call(shell_tool(tmp_path), host, DENIED)
    assert host.asked == []
    output = told(outcome)["output"]
    assert output.startswith('held by read-only\noh no\n[the sandbox stopped it ("oh no"); ')
    assert ("with_escalated_permissions" in output) is (approval == "on-request")


async def test_a_command_that_failed_by_itself_is_not_asked_about(tmp_path: Path) -> None:
    host = Host(context(tmp_path, approval="on-failure", mode="read-only"))
    tool = shell_tool(tmp_path)
    failed = await call(tool, host, ["sh", "-c", "echo oh dear; exit 3"])
    worked = await call(tool, host, ["sh", "-c", "echo oh no"])
    slow = await call(tool, host, ["sh", "-c", "echo oh no; sleep 100"], timeout=200)
    missing = await call(tool, host, ["no-such-program"])
    assert host.asked == []
    assert told(failed)["output"] == "oh dear\n"
    assert told(worked)["output"] == "oh no\n"
    assert "timed out" in told(slow)["output"]
    assert "No such file" in missing.output


@define
class SessionHost(Host):
    """A host that remembers what was approved for the session, as a session does."""

    granted: set[Any] = field(factory=set)
    questions: int = 0

    async def ask(self, request: Any, *, scope: Any = None) -> Any:
        if scope in self.granted:
            return "approved_for_session"
        self.questions += 1
        decision = await super().ask(request, scope=scope)
        if decision == "approved_for_session":
            self.granted.add(scope)
        return decision


def session_host(cwd: Path, approval: ApprovalPolicy, decision: Any) -> SessionHost:
    return SessionHost(context(cwd, approval=approval, mode="read-only"), decision=decision)


async def test_what_was_freed_for_the_session_runs_without_the_sandbox_at_once(
    tmp_path: Path,
) -> None:
    tool = shell_tool(tmp_path)
    host = session_host(tmp_path, "on-failure", "approved_for_session")
    await call(tool, host, DENIED)
    host.announced.clear()
    outcome = await call(tool, host, DENIED)
    assert told(outcome)["output"] == host.shown() == "held by danger-full-access\n"
    assert host.questions == 1
    # Another one is not freed with it.
    await call(tool, host, [*DENIED, "x"])
    assert host.questions == 2


async def test_what_was_approved_inside_is_not_approved_outside(tmp_path: Path) -> None:
    tool = shell_tool(tmp_path)
    host = session_host(tmp_path, "untrusted", ["approved_for_session", "denied", "denied"])
    for _ in range(2):
        outcome = await call(tool, host, DENIED)
        assert told(outcome)["output"].startswith("held by read-only\n")
    assert [request.sandbox for request in requests(host)] == ["read-only", "none", "none"]


@pytest.mark.parametrize(
    ("approval", "mode", "escalated"),
    [
        # Both run without the sandbox, and not because it was in the way.
        ("untrusted", "danger-full-access", False),
        ("on-request", "read-only", True),
        ("untrusted", "workspace-write", True),
    ],
)
async def test_what_was_approved_under_a_looser_policy_is_confined_under_a_stricter_one(
    tmp_path: Path, approval: ApprovalPolicy, mode: SandboxMode, escalated: bool
) -> None:
    tool = shell_tool(tmp_path)
    host = session_host(tmp_path, approval, ["approved_for_session", "approved"])
    host.context = context(tmp_path, approval=approval, mode=mode)
    outcome = await call(tool, host, OTHER, with_escalated_permissions=escalated)
    assert told(outcome)["output"] == "held by danger-full-access\n"
    host.context = context(tmp_path, approval="untrusted", mode="read-only")
    outcome = await call(tool, host, OTHER)
    assert told(outcome)["output"] == "held by read-only\n"
    assert [request.sandbox for request in requests(host)] == ["none", "read-only"]


async def test_what_was_freed_is_asked_about_anew_after_a_change_of_policy(
    tmp_path: Path,
) -> None:
    tool = shell_tool(tmp_path)
    host = session_host(tmp_path, "on-failure", "approved_for_session")
    await call(tool, host, DENIED)
    host.context = context(tmp_path, approval="untrusted", mode="read-only")
    host.decision = "denied"
    outcome = await call(tool, host, DENIED)
    assert outcome.output == REJECTED
    assert requests(host)[-1].sandbox == "read-only"


async def test_what_was_approved_as_escalated_begins_inside_when_it_is_not(
    tmp_path: Path,
) -> None:
    tool = shell_tool(tmp_path)
    host = session_host(tmp_path, "untrusted", "approved_for_session")
    await call(tool, host, OTHER, with_escalated_permissions=True)
    outcome = await call(tool, host, OTHER)
    assert told(outcome)["output"] == "held by read-only\n"


async def test_approved_once_is_not_approved_again(tmp_path: Path) -> None:
    tool = shell_tool(tmp_path)
    host = session_host(tmp_path, "on-failure", "approved")
    await call(tool, host, DENIED)
    await call(tool, host, DENIED)
    assert host.questions == 2


async def test_a_freed_command_is_confined_when_nobody_is_asked_any_more(tmp_path: Path) -> None:
    tool = shell_tool(tmp_path)
    host = session_host(tmp_path, "on-failure", "approved_for_session")
    await call(tool, host, DENIED)
    host.context = context(tmp_path, approval="never", mode="read-only")
    outcome = await call(tool, host, DENIED)
    assert told(outcome)["output"].startswith("held by read-only\n")


@pytest.mark.parametrize("when", ["asked", "running again"])
async def test_an_interrupt_between_or_in_the_second_run_leaves_one_end(
    tmp_path: Path, when: str
) -> None:
    waiting = anyio.Event()

    class Interrupted(Host):
        async def ask(self, request: Any, *, scope: Any = None) -> Any:
            if when == "asked":
                waiting.set()
                await anyio.sleep_forever()
            return await super().ask(request, scope=scope)

    async def announced(msg: EventMsg) -> None:
        if isinstance(msg, ExecCommandOutputDelta) and "danger-full-access" in msg.chunk:
            waiting.set()

    host = Interrupted(
        context(tmp_path, approval="on-failure", mode="read-only"), before_announcing=announced
    )
    script = "echo held by $HELD; test $HELD = read-only && { echo oh no; exit 1; }; sleep 100"
    with fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(shell_tool(tmp_path).call_function, shell(["sh", "-c", script]), host)
            await waiting.wait()
            group.cancel_scope.cancel()
    (outcome,) = host.abandoned
    begins = [msg for msg in host.announced if isinstance(msg, ExecCommandBegin)]
    assert len(begins) == 1
    if when == "asked":
        assert end_of(outcome).stdout == "held by read-only\noh no\n"
        assert end_of(outcome).exit_code == 1
        assert "did not let it run" not in told(outcome)["output"]
    else:
        assert end_of(outcome).stdout == "held by danger-full-access\n"
        assert end_of(outcome).exit_code == -1
        assert "interrupted by the user" in told(outcome)["output"]


# The real sandbox.


@pytest.fixture
async def real(tmp_path: Path) -> Any:
    (tmp_path / "work").mkdir()
    settings = config(tmp_path / "work", deny_read=("**/.env",))
    sandbox = Sandbox(settings, environ=dict(os.environ))
    host_context = context(tmp_path / "work", mode="read-only")
    if await sandbox.means(host_context.sandbox_policy) == "none":
        pytest.skip("nothing confines commands on this machine")
    yield Shell(
        settings,
        environ=dict(os.environ),
        sandbox=sandbox,
        patches=None,
        workspace=NoEditor(),
    )
    await sandbox.aclose()


async def test_in_truth_a_write_outside_is_stopped_asked_about_and_done(
    tmp_path: Path, real: Shell
) -> None:
    work, made = tmp_path / "work", tmp_path / "made"
    host = Host(context(work, approval="on-failure", mode="read-only"))
    with fail_after(10):
        outcome = await real.call_function(shell(["touch", str(made)]), host)
    (request,) = requests(host)
    assert request.sandbox == "none"
    assert request.reason is not None
    assert str(made) in request.reason
    assert end_of(outcome).exit_code == 0
    assert made.exists()


async def test_in_truth_trusted_commands_see_no_denied_file(tmp_path: Path, real: Shell) -> None:
    work = tmp_path / "work"
    (work / ".env").write_text("needle secret\n")
    (work / "open").write_text("needle\n")
    host = Host(context(work, approval="untrusted", mode="read-only"))
    with fail_after(10):
        searched = await real.call_function(shell(["grep", "-r", "needle", "."]), host)
        matched = await real.call_function(shell(["bash", "-lc", "cat .e* open"]), host)
    assert host.asked == []
    for outcome in (searched, matched):
        assert "needle" in told(outcome)["output"]
        assert "secret" not in told(outcome)["output"]
        assert "the sandbox stopped it" in told(outcome)["output"]


async def test_in_truth_git_reads_a_repository_under_the_read_only_policy(
    tmp_path: Path, real: Shell
) -> None:
    work = tmp_path / "work"
    with fail_after(10):
        await anyio.run_process(["git", "init", "-q", str(work)])
        (work / "new").write_text("")
        host = Host(context(work, approval="never", mode="workspace-write"))
        outcome = await real.call_function(shell(["git", "status", "--short"]), host)
    assert told(outcome)["output"] == "?? new\n"

"""The shell tool: one command of the model, from the call to the output.

Owns the order of a call: what it is, assessment, question, saving, begin, run, end. What is
trusted is `trusted`'s, what is asked about `assessment`'s, what the editor has to save `unsaved`'s,
and how a command is held and ended `sandbox`'s.
Invariants: nothing runs before its verdict; after a begin was announced there is an end, in the
outcome that is returned or in the one that is left with `host.abandon`.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.to_thread
from attrs import evolve

from codex_rpc.config.settings import Config
from codex_rpc.protocol.events import BackgroundEvent, ExecApprovalRequest, ExecCommandBegin
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import CallId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxPolicy
from codex_rpc.protocol.tools import ToolHost, ToolOutcome, TurnContext
from codex_rpc.protocol.workspace import Workspace
from codex_rpc.sandbox.confinement import Confinement, Sandbox
from codex_rpc.sandbox.environment import child_environment
from codex_rpc.sandbox.process import NotStarted
from codex_rpc.tools.arguments import Command, command_of_function, command_of_local_shell
from codex_rpc.tools.assessment import (
    Ask,
    Case,
    Refuse,
    assess,
    denial_note,
    quoted,
    rerun_reason,
)
from codex_rpc.tools.execution import Execution, not_started
from codex_rpc.tools.git_commands import without_programs
from codex_rpc.tools.git_filters import repository_filters
from codex_rpc.tools.patch.invocation import patch_of_command
from codex_rpc.tools.trusted import Surroundings, trusted_command
from codex_rpc.tools.unsaved import UnsavedFiles, unsaved_note

if TYPE_CHECKING:
    from codex_rpc.tools.patch.tool import PatchTool

REJECTED = "exec command rejected by user"

MAX_SHOWN_COMMAND = 200
"""Characters of a refused command that the user is shown."""

_READ_ONLY = SandboxPolicy("read-only")

_APPROVED = frozenset({"approved", "approved_for_session"})

_SandboxName = Literal["none", "read-only", "workspace-write"]


@frozen
class ApprovalScope:
    """What an approval for the session covers: exactly this, nothing similar."""

    argv: tuple[str, ...]
    cwd: str
    sandbox: str
    network: bool
    env: frozenset[tuple[str, str]]
    gaps: tuple[str, ...]
    """What the user was told is not enforced."""
    approval: ApprovalPolicy
    policy: SandboxPolicy
    folder: str
    """The turn's. Under other policies, or in another folder, the answer might be another."""


@frozen(kw_only=True)
class Form:
    """A command in a form in which it can be started."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    confinement: Confinement


@frozen(kw_only=True)
class _Plan:
    """A command as it would run, and what there is to know about it."""

    command: Command
    cwd: Path
    context: TurnContext
    case: Case
    form: Form
    free: Form
    """The same without the sandbox."""
    unsaved: tuple[Path, ...] = ()
    """What it does not see as the user does."""


class Shell:
    """Runs commands for the model."""

    def __init__(
        self,
        config: Config,
        *,
        environ: Mapping[str, str],
        sandbox: Sandbox,
        patches: PatchTool | None,
        workspace: Workspace,
    ) -> None:
        """`environ` is the server's environment, of which commands get what `config` says.
        `patches` applies the commands that are patches; None: they run like any other. What is
        not saved in `workspace` a command does not see."""
        self._env = child_environment(environ, config.shell_environment)
        self._max_bytes = config.tool_output_max_bytes
        self._max_lines = config.tool_output_max_lines
        self._sandbox = sandbox
        self._patches = patches
        self._unsaved = UnsavedFiles(workspace, config.save_before_run)
        self._freed: set[ApprovalScope] = set()
        """What the user has let run again without the sandbox, for the session. Only the host's
        answer lets anything run; this tells that the question is worth asking at once."""

    async def call_function(self, call: Item, host: ToolHost) -> ToolOutcome:
        """Answer a `function_call` of `shell`.

        Raises:
            BadArguments: the arguments do not fit.
        """
        return await self._call(command_of_function(call.value()), _id_of(call), host)

    async def call_local(self, call: Item, host: ToolHost) -> ToolOutcome:
        """Answer a `local_shell_call`.

        Raises:
            BadArguments: the action does not fit.
        """
        return await self._call(command_of_local_shell(call.value()), _id_of(call), host)

    async def _call(self, command: Command, call_id: CallId, host: ToolHost) -> ToolOutcome:
        cwd = host.context.cwd / (command.workdir or "")
        patch = patch_of_command(command.argv, cwd) if self._patches is not None else None
        if self._patches is not None and patch is not None:
            return await self._patches.apply(patch.patch, patch.cwd, call_id, host)
        if (problem := await _unrunnable(command, cwd)) is not None:
            # Nothing that a user could decide about; it begins and ends without having started.
            begin = ExecCommandBegin(call_id, list(command.argv), str(cwd))
            await host.announce(begin)
            return not_started(begin, problem)
        plan = await self._allowed(command, cwd, call_id, host)
        if isinstance(plan, ToolOutcome):
            return plan
        return await self._run(plan, call_id, host)

    async def _allowed(
        self, command: Command, cwd: Path, call_id: CallId, host: ToolHost
    ) -> _Plan | ToolOutcome:
        """The command as it may run now; an outcome: it may not.

        While the user thinks about it, or is asked to save, files may come that have to be hidden
        or make it another command. So it is then planned again, and asked about again if it is no
        longer what was asked about.
        """
        agreed: ExecApprovalRequest | None = None
        has_saved = False
        while True:
            plan = await self._plan(command, cwd, host.context)
            verdict = assess(plan.case, plan.form.confinement.gaps, command.justification)
            if isinstance(verdict, Refuse):
                await host.announce(BackgroundEvent(_notice(command, verdict)))
                return ToolOutcome(verdict.message)
            if isinstance(verdict, Ask):
                request = _request(call_id, command, cwd, plan.form.confinement, verdict.reason)
                if request != agreed:
                    scope = _scope(command, cwd, plan.form.confinement, host.context)
                    if await host.ask(request, scope=scope) not in _APPROVED:
                        return ToolOutcome(_rejection(command))
                    agreed = request
                    continue
            unsaved = await self._unsaved.find(host.context)
            if has_saved or not self._unsaved.may_save(unsaved):
                return evolve(plan, unsaved=tuple(unsaved))
            await self._unsaved.save(unsaved)
            has_saved = True

    async def _plan(self, command: Command, cwd: Path, context: TurnContext) -> _Plan:
        free = Form(
            argv=command.argv,
            env={**self._env, **command.env},
            confinement=self._sandbox.unconfined(),
        )
        trusted = await self.reading(command, cwd, context)
        case = Case(
            approval=context.approval_policy,
            mode=context.sandbox_policy.mode,
            trusted=trusted is not None,
            escalated=command.escalated,
            freed=_scope(command, cwd, free.confinement, context) in self._freed,
        )
        if trusted is not None and case.runs_as_trusted:
            form = trusted
        elif case.enclosure == "none":
            form = free
        else:
            confinement = await self._sandbox.confine(context.sandbox_policy, context.cwd)
            form = evolve(free, confinement=confinement)
        return _Plan(command=command, cwd=cwd, context=context, case=case, form=form, free=free)

    async def reading(self, command: Command, cwd: Path, context: TurnContext) -> Form | None:
        """The form in which the command is known to only read; None: it is not, or it would make
        no difference."""
        policy = context.sandbox_policy
        is_confined = policy.mode != "danger-full-access"
        # Variables of the model's choice can make any program do anything.
        if command.env or not (is_confined or context.approval_policy == "untrusted"):
            return None
        surroundings = Surroundings(
            cwd=cwd,
            env=self._env,
            roots=(context.cwd, *map(Path, policy.writable_roots)),
            may_read=lambda path: self._sandbox.may_read(path, context.cwd),
            confined=is_confined,
        )
        trusted = await anyio.to_thread.run_sync(trusted_command, command.argv, surroundings)
        if trusted is None:
            return None
        confinement = self._sandbox.unconfined()
        if is_confined:
            confinement = await self._sandbox.confine(_READ_ONLY, context.cwd)
        env = without_programs(trusted.env)
        if trusted.repositories:
            filters = await repository_filters(trusted.repositories, confinement, env)
            if filters is None:
                return None
            env = without_programs(trusted.env, filters)
        return Form(argv=trusted.argv, env=env, confinement=confinement)

    async def _run(self, plan: _Plan, call_id: CallId, host: ToolHost) -> ToolOutcome:
        """Run it, and if the sandbox stops it and the user agrees, once more without.

        Both runs have one begin and one end. The end announces only what is recorded with it: the
        output of the run that counts.
        """
        command = plan.command
        begin = ExecCommandBegin(call_id, list(command.argv), str(plan.cwd))
        await host.announce(begin)
        execution = Execution(begin, host, max_bytes=self._max_bytes, max_lines=self._max_lines)
        try:
            await _start(execution, plan.form, command)
            denial = await execution.denial(plan.form.confinement)
            if denial is not None:
                reason = rerun_reason(denial, command.justification)
                if plan.case.asks_after_denial and await self._may_leave(
                    plan, reason, call_id, host
                ):
                    await _start(execution, plan.free, command)
                else:
                    execution.note(denial_note(plan.case, denial))
            if plan.unsaved:
                execution.note(unsaved_note(plan.unsaved, plan.context.cwd))
            diff = await self._patches.diff_again(host) if self._patches is not None else None
        except anyio.get_cancelled_exc_class():
            host.abandon(execution.interrupted())
            raise
        outcome = execution.outcome()
        return outcome if diff is None else evolve(outcome, events=(*outcome.events, diff))

    async def _may_leave(self, plan: _Plan, reason: str, call_id: CallId, host: ToolHost) -> bool:
        """Whether the user lets a command run without the sandbox that failed inside."""
        confinement = plan.free.confinement
        request = _request(call_id, plan.command, plan.cwd, confinement, reason)
        scope = _scope(plan.command, plan.cwd, confinement, plan.context)
        decision = await host.ask(request, scope=scope)
        if decision == "approved_for_session":
            self._freed.add(scope)
        return decision in _APPROVED


async def _start(execution: Execution, form: Form, command: Command) -> None:
    await execution.run(form.argv, form.env, form.confinement, timeout_ms=command.timeout_ms)


def _id_of(call: Item) -> CallId:
    assert call.call_id is not None, "the session loop hands on calls that can be answered"
    return call.call_id


async def _unrunnable(command: Command, cwd: Path) -> str | None:
    """Why there is nothing to run, if there is not."""
    if not command.argv:
        return "command args are empty"
    if any("\0" in argument for argument in command.argv):
        return "embedded null byte"
    try:
        mode = (await anyio.Path(cwd).stat()).st_mode
    except (OSError, ValueError) as exc:
        return NotStarted.because(exc).reason
    return None if stat.S_ISDIR(mode) else f"Not a directory: {os.fspath(cwd)!r}"


def _request(
    call_id: CallId, command: Command, cwd: Path, confinement: Confinement, reason: str
) -> ExecApprovalRequest:
    if command.env:
        # The variables are part of what is approved, so the user has to see them.
        assignments = " ".join(f"{name}={quoted(value)}" for name, value in command.env.items())
        reason = f"with the environment variables {assignments}; {reason}"
    sandbox, network = _held_by(confinement)
    return ExecApprovalRequest(
        call_id, list(command.argv), str(cwd), sandbox=sandbox, network=network, reason=reason
    )


def _held_by(confinement: Confinement) -> tuple[_SandboxName, bool]:
    """What a client is told: where nothing holds a command there is no sandbox, and a network."""
    if confinement.means == "none" or confinement.mode == "danger-full-access":
        return "none", True
    return confinement.mode, confinement.network


def _scope(
    command: Command, cwd: Path, confinement: Confinement, context: TurnContext
) -> ApprovalScope:
    sandbox, network = _held_by(confinement)
    return ApprovalScope(
        argv=command.argv,
        cwd=str(cwd),
        sandbox=sandbox,
        network=network,
        env=frozenset(command.env.items()),
        gaps=confinement.gaps,
        approval=context.approval_policy,
        policy=context.sandbox_policy,
        folder=str(context.cwd),
    )


def _notice(command: Command, refusal: Refuse) -> str:
    shown = shlex.join(command.argv)
    if len(shown) > MAX_SHOWN_COMMAND:
        shown = f"{shown[:MAX_SHOWN_COMMAND]}…"
    return f"not run: {shown} ({refusal.notice})"


def _rejection(command: Command) -> str:
    if not command.escalated:
        return REJECTED
    return f"{REJECTED}; without with_escalated_permissions it may work inside the sandbox"

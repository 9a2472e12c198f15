"""The shell tool: one command of the model, from the call to the output.

Owns the order of a call: assessment, question, begin, run, end; and the form in which the
result goes back to the model. How processes are run and ended is `sandbox`'s, what is trusted
is `trusted`'s. Invariant: after a begin was announced there is an end, in the outcome that is
returned or in the one that is left with `host.abandon`.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio
import orjson

from codex_rpc.config.settings import Config
from codex_rpc.protocol.events import (
    Duration,
    ExecApprovalRequest,
    ExecCommandBegin,
    ExecCommandEnd,
)
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import CallId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.tools import ToolHost, ToolOutcome
from codex_rpc.sandbox.environment import child_environment
from codex_rpc.sandbox.process import NotStarted, ProcessResult, run_process
from codex_rpc.tools.arguments import Command, command_of_function, command_of_local_shell
from codex_rpc.tools.assessment import Ask, Refuse, Run, assess
from codex_rpc.tools.output import CommandOutput
from codex_rpc.tools.trusted import is_trusted, without_hooks

REJECTED = "exec command rejected by user"
STOPPED = "what still ran was stopped"


@frozen
class ApprovalScope:
    """What an approval for the session covers: exactly this, nothing similar."""

    argv: tuple[str, ...]
    cwd: str
    sandbox: str
    network: bool
    env: frozenset[tuple[str, str]]


class Shell:
    """Runs commands for the model."""

    def __init__(self, config: Config, *, environ: Mapping[str, str]) -> None:
        self._env = child_environment(environ, config.shell_environment)
        self._max_bytes = config.tool_output_max_bytes
        self._max_lines = config.tool_output_max_lines

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
        if (problem := await _unrunnable(command, cwd)) is not None:
            # Nothing that a user could decide about; it begins and ends without having started.
            begin = ExecCommandBegin(call_id, list(command.argv), str(cwd))
            await host.announce(begin)
            return _not_started(begin, problem)
        judge = partial(
            assess,
            command.argv,
            cwd,
            approval=host.context.approval_policy,
            sandbox=host.context.sandbox_policy,
            justification=command.justification,
        )
        # Variables of the model's choice can make any program do anything.
        trusted = not command.env and is_trusted(command.argv)
        verdict = judge(trusted=trusted)
        env = {**self._env, **command.env}
        if trusted and not isinstance(judge(trusted=False), Run):
            env = without_hooks(env)
        if isinstance(verdict, Refuse):
            return ToolOutcome(verdict.message)
        if isinstance(verdict, Ask):
            request = _request(call_id, command, cwd, verdict.reason)
            if await host.ask(request, scope=_scope(request, command)) == "denied":
                return ToolOutcome(REJECTED)
        return await self._run(verdict.argv, command, cwd, env, call_id, host)

    async def _run(
        self,
        argv: Sequence[str],
        command: Command,
        cwd: Path,
        env: Mapping[str, str],
        call_id: CallId,
        host: ToolHost,
    ) -> ToolOutcome:
        begin = ExecCommandBegin(call_id, list(command.argv), str(cwd))
        await host.announce(begin)
        started = anyio.current_time()
        output = CommandOutput(call_id, host, max_bytes=self._max_bytes, max_lines=self._max_lines)
        result: ProcessResult | NotStarted | None = None
        try:
            result = await run_process(
                argv,
                cwd=cwd,
                env=env,
                deadline_s=command.timeout_ms / 1000,
                on_output=output.take,
            )
            await output.finish()
        except anyio.get_cancelled_exc_class():
            output.close()
            elapsed_s = anyio.current_time() - started
            interrupted = [f"[interrupted by the user after {elapsed_s:.1f} s; {STOPPED}]"]
            host.abandon(
                _ended(begin, output, result, command)
                if result is not None
                else _outcome(begin, output, interrupted, exit_code=-1, duration_s=elapsed_s)
            )
            raise
        return _ended(begin, output, result, command)


def _id_of(call: Item) -> CallId:
    assert call.call_id is not None, "the session loop hands on calls that can be answered"
    return call.call_id


async def _unrunnable(command: Command, cwd: Path) -> str | None:
    """Why there is nothing to run, if there is not."""
    if not command.argv:
        return "command args are empty"
    try:
        mode = (await anyio.Path(cwd).stat()).st_mode
    except (OSError, ValueError) as exc:
        return NotStarted.because(exc).reason
    return None if stat.S_ISDIR(mode) else f"Not a directory: {os.fspath(cwd)!r}"


def _request(
    call_id: CallId, command: Command, cwd: Path, reason: str | None
) -> ExecApprovalRequest:
    if command.env:
        # The variables are part of what is approved, so the user has to see them.
        assignments = " ".join(f"{name}={value!r}" for name, value in command.env.items())
        added = f"with the environment variables {assignments}"
        reason = f"{reason}; {added}" if reason else added
    return ExecApprovalRequest(
        call_id, list(command.argv), str(cwd), sandbox="none", network=True, reason=reason
    )


def _scope(request: ExecApprovalRequest, command: Command) -> ApprovalScope:
    return ApprovalScope(
        argv=command.argv,
        cwd=request.cwd,
        sandbox=request.sandbox,
        network=request.network,
        env=frozenset(command.env.items()),
    )


def _notes(result: ProcessResult, command: Command) -> list[str]:
    """What the output does not say by itself."""
    notes = []
    if result.timed_out:
        notes.append(f"[timed out after {command.timeout_ms:g} ms; {STOPPED}]")
    if result.signal is not None:
        notes.append(f"[killed by signal {result.signal}{_signal_name(result.signal)}]")
    if result.stopped:
        processes = "process" if result.stopped == 1 else "processes"
        notes.append(
            f"[stopped {result.stopped} background {processes} that the command left running]"
        )
    if result.detached:
        notes.append("[a background process that the command started may still be running]")
    return notes


def _signal_name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""


def _not_started(begin: ExecCommandBegin, reason: str) -> ToolOutcome:
    end = ExecCommandEnd(begin.call_id, "", reason, exit_code=-1, duration=Duration(0, 0))
    return ToolOutcome(f"execution error: {reason}", (end,))


def _ended(
    begin: ExecCommandBegin,
    output: CommandOutput,
    result: ProcessResult | NotStarted,
    command: Command,
) -> ToolOutcome:
    if isinstance(result, NotStarted):
        return _not_started(begin, result.reason)
    return _outcome(
        begin,
        output,
        _notes(result, command),
        exit_code=-1 if result.exit_code is None else result.exit_code,
        duration_s=result.duration_s,
    )


def _outcome(
    begin: ExecCommandBegin,
    output: CommandOutput,
    notes: Sequence[str],
    *,
    exit_code: int,
    duration_s: float,
) -> ToolOutcome:
    # A client that sees no exit code should see why.
    shown_notes = notes if exit_code == -1 else ()
    end = ExecCommandEnd(
        begin.call_id,
        output.text("stdout"),
        _with_notes(output.text("stderr"), shown_notes),
        exit_code=exit_code,
        duration=Duration.of(duration_s),
    )
    told = {
        "output": _with_notes(output.text(), notes),
        "metadata": {"exit_code": exit_code, "duration_seconds": round(duration_s, 1)},
    }
    return ToolOutcome(orjson.dumps(told).decode(), (end,))


def _with_notes(text: str, notes: Sequence[str]) -> str:
    separator = "\n" if notes and text and not text.endswith("\n") else ""
    return text + separator + "".join(f"{note}\n" for note in notes)

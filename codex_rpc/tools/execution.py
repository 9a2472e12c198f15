"""A command that has begun: its runs, and the one end that they have.

Owns the form in which the result goes to the client and back to the model. It does not know
whether the command was allowed, nor what confines it. A second run, without the sandbox, belongs
to the same begin and end: so nothing is announced as ended whose output is not what is recorded.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import orjson

from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.protocol.events import Duration, ExecCommandBegin, ExecCommandEnd
from codex_rpc.protocol.ids import CallId
from codex_rpc.protocol.tools import ToolHost, ToolOutcome
from codex_rpc.sandbox.confinement import Confinement
from codex_rpc.sandbox.process import NotStarted, ProcessResult, run_process
from codex_rpc.tools.output import CommandOutput

STOPPED = "what still ran was stopped"


class Execution:
    """One command's runs, one after the other; the last one counts."""

    def __init__(
        self, begin: ExecCommandBegin, host: ToolHost, *, max_bytes: int, max_lines: int
    ) -> None:
        """`begin` has been announced; the limits hold for the output that is kept."""
        self._begin = begin
        self._host = host
        self._max_bytes = max_bytes
        self._max_lines = max_lines
        self._start_over()

    def _start_over(self) -> None:
        self._started = anyio.current_time()
        self._result: ProcessResult | NotStarted | None = None
        self._notes: list[str] = []
        self._output = CommandOutput(
            CallId(self._begin.call_id),
            self._host,
            max_bytes=self._max_bytes,
            max_lines=self._max_lines,
        )

    async def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        confinement: Confinement,
        *,
        timeout_ms: float,
    ) -> None:
        """Run `argv` to its end. What an earlier run printed is forgotten."""
        self._start_over()
        try:
            with confinement.launched(argv, env) as launch:
                self._result = await run_process(
                    launch,
                    cwd=Path(self._begin.cwd),
                    deadline_s=timeout_ms / 1000,
                    on_output=self._output.take,
                )
        except SandboxUnavailable as exc:
            self._result = NotStarted(exc.message)
        self._notes = _notes(self._result, timeout_ms)
        await self._output.finish()

    async def denial(self, confinement: Confinement) -> str | None:
        """How the sandbox stopped the last run, if that is why it failed."""
        result = self._result
        if not isinstance(result, ProcessResult) or result.timed_out or result.exit_code == 0:
            return None
        output, cwd = self._output.text(), Path(self._begin.cwd)
        return await anyio.to_thread.run_sync(confinement.denial, output, cwd)

    def note(self, note: str) -> None:
        """Tell the model, behind the last run's output."""
        self._notes.append(f"[{note}]")

    def outcome(self) -> ToolOutcome:
        """The end of the last run."""
        match self._result:
            case NotStarted(reason):
                return not_started(self._begin, reason)
            case ProcessResult(exit_code=exit_code, duration_s=duration_s):
                return self._ended(-1 if exit_code is None else exit_code, duration_s)
            case None:
                elapsed_s = anyio.current_time() - self._started
                self.note(f"interrupted by the user after {elapsed_s:.1f} s; {STOPPED}")
                return self._ended(-1, elapsed_s)

    def interrupted(self) -> ToolOutcome:
        """The end where things stand, when nothing runs any more."""
        self._output.close()
        return self.outcome()

    def _ended(self, exit_code: int, duration_s: float) -> ToolOutcome:
        # A client that sees no exit code should see why.
        shown_notes = self._notes if exit_code == -1 else ()
        end = ExecCommandEnd(
            self._begin.call_id,
            self._output.text("stdout"),
            _with_notes(self._output.text("stderr"), shown_notes),
            exit_code=exit_code,
            duration=Duration.of(duration_s),
        )
        told = {
            "output": _with_notes(self._output.text(), self._notes),
            "metadata": {"exit_code": exit_code, "duration_seconds": round(duration_s, 1)},
        }
        return ToolOutcome(orjson.dumps(told).decode(), (end,))


def not_started(begin: ExecCommandBegin, reason: str) -> ToolOutcome:
    """The end of a command of which nothing ran."""
    end = ExecCommandEnd(begin.call_id, "", reason, exit_code=-1, duration=Duration(0, 0))
    return ToolOutcome(f"execution error: {reason}", (end,))


def _notes(result: ProcessResult | NotStarted, timeout_ms: float) -> list[str]:
    """What the output does not say by itself."""
    notes: list[str] = []
    if isinstance(result, NotStarted):
        return notes
    if result.timed_out:
        notes.append(f"[timed out after {timeout_ms:g} ms; {STOPPED}]")
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


def _with_notes(text: str, notes: Sequence[str]) -> str:
    separator = "\n" if notes and text and not text.endswith("\n") else ""
    return text + separator + "".join(f"{note}\n" for note in notes)

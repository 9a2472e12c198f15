"""What a person sees of a turn that runs in the terminal.

Owns which event is shown how, and where: the assistant's text and nothing else on standard
output, everything else on standard error. On a terminal the text appears as it is generated;
into a file or a pipe, from which nothing can be taken back, each message goes when it is
complete. No text is shown twice and none that was completed is missing. Does not know how the
turn is driven, nor how questions are asked.
"""

from __future__ import annotations

from collections.abc import Hashable

from attrs import define, field
from rich.cells import chop_cells
from rich.console import RenderableType
from rich.text import Text

from codex_rpc.cli.answers import Answer, plan_lines, shown_invocation
from codex_rpc.cli.changes import listed
from codex_rpc.cli.output_window import OutputWindow
from codex_rpc.cli.terminal import (
    Hanging,
    Screen,
    exact,
    harmless,
    home_relative,
    shown_command,
    unstyled,
)
from codex_rpc.protocol.events import (
    AgentMessage,
    AgentMessageDelta,
    AgentReasoning,
    AgentReasoningDelta,
    BackgroundEvent,
    ContextCompacted,
    Duration,
    Error,
    Event,
    ExecCommandBegin,
    ExecCommandEnd,
    ExecCommandOutputDelta,
    McpToolCallBegin,
    McpToolCallEnd,
    PatchApplyBegin,
    PatchApplyEnd,
    PlanUpdate,
    SessionTakenOver,
    StorageFailed,
    StorageRecovered,
    StreamError,
    TaskComplete,
    TokenCount,
    TurnAborted,
)
from codex_rpc.protocol.params import ConfigureResult, ResumeResult
from codex_rpc.rpc.stdio import ByteWriter

DIM, GOOD, BAD, CAREFUL = "dim", "green", "red", "yellow"

ABORTS = {
    "interrupted": "interrupted",
    "abort": "stopped, as you asked",
    "shutdown": "stopped: the session was closed",
    "taken_over": "stopped: another process has taken the session over",
}
MAX_ANSWER_LINES = 8
"""Of what a tool of an MCP server has answered."""


@define
class _Stream:
    """Texts of which pieces have been shown before they were complete."""

    _pieces: dict[Hashable, list[str]] = field(factory=dict)

    def add(self, key: Hashable, piece: str) -> None:
        self._pieces.setdefault(key, []).append(piece)

    def rest_of(self, key: Hashable, whole: str) -> str:
        """What of a complete text has not been shown."""
        # Servers differ in how they name an item while it grows, so an unknown name is looked
        # for by what was shown.
        keys = [key, *self._pieces] if key not in self._pieces else [key]
        for candidate in keys:
            shown = "".join(self._pieces.get(candidate, []))
            if shown and whole.startswith(shown):
                del self._pieces[candidate]
                return whole[len(shown) :]
        self._pieces.pop(key, None)
        return whole

    def void(self) -> bool:
        """Forget what was not completed; whether there was any."""
        some = bool(self._pieces)
        self._pieces.clear()
        return some


class TerminalView:
    """Shows one turn."""

    def __init__(self, out: ByteWriter, screen: Screen, *, out_is_terminal: bool) -> None:
        self._out = out
        self._screen = screen
        self._out_is_terminal = out_is_terminal
        self._texts = _Stream()
        self._thoughts = _Stream()
        self._open: tuple[str, Hashable] | None = None
        """The text at whose end the cursor stands; None: it is at the beginning of a line."""
        self._ends_line = True
        self._begun = False
        self._asked: set[str] = set()
        self._outputs: dict[str, OutputWindow] = {}
        self._tokens: list[TokenCount] = []
        self._trouble = ""
        """What was last said to have gone wrong with the model."""
        self._session_id = ""
        self._turn_id = ""
        self._cwd = ""

    async def opened(self, result: ConfigureResult, turn_id: str) -> None:
        """The session, and what holds for it; of its turns, the one that is shown."""
        self._session_id, self._turn_id, self._cwd = result.session_id, turn_id, result.cwd
        parts = [
            f"{result.model} ({result.model_provider})",
            home_relative(result.cwd),
            f"{result.sandbox_policy.mode}, asks {result.approval_policy}",
        ]
        if isinstance(result, ResumeResult):
            parts.append(f"resumed with {result.item_count} items")
        await self._block(Text(exact(" · ".join(parts)), style=DIM))
        if isinstance(result, ResumeResult):
            for warning in result.warnings:
                await self._line(f"note: {warning}", CAREFUL)

    async def say(self, text: str) -> None:
        """A remark of whoever drives the turn."""
        await self._end_text()
        await self._line(text, CAREFUL)

    async def asked(self, call_id: str) -> None:
        """The user is being shown the call, below everything so far."""
        self._asked.add(call_id)
        await self._gap()

    async def show(self, event: Event) -> None:
        """Show it, if there is anything to see.

        Raises:
            PeerGone: nobody reads the assistant's text any more.
        """
        match event.msg:
            case AgentMessageDelta(item_id, delta):
                if self._out_is_terminal:
                    self._texts.add(item_id, delta)
                    await self._text(item_id, harmless(delta))
            case AgentMessage(item_id, message):
                await self._message(item_id, message)
            case AgentReasoningDelta(item_id, part, delta):
                self._thoughts.add((item_id, part), delta)
                await self._thought((item_id, part), delta)
            case AgentReasoning(item_id, part, text):
                rest = self._thoughts.rest_of((item_id, part), text)
                if rest:
                    await self._thought((item_id, part), rest)
                await self._end_text()
            case ExecCommandBegin() as begin:
                await self._command_begin(begin)
            case ExecCommandOutputDelta(call_id, stream, chunk):
                if call_id in self._outputs:
                    await self._output(self._outputs[call_id].feed(stream, chunk))
            case ExecCommandEnd() as end:
                await self._command_end(end)
            case _:
                await self._show_rest(event)

    async def _show_rest(self, event: Event) -> None:
        match event.msg:
            case TokenCount() as tokens:
                self._tokens.append(tokens)
            case StreamError() as trouble:
                await self._void("it comes again")
                said = exact(trouble.message).removesuffix(".")
                if trouble.message == self._trouble:
                    said = "the same again"
                self._trouble = trouble.message
                await self._block(
                    Text(
                        f"{said}; trying again in "
                        f"{trouble.retry_in_ms / 1000:.1f} s "
                        f"({trouble.attempt} of {trouble.max_attempts})",
                        style=CAREFUL,
                    )
                )
            case BackgroundEvent(message):
                await self._block(Text(exact(f"note: {message}"), style=CAREFUL))
            case StorageFailed(message=message):
                await self._block(Text(exact(message), style=BAD))
            case StorageRecovered(saved):
                await self._block(Text(f"saved again ({saved} records)", style=GOOD))
            case SessionTakenOver(by):
                await self._block(
                    Text(exact(f"process {by.pid} on {by.host} takes over"), style=BAD)
                )
            case PlanUpdate() as update:
                await self._block(*plan_lines(update))
            case ContextCompacted():
                await self._block(Text("the conversation was summarised", style=DIM))
            case PatchApplyBegin(call_id=call_id, changes=changes):
                if call_id not in self._asked:
                    await self._block(Hanging(listed(changes, self._cwd), ""))
            case PatchApplyEnd(success=success, stderr=stderr):
                failure = f"failed: {stderr.strip()}"
                await self._verdict("applied" if success else failure, good=success)
            case McpToolCallBegin(call_id=call_id, invocation=invocation):
                if call_id not in self._asked:
                    await self._block(Text(shown_invocation(invocation), style="bold"))
            case McpToolCallEnd() as end:
                await self._mcp_end(end)
            case TaskComplete() | TurnAborted() | Error() as closing if event.id == self._turn_id:
                await self._closing(closing)
            case Error(message):
                await self._block(Text(exact(message), style=BAD))
            case _:
                pass

    # Texts that grow.

    async def _text(self, item_id: str, piece: str) -> None:
        if not piece:
            return
        await self._continue(("text", item_id))
        await self._out.write(piece.encode("utf-8", "replace"))
        self._ends_line = piece.endswith("\n")

    async def _message(self, item_id: str, message: str) -> None:
        if self._out_is_terminal:
            await self._text(item_id, harmless(self._texts.rest_of(item_id, message)))
            await self._end_text()
        elif message:
            end = "" if message.endswith("\n") else "\n"
            await self._out.write((message + end).encode("utf-8", "replace"))

    async def _thought(self, key: Hashable, piece: str) -> None:
        if self._open != ("thought", key):
            await self._continue(("thought", key))
            await self._screen.stream("thinking: ", DIM)
        await self._screen.stream(harmless(piece), f"{DIM} italic")
        self._ends_line = piece.endswith("\n")

    async def _continue(self, text: tuple[str, Hashable]) -> None:
        """Put the cursor where `text` goes on, or begins."""
        if self._open != text:
            await self._gap()
            self._open = text

    async def _end_text(self) -> None:
        if self._open is None:
            return
        if not self._ends_line:
            if self._open[0] == "text":
                await self._out.write(b"\n")
            else:
                await self._screen.stream("\n")
        self._open = None

    async def _void(self, what_now: str) -> None:
        voided = self._texts.void(), self._thoughts.void()
        await self._end_text()
        if any(voided):
            await self._line(f"(the unfinished text above does not count; {what_now})", CAREFUL)

    # Commands.

    async def _command_begin(self, begin: ExecCommandBegin) -> None:
        rows = self._screen.size.lines
        budget = max(6, min(rows - 10, 40))
        self._outputs[begin.call_id] = OutputWindow(head=budget * 2 // 3, tail=budget // 3)
        if begin.call_id in self._asked:
            return
        where = f"  (in {home_relative(begin.cwd)})" if begin.cwd != self._cwd else ""
        await self._block(
            Text.assemble(("$ ", DIM), (shown_command(begin.command), "bold"), (exact(where), DIM))
        )

    async def _output(self, lines: list[str]) -> None:
        if lines:
            await self._end_text()
            await self._screen.print(*map(self._output_line, lines))

    def _output_line(self, line: str) -> RenderableType:
        # Cut anywhere, unlike prose: where a line of output breaks says something.
        first, *more = chop_cells(line, self._screen.size.columns - 3) or [""]
        if more:
            first += "\n" + more[0] + ("…" if more[1:] else "")
        return Hanging(Text(first))

    async def _command_end(self, end: ExecCommandEnd) -> None:
        window = self._outputs.pop(end.call_id, OutputWindow(head=6, tail=6))
        first = window.feed("stdout", end.stdout) if window.is_empty else []
        now, rest = window.finish()
        await self._output(first)
        await self._output(now)
        if rest.hidden:
            await self._screen.print(Hanging(Text(f"… {rest.hidden} lines …", style=DIM)))
        await self._output(rest.lines)
        for note in window.beyond("stderr", end.stderr).splitlines()[-6:]:
            await self._screen.print(Hanging(Text(unstyled(note), style=CAREFUL)))
        code = f"exit {end.exit_code}" if end.exit_code >= 0 else "did not finish"
        await self._verdict(code + _took(end.duration), good=end.exit_code == 0)

    async def _mcp_end(self, end: McpToolCallEnd) -> None:
        answer = Answer.of(end.result)
        await self._output(answer.lines[:MAX_ANSWER_LINES])
        if hidden := len(answer.lines[MAX_ANSWER_LINES:]):
            await self._screen.print(Hanging(Text(f"… {hidden} lines …", style=DIM)))
        text = "done" if answer.failure is None else f"failed: {answer.failure}"
        await self._verdict(text + _took(end.duration), good=answer.failure is None)

    async def _verdict(self, text: str, *, good: bool) -> None:
        await self._screen.print(Hanging(Text(exact(text), style=GOOD if good else BAD)))

    # The end.

    async def _closing(self, closing: TaskComplete | TurnAborted | Error) -> None:
        await self._void("it was not saved")
        match closing:
            case TaskComplete(last_agent_message=None):
                await self._block(Text("The model has said nothing.", style=DIM))
            case TurnAborted(reason):
                await self._block(Text(ABORTS[reason], style=BAD))
            case Error(message):
                await self._block(Text(f"error: {exact(message)}", style=BAD))
            case _:
                pass
        await self._gap()
        if self._tokens:
            await self._line(_cost(self._tokens), DIM)
        await self._screen.stream("go on with: ", DIM)
        await self._screen.stream(f"codex-rpc exec --resume {self._session_id}", DIM, end="\n")

    # Lines and blocks.

    async def _gap(self) -> None:
        """An empty line between what was before and what comes."""
        await self._end_text()
        if self._begun:
            await self._screen.stream("\n")
        self._begun = True

    async def _block(self, *renderables: RenderableType) -> None:
        await self._gap()
        await self._screen.print(*renderables)

    async def _line(self, text: str, style: str) -> None:
        self._begun = True
        await self._screen.print(Text(exact(text), style=style))


def _took(duration: Duration) -> str:
    seconds = duration.secs + duration.nanos / 1e9
    return f" · {seconds:.1f} s" if seconds >= 0.05 else ""


def _cost(counts: list[TokenCount]) -> str:
    cached = sum(c.cached_input_tokens or 0 for c in counts)
    reasoning = sum(c.reasoning_output_tokens or 0 for c in counts)
    return (
        f"tokens: {sum(c.input_tokens for c in counts)} in"
        + (f" ({cached} cached)" if cached else "")
        + f", {sum(c.output_tokens for c in counts)} out"
        + (f" ({reasoning} reasoning)" if reasoning else "")
    )

"""A saved conversation as one reads it: what was said in full, what was done on a line each.

Takes items one after the other and gives back what they look like. A call is shown when its
outcome is known, or when the conversation goes on without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text as Styled

from codex_rpc.cli.quantities import counted
from codex_rpc.cli.terminal import Hanging, exact, harmless, unstyled
from codex_rpc.protocol.shapes import (
    Action,
    Block,
    Call,
    Command,
    Image,
    Message,
    Outcome,
    Patch,
    Plan,
    Reasoning,
    Text,
    ToolCall,
    Unknown,
    shape_of,
)

MAX_LINE = 300
"""Of a command that is shown on one line."""
PLAN_MARKS = {"pending": "[ ]", "in_progress": "[>]", "completed": "[x]"}


class Transcript:
    """A conversation on its way to the screen."""

    def __init__(self, *, full: bool) -> None:
        """`full`: with everything that commands gave back, and what the model thought."""
        self._full = full
        self._open: dict[str, Call] = {}
        self._last = ""

    def take(self, item: dict[str, Any]) -> Iterator[RenderableType]:
        """The lines of one item, and of what ends with it."""
        shape = shape_of(item)
        match shape:
            case Call(call_id):
                self._open[call_id] = shape
            case Outcome(call_id=call_id):
                call = self._open.pop(call_id, None)
                yield from self._call(call, shape)
            case Message(role, blocks):
                yield from self.end()
                yield from self._message(role, blocks)
            case Reasoning(texts):
                yield from self._reasoning(list(texts))
            case Unknown(kind):
                yield from self._block("call", Styled(f"  ({exact(kind)})", style="dim"))

    def end(self) -> Iterator[RenderableType]:
        """The calls that nobody has answered."""
        calls = list(self._open.values())
        self._open.clear()
        for call in calls:
            yield from self._call(call, None)

    def _message(self, role: str, blocks: Any) -> Iterator[RenderableType]:
        text = harmless("\n".join(map(_shown_block, blocks)).strip())
        if role == "user":
            before = Styled("> ", style="bold cyan")
            yield from self._block(role, Hanging(Styled(text, style="bold"), before))
        elif role == "assistant":
            yield from self._block(role, Hanging(Styled(text), ""))
        elif self._full:
            label = f"{exact(role)}: "
            yield from self._block(role, Hanging(Styled(label + text, style="dim"), ""))

    def _reasoning(self, texts: list[str]) -> Iterator[RenderableType]:
        text = "\n".join(texts).strip()
        if text and self._full:
            yield from self._block("reasoning", Hanging(Styled(harmless(text), style="dim italic")))

    def _call(self, call: Call | None, outcome: Outcome | None) -> Iterator[RenderableType]:
        what = _shown_action(call.action) if call else "(the answer to a call that is not here)"
        if not self._full:
            first, *more = what.split("\n")
            what = first[:MAX_LINE] + (" …" if more or len(first) > MAX_LINE else "")
        verdict, style = _verdict(outcome)
        line = Styled.assemble(exact(what), "   ", (verdict, style))
        yield from self._block("call", Hanging(line, Styled("  ", style="dim")))
        if self._full and outcome is not None and outcome.text.strip():
            lines = outcome.text.rstrip("\n").split("\n")
            yield Hanging(Styled("\n".join(map(unstyled, lines)), style="dim"), "    ")

    def _block(self, kind: str, renderable: RenderableType) -> Iterator[RenderableType]:
        """With an empty line before it, except between calls."""
        if self._last and (kind != self._last or kind in ("user", "assistant")):
            yield Styled("")
        self._last = kind
        yield renderable


def _shown_block(block: Block) -> str:
    if isinstance(block, Text):
        return block.text
    return f"[image{'' if block.url.startswith('data:') else ' ' + block.url[:200]}]"


def _shown_action(action: Action) -> str:
    match action:
        case Command(script):
            return f"$ {script}"
        case Patch(_, changes):
            verbs = {"Add": "add", "Update": "edit", "Delete": "delete"}
            return (
                "; ".join(
                    f"{verbs[c.kind]} {c.path} +{c.added} -{c.removed}".removesuffix(" +0 -0")
                    for c in changes
                )
                or "edit"
            )
        case Plan(steps):
            return "\n".join(["plan", *(f"{PLAN_MARKS.get(s, '[ ]')} {text}" for s, text in steps)])
        case ToolCall(name, arguments, is_json):
            return f"{name} {' '.join(arguments.split()) if is_json else arguments}"


def _verdict(outcome: Outcome | None) -> tuple[str, str]:
    """How a call ended, and how that is to be shown."""
    if outcome is None:
        return "no output", "yellow"
    said = [] if outcome.exit_code is None else [f"exit {outcome.exit_code}"]
    text = outcome.text.rstrip("\n")
    if text == "aborted":
        return "aborted", "yellow"
    said.append(counted(text.count("\n") + 1, "line") if text else "no output")
    images = sum(isinstance(block, Image) for block in outcome.blocks)
    if images:
        said.append(counted(images, "image"))
    return ", ".join(said), "red" if outcome.exit_code not in (None, 0) else "dim"

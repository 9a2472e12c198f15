"""A session as Markdown: what was said is as it is, everything else is set off from it.

Owns how pieces look as Markdown, and that no text can end or swallow what it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from codex_rpc.protocol.records import Damage
from codex_rpc.protocol.shapes import (
    Action,
    Block,
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
    clean,
)
from codex_rpc.rollout.exporting import wording
from codex_rpc.rollout.exporting.composition import Change, Facts, Turn
from codex_rpc.rollout.exporting.transcript import CompactionPart, RollbackPart

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_IMAGE_BYTES = 8 << 10
"""A larger image is only named: in a text its data would be in the way."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
MAX_NESTING = 100
MAX_PASSES = 8


class MarkdownDrawing:
    """Pieces as Markdown, each with an empty line behind it."""

    def head(self, facts: Facts) -> str:
        known = "".join(
            f"- **{name}:** {_code(value)}\n" for name, value in wording.about(facts) if value
        )
        head = f"# {_escaped(facts.title)}\n\n{known}\n"
        if facts.damage:
            head += f"> **Damaged:** {wording.damaged(facts)}\n\n"
        if facts.unsaved_count:
            head += f"> **Not saved:** {wording.not_saved(facts)}\n\n"
        if facts.instructions:
            head += _folded("Instructions (AGENTS.md)", _fenced(facts.instructions, "markdown"))
        return head

    def turn(self, turn: Turn) -> str:
        told = [
            wording.moment(turn.started_at),
            wording.ended(turn),
            wording.took(turn),
            wording.tokens(turn.usage),
        ]
        line = " · ".join(_escaped(text) for text in told if text)
        return f"---\n\n## Turn {turn.number}\n\n" + (f"*{line}*\n\n" if line else "")

    def end_of_turn(self) -> str:
        return ""

    def speaker(self, role: str) -> str:
        return f"### {_escaped(role.capitalize())}\n\n"

    def message(self, message: Message) -> str:
        return "".join(map(_said, message.blocks))

    def reasoning(self, reasoning: Reasoning) -> str:
        return _folded("Reasoning", "".join(_said(Text(text)) for text in reasoning.texts))

    def call(self, action: Action, outcome: Outcome | None) -> str:
        more = _came_back(outcome) if wording.says_more_than(outcome, action) else ""
        return "".join(_shown(action)) + more

    def outcome(self, outcome: Outcome) -> str:
        return "*Output of a call that is not in the file:*\n\n" + _came_back(outcome)

    def unknown(self, item: Unknown) -> str:
        return f"**{_escaped(item.kind)}**\n\n" + _fenced(item.json, "json")

    def compaction(self, part: CompactionPart) -> str:
        told = f"> **Compacted:** {wording.compacted(part)}\n\n"
        return told + (_folded("Summary", _said(Text(part.summary))) if part.summary else "")

    def rollback(self, part: RollbackPart) -> str:
        return f"> **Taken back:** {wording.taken_back(part)}\n\n"

    def changes(self, changes: list[Change]) -> str:
        told = ", ".join(f"{wording.setting(c)} {_code(c.value)}" for c in changes)
        return f"> **From here on:** {told}\n\n"

    def damage(self, damage: Damage) -> str:
        what = _escaped(damage.reason)
        return f"> **Damaged:** line {damage.line_no} ({damage.byte_count:,} bytes): {what}\n\n"

    def unsaved(self) -> str:
        return "---\n\n> **Not saved yet:** what follows is not in the session's file.\n\n"

    def tail(self) -> str:
        return ""


def _shown(action: Action) -> Iterator[str]:
    match action:
        case Command():
            if action.justification:
                yield f"*{_escaped(_one_line(action.justification))}*\n\n"
            if action.cwd:
                yield f"In {_code(action.cwd)}:\n\n"
            yield _fenced(action.script, "sh")
        case Patch():
            for change in action.changes:
                yield f"- {_code(change.path)} {wording.changed(change)}\n"
            yield "\n" + _fenced(action.text, "diff")
        case Plan():
            explanation = _escaped(_one_line(action.explanation or ""))
            yield f"**Plan.** {explanation}".strip() + "\n\n"
            for status, step in action.steps:
                mark = "x" if status == "completed" else " "
                running = " *(in progress)*" if status == "in_progress" else ""
                yield f"- [{mark}] {_escaped(_one_line(step))}{running}\n"
            yield "\n"
        case ToolCall():
            yield f"**Tool** {_code(action.name)}\n\n"
            if action.arguments.strip():
                yield _fenced(action.arguments, "json" if action.is_json else "text")


def _came_back(outcome: Outcome | None) -> str:
    told = " · ".join(wording.came_back(outcome)) or "output"
    told = told[0].upper() + told[1:]
    blocks = outcome.blocks if outcome else ()
    if not blocks:
        return f"*{told}*\n\n"
    shown = "".join(
        _fenced(clean(block.text), "text") if isinstance(block, Text) else _image(block)
        for block in blocks
    )
    return _folded(told, shown)


def _said(block: Block) -> str:
    if isinstance(block, Image):
        return _image(block)
    text = clean(block.text).strip("\n")
    return f"{_contained(text)}\n\n" if text else ""


def _image(image: Image) -> str:
    raster = wording.raster_of(image)
    if raster is None:
        return f"*[{_escaped(wording.missing_image(image))}]*\n\n"
    if raster.byte_count > MAX_IMAGE_BYTES:
        return f"*[{_escaped(raster.label)}]*\n\n"
    return f"![{_escaped(raster.label)}]({raster.url})\n\n"


def _folded(title: str, content: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{content}</details>\n\n"


def _fenced(text: str, language: str) -> str:
    """`text` in a fence that is longer than any in it."""
    text = clean(text).rstrip("\n")
    fence = "`" * max(3, 1 + _longest_run(text))
    return f"{fence}{language}\n{text}\n{fence}\n\n"


def _code(text: str) -> str:
    """`text` as a code span, on one line."""
    text = _one_line(text)
    ticks = "`" * (1 + _longest_run(text))
    pad = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{ticks}{pad}{text}{pad}{ticks}" if text else ""


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _escaped(text: str) -> str:
    """`text` on one line, in which nothing is Markdown."""
    return _SPECIAL.sub(r"\\\1", _one_line(text)).replace("\\<", "&lt;")


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def _contained(text: str) -> str:
    """Markdown that cannot reach beyond itself: no HTML of its own, and its last fence closed."""
    if "<" not in text and "```" not in text and "~~~" not in text:
        return text
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING})
    # What was HTML is then a paragraph, which may hold more of it.
    for _ in range(MAX_PASSES):
        tokens = parser.parse(text)
        shown = _without_html(text, tokens)
        if shown == text:
            return text + _missing_end(text, tokens)
        text = shown
    text = text.replace("<", "&lt;")
    return text + _missing_end(text, parser.parse(text))


def _without_html(text: str, tokens: Sequence[Token]) -> str:
    """`text` with its HTML as something to read, not to follow."""
    lines = text.split("\n")
    for token in tokens:
        inside = [c.content for c in token.children or () if c.type == "html_inline"]
        if token.type == "html_block":
            inside = ["<"]
        if inside and token.map:
            begin, end = token.map
            block = "\n".join(lines[begin:end])
            for html in inside:
                block = block.replace(html, html.replace("<", "&lt;"))
            lines[begin:end] = block.split("\n")
    return "\n".join(lines)


def _missing_end(text: str, tokens: Sequence[Token]) -> str:
    """What closes a fence that goes on behind the end of `text`.

    One inside a quotation or a list ends with that.
    """
    last = tokens[-1] if tokens else None
    if last is None or last.type != "fence" or last.map is None:
        return ""
    begin, end = last.map
    closing = text.split("\n")[begin:end][-1]
    marks = closing.strip()
    is_closed = end - begin > 1 and marks.startswith(last.markup) and not marks.strip(marks[:1])
    return "" if is_closed else f"\n{last.markup}"

"""A session as one HTML file that is complete in itself and runs nothing.

Owns how pieces look as HTML. Every text goes through `escape`, or through `rich_text`, whatever
it is: a session says what a model, a tool or a web page wanted it to say. The policy in the
file's head lets a browser load nothing and apply no style but ours.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from html import escape
from importlib import resources

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
    ToolCall,
    Unknown,
    clean,
)
from codex_rpc.rollout.exporting import rich_text, wording
from codex_rpc.rollout.exporting.composition import Change, Facts, Turn
from codex_rpc.rollout.exporting.transcript import CompactionPart, RollbackPart

MAX_SUMMARY_CHARS = 120
MIN_CONTENTS = 3
"""With fewer turns a table of contents only is in the way."""
_ROLES = {"user": "User", "assistant": "Assistant"}


class HtmlDrawing:
    """Pieces as HTML."""

    def __init__(self) -> None:
        self._role = ""

    def head(self, facts: Facts) -> str:
        title = escape(clean(facts.title))
        return "".join(
            [
                '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
                f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">\n',
                '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
                '<meta name="referrer" content="no-referrer">\n',
                '<meta name="color-scheme" content="light dark">\n',
                f"<title>{title}</title>\n<style>{_style()}</style>\n</head>\n<body>\n<main>\n",
                f'<header class="top">\n<h1>{title}</h1>\n{_about(facts)}',
                *_warnings(facts),
                _instructions(facts),
                _contents(facts),
                "</header>\n",
            ]
        )

    def turn(self, turn: Turn) -> str:
        told = [
            _moment(turn),
            _ending(turn),
            *map(escape, filter(None, (wording.took(turn), wording.tokens(turn.usage)))),
        ]
        line = "".join(f"<span>{text}</span>" for text in told if text)
        return (
            f'<section class="turn" id="turn-{turn.number}">\n<h2><a href="#turn-{turn.number}">'
            f"Turn {turn.number}</a>{line}</h2>\n"
        )

    def end_of_turn(self) -> str:
        return "</section>\n"

    def speaker(self, role: str) -> str:
        self._role = role
        return f'<h3 class="{"user" if role == "user" else "model"}">{_role(role)}</h3>\n'

    def message(self, message: Message) -> str:
        is_users = message.role == "user"
        shown = "".join(_said(block, is_plain=is_users) for block in message.blocks)
        return f'<div class="message {"user" if is_users else "model"}">{shown}</div>\n'

    def reasoning(self, reasoning: Reasoning) -> str:
        texts = [clean(text).strip() for text in reasoning.texts]
        first = texts[0].split("\n")[0].strip("*# ")
        shown = "".join(rich_text.markdown(text) for text in texts)
        title = f"Reasoning <em>{escape(_cut(first))}</em>"
        return _folded("reasoning", title, f'<div class="message">{shown}</div>')

    def call(self, action: Action, outcome: Outcome | None) -> str:
        told = escape(" · ".join(wording.came_back(outcome)))
        failed = outcome is not None and outcome.exit_code not in (None, 0)
        ended = f'<span class="{"bad" if failed else "ended"}">{told}</span>' if told else ""
        match action:
            case Plan():
                more = "".join(_output(outcome)) if wording.says_more_than(outcome, action) else ""
                return _plan(action, more)
            case Command():
                first, _, more = clean(action.script).strip().partition("\n")
                title = f"<code>{escape(_cut(first))}{' …' if more else ''}</code>{ended}"
                return _folded("command", title, "".join([*_command(action), *_output(outcome)]))
            case Patch():
                title = f"<span>{_changed(action)}</span>{ended if failed else ''}"
                shown = _diff(clean(action.text))
                if wording.says_more_than(outcome, action):
                    shown += "".join(_output(outcome))
                return _folded("patch", title, shown, is_open=True)
            case ToolCall():
                title = f"<code>{escape(_cut(clean(action.name)))}</code>{ended}"
                language = "json" if action.is_json else ""
                given = rich_text.code(clean(action.arguments), language)
                return _folded("tool", title, "".join([given, *_output(outcome)]))

    def outcome(self, outcome: Outcome) -> str:
        title = "Output of a call that is not in the file"
        return _folded("tool", title, "".join(_output(outcome)))

    def unknown(self, item: Unknown) -> str:
        title = f"<code>{escape(_cut(clean(item.kind)))}</code>"
        return _folded("tool", title, rich_text.code(clean(item.json), "json"))

    def compaction(self, part: CompactionPart) -> str:
        told = f"<p>Compacted: {wording.compacted(part)}</p>"
        if part.summary:
            shown = f'<div class="message">{rich_text.markdown(clean(part.summary))}</div>'
            told += f"<details><summary>Summary</summary>{shown}</details>"
        return f'<aside class="note compaction">{told}</aside>\n'

    def rollback(self, part: RollbackPart) -> str:
        return f'<aside class="note">Taken back: {wording.taken_back(part)}</aside>\n'

    def changes(self, changes: list[Change]) -> str:
        told = ", ".join(
            f"{escape(wording.setting(c))} <code>{escape(clean(c.value))}</code>" for c in changes
        )
        return f'<aside class="note">From here on: {told}</aside>\n'

    def damage(self, damage: Damage) -> str:
        what = f"Line {damage.line_no} of the file ({damage.byte_count:,} bytes): {damage.reason}"
        return f'<aside class="note bad">{escape(what)}</aside>\n'

    def unsaved(self) -> str:
        told = "What follows is not in the file of the session yet."
        return f'<aside class="note bad">{told}</aside>\n'

    def tail(self) -> str:
        return "</main>\n</body>\n</html>\n"


@cache
def _style() -> str:
    return resources.files(__package__).joinpath("style.css").read_text("utf-8")


@cache
def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _about(facts: Facts) -> str:
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(clean(value))}</dd></div>\n"
        for name, value in wording.about(facts)
        if value
    )
    return f"<dl>\n{rows}</dl>\n"


def _warnings(facts: Facts) -> Iterator[str]:
    if facts.damage:
        yield f'<p class="note bad">Damaged: {wording.damaged(facts)}</p>\n'
    if facts.unsaved_count:
        yield f'<p class="note bad">Not saved: {wording.not_saved(facts)}</p>\n'


def _instructions(facts: Facts) -> str:
    if not facts.instructions:
        return ""
    shown = f'<div class="message">{rich_text.markdown(clean(facts.instructions))}</div>'
    return f"<details><summary>Instructions (AGENTS.md)</summary>{shown}</details>\n"


def _contents(facts: Facts) -> str:
    if len(facts.turns) < MIN_CONTENTS:
        return ""
    rows = "".join(
        f'<li><a href="#turn-{turn.number}">{escape(clean(turn.prompt)) or "…"}</a></li>\n'
        for turn in facts.turns
    )
    return f"<details><summary>{len(facts.turns):,} turns</summary><ol>\n{rows}</ol></details>\n"


def _moment(turn: Turn) -> str | None:
    told = wording.moment(turn.started_at)
    if told is None or turn.started_at is None:
        return None
    return f'<time datetime="{turn.started_at.isoformat()}">{escape(told)}</time>'


def _ending(turn: Turn) -> str | None:
    told = wording.ended(turn)
    if told is None or turn.ending == "completed":
        return None
    return f'<strong class="bad">{escape(clean(told))}</strong>'


def _role(role: str) -> str:
    return escape(_ROLES.get(role) or clean(role).capitalize())


def _said(block: Block, *, is_plain: bool) -> str:
    if isinstance(block, Image):
        return f"<p>{rich_text.image(block)}</p>"
    text = clean(block.text).strip("\n")
    return rich_text.plain(text) if is_plain else rich_text.markdown(text)


def _folded(kind: str, title: str, content: str, *, is_open: bool = False) -> str:
    opened = " open" if is_open else ""
    return (
        f'<details class="card {kind}"{opened}><summary>{title}</summary>'
        f"<div>{content}</div></details>\n"
    )


def _command(command: Command) -> Iterator[str]:
    if command.justification:
        yield f"<p>{escape(clean(command.justification))}</p>"
    if command.cwd:
        yield f"<p>in <code>{escape(clean(command.cwd))}</code></p>"
    script = clean(command.script).strip("\n")
    # One that is short is in the summary.
    if "\n" in script or len(script) > MAX_SUMMARY_CHARS:
        yield rich_text.code(script, "bash")


def _output(outcome: Outcome | None) -> Iterator[str]:
    for block in outcome.blocks if outcome else ():
        if isinstance(block, Image):
            yield f"<p>{rich_text.image(block)}</p>"
        else:
            text = clean(block.text).rstrip("\n")
            yield f'<pre class="output"><samp>{escape(text)}</samp></pre>'


def _plan(plan: Plan, more: str) -> str:
    explanation = f"<p>{escape(clean(plan.explanation))}</p>" if plan.explanation else ""
    marks = {"completed": ("done", "✓"), "in_progress": ("doing", "▸")}
    rows = ""
    for status, step in plan.steps:
        kind, mark = marks.get(status, ("open", "○"))
        rows += f'<li class="{kind}"><span>{mark}</span>{escape(clean(step))}</li>\n'
    return f'<div class="card plan">{explanation}<ul>\n{rows}</ul>{more}</div>\n'


def _changed(patch: Patch) -> str:
    shown = []
    for change in patch.changes:
        counts = escape(wording.changed(change))
        shown.append(f"<code>{escape(clean(change.path))}</code> <small>{counts}</small>")
    return ", ".join(shown) or "Patch"


def _diff(text: str) -> str:
    rows = "".join(
        f'<span class="{_kind_of(line)}">{escape(line)}\n</span>' for line in _lines(text)
    )
    return f'<pre class="diff"><code>{rows}</code></pre>'


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if line not in ("*** Begin Patch", "*** End Patch"):
            yield line


def _kind_of(line: str) -> str:
    if line.startswith("*** "):
        return "file"
    return {"+": "ins", "-": "del", "@": "at"}.get(line[:1], "same")


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_SUMMARY_CHARS else text[: MAX_SUMMARY_CHARS - 1] + "…"

"""How a transcript becomes a document: its turns, each call with what came back, its facts.

Owns the order of the pieces and what belongs together; how a piece looks is a `Drawing`'s.
Pieces are drawn as the parts come, so only the text of the document grows with the session.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Protocol

from attrs import define, evolve, field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.records import Damage, Origin
from codex_rpc.protocol.shapes import (
    Action,
    Call,
    Message,
    Outcome,
    Reasoning,
    Text,
    Unknown,
    shape_of,
)
from codex_rpc.rollout.exporting.transcript import (
    CompactionPart,
    ContextPart,
    ItemPart,
    Part,
    RollbackPart,
    TitlePart,
    TurnPart,
    Usage,
)

MAX_TITLE_CHARS = 100
Ending = Literal["completed", "aborted", "failed", "interrupted", "unfinished"]
"""Interrupted: another turn began before this one had ended. Unfinished: the file ends in it."""


@define
class Turn:
    """A turn, as far as the file tells about it."""

    number: int
    started_at: datetime | None = None
    ended_at: datetime | None = None
    is_recorded: bool = False
    """False: only the user's message says that it began."""
    submission_id: str = ""
    ending: Ending | None = None
    """None: the file does not tell of turns, or not of this one."""
    reason: str | None = None
    usage: Usage | None = None
    prompt: str = ""
    """How the user's first message in it begins."""


@define(kw_only=True)
class Facts:
    """What a document says of the session as a whole; complete when everything is drawn."""

    session_id: str
    origin: Literal["codex-rpc", "codex"]
    version: str | None = None
    created_at: datetime | None = None
    updated_at: datetime
    forked_from: Origin | None = None
    instructions: str | None = None
    git: dict[str, str] = field(factory=dict)
    given_title: str | None = None
    first_text: str = ""
    context: ContextPart = field(factory=lambda: ContextPart(timestamp=None))
    """The last."""
    models: list[str] = field(factory=list)
    """All that were used, in their order."""
    item_count: int = 0
    unsaved_count: int = 0
    turns: list[Turn] = field(factory=list)
    usage: dict[str, int] = field(factory=dict)
    damage: list[Damage] = field(factory=list)

    @property
    def title(self) -> str:
        """The given title, else how the user began; on one line."""
        line = " ".join((self.given_title or self.first_text).split())
        return _cut(line) or f"Session {self.session_id}"

    def take(self, part: Part) -> None:
        """Take in a part; turns are the composition's."""
        match part:
            case ItemPart():
                self.item_count += 1
                self.unsaved_count += not part.is_saved
            case TitlePart():
                self.given_title = part.title
            case TurnPart(usage=usage) if usage:
                for name, count in usage.items():
                    self.usage[name] = self.usage.get(name, 0) + count
            case ContextPart():
                known = {name: getattr(self.context, name) for name in _SETTINGS}
                self.context = evolve(part, **{n: getattr(part, n) or v for n, v in known.items()})
                if part.model is not None and part.model not in self.models:
                    self.models.append(part.model)
            case Damage():
                self.damage.append(part)


_SETTINGS = ("cwd", "model", "model_provider", "approval_policy", "sandbox_mode")


@frozen
class Change:
    """A setting that is another one from here on."""

    name: str
    value: str


class Drawing(Protocol):
    """How each piece of a document looks; every method returns the piece's text."""

    def head(self, facts: Facts) -> str: ...

    def turn(self, turn: Turn) -> str:
        """How a turn begins; drawn when all is known of it."""
        ...

    def end_of_turn(self) -> str: ...

    def speaker(self, role: str) -> str:
        """Who says or does what follows."""
        ...

    def message(self, message: Message) -> str: ...

    def reasoning(self, reasoning: Reasoning) -> str: ...

    def call(self, action: Action, outcome: Outcome | None) -> str:
        """None: nothing came back."""
        ...

    def outcome(self, outcome: Outcome) -> str:
        """What came back from a call that is not in the file."""
        ...

    def unknown(self, item: Unknown) -> str: ...

    def compaction(self, part: CompactionPart) -> str: ...

    def rollback(self, part: RollbackPart) -> str: ...

    def changes(self, changes: list[Change]) -> str: ...

    def damage(self, damage: Damage) -> str: ...

    def unsaved(self) -> str:
        """In front of what is not in the file."""
        ...

    def tail(self) -> str: ...


def compose(parts: Iterable[Part], facts: Facts, drawing: Drawing) -> str:
    """The document; `facts` are completed on the way."""
    composition = _Composition(facts, drawing)
    for part in parts:
        composition.take(part)
    return composition.text()


class _Composition:
    def __init__(self, facts: Facts, drawing: Drawing) -> None:
        self._facts = facts
        self._drawing = drawing
        self._pieces: list[str] = [""]
        """The first is the head, which is known last."""
        self._turn: Turn | None = None
        self._turn_at = 0
        self._speaker = ""
        self._open_calls: dict[str, tuple[int, Action]] = {}
        """Where calls are that nothing came back from yet."""

    def take(self, part: Part) -> None:
        changes = self._changes(part) if isinstance(part, ContextPart) else []
        self._facts.take(part)
        match part:
            case ItemPart():
                if not part.is_saved and self._facts.unsaved_count == 1:
                    self._add(self._drawing.unsaved())
                self._item(part)
            case TurnPart(status="started"):
                self._begin_turn(part)
            case TurnPart():
                self._end_turn(part)
            case ContextPart() if changes:
                self._add(self._drawing.changes(changes))
            case CompactionPart():
                self._add(self._drawing.compaction(part))
                self._speaker = ""
            case RollbackPart():
                self._add(self._drawing.rollback(part))
                self._speaker = ""
            case Damage():
                self._add(self._drawing.damage(part))

    def text(self) -> str:
        self._leave_turn("unfinished")
        self._pieces[0] = self._drawing.head(self._facts)
        self._add(self._drawing.tail())
        return "".join(self._pieces)

    def _add(self, piece: str) -> None:
        self._pieces.append(piece)

    def _begin_turn(self, part: TurnPart) -> None:
        self._leave_turn()
        self._enter_turn(
            started_at=part.timestamp, submission_id=part.submission_id, is_recorded=True
        )

    def _end_turn(self, part: TurnPart) -> None:
        turn = self._turn
        if turn is None:
            return
        turn.ending = part.status if part.status != "started" else None
        turn.ended_at, turn.reason, turn.usage = part.timestamp, part.reason, part.usage
        self._leave_turn()

    def _enter_turn(
        self,
        *,
        started_at: datetime | None = None,
        submission_id: str = "",
        is_recorded: bool = False,
    ) -> None:
        turn = Turn(
            len(self._facts.turns) + 1,
            started_at=started_at,
            submission_id=submission_id,
            is_recorded=is_recorded,
        )
        self._facts.turns.append(turn)
        self._turn, self._turn_at = turn, len(self._pieces)
        self._speaker = ""
        self._add("")

    def _leave_turn(self, without_end: Ending = "interrupted") -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        if turn.is_recorded and turn.ending is None:
            turn.ending = without_end
        self._pieces[self._turn_at] = self._drawing.turn(turn)
        self._add(self._drawing.end_of_turn())
        self._speaker = ""

    def _item(self, part: ItemPart) -> None:
        shape = shape_of(part.value)
        if isinstance(shape, Outcome):
            self._outcome(shape)
            return
        if isinstance(shape, Reasoning) and not shape.texts:
            # What the model's server encrypted says nothing to a reader.
            return
        role = shape.role if isinstance(shape, Message) else "assistant"
        if role == "user":
            self._user_begins(shape, part)
        if role != self._speaker:
            self._speaker = role
            self._add(self._drawing.speaker(role))
        match shape:
            case Message():
                self._add(self._drawing.message(shape))
            case Reasoning():
                self._add(self._drawing.reasoning(shape))
            case Call():
                self._open_calls[shape.call_id] = (len(self._pieces), shape.action)
                self._add(self._drawing.call(shape.action, None))
            case Unknown():
                self._add(self._drawing.unknown(shape))

    def _user_begins(self, shape: object, part: ItemPart) -> None:
        """What the user says begins a turn, unless the file says that one is running."""
        blocks = shape.blocks if isinstance(shape, Message) else ()
        said = next((block.text.strip() for block in blocks if isinstance(block, Text)), "")
        self._facts.first_text = self._facts.first_text or said[: MAX_TITLE_CHARS * 8]
        if self._turn is None or not self._turn.is_recorded:
            self._leave_turn()
            self._enter_turn(started_at=part.timestamp)
        if self._turn is not None and not self._turn.prompt:
            self._turn.prompt = _cut(" ".join(said[: MAX_TITLE_CHARS * 8].split()))

    def _outcome(self, outcome: Outcome) -> None:
        where = self._open_calls.pop(outcome.call_id, None)
        if where is None:
            self._add(self._drawing.outcome(outcome))
        else:
            position, action = where
            self._pieces[position] = self._drawing.call(action, outcome)

    def _changes(self, part: ContextPart) -> list[Change]:
        before = self._facts.context
        return [
            Change(name, getattr(part, name))
            for name in _SETTINGS
            if getattr(part, name) and getattr(before, name) not in (None, getattr(part, name))
        ]


def _cut(line: str) -> str:
    return line if len(line) <= MAX_TITLE_CHARS else line[: MAX_TITLE_CHARS - 1].rstrip() + "…"

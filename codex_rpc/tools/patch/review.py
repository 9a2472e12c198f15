"""A patch that the user looks at before it is written, and may change.

Owns what the editor is shown of it, what becomes of it by the user's answer, and how the model
is told of that. It asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import define, evolve

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.events import AddFile, Changes, FileChange, ProposedFile, UpdateFile
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.tools import Review
from codex_rpc.tools.patch.diffs import count_hunks, unified_diff, with_hunks
from codex_rpc.tools.patch.plan import FileEdit, Mention, Plan, named
from codex_rpc.tools.truncation import truncate

MAX_SHOWN_BYTES = 8 << 20
"""Of all texts together. What is beyond that is only in the announced changes."""

MAX_TOLD_BYTES = 64 << 10
"""How much the model is told of what the user has changed."""


@frozen
class Reviewed:
    """What is to be written."""

    plan: Plan
    told: str = ""
    """For the model: how it differs from what was proposed."""


@define
class PlannedChange:
    """One of `Plan.changes`, with its edits."""

    key: str
    announced: FileChange | None
    """None: a removal."""
    source: FileEdit
    to: FileEdit
    """The same as `source` if the file stays where it is."""

    @property
    def is_move(self) -> bool:
        return self.to is not self.source

    @property
    def old(self) -> bytes | None:
        return self.source.before.content if self.source.before is not None else None

    @property
    def new(self) -> bytes | None:
        return self.to.after

    @property
    def has_diff(self) -> bool:
        """Whether it was announced as hunks, and not as a whole."""
        return self.announced is not None and self.announced.update is not None

    @property
    def hunks(self) -> int:
        """How many there are; what is announced as a whole is one."""
        if not self.has_diff:
            return 1
        return max(1, count_hunks(self.old or b"", self.new or b""))


def files_of(plan: Plan) -> dict[str, ProposedFile]:
    """The whole texts of what `plan` changes, by path; what is no text, or no longer fits, is
    left out."""
    files: dict[str, ProposedFile] = {}
    room = MAX_SHOWN_BYTES
    for change in changes_of(plan):
        before = change.source.before
        if before is not None and (before.is_link or before.content is None):
            continue
        try:
            old_text = None if change.old is None else change.old.decode()
            new_text = None if change.new is None else change.new.decode()
        except UnicodeDecodeError:
            continue
        room_after = room - len(change.old or b"") - len(change.new or b"")
        if room_after < 0:
            continue
        room = room_after
        document = before.document if before is not None else None
        version = None if document is None else document.version
        files[change.key] = ProposedFile(old_text, new_text, version)
    return files


def reviewed(plan: Plan, files: dict[str, ProposedFile], review: Review, cwd: Path) -> Reviewed:
    """`plan` as the user wants it, who was shown `files`.

    An edited text counts for more than a choice of hunks. Paths are told relative to `cwd`.

    Raises:
        ToolError: the answer names a file that was not shown, or a hunk that does not exist.
    """
    if not (review.edited or review.hunks):
        return Reviewed(plan)
    unknown = [path for path in review.edited if path not in files]
    unknown += [path for path in review.hunks if path not in plan.changes]
    if unknown:
        raise ToolError(
            f"patch rejected: the user's answer names a file that was not shown: {unknown[0]}"
        )
    final: dict[Path, FileEdit] = {}
    told: list[str] = []
    for change in changes_of(plan):
        if change.key in files and (text := review.edited.get(change.key)) is not None:
            edits = _with_text(change, text.encode("utf-8", "replace"))
        elif change.key in review.hunks:
            edits = _with_wanted(change, review.hunks[change.key])
        else:
            edits = _all_of(change)
        final |= {edit.target: edit for edit in edits}
        told += _told(change, edits, cwd)
    wanted = tuple(final[edit.target] for edit in plan.edits if edit.target in final)
    revised = plan if wanted == plan.edits else _revised(plan, wanted)
    return Reviewed(revised, _bounded(told))


def changes_of(plan: Plan) -> Iterator[PlannedChange]:
    """What `plan` announces, in its order; what ends as it was is left out."""
    edits = {edit.target: edit for edit in plan.edits}
    moves = dict(plan.moves)
    for edit in plan.edits:
        announced = plan.changes.get(str(edit.shown))
        if announced is None:
            # It is where a file arrives that is moved.
            continue
        to = edits.get(moves[edit.target]) if edit.target in moves else edit
        if to is None:
            # The file that is there already is the same.
            continue
        announced = None if announced == "delete" else announced
        yield PlannedChange(str(edit.shown), announced, edit, to)


def _all_of(change: PlannedChange) -> list[FileEdit]:
    return [change.source, change.to] if change.is_move else [change.source]


def _with_text(change: PlannedChange, text: bytes) -> list[FileEdit]:
    """The edits if the file is to have `text`; one that is to be removed stays."""
    to = evolve(change.to, after=text)
    if change.is_move:
        return [change.source, to]
    return [to] if text != change.old or change.old is None else []


def _with_wanted(change: PlannedChange, wanted: Sequence[int]) -> list[FileEdit]:
    """The edits if only those hunks are wanted."""
    count = change.hunks
    wrong = [index for index in wanted if not 0 <= index < count]
    if wrong:
        has = "1 hunk" if count == 1 else f"{count} hunks"
        raise ToolError(
            f"patch rejected: the user's answer names hunk {wrong[0]} of {change.key}, which has "
            f"{has}, counted from 0"
        )
    if not wanted:
        return []
    if not change.has_diff or len(set(wanted)) == count:
        return _all_of(change)
    return _with_text(change, with_hunks(change.old or b"", change.new or b"", set(wanted)))


# The plan.


def _revised(plan: Plan, edits: tuple[FileEdit, ...]) -> Plan:
    by_target = {edit.target: edit for edit in edits}
    moves = tuple(move for move in plan.moves if move[0] in by_target and move[1] in by_target)
    kept = {edit.shown for edit in edits if edit.after is not None}
    return evolve(
        plan,
        edits=edits,
        moves=moves,
        changes=_announced(plan, by_target, dict(moves)),
        mentions=tuple(_mentions(plan, by_target)),
        replaced=tuple(path for path in plan.replaced if path in kept),
    )


def _announced(plan: Plan, edits: dict[Path, FileEdit], moves: dict[Path, Path]) -> Changes:
    changes: Changes = {}
    for change in changes_of(plan):
        edit = edits.get(change.source.target)
        if edit is None:
            continue
        to = edits[moves[edit.target]] if edit.target in moves else edit
        if to.after is None:
            changes[change.key] = "delete"
        elif edit.before is None or (change.announced is not None and change.announced.add):
            text = to.after.decode("utf-8", "replace")
            changes[change.key] = FileChange(add=AddFile(text))
        else:
            diff = unified_diff(change.old or b"", to.after)
            moved_to = str(to.shown) if to is not edit else None
            changes[change.key] = FileChange(update=UpdateFile(diff, moved_to))
    return changes


def _mentions(plan: Plan, edits: dict[Path, FileEdit]) -> Iterator[Mention]:
    for mention in plan.mentions:
        edit = edits.get(mention.target)
        if edit is None:
            continue
        stays = edit.after is not None and mention.mark == "D"
        yield evolve(mention, mark="M") if stays else mention


# What the model is told.


def _told(change: PlannedChange, edits: Sequence[FileEdit], cwd: Path) -> Iterator[str]:
    """How `edits` differ from what was proposed for the file; nothing if they do not."""
    name = named(change.to.shown, cwd)
    if not edits:
        yield f"{named(change.source.shown, cwd)}: the user did not want this change.\n"
        return
    new = edits[-1].after
    if new == change.new:
        return
    if change.new is None:
        yield f"{name}: the user did not want it to be deleted"
        yield ", and changed it.\n" if new != change.old else ".\n"
    else:
        yield f"{name}: the user changed what you proposed.\n"
    proposed = change.old if change.new is None else change.new
    diff = unified_diff(proposed or b"", new or b"")
    if diff:
        yield from (f"--- {name} (proposed)\n", f"+++ {name} (written)\n", diff)


def _bounded(told: Sequence[str]) -> str:
    return truncate("".join(told), max_bytes=MAX_TOLD_BYTES, max_lines=0)

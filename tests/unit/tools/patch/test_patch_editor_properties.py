"""Patches over buffers and files: whatever happens when, all of it is done or nothing."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
from anyio import fail_after
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from patch_model import Model, on_disk, start
from patch_support import CALL, Host, a_host, a_tool, end_of, patch
from support.editor import ALL_OPERATIONS, FakeEditor

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    EventMsg,
    PatchApplyBegin,
    PatchApplyEnd,
)
from codex_rpc.protocol.policy import ApprovalPolicy
from codex_rpc.protocol.tools import Review, ToolOutcome
from codex_rpc.protocol.workspace import DocumentChange, EditResult

TYPED = "typed by the user"


def an_editor(model: Model, root: Path) -> FakeEditor:
    """Some of the files are open, and some of those are not saved: then `model` has that text."""
    draw = model.draw
    operations = draw(st.sampled_from([frozenset(), frozenset({"rename"}), ALL_OPERATIONS]))
    editor = FakeEditor(resource_operations=operations, can_save=draw(st.booleans()))
    for path in sorted(model.files):
        state = draw(st.sampled_from(["closed", "saved", "unsaved"]))
        if state == "closed":
            continue
        text = model.contents()[path].decode()
        if state == "unsaved":
            (root / path).write_bytes(b"what was saved\n" + (root / path).read_bytes())
        editor.open(root / path, text)
    return editor


def seen(root: Path, editor: FakeEditor) -> dict[str, bytes]:
    """All files as the user sees them."""
    files = on_disk(root)
    for path, buffer in editor.buffers.items():
        name = path.relative_to(root).as_posix()
        # A document whose file was removed is only a text any more.
        if name in files:
            files[name] = buffer.text.encode()
    return files


def end_in(text: str) -> str:
    """The line end that a text has: new lines get that of their neighbours."""
    return "\r\n" if "\r\n" in text else "\n"


@define
class Moments:
    """Counts the moments at which something can happen, and lets it happen."""

    actions: dict[int, Callable[[], None]]
    count: int = 0
    passed: list[str] = field(factory=list)

    async def __call__(self, name: str) -> None:
        action = self.actions.get(self.count)
        self.count += 1
        self.passed.append(name)
        if action is not None:
            action()
        await anyio.lowlevel.checkpoint()


def watched(root: Path, editor: FakeEditor, moments: Moments, approval: ApprovalPolicy) -> Host:
    """A turn and an editor in which each await is a moment."""

    async def announcing(msg: EventMsg) -> None:
        await moments(type(msg).__name__)

    def moment(name: str) -> Callable[[], Awaitable[None]]:
        return partial(moments, name)

    editor.before_edit, editor.after_edit = moment("before edit"), moment("after edit")
    editor.before_save = moment("before save")
    return a_host(
        root, approval=approval, before_announcing=announcing, before_answering=moment("answer")
    )


def ends(host: Host, outcome: ToolOutcome | None) -> list[PatchApplyEnd]:
    outcomes = [*host.abandoned, *([outcome] if outcome is not None else [])]
    return [event for each in outcomes for event in each.events if isinstance(event, PatchApplyEnd)]


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_a_patch_does_the_same_to_what_is_open_as_to_files(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        model = start(data.draw, root)
        editor = an_editor(model, root)
        before = editor.texts()
        for _ in range(data.draw(st.integers(1, 5))):
            model.step()
        if not model.operations:
            return

        async def apply() -> None:
            tool = a_tool(editor)
            with fail_after(5):
                outcome = await tool.apply(patch(*model.operations), root, CALL, a_host(root))
            assert end_of(outcome).success

        anyio.run(apply)
        assert seen(root, editor) == model.contents()
        assert len(editor.edits) <= 1
        for path, text in before.items():
            if path in editor.buffers and editor.buffers[path].undo:
                editor.undo(path)
                assert (editor.buffers[path].text, editor.buffers[path].undo) == (text, [])


@given(st.data())
@settings(deadline=None, max_examples=120)
def test_whenever_someone_types_or_interrupts_it_is_all_or_nothing(data: st.DataObject) -> None:
    draw = data.draw
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        model = start(draw, root)
        editor = an_editor(model, root)
        before = seen(root, editor)
        for _ in range(draw(st.integers(1, 4))):
            model.step()
        if not model.operations:
            return
        wanted = model.contents()

        def type_somewhere() -> None:
            paths = sorted(path for path in editor.buffers if path.exists())
            if paths:
                path = paths[which % len(paths)]
                text = editor.buffers[path].text
                editor.type(path, f"{TYPED}{end_in(text)}{text}")

        which = draw(st.integers(0, 3))
        approval: ApprovalPolicy = draw(st.sampled_from(["never", "untrusted"]))
        typing_at = draw(st.none() | st.integers(0, 5))
        interrupt_at = draw(st.none() | st.integers(0, 8))

        async def apply() -> tuple[Host, ToolOutcome | None]:
            outcome: ToolOutcome | None = None
            with fail_after(10), anyio.CancelScope() as interruption:
                actions: dict[int, Callable[[], None]] = {}
                if interrupt_at is not None:
                    actions[interrupt_at] = interruption.cancel
                if typing_at is not None:
                    actions[typing_at] = type_somewhere
                host = watched(root, editor, Moments(actions), approval)
                tool = a_tool(editor, grace_s=0.0)
                with suppress(*([ToolError] if typing_at is not None else [])):
                    outcome = await tool.apply(patch(*model.operations), root, CALL, host)
            return host, outcome

        host, outcome = anyio.run(apply)
        begins = [msg for msg in host.announced if isinstance(msg, PatchApplyBegin)]
        ended = ends(host, outcome)
        assert len(begins) == len(ended) <= 1

        def untyped(files: dict[str, bytes]) -> dict[str, bytes]:
            typed = re.compile(TYPED.encode() + rb"\r?\n")
            # A file that was typed into may have moved since.
            return {path: typed.sub(b"", content) for path, content in files.items()}

        after = untyped(seen(root, editor))
        if ended and ended[0].success:
            assert after == wanted
        elif ended and "could be taken back" in ended[0].stderr:
            assert typing_at is not None
        else:
            assert after == before
        assert not list(root.rglob(".codex-patch-*"))


# Faults

MARKED = re.compile(rb"(?:typed|theirs) \d+\r?\n")
"""Lines that somebody else has put at the beginning of a file."""

FAULTS = ["none", "refuse", "refuse half", "hang", "hang half", "hang done"]


@define
class FaultyEditor(FakeEditor):
    """Refuses or does not answer, and has done something of it all the same."""

    faults: list[str] = field(factory=list)
    """Of the next edits."""
    done: int = 0
    """How many changes a half is."""
    hung: Callable[[], None] = lambda: None

    async def edit(self, changes: Sequence[DocumentChange], *, label: str) -> EditResult:
        await self.before_edit()
        fault = self.faults.pop(0) if self.faults else "none"
        is_fit = not any(self._is_stale(change) or self._problem(change) for change in changes)
        if fault == "none" or not is_fit:
            result = self._edited(changes)
            await self.after_edit()
            return result
        part = 0 if fault in ("refuse", "hang") else self.done
        for change in changes if fault == "hang done" else changes[:part]:
            self._do(change)
        if fault.startswith("hang"):
            self.hung()
            await anyio.sleep_forever()
        await self.after_edit()
        return EditResult("refused", "it does not want to")


@define
class Reviewer(Host):
    """Puts a line before one of the texts that are shown, if there is one."""

    edits: bool = False
    wanted: dict[str, bytes] = field(factory=dict)
    """By path: what has to be there if it is applied."""

    async def review(self, request: ApplyPatchApprovalRequest) -> Review:
        await super().review(request)
        self.wanted = {}
        for path, file in (request.files or {}).items() if self.edits else ():
            if file.new_text is not None:
                change = request.changes[path]
                assert change != "delete"
                to = change.update.move_path if change.update is not None else None
                text = f"edited{end_in(file.new_text)}{file.new_text}"
                self.wanted[to or path] = text.encode()
                return Review("approved", {path: text})
        return Review("approved")


@define
class Others:
    """What the user and others do meanwhile. Nobody loses what was not saved."""

    root: Path
    editor: FakeEditor
    marks: dict[bytes, bool] = field(factory=dict)
    """Each line, and whether it was written after the begin of the patch."""
    has_begun: bool = False

    def act(self, kind: str, which: int) -> None:
        buffers = sorted(path for path in self.editor.buffers if path.exists())
        closed = sorted(
            path
            for path in self.root.rglob("*")
            if path.is_file() and path not in self.editor.buffers and path.name[0] != "."
        )
        paths = buffers if kind in ("type", "close") else closed
        if not paths:
            return
        path = paths[which % len(paths)]
        if kind == "open":
            self.editor.open(path)
        elif kind == "close":
            if self.editor.document(path) and path not in self.editor.unsaved():
                self.editor.close(path)
        elif kind == "type":
            self.editor.type(path, self._marked("typed", self.editor.buffers[path].text))
        else:
            path.write_bytes(self._marked("theirs", path.read_bytes().decode()).encode())

    def _marked(self, word: str, text: str) -> str:
        mark = f"{word} {len(self.marks)}{end_in(text)}"
        self.marks[mark.encode()] = self.has_begun
        return mark + text


def without_marks(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: MARKED.sub(b"", content) for path, content in files.items()}


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_whatever_fails_it_is_all_or_nothing_or_it_is_said(data: st.DataObject) -> None:
    draw = data.draw
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        model = start(draw, root)
        plain = an_editor(model, root)
        editor = FaultyEditor(
            resource_operations=plain.resource_operations,
            can_save=plain.can_save,
            buffers=plain.buffers,
            faults=draw(st.lists(st.sampled_from(FAULTS), max_size=3)),
            done=draw(st.integers(1, 3)),
            reviews_patches=draw(st.booleans()),
        )
        before = seen(root, editor)
        for _ in range(draw(st.integers(1, 4))):
            model.step()
        if not model.operations:
            return
        wanted = model.contents()
        others = Others(root, editor)
        kinds = st.sampled_from(["type", "type", "open", "close", "write"])
        happenings = draw(
            st.dictionaries(st.integers(0, 9), st.tuples(kinds, st.integers(0, 3)), max_size=3)
        )
        interrupt_at = draw(st.none() | st.integers(0, 9))
        approval: ApprovalPolicy = draw(st.sampled_from(["never", "untrusted"]))

        async def apply() -> tuple[Reviewer, ToolOutcome | None]:
            outcome: ToolOutcome | None = None
            with fail_after(10), anyio.CancelScope() as interruption:
                editor.hung = interruption.cancel
                actions: dict[int, Callable[[], None]] = {
                    at: partial(others.act, *happening) for at, happening in happenings.items()
                }
                if interrupt_at is not None:
                    actions[interrupt_at] = interruption.cancel
                base = watched(root, editor, Moments(actions), approval)

                async def announcing(msg: EventMsg) -> None:
                    others.has_begun = others.has_begun or isinstance(msg, PatchApplyBegin)
                    await base.before_announcing(msg)

                host = Reviewer(
                    base.context,
                    before_announcing=announcing,
                    before_answering=base.before_answering,
                    edits=draw(st.booleans()),
                )
                tool = a_tool(editor, grace_s=0.0, review=True)
                with suppress(ToolError):
                    outcome = await tool.apply(patch(*model.operations), root, CALL, host)
            return host, outcome

        host, outcome = anyio.run(apply)
        begins = [msg for msg in host.announced if isinstance(msg, PatchApplyBegin)]
        ended = ends(host, outcome)
        assert len(begins) == len(ended) <= 1
        # What is begun is what was agreed.
        if begins and host.asked:
            assert begins[0].changes == host.asked[-1].changes
        if begins and host.reviewed and not host.wanted:
            assert begins[0].changes == host.reviewed[-1].changes

        now = seen(root, editor)
        after = without_marks(now)
        everything = b"".join([*now.values(), *(text.encode() for text in editor.texts().values())])
        left = bool(ended) and "could be taken back" in ended[0].stderr
        for mark, has_begun in others.marks.items():
            # What was there when the user agreed to lose the file may be lost.
            may_go = not has_begun and begins and ended[0].success
            assert mark in everything or may_go or left
        if ended and ended[0].success:
            edited = {
                Path(path).relative_to(root).as_posix(): MARKED.sub(b"", text)
                for path, text in host.wanted.items()
            }
            assert after == wanted | edited
        elif left:
            moves = {
                path: change.update.move_path
                for path, change in begins[0].changes.items()
                if change != "delete" and change.update is not None
            }
            other_names = moves | {to: path for path, to in moves.items() if to is not None}
            for name in before.keys() | after.keys():
                if before.get(name) != after.get(name):
                    names = [str(root / name), other_names.get(str(root / name))]
                    assert any(each is not None and each in ended[0].stderr for each in names)
        else:
            assert after == before
        assert not list(root.rglob(".codex-patch-*"))

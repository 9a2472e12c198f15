"""Patches over buffers and files: whatever happens when, all of it is done or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
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
from codex_rpc.protocol.events import EventMsg, PatchApplyBegin, PatchApplyEnd
from codex_rpc.protocol.policy import ApprovalPolicy
from codex_rpc.protocol.tools import ToolOutcome

TYPED = "typed by the user\n"


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
                editor.type(path, TYPED + editor.buffers[path].text)

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
            return {
                # A file that was typed into may have moved since.
                path: content.removeprefix(TYPED.encode())
                for path, content in files.items()
            }

        after = untyped(seen(root, editor))
        if ended and ended[0].success:
            assert after == wanted
        elif ended and "could be taken back" in ended[0].stderr:
            assert typing_at is not None
        else:
            assert after == before
        assert not list(root.rglob(".codex-patch-*"))

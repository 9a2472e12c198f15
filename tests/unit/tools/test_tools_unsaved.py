"""Documents that are not saved when a command is to run: saved first, or named to the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from support.editor import FakeEditor
from tools_support import (
    Host,
    StageSandbox,
    context,
    function_call,
    shell,
    shell_tool,
    told,
    toolbox,
)

from codex_rpc.protocol.events import EventMsg, ExecApprovalRequest, ExecCommandBegin
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.tools import ToolOutcome, TurnContext
from codex_rpc.tools.unsaved import UnsavedFiles

CAT = shell(["cat", "a.txt"])


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    cwd = tmp_path.resolve() / "project"
    cwd.mkdir()
    (cwd / "a.txt").write_text("saved\n")
    return cwd


@pytest.fixture
def editor(cwd: Path) -> FakeEditor:
    editor = FakeEditor(can_save=True)
    editor.open(cwd / "a.txt", "typed\n")
    return editor


async def run(cwd: Path, editor: FakeEditor, host: Host | None = None, **settings: Any) -> str:
    """What the model is told of `cat a.txt`."""
    box = toolbox(cwd, workspace=editor, **settings)
    with fail_after(10):
        outcome = await box.call(CAT, host or Host(context(cwd)))
    return str(told(outcome)["output"])


def note(names: str) -> str:
    return f"[unsaved in the editor, so the command saw the older text on disk: {names}]\n"


@pytest.mark.parametrize(("setting", "ask"), [("ask", True), ("always", False)])
async def test_the_editor_saves_before_a_command_runs(
    cwd: Path, editor: FakeEditor, setting: str, ask: bool
) -> None:
    assert await run(cwd, editor, save_before_run=setting) == "typed\n"
    assert editor.saves == [([cwd / "a.txt"], ask)]
    assert await run(cwd, editor, save_before_run=setting) == "typed\n"
    assert len(editor.saves) == 1


async def test_what_is_not_saved_is_named(cwd: Path, editor: FakeEditor) -> None:
    expected = "saved\n" + note("a.txt")
    assert await run(cwd, editor, save_before_run="never") == expected
    assert editor.saves == []
    editor.will_save = False
    assert await run(cwd, editor) == expected
    assert len(editor.saves) == 1
    editor.can_save = False
    assert await run(cwd, editor) == expected
    assert len(editor.saves) == 1


async def test_a_command_that_is_trusted_is_no_exception(cwd: Path, editor: FakeEditor) -> None:
    host = Host(context(cwd, approval="untrusted", mode="read-only"))
    assert await run(cwd, editor, host) == "typed\n"
    assert host.asked == []


async def test_only_what_lies_in_the_session_s_folders_counts(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.buffers.clear()
    root, elsewhere = cwd.parent / "root", cwd.parent / "elsewhere"
    for folder in (root, elsewhere):
        folder.mkdir()
        editor.open(folder / "x", "typed")
    (cwd / "link").symlink_to(elsewhere)
    editor.open(cwd / "link" / "y", "typed")
    policy = SandboxPolicy("danger-full-access", writable_roots=(str(root),))
    host = Host(TurnContext(cwd=cwd, approval_policy="never", sandbox_policy=policy, model="gpt-5"))
    editor.will_save = False
    assert await run(cwd, editor, host) == "saved\n" + note(f"{root}/x")
    assert editor.saves == [([root / "x"], True)]


async def test_at_most_ten_are_named(cwd: Path, editor: FakeEditor) -> None:
    editor.buffers.clear()
    for number in range(13):
        editor.open(cwd / f"{number:02}", "typed")
    names = ", ".join(f"{number:02}" for number in range(10))
    output = await run(cwd, editor, save_before_run="never")
    assert output == "saved\n" + note(f"{names}, and 3 more")


async def test_saving_comes_after_the_approval_and_before_the_begin(
    cwd: Path, editor: FakeEditor
) -> None:
    order: list[str] = []

    async def announcing(msg: EventMsg) -> None:
        order.append(type(msg).__name__)

    async def saving() -> None:
        order.append("save")

    editor.before_save = saving
    host = Host(context(cwd, approval="untrusted"), before_announcing=announcing)
    tool = shell_tool(cwd, workspace=editor)
    with fail_after(5):
        await tool.call_function(shell(["sh", "-c", "echo x > y"]), host)
    assert isinstance(host.asked[0], ExecApprovalRequest)
    assert order[:2] == ["save", "ExecCommandBegin"]

    editor.type(cwd / "a.txt", "more\n")
    host = Host(context(cwd, approval="untrusted"), decision="denied")
    with fail_after(5):
        await tool.call_function(shell(["sh", "-c", "echo x > y"]), host)
    assert order.count("save") == 1


async def test_nothing_runs_if_the_user_interrupts_the_question(
    cwd: Path, editor: FakeEditor
) -> None:
    host = Host(context(cwd))
    with anyio.CancelScope() as scope:

        async def interrupt() -> None:
            scope.cancel()
            await anyio.sleep_forever()

        editor.before_save = interrupt
        with fail_after(5):
            await toolbox(cwd, workspace=editor).call(shell(["touch", "ran"]), host)
    assert scope.cancelled_caught
    assert not (cwd / "ran").exists()
    assert not any(isinstance(msg, ExecCommandBegin) for msg in host.announced)
    assert host.abandoned == []


async def test_the_note_is_there_after_a_second_run_without_the_sandbox_too(
    cwd: Path, editor: FakeEditor
) -> None:
    host = Host(context(cwd, approval="on-failure", mode="workspace-write"))
    tool = shell_tool(cwd, workspace=editor, save_before_run="never")
    script = 'if [ "$HELD" = danger-full-access ]; then cat a.txt; else echo oh no; exit 1; fi'
    with fail_after(10):
        outcome = await tool.call_function(shell(["sh", "-c", script]), host)
    assert told(outcome)["output"] == "saved\n" + note("a.txt")


async def test_a_command_is_planned_again_when_files_were_saved(
    cwd: Path, editor: FakeEditor
) -> None:
    sandbox = StageSandbox()
    planned: list[int] = []

    async def saving() -> None:
        planned.append(sandbox.confined)

    editor.before_save = saving
    host = Host(context(cwd, approval="untrusted", mode="workspace-write"))
    tool = shell_tool(cwd, sandbox, workspace=editor)
    with fail_after(5):
        await tool.call_function(shell(["sh", "-c", "echo x > y"]), host)
    # What is saved may be a file that has to be hidden.
    assert planned != []
    assert sandbox.confined > planned[0]
    # It is still what was asked about.
    assert len(host.asked) == 1


async def test_a_file_that_is_saved_for_the_command_is_hidden_from_it(
    cwd: Path, editor: FakeEditor
) -> None:
    editor.open(cwd / "new.env", "KEY=hush\n")
    box = toolbox(cwd, workspace=editor, deny_read=("**/*.env",), save_before_run="always")
    if await box.sandbox_means(SandboxPolicy("workspace-write")) == "none":
        pytest.skip("nothing on this machine confines commands")
    host = Host(context(cwd, mode="workspace-write"))
    with fail_after(10):
        outcome = await box.call(shell(["cat", "new.env"]), host)
    assert (cwd / "new.env").read_text() == "KEY=hush\n"
    assert "hush" not in repr(outcome)
    await box.aclose()


async def test_what_an_editor_saves_only_in_part_is_named(cwd: Path, editor: FakeEditor) -> None:
    editor.open(cwd / "b.txt", "typed\n")

    class Half(FakeEditor):
        async def save(self, paths: Sequence[Path], *, ask: bool) -> Sequence[Path]:
            await super().save(paths[:1], ask=ask)
            return list(paths)

    half = Half(can_save=True, buffers=editor.buffers)
    assert await run(cwd, half) == "typed\n" + note("b.txt")


@pytest.mark.parametrize("setting", ["ask", "always"])
async def test_an_editor_that_never_answers_is_waited_for_only_if_it_asks_its_user(
    cwd: Path, editor: FakeEditor, setting: Any
) -> None:
    async def never() -> None:
        waits.set()
        await anyio.sleep_forever()

    editor.before_save = never
    files, waits, done = UnsavedFiles(editor, setting, save_s=0.0), anyio.Event(), False
    with fail_after(5):
        async with anyio.create_task_group() as tasks:

            async def save() -> None:
                nonlocal done
                await files.save([cwd / "a.txt"])
                done = True
                tasks.cancel_scope.cancel()

            tasks.start_soon(save)
            await waits.wait()
            if setting == "ask":
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
    assert done == (setting == "always")


async def test_nothing_is_looked_for_if_nothing_is_open(cwd: Path, editor: FakeEditor) -> None:
    editor.buffers.clear()
    assert await run(cwd, editor) == "saved\n"
    assert editor.looks == 0


async def test_a_patch_through_the_shell_saves_nothing(cwd: Path, editor: FakeEditor) -> None:
    box = toolbox(cwd, workspace=editor)
    text = "*** Begin Patch\n*** Update File: a.txt\n@@\n-typed\n+TYPED\n*** End Patch"
    with fail_after(5):
        await box.call(shell(["apply_patch", text]), Host(context(cwd)))
    assert editor.saves == []
    assert editor.buffers[cwd / "a.txt"].text == "TYPED\n"


async def test_every_call_is_about_what_the_editor_has_told_so_far(
    cwd: Path, editor: FakeEditor
) -> None:
    waited: list[str] = []

    class Late(FakeEditor):
        async def ready(self) -> None:
            waited.append("ready")
            self.open(cwd / "a.txt", "told late\n")

    late = Late()
    arguments = {
        "input": "*** Begin Patch\n*** Update File: a.txt\n@@\n-told late\n+x\n*** End Patch"
    }
    with fail_after(5):
        outcome: ToolOutcome = await toolbox(cwd, workspace=late).call(
            function_call("apply_patch", arguments), Host(context(cwd, approval="on-request"))
        )
    assert waited == ["ready"]
    assert told(outcome)["metadata"]["exit_code"] == 0
    assert late.buffers[cwd / "a.txt"].text == "x\n"

"""Nothing gets out: the table of attempts against the sandbox, and a part of it by a model.

`python -m tests.escapes` prints the same table.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio import fail_after

if sys.platform != "linux":
    pytest.skip("about what Linux enforces", allow_module_level=True)

from escapes.attempt import Attempt, Mode
from escapes.runner import Runner, available, temporary_folder
from escapes.stage import was_tried
from escapes.table import ROWS
from escapes.verdicts import MEANS, Means
from support.escaping import field

MODES: tuple[Mode, ...] = ("read-only", "workspace-write")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short and open to all users, which tmp_path is not."""
    with temporary_folder() as path:
        yield path


@pytest.fixture
def base(folder: Path) -> Iterator[Path]:
    """A folder for one stage."""
    path = folder / "served"
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=MEANS)
def means(request: pytest.FixtureRequest) -> Means:
    """What holds the commands; a machine that lacks it skips."""
    name: Means = request.param
    if name in available():
        pytest.skip(available()[name])
    return name


# The sandbox itself.


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_nothing_gets_out(row: Attempt, folder: Path) -> None:
    if len(available()) == 2:
        pytest.skip("; ".join(available().values()))
    with fail_after(18):
        findings = await Runner(folder).try_row(row)
    failures = list(findings.failures())
    assert not failures, "\n".join(failures)


# The server, its model, and the user.

NAMES = (
    "create a file by its absolute path",
    "through `..`",
    "through a link to a folder that was there before",
    "by /proc/self/root",
    "add a hook (.git/hooks)",
    "make a missing .git, with a hook",
    "change config.toml of CODEX_HOME",
    "change a session's file",
    "read it",
    "read auth.json",
    "TCP",
    "a socket with a path",
    "an abstract socket",
    "outlive the call (a proper daemon)",
    "read its environment",
    "debug it (ptrace)",
)
"""For the last two the process outside is the server, and the secret its provider's key."""

CALLED = [row for name in NAMES for row in ROWS if row.name == name]

FULLY_ENFORCED = {("read-only", "bubblewrap"), ("workspace-write", "bubblewrap")} | {
    ("read-only", "landlock")
}


@pytest.mark.parametrize("mode", MODES)
async def test_what_the_model_calls_stays_inside_and_the_model_is_told(
    base: Path, mode: Mode, means: Means
) -> None:
    async with field(base, mode=mode, means=means) as served:
        for row in CALLED:
            evidence, output = await served.attempt(row)
            assert not evidence, (row.name, output)
            if (mode, means) in FULLY_ENFORCED:
                assert was_tried(output.replace("\\n", "\n").replace('"', "\n")), (row.name, output)
            else:
                assert "was not run" in output, (row.name, output)
                assert "never" in output
        notices = [e for e in served.client.events() if e["msg"]["type"] == "background_event"]
        refused = 0 if (mode, means) in FULLY_ENFORCED else len(CALLED)
        assert len(notices) == refused


async def test_without_a_sandbox_the_same_calls_get_out(base: Path) -> None:
    async with field(base, mode=None, means="auto") as served:
        for row in CALLED:
            evidence, output = await served.attempt(row)
            # What a command leaves behind is ended with it, whatever it is allowed.
            outlives = row.name.startswith("outlive")
            assert bool(evidence) != outlives, (row.name, output)


@pytest.mark.parametrize("mode", MODES)
async def test_what_cannot_be_enforced_is_asked_with_the_reason(
    base: Path, mode: Mode, means: Means
) -> None:
    async with field(base, mode=mode, means=means, approval="on-request") as served:
        question = await served.question(CALLED[0])
        if (mode, means) in FULLY_ENFORCED:
            assert question["type"] == "task_complete"
            return
        assert question["type"] == "exec_approval_request"
        told = "`.git` and `.codex` included" if means == "landlock" else f"enforces `{mode}`"
        assert told in question["reason"]
        assert question["sandbox"] == ("none" if means == "none" else mode)
        evidence, output = await served.answer(question, "denied")
        assert not evidence
        assert "attempting" not in output


async def test_after_a_yes_all_else_is_still_enforced(base: Path, means: Means) -> None:
    if means != "landlock":
        pytest.skip("the question of a means that enforces only a part")
    async with field(base, mode="workspace-write", means=means, approval="on-request") as served:
        for row in CALLED:
            question = await served.question(row)
            evidence, output = await served.answer(question, "approved")
            assert "attempting" in output
            assert bool(evidence) == (row.gap is not None), (row.name, evidence, output)


PATCHES = {
    "by `..`": "*** Add File: ../outside/new",
    "by an absolute path": "*** Add File: {OUTSIDE}/new",
    "through a link": "*** Add File: link-out/new",
    "through a link to nothing": "*** Add File: dangling",
    "of a hook": "*** Add File: .git/hooks/post-commit",
    "of the project's settings": "*** Add File: .codex/AGENTS.md",
    "of CODEX_HOME": "*** Add File: {STATE}/AGENTS.md",
    "of a denied file": "*** Delete File: .env",
    "of a file outside": "*** Delete File: link-target",
    "of a file that is moved out": (
        "*** Update File: src/deep/file.txt\n*** Move to: ../outside/new"
    ),
}


@pytest.mark.parametrize("mode", MODES)
async def test_a_patch_of_the_model_stays_inside(base: Path, mode: Mode) -> None:
    async with field(base, mode=mode, means="auto") as served:
        for name, head in PATCHES.items():
            body = {"Add": "+x\n", "Update": "@@\n-a file\n+x\n", "Delete": ""}
            head = head.format_map(served.stage.env)
            patch = f"*** Begin Patch\n{head}\n{body[head.split()[1]]}*** End Patch\n"
            evidence, output = await served.patch(patch)
            assert not evidence, (name, output)
            assert output.startswith("patch rejected"), (name, output)
        inside = "*** Begin Patch\n*** Add File: src/new\n+x\n*** End Patch\n"
        await served.patch(inside)
        assert (served.stage.work / "src/new").exists() == (mode == "workspace-write")

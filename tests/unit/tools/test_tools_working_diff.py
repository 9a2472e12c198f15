"""What is not committed, for the user who asks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tools_support import StageSandbox, config, context, shell_tool, toolbox

from codex_rpc.protocol.errors import ToolError
from codex_rpc.tools import working_diff as working_diff_module
from codex_rpc.tools.working_diff import working_diff

ENV = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}


def git(cwd: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=cwd, env=ENV, check=True, capture_output=True)


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    cwd = tmp_path.resolve() / "project"
    cwd.mkdir()
    git(cwd, "init", "-q")
    (cwd / "a.txt").write_text("one\n")
    git(cwd, "add", "a.txt")
    return cwd


async def asked(cwd: Path) -> str:
    return await working_diff(shell_tool(cwd), context(cwd))


async def test_nothing_is_told_of_what_is_committed(cwd: Path) -> None:
    git(cwd, "commit", "-qm", "m")
    assert await asked(cwd) == ""


async def test_changes_are_shown_staged_or_not_and_new_files_are_named(cwd: Path) -> None:
    git(cwd, "commit", "-qm", "m")
    (cwd / "a.txt").write_text("two\n")
    git(cwd, "add", "a.txt")
    (cwd / "a.txt").write_text("three\n")
    (cwd / "new.txt").write_text("new\n")
    (cwd / ".gitignore").write_text("ignored\n.gitignore\n")
    (cwd / "ignored").write_text("x")
    diff = await asked(cwd)
    assert "-one\n+three\n" in diff
    assert diff.endswith("\n\nFiles that git does not know yet:\n?? new.txt\n")


async def test_before_the_first_commit_what_is_staged_is_shown(cwd: Path) -> None:
    assert "+one\n" in await asked(cwd)


async def test_a_folder_without_a_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="not a git repository"):
        await asked(tmp_path)


async def test_no_program_of_the_repository_is_run(cwd: Path) -> None:
    git(cwd, "commit", "-qm", "m")
    ran = cwd.parent / "ran"
    (cwd / "a.txt").write_text("two\n")
    (cwd / ".gitattributes").write_text("*.txt diff=evil filter=evil\n")
    for key in ("diff.external", "diff.evil.textconv", "diff.evil.command", "core.fsmonitor"):
        git(cwd, "config", key, f"touch {ran}; cat")
    git(cwd, "config", "filter.evil.clean", f"touch {ran}; cat")
    assert "+two\n" in await asked(cwd)
    assert not ran.exists()


async def test_git_runs_in_the_read_only_sandbox_whatever_the_policy(cwd: Path) -> None:
    sandbox = StageSandbox()
    shell = shell_tool(cwd, sandbox)
    await working_diff(shell, context(cwd, mode="danger-full-access"))
    assert sandbox.confined > 0


async def test_a_long_diff_loses_its_end_and_says_so(
    cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_diff_module, "MAX_BYTES", 100)
    (cwd / "a.txt").write_text("long line\n" * 100)
    git(cwd, "add", "a.txt")
    diff = await asked(cwd)
    assert len(diff) < 200
    assert "bytes left out" in diff


async def test_the_tools_tell_it_too(cwd: Path) -> None:
    assert config(cwd).cwd == cwd
    assert "+one\n" in await toolbox(cwd).working_diff(context(cwd))

"""The patch tool with the real rules of a session's sandbox."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from patch_support import a_host, apply, end_of, patch, tree

from codex_rpc.config.settings import Config, Provider
from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.workspace import NoEditor
from codex_rpc.sandbox.confinement import Sandbox
from codex_rpc.tools.patch.permission import OUTSIDE
from codex_rpc.tools.patch.tool import PatchTool


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    cwd = tmp_path.resolve() / "project"
    (cwd / ".git").mkdir(parents=True)
    (cwd / "a.txt").write_text("a\n")
    (cwd / ".env").write_text("KEY=1\n")
    (cwd / "folder").symlink_to(tmp_path)
    (cwd / "link").symlink_to(cwd / "a.txt")
    (tmp_path / "outside.txt").write_text("a\n")
    (tmp_path / "home").mkdir()
    return cwd


def a_tool(cwd: Path) -> PatchTool:
    config = Config(
        codex_home=cwd.parent / "home",
        cwd=cwd,
        model="gpt-5",
        provider=Provider(id="fake", name="Fake"),
        deny_read=("**/.env",),
    )
    return PatchTool(Sandbox(config, environ=dict(os.environ)), workspace=NoEditor())


@pytest.mark.parametrize(
    "lines",
    [
        ("*** Update File: a.txt", "@@", "-a", "+A"),
        ("*** Update File: link", "@@", "-a", "+A"),
        ("*** Add File: new/x", "+x"),
        ("*** Delete File: link",),
        ("*** Update File: a.txt", "*** Move to: b.txt"),
    ],
)
async def test_an_edit_inside_needs_no_question(cwd: Path, lines: tuple[str, ...]) -> None:
    outcome = await apply(patch(*lines), cwd, tool=a_tool(cwd))
    assert end_of(outcome).success


@pytest.mark.parametrize(
    "lines",
    [
        ("*** Add File: ../x", "+x"),
        ("*** Update File: folder/outside.txt", "@@", "-a", "+A"),
        ("*** Delete File: folder/outside.txt",),
        ("*** Delete File: ../outside.txt",),
        ("*** Update File: a.txt", "*** Move to: folder/a.txt"),
        ("*** Add File: ../home/config.toml", "+x"),
    ],
)
async def test_an_edit_outside_is_refused(cwd: Path, lines: tuple[str, ...]) -> None:
    before = tree(cwd.parent)
    outcome = await apply(patch(*lines), cwd, tool=a_tool(cwd))
    assert outcome.output == OUTSIDE
    assert tree(cwd.parent) == before


@pytest.mark.parametrize(
    "lines",
    [
        ("*** Add File: .git/hooks/pre-commit", "+x"),
        ("*** Add File: .codex/config.toml", "+x"),
        ("*** Add File: .env", "+KEY=2"),
        ("*** Delete File: .env",),
        ("*** Update File: a.txt", "*** Move to: .env"),
    ],
)
async def test_an_edit_of_what_is_protected_is_refused(cwd: Path, lines: tuple[str, ...]) -> None:
    before = tree(cwd.parent)
    outcome = await apply(patch(*lines), cwd, tool=a_tool(cwd))
    assert isinstance(outcome.output, str)
    assert outcome.output.startswith("patch rejected: ")
    assert outcome.output != OUTSIDE
    assert tree(cwd.parent) == before


async def test_a_denied_file_is_not_read(cwd: Path) -> None:
    with pytest.raises(ToolError, match="denies reading it"):
        await apply(patch("*** Update File: .env", "@@", "-KEY=1"), cwd, tool=a_tool(cwd))


async def test_a_denied_file_that_the_user_lets_be_replaced_is_not_shown(cwd: Path) -> None:
    host = a_host(cwd, approval="on-request")
    outcome = await apply(patch("*** Delete File: .env"), cwd, tool=a_tool(cwd), host=host)
    assert end_of(outcome).success
    assert len(host.asked) == 1
    assert "KEY=1" not in str((host.asked, host.announced, outcome))

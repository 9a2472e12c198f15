"""Where files may be changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.sandbox.installation import Installation
from codex_rpc.sandbox.places import Places
from codex_rpc.sandbox.roots import Roots, roots_of, write_problem


def roots(
    cwd: Path,
    *more: Path | str,
    home: Path = Path("/nonexistent/codex"),
    places: Places | None = None,
    installed: Installation | None = None,
) -> Roots:
    policy = SandboxPolicy("workspace-write", tuple(str(path) for path in more))
    return roots_of(policy, cwd, codex_home=home, places=places, installed=installed)


def folders(base: Path, *names: str) -> list[Path]:
    made = [base / name for name in names]
    for folder in made:
        folder.mkdir(parents=True, exist_ok=True)
    return made


def test_the_session_folder_and_the_named_roots_are_writable(tmp_path: Path) -> None:
    cwd, other = folders(tmp_path, "cwd", "other")
    assert set(roots(cwd, other).writable) == {str(cwd), str(other)}


def test_nothing_is_writable_under_read_only(tmp_path: Path) -> None:
    assert roots_of(SandboxPolicy("read-only"), tmp_path, codex_home=tmp_path).writable == ()


def test_roots_in_roots_stay_protected_but_are_not_named_twice(tmp_path: Path) -> None:
    outer, inner = folders(tmp_path, "outer", "outer/a/inner")
    found = roots(inner, outer)
    assert found.writable == (str(outer),)
    assert {f"{outer}/.git", f"{inner}/.git", f"{inner}/.codex"} <= set(found.protected)
    assert found.between(f"{inner}/.git") == [str(inner), str(inner.parent)]


def test_what_does_not_exist_or_is_no_folder_is_no_root(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert roots(tmp_path, tmp_path / "no", file, "relative", "/a\0b").writable == (str(tmp_path),)


def test_a_root_behind_a_link_is_where_the_link_leads(tmp_path: Path) -> None:
    (real,) = folders(tmp_path, "real")
    (tmp_path / "link").symlink_to("real")
    assert roots(tmp_path / "link").writable == (str(real),)


@pytest.mark.parametrize("name", [".git", ".git/hooks", ".codex/a", "home", "home/sessions"])
def test_a_session_inside_something_protected_may_write_nothing(tmp_path: Path, name: str) -> None:
    (cwd,) = folders(tmp_path, name)
    assert roots(cwd, home=tmp_path / "home").writable == ()
    assert roots(cwd, tmp_path, home=tmp_path / "home").writable == (str(tmp_path),)
    assert write_problem(cwd / "x", roots(cwd, tmp_path, home=tmp_path / "home")) is not None


def test_what_the_git_file_of_a_worktree_points_to_is_protected(tmp_path: Path) -> None:
    cwd, data = folders(tmp_path, "tree", "repository/data/worktrees/tree")
    (cwd / ".git").write_text(f"gitdir: {data}\n")
    (data / "commondir").write_text("../..\n")
    found = roots(cwd, tmp_path)
    assert {str(data), str(tmp_path / "repository" / "data")} <= set(found.protected)
    (cwd / ".git").write_text("gitdir: ../repository/data\n")
    assert str(tmp_path / "repository" / "data") in roots(cwd, tmp_path).protected


@pytest.mark.parametrize("content", ["", "gitdir: ", "nothing", "gitdir: a\0b", "gitdir: /\n"])
def test_a_strange_git_file_opens_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / ".git").write_text(content)
    found = roots(tmp_path)
    assert f"{tmp_path}/.git" in found.protected or found.writable == ()


@pytest.mark.parametrize("folder", ["/proc", "/proc/self", "/sys", "/dev"])
def test_the_kernels_folders_are_no_roots(tmp_path: Path, folder: str) -> None:
    found = roots(tmp_path, folder)
    assert found.writable == (str(tmp_path),)
    assert found.unusable == (os.path.realpath(folder),)


def test_the_whole_disk_can_be_a_root() -> None:
    found = roots(Path("/"), "/usr")
    assert found.writable == ("/",)
    assert "/.git" in found.protected
    assert write_problem(Path("/etc/new"), found) is None
    assert write_problem(Path("/.git/config"), found) is not None


def test_a_file_in_a_root_may_be_written_whether_or_not_it_exists(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    for name in ("there", "new", "new/folder/file", "a/../b", ".github/x", "sub/.git/config"):
        assert write_problem(tmp_path / name, roots(tmp_path)) is None, name


@pytest.mark.parametrize("way", ["../outside/x", "link/x", "file", "link/../x", "dangling"])
def test_a_way_out_of_the_roots_is_seen_through(tmp_path: Path, way: str) -> None:
    cwd, outside = folders(tmp_path, "cwd", "outside")
    (outside / "file").write_text("")
    (cwd / "link").symlink_to("../outside")
    (cwd / "file").symlink_to("../outside/file")
    (cwd / "dangling").symlink_to("../outside/new")
    problem = write_problem(cwd / way, roots(cwd))
    assert problem is not None
    assert "outside the folders" in problem


@pytest.mark.parametrize("name", [".git", ".git/hooks/x", ".codex/config", "a/../.git/x", "g/x"])
def test_protected_names_are_seen_through(tmp_path: Path, name: str) -> None:
    folders(tmp_path, ".git/hooks")
    (tmp_path / "g").symlink_to(".git")
    problem = write_problem(tmp_path / name, roots(tmp_path))
    assert problem is not None
    assert "is protected" in problem


def test_a_linked_git_folder_is_protected_at_both_ends(tmp_path: Path) -> None:
    folders(tmp_path, "data")
    (tmp_path / ".git").symlink_to("data")
    for name in (".git", ".git/config", "data/config"):
        assert write_problem(tmp_path / name, roots(tmp_path)) is not None


def test_names_that_no_file_can_have_are_a_problem(tmp_path: Path) -> None:
    assert write_problem(tmp_path / "a\0b", roots(tmp_path)) is not None


def test_a_home_behind_a_link_cannot_be_replaced(tmp_path: Path) -> None:
    folders(tmp_path, "dot/real")
    (tmp_path / "inner").symlink_to("dot")
    (tmp_path / "home").symlink_to("inner/real")
    found = roots(tmp_path, home=tmp_path / "home")
    for name in ("home", "inner", "dot/real"):
        assert str(tmp_path / name) in found.protected, name
    assert write_problem(tmp_path / "home" / "config.toml", found) is not None


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("home/config.toml", "dot/config.toml"),
        ("home/auth.json", "dot/auth.json"),
        ("home/AGENTS.md", "dot/AGENTS.md"),
        ("home/sessions", "dot/sessions"),
        ("home/archived_sessions", "dot/archive"),
        ("home/history.jsonl", "dot/history.jsonl"),
        ("cwd/.git/hooks", "cwd/hooks"),
        ("cwd/.git/config", "cwd/git-config"),
        ("cwd/.git/info", "cwd/info"),
        ("data/hooks", "cwd/hooks"),
    ],
)
def test_what_a_protected_link_leads_to_is_protected(
    tmp_path: Path, link: str, target: str
) -> None:
    cwd, dot, home = folders(tmp_path, "cwd", "dot", "home")
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / target)
    if link.startswith("data/"):
        (cwd / ".git").write_text("gitdir: ../data\n")
    problem = write_problem(tmp_path / target, roots(cwd, dot, home=home))
    assert problem is not None
    assert "is protected" in problem


def test_a_root_stays_where_it_was_at_first(tmp_path: Path) -> None:
    cwd, victim = folders(tmp_path, "cwd", "victim")
    places = Places()
    inner, link, missing = cwd / "inner", cwd / "link", cwd / "missing"
    inner.mkdir()
    link.symlink_to("inner")
    assert roots(cwd, inner, link, missing, places=places).moved == ()
    inner.rename(cwd / "moved")
    for path in (inner, missing):
        path.symlink_to(victim)
    found = roots(cwd, inner, link, missing, places=places)
    assert found.writable == (str(cwd),)
    assert set(found.moved) == {str(inner), str(link), str(missing)}
    assert roots(inner, places=places).writable == ()


def test_a_root_may_be_made_later_where_it_was_meant_to_be(tmp_path: Path) -> None:
    (cwd,) = folders(tmp_path, "cwd")
    places = Places()
    build = tmp_path / "out" / "build"
    assert roots(cwd, build, places=places).writable == (str(cwd),)
    build.mkdir(parents=True)
    found = roots(cwd, build, places=places)
    assert set(found.writable) == {str(cwd), str(build)}
    assert found.moved == ()


def test_what_we_run_from_is_protected(tmp_path: Path) -> None:
    cwd, _ = folders(tmp_path, "cwd", "cwd/a/core")
    installed = Installation(
        core=(f"{cwd}/a/core", "/elsewhere"), around=(f"{cwd}/.venv", str(tmp_path))
    )
    found = roots(cwd, installed=installed)
    assert found.writable == (str(cwd),)
    assert {f"{cwd}/a/core", f"{cwd}/.venv"} <= set(found.protected)
    assert write_problem(cwd / ".venv" / "bin" / "python", found) is not None
    assert write_problem(cwd / "a" / "x", found) is None


def test_a_root_inside_of_what_we_run_from_is_none(tmp_path: Path) -> None:
    (cwd,) = folders(tmp_path, "package/part")
    assert roots(cwd, installed=Installation(core=(str(tmp_path / "package"),))).writable == ()


def test_a_root_in_which_modules_are_looked_for_first_is_named(tmp_path: Path) -> None:
    cwd, library = folders(tmp_path, "cwd", "cwd/library")
    both = (str(cwd), str(library))
    installed = Installation(around=both, searched_first=both)
    found = roots(cwd, installed=installed)
    assert found.writable == found.importable == (str(cwd),)
    assert str(library) in found.protected

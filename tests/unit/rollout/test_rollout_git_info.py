"""Commit, branch and repository of a folder, without running git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.rollout.git_info import git_info, without_credentials

HASH = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


def git(folder: Path, *args: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(
        ["git", *args], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "remote", "add", "other", "https://example.org/other.git")
    git(folder, "remote", "add", "origin", "https://me:secret@example.org/it.git")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A git folder that only tests have written in."""
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    return tmp_path


def test_a_repository_is_told_from_any_folder_in_it(repository: Path) -> None:
    expected = {
        "commit_hash": git(repository, "rev-parse", "HEAD"),
        "branch": "main",
        "repository_url": "https://example.org/it.git",
    }
    (repository / "a/b").mkdir(parents=True)
    assert git_info(repository) == expected
    assert git_info(repository / "a/b") == expected
    assert git_info(repository / "a/b/not/there") == expected


def test_packed_refs_and_nested_branch_names(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "feature/x")
    git(repository, "pack-refs", "--all")
    found = git_info(repository)
    assert found["branch"] == "feature/x"
    assert found["commit_hash"] == git(repository, "rev-parse", "HEAD")


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    found = git_info(repository)
    assert "branch" not in found
    assert found["commit_hash"] == git(repository, "rev-parse", "HEAD")


def test_a_worktree_has_its_own_branch_and_the_shared_rest(repository: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "side", "../side")
    side = repository.parent / "side"
    git(side, "commit", "-q", "--allow-empty", "-m", "two")
    assert git_info(side) == {
        "commit_hash": git(side, "rev-parse", "HEAD"),
        "branch": "side",
        "repository_url": "https://example.org/it.git",
    }


def test_a_submodule_is_its_own_repository(repository: Path) -> None:
    outer = repository.parent / "outer"
    outer.mkdir()
    git(outer, "init", "-q", "-b", "outer")
    allow = ("-c", "protocol.file.allow=always")
    git(outer, *allow, "submodule", "--quiet", "add", str(repository), "inner")
    found = git_info(outer / "inner")
    assert (found["branch"], found["repository_url"]) == ("main", str(repository))


def test_outside_git_there_is_nothing(tmp_path: Path) -> None:
    assert git_info(tmp_path) == {}
    assert git_info(Path("/not/there")) == {}
    assert git_info(tmp_path / "\0") == {}


def test_a_repository_without_commits_has_a_branch(bare: Path) -> None:
    assert git_info(bare) == {"branch": "main"}


@pytest.mark.parametrize(
    "head", ["", "ref: refs/heads/../../../x", "ref: /etc/passwd", "ref:", "xyz", "\0", "ref: refs"]
)
def test_a_head_that_makes_no_sense_gives_no_commit(bare: Path, head: str) -> None:
    (bare / ".git/HEAD").write_text(head)
    (bare / ".git/config").write_text('[remote "origin"]\nurl = /x\n')
    assert "commit_hash" not in git_info(bare)
    assert git_info(bare)["repository_url"] == "/x"


def test_symbolic_refs_are_followed_but_not_for_ever(bare: Path) -> None:
    (bare / ".git/refs/heads/main").write_text("ref: refs/heads/real\n")
    (bare / ".git/refs/heads/real").write_text(HASH + "\n")
    assert git_info(bare)["commit_hash"] == HASH
    (bare / ".git/refs/heads/real").write_text("ref: refs/heads/main\n")
    assert git_info(bare) == {"branch": "main"}


def test_a_loose_ref_wins_over_a_packed_one(bare: Path) -> None:
    packed = f"# pack-refs with: peeled\n{OTHER} refs/heads/main\n^{HASH}\n{HASH} refs/heads/x\n"
    (bare / ".git/packed-refs").write_text(packed)
    assert git_info(bare)["commit_hash"] == OTHER
    (bare / ".git/refs/heads/main").write_text(HASH)
    assert git_info(bare)["commit_hash"] == HASH


def test_pipes_and_folders_in_place_of_files_do_not_hold_anyone_up(bare: Path) -> None:
    (bare / ".git/HEAD").unlink()
    os.mkfifo(bare / ".git/HEAD")
    (bare / ".git/config").mkdir()
    assert git_info(bare) == {}


def test_a_pointer_that_leads_nowhere_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: ../nowhere\n")
    assert git_info(tmp_path) == {}
    (tmp_path / ".git").write_text("what?")
    assert git_info(tmp_path) == {}


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ('[remote "origin"]\n\turl = git@example.org:a/b.git\n', "git@example.org:a/b.git"),
        ('[remote "x"]\nurl=/one\n[remote "origin"]\nurl=/two\n', "/two"),
        ('[remote "x"]\nurl=/one\n[other]\nurl=/two\n', "/one"),
        ('[REMOTE "origin"] ; c\n  URL = "/a b" # c\n', "/a b"),
        ('[remote "origin"]\nfetch = +refs\npushurl = /no\n', None),
        ('[include]\npath = /x\n[url "y"]\ninsteadOf = z\n', None),
        ("[remote\nurl = /x", None),
    ],
)
def test_the_url_is_the_origins_as_the_configuration_says_it(
    bare: Path, config: str, url: str | None
) -> None:
    (bare / ".git/config").write_text(config)
    assert git_info(bare).get("repository_url") == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a.git", "https://example.org/a.git"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("https://user@example.org/a", "https://example.org/a"),
        ("https://user:pass@example.org/a", "https://example.org/a"),
        ("https://ghp_token@example.org/a", "https://example.org/a"),
        ("https://u:p@ss@example.org/a", "https://example.org/a"),
        ("https://example.org/@scope/a", "https://example.org/@scope/a"),
        ("https://example.org/a?token=secret#x", "https://example.org/a"),
        ("https://u:p@[::1]:80/a", "https://[::1]:80/a"),
        ("ssh://git@example.org:22/a", "ssh://git@example.org:22/a"),
        ("ssh://git:secret@example.org/a", "ssh://git@example.org/a"),
        ("git@example.org:a/b", "git@example.org:a/b"),
        ("/srv/a.git", "/srv/a.git"),
        ("file:///srv/a.git", "file:///srv/a.git"),
        ("https://u:secret/more@example.org/a", None),
        ("https://u:12/secret@example.org/a", None),
        ("https://u:p@/secret@example.org/a", None),
        ("oauth2:secret@example.org/a", None),
        ("ext::sh -c 'ssh u:secret@example.org'", None),
        ("x::https://u:secret@example.org/a", None),
        ("https://example.org/\x1b[31m", None),
        ("https://example.org/" + "a" * 2000, None),
    ],
)
def test_a_url_is_shown_without_what_is_secret_in_it(url: str, shown: str | None) -> None:
    assert without_credentials(url) == shown


@settings(deadline=None, max_examples=200)
@given(
    scheme=st.sampled_from(["https", "http", "ssh", "git+ssh", "ftp"]),
    user=st.text("ab1", max_size=3),
    secret=st.text("xyzXYZ:@/?#[].", min_size=1, max_size=8).map(lambda s: f"SEC{s}RET"),
)
def test_no_part_of_a_password_is_shown(scheme: str, user: str, secret: str) -> None:
    shown = without_credentials(f"{scheme}://{user}:{secret}@example.org/a") or ""
    assert "SEC" not in shown
    assert "RET" not in shown

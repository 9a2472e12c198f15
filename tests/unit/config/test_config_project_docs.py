"""AGENTS.md: which are read, how they are joined, how much of them is used."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from config_support import Load
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.config.project_docs import read_user_instructions


def write(folder: Path, text: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "AGENTS.md"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def read(home: Path, cwd: Path, max_bytes: int = 1000) -> str | None:
    result = read_user_instructions(codex_home=home, cwd=cwd, max_bytes=max_bytes)
    assert result.warnings == ()
    return result.text


def test_home_and_project_are_joined_as_the_codex_cli_does(
    load: Load, home: Path, cwd: Path
) -> None:
    write(home, "Home rule: be polite.\n")
    write(cwd, "Repo rule: be brief.\n")
    text = load().user_instructions
    assert text == "Home rule: be polite.\n\n--- project-doc ---\n\nRepo rule: be brief.\n"


def test_all_folders_from_the_repository_root_down_are_read(home: Path, cwd: Path) -> None:
    write(cwd, "above the repository")
    (cwd / "repo" / ".git").mkdir(parents=True)
    write(cwd / "repo", "root\n")
    write(cwd / "repo" / "a" / "b", "b")
    (cwd / "repo" / "a" / "b" / "c").mkdir()
    write(cwd / "repo" / "other", "beside")
    assert read(home, cwd / "repo" / "a" / "b" / "c") == "root\n\n\nb"
    assert read(home, cwd / "repo") == "root\n"


def test_the_nearest_git_entry_is_the_root_also_if_it_is_a_file(home: Path, cwd: Path) -> None:
    (cwd / ".git").mkdir()
    write(cwd, "outer")
    write(cwd / "tree", "inner")
    (cwd / "tree" / ".git").write_text("gitdir: elsewhere")
    assert read(home, cwd / "tree") == "inner"


def test_without_a_repository_only_the_working_folder_counts(home: Path, cwd: Path) -> None:
    write(cwd, "above")
    write(cwd / "a", "here")
    (cwd / "a" / "b").mkdir()
    assert read(home, cwd / "a") == "here"
    assert read(home, cwd / "a" / "b") is None


def test_a_working_folder_behind_a_link_belongs_to_the_repository_it_is_in(
    home: Path, cwd: Path
) -> None:
    (cwd / "repo" / ".git").mkdir(parents=True)
    write(cwd / "repo", "root")
    (cwd / "repo" / "a").mkdir()
    (cwd / "link").symlink_to(cwd / "repo" / "a")
    assert read(home, cwd / "link") == "root"


def test_the_home_file_is_not_read_twice(home: Path) -> None:
    write(home, "once")
    assert read(home, home) == "once"


def test_texts_of_nothing_but_white_space_do_not_count(home: Path, cwd: Path) -> None:
    write(home, " \n")
    write(cwd, "\n\n")
    assert read(home, cwd) is None
    write(cwd, "text")
    assert read(home, cwd, max_bytes=4) == "text"


def test_no_text_is_read_if_none_is_wanted(load: Load, home: Path, cwd: Path) -> None:
    write(home, "home")
    write(cwd, "project")
    config = load("project_doc_max_bytes = 0")
    assert (config.user_instructions, config.warnings) == (None, ())


def test_the_parameter_replaces_the_texts(load: Load, home: Path) -> None:
    write(home, "home")
    assert load(user_instructions="given").user_instructions == "given"


def test_what_is_not_utf8_is_replaced(home: Path, cwd: Path) -> None:
    write(cwd, b"a\xff b\xc3")
    assert read(home, cwd) == "a\ufffd b\ufffd"


def test_all_files_together_are_bounded_and_the_cut_is_reported(
    load: Load, home: Path, cwd: Path
) -> None:
    (cwd / ".git").mkdir()
    write(home, "12345")
    cut = write(cwd, "1234567")
    left_out = write(cwd / "a", "more")
    result = read_user_instructions(codex_home=home, cwd=cwd / "a", max_bytes=10)
    assert result.text == "12345\n\n--- project-doc ---\n\n12345"
    why = "the AGENTS.md texts are longer than project_doc_max_bytes = 10"
    assert result.warnings == (f"{cut} was cut: {why}", f"{left_out} was left out: {why}")
    assert load("project_doc_max_bytes = 10").warnings == (f"{cut} was cut: {why}",)


def test_the_default_bound_is_32_kib(load: Load, cwd: Path) -> None:
    write(cwd, "x" * 40_000)
    config = load()
    assert config.user_instructions == "x" * 32 * 1024
    assert len(config.warnings) == 1


@settings(deadline=None, max_examples=100)
@given(text=st.text(min_size=1, max_size=40), max_bytes=st.integers(1, 60))
def test_a_cut_falls_between_two_characters(text: str, max_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder).resolve()
        write(cwd, text)
        result = read_user_instructions(codex_home=cwd / "home", cwd=cwd, max_bytes=max_bytes)
    used = result.text or ""
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        assert used == (text if text.strip() else "")
    elif used:
        assert text.startswith(used)
        assert max_bytes - 4 < len(used.encode()) <= max_bytes


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
def test_what_cannot_be_read_is_a_warning(load: Load, home: Path, cwd: Path) -> None:
    os.mkfifo(home / "AGENTS.md")
    (cwd / "AGENTS.md").mkdir()
    config = load()
    assert config.user_instructions is None
    assert config.warnings == (
        f"{home / 'AGENTS.md'} was left out: it is not a file",
        f"{cwd / 'AGENTS.md'} was left out: it is not a file",
    )


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_is_a_warning(load: Load, cwd: Path) -> None:
    write(cwd, "secret").chmod(0)
    assert load().warnings == (f"{cwd / 'AGENTS.md'} was left out: Permission denied",)


def test_a_link_to_itself_is_a_warning(load: Load, cwd: Path) -> None:
    (cwd / "AGENTS.md").symlink_to(cwd / "AGENTS.md")
    (warning,) = load().warnings
    assert warning.startswith(f"{cwd / 'AGENTS.md'} was left out: ")


def test_a_link_is_followed_to_a_text_of_the_same_repository_only(home: Path, cwd: Path) -> None:
    secret = home / "auth.json"
    secret.write_text('{"OPENAI_API_KEY": "sk-secret"}')
    (cwd / ".git").mkdir()
    (cwd / ".env").write_text("PASSWORD=secret")
    (cwd / "CLAUDE.md").write_text("be kind")
    for target in (secret, cwd / ".env", home / "notes.md"):
        (cwd / "AGENTS.md").unlink(missing_ok=True)
        (cwd / "AGENTS.md").symlink_to(target)
        result = read_user_instructions(codex_home=home, cwd=cwd, max_bytes=1000)
        assert result.text is None
        (warning,) = result.warnings
        assert f"it is a link to {target}" in warning
    (cwd / "AGENTS.md").unlink()
    (cwd / "AGENTS.md").symlink_to("CLAUDE.md")
    assert read(home, cwd) == "be kind"


def test_the_users_own_text_may_be_a_link_to_anywhere(home: Path, cwd: Path) -> None:
    (cwd / "dotfiles").mkdir()
    (cwd / "dotfiles" / "agents").write_text("be kind")
    (home / "AGENTS.md").symlink_to(cwd / "dotfiles" / "agents")
    assert read(home, cwd) == "be kind"

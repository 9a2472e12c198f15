"""Which files are denied, by name and on disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.sandbox.denied import DeniedFiles


def found(globs: list[str], *bases: Path) -> set[str]:
    expansion = DeniedFiles(globs, [str(base) for base in bases]).on_disk()
    assert expansion.is_complete
    return {denied.path for denied in expansion.found}


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("**/.env", [".env", "a/.env", "a/b/.env", "a/.env/below"], ["env", ".envrc", "a/x.env"]),
        ("*.pem", ["a.pem", ".pem"], ["a/b.pem", "a.pem2"]),
        ("**/*.pem", ["a.pem", "x/y/a.pem", "x/.hidden.pem"], ["pem", "x/pem/y"]),
        ("secrets/**", ["secrets", "secrets/a", "secrets/a/b"], ["a/secrets", "secrets2"]),
        ("**/secrets/**", ["secrets", "a/secrets", "a/secrets/b/c"], ["a/secrets2/b"]),
        ("secrets", ["secrets", "secrets/a"], ["secret"]),
        ("secrets/", ["secrets/a"], ["a/secrets"]),
        ("a/*/c", ["a/b/c", "a/b/c/d"], ["a/c", "a/b/x/c"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/b/c/d"], ["b/c"]),
        ("a/**/b/**/c", ["a/b/c", "a/x/b/y/z/c"], ["a/c/b", "b/c"]),
        ("key-[0-9]?", ["key-1x", "key-99"], ["key-a1", "key-1"]),
        ("key-[!0-9]", ["key-a"], ["key-1"]),
        ("./a/../b", ["b", "b/c"], ["a/b", "a"]),
        ("**", ["", "a", "a/b"], []),
        ("a b\n*", ["a b\nc"], ["a b"]),
        ("[", ["["], ["x"]),
    ],
)
def test_a_glob_denies_what_it_names_and_what_is_below(
    tmp_path: Path, glob: str, yes: list[str], no: list[str]
) -> None:
    denied = DeniedFiles([glob], [str(tmp_path)])
    for name in yes:
        assert denied.cover(os.path.join(tmp_path, name)), name
    for name in no:
        assert not denied.cover(os.path.join(tmp_path, name)), name


def test_an_absolute_glob_holds_wherever_the_session_is(tmp_path: Path) -> None:
    denied = DeniedFiles([f"{tmp_path}/keys/**"], ["/somewhere/else"])
    assert denied.cover(f"{tmp_path}/keys/id")
    assert denied.cover(f"/{tmp_path}/keys/id")
    assert not denied.cover("/somewhere/else/keys/id")


def test_a_relative_glob_holds_below_every_base(tmp_path: Path) -> None:
    write(tmp_path / "a" / ".env", tmp_path / "b" / "c" / ".env", tmp_path / "d" / ".env")
    names = found(["**/.env"], tmp_path / "a", tmp_path / "b")
    assert names == {str(tmp_path / "a" / ".env"), str(tmp_path / "b" / "c" / ".env")}


def test_a_base_is_no_glob(tmp_path: Path) -> None:
    base = tmp_path / "[ab]*"
    write(base / "x", tmp_path / "a" / "x")
    assert found(["x"], base) == {str(base / "x")}


def test_a_denied_name_is_followed_to_the_file_that_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "values")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / ".env").symlink_to("../elsewhere/values")
    (tmp_path / "base" / "b.env").symlink_to("nowhere")
    assert found(["**/*.env"], tmp_path / "base") == {str(tmp_path / "elsewhere" / "values")}


def test_folders_behind_links_are_searched_only_for_names_that_are_spelled_out(
    tmp_path: Path,
) -> None:
    write(tmp_path / "elsewhere" / "key")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "link").symlink_to("../elsewhere")
    (tmp_path / "base" / "loop").symlink_to(".")
    assert found(["link/key"], tmp_path / "base") == {str(tmp_path / "elsewhere" / "key")}
    assert found(["**/key"], tmp_path / "base") == set()


def test_reading_through_links_is_denied_by_every_name_that_the_file_has(tmp_path: Path) -> None:
    write(tmp_path / "real" / ".env", tmp_path / "values")
    (tmp_path / "way").symlink_to("real")
    (tmp_path / "innocent").symlink_to("real/.env")
    (tmp_path / "real" / "secret").symlink_to("../values")
    denied = DeniedFiles(["real/.env", "real/secret"], [str(tmp_path)])
    assert denied.cover(f"{tmp_path}/way/.env")
    assert denied.cover(f"{tmp_path}/innocent")
    assert denied.cover(f"{tmp_path}/way/../real/./.env")
    assert denied.cover(f"{tmp_path}/way/secret")
    assert not denied.cover(f"{tmp_path}/values2")


def test_a_glob_that_goes_through_a_link_covers_the_real_place(tmp_path: Path) -> None:
    write(tmp_path / "disk" / "ssh" / "id")
    (tmp_path / "ssh").symlink_to("disk/ssh")
    denied = DeniedFiles([f"{tmp_path}/ssh/**"], ["/"])
    assert denied.cover(f"{tmp_path}/disk/ssh/id")
    assert found([f"{tmp_path}/ssh/**"], Path("/")) == {str(tmp_path / "disk" / "ssh")}


def test_what_lies_in_a_denied_folder_is_not_named_again(tmp_path: Path) -> None:
    write(tmp_path / "keys" / "a.pem", tmp_path / "keys-b" / "b.pem")
    assert found(["keys", "**/*.pem"], tmp_path) == {
        str(tmp_path / "keys"),
        str(tmp_path / "keys-b" / "b.pem"),
    }


def test_names_that_are_no_text_are_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\n.env")
    write(tmp_path / name)
    assert found(["*.env"], tmp_path) == {str(tmp_path / name)}


def test_what_no_file_can_be_called_is_not_readable(tmp_path: Path) -> None:
    assert DeniedFiles([], [str(tmp_path)]).cover("/a\0b")
    assert found(["a\0b"], tmp_path) == set()


def test_more_files_than_can_be_looked_through_are_reported(tmp_path: Path) -> None:
    for n in range(5):
        write(tmp_path / str(n) / "x")
    assert not DeniedFiles(["**/.env"], [str(tmp_path)]).on_disk(3).is_complete
    # Names that are spelled out need no search.
    assert DeniedFiles(["a/b/.env"], [str(tmp_path)]).on_disk(3).is_complete


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_we_have_shut_is_denied_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path / "shut" / ".env")
    (tmp_path / "shut").chmod(0)
    try:
        assert found(["**/.env"], tmp_path) == {str(tmp_path / "shut")}
    finally:
        (tmp_path / "shut").chmod(0o700)


@pytest.mark.parametrize(
    ("glob", "held"),
    [
        ("**/.env", []),
        ("**/b/.env", ["a/b"]),
        ("a/**/.env", ["a"]),
        ("a/b/.env", ["a", "a/b"]),
        ("a/**/b/**/.env", ["a", "a/b"]),
    ],
)
def test_the_folders_are_known_whose_names_keep_a_file_denied(
    tmp_path: Path, glob: str, held: list[str]
) -> None:
    write(tmp_path / "a" / "b" / ".env")
    (denied,) = DeniedFiles([glob], [str(tmp_path)]).on_disk().found
    inside = [path for path in denied.held_by if path.startswith(f"{tmp_path}/")]
    assert sorted(inside) == [str(tmp_path / name) for name in held]


NAMES = st.sampled_from(["a", "b", ".env", "key.pem", "x y"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PARTS = st.sampled_from(["a", "b", ".env", "*.pem", "**", "*", "?", "[ab]"])
GLOBS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@given(paths=st.sets(PATHS, max_size=8), globs=st.lists(GLOBS, min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_the_search_finds_exactly_what_is_denied_by_name(paths: set[str], globs: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        for path in paths:
            try:
                write(base / path)
            except OSError:
                # Another path has a file where this one needs a folder.
                continue
        # Relative ones that begin with `**/` hold for names in more places than are searched.
        denied = DeniedFiles([f"{base}/{glob}" for glob in globs], ["/"])
        assert DeniedFiles(globs, [str(base)]).on_disk() == denied.on_disk()
        masked = [item.path for item in denied.on_disk().found]
        for parent, folders, files in os.walk(base):
            for name in (*folders, *files):
                path = os.path.join(parent, name)
                is_masked = any(path == item or path.startswith(item + "/") for item in masked)
                assert is_masked == denied.cover(path), path

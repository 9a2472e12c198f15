"""The key in auth.json is kept and forgotten, and nothing else there is touched."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_rpc.config.credentials import (
    MAX_KEY_CHARS,
    forget_key,
    has_saved_key,
    is_key,
    save_key,
)
from codex_rpc.protocol.errors import ConfigError

NAME = "OPENAI_API_KEY"
BROKEN = ['{"OPENAI_API_KEY": "s3cret"', "", '["s3cret"]', '{"OPENAI_API_KEY": ["s3cret"]}']

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
members = st.dictionaries(st.text().filter(lambda name: name != NAME), values, max_size=4)
keys = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'`"), min_size=1
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "home"


def written(home: Path, content: Any) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    file = home / "auth.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@given(members, keys)
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_else_is_in_the_file_stays(home: Path, others: dict[str, Any], key: str) -> None:
    assert is_key(key)
    file = written(home, others)
    assert not has_saved_key(home)
    assert save_key(home, key) == file
    assert has_saved_key(home)
    assert json.loads(file.read_text()) == {**others, NAME: key}
    assert forget_key(home)
    assert json.loads(file.read_text()) == others
    assert not forget_key(home)
    assert os.listdir(home) == ["auth.json"]


def test_a_missing_folder_is_made_for_its_owner_alone(home: Path) -> None:
    file = save_key(home, "sk-1")
    assert mode_of(home) == 0o700
    assert mode_of(file) == 0o600


def test_a_file_that_others_could_read_becomes_private(home: Path) -> None:
    file = written(home, {NAME: "old"})
    file.chmod(0o644)
    save_key(home, "sk-1")
    assert mode_of(file) == 0o600
    file.chmod(0o644)
    forget_key(home)
    assert mode_of(file) == 0o600


def test_the_folder_s_own_permissions_stay(home: Path) -> None:
    home.mkdir(parents=True)
    home.chmod(0o755)
    save_key(home, "sk-1")
    assert mode_of(home) == 0o755


@pytest.mark.parametrize("is_relative", [True, False])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_a_link(home: Path, is_relative: bool, is_there: bool) -> None:
    target = home.parent / "elsewhere" / "kept.json"
    target.parent.mkdir(parents=True)
    if is_there:
        target.write_text('{"tokens": 1}')
    home.mkdir()
    link = home / "auth.json"
    link.symlink_to("../elsewhere/kept.json" if is_relative else target)
    save_key(home, "sk-1")
    assert link.is_symlink()
    others = {"tokens": 1} if is_there else {}
    assert json.loads(target.read_text()) == {**others, NAME: "sk-1"}
    assert mode_of(target) == 0o600
    assert forget_key(home)
    assert link.is_symlink()
    assert os.listdir(home) == ["auth.json"]
    assert os.listdir(target.parent) == ["kept.json"]


@pytest.mark.parametrize("content", BROKEN)
def test_a_file_that_is_not_understood_stays_as_it_was(home: Path, content: str) -> None:
    file = written(home, content)
    for act in (has_saved_key, forget_key):
        with pytest.raises(ConfigError, match=r"auth\.json") as raised:
            act(home)
        assert "s3cret" not in str(raised.value)
    assert file.read_text() == content


@pytest.mark.parametrize("content", BROKEN[:3])
def test_nothing_is_saved_over_what_is_not_understood(home: Path, content: str) -> None:
    file = written(home, content)
    with pytest.raises(ConfigError, match=r"auth\.json"):
        save_key(home, "sk-1")
    assert file.read_text() == content
    assert os.listdir(home) == ["auth.json"]


def test_a_link_that_leads_to_itself_is_an_error(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "auth.json").symlink_to("auth.json")
    for act in (lambda: save_key(home, "sk-1"), lambda: forget_key(home)):
        with pytest.raises(ConfigError, match=r"cannot read .*auth\.json"):
            act()


def test_what_cannot_be_written_leaves_nothing_behind(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "auth.json").symlink_to("no-such-folder/auth.json")
    with pytest.raises(FileNotFoundError):
        save_key(home, "sk-1")
    assert os.listdir(home) == ["auth.json"]


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "sk 1", "sk-1\n", "sk-1\r", "sk\t1", "sk-\x00", "sk-\x7f", "sk-é"),
        *("sk-1\u2028", "\ufeffsk-1", '"sk-1"', "'sk-1'", "`sk-1`", "k" * (MAX_KEY_CHARS + 1)),
    ],
)
def test_what_has_characters_that_no_key_has_is_none(text: str) -> None:
    assert not is_key(text)


@pytest.mark.parametrize("text", ["k", "sk-proj-Ab_9.x~", "a+b/c==", "k" * MAX_KEY_CHARS])
def test_whatever_a_header_takes_may_be_a_key(text: str) -> None:
    assert is_key(text)

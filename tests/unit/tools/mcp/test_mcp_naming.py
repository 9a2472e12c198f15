"""The names under which the model calls MCP tools."""

from __future__ import annotations

import re
from itertools import permutations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codex_rpc.tools.mcp.naming import tool_names

VALID = re.compile(r"[a-zA-Z0-9_-]{1,64}")

# Few characters, so that collisions happen, and long repetitions of them.
_PART = st.text("a_.-é", max_size=5) | st.text("ab", min_size=60, max_size=70)
_KEYS = st.lists(st.tuples(_PART, _PART), max_size=12)


@given(_KEYS)
@example([("a", "b__c"), ("a__b", "c")])
@settings(deadline=None, max_examples=200)
def test_every_tool_has_a_valid_name_of_its_own_whatever_the_order(
    keys: list[tuple[str, str]],
) -> None:
    names = tool_names(keys)
    assert all(VALID.fullmatch(name) for name in names)
    assert sorted(names.values()) == sorted(set(keys))
    assert list(names) == sorted(names)
    assert tool_names(reversed(keys)) == names


def test_a_valid_name_is_server_and_tool() -> None:
    assert tool_names([("git", "log"), ("git", "add")]) == {
        "git__add": ("git", "add"),
        "git__log": ("git", "log"),
    }


def test_what_is_not_allowed_becomes_an_underscore() -> None:
    assert list(tool_names([("my.server", "read file/é")])) == ["my_server__read_file__"]


def test_tools_that_would_share_a_name_all_get_a_digest() -> None:
    first, second = tool_names([("a", "x.y"), ("a", "x_y")])
    assert first != second
    assert {first[:7], second[:7]} == {"a__x_y_"}


def test_a_long_name_keeps_its_beginning() -> None:
    (name,) = tool_names([("server", "x" * 100)])
    assert name.startswith("server__xxx")
    assert len(name) == 64


def test_a_tool_that_is_called_like_a_digest_takes_nothing_away() -> None:
    keys = [("a", "x.y"), ("a", "x_y")]
    (stolen, _) = tool_names(keys)
    thief = ("a", stolen.removeprefix("a__"))
    names = tool_names([*keys, thief])
    assert names[stolen] == thief
    assert len(names) == 3


@pytest.mark.parametrize("order", list(permutations([("a", "b__c"), ("a__b", "c"), ("z", "z")])))
def test_a_collision_does_not_rename_others(order: tuple[tuple[str, str], ...]) -> None:
    assert tool_names(order)["z__z"] == ("z", "z")

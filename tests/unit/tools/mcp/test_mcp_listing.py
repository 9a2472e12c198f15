"""Tools as servers list them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.config.settings import McpServer
from codex_rpc.tools.mcp.listing import mended, offered, parameters

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "items", "required", "anyOf", "$schema", "$defs", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
_MEMBERS = dict.fromkeys(
    ("name", "title", "description", "inputSchema", "outputSchema", "annotations"), _JSON
)


@given(st.fixed_dictionaries({}, optional=_MEMBERS) | _JSON)
@settings(deadline=None, max_examples=200)
def test_whatever_a_server_lists_is_mended_so_that_the_package_takes_it(definition: Any) -> None:
    # Imported here: collecting tests should not take that second.
    from mcp_types import methods

    tool = mended(definition)
    if tool is None:
        return
    methods.validate_server_result("tools/list", "2025-11-25", {"tools": [tool]})
    made = parameters(tool["inputSchema"])
    assert made["type"] == "object"
    assert isinstance(made["properties"], dict)
    orjson.dumps(made)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (None, {"type": "object", "properties": {}}),
        ({"properties": {"a": {"type": "string"}}}, "as it is, with a type"),
        (
            {"type": "object", "properties": {"a": {"type": "array"}, "b": True}},
            {"type": "object", "properties": {"a": {"type": "array", "items": {}}, "b": {}}},
        ),
        (
            {"type": "object", "properties": {"a": {"properties": {}}}, "oneOf": [{}]},
            {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}},
        ),
        (
            {"type": "object", "properties": {"a": {"type": ["object", "null"]}}},
            {
                "type": "object",
                "properties": {"a": {"type": ["object", "null"], "properties": {}}},
            },
        ),
    ],
)
def test_parameters_say_what_a_strict_server_wants_to_know(schema: Any, expected: Any) -> None:
    tool = mended({"name": "a", "inputSchema": schema})
    assert tool is not None
    if isinstance(expected, str):
        expected = {**schema, "type": "object"}
    assert parameters(tool["inputSchema"]) == expected


@pytest.mark.parametrize(
    "definition",
    [
        None,
        [],
        {},
        {"name": 1},
        {"name": ""},
        {"name": "a", "inputSchema": {"maximum": 1 << 70}},
    ],
)
def test_what_cannot_be_mended_is_no_tool(definition: Any) -> None:
    assert mended(definition) is None


def test_members_that_are_not_as_the_protocol_says_are_left_out() -> None:
    definition = {
        "name": "a",
        "title": 1,
        "description": "does it",
        "outputSchema": {"type": "string"},
        "annotations": {"readOnlyHint": "yes", "idempotentHint": True, "title": "A"},
        "icons": 3,
    }
    assert mended(definition) == {
        "name": "a",
        "description": "does it",
        "inputSchema": {"type": "object", "properties": {}},
        "annotations": {"idempotentHint": True, "title": "A"},
    }


def _names(**settings: Any) -> list[str]:
    listed = [{"name": name, "inputSchema": {}} for name in ("c", "a", "b", "a")]
    return [tool.name for tool in offered(McpServer(name="s", **settings), listed)]


def test_tools_are_sorted_and_each_is_there_once() -> None:
    assert _names() == ["a", "b", "c"]


def test_only_enabled_tools_that_are_not_disabled_are_offered() -> None:
    assert _names(enabled_tools=("a", "c", "z"), disabled_tools=("c",)) == ["a"]
    assert _names(disabled_tools=("c",)) == ["a", "b"]
    assert _names(enabled_tools=()) == []

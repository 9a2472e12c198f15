"""The converter: what goes out comes back, and what does not fit is named by its path."""

from __future__ import annotations

import types
import typing
from datetime import UTC, datetime
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import jsonschema
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.protocol import ops, params
from codex_rpc.protocol.converter import structure, union_members, unstructure, utc_text
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.events import EventMsg, FileChange
from codex_rpc.protocol.ops import Op
from codex_rpc.protocol.policy import SANDBOX_MODES, SandboxPolicy
from codex_rpc.protocol.schema import protocol_schema

SCHEMA = protocol_schema("0")
text = st.text(st.characters(codec="utf-8"), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)


def instances(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type of the vocabulary."""
    simple = {str: text, int: st.integers(-(2**53), 2**53), bool: st.booleans(), Any: json_values}
    if hint in simple:
        return simple[hint]
    if hint is type(None):
        return st.none()
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, types.UnionType):
        return st.one_of(*(instances(member) for member in args))
    if origin is list:
        return st.lists(instances(args[0]), max_size=3)
    if origin is tuple:
        return st.lists(instances(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(text, instances(args[1]), max_size=2)
    if hint is SandboxPolicy:
        # Only workspace-write says more than its mode.
        modes = st.sampled_from(SANDBOX_MODES).map(lambda mode: SandboxPolicy(mode=mode))
        roots = st.lists(text, max_size=2).map(tuple)
        full = st.builds(
            SandboxPolicy,
            mode=st.just("workspace-write"),
            writable_roots=roots,
            network_access=st.booleans(),
        )
        return modes | full
    if hint is ops.UserInput:
        return st.lists(instances(ops.InputItem), min_size=1, max_size=3).map(ops.UserInput)
    if hint is ops.Position:
        return st.builds(ops.Position, st.integers(0, 2**53), st.integers(0, 2**53))
    if hint is FileChange:
        hints = typing.get_type_hints(FileChange)
        add, update = (get_args(hints[name])[0] for name in ("add", "update"))
        return st.builds(FileChange, add=instances(add)) | st.builds(
            FileChange, update=instances(update)
        )
    hints = typing.get_type_hints(hint)
    members = {a.name: instances(hints[a.name]) for a in attrs.fields(hint)}
    return st.builds(hint, **members)


UNIONS = {"Op": Op, "EventMsg": EventMsg}


@pytest.mark.parametrize("name", UNIONS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_everything_survives_the_wire_and_fits_the_schema(name: str, data: st.DataObject) -> None:
    union = UNIONS[name]
    member = data.draw(st.sampled_from(sorted(union_members(union))))
    value = data.draw(instances(union_members(union)[member]))
    wire = orjson.loads(orjson.dumps(unstructure(value)))
    assert wire["type"] == member
    assert structure(wire, union) == value
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}).validate(
        wire
    )


@pytest.mark.parametrize("method", params.METHODS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_params_survive_the_wire_and_fit_the_schema(method: str, data: st.DataObject) -> None:
    cls, _ = params.METHODS[method]
    value = data.draw(instances(cls))
    wire = orjson.loads(orjson.dumps(unstructure(value)))
    assert structure(wire, cls) == value
    schema = {**SCHEMA["methods"][method]["params"], "$defs": SCHEMA["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(wire)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(
        {"$schema": SCHEMA["$schema"], "$defs": SCHEMA["$defs"]}
    )


SUBMIT = {"sessionId": "s", "op": {"type": "user_input", "items": [{"type": "text", "text": "x"}]}}


@pytest.mark.parametrize(
    ("value", "cls", "path", "expected"),
    [
        ({"op": {"type": "interrupt"}}, params.SubmitParams, "sessionId", "string"),
        ({"sessionId": 1, "op": {"type": "interrupt"}}, params.SubmitParams, "sessionId", "string"),
        ({"sessionId": "s"}, params.SubmitParams, "op", None),
        ({"sessionId": "s", "op": []}, params.SubmitParams, "op", "object"),
        ({"sessionId": "s", "op": {}}, params.SubmitParams, "op.type", None),
        ({"sessionId": "s", "op": {"type": "nope"}}, params.SubmitParams, "op.type", None),
        ({**SUBMIT, "op": {"type": "user_input"}}, params.SubmitParams, "op.items", None),
        (
            {**SUBMIT, "op": {"type": "user_input", "items": []}},
            params.SubmitParams,
            "op.items",
            "at least one item",
        ),
        (
            {**SUBMIT, "op": {"type": "user_input", "items": "text"}},
            params.SubmitParams,
            "op.items",
            None,
        ),
        (
            {**SUBMIT, "op": {"type": "user_input", "items": [{"type": "text", "text": 5}]}},
            params.SubmitParams,
            "op.items[0].text",
            "string",
        ),
        (
            {**SUBMIT, "op": {"type": "user_input", "items": [{"type": "text"}]}},
            params.SubmitParams,
            "op.items[0].text",
            "string",
        ),
        (
            {**SUBMIT, "op": {"type": "exec_approval", "id": "c", "decision": "maybe"}},
            params.SubmitParams,
            "op.decision",
            '"approved" | "approved_for_session" | "denied" | "abort"',
        ),
        (
            {**SUBMIT, "op": {"type": "override_turn_context", "colour": 1}},
            params.SubmitParams,
            "op.colour",
            None,
        ),
        (
            {**SUBMIT, "op": {"type": "configure_session", "resume_path": "/x"}},
            params.SubmitParams,
            "op.resume_path",
            None,
        ),
        ({}, params.ConfigureParams, "cwd", "string"),
        ({"cwd": "/", "colour": 1}, params.ConfigureParams, "colour", None),
        ({"cwd": "/", "notify": "program"}, params.ConfigureParams, "notify", "array of string"),
        ({"cwd": "/", "notify": [1]}, params.ConfigureParams, "notify[0]", "string"),
        (
            {"cwd": "/", "sandboxPolicy": {"mode": "workspace-write", "writable_roots": "ab"}},
            params.ConfigureParams,
            "sandboxPolicy.writable_roots",
            "array of string",
        ),
        ({"cwd": "/", "sandboxPolicy": "open"}, params.ConfigureParams, "sandboxPolicy", None),
        ({"cwd": "/", "config": []}, params.ConfigureParams, "config", "object"),
        ({"limit": True}, params.ListParams, "limit", "integer"),
        ({"limit": 1.5}, params.ListParams, "limit", "integer"),
        ([], params.ListParams, "", "object"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(
    value: Any, cls: type, path: str, expected: str | None
) -> None:
    with pytest.raises(InvalidParams) as caught:
        structure(value, cls)
    assert caught.value.path == path
    if expected is not None:
        assert caught.value.expected == expected


def test_unknown_members_of_other_ops_are_ignored() -> None:
    wire = {"type": "interrupt", "reason": "bored"}
    assert structure(wire, Op) == ops.Interrupt()


def test_a_bare_sandbox_mode_is_a_policy() -> None:
    value = structure({"cwd": "/", "sandboxPolicy": "read-only"}, params.ConfigureParams)
    assert value.sandbox_policy == SandboxPolicy(mode="read-only")


def test_optional_members_are_left_out_and_others_are_there_even_if_null() -> None:
    from codex_rpc.protocol.events import TaskComplete, TaskStarted

    assert unstructure(TaskStarted()) == {"type": "task_started"}
    assert unstructure(TaskComplete(None)) == {"type": "task_complete", "last_agent_message": None}


def test_times_are_utc_with_milliseconds() -> None:
    moment = datetime(2026, 11, 22, 16, 29, 43, 832_999, tzinfo=UTC)
    assert utc_text(moment) == "2026-11-22T16:29:43.832Z"

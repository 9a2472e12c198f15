"""The one converter between JSON values and the vocabulary.

Structuring is strict: no coercion, errors carry the path of the first offending value in
the wire's own names. Classes choose their manners by class variables: `camel` (member
names are camelCase on the wire), `forbid_unknown`, and `type` (a tagged union's member).
"""

from __future__ import annotations

import types
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import list_structure_factory, mapping_structure_factory
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from codex_rpc.protocol.errors import InvalidParams, Mismatch
from codex_rpc.protocol.events import EventMsg, FileChange
from codex_rpc.protocol.ops import InputItem, Op
from codex_rpc.protocol.policy import SANDBOX_MODES, SandboxPolicy
from codex_rpc.protocol.records import Damage

T = TypeVar("T")


def camel(name: str) -> str:
    """`rollout_path` -> `rolloutPath`."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def wire_name(cls: type, attribute: str) -> str:
    """The name of a member on the wire."""
    return camel(attribute) if getattr(cls, "camel", False) else attribute


def describe(expected: Any) -> str:
    """A type in words that a client's author understands."""
    if expected is Any:
        return "any value"
    origin = get_origin(expected)
    if origin is Literal:
        return " | ".join(f'"{value}"' for value in get_args(expected))
    if origin in (Union, types.UnionType):
        members = [m for m in get_args(expected) if m is not type(None)]
        return " | ".join(dict.fromkeys(describe(m) for m in members))
    if origin in (list, tuple):
        return f"array of {describe(get_args(expected)[0])}"
    if origin is dict or expected is dict:
        return "object"
    words = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return words.get(expected, "object")


def union_members(union: Any) -> dict[str, type]:
    """The members of a tagged union by their tags."""
    return {member.type: member for member in get_args(union)}


def _primitive(cls: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not cls and not (cls is float and type(value) is int):
            raise Mismatch(describe(cls))
        return value

    return structure


def _is_literal(target: Any) -> bool:
    return get_origin(target) is Literal


def _is_array(target: Any) -> bool:
    return get_origin(target) in (list, tuple)


def _is_object(target: Any) -> bool:
    return get_origin(target) is dict


def _literal(value: Any, expected: Any) -> Any:
    if not isinstance(value, str) or value not in get_args(expected):
        raise Mismatch(describe(expected))
    return value


def _structure_tagged(converter: cattrs.Converter, union: Any) -> Callable[[Any, Any], Any]:
    members = union_members(union)

    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, dict):
            raise Mismatch("object")
        tag = value.get("type")
        member = members.get(tag) if isinstance(tag, str) else None
        if member is None:
            raise Mismatch(" | ".join(f'"{name}"' for name in members), at=".type")
        rest = {key: item for key, item in value.items() if key != "type"}
        return converter.structure(rest, member)

    return structure


def _structure_sandbox(converter: cattrs.Converter) -> Callable[[Any, Any], SandboxPolicy]:
    inner = make_dict_structure_fn(SandboxPolicy, converter, _cattrs_forbid_extra_keys=True)

    def structure(value: Any, _: Any) -> SandboxPolicy:
        if isinstance(value, str):
            if value not in SANDBOX_MODES:
                raise Mismatch(" | ".join(f'"{mode}"' for mode in SANDBOX_MODES))
            value = {"mode": value}
        if not isinstance(value, dict):
            raise Mismatch("object or mode string")
        policy: SandboxPolicy = inner(value, SandboxPolicy)
        return policy

    return structure


def _unstructure_sandbox(policy: SandboxPolicy) -> dict[str, Any]:
    if policy.mode != "workspace-write":
        return {"mode": policy.mode}
    return {
        "mode": policy.mode,
        "writable_roots": list(policy.writable_roots),
        "network_access": policy.network_access,
    }


def _renames(cls: Any) -> dict[str, Any]:
    return {a.name: override(rename=wire_name(cls, a.name)) for a in attrs.fields(cls)}


def _build() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)
    for cls in (str, int, float, bool):
        converter.register_structure_hook(cls, _primitive(cls))
    converter.register_structure_hook_func(_is_literal, _literal)

    def array_structure(cls: Any) -> Callable[[Any, Any], Any]:
        # cattrs takes any iterable for a list, the characters of a string included.
        build = get_origin(cls)
        element = get_args(cls)[0]
        inner = list_structure_factory(list[element], converter)  # type: ignore[valid-type]

        def structure(value: Any, _: Any) -> Any:
            if not isinstance(value, list):
                raise Mismatch(describe(cls))
            return build(inner(value, list[element]))  # type: ignore[valid-type]

        return structure

    converter.register_structure_hook_factory(_is_array, array_structure)

    def object_structure(cls: Any) -> Callable[[Any, Any], Any]:
        inner = mapping_structure_factory(cls, converter)

        def structure(value: Any, target: Any) -> Any:
            if not isinstance(value, dict):
                raise Mismatch("object")
            return inner(value, target)

        return structure

    converter.register_structure_hook_factory(_is_object, object_structure)

    def class_structure(cls: Any) -> Callable[[Any, Any], Any]:
        names = _renames(cls)
        inner = make_dict_structure_fn(
            cls,
            converter,
            _cattrs_forbid_extra_keys=getattr(cls, "forbid_unknown", False),
            **names,
        )

        def structure(value: Any, target: Any) -> Any:
            if not isinstance(value, dict):
                raise Mismatch("object")
            return inner(value, target)

        return structure

    def class_unstructure(cls: Any) -> Callable[[Any], dict[str, Any]]:
        names = _renames(cls)
        inner = make_dict_unstructure_fn(
            cls, converter, _cattrs_omit_if_default=getattr(cls, "omit_defaults", True), **names
        )
        tag = getattr(cls, "type", None)
        if not isinstance(tag, str):
            return inner
        return lambda value: {"type": tag, **inner(value)}

    converter.register_structure_hook_factory(attrs.has, class_structure)
    converter.register_unstructure_hook_factory(attrs.has, class_unstructure)
    for union in (Op, InputItem, EventMsg):
        converter.register_structure_hook(union, _structure_tagged(converter, union))
        converter.register_unstructure_hook(union, converter.unstructure)

    def change(value: Any, _: Any) -> Any:
        return value if value == "delete" else converter.structure(value, FileChange)

    converter.register_structure_hook(Literal["delete"] | FileChange, change)
    converter.register_unstructure_hook(Literal["delete"] | FileChange, converter.unstructure)
    converter.register_structure_hook(SandboxPolicy, _structure_sandbox(converter))
    converter.register_unstructure_hook(SandboxPolicy, _unstructure_sandbox)
    converter.register_unstructure_hook(datetime, utc_text)
    converter.register_unstructure_hook(
        Damage, lambda d: {"line": d.line_no, "bytes": d.byte_count, "reason": d.reason}
    )
    return converter


def utc_text(moment: datetime) -> str:
    """A moment as `2026-11-22T16:29:43.832Z`."""
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


converter = _build()


def structure(value: Any, cls: type[T], *, at: str = "") -> T:
    """`value`, a JSON value, as a `cls`.

    Raises:
        InvalidParams: it does not fit; the path begins with `at`.
    """
    try:
        result: T = converter.structure(value, cls)
    except (BaseValidationError, ForbiddenExtraKeysError, KeyError, ValueError, TypeError) as exc:
        path, expected = _first_fault(exc)
        raise InvalidParams((at + path).lstrip("."), expected) from exc
    return result


def unstructure(value: Any) -> Any:
    """`value`, of the vocabulary, as a JSON value."""
    return converter.unstructure(value)


def _first_fault(exc: BaseException) -> tuple[str, str]:
    """Where below the given value the first fault is, and what was expected there."""
    if isinstance(exc, Mismatch):
        return exc.at, exc.expected
    if isinstance(exc, ForbiddenExtraKeysError):
        extra = min(exc.extra_fields)
        known = ", ".join(sorted(wire_name(exc.cl, a.name) for a in attrs.fields(exc.cl)))
        return f".{extra}", f"no such member; known are {known}"
    if isinstance(exc, BaseValidationError):
        fault = exc.exceptions[0]
        step, hint = "", None
        for note in getattr(fault, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                step, hint = f".{wire_name(exc.cl, note.name)}", note.type
            elif isinstance(note, IterableValidationNote):
                index = note.index
                step = f"[{index}]" if isinstance(index, int) else f".{index}"
                hint = note.type
        if isinstance(fault, KeyError) and hint is not None:
            return step, describe(hint)
        path, expected = _first_fault(fault)
        return step + path, expected
    if isinstance(exc, KeyError):
        return "", "a required member"
    return getattr(exc, "at", ""), str(exc) or type(exc).__name__

"""The official JSON Schema of the Agent Client Protocol, held against single frames.

What the agent writes has, beside that, no member that the schema does not name: the protocol wants
whatever is an agent's own in `_meta`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[1] / "golden/acp/schema.json"


ENV_VAR = re.compile(r"\$\.authMethods\[\d+\]\.(type|vars)")
"""Of the authentication method `env_var`, which the schemas before 2.0 name and clients know; to
this one it is a method without a type."""


class WrongFrame(AssertionError):
    """Raised when a frame is not what the schema says."""


@cache
def _definitions() -> dict[str, Any]:
    definitions: dict[str, Any] = json.loads(SCHEMA.read_text())["$defs"]
    return definitions


@cache
def _names() -> dict[tuple[str, str, str], str]:
    """The definition for (who has the method, method, Request, Response or Notification)."""
    kinds = ("Request", "Response", "Notification")
    return {
        (value["x-side"], value["x-method"], kind): name
        for name, value in _definitions().items()
        if "x-method" in value
        for kind in kinds
        if name.endswith(kind)
    }


@cache
def validator(name: str) -> Draft202012Validator:
    """For the definition of that name."""
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _definitions()})


def check(name: str, value: Any) -> None:
    """`value` is a `name`; raises WrongFrame."""
    problem = next(validator(name).iter_errors(value), None)
    if problem is not None:
        raise WrongFrame(f"no {name}: {problem.json_path}: {problem.message[:500]}")


def unnamed(name: str, value: Any) -> Iterator[str]:
    """The paths of those members of `value`, which is a `name`, that the schema does not name."""
    return _unnamed([_definitions()[name]], value, "$")


def _unnamed(schemas: list[dict[str, Any]], value: Any, path: str) -> Iterator[str]:
    parts = [part for schema in schemas for part in _parts(schema, value)]
    if isinstance(value, dict):
        if any(part.get("additionalProperties") for part in parts):
            return
        if not any("properties" in part for part in parts):
            return
        for key, member in value.items():
            known = [p["properties"][key] for p in parts if key in p.get("properties", {})]
            if known:
                yield from _unnamed(known, member, f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(value, list):
        items = [part["items"] for part in parts if "items" in part]
        for index, item in enumerate(value if items else ()):
            yield from _unnamed(items, item, f"{path}[{index}]")


def _parts(schema: dict[str, Any], value: Any) -> Iterator[dict[str, Any]]:
    """`schema`, and whatever else it says of `value` by reference or as one of several forms."""
    yield schema
    if "$ref" in schema:
        yield from _parts(_definitions()[schema["$ref"].removeprefix("#/$defs/")], value)
    for part in schema.get("allOf", ()):
        yield from _parts(part, value)
    for form in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        if _may_be(form, value):
            yield from _parts(form, value)


def _may_be(form: dict[str, Any], value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    return all(
        part.get("type") != "null"
        and set(part.get("required", ())) <= value.keys()
        and all(
            "const" not in member or value.get(key) == member["const"]
            for key, member in part.get("properties", {}).items()
        )
        for part in _parts(form, value)
    )


class Conversation:
    """Both directions of one connection: every frame is checked, answers by what they answer."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, Any], str] = {}
        """The methods that wait for an answer, by who was asked and the id."""

    def from_agent(self, frame: Any) -> None:
        """Check a frame that the agent has written."""
        self._take(frame, speaker="agent", other="client")

    def from_client(self, frame: Any) -> None:
        """Check a frame that the client has written."""
        self._take(frame, speaker="client", other="agent")

    def _take(self, frame: Any, *, speaker: str, other: str) -> None:
        if not isinstance(frame, dict) or frame.get("jsonrpc") != "2.0":
            raise WrongFrame(f"no JSON-RPC 2.0: {frame!r:.200}")
        method = frame.get("method")
        if method is None:
            self._answer(frame, speaker)
            return
        kind = "Request" if "id" in frame else "Notification"
        side = "protocol" if method.startswith("$/") else other
        name = _names().get((side, method, kind))
        if name is None:
            raise WrongFrame(f"the protocol has no such {kind.lower()}: {method}")
        _check_said(name, frame.get("params", {}), speaker)
        if kind == "Request":
            self._asked[other, frame["id"]] = method

    def _answer(self, frame: dict[str, Any], speaker: str) -> None:
        if ("result" in frame) == ("error" in frame) or "id" not in frame:
            raise WrongFrame(f"neither a result nor an error: {frame!r:.200}")
        if "error" in frame:
            check("Error", frame["error"])
        method = self._asked.pop((speaker, frame["id"]), None)
        if method is None:
            if "result" in frame:
                raise WrongFrame(f"answers nothing that was asked: {frame!r:.200}")
            return
        if "result" in frame:
            _check_said(_names()[speaker, method, "Response"], frame["result"], speaker)


def _check_said(name: str, value: Any, speaker: str) -> None:
    check(name, value)
    if speaker != "agent":
        return
    more = [path for path in unnamed(name, value) if not ENV_VAR.fullmatch(path)]
    if more:
        raise WrongFrame(f"no members of a {name}: {', '.join(more)}")

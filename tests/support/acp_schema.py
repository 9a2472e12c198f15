"""The official JSON Schema of the Agent Client Protocol, held against single frames."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[1] / "golden/acp/schema.json"


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
        check(name, frame.get("params", {}))
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
            check(_names()[speaker, method, "Response"], frame["result"])

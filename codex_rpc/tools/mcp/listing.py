"""What a server says about its tools, in the form that the model's API takes.

Servers are written by many hands: what they list is mended where it can be, and a tool that
cannot is left out, so that one odd tool does not cost all the others. Owns the reading of a tool's
definition. It does not know how the list was asked for, nor whether a tool may be called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from attrs import field

from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.frozen import frozen

MAX_DEPTH = 32
"""How deep schemas are looked at; what lies deeper is taken as it is."""

_TEXTS = ("title", "description")
_HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
_NOT_AT_THE_TOP = ("anyOf", "oneOf", "allOf", "enum", "const", "not")
_SCHEMAS = ("items", "additionalProperties", "not")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMA_TABLES = ("properties", "$defs", "definitions", "patternProperties")


@frozen(kw_only=True)
class Tool:
    """One tool of one server."""

    server: str
    name: str
    """As the server calls it."""
    definition: Mapping[str, Any] = field(repr=False)
    """As `mended` makes it."""

    @property
    def read_only(self) -> bool:
        """Whether the server says that it changes nothing."""
        return self.definition.get("annotations", {}).get("readOnlyHint") is True

    def spec(self, name: str) -> dict[str, Any]:
        """The definition for the model, which calls it `name`."""
        return {
            "type": "function",
            "name": name,
            "description": self.definition.get("description", ""),
            "strict": False,
            "parameters": parameters(self.definition["inputSchema"]),
        }


def offered(server: McpServer, definitions: Iterable[Mapping[str, Any]]) -> list[Tool]:
    """The tools that are enabled, sorted by name; of two with one name, the first."""
    by_name: dict[str, Tool] = {}
    for definition in definitions:
        name = definition["name"]
        enabled = server.enabled_tools is None or name in server.enabled_tools
        if enabled and name not in server.disabled_tools and name not in by_name:
            by_name[name] = Tool(server=server.name, name=name, definition=definition)
    return [by_name[name] for name in sorted(by_name)]


def mended(definition: Any) -> dict[str, Any] | None:
    """A tool as a server lists it, without what is not as the protocol says; None: no tool."""
    if not isinstance(definition, dict):
        return None
    name = definition.get("name")
    if not isinstance(name, str) or not name:
        return None
    tool: dict[str, Any] = {"name": name}
    tool |= {key: definition[key] for key in _TEXTS if isinstance(definition.get(key), str)}
    tool["inputSchema"] = _object_schema(definition.get("inputSchema"))
    output = definition.get("outputSchema")
    if isinstance(output, dict) and output == _object_schema(output):
        tool["outputSchema"] = output
    annotations = definition.get("annotations")
    if isinstance(annotations, dict):
        tool["annotations"] = {
            hint: annotations[hint] for hint in _HINTS if isinstance(annotations.get(hint), bool)
        }
        if isinstance(annotations.get("title"), str):
            tool["annotations"]["title"] = annotations["title"]
    try:
        orjson.dumps(tool)
    except orjson.JSONEncodeError:
        # Numbers of more than 64 bits, or nested too deep: no request could be made with it.
        return None
    return tool


def parameters(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`inputSchema` without what the model's API refuses.

    It wants an object with properties at the top, and none of the combinators there; an array
    must say what its items are, and an object what its properties are.
    """
    top = {key: value for key, value in schema.items() if key not in _NOT_AT_THE_TOP}
    made: dict[str, Any] = _made_explicit(top | {"type": "object"}, MAX_DEPTH)
    return made


def _object_schema(schema: Any) -> dict[str, Any]:
    """`schema` as the protocol wants it at the top."""
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}}
    kept = dict(schema) | {"type": "object"}
    if not isinstance(kept.get("$schema", ""), str):
        del kept["$schema"]
    if "properties" in kept:
        properties = kept["properties"] if isinstance(kept["properties"], dict) else {}
        kept["properties"] = {
            name: value for name, value in properties.items() if isinstance(value, dict | bool)
        }
    if "required" in kept:
        required = kept["required"] if isinstance(kept["required"], list) else []
        kept["required"] = [name for name in required if isinstance(name, str)]
    return kept


def _made_explicit(schema: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth == 0:
        return schema
    made = dict(schema)
    for key in _SCHEMAS:
        if key in made:
            made[key] = _made_explicit(made[key], depth - 1)
    for key in _SCHEMA_LISTS:
        if isinstance(made.get(key), list):
            made[key] = [_made_explicit(each, depth - 1) for each in made[key]]
    for key in _SCHEMA_TABLES:
        if isinstance(made.get(key), dict):
            made[key] = {
                # `true` as a schema of a property: anything.
                name: {} if value is True else _made_explicit(value, depth - 1)
                for name, value in made[key].items()
            }
    if "type" not in made and isinstance(made.get("properties"), dict):
        made["type"] = "object"
    if "type" not in made and "items" in made:
        made["type"] = "array"
    kinds = made.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "object" in kinds and not isinstance(made.get("properties"), dict):
        made["properties"] = {}
    if "array" in kinds and not isinstance(made.get("items"), dict):
        made["items"] = {}
    return made

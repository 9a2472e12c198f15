#!/usr/bin/env python3
"""Writes lua/codex/protocol.lua: the protocol's types as LuaCATS classes, from `codex-rpc schema`.

    scripts/protocol_types.py            write the file
    scripts/protocol_types.py --check    exit with 1, and say so, if it is not what would be written

Needs nothing but Python and an installed `codex-rpc` (or `--schema FILE`, `-` for stdin).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "lua" / "codex" / "protocol.lua"
PREFIX = "codex.protocol."
SIMPLE = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "null": "nil",
    "object": "table",
}
HEAD = """\
---@meta
-- The types of the native protocol. Written by scripts/protocol_types.py from `codex-rpc schema`;
-- what they mean is in codex_rpc/protocol/PROTOCOL.md. Neovim never loads this file.
"""


def lua_type(schema: dict[str, Any]) -> str:
    """A schema as a LuaCATS type."""
    if "$ref" in schema:
        return PREFIX + schema["$ref"].rsplit("/", 1)[1]
    if "const" in schema:
        return literal(schema["const"])
    if "enum" in schema:
        return "|".join(map(literal, schema["enum"]))
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return "|".join(dict.fromkeys(map(lua_type, schema[union])))
    kind = schema.get("type")
    if isinstance(kind, list):
        return "|".join(SIMPLE[one] for one in kind)
    if kind == "array":
        return array_of(lua_type(schema.get("items", {})))
    if kind == "object" and "properties" in schema:
        return inline(schema)
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"table<string, {lua_type(schema['additionalProperties'])}>"
    return SIMPLE[kind] if kind else "any"


def literal(value: Any) -> str:
    """A constant as a type."""
    return json.dumps(value).replace('"', "'")


def array_of(item: str) -> str:
    """A list of a type."""
    return f"({item})[]" if "|" in item else f"{item}[]"


def inline(schema: dict[str, Any]) -> str:
    """A table without a name."""
    needed = schema.get("required", [])
    fields = (
        f"{name}{'' if name in needed else '?'}: {lua_type(field)}"
        for name, field in schema["properties"].items()
    )
    return "{ " + ", ".join(fields) + " }"


def definition(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """A named type."""
    yield ""
    for line in schema.get("description", "").splitlines():
        yield f"--- {line}".rstrip()
    if "properties" in schema:
        needed = schema.get("required", [])
        yield f"---@class {PREFIX}{name}"
        for field, its in schema["properties"].items():
            mark = "" if field in needed else "?"
            words = " ".join(its.get("description", "").split())
            yield f"---@field {field}{mark} {lua_type(its)} {words}".rstrip()
    else:
        yield from alias(name, lua_type(schema))


def alias(name: str, type_: str) -> Iterator[str]:
    """A name for a type, one line for each kind of it."""
    yield f"---@alias {PREFIX}{name}"
    depth, start = 0, 0
    for at, char in enumerate([*type_, "|"]):
        depth += (char in "{(<") - (char in "})>")
        if char == "|" and depth == 0:
            yield f"---| {type_[start:at]}"
            start = at + 1


def written(schema: dict[str, Any]) -> str:
    """The whole file."""
    lines = [HEAD.rstrip()]
    for name, its in sorted(schema["$defs"].items()):
        lines.extend(definition(name, its))
    methods = "|".join(literal(name) for name in schema["methods"])
    lines += ["", *alias("Method", methods), ""]
    return "\n".join(lines)


def read_schema(source: str | None) -> dict[str, Any]:
    """The schema of a file, of stdin, or of the installed `codex-rpc`."""
    if source == "-":
        text = sys.stdin.read()
    elif source:
        text = Path(source).read_text(encoding="utf-8")
    else:
        command = ["codex-rpc", "schema"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    schema: dict[str, Any] = json.loads(text)
    return schema


def main() -> int:
    """The command; see the module's docstring."""
    parser = argparse.ArgumentParser(description="The protocol's types for Lua.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--schema", metavar="FILE", help="instead of what `codex-rpc schema` says")
    options = parser.parse_args()
    text = written(read_schema(options.schema))
    if not options.check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    print(f"{TARGET} is not what `codex-rpc schema` gives: run {sys.argv[0]}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

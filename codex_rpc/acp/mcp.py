"""MCP servers that the client brings for a session, beside those that are configured.

Owns how they are written down as configuration. A name that the user has configured is never
given to another server: what they configured stands, and they are told. Starts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.frozen import frozen


@frozen
class ClientServers:
    """What the client's servers come to."""

    overrides: dict[str, Any] | None
    """For the session's `config`; None: there is nothing to add."""
    told: tuple[str, ...] = ()
    """For the user: which servers are not used, and why."""


def client_servers(
    servers: Sequence[Any], configured: Collection[str], *, at: str = "mcpServers"
) -> ClientServers:
    """The `mcpServers` of a request as configuration; `configured` are the names that are taken,
    also by servers that the user has disabled.

    Raises:
        InvalidParams: one is not as the protocol says; the message never holds what is in it.
    """
    overrides: dict[str, Any] = {}
    told: list[str] = []
    names: set[str] = set()
    for index, server in enumerate(servers):
        place = f"{at}[{index}]"
        if not isinstance(server, dict):
            raise InvalidParams(place, "object")
        name = _text(server, "name", place)
        if not name.isprintable():
            raise InvalidParams(f"{place}.name", "printable characters")
        table = _table(server, place)
        if table is None:
            told.append(
                f"The MCP server {name!r} of the editor is not used: it is neither a program nor "
                "reached over HTTP."
            )
        elif name in configured:
            told.append(
                f"The MCP server {name!r} of the editor is not used: config.toml has one of that "
                "name, which counts. Give one of them another name to have both."
            )
        elif name in names:
            told.append(
                f"The editor names two MCP servers {name!r}; only the first of them is used."
            )
        else:
            names.add(name)
            # A name in quotes may hold anything, dots included.
            overrides[f"mcp_servers.{json.dumps(name, ensure_ascii=False)}"] = table
    return ClientServers(overrides or None, tuple(told))


def _table(server: Mapping[str, Any], place: str) -> dict[str, Any] | None:
    """The server as `[mcp_servers.NAME]` would have it; None: we cannot reach such a one."""
    match server.get("type", "stdio"):
        case "stdio":
            return {
                "command": _text(server, "command", place),
                "args": _texts(server, "args", place),
                "env": _pairs(server, "env", place),
            }
        case "http":
            url = _text(server, "url", place)
            if not url.startswith(("http://", "https://")):
                return None
            return {
                "url": url,
                "http_headers": _pairs(server, "headers", place),
            }
    return None


def _text(server: Mapping[str, Any], member: str, place: str) -> str:
    value = server.get(member)
    if not isinstance(value, str) or not value.strip():
        raise InvalidParams(f"{place}.{member}", "a string that is not empty")
    return value


def _texts(server: Mapping[str, Any], member: str, place: str) -> list[str]:
    value = server.get(member, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidParams(f"{place}.{member}", "an array of strings")
    return value


def _pairs(server: Mapping[str, Any], member: str, place: str) -> dict[str, str]:
    value = server.get(member, [])
    pairs: dict[str, str] = {}
    for index, pair in enumerate(value if isinstance(value, list) else [None]):
        match pair:
            case {"name": str(name), "value": str(text)} if name:
                pairs[name] = text
            case _:
                raise InvalidParams(f"{place}.{member}[{index}]", "{name, value}, both strings")
    return pairs

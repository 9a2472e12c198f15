"""`[mcp_servers.NAME]`: the tables become `McpServer`s, with what the environment adds.

Owns what each key means, and which of them exclude each other. It starts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex_rpc.config.paths import absolute
from codex_rpc.config.schema import dotted
from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.errors import ConfigError

DEFAULT_STARTUP_TIMEOUT_S = 10.0
DEFAULT_TOOL_TIMEOUT_S = 60.0


def enabled_servers(
    tables: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str]
) -> tuple[McpServer, ...]:
    """The servers that are not disabled, sorted by name.

    Raises:
        ConfigError: a server has neither or both of `command` and `url`.
    """
    return tuple(
        _server(name, tables[name], environ)
        for name in sorted(tables)
        if tables[name].get("enabled", True)
    )


def missing_tokens(
    tables: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """A sentence for each enabled server whose token's variable is not set."""
    return tuple(
        f"{dotted(('mcp_servers', name, 'bearer_token_env_var'))}: the environment variable "
        f"{variable} is not set where codex-rpc is started, so the server is asked without a token"
        for name, table in sorted(tables.items())
        if table.get("enabled", True)
        and (variable := table.get("bearer_token_env_var")) is not None
        and not environ.get(variable, "").strip()
    )


def server_secrets(tables: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The environment variables that hold any server's token or headers."""
    names: set[str] = set()
    for table in tables:
        names.update(table.get("env_http_headers", {}).values())
        if "bearer_token_env_var" in table:
            names.add(table["bearer_token_env_var"])
    return frozenset(names)


def _server(name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> McpServer:
    key = dotted(("mcp_servers", name))
    if ("command" in table) == ("url" in table):
        raise ConfigError(
            f"{key} must have either `command`, a program to start, or `url`, where a server "
            "is reached",
            key=key,
        )
    env = {var: environ[var] for var in table.get("env_vars", ()) if var in environ}
    enabled = table.get("enabled_tools")
    cwd = table.get("cwd")
    return McpServer(
        name=name,
        command=table.get("command"),
        args=tuple(table.get("args", ())),
        env=env | table.get("env", {}),
        cwd=absolute(cwd, environ, key=f"{key}.cwd") if cwd is not None else None,
        url=table.get("url"),
        http_headers=_headers(table, environ),
        startup_timeout_s=_startup_timeout_s(table),
        tool_timeout_s=float(table.get("tool_timeout_sec", DEFAULT_TOOL_TIMEOUT_S)),
        enabled_tools=tuple(enabled) if enabled is not None else None,
        disabled_tools=tuple(table.get("disabled_tools", ())),
        trust_hints=table.get("trust_hints", False),
    )


def _startup_timeout_s(table: Mapping[str, Any]) -> float:
    if "startup_timeout_sec" in table:
        return float(table["startup_timeout_sec"])
    if "startup_timeout_ms" in table:
        return float(table["startup_timeout_ms"] / 1000)
    return DEFAULT_STARTUP_TIMEOUT_S


def _headers(table: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    headers = dict(table.get("http_headers", {}))
    for header, variable in table.get("env_http_headers", {}).items():
        if value := environ.get(variable, "").strip():
            headers[header] = value
    if token := environ.get(table.get("bearer_token_env_var", ""), "").strip():
        headers["Authorization"] = f"Bearer {token}"
    return headers

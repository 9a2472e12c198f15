"""MCP servers that a client brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from acp_parts import configured_world
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.acp.mcp import client_servers
from codex_rpc.config.loader import load_config
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.params import ConfigureParams, SessionOverrides

PROGRAM = {
    "name": "files",
    "command": "/bin/files",
    "args": ["--root", "/w"],
    "env": [{"name": "TOKEN", "value": "t=1"}],
}
ADDRESS = {
    "type": "http",
    "name": "web",
    "url": "https://example.org/mcp",
    "headers": [{"name": "X-Key", "value": "k"}],
}


def configured(servers: list[Any], home: Path) -> dict[str, Any]:
    """The servers that a session has with those of the client."""
    overrides = SessionOverrides(config=client_servers(servers, ()).overrides)
    config = load_config(
        codex_home=home, environ={}, cwd=home, cli_overrides=[], overrides=overrides
    )
    return {server.name: server for server in config.mcp_servers}


def test_a_program_is_configured_as_it_was_given(tmp_path: Path) -> None:
    server = configured([PROGRAM], tmp_path)["files"]
    assert (server.command, server.args) == ("/bin/files", ("--root", "/w"))
    assert dict(server.env) == {"TOKEN": "t=1"}
    assert server.url is None


def test_an_address_is_configured_with_its_headers(tmp_path: Path) -> None:
    server = configured([ADDRESS], tmp_path)["web"]
    assert server.url == "https://example.org/mcp"
    assert dict(server.http_headers) == {"X-Key": "k"}
    assert server.command is None


@settings(deadline=None, max_examples=50)
@given(name=st.text(min_size=1).filter(lambda t: t.strip() and t.isprintable()))
def test_any_name_is_kept(name: str) -> None:
    home = Path("/nowhere")
    assert list(configured([{**PROGRAM, "name": name}], home)) == [name]


def test_no_servers_are_no_overrides() -> None:
    assert client_servers([], ()).overrides is None


async def test_a_configured_name_keeps_its_server_and_the_user_is_told(tmp_path: Path) -> None:
    config = """
        [mcp_servers.files]
        command = "mine"
        [mcp_servers.web]
        command = "off"
        enabled = false
    """
    world = configured_world(tmp_path / "home", config)
    async with world.manager() as manager:
        taken = (await manager.config(str(tmp_path))).mcp_server_names
        servers = client_servers([PROGRAM, ADDRESS, {**PROGRAM, "name": "more"}], taken)
        assert [sentence.split("'")[1] for sentence in servers.told] == ["files", "web"]
        params = ConfigureParams(cwd=str(tmp_path), config=servers.overrides)
        session = (await manager.configure(params)).session
        commands = {server.name: server.command for server in session.config.mcp_servers}
        assert commands == {"files": "mine", "more": "/bin/files"}
        await manager.close_all()


def test_of_two_with_one_name_the_first_is_used_and_the_user_is_told() -> None:
    servers = client_servers([PROGRAM, {**ADDRESS, "name": "files"}], ())
    assert next(iter((servers.overrides or {}).values()))["command"] == "/bin/files"
    assert len(servers.overrides or {}) == len(servers.told) == 1


@pytest.mark.parametrize(
    "server",
    [
        {"type": "sse", "name": "old", "url": "https://example.org", "headers": []},
        {"type": "acp", "name": "ours", "id": "1"},
        {**ADDRESS, "url": "ftp://example.org"},
    ],
)
def test_a_server_that_cannot_be_reached_is_left_out_and_the_user_is_told(server: Any) -> None:
    servers = client_servers([server, PROGRAM], ())
    assert list(servers.overrides or {}) == ['mcp_servers."files"']
    assert len(servers.told) == 1


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ("files", "mcpServers[0]"),
        ({"command": "x"}, "mcpServers[0].name"),
        ({**PROGRAM, "name": " "}, "mcpServers[0].name"),
        ({**PROGRAM, "name": "a\nb"}, "mcpServers[0].name"),
        ({"name": "x"}, "mcpServers[0].command"),
        ({**PROGRAM, "args": "--root"}, "mcpServers[0].args"),
        ({**PROGRAM, "args": [1]}, "mcpServers[0].args"),
        ({**PROGRAM, "env": {"A": "secret"}}, "mcpServers[0].env[0]"),
        ({**PROGRAM, "env": [{"name": "A", "value": 1}]}, "mcpServers[0].env[0]"),
        ({"type": "http", "name": "x"}, "mcpServers[0].url"),
        ({**ADDRESS, "headers": [{"name": "", "value": "secret"}]}, "mcpServers[0].headers[0]"),
    ],
)
def test_what_is_no_server_is_refused_by_its_place(server: Any, path: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        client_servers([server], ())
    assert caught.value.path == path
    assert "secret" not in caught.value.message

"""What commands may not read, what confines them, and the MCP servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_support import Load

from codex_rpc.config.settings import McpServer
from codex_rpc.protocol.errors import ConfigError


def test_denied_patterns_keep_their_form_and_home_is_filled_in(load: Load) -> None:
    assert load().deny_read == ()
    config = load('sandbox_deny_read = ["**/.env", "~/.ssh/**", "/etc/shadow"]', env={"HOME": "/h"})
    assert config.deny_read == ("**/.env", "/h/.ssh/**", "/etc/shadow")


def test_an_empty_pattern_is_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"sandbox_deny_read\[0\] must be a pattern of paths"):
        load('sandbox_deny_read = [""]')


def test_a_means_can_be_chosen(load: Load) -> None:
    assert load().sandbox_means == "auto"
    assert load(c=["sandbox_means=landlock"]).sandbox_means == "landlock"
    with pytest.raises(ConfigError, match='"auto", "bubblewrap" or "landlock"'):
        load('sandbox_means = "none"')


SERVERS = """
[mcp_servers.files]
command = "npx"
args = ["-y", "files"]
env = { ROOT = "/srv" }
env_vars = ["PASSED", "UNSET"]
cwd = "~/work"
startup_timeout_ms = 2500
tool_timeout_sec = 5
enabled_tools = ["read"]

[mcp_servers.away]
url = "https://example.com/mcp"
bearer_token_env_var = "AWAY_PASS"
http_headers = { X-Fixed = "1" }
env_http_headers = { X-Team = "TEAM" }
disabled_tools = ["drop"]
trust_hints = true

[mcp_servers.off]
command = "false"
enabled = false
"""


def test_servers_are_sorted_and_filled_in_from_the_environment(load: Load) -> None:
    env = {"HOME": "/h", "PASSED": "p", "AWAY_PASS": "s3cret", "TEAM": "blue"}
    away, files = load(SERVERS, env=env).mcp_servers
    assert files == McpServer(
        name="files",
        command="npx",
        args=("-y", "files"),
        env={"PASSED": "p", "ROOT": "/srv"},
        cwd=Path("/h/work"),
        startup_timeout_s=2.5,
        tool_timeout_s=5.0,
        enabled_tools=("read",),
    )
    assert away == McpServer(
        name="away",
        url="https://example.com/mcp",
        http_headers={"X-Fixed": "1", "X-Team": "blue", "Authorization": "Bearer s3cret"},
        disabled_tools=("drop",),
        trust_hints=True,
    )
    assert "s3cret" not in repr(away)


def test_a_token_that_is_not_there_is_said_and_the_session_works(load: Load) -> None:
    config = load(SERVERS, env={"HOME": "/h"})
    (warning,) = config.warnings
    assert "mcp_servers.away.bearer_token_env_var" in warning
    assert "AWAY_PASS is not set" in warning


def test_commands_do_not_see_the_tokens_of_servers(load: Load) -> None:
    always = load(SERVERS, env={"HOME": "/h"}).shell_environment.always_exclude
    assert {"AWAY_PASS", "TEAM"} <= always


@pytest.mark.parametrize("table", ["args = []", 'command = "x"\nurl = "http://h/"'])
def test_a_server_is_either_started_or_reached(load: Load, table: str) -> None:
    with pytest.raises(ConfigError, match=r"mcp_servers\.x must have either `command`"):
        load(f"[mcp_servers.x]\n{table}")

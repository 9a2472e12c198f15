"""What a client is offered to get at a model, and what it is told of the way it has taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.acp_schema import check

from codex_rpc.acp.auth import LoadConfig, auth_methods, authenticate, can_log_out, logout
from codex_rpc.acp.wire import code_of
from codex_rpc.config.loader import load_config
from codex_rpc.config.settings import Config
from codex_rpc.protocol.errors import ConfigError, CredentialsMissing, InvalidParams
from codex_rpc.protocol.params import SessionOverrides

TERMINAL = {"auth": {"terminal": True}}
OPENROUTER = "model_provider = 'openrouter'\n"
LOCAL = "model_provider = 'oss'\n"
MINE = "model_provider = 'mine'\n[model_providers.mine]\nname = 'Mine'\nbase_url = 'http://m/v1'\n"
BY_HEADER = MINE + "env_key = 'MINE_KEY'\nenv_http_headers = { Authorization = 'MINE_TOKEN' }\n"
BY_FIXED_HEADER = (
    MINE + "env_key = 'MINE_KEY'\nhttp_headers = { authorization = 'Bearer s3cret' }\n"
)


def configured(home: Path, toml: str = "", env: Mapping[str, str] | None = None) -> Config:
    (home / "config.toml").write_text(toml)
    return load_config(
        codex_home=home,
        environ=env or {},
        cwd=home,
        cli_overrides=[],
        overrides=SessionOverrides(),
    )


def loading(home: Path, toml: str = "", env: Mapping[str, str] | None = None) -> LoadConfig:
    async def load(_cwd: str) -> Config:
        return configured(home, toml, env)

    return load


def save(home: Path, content: Any) -> Path:
    file = home / "auth.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_openai_is_offered_by_login_first_and_by_its_variable(tmp_path: Path) -> None:
    login, environment = auth_methods(configured(tmp_path), TERMINAL)
    assert (login["type"], login["args"]) == ("terminal", ["--login"])
    assert environment["type"] == "env_var"
    assert environment["vars"] == [{"name": "OPENAI_API_KEY"}]
    for method in (login, environment):
        check("AuthMethod", method)
    check("AuthMethodTerminal", login)


@pytest.mark.parametrize(
    "capabilities",
    [
        *({}, {"auth": None}, {"auth": True}, {"auth": {}}, {"terminal": True}),
        *({"auth": {"terminal": value}} for value in (False, None, "yes")),
    ],
    ids=str,
)
def test_login_is_offered_only_to_clients_that_have_terminals_for_it(
    tmp_path: Path, capabilities: dict[str, Any]
) -> None:
    methods = auth_methods(configured(tmp_path), capabilities)
    assert [method["type"] for method in methods] == ["env_var"]


def test_a_provider_without_our_login_is_offered_by_its_variable(tmp_path: Path) -> None:
    config = configured(tmp_path, OPENROUTER)
    (method,) = auth_methods(config, TERMINAL)
    assert method["vars"] == [{"name": "OPENROUTER_API_KEY"}]
    assert "an API key for OpenRouter" in method["description"]
    assert "https://openrouter.ai/keys" in method["description"]
    assert not can_log_out(config)


@pytest.mark.parametrize("env", [{}, {"MINE_TOKEN": "Bearer s3cret"}], ids=["unset", "set"])
def test_a_key_in_a_header_is_asked_for_by_the_headers_variable(
    tmp_path: Path, env: dict[str, str]
) -> None:
    (method,) = auth_methods(configured(tmp_path, BY_HEADER, env), TERMINAL)
    assert method["vars"] == [{"name": "MINE_TOKEN"}]
    assert "sent to Mine as `Authorization`" in method["description"]
    assert "s3cret" not in str(method)


@pytest.mark.parametrize("toml", [LOCAL, MINE, BY_FIXED_HEADER])
def test_nothing_is_offered_where_no_key_is_needed(tmp_path: Path, toml: str) -> None:
    config = configured(tmp_path, toml)
    assert auth_methods(config, TERMINAL) == []
    assert not can_log_out(config)


def test_nothing_is_offered_where_nothing_can_be_configured() -> None:
    assert auth_methods(None, TERMINAL) == []
    assert not can_log_out(None)


def test_only_a_key_that_can_be_saved_can_be_forgotten(tmp_path: Path) -> None:
    assert can_log_out(configured(tmp_path))


@pytest.mark.parametrize("method_id", ["login", "environment"])
async def test_authentication_fails_until_there_is_a_key(tmp_path: Path, method_id: str) -> None:
    load = loading(tmp_path)
    with anyio.fail_after(5):
        with pytest.raises(CredentialsMissing) as raised:
            await authenticate(method_id, load)
        assert code_of(raised.value) == -32000
        assert "OPENAI_API_KEY" in raised.value.message
        assert "`codex-rpc login`" in raised.value.message
        save(tmp_path, {"OPENAI_API_KEY": "sk-1"})
        await authenticate(method_id, load)
        await authenticate(method_id, loading(tmp_path, OPENROUTER, {"OPENROUTER_API_KEY": "k"}))
        await authenticate(method_id, loading(tmp_path, LOCAL))


@pytest.mark.parametrize("method_id", ["", "chatgpt", "LOGIN"])
async def test_a_way_that_was_not_offered_is_refused(tmp_path: Path, method_id: str) -> None:
    save(tmp_path, {"OPENAI_API_KEY": "sk-1"})
    with pytest.raises(InvalidParams) as raised:
        await authenticate(method_id, loading(tmp_path))
    assert code_of(raised.value) == -32602


async def test_other_mistakes_of_the_configuration_ask_for_no_key(tmp_path: Path) -> None:
    for toml in ("model_provider = 'nobody'", "not TOML"):
        with pytest.raises(ConfigError) as raised:
            await authenticate("environment", loading(tmp_path, toml))
        assert code_of(raised.value) == 1004
    save(tmp_path, '{"OPENAI_API_KEY": "s3cret"')
    with pytest.raises(ConfigError) as raised:
        await authenticate("environment", loading(tmp_path))
    assert code_of(raised.value) == 1004
    assert "s3cret" not in raised.value.message


async def test_logging_out_forgets_the_key_and_nothing_else(tmp_path: Path) -> None:
    load = loading(tmp_path)
    file = save(tmp_path, {"tokens": {"id_token": "t"}, "OPENAI_API_KEY": "sk-1"})
    with anyio.fail_after(5):
        await logout(load)
        assert json.loads(file.read_text()) == {"tokens": {"id_token": "t"}}
        with pytest.raises(CredentialsMissing):
            await authenticate("environment", load)
        await logout(load)


async def test_logging_out_leaves_a_file_that_is_not_understood_as_it_was(tmp_path: Path) -> None:
    file = save(tmp_path, "[1]")
    # The variable is used, so nothing but the forgetting reads the file.
    with pytest.raises(ConfigError, match=r"auth\.json"):
        await logout(loading(tmp_path, env={"OPENAI_API_KEY": "k"}))
    assert file.read_text() == "[1]"

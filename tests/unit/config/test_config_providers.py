"""Providers by name, and where their keys come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from config_support import Load

from codex_rpc.config.credentials import missing_credentials
from codex_rpc.config.loader import resolve_codex_home
from codex_rpc.config.providers import require_address
from codex_rpc.config.settings import Config, Provider
from codex_rpc.protocol.errors import ConfigError

MINE = """
model_provider = "mine"
[model_providers.mine]
base_url = "http://127.0.0.1:1/v1"
"""


def test_openai_is_built_in(load: Load) -> None:
    provider = load().provider
    assert (provider.id, provider.name, provider.wire_api) == ("openai", "OpenAI", "responses")
    assert provider.base_url == "https://api.openai.com/v1"
    assert provider.env_key == "OPENAI_API_KEY"
    assert provider.requires_openai_auth
    assert (provider.max_retries, provider.stream_idle_timeout_ms) == (5, 300_000)


def test_an_entry_for_a_built_in_provider_replaces_single_keys(load: Load) -> None:
    provider = load("[model_providers.openai]\nrequest_max_retries = 2\n").provider
    assert (provider.max_retries, provider.base_url) == (2, "https://api.openai.com/v1")
    assert provider.requires_openai_auth


@pytest.mark.parametrize(
    ("toml", "env", "address"),
    [
        ("", {}, "https://api.openai.com/v1"),
        ("", {"OPENAI_BASE_URL": ""}, "https://api.openai.com/v1"),
        ("", {"OPENAI_BASE_URL": "http://proxy/v1"}, "http://proxy/v1"),
        (
            "[model_providers.openai]\nbase_url = 'http://mine/v1'",
            {"OPENAI_BASE_URL": "http://proxy/v1"},
            "http://mine/v1",
        ),
    ],
)
def test_openais_address_may_come_from_the_environment(
    load: Load, toml: str, env: dict[str, str], address: str
) -> None:
    assert load(toml, env=env).provider.base_url == address


def test_an_address_in_the_environment_that_is_none_is_an_error(load: Load) -> None:
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL must be an address") as caught:
        load(env={"OPENAI_BASE_URL": "user:pass@proxy"})
    assert "pass" not in str(caught.value)


def test_every_key_of_a_provider_reaches_its_field(load: Load) -> None:
    provider = load(
        """
        model_provider = "my.own"
        [model_providers."my.own"]
        name = "Mine"
        base_url = "https://example.com/v1"
        env_key = "MINE_KEY"
        env_key_instructions = "Ask Bob."
        wire_api = "chat"
        query_params = { v = "1" }
        http_headers = { A = "a" }
        request_max_retries = 1
        stream_max_retries = 3
        stream_idle_timeout_ms = 10
        requires_openai_auth = false
        supports_websockets = false
        """
    ).provider
    assert provider == Provider(
        id="my.own",
        name="Mine",
        base_url="https://example.com/v1",
        env_key="MINE_KEY",
        env_key_instructions="Ask Bob.",
        wire_api="chat",
        query_params={"v": "1"},
        http_headers={"A": "a"},
        request_max_retries=1,
        stream_max_retries=3,
        stream_idle_timeout_ms=10,
    )
    assert provider.max_retries == 3


def test_only_keys_of_the_table_reach_a_provider(load: Load) -> None:
    config = load(MINE + "api_key = 'sk-123'\nid = 'other'\n'base-url' = 'x'\n")
    assert (config.provider.id, config.provider.api_key) == ("mine", None)
    assert len(config.warnings) == 3
    assert "sk-123" not in " ".join(config.warnings)


def test_a_provider_without_a_name_is_called_by_its_id(load: Load) -> None:
    assert load(MINE).provider.name == "mine"


def test_an_unknown_provider_names_the_known_ones(load: Load, home: Path) -> None:
    with pytest.raises(
        ConfigError, match=r'no model provider "x"; known are: openai, azure, .*, scripted, mine'
    ) as caught:
        load(MINE, model_provider="x")
    assert (caught.value.key, caught.value.file) == ("model_provider", str(home / "config.toml"))


def test_the_scripted_provider_has_a_script(load: Load) -> None:
    config = load("[model_providers.scripted]\nscript = '/turns.toml'", model_provider="scripted")
    assert config.provider.script == Path("/turns.toml")
    assert config.provider.env_key is None
    assert missing_credentials(config.provider, config.codex_home) is None


def test_a_script_has_an_absolute_path(load: Load) -> None:
    with pytest.raises(ConfigError, match="must be an absolute path") as caught:
        load("[model_providers.scripted]\nscript = 'turns.toml'")
    assert caught.value.key == "model_providers.scripted.script"
    home = load("[model_providers.scripted]\nscript = '~/turns.toml'", env={"HOME": "/home/me"})
    assert home.providers["scripted"].script == Path("/home/me/turns.toml")


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ("model_provider = 'scripted'", "model_providers.scripted.script"),
        (
            "model_provider = 'x.y'\n[model_providers.'x.y']\nname = 'X'",
            'model_providers."x.y".base_url',
        ),
    ],
)
def test_a_provider_that_nobody_can_ask_loads_and_says_what_it_lacks(
    load: Load, toml: str, key: str
) -> None:
    provider = load(toml).provider
    with pytest.raises(ConfigError, match="is not set: it is ") as caught:
        require_address(provider)
    assert caught.value.key == key


@pytest.mark.parametrize("toml", ["", MINE, "[model_providers.scripted]\nscript = '/t.toml'"])
def test_a_provider_with_an_address_or_a_script_lacks_nothing(load: Load, toml: str) -> None:
    config = load(toml)
    require_address(config.provider)
    if "script" in toml:
        require_address(config.providers["scripted"])


class TestKeys:
    OPENAI = {"OPENAI_API_KEY": "from-env"}  # noqa: RUF012

    @staticmethod
    def save(home: Path, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (home / "auth.json").write_text(text)

    def test_come_from_the_environment_first(self, load: Load, home: Path) -> None:
        self.save(home, {"OPENAI_API_KEY": "from-file"})
        assert load(env={"OPENAI_API_KEY": " from-env\n"}).provider.api_key == "from-env"

    @pytest.mark.parametrize("env", [{}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": " "}])
    def test_come_from_auth_json_else(self, load: Load, home: Path, env: dict[str, str]) -> None:
        self.save(home, {"OPENAI_API_KEY": "from-file", "tokens": {"id_token": "t"}})
        assert load(env=env).provider.api_key == "from-file"

    @pytest.mark.parametrize("content", [{}, {"OPENAI_API_KEY": None}, {"OPENAI_API_KEY": ""}])
    def test_may_be_absent_from_auth_json(self, load: Load, home: Path, content: Any) -> None:
        self.save(home, content)
        assert load().provider.api_key is None

    @pytest.mark.parametrize(
        "content",
        [
            '{"OPENAI_API_KEY": "s3cret"',
            '"s3cret"',
            '["s3cret"]',
            '{"OPENAI_API_KEY": ["s3cret"]}',
            "[" * 100_000,
        ],
    )
    def test_in_a_broken_auth_json_are_an_error_that_does_not_show_them(
        self, load: Load, home: Path, content: str
    ) -> None:
        self.save(home, content)
        with pytest.raises(ConfigError, match=r"auth\.json") as caught:
            load()
        shown: BaseException | None = caught.value
        while shown is not None:
            assert "s3cret" not in f"{shown} {shown!r} {vars(shown)}"
            shown = shown.__cause__ or shown.__context__

    def test_in_auth_json_are_not_asked_for_where_they_are_not_wanted(
        self, load: Load, home: Path
    ) -> None:
        self.save(home, "not JSON")
        assert load(MINE).provider.api_key is None
        assert load("", env=self.OPENAI).provider.api_key == "from-env"

    def test_of_openai_serve_a_provider_that_requires_its_login(
        self, load: Load, home: Path
    ) -> None:
        toml = MINE + "requires_openai_auth = true\n"
        assert load(toml, env=self.OPENAI).provider.api_key == "from-env"
        self.save(home, {"OPENAI_API_KEY": "from-file"})
        assert load(toml).provider.api_key == "from-file"

    def test_of_openai_are_not_given_to_other_providers(self, load: Load, home: Path) -> None:
        self.save(home, {"OPENAI_API_KEY": "from-file"})
        assert load(MINE, env=self.OPENAI).provider.api_key is None
        with_key = load(MINE + "env_key = 'MINE_KEY'\n", env=self.OPENAI)
        assert with_key.provider.api_key is None

    def test_are_in_no_repr_and_only_in_the_chosen_provider(self, load: Load) -> None:
        config = load(
            MINE
            + """
            env_key = "MINE_KEY"
            http_headers = { A = "static-s3cret" }
            query_params = { key = "query-s3cret" }
            env_http_headers = { B = "MINE_HEADER" }
            [shell_environment_policy]
            set = { TOKEN = "shell-s3cret" }
            """,
            env={"MINE_KEY": "env-s3cret", "MINE_HEADER": "header-s3cret", **self.OPENAI},
        )
        assert config.provider.api_key == "env-s3cret"
        assert "s3cret" not in repr(config)
        assert "from-env" not in repr(config)
        assert all(provider.api_key is None for provider in config.providers.values())
        assert "B" not in config.providers["mine"].http_headers


def test_headers_come_from_the_environment_where_they_are_set(load: Load) -> None:
    provider = load(
        MINE
        + "http_headers = { A = 'a' }\n"
        + "env_http_headers = { B = 'B_VAR', C = 'C_VAR', D = 'D_VAR', A = 'A_VAR' }\n",
        env={"B_VAR": "b\n", "C_VAR": "  ", "A_VAR": "other"},
    ).provider
    assert provider.http_headers == {"A": "other", "B": "b"}


def test_commands_never_see_the_variables_of_any_provider(load: Load) -> None:
    config = load(
        MINE
        + "env_key = 'MINE_PASS'\nenv_http_headers = { B = 'MINE_HEADER' }\n"
        + "[model_providers.other]\nenv_key = 'OTHER_PASS'\n"
    )
    assert config.shell_environment.always_exclude == {
        "MINE_PASS",
        "MINE_HEADER",
        "OTHER_PASS",
        "OPENAI_API_KEY",
        "OPENAI_ORGANIZATION",
        "OPENAI_PROJECT",
        "AZURE_OPENAI_API_KEY",
        "OPENROUTER_API_KEY",
    }


class TestMissingCredentials:
    @staticmethod
    def of(config: Config) -> str | None:
        return missing_credentials(config.provider, config.codex_home)

    def test_say_what_to_set_and_where_for_openai(self, load: Load, home: Path) -> None:
        text = self.of(load())
        assert text is not None
        assert "There is no API key for OpenAI" in text
        assert "OPENAI_API_KEY" in text
        assert str(home / "auth.json") in text

    def test_give_the_providers_own_instructions(self, load: Load) -> None:
        text = self.of(load(MINE + "env_key = 'MINE_KEY'\nenv_key_instructions = 'Ask Bob.'\n"))
        assert text is not None
        assert "MINE_KEY" in text
        assert text.endswith(". Ask Bob.")
        assert "auth.json" not in text

    def test_are_not_reported_where_none_are_needed_or_they_are_there(self, load: Load) -> None:
        assert self.of(load(MINE)) is None
        assert self.of(load("", env={"OPENAI_API_KEY": "k"})) is None


@pytest.mark.parametrize(
    ("env", "home"),
    [
        ({"HOME": "/home/me"}, "/home/me/.codex"),
        ({"HOME": "/home/me", "CODEX_HOME": ""}, "/home/me/.codex"),
        ({"HOME": "/home/me", "CODEX_HOME": "/x/y"}, "/x/y"),
        ({"HOME": "/home/me", "CODEX_HOME": "~/y"}, "/home/me/y"),
        ({"HOME": "/home/me", "CODEX_HOME": "~"}, "/home/me"),
    ],
)
def test_codex_home_comes_from_the_environment(env: dict[str, str], home: str) -> None:
    assert resolve_codex_home(env) == Path(home)


@pytest.mark.parametrize("value", ["codex", "./codex", "~bob/codex"])
def test_a_relative_codex_home_is_an_error(value: str) -> None:
    with pytest.raises(ConfigError, match="CODEX_HOME must be an absolute path"):
        resolve_codex_home({"HOME": "/home/me", "CODEX_HOME": value})

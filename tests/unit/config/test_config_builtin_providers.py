"""The providers that are built in, where they are, and which model is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import asdict
from config_support import Load
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.config.builtin_providers import BUILTIN_PROVIDERS, DEFAULT_MODELS, LOCAL_SERVERS
from codex_rpc.config.credentials import missing_credentials
from codex_rpc.config.providers import known_providers, require_address
from codex_rpc.protocol.errors import ConfigError

AZURE = "[model_providers.azure]\nbase_url = '{}'\n"


def test_each_is_chosen_by_one_line(load: Load) -> None:
    for name in ("openrouter", "oss", "ollama", "lmstudio", "llamacpp"):
        config = load(f"model_provider = '{name}'")
        assert (config.provider.id, config.provider.wire_api) == (name, "chat")
        assert config.model == DEFAULT_MODELS[name]
        require_address(config.provider)


@pytest.mark.parametrize("name", ["oss", "ollama", "lmstudio", "llamacpp"])
def test_those_on_the_users_own_machine_need_no_key_and_say_how_they_are_started(
    load: Load, name: str
) -> None:
    config = load(f"model_provider = '{name}'")
    assert missing_credentials(config.provider, config.codex_home) is None
    assert config.provider.local is LOCAL_SERVERS[name]
    assert config.provider.base_url is not None
    assert config.provider.base_url.startswith("http://localhost:")


def test_every_local_one_can_be_given_a_model() -> None:
    for local in LOCAL_SERVERS.values():
        assert local.start
        assert local.install.startswith("https://")
        assert local.add_model.format(model="m")


@pytest.mark.parametrize("name", sorted(set(BUILTIN_PROVIDERS) - {"scripted"}))
def test_each_can_be_overridden_key_by_key(load: Load, name: str) -> None:
    provider = load(
        f"model_provider = '{name}'\n[model_providers.{name}]\n"
        "base_url = 'http://127.0.0.1:9/v1'\nstream_max_retries = 1\nwire_api = 'responses'\n"
    ).provider
    assert (provider.base_url, provider.max_retries) == ("http://127.0.0.1:9/v1", 1)
    assert provider.wire_api == "responses"
    assert provider.name == BUILTIN_PROVIDERS[name]["name"]


def test_openrouter_needs_its_own_key(load: Load) -> None:
    config = load("model_provider = 'openrouter'", env={"OPENAI_API_KEY": "sk-other"})
    problem = missing_credentials(config.provider, config.codex_home)
    assert problem is not None
    assert "OPENROUTER_API_KEY" in problem
    assert "https://openrouter.ai/keys" in problem
    config = load("model_provider = 'openrouter'", env={"OPENROUTER_API_KEY": "sk-or"})
    assert config.provider.api_key == "sk-or"


class TestAzure:
    def test_it_has_no_address_of_its_own(self, load: Load) -> None:
        config = load("model_provider = 'azure'")
        with pytest.raises(
            ConfigError, match=r"https://NAME\.openai\.azure\.com/openai/v1"
        ) as caught:
            require_address(config.provider)
        assert caught.value.key == "model_providers.azure.base_url"
        assert "'https://NAME.openai.azure.com/openai/deployments/" in caught.value.message
        assert "api-version" in caught.value.message

    @pytest.mark.parametrize(
        ("address", "query"),
        [
            ("https://a.openai.azure.com/openai/v1", {}),
            ("https://a.openai.azure.com/openai", {"api-version": "2025-04-01-preview"}),
            ("https://a.openai.azure.com/openai?api-version=1", {}),
            ("https://a.openai.azure.com/openai/v1/", {}),
            (
                "https://a.openai.azure.com/openai/deployments/mine",
                {"api-version": "2025-04-01-preview"},
            ),
        ],
    )
    def test_its_older_addresses_are_asked_with_a_version(
        self, load: Load, address: str, query: dict[str, str]
    ) -> None:
        provider = load("model_provider = 'azure'\n" + AZURE.format(address)).provider
        assert (provider.query_params, provider.api_key_header) == (query, "api-key")

    def test_a_version_that_is_configured_is_the_one(self, load: Load) -> None:
        toml = AZURE.format("https://a.openai.azure.com/openai")
        toml += "query_params = { api-version = '2024-10-21' }\napi_key_header = 'x-key'\n"
        provider = load(toml, model_provider="azure").provider
        assert provider.query_params == {"api-version": "2024-10-21"}
        assert provider.api_key_header == "x-key"

    def test_other_parameters_of_the_address_do_not_replace_the_version(self, load: Load) -> None:
        toml = AZURE.format("https://a.openai.azure.com/openai") + "query_params = { a = 'b' }\n"
        assert load(toml, model_provider="azure").provider.query_params == {
            "api-version": "2025-04-01-preview",
            "a": "b",
        }

    @pytest.mark.parametrize(
        ("address", "header"),
        [
            ("https://me.openai.azure.com/openai/v1", "api-key"),
            ("https://me.cognitiveservices.azure.com/openai/v1", "api-key"),
            ("https://me.services.ai.azure.com/openai/v1", "api-key"),
            ("https://openai.azure.com.evil.test/v1", None),
            ("http://[", None),
        ],
    )
    def test_its_hosts_are_known_under_any_name(
        self, load: Load, address: str, header: str | None
    ) -> None:
        toml = f"[model_providers.mine]\nbase_url = '{address}'\n"
        assert load(toml, model_provider="mine").provider.api_key_header == header

    def test_the_form_of_older_configurations_still_works(self, load: Load) -> None:
        toml = AZURE.format("https://a.openai.azure.com/openai")
        toml += "env_http_headers = { 'api-key' = 'AZURE_OPENAI_API_KEY' }\n"
        provider = load(toml, model_provider="azure", env={"AZURE_OPENAI_API_KEY": "k"}).provider
        assert (provider.http_headers, provider.api_key) == ({"api-key": "k"}, "k")

    @pytest.mark.parametrize("header", ["api-key", "API-Key", "Authorization"])
    def test_a_header_that_says_who_asks_is_as_good_as_a_key(self, load: Load, header: str) -> None:
        toml = AZURE.format("https://a.openai.azure.com/openai/v1")
        toml += f"env_http_headers = {{ '{header}' = 'MINE' }}\n"
        config = load(toml, model_provider="azure", env={"MINE": "k"})
        assert missing_credentials(config.provider, config.codex_home) is None
        config = load(toml, model_provider="azure")
        problem = missing_credentials(config.provider, config.codex_home)
        assert problem is not None
        assert "set the environment variable MINE " in problem


@pytest.mark.parametrize("header", ["", "a b", "a\nb", "ü"])
def test_a_header_for_the_key_must_be_one(load: Load, header: str) -> None:
    with pytest.raises(ConfigError, match="must be the name of an HTTP header"):
        load(config={"model_providers.mine.api_key_header": header})


def test_a_header_for_the_key_may_have_what_headers_may_have(load: Load) -> None:
    config = load(config={"model_providers.mine.api_key_header": "X_My.Key"})
    assert config.providers["mine"].api_key_header == "X_My.Key"


@pytest.mark.parametrize("name", sorted(LOCAL_SERVERS))
def test_a_local_one_can_be_given_a_key(load: Load, name: str) -> None:
    toml = f"model_provider = '{name}'\n[model_providers.{name}]\nenv_key = 'MINE'\n"
    config = load(toml)
    assert "MINE" in (missing_credentials(config.provider, config.codex_home) or "")
    assert load(env={"MINE": "k"}).provider.api_key == "k"


def test_both_names_of_ollama_are_the_same_provider(load: Load) -> None:
    toml = "[model_providers.ollama]\nbase_url = 'http://gpu.lan/v1'\nstream_max_retries = 1\n"
    for name in ("oss", "ollama"):
        provider = load(toml, model_provider=name).provider
        assert (provider.base_url, provider.max_retries) == ("http://gpu.lan/v1", 1)
    # Where both are configured, each key counts under its own name first.
    toml += "[model_providers.oss]\nstream_max_retries = 2\n"
    assert [load(toml, model_provider=n).provider.max_retries for n in ("oss", "ollama")] == [2, 1]
    assert load(toml, c=["oss=true"]).provider.base_url == "http://gpu.lan/v1"


OTHERS = {
    "name": "Mine",
    "base_url": "https://mine.test/v1",
    "env_key": "MINE",
    "env_key_instructions": "Ask me.",
    "wire_api": "responses",
    "api_key_header": "x-mine",
    "query_params": {"a": "b"},
    "http_headers": {"a": "b"},
    "request_max_retries": 7,
    "stream_max_retries": 7,
    "stream_idle_timeout_ms": 7,
}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(BUILTIN_PROVIDERS)), st.sets(st.sampled_from(sorted(OTHERS))))
def test_a_key_that_is_overridden_changes_no_other(name: str, keys: set[str]) -> None:
    entry = {key: OTHERS[key] for key in keys}
    before, after = (known_providers(e, {})[name] for e in ({}, {name: entry}))
    assert {key: getattr(after, key) for key in keys} == entry
    kept = set(asdict(before)) - keys
    assert {k: getattr(after, k) for k in kept} == {k: getattr(before, k) for k in kept}


@pytest.mark.parametrize(
    ("env", "address"),
    [
        ({}, "http://localhost:11434/v1"),
        ({"OLLAMA_HOST": ""}, "http://localhost:11434/v1"),
        ({"OLLAMA_HOST": "0.0.0.0"}, "http://localhost:11434/v1"),
        ({"OLLAMA_HOST": ":5000"}, "http://localhost:5000/v1"),
        ({"OLLAMA_HOST": "gpu.lan"}, "http://gpu.lan:11434/v1"),
        ({"OLLAMA_HOST": "gpu.lan:5000"}, "http://gpu.lan:5000/v1"),
        ({"OLLAMA_HOST": "[::1]:5000"}, "http://[::1]:5000/v1"),
        ({"OLLAMA_HOST": "::1"}, "http://[::1]:11434/v1"),
        ({"OLLAMA_HOST": "::"}, "http://localhost:11434/v1"),
        ({"OLLAMA_HOST": ' "gpu.lan:5000" '}, "http://gpu.lan:5000/v1"),
        ({"OLLAMA_HOST": "https://gpu.lan"}, "https://gpu.lan:443/v1"),
        ({"OLLAMA_HOST": "http://gpu.lan/ollama/"}, "http://gpu.lan:80/ollama/v1"),
        ({"CODEX_OSS_PORT": "5000", "OLLAMA_HOST": "gpu.lan"}, "http://localhost:5000/v1"),
        ({"CODEX_OSS_BASE_URL": "http://x/v1", "CODEX_OSS_PORT": "1"}, "http://x/v1"),
    ],
)
def test_ollama_is_where_its_own_variables_say(
    load: Load, env: dict[str, str], address: str
) -> None:
    providers = load(env=env).providers
    assert providers["oss"].base_url == providers["ollama"].base_url == address


@pytest.mark.parametrize(
    ("env", "address"),
    [
        ({"OLLAMA_HOST": "gpu.lan"}, "http://localhost:1234/v1"),
        ({"CODEX_OSS_PORT": "5000"}, "http://localhost:5000/v1"),
        ({"CODEX_OSS_BASE_URL": "http://x/v1"}, "http://x/v1"),
    ],
)
def test_the_variables_of_the_codex_cli_hold_for_lm_studio_too(
    load: Load, env: dict[str, str], address: str
) -> None:
    config = load("oss_provider = 'lmstudio'", c=["oss=true"], env=env)
    assert (config.provider.id, config.provider.base_url) == ("lmstudio", address)
    assert config.providers["llamacpp"].base_url == "http://localhost:8080/v1"


def test_an_address_in_config_toml_counts_more_than_one_in_the_environment(load: Load) -> None:
    toml = "[model_providers.ollama]\nbase_url = 'http://gpu.lan/v1'\n"
    for host in ("other.lan", "no address:"):
        config = load(toml, c=["oss=true"], env={"OLLAMA_HOST": host})
        assert config.provider.base_url == "http://gpu.lan/v1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OLLAMA_HOST", "gpu.lan:many"),
        ("OLLAMA_HOST", "ftp://gpu.lan"),
        ("CODEX_OSS_PORT", "many"),
        ("CODEX_OSS_BASE_URL", "gpu.lan"),
    ],
)
def test_a_variable_that_holds_no_address_is_an_error(
    load: Load, variable: str, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load("oss = true", env={variable: value})
    assert caught.value.key == variable
    # Who does not use it does not care.
    assert load("", env={variable: value}).provider.id == "openai"


@pytest.mark.parametrize(
    ("toml", "c", "parameters", "provider", "model"),
    [
        ("", ["oss=true"], {}, "oss", "gpt-oss:20b"),
        # What config.toml says is for the provider that it says it for.
        ("model = 'gpt-5'\nmodel_provider = 'openai'", ["oss=true"], {}, "oss", "gpt-oss:20b"),
        ("model = 'o3'", ["oss=true", "model=qwen3:8b"], {}, "oss", "qwen3:8b"),
        ("", ["oss=true"], {"model": "qwen3:8b"}, "oss", "qwen3:8b"),
        ("", ["oss=true"], {"model_provider": "openai"}, "openai", "gpt-5"),
        ("", ["oss=true", "model_provider=llamacpp"], {}, "llamacpp", "default"),
        ("oss_provider = 'lmstudio'", ["oss=true"], {}, "lmstudio", "openai/gpt-oss-20b"),
        ("oss = true", [], {}, "oss", "gpt-oss:20b"),
        ("[profiles.p]\noss = true", [], {"profile": "p"}, "oss", "gpt-oss:20b"),
        ("oss = true", ["oss=false"], {}, "openai", "gpt-5"),
        # Elsewhere a model counts for every provider, as in the Codex CLI.
        ("model = 'qwen'", ["model_provider=llamacpp"], {}, "llamacpp", "qwen"),
    ],
)
def test_which_provider_and_which_model_count(
    load: Load, toml: str, c: list[str], parameters: dict[str, str], provider: str, model: str
) -> None:
    config = load(toml, c=c, **parameters)
    assert (config.provider.id, config.model) == (provider, model)


def test_an_oss_provider_that_there_is_not_is_named(load: Load, home: Path) -> None:
    with pytest.raises(ConfigError, match='no model provider "x"') as caught:
        load("oss_provider = 'x'\noss = true")
    assert (caught.value.key, caught.value.file) == ("oss_provider", str(home / "config.toml"))
    # Without `oss` it is the Codex CLI's affair.
    assert load("oss_provider = 'x'").provider.id == "openai"

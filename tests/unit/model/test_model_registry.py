"""From a configuration to a client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from model_support import HOME, a_config, a_provider

from codex_rpc.config.settings import Provider
from codex_rpc.model.families import context_window
from codex_rpc.model.instructions import BASE_INSTRUCTIONS
from codex_rpc.model.registry import make_model
from codex_rpc.model.responses import ResponsesClient
from codex_rpc.model.scripted import ScriptedModel
from codex_rpc.protocol.errors import ConfigError


def refused(provider: Provider) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        make_model(a_config(provider))
    return raised.value


def test_a_server_gets_the_responses_client() -> None:
    assert isinstance(make_model(a_config()), ResponsesClient)


def test_a_script_gets_the_scripted_model(tmp_path: Path) -> None:
    script = tmp_path / "s.toml"
    script.write_text("[[response]]\ntext = 'hi'\n")
    provider = Provider(id="scripted", name="Scripted model", script=script)
    assert isinstance(make_model(a_config(provider)), ScriptedModel)


def test_a_wrong_script_is_a_configuration_error(tmp_path: Path) -> None:
    script = tmp_path / "s.toml"
    script.write_text("[[response]]\ntex = 'hi'\n")
    error = refused(Provider(id="scripted", name="Scripted model", script=script))
    assert error.file == str(script)


def test_a_scripted_model_without_a_script_says_what_to_set() -> None:
    error = refused(Provider(id="scripted", name="Scripted model"))
    assert error.key == "model_providers.scripted.script"


def test_missing_credentials_say_what_to_set() -> None:
    error = refused(a_provider(env_key="MINE_KEY", api_key=None))
    assert "MINE_KEY" in error.message


def test_a_provider_without_env_key_needs_no_key() -> None:
    assert isinstance(make_model(a_config(a_provider(api_key=None))), ResponsesClient)


def test_chat_is_not_available_yet() -> None:
    error = refused(a_provider(wire_api="chat"))
    assert 'not available yet; use wire_api = "responses"' in error.message
    assert (error.file, error.key) == (str(HOME / "config.toml"), "model_providers.mine.wire_api")


@pytest.mark.parametrize("url", ["ftp://h/v1", "h/v1", "http://", "http://[", "http://h:x/"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    assert refused(a_provider(url)).key == "model_providers.mine.base_url"


@pytest.mark.parametrize("key", ["sk-ü", "sk-a\nb", "sk-a\x00"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_repeated(key: str) -> None:
    error = refused(a_provider(api_key=key, env_key="MINE_KEY"))
    assert "MINE_KEY" in error.message
    assert key not in error.message


@pytest.mark.parametrize(
    "headers", [{"a b": "c"}, {"a": "c\r\nd: e"}, {"": "c"}, {"ä": "c"}, {"a": "\x00"}]
)
def test_a_header_that_is_none_is_refused(headers: dict[str, str]) -> None:
    error = refused(a_provider(http_headers=headers))
    assert error.key == "model_providers.mine.http_headers"


def test_making_a_client_imports_no_http_client() -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from codex_rpc.config.settings import Config, Provider\n"
        "from codex_rpc.model.registry import make_model\n"
        "provider = Provider(id='x', name='X', base_url='https://x.test/v1')\n"
        "make_model(Config(codex_home=Path('/'), cwd=Path('/'), model='m', provider=provider))\n"
        "print(*{'httpx', 'httpcore', 'httpx_sse', 'certifi', 'rich'} & set(sys.modules))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []


async def test_preparing_loads_what_a_request_needs_and_may_be_repeated() -> None:
    client = ResponsesClient(a_config())
    await client.prepare()
    await client.prepare()
    await client.aclose()
    await client.aclose()


async def test_preparing_leaves_errors_to_the_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://nowhere")
    await ResponsesClient(a_config()).prepare()


@pytest.mark.parametrize(
    ("provider_id", "settings", "stores"),
    [
        ("openai", {}, True),
        ("openai", {"disable_response_storage": True}, False),
        ("mine", {}, False),
    ],
)
def test_only_openai_stores_responses_unless_that_is_disabled(
    provider_id: str, settings: dict[str, Any], stores: bool
) -> None:
    client = ResponsesClient(a_config(a_provider(id=provider_id), **settings))
    assert client.stores_responses is stores


def test_retries_are_the_providers() -> None:
    provider = a_provider(request_max_retries=2, stream_max_retries=7)
    assert ResponsesClient(a_config(provider)).max_retries == 7


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("gpt-5", 272_000),
        ("gpt-5-mini", 272_000),
        ("gpt-4.1-nano", 1_047_576),
        ("gpt-4-0613", 8_192),
        ("openai/gpt-4o", 128_000),
        ("qwen2.5-coder", None),
        ("", None),
    ],
)
def test_the_window_of_a_known_family_is_known(model: str, window: int | None) -> None:
    assert context_window(model) == window
    assert ResponsesClient(a_config(model=model)).context_window == window


def test_a_configured_window_counts_before_the_familys() -> None:
    assert ResponsesClient(a_config(model_context_window=5)).context_window == 5


def test_the_system_prompt_is_compact() -> None:
    assert 60 <= BASE_INSTRUCTIONS.count("\n") <= 120
    assert len(BASE_INSTRUCTIONS.encode()) <= 6 * 1024

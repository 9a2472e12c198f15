"""From a configuration to a client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from model_support import (
    a_client,
    a_config,
    a_provider,
    ask,
)

from codex_rpc.config.families import SAFE_CONTEXT_WINDOW
from codex_rpc.config.settings import Provider
from codex_rpc.model.chat import CHAT
from codex_rpc.model.client import HttpModel
from codex_rpc.model.registry import make_model
from codex_rpc.model.responses import RESPONSES
from codex_rpc.model.scripted import ScriptedModel
from codex_rpc.protocol.errors import ConfigError, ModelRejected


def refused(provider: Provider) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        make_model(a_config(provider))
    return raised.value


def test_a_server_gets_the_responses_client() -> None:
    assert isinstance(make_model(a_config()), HttpModel)


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
    assert isinstance(make_model(a_config(a_provider(api_key=None))), HttpModel)


def test_each_wire_api_has_its_own_address() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(400, json={"error": {"message": "no"}})

    for dialect in (RESPONSES, CHAT):
        client = a_client(a_config(), dialect, transport=httpx.MockTransport(answer))
        with pytest.raises(ModelRejected):
            anyio.run(ask, client)
    assert asked == ["/v1/responses", "/v1/chat/completions"]
    for wire_api in ("responses", "chat"):
        assert isinstance(make_model(a_config(a_provider(wire_api=wire_api))), HttpModel)


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
    client = a_client(a_config())
    await client.prepare()
    await client.prepare()
    await client.aclose()
    await client.aclose()


async def test_preparing_leaves_errors_to_the_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://nowhere")
    await a_client(a_config()).prepare()


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
    client = a_client(a_config(a_provider(id=provider_id), **settings))
    assert client.stores_responses is stores


def test_retries_are_the_providers() -> None:
    provider = a_provider(request_max_retries=2, stream_max_retries=7)
    assert a_client(a_config(provider)).max_retries == 7


@pytest.mark.parametrize(
    ("model", "window"),
    [("gpt-5", 272_000), ("openai/gpt-4o", 128_000), ("no-such-model", SAFE_CONTEXT_WINDOW)],
)
def test_before_a_server_was_asked_the_window_is_the_familys_or_a_safe_one(
    model: str, window: int
) -> None:
    client = a_client(a_config(model_context_window=None))
    assert client.context_window(model) == window


def test_a_configured_window_counts_before_the_familys() -> None:
    assert a_client(a_config(model_context_window=5)).context_window("gpt-5") == 5

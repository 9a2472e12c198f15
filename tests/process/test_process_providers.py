"""Which server the real process asks, for which model, and what it shows to be let in."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio import fail_after, to_thread
from support.chat import chat_text
from support.client import COMMAND, environment, running
from support.conversation import text_events
from support.model_server import ModelServer

KEY = "key-that-nobody-may-see"
WINDOW = "model_context_window = 32000\n"
"""So that nobody has to be asked for it."""

CHAT = {"default": chat_text("Hello", " there.")}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / ".codex").mkdir(parents=True)
    configure(home, "")
    return home


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address of this machine where connections are refused, and stay so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def configure(home: Path, toml: str) -> None:
    (home / ".codex" / "config.toml").write_text(WINDOW + toml)


def provider(name: str, address: str, *more: str) -> str:
    """A config.toml that chooses a provider at another address."""
    lines = [f'model_provider = "{name}"', f"[model_providers.{name}]", f'base_url = "{address}"']
    return "\n".join([*lines, "stream_max_retries = 0", *more])


async def run_exec(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`codex-rpc exec`, to its end."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "exec", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=home,
            env=environment(home, **more),
            timeout=15,
        )

    return await to_thread.run_sync(run)


def ollama_at(server: ModelServer) -> dict[str, str]:
    """What Ollama's own client would read."""
    return {"OLLAMA_HOST": f"127.0.0.1:{server.port}"}


async def first_request(server: ModelServer) -> dict[str, Any]:
    with fail_after(5):
        return await server.request(1)


async def test_an_editor_that_adds_one_option_is_answered_by_ollama(home: Path) -> None:
    configure(home, 'model = "gpt-5"\n')
    async with (
        ModelServer(CHAT) as server,
        running(home, "--oss", OPENAI_API_KEY=KEY, **ollama_at(server)) as client,
    ):
        opened = await client.request("session/configure", {"cwd": str(home)})
        assert (opened["modelProvider"], opened["model"]) == ("oss", "gpt-oss:20b")
        events = await client.turn(opened["sessionId"], "hello")
        assert events[-1]["msg"]["type"] == "task_complete"
        request = await first_request(server)
    assert request["path"] == "/v1/chat/completions"
    assert request["body"]["model"] == "gpt-oss:20b"
    # No key of anyone else is shown to it.
    assert KEY not in json.dumps(request["headers"])
    assert "authorization" not in request["headers"]


async def test_a_terminal_that_adds_one_option_is_answered_by_ollama(home: Path) -> None:
    async with ModelServer(CHAT) as server:
        done = await run_exec(home, "--oss", "-m", "qwen3:8b", "hello", **ollama_at(server))
        request = await first_request(server)
    assert (done.returncode, done.stdout) == (0, "Hello there.\n")
    assert request["body"]["model"] == "qwen3:8b"


PROFILE = '[profiles.p]\nmodel_provider = "azure"\nmodel = "o3"\n'
AT_AZURE = '[model_providers.azure]\nbase_url = "http://127.0.0.1:9/openai/v1"\n'
IN_FILE = 'model_provider = "azure"\nmodel = "gpt-4.1"\n'


@pytest.mark.parametrize(
    ("toml", "options", "parameters", "chosen"),
    [
        ("", [], {}, ("openai", "gpt-5")),
        ('model = "o3"\n', [], {}, ("openai", "o3")),
        (IN_FILE, [], {}, ("azure", "gpt-4.1")),
        # A model that is configured counts for every provider, but not where --oss is said.
        (IN_FILE, ["-c", "model_provider=llamacpp"], {}, ("llamacpp", "gpt-4.1")),
        (IN_FILE, ["--oss"], {}, ("oss", "gpt-oss:20b")),
        (IN_FILE, ["--oss", "-c", "model=qwen3:8b"], {}, ("oss", "qwen3:8b")),
        (IN_FILE, ["-c", "model=qwen3:8b", "--oss"], {}, ("oss", "qwen3:8b")),
        (IN_FILE, ["serve", "--oss"], {}, ("oss", "gpt-oss:20b")),
        (IN_FILE, ["--oss", "-c", "oss_provider=lmstudio"], {}, ("lmstudio", "openai/gpt-oss-20b")),
        (
            'oss_provider = "lmstudio"\n',
            ["--oss", "-c", "model=m"],
            {},
            ("lmstudio", "m"),
        ),
        # What is said above config.toml is said on purpose.
        (PROFILE, ["--oss", "-c", "profile=p"], {"model": "m"}, ("oss", "m")),
        ("", ["--oss", "-c", "model_provider=llamacpp"], {}, ("llamacpp", "default")),
        ("", ["--oss"], {"model": "qwen3:8b"}, ("oss", "qwen3:8b")),
        ("", ["--oss"], {"modelProvider": "openai"}, ("openai", "gpt-5")),
        ("", ["--oss"], {"modelProvider": "openrouter"}, ("openrouter", "openai/gpt-5")),
        ("", [], {"modelProvider": "ollama"}, ("ollama", "gpt-oss:20b")),
    ],
)
async def test_what_is_said_nearest_to_the_session_decides(
    home: Path, toml: str, options: list[str], parameters: dict[str, str], chosen: tuple[str, str]
) -> None:
    configure(home, toml + AT_AZURE)
    keys = dict.fromkeys(("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "OPENROUTER_API_KEY"), KEY)
    async with running(home, *options, **keys) as client:
        opened = await client.request("session/configure", {"cwd": str(home), **parameters})
    assert (opened["modelProvider"], opened["model"]) == chosen


@pytest.mark.parametrize(
    ("wire_api", "base", "path"),
    [
        ("responses", "/openai/v1", "/openai/v1/responses"),
        ("responses", "/openai", "/openai/responses?api-version=2025-04-01-preview"),
        (
            "chat",
            "/openai/deployments/mine",
            "/openai/deployments/mine/chat/completions?api-version=2025-04-01-preview",
        ),
    ],
)
async def test_azure_gets_its_key_in_a_header_of_its_own(
    home: Path, wire_api: str, base: str, path: str
) -> None:
    answer = chat_text("Hi.") if wire_api == "chat" else text_events(1, "Hi.")
    async with ModelServer({"default": answer}) as server:
        address = f"http://127.0.0.1:{server.port}{base}"
        configure(home, provider("azure", address, f'wire_api = "{wire_api}"'))
        done = await run_exec(home, "-m", "gpt-5-mini", "hello", AZURE_OPENAI_API_KEY=KEY)
        request = await first_request(server)
    assert (done.returncode, done.stdout) == (0, "Hi.\n")
    assert request["path"] == path
    assert request["headers"]["api-key"] == KEY
    assert "authorization" not in request["headers"]
    assert KEY not in done.stdout + done.stderr
    assert not [f for f in home.rglob("*") if f.is_file() and KEY in f.read_text(errors="replace")]


async def test_a_configuration_of_older_days_still_reaches_azure(home: Path) -> None:
    async with ModelServer({"default": text_events(1, "Hi.")}) as server:
        configure(
            home,
            provider(
                "mine",
                f"http://127.0.0.1:{server.port}/openai",
                'query_params = { api-version = "2025-03-01-preview" }',
                'env_http_headers = { "api-key" = "AZURE_OPENAI_API_KEY" }',
            ),
        )
        done = await run_exec(home, "hello", AZURE_OPENAI_API_KEY=KEY)
        request = await first_request(server)
    assert done.returncode == 0
    assert request["path"] == "/openai/responses?api-version=2025-03-01-preview"
    assert request["headers"]["api-key"] == KEY


async def test_openrouter_is_told_the_key_and_nothing_of_the_program(home: Path) -> None:
    async with ModelServer(CHAT) as server:
        configure(home, provider("openrouter", server.url))
        done = await run_exec(home, "hello", OPENROUTER_API_KEY=KEY)
        request = await first_request(server)
    assert done.returncode == 0
    assert request["body"]["model"] == "openai/gpt-5"
    assert request["headers"]["authorization"] == f"Bearer {KEY}"
    assert not {"http-referer", "x-title"} & set(request["headers"])


async def test_a_session_of_a_local_model_goes_on_there_without_being_told(home: Path) -> None:
    async with ModelServer(CHAT) as server:
        async with running(home, "--oss", "-c", "model=qwen3:8b", **ollama_at(server)) as client:
            opened = await client.request("session/configure", {"cwd": str(home)})
            await client.turn(opened["sessionId"], "hello")
        async with running(home, OPENAI_API_KEY=KEY, **ollama_at(server)) as client:
            params = {"sessionId": opened["sessionId"]}
            resumed = await client.request("session/resume", params)
            assert (resumed["modelProvider"], resumed["model"]) == ("oss", "qwen3:8b")
            await client.turn(resumed["sessionId"], "and now?")
        request = server.requests[-1]
    assert request["body"]["model"] == "qwen3:8b"
    assert "and now?" in json.dumps(request["body"]["messages"])


async def test_in_the_terminal_a_saved_session_goes_on_locally_if_that_is_said(home: Path) -> None:
    async with (
        ModelServer({"default": text_events(1, "Hi.")}) as azure,
        ModelServer(CHAT) as ollama,
    ):
        configure(home, provider("azure", azure.url))
        keys = {"AZURE_OPENAI_API_KEY": KEY, **ollama_at(ollama)}
        await run_exec(home, "hello", **keys)
        words = ("--oss", "--resume", "last", "-m", "qwen3:8b", "now here")
        done = await run_exec(home, *words, **keys)
        again = await run_exec(home, "--oss", "--resume", "last", "and again", **keys)
        asked = [request["body"]["model"] for request in ollama.requests]
        assert len(azure.requests) == 1
    assert (done.returncode, again.returncode) == (0, 0)
    # The session has got used to the model, which --oss alone does not change.
    assert asked == ["qwen3:8b", "qwen3:8b"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-c", "model_provider=openrouter"], "OPENROUTER_API_KEY"),
        (["-c", "model_provider=openai"], "OPENAI_API_KEY"),
        (["-c", "model_provider=azure"], "https://NAME.openai.azure.com/openai/v1"),
        (["--oss", "-c", "oss_provider=nobody"], "nobody"),
    ],
)
async def test_what_is_missing_is_said_once(home: Path, words: list[str], said: str) -> None:
    done = await run_exec(home, *words, "hello")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("codex-rpc: ")
    assert said in line


async def test_an_address_that_is_none_names_its_variable(home: Path) -> None:
    done = await run_exec(home, "--oss", "hello", OLLAMA_HOST="gpu.lan:many")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "OLLAMA_HOST" in line


async def test_where_no_local_server_runs_it_says_how_to_get_one(home: Path, nobody: str) -> None:
    configure(home, "[model_providers.oss]\nstream_max_retries = 0\n")
    done = await run_exec(home, "--oss", "hello", OLLAMA_HOST=nobody)
    assert (done.returncode, done.stdout) == (1, "")
    shown = " ".join(done.stderr.split())
    for part in ("ollama serve", "https://ollama.com/download", "ollama pull gpt-oss:20b"):
        assert shown.count(part) == 1, shown
    assert "Traceback" not in shown

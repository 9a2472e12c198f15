"""The checks of `doctor`, each against real files and real servers on loopback."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from anyio import fail_after
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from support.model_list_server import models, serving

from codex_rpc.cli import (
    config_checks,
    local_checks,
    mcp_checks,
    program_checks,
    provider_checks,
    session_checks,
)
from codex_rpc.cli.checks import examine
from codex_rpc.cli.findings import Check, Finding, Installation
from codex_rpc.cli.model_list import Offer
from codex_rpc.config.cli_overrides import parse_override
from codex_rpc.config.loader import load_config
from codex_rpc.protocol.errors import RolloutNotFound
from codex_rpc.protocol.params import SessionOverrides

KEY = "sk-a-key-that-nobody-may-see-1234"
SERVER = Path(__file__).parents[2] / "support" / "mcp_demo.py"


def installation(
    home: Path, toml: str = "", *overrides: str, offline: bool = False, **environ: str
) -> Installation:
    """What a session in `home` would get, with `toml` as config.toml."""
    if toml:
        (home / "config.toml").write_text(toml)
    given = {"OPENAI_API_KEY": KEY, "PATH": "/usr/bin:/bin", **environ}
    parsed = [parse_override(text) for text in overrides]
    config = load_config(
        codex_home=home,
        environ=given,
        cwd=home,
        cli_overrides=parsed,
        overrides=SessionOverrides(),
    )
    return Installation(
        environ=given,
        cwd=home,
        codex_home=home,
        config=config,
        overrides=parsed,
        is_offline=offline,
    )


def served(url: str, **more: str) -> str:
    """A config.toml that chooses the server at `url`."""
    entry = {"name": "Mine", "base_url": url, "env_key": "MY_KEY", **more}
    lines = [f"{name} = {json.dumps(value)}" for name, value in entry.items()]
    return "\n".join(
        ('model = "m-1"\nmodel_provider = "mine"', "[model_providers.mine]", *lines, "")
    )


@contextmanager
def free_port() -> Iterator[int]:
    """A port of this machine where nobody answers."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        # Bound and not listening, so it cannot be given to anyone else.
        yield taken.getsockname()[1]


async def found(installation: Installation, **options: Any) -> Finding:
    """What the check of the model's server finds."""
    with fail_after(5):
        finding = await provider_checks.provider(installation, **options)
    assert finding is not None
    return finding


# The server of the configured model.


async def test_what_a_server_says_of_owners_need_not_be_a_text(tmp_path: Path) -> None:
    with serving({"data": [{"id": "m-1", "owned_by": []}]}) as server:
        finding = await found(installation(tmp_path, served(server.url), MY_KEY=KEY))
    assert finding.status == "ok"


async def test_a_name_that_a_server_gives_is_quoted_for_the_shell(tmp_path: Path) -> None:
    with serving({"data": [{"id": 'x"; touch /tmp/y'}]}) as server:
        finding = await found(installation(tmp_path, served(server.url), MY_KEY=KEY))
    assert any("-c 'model=x\"; touch /tmp/y'" in line for line in finding.details)
    assert any('model = "x\\"; touch /tmp/y"' in line for line in finding.details)


async def test_a_server_that_has_the_model_is_timed_and_asked_with_key_and_headers(
    tmp_path: Path,
) -> None:
    with serving(models("m-1", "m-2")) as server:
        config = (
            served(server.url) + 'http_headers = { "X-Mine" = "yes" }\nquery_params = {v = "1"}'
        )
        finding = await found(installation(tmp_path, config, MY_KEY=KEY))
    assert finding.status == "ok"
    assert finding.text.startswith("Mine answers in ")
    assert finding.text.endswith(" ms and has m-1")
    assert finding.data["ms"] > 0
    assert server.paths == ["/v1/models?v=1"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["x-mine"] == "yes"


async def test_a_model_that_is_not_offered_is_told_with_the_nearest_names(tmp_path: Path) -> None:
    with serving(models("text-embedding", "m-12", "other")) as server:
        finding = await found(installation(tmp_path, served(server.url), MY_KEY=KEY))
    assert finding.status == "warning"
    assert "has no model m-1" in finding.text
    assert finding.data["nearest"] == ["m-12"]
    assert any('model = "m-12"' in line for line in finding.details)


async def test_a_server_without_models_is_told(tmp_path: Path) -> None:
    with serving({"object": "list", "data": None}) as server:
        finding = await found(installation(tmp_path, served(server.url), MY_KEY=KEY))
    assert (finding.status, finding.data["models"]) == ("warning", 0)
    assert "has no model yet" in finding.text


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ({"status": 401, "body": {"error": {"message": f"no {KEY}"}}}, "error", "401"),
        ({"status": 403, "body": {"error": {"message": "missing scopes"}}}, "warning", "403"),
        ({"status": 404, "body": "404 page not found"}, "ok", "answers in"),
        ({"status": 429, "body": {"error": {"message": "slow down"}}}, "warning", "slow down"),
        ({"status": 500, "body": {"error": {"message": "oh no"}}}, "error", "oh no"),
        ({"status": 502, "body": "<html>Bad Gateway</html>"}, "error", "502"),
        ({"status": 503, "body": {"error": {"message": "Loading model"}}}, "warning", "Loading"),
        ({"body": "<html>Please log in</html>"}, "warning", "no list of models"),
        ({"status": 302, "headers": {"location": "/login"}, "body": ""}, "warning", "no list"),
    ],
)
async def test_what_a_server_answers_is_judged_by_whether_a_session_could_work(
    tmp_path: Path, answer: dict[str, Any], status: str, said: str
) -> None:
    with serving(**answer) as server:
        finding = await found(installation(tmp_path, served(server.url), MY_KEY=KEY))
        assert len(server.paths) == 1
    assert finding.status == status, finding
    assert said in finding.text
    assert finding.data["reachable"]
    assert KEY not in repr(finding)


async def test_a_server_that_is_not_there_is_an_error_with_its_address(tmp_path: Path) -> None:
    with free_port() as port:
        url = f"http://127.0.0.1:{port}/v1"
        finding = await found(installation(tmp_path, served(url), MY_KEY=KEY))
    assert (finding.status, finding.data["reachable"]) == ("error", False)
    assert url in finding.text


async def test_for_a_local_server_that_is_not_there_it_says_how_to_start_it(
    tmp_path: Path,
) -> None:
    with free_port() as port:
        finding = await found(installation(tmp_path, "", "oss=true", CODEX_OSS_PORT=str(port)))
    assert finding.status == "error"
    assert "ollama serve" in finding.text


@pytest.mark.parametrize(("overrides", "is_kept"), [((), True), (("oss=true",), False)])
async def test_a_model_is_offered_where_it_would_count(
    tmp_path: Path, overrides: tuple[str, ...], is_kept: bool
) -> None:
    with serving(models("qwen3:8b")) as server:
        host = f"127.0.0.1:{server.port}"
        chosen = installation(tmp_path, 'model_provider = "oss"', *overrides, OLLAMA_HOST=host)
        finding = await found(chosen)
    advice = next(line for line in finding.details if line.startswith("to choose another"))
    assert "-c model=qwen3:8b" in advice
    assert ("config.toml" in advice) == is_kept
    assert finding.details[-1] == "to add it: ollama pull gpt-oss:20b"


def test_a_provider_without_address_is_told_even_without_a_key(tmp_path: Path) -> None:
    finding = provider_checks.model(installation(tmp_path, 'model_provider = "azure"'))
    assert finding is not None
    assert finding.status == "error"
    assert "model_providers.azure.base_url" in finding.text


async def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with serving("") as server:
        server.may_answer.clear()
        asked = installation(tmp_path, served(server.url), MY_KEY=KEY)
        finding = await found(asked, timeout_s=0.2)
    assert finding.status == "error"
    assert "0.2 s" in finding.text
    assert str(asked.waits) == ""


async def test_a_proxy_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with free_port() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:{KEY}@127.0.0.1:{port}")
        asked = installation(tmp_path, served("http://models.example/v1"), MY_KEY=KEY)
        finding = await found(asked)
    assert finding.status == "error"
    assert KEY not in repr(finding)


async def test_azure_lists_models_and_is_asked_for_deployments(tmp_path: Path) -> None:
    with serving(models("gpt-5")) as server:
        entry = f'model_provider = "azure"\n[model_providers.azure]\nbase_url = "{server.url}"\n'
        toml = 'model = "mine"\n' + entry
        finding = await found(installation(tmp_path, toml, AZURE_OPENAI_API_KEY=KEY))
    assert finding.status == "ok"
    assert "deployments" in finding.text


async def test_nobody_is_asked_offline_or_without_the_key(tmp_path: Path) -> None:
    with serving(models("m-1")) as server:
        offline = await found(installation(tmp_path, served(server.url), offline=True, MY_KEY=KEY))
        keyless = await provider_checks.provider(installation(tmp_path, served(server.url)))
        assert server.paths == []
    assert "--offline" in offline.text
    assert keyless is None


def offer(*names: str, **more: Any) -> Offer:
    return Offer(status=200, headers=httpx.Headers(), body=b"", ms=1, models=names, **more)


def test_a_model_is_found_under_the_names_that_servers_give_it() -> None:
    assert offer("llama3.2:latest").has("llama3.2")
    assert not offer("llama3.2:latest").has("llama3.2:1b")
    assert offer("vendor/model").has("vendor/model:nitro")
    assert offer("/models/file.gguf", takes_any_name=True).has("whatever")
    assert offer("long", aliases=frozenset({"short"})).has("short")
    assert not offer().has("m")


def test_the_first_model_is_one_that_can_be_talked_to() -> None:
    assert offer("text-embedding-3", "chat").first == "chat"
    assert offer("text-embedding-3").first == "text-embedding-3"
    assert offer().first is None


# Keys.


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=60))
def test_of_a_key_at_most_its_ends_are_shown(key: str) -> None:
    shown = provider_checks.masked(key)
    if len(key) < 20:
        assert shown == f"set ({len(key)} character{'s' * (len(key) != 1)})"
    else:
        assert shown == f"{key[:3]}…{key[-4:]}"


def test_every_known_key_is_told_with_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(json.dumps({"OPENAI_API_KEY": "sk-from-the-file-9999"}))
    toml = served("http://127.0.0.1:1/v1")
    finding = provider_checks.credentials(installation(tmp_path, toml, MY_KEY="short"))
    assert finding is not None
    assert finding.text == "MY_KEY for Mine: set (5 characters), from the environment"
    assert finding.details == [
        'OPENAI_API_KEY: sk-…1234, from the environment; model_provider = "openai" uses it',
        'OPENAI_API_KEY: sk-…9999, from auth.json; model_provider = "openai" uses it',
    ]
    assert KEY not in repr(finding)


# Servers on this machine.


async def local(installation: Installation, **options: Any) -> Finding | None:
    """What is found on this machine, which may have servers of its own."""
    with fail_after(5):
        return await local_checks.local_servers(installation, **options)


def entry_of(finding: Finding | None, provider: str) -> dict[str, Any]:
    """What is told to programs of one server."""
    assert finding is not None
    [entry] = [entry for entry in finding.data["found"] if entry["provider"] == provider]
    assert all(f"  {line}" in finding.details for line in entry["select"])
    return entry


async def test_a_local_server_is_named_with_what_it_has_and_the_line_that_selects_it(
    tmp_path: Path,
) -> None:
    with serving(models("nomic-embed-text", "qwen3:8b")) as server:
        toml = f'[model_providers.here]\nname = "Here"\nbase_url = "{server.url}"\n'
        finding = await local(installation(tmp_path, toml, OPENAI_API_KEY=""))
    assert finding is not None
    assert server.paths == ["/v1/models"]
    assert "authorization" not in server.headers[0]
    entry = entry_of(finding, "here")
    assert entry["select"] == ['model_provider = "here"', 'model = "qwen3:8b"']
    assert "Here has nomic-embed-text, qwen3:8b" in finding.details
    command = "to try it: codex-rpc exec -c model_provider=here -m qwen3:8b hello"
    assert command in finding.details
    # The lines do what is said of them.
    chosen = installation(tmp_path, "\n".join(entry["select"]) + "\n" + toml).config
    assert chosen is not None
    assert (chosen.provider.id, chosen.model) == ("here", "qwen3:8b")


async def test_the_model_that_is_asked_for_anyway_need_not_be_named(tmp_path: Path) -> None:
    with serving(models("a", "b")) as server:
        toml = f'model = "b"\n[model_providers.here]\nbase_url = "{server.url}"\n'
        finding = await local(installation(tmp_path, toml))
    assert entry_of(finding, "here")["select"] == ['model_provider = "here"']


@pytest.mark.parametrize(
    ("has", "command", "lines"),
    [
        ("gpt-oss:20b", "--oss hello", ['model_provider = "oss"']),
        ("qwen3:8b", "--oss -m qwen3:8b hello", ['model_provider = "oss"', 'model = "qwen3:8b"']),
    ],
)
async def test_for_ollama_the_option_of_its_own_is_named(
    tmp_path: Path, has: str, command: str, lines: list[str]
) -> None:
    with serving(models(has, owned_by="library")) as server:
        toml = f'[model_providers.oss]\nbase_url = "{server.url}"\n'
        finding = await local(installation(tmp_path, toml, OPENAI_API_KEY=""))
    assert entry_of(finding, "oss")["select"] == lines
    assert finding is not None
    assert f"to try it: codex-rpc exec {command}" in finding.details
    assert finding.text.endswith("Ollama")


async def test_where_ollama_has_no_model_it_says_how_to_get_one(tmp_path: Path) -> None:
    with serving(models()) as server:
        toml = f'[model_providers.oss]\nbase_url = "{server.url}"\n'
        finding = await local(installation(tmp_path, toml))
    assert "ollama pull gpt-oss:20b" in repr(finding)


async def test_for_a_server_that_is_in_no_table_the_entry_is_written_out(tmp_path: Path) -> None:
    with serving(models("Qwen/Qwen3-8B", owned_by="vllm")) as server:
        vllm = evolve(local_checks.VLLM, base_url=server.url)
        finding = await local(installation(tmp_path), unlisted=vllm)
    entry = entry_of(finding, "vllm")
    config = installation(tmp_path, "\n".join(entry["select"])).config
    assert config is not None
    assert (config.model, config.provider.base_url) == ("Qwen/Qwen3-8B", server.url)
    assert config.provider.wire_api == "chat"


def test_the_usual_ports_are_those_of_the_table(tmp_path: Path) -> None:
    config = installation(tmp_path).config
    assert config is not None
    asked = local_checks.candidates(config, local_checks.VLLM)
    ports = [(provider.id, urlsplit(provider.base_url or "").port) for provider in asked]
    assert ports == [("oss", 11434), ("lmstudio", 1234), ("llamacpp", 8080), ("vllm", 8000)]


async def test_what_lists_no_models_is_no_model_server(tmp_path: Path) -> None:
    with serving("<html>a web page</html>") as server:
        toml = f'[model_providers.here]\nbase_url = "{server.url}"\n'
        finding = await local(installation(tmp_path, toml))
    assert len(server.paths) == 1
    assert finding is None or "here" not in [e["provider"] for e in finding.data["found"]]


async def test_the_chosen_server_is_not_told_twice(tmp_path: Path) -> None:
    with serving(models("m-1")) as server:
        asked = installation(tmp_path, served(server.url), MY_KEY=KEY)
        keyless = 'model_provider = "here"\n[model_providers.here]\n'
        keyless += f'base_url = "{server.url}"\n'
        for chosen in (asked, installation(tmp_path, keyless)):
            finding = await local(chosen)
            assert finding is None or server.url not in repr(finding)
        assert server.paths == []


# The configuration.


def test_what_is_set_is_told_with_its_layer_and_without_secrets(tmp_path: Path) -> None:
    toml = f"""
        model = "m"
        profile = "work"
        tui = {{ theme = "{KEY}" }}
        nonsense = "{KEY}"
        notify = ["say", "{KEY}"]
        [projects."/x"]
        trust_level = "trusted"
        [model_providers.x]
        base_url = "https://me:{KEY}@x.example:1/v1?key={KEY}"
        env_key = "MY_KEY"
        env_key_instructions = "{KEY}"
        http_headers = {{ Authorization = "{KEY}" }}
        query_params = {{ key = "{KEY}" }}
        [mcp_servers.docs]
        command = "docs"
        args = ["--token", "{KEY}"]
        env = {{ TOKEN = "{KEY}" }}
        [profiles.work]
        model = "of the profile"
        tool_output_max_lines = 5
        [profiles.other]
    """
    finding = config_checks.configuration(installation(tmp_path, toml, "model=said"))
    told = {entry["key"]: (entry["value"], entry["layer"]) for entry in finding.data["settings"]}
    assert told["model"] == ('"said"', "-c")
    assert 'model = "said"  (from -c, instead of that from profile work)' in finding.details
    assert told["tool_output_max_lines"] == ("5", "profile work")
    assert told["model_providers.x.base_url"] == ('"https://x.example:1/v1"', "config.toml")
    assert told["model_providers.x.env_key"] == ('"MY_KEY"', "config.toml")
    assert told["mcp_servers.docs.command"] == ('"docs"', "config.toml")
    assert finding.data["ignored"] == ["tui", "projects"]
    assert "unknown key nonsense" in finding.details[0]
    assert finding.details[-1].endswith("other")
    assert KEY not in repr(finding)


def test_a_key_where_the_name_of_a_variable_belongs_is_not_shown(tmp_path: Path) -> None:
    toml = '[model_providers.x]\nbase_url = "http://x"\nenv_key = "gsk_abcdefghij0123456789"\n'
    finding = config_checks.configuration(installation(tmp_path, toml))
    assert "gsk_" not in repr(finding)
    assert "the name of a variable is wanted" in repr(finding)


def test_variables_that_change_where_requests_go_are_named(tmp_path: Path) -> None:
    url = f"https://me:{KEY}@models.example/v1"
    asked = installation(tmp_path, OPENAI_BASE_URL=url, HTTPS_PROXY=f"http://me:{KEY}@proxy:1")
    finding = config_checks.configuration(asked)
    assert [entry["key"] for entry in finding.data["settings"]] == [
        "OPENAI_BASE_URL",
        "HTTPS_PROXY",
    ]
    assert KEY not in repr(finding)


# The rest.


def rollout(folder: Path, name: str, *lines: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"rollout-2026-01-01T00-00-00-1b4e28ba-2fa1-41d2-883f-00000000{name}.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def header(name: str) -> dict[str, Any]:
    session_id = f"1b4e28ba-2fa1-41d2-883f-00000000{name}"
    return {"id": session_id, "timestamp": "2026-01-01T00:00:00.000Z", "instructions": None}


async def test_sessions_are_counted_by_their_state(tmp_path: Path) -> None:
    folder = tmp_path / "sessions" / "2026" / "01" / "01"
    rollout(folder, "0001", header("0001"))
    rollout(folder, "0002")
    rollout(tmp_path / "archived_sessions", "0003", header("0003"))
    before = sorted(tmp_path.rglob("*"))
    finding = await session_checks.sessions(installation(tmp_path))
    assert finding is not None
    assert finding.data["statuses"] == {"clean": 2, "unreadable": 1}
    assert (finding.data["count"], finding.data["archived"], finding.data["seen"]) == (3, 1, 3)
    assert finding.status == "warning"
    assert "codex-rpc sessions doctor" in finding.details[-1]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def mcp_package() -> None:
    if program_checks.package_version("mcp") is None:
        pytest.skip("the mcp package is not installed")


@pytest.mark.usefixtures("mcp_package")
async def test_mcp_servers_are_started_side_by_side_and_counted(tmp_path: Path) -> None:
    command, script = json.dumps(sys.executable), json.dumps(str(SERVER))
    hangs = json.dumps("import time; time.sleep(60)")
    toml = f"""
        [mcp_servers.good]
        command = {command}
        args = [{script}]
        enabled_tools = ["echo", "peek"]
        [mcp_servers.gone]
        command = "no-such-program"
        [mcp_servers.hangs]
        command = {command}
        args = ["-c", {hangs}]
        startup_timeout_sec = 0.3
        [mcp_servers.tells]
        command = {command}
        args = ["-c", "import os, sys; sys.exit(os.environ['TOKEN'])"]
        env = {{ TOKEN = "{KEY}" }}
    """
    check = Check("mcp", mcp_checks.mcp)
    asked = installation(tmp_path, toml)
    with fail_after(15):
        [finding] = await examine(asked, [check])
    assert finding.status == "error"
    assert not finding.is_fatal
    started = finding.data["started"]
    assert (started["good"]["tools"], started["good"]["problem"]) == (2, None)
    assert started["gone"]["problem"] == "there is no program `no-such-program`"
    assert "0.3 s" in started["hangs"]["problem"]
    assert started["tells"]["problem"] is not None
    assert KEY not in repr(finding)
    assert str(asked.waits) == ""


@pytest.mark.usefixtures("mcp_package")
async def test_offline_no_mcp_server_is_started(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    script = json.dumps(f"open({str(trace)!r}, 'w')")
    toml = f'[mcp_servers.x]\ncommand = {json.dumps(sys.executable)}\nargs = ["-c", {script}]\n'
    finding = await mcp_checks.mcp(installation(tmp_path, toml, offline=True))
    assert finding is not None
    assert finding.status == "ok"
    assert finding.details[0] == f"x: {sys.executable}"
    assert not trace.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="scripts that are programs")
async def test_editors_on_path_are_named_and_the_zed_of_zfs_is_none(tmp_path: Path) -> None:
    folders = [tmp_path / "bin", tmp_path / "sbin"]
    for folder, name in zip(folders, ("nvim", "zed"), strict=True):
        folder.mkdir()
        (folder / name).write_text("#!/bin/sh\necho NVIM v9.9.9\n")
        (folder / name).chmod(0o755)
    path = ":".join(map(str, folders))
    finding = await program_checks.editors(installation(tmp_path, PATH=path))
    assert finding.data["editors"] == {"Neovim": str(folders[0] / "nvim")}
    assert finding.text == f"Neovim v9.9.9 ({folders[0] / 'nvim'})"


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (PermissionError(13, "Permission denied", "/x"), "Permission denied: /x"),
        (RolloutNotFound("there is no such session"), "there is no such session"),
        (ValueError(f"{KEY} is no number"), "ValueError"),
    ],
)
async def test_a_check_that_fails_is_a_finding_and_the_others_go_on(
    tmp_path: Path, failure: Exception, said: str
) -> None:
    async def breaks(_: Installation) -> Finding | None:
        raise failure

    async def breaks_in_a_group(_: Installation) -> Finding | None:
        async with anyio.create_task_group() as group:
            group.start_soon(breaks, _)
        return None

    async def works(_: Installation) -> Finding | None:
        return Finding("works", "ok", "yes")

    checks = [Check("bad", breaks), Check("worse", breaks_in_a_group), Check("works", works)]
    findings = await examine(installation(tmp_path), checks)
    assert [(f.name, f.status) for f in findings] == [
        ("bad", "error"),
        ("worse", "error"),
        ("works", "ok"),
    ]
    assert all(f.text.endswith(said) for f in findings[:2])


async def test_a_secret_that_a_check_repeats_is_masked(tmp_path: Path) -> None:
    async def repeats(_: Installation) -> Finding | None:
        return Finding("x", "ok", KEY, [f"a {KEY}"], {"list": [{"a": KEY}]})

    findings = await examine(installation(tmp_path), [Check("x", repeats)])
    assert KEY not in repr(findings)


async def test_nobody_on_this_machine_is_told_what_is_in_an_address(tmp_path: Path) -> None:
    with serving(models("m")) as server:
        url = server.url.replace("//", f"//me:{KEY}@") + f"?key={KEY}"
        config = f'[model_providers.other]\nbase_url = "{url}"\nwire_api = "chat"\n'
        await local(installation(tmp_path, config, OPENAI_API_KEY=KEY))
    assert server.paths == ["/v1/models"]
    assert "authorization" not in server.headers[0]


def test_an_address_without_a_scheme_is_shown_without_its_password(tmp_path: Path) -> None:
    told = config_checks.configuration(installation(tmp_path, "", OLLAMA_HOST=f"me:{KEY}@h:1"))
    assert KEY not in repr(told)

"""`codex-rpc doctor`, as a person and a program read it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.client import COMMAND, environment
from support.model_list_server import models, serving

KEY = "sk-a-key-that-nobody-may-see"
NAMES = [
    *("program", "config", "model", "credentials", "provider", "local_servers", "home"),
    *("sessions", "sandbox", "policy", "deny_read", "mcp", "editors", "packages", "git"),
]
MEMBERS = ["name", "status", "text", "details", "data"]
MODELS = models("gpt-5")
HANGS = ["-c", f"mcp_servers.slow.command={json.dumps(sys.executable)}"]
HANGS += ["-c", 'mcp_servers.slow.args=["-c", "import time; time.sleep(60)"]']


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / ".codex").mkdir(parents=True)
    return home


def doctor(
    home: Path, *arguments: str, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "doctor", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=cwd or home,
        env=environment(home, **{"OPENAI_API_KEY": KEY, **more}),
        timeout=15,
    )


def checks(home: Path, *arguments: str, **more: Any) -> dict[str, dict[str, Any]]:
    """The findings by name, without asking anybody."""
    return found_by(doctor(home, "--offline", "--json", *arguments, **more))


def online(home: Path, *arguments: str, **more: str) -> dict[str, dict[str, Any]]:
    """The same with all that is asked."""
    return found_by(doctor(home, "--json", *arguments, **more))


def found_by(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """The findings of a run, which has to fit what it says of itself."""
    assert KEY not in done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["ok", "checks"]
    assert all(list(check) == MEMBERS for check in found["checks"])
    by_name = {check["name"]: check for check in found["checks"]}
    assert [name for name in NAMES if name in by_name] == list(by_name)
    problems = [name for name, check in by_name.items() if check["status"] == "error"]
    assert found["ok"] == (not problems)
    assert done.returncode == (1 if problems else 0)
    return by_name


def test_where_everything_is_there_a_session_can_start(home: Path) -> None:
    found = checks(home)
    assert list(found) == [name for name in NAMES if name != "local_servers"]
    for name in ("program", "home", "config", "model", "deny_read", "mcp", "packages"):
        assert found[name]["status"] == "ok", found[name]
    assert set(found["program"]["data"]) == {"version", "python", "platform", "executable"}
    assert found["home"]["data"] == {"path": str(home / ".codex"), "exists": True}
    assert found["model"]["text"].endswith("(OpenAI)")
    assert found["credentials"]["text"].endswith("sk-…-see, from the environment")
    assert found["policy"]["data"]["sandbox_mode"] == "read-only"


def test_it_reads_well_without_a_terminal(home: Path) -> None:
    done = doctor(home, "--offline", "-c", "nonsense=5", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert KEY not in done.stdout
    assert "unknown key nonsense is ignored" in done.stdout
    assert "\nA session can start here.\n" in done.stdout
    assert done.stderr == ""
    assert all(line.isprintable() and len(line) <= 100 for line in done.stdout.splitlines())


def test_it_writes_nothing(home: Path, tmp_path: Path) -> None:
    (home / ".codex").rmdir()
    work = tmp_path / "work"
    work.mkdir()
    found = checks(home, "-c", "sandbox_mode=workspace-write", cwd=work)
    assert found["home"]["text"].endswith("to be made with the first session")
    assert list(home.iterdir()) == list(work.iterdir()) == []


# What keeps a session from starting.


def test_without_a_key_it_says_what_to_set(home: Path) -> None:
    found = checks(home, OPENAI_API_KEY="")
    assert found["credentials"]["status"] == "error"
    assert "OPENAI_API_KEY" in found["credentials"]["text"]
    shown = doctor(home, "--offline", OPENAI_API_KEY="").stdout
    assert "No session can work" in shown
    assert "codex-rpc demo" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-c", "model=5"], "model must be a string"),
        (["-p", "nowhere"], "nowhere"),
        (["-c", "model_provider=nobody"], 'no model provider "nobody"'),
    ],
)
def test_a_configuration_that_does_not_load_is_told(
    home: Path, arguments: list[str], said: str
) -> None:
    found = checks(home, *arguments)
    assert said in found["config"]["text"]
    # What the machine gives is told all the same.
    assert {"sandbox", "git"} < set(found)
    assert "model" not in found


def test_a_broken_config_toml_is_named(home: Path) -> None:
    (home / ".codex" / "config.toml").write_text("model = ")
    found = checks(home)["config"]
    assert f"{home}/.codex/config.toml:1" in found["text"]
    assert "move it away" in found["details"][0]


def test_a_relative_codex_home_is_told(home: Path) -> None:
    found = checks(home, CODEX_HOME="somewhere")
    assert "CODEX_HOME must be an absolute path" in found["config"]["text"]
    assert "home" not in found


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_a_home_that_is_no_folder_is_told(home: Path) -> None:
    (home / "file").touch()
    found = checks(home, CODEX_HOME=str(home / "file" / "codex"))
    assert found["home"]["status"] == "error"
    assert "sessions cannot be saved" in found["home"]["text"]


# What is worth knowing.


def test_sessions_are_counted(home: Path) -> None:
    folder = home / ".codex" / "sessions" / "2026" / "01" / "01"
    folder.mkdir(parents=True)
    (folder / "rollout-2026-01-01T00-00-00-1b4e28ba-2fa1-41d2-883f-0016d3cca427.jsonl").touch()
    found = checks(home)["sessions"]["data"]
    assert (found["count"], found["statuses"]) == (1, {"unreadable": 1})


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_key_from_auth_json_and_who_else_may_read_it(home: Path) -> None:
    auth = home / ".codex" / "auth.json"
    auth.write_text(json.dumps({"OPENAI_API_KEY": KEY}))
    auth.chmod(0o644)
    found = checks(home, OPENAI_API_KEY="")
    assert found["credentials"]["text"].endswith("from auth.json")
    assert found["home"]["status"] == "warning"
    assert f"chmod 600 {auth}" in found["home"]["details"][0]
    auth.chmod(0o600)
    assert checks(home, OPENAI_API_KEY="")["home"]["status"] == "ok"


def test_an_address_is_shown_without_what_may_be_secret(home: Path) -> None:
    url = f"https://me:{KEY}@models.example:8080/v1?token={KEY}"
    given = ["-c", f'model_providers.x.base_url="{url}"', "-c", "model_provider=x"]
    server = ["-c", f'mcp_servers.docs.url="{url}"']
    found = checks(home, *given, *server)
    assert "https://models.example:8080/v1 (x)" in found["model"]["text"]
    assert found["credentials"]["text"] == "none needed for x"
    assert "docs: https://models.example:8080/v1" in found["mcp"]["details"]


def test_what_the_policy_leaves_open_is_said_with_its_consequence(home: Path) -> None:
    work = home / "work"
    work.mkdir()
    landlock = ["-C", "work", "-c", "sandbox_means=landlock", "-c", "sandbox_mode=workspace-write"]
    found = checks(home, *landlock)
    assert found["policy"]["status"] == "warning"
    assert found["policy"]["data"]["gaps"]
    assert "so you are asked before each command" in found["policy"]["details"]
    refused = checks(home, *landlock, "-c", "approval_policy=never")
    assert "so commands are refused" in refused["policy"]["details"]
    free = checks(home, "-c", "sandbox_mode=danger-full-access")
    assert "nothing confines commands" in free["policy"]["text"]


def test_the_means_is_named_and_what_would_be_better(home: Path) -> None:
    best = checks(home)["sandbox"]
    chosen = checks(home, "-c", "sandbox_means=landlock")["sandbox"]
    assert best["data"]["means"] in ("bubblewrap", "landlock", "seatbelt", "none")
    if sys.platform == "linux" and chosen["data"]["means"] == "landlock":
        assert chosen["status"] == "warning"
        assert "as sandbox_means says" in chosen["text"]
    if sys.platform == "linux" and best["data"]["means"] != "bubblewrap":
        assert "pip install 'codex-rpc[bwrap]'" in best["details"][-1]


def test_what_must_not_be_read_is_listed(home: Path) -> None:
    found = checks(home, "-c", 'sandbox_deny_read=["**/.env"]')["deny_read"]
    assert (found["status"], found["details"]) == ("ok", ["**/.env"])
    free = ["-c", "sandbox_mode=danger-full-access"]
    assert checks(home, "-c", 'sandbox_deny_read=["x"]', *free)["deny_read"]["status"] == "warning"


def test_servers_whose_program_is_not_there_are_named(home: Path) -> None:
    python = json.dumps(sys.executable)
    found = checks(
        home, "-c", f"mcp_servers.good.command={python}", "-c", "mcp_servers.bad.command=no-such"
    )["mcp"]
    assert found["data"]["servers"] == ["bad", "good"]
    assert found["status"] == "error"
    assert found["details"][:2] == [
        "bad: there is no program `no-such`",
        f"good: {sys.executable}",
    ]


# What is asked.


def test_a_server_that_answers_is_timed_and_the_key_is_shown_nowhere(home: Path) -> None:
    with serving(MODELS) as server:
        found = online(home, OPENAI_BASE_URL=server.url)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert found["provider"]["status"] == "ok"
    assert found["provider"]["text"].endswith("and has gpt-5")
    assert found["provider"]["data"]["ms"] > 0


def test_a_key_that_is_refused_is_an_error_even_if_the_server_repeats_it(home: Path) -> None:
    body = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}
    with serving(body, status=401) as server:
        found = online(home, OPENAI_BASE_URL=server.url)
    assert found["provider"]["status"] == "error"
    assert "OPENAI_API_KEY" in found["provider"]["text"]


def test_with_nothing_configured_a_local_server_is_named(home: Path) -> None:
    with serving(MODELS) as server:
        # As it would be at its usual port, which may be taken here.
        found = online(home, OPENAI_API_KEY="", OLLAMA_HOST=f"127.0.0.1:{server.port}")
    assert "provider" not in found
    assert '  model_provider = "oss"' in found["local_servers"]["details"]


def test_an_mcp_server_that_hangs_is_told_without_the_others_being_lost(home: Path) -> None:
    with serving(MODELS) as server:
        limit = ["-c", "mcp_servers.slow.startup_timeout_sec=0.3"]
        found = online(home, *HANGS, *limit, OPENAI_BASE_URL=server.url)
    if found["mcp"]["data"]["package"] is None:
        pytest.skip("the mcp package is not installed")
    assert found["mcp"]["status"] == "error"
    assert found["mcp"]["details"][0] == "slow: it did not answer within 0.3 s"
    assert found["provider"]["status"] == "ok"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
async def test_at_a_terminal_it_says_what_it_waits_for_and_ctrl_c_ends_it(home: Path) -> None:
    from support.terminal import at_terminal

    if importlib.util.find_spec("mcp") is None:
        pytest.skip("the mcp package is not installed")
    async with at_terminal(home, "doctor", *HANGS, OPENAI_API_KEY="") as terminal:
        await terminal.until("waiting for MCP server slow")
        terminal.type("\x03")
        assert await terminal.exit_code() == 130
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_who_has_seen_enough_may_stop_reading(home: Path, arguments: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*COMMAND, "doctor", "--offline", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
        env=environment(home, OPENAI_API_KEY=KEY),
        timeout=15,
    )
    os.close(write_end)
    assert done.stderr == ""
    assert done.returncode == 0


def test_without_git_it_says_what_is_missed(home: Path) -> None:
    program = Path(sys.executable).parent
    found = checks(home, PATH=str(program))["git"]
    if found["data"]["version"] is None:
        assert "not installed" in found["text"]


def test_a_wrong_command_line_is_exit_code_two(home: Path) -> None:
    done = doctor(home, "-C", "missing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no directory" in done.stderr

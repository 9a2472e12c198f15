"""`codex-rpc doctor`, as a person and a program read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.client import COMMAND, environment

KEY = "sk-a-key-that-nobody-may-see"
NAMES = [
    *("program", "home", "config", "model", "sandbox", "policy", "deny_read"),
    *("mcp", "packages", "git"),
]


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
    """The findings by name."""
    done = doctor(home, "--json", *arguments, **more)
    assert KEY not in done.stdout + done.stderr
    found = json.loads(done.stdout)
    by_name = {check["name"]: check for check in found["checks"]}
    assert [name for name in NAMES if name in by_name] == list(by_name)
    problems = [name for name, check in by_name.items() if check["status"] == "error"]
    assert found["ok"] == (not problems)
    assert done.returncode == (1 if problems else 0)
    return by_name


def test_where_everything_is_there_a_session_can_start(home: Path) -> None:
    found = checks(home)
    assert list(found) == NAMES
    for name in ("program", "home", "config", "model", "deny_read", "mcp", "packages"):
        assert found[name]["status"] == "ok", found[name]
    assert set(found["program"]["data"]) == {"version", "python", "platform"}
    assert found["home"]["data"] == {"path": str(home / ".codex"), "exists": True, "sessions": 0}
    assert found["model"]["text"].endswith("(OpenAI), key from OPENAI_API_KEY")
    assert found["policy"]["data"]["sandbox_mode"] == "read-only"


def test_it_reads_well_without_a_terminal(home: Path) -> None:
    done = doctor(home, "-c", "nonsense=5", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
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
    assert found["model"]["status"] == "error"
    assert "OPENAI_API_KEY" in found["model"]["text"]
    assert "No session can start" in doctor(home, OPENAI_API_KEY="").stdout


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
    assert "config.toml" in checks(home)["config"]["text"]


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
    assert checks(home)["home"]["text"].endswith(", 1 session")


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_key_from_auth_json_and_who_else_may_read_it(home: Path) -> None:
    auth = home / ".codex" / "auth.json"
    auth.write_text(json.dumps({"OPENAI_API_KEY": KEY}))
    auth.chmod(0o644)
    found = checks(home, OPENAI_API_KEY="")
    assert found["model"]["text"].endswith("key from auth.json")
    assert found["home"]["status"] == "warning"
    assert f"chmod 600 {auth}" in found["home"]["details"][0]
    auth.chmod(0o600)
    assert checks(home, OPENAI_API_KEY="")["home"]["status"] == "ok"


def test_an_address_is_shown_without_what_may_be_secret(home: Path) -> None:
    url = f"https://me:{KEY}@models.example:8080/v1?token={KEY}"
    given = ["-c", f'model_providers.x.base_url="{url}"', "-c", "model_provider=x"]
    server = ["-c", f'mcp_servers.docs.url="{url}"']
    found = checks(home, *given, *server)
    assert "https://models.example:8080/v1 (x), no key needed" in found["model"]["text"]
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
    assert found["status"] == "warning"
    assert found["details"][:2] == [
        "bad: there is no program `no-such`",
        f"good: {sys.executable}",
    ]


def test_without_git_it_says_what_is_missed(home: Path) -> None:
    program = Path(sys.executable).parent
    found = checks(home, PATH=str(program))["git"]
    if found["data"]["version"] is None:
        assert "not installed" in found["text"]


def test_a_wrong_command_line_is_exit_code_two(home: Path) -> None:
    done = doctor(home, "-C", "missing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no directory" in done.stderr

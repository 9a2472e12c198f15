"""`codex-rpc login` and `logout` as a person at a terminal and as a shell script meet them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest
from support.client import COMMAND, environment
from support.terminal import at_terminal

KEY = "sk-proj-9fQ2xLr71ZbT0uVw"
PROMPT = "OpenAI API key (it is not shown): "
AZURE = 'model_provider = "azure"\n'
MINE = '[model_providers.mine]\nname = "Mine"\nenv_key = "MINE_KEY"\nrequires_openai_auth = true\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


def run(
    home: Path, *arguments: str, given: str | bytes = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with `given` on standard input; what it says is in UTF-8."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(home, **more),
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        timeout=10,
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err
    assert KEY not in out + err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def saved(home: Path) -> Any:
    return json.loads((home / ".codex" / "auth.json").read_text())


def write(home: Path, name: str, text: str) -> Path:
    (home / ".codex").mkdir(exist_ok=True)
    file = home / ".codex" / name
    file.write_text(text)
    return file


async def test_the_key_is_asked_for_and_never_shown(home: Path) -> None:
    async with at_terminal(home, "login") as terminal:
        await terminal.until(PROMPT)
        assert not terminal.modes[3] & termios.ECHO
        terminal.type(KEY + "\r")
        await terminal.until("The key is saved in ")
        assert await terminal.exit_code() == 0
        assert terminal.modes[3] & termios.ECHO
        assert KEY not in terminal.raw
    file = home / ".codex" / "auth.json"
    assert saved(home) == {"OPENAI_API_KEY": KEY}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_what_clients_append_to_log_in_does_the_same(home: Path) -> None:
    async with at_terminal(home, "acp", "--login") as terminal:
        await terminal.until(PROMPT)
        terminal.type(KEY + "\r")
        assert await terminal.exit_code() == 0
        assert KEY not in terminal.raw
    assert saved(home) == {"OPENAI_API_KEY": KEY}


@pytest.mark.parametrize(
    ("keys", "code", "said"),
    [
        ("\x03", 130, "interrupted; nothing was saved"),
        ("\x04", 2, "no key was given; nothing was saved"),
        ("\r", 2, "no key was given; nothing was saved"),
        ("two words\r", 2, "that is no API key: it has spaces"),
    ],
    ids=["Ctrl-C", "Ctrl-D", "nothing", "words"],
)
async def test_who_gives_no_key_saves_none(home: Path, keys: str, code: int, said: str) -> None:
    async with at_terminal(home, "login") as terminal:
        await terminal.until(PROMPT)
        terminal.type(keys)
        assert await terminal.exit_code() == code
        assert said in terminal.text
        assert terminal.modes[3] & termios.ECHO
        assert "Traceback" not in terminal.text
    assert not (home / ".codex" / "auth.json").exists()


async def test_a_file_that_could_not_be_kept_is_told_before_anything_is_asked(home: Path) -> None:
    write(home, "auth.json", "[")
    async with at_terminal(home, "login") as terminal:
        assert await terminal.exit_code() == 2
        assert "auth.json is not a JSON object; nothing was saved" in terminal.text
        assert PROMPT not in terminal.text


@pytest.mark.parametrize("given", [KEY, KEY + "\n", f"  {KEY}\r\nmore\n"], ids=repr)
def test_without_a_terminal_the_key_is_a_line_of_standard_input(home: Path, given: str) -> None:
    done = run(home, "login", given=given)
    assert done.returncode == 0
    assert done.stdout == f"The key is saved in {home / '.codex' / 'auth.json'}.\n"
    assert done.stderr == ""
    assert saved(home) == {"OPENAI_API_KEY": KEY}


@pytest.mark.parametrize(
    "given",
    ["", "\n", f'"{KEY}"\n', f"{KEY} x\n", KEY.encode() + b"\xff\n", "x" * 100_000],
    ids=["nothing", "an empty line", "quotes", "words", "no text", "far too long"],
)
def test_what_is_no_key_is_refused_and_not_repeated(home: Path, given: str | bytes) -> None:
    write(home, "auth.json", '{"OPENAI_API_KEY": "old", "tokens": {"a": 1}}')
    # In most languages Python refuses bytes that are no text; in the default one it does not.
    done = run(home, "login", given=given, PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 2
    assert done.stderr.endswith("; nothing was saved\n")
    assert "xxxx" not in done.stderr
    assert saved(home) == {"OPENAI_API_KEY": "old", "tokens": {"a": 1}}


def test_a_new_key_replaces_the_old_one_and_nothing_else(home: Path) -> None:
    write(home, "auth.json", '{"OPENAI_API_KEY": "old", "tokens": {"a": 1}, "last_refresh": "x"}')
    done = run(home, "login", given=KEY)
    assert done.returncode == 0
    assert "There is a saved key, which the new one replaces." in done.stdout
    assert saved(home) == {"OPENAI_API_KEY": KEY, "tokens": {"a": 1}, "last_refresh": "x"}


def test_who_uses_another_provider_is_told_where_its_key_comes_from(home: Path) -> None:
    write(home, "config.toml", AZURE)
    done = run(home, "login", given=KEY)
    assert done.returncode == 0
    assert (
        'The configured provider is Azure OpenAI (model_provider = "azure"), which takes its key '
        "from the environment variable AZURE_OPENAI_API_KEY. This one is kept for OpenAI."
    ) in done.stdout
    assert saved(home) == {"OPENAI_API_KEY": KEY}


@pytest.mark.parametrize(
    "arguments", [("login", "--oss"), ("--oss", "login"), ("login", "-c", "model_provider=oss")]
)
def test_who_uses_a_provider_without_a_key_is_told_so(
    home: Path, arguments: tuple[str, ...]
) -> None:
    done = run(home, *arguments, given=KEY)
    assert done.returncode == 0
    assert 'Ollama (model_provider = "oss"), which needs no key from here' in done.stdout


@pytest.mark.parametrize(
    ("toml", "variable"), [("", "OPENAI_API_KEY"), ('model_provider = "mine"\n' + MINE, "MINE_KEY")]
)
def test_a_variable_that_counts_before_the_file_is_named(
    home: Path, toml: str, variable: str
) -> None:
    write(home, "config.toml", toml)
    done = run(home, "login", given=KEY, **{variable: "k"})
    assert done.returncode == 0
    assert f"The environment variable {variable} is set, and counts before it." in done.stdout


def test_a_key_is_saved_also_where_the_configuration_is_broken(home: Path) -> None:
    write(home, "config.toml", "model_provider = 3\n")
    done = run(home, "login", given=KEY)
    assert done.returncode == 0
    assert "model_provider" in done.stderr
    assert saved(home) == {"OPENAI_API_KEY": KEY}


def test_a_wrong_option_asks_for_nothing(home: Path) -> None:
    done = run(home, "login", "-c", "model", given=KEY)
    assert done.returncode == 2
    assert not (home / ".codex").exists()


@pytest.mark.parametrize("command", ["login", "logout"])
def test_a_broken_file_is_named_and_stays(home: Path, command: str) -> None:
    file = write(home, "auth.json", f'{{"OPENAI_API_KEY": "{KEY}"')
    done = run(home, command, given="sk-other")
    assert done.returncode == 2
    assert f"codex-rpc: {file} is not a JSON object; nothing was" in done.stderr
    assert file.read_text() == f'{{"OPENAI_API_KEY": "{KEY}"'


def test_what_cannot_be_written_is_told_in_a_line(home: Path) -> None:
    # Nobody, not even root, makes a file there.
    write(home, "auth.json", "").unlink()
    (home / ".codex" / "auth.json").symlink_to("no-such-folder/auth.json")
    done = run(home, "login", given=KEY)
    assert done.returncode == 1
    assert done.stderr == (
        "codex-rpc: auth.json cannot be written: No such file or directory; nothing was saved\n"
    )


@pytest.mark.parametrize("command", ["login", "logout"])
def test_where_nothing_more_can_be_written_all_stays_as_it_was(home: Path, command: str) -> None:
    file = write(home, "auth.json", '{"OPENAI_API_KEY": "old"}')
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *COMMAND, command]
    done = subprocess.run(
        limited, env=environment(home), input=KEY, capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 1
    assert "auth.json cannot be written: File too large; nothing was" in done.stderr
    assert file.read_text() == '{"OPENAI_API_KEY": "old"}'
    assert os.listdir(file.parent) == ["auth.json"]


def test_logout_forgets_the_key_and_nothing_else(home: Path) -> None:
    write(home, "auth.json", f'{{"tokens": {{"a": 1}}, "OPENAI_API_KEY": "{KEY}"}}')
    done = run(home, "logout")
    assert (done.returncode, done.stdout) == (0, "The saved key is forgotten.\n")
    assert saved(home) == {"tokens": {"a": 1}}


@pytest.mark.parametrize("content", [None, "{}", '{"OPENAI_API_KEY": null}'])
def test_logout_says_that_there_was_nothing(home: Path, content: str | None) -> None:
    if content is not None:
        write(home, "auth.json", content)
    done = run(home, "logout")
    assert (done.returncode, done.stdout) == (0, "There was no saved key.\n")
    assert (home / ".codex" / "auth.json").exists() == (content is not None)


def test_logout_names_a_variable_that_still_gives_a_key(home: Path) -> None:
    done = run(home, "logout", OPENAI_API_KEY=KEY)
    assert done.returncode == 0
    assert done.stdout.endswith("The environment variable OPENAI_API_KEY still gives one.\n")


def test_what_login_has_saved_is_what_a_session_uses(home: Path) -> None:
    def credentials() -> Any:
        found = json.loads(run(home, "doctor", "--offline", "--json").stdout)["checks"]
        return next(check for check in found if check["name"] == "credentials")

    assert "`codex-rpc login`" in credentials()["text"]
    run(home, "login", given=KEY)
    assert credentials()["status"] == "ok"
    assert credentials()["text"].endswith("from auth.json")
    run(home, "logout")
    assert credentials()["status"] == "error"


def can_use_bubblewrap(home: Path) -> bool:
    done = run(home, "sandbox", "-c", 'sandbox_means="bubblewrap"', "--", "true")
    return done.returncode == 0


def test_a_command_that_runs_meanwhile_does_not_get_to_see_the_new_key(home: Path) -> None:
    if not can_use_bubblewrap(home):
        pytest.skip("bubblewrap does not work here")
    file = write(home, "auth.json", '{"OPENAI_API_KEY": "sk-before"}')
    started, go = home / "started", home / "go"
    script = (
        f"cat {file}; touch started; until [ -e go ]; do sleep 0.05; done; cat {file}; echo end"
    )
    options = ["-c", 'sandbox_means="bubblewrap"', "-c", 'sandbox_mode="workspace-write"']
    with subprocess.Popen(
        [*COMMAND, "sandbox", *options, "--", "sh", "-c", script],
        cwd=home,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        while not started.exists():
            assert running.poll() is None, running.communicate()
        assert run(home, "login", given=KEY).returncode == 0
        assert saved(home)["OPENAI_API_KEY"] == KEY
        go.write_text("")
        out, _ = running.communicate(timeout=10)
    assert "end" in out
    assert "sk-" not in out


def test_the_doctor_takes_a_header_of_the_configuration_for_a_key(home: Path) -> None:
    provider = '[model_providers.mine]\nbase_url = "http://127.0.0.1:1/v1"\nenv_key = "MINE_KEY"\n'
    header = 'http_headers = { Authorization = "Bearer x" }\n'
    write(home, "config.toml", 'model_provider = "mine"\n' + provider + header)
    assert "by a header of config.toml" in run(home, "doctor", "--offline").stdout

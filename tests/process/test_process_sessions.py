"""`codex-rpc sessions` as a person at a terminal and as a shell script meet it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.client import COMMAND, environment
from support.rollout_files import lines_of, write_session
from support.terminal import at_terminal

GOLDEN = Path(__file__).parents[1] / "golden" / "rollouts"


def uuid(number: int) -> str:
    return f"{number:08}-0000-4000-8000-000000000000"


def says(text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / ".codex").mkdir(parents=True)
    return home


def add(home: Path, number: int, *lines: Any, folder: str = "sessions", **head: Any) -> Path:
    path = home / ".codex" / folder / f"2026/11/22/rollout-2026-11-22T10-00-00-{uuid(number)}.jsonl"
    head = {"format": 1, "cwd": "/work", **head, "id": uuid(number)}
    write_session(path, *lines, **head)
    os.utime(path, (10**9 + number, 10**9 + number))
    return path


def sessions(home: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end, far from any terminal."""
    return subprocess.run(
        [*COMMAND, "sessions", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=home,
        env=environment(home),
        start_new_session=True,
        timeout=15,
        **options,
    )


def asked_for(home: Path, *arguments: str) -> Any:
    done = sessions(home, *arguments, "--json")
    return json.loads(done.stdout)


# Finding.


def test_without_a_word_more_the_sessions_are_listed(home: Path) -> None:
    add(home, 1, says("Fix the tests"), cwd=str(home / "project"))
    add(home, 2, says("Another one"))
    done = sessions(home)
    assert done.returncode == 0
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["ID", "CHANGED", "TITLE", "FOLDER", "ITEMS", "SIZE"]
    assert first.startswith("00000002  2001-09-09  Another one")
    assert "Fix the tests" in second
    assert "~/project" in second
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


def test_whoever_wrote_them_all_sessions_are_listed(home: Path) -> None:
    folder = home / ".codex/sessions"
    shutil.copytree(GOLDEN, folder)
    (folder / "broken.jsonl").write_bytes(b"\x00garbage")
    rows = asked_for(home, "list", "--limit", "100")["sessions"]
    assert len(rows) == len(list(GOLDEN.iterdir())) + 1
    assert [row["reason"] for row in rows if row["status"] == "unreadable"] == [
        "its first line is no session header"
    ]


def test_the_json_is_that_of_the_protocol(home: Path) -> None:
    path = add(home, 1, says("Fix the tests"))
    add(home, 2, says("x"), folder="archived_sessions")
    page = asked_for(home, "list")
    assert page == {
        "sessions": [
            {
                "sessionId": uuid(1),
                "path": str(path),
                "title": "Fix the tests",
                "preview": "Fix the tests",
                "cwd": "/work",
                "model": None,
                "modelProvider": None,
                "createdAt": "2026-11-22T16:29:43.832Z",
                "updatedAt": "2001-09-09T01:46:41.000Z",
                "itemCount": 1,
                "sizeBytes": path.stat().st_size,
                "status": "clean",
                "live": False,
                "archived": False,
                "origin": "codex-rpc",
            }
        ],
        "filteredOut": {"archived": 1},
    }
    (archived,) = asked_for(home, "list", "--archived")["sessions"]
    assert archived["sessionId"] == uuid(2)


def test_filters_and_pages_are_those_of_the_protocol(home: Path) -> None:
    for number in range(1, 4):
        add(home, number, says("hi"), cwd=str(home / "project"))
    add(home, 4, says("hi"))
    first = asked_for(home, "list", "--cwd", "project/../project", "--limit", "2")
    assert [row["sessionId"] for row in first["sessions"]] == [uuid(3), uuid(2)]
    assert first["filteredOut"] == {"cwd": 1}
    rest = asked_for(home, "list", "--cwd", "project", "--cursor", first["nextCursor"])
    assert [row["sessionId"] for row in rest["sessions"]] == [uuid(1)]
    shown = sessions(home, "list", "--cwd", "project", "--limit", "1")
    assert "there are more (--limit N); left out: 1 session of other folders" in shown.stderr


def test_words_are_searched_and_shown_where_they_were_found(home: Path) -> None:
    add(home, 1, says("hello"), says("The flaky thing is the PARSER", "assistant"))
    add(home, 2, says("flaky"))
    done = sessions(home, "search", "parser", "Flaky")
    assert done.returncode == 0
    assert done.stdout.splitlines()[2].strip() == "The flaky thing is the PARSER"
    assert "1 session without these words" in done.stderr
    none = sessions(home, "search", "nowhere")
    assert (none.returncode, none.stdout) == (1, "")


# Reading.


def test_a_conversation_is_shown_by_the_beginning_of_its_id(home: Path) -> None:
    add(home, 1, says("Fix it"), says("Done.", "assistant"))
    done = sessions(home, "show", "0000")
    assert done.returncode == 0
    assert "Fix it\n00000001-0000-4000-8000-000000000000 · /work" in done.stdout
    assert done.stdout.endswith("> Fix it\n\nDone.\n")
    last = sessions(home, "show", "last", "--limit", "1")
    assert last.stdout.endswith("\n\nDone.\n")
    assert "> Fix it" not in last.stdout


def test_a_conversation_is_shown_as_json_with_what_is_damaged(home: Path) -> None:
    add(home, 1, says("one"), b"garbage\n", says("two"))
    shown = asked_for(home, "show", uuid(1))
    assert shown["session"]["sessionId"] == uuid(1)
    assert shown["items"] == [
        {"index": 0, "item": says("one")},
        {"index": 1, "item": says("two")},
    ]
    assert [damage["line"] for damage in shown["damage"]] == [3]
    assert [
        entry["index"] for entry in asked_for(home, "show", "last", "--limit", "1")["items"]
    ] == [1]
    assert "line 3 of the file was left out" in sessions(home, "show", "last").stderr


def test_many_pages_are_one_conversation(home: Path) -> None:
    add(home, 1, *(says(f"text {number}") for number in range(450)))
    shown = asked_for(home, "show", "last")
    assert [entry["index"] for entry in shown["items"]] == list(range(450))
    assert sessions(home, "show", "last").stdout.count("> text") == 450


def test_a_reader_that_has_enough_is_no_error(home: Path) -> None:
    add(home, 1, *(says("text " * 100) for _ in range(3000)))
    command = f"{' '.join(COMMAND)} sessions show last | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        env=environment(home),
        timeout=15,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_export_goes_where_it_is_wanted_in_the_form_that_the_name_says(home: Path) -> None:
    add(home, 1, says("Fix it"))
    assert "Fix it" in sessions(home, "export", "last").stdout
    assert json.loads(sessions(home, "export", "last", "--format", "json").stdout)
    done = sessions(home, "export", "last", "-o", "out.html")
    assert (done.returncode, done.stdout) == (0, "")
    assert "<html" in (home / "out.html").read_text()
    again = sessions(home, "export", "last", "-o", "out.html")
    assert (again.returncode, "File exists" in again.stderr) == (1, True)


# Going on.


def play(home: Path, *texts: str) -> None:
    script = home / "script.json"
    script.write_text(json.dumps({"response": [{"steps": [{"text": text}]} for text in texts]}))
    provider = f"[model_providers.scripted]\nscript = {json.dumps(str(script))}"
    (home / ".codex/config.toml").write_text(f'model_provider = "scripted"\n{provider}')


def test_a_session_goes_on_in_its_file(home: Path) -> None:
    play(home, "Going on.")
    path = add(home, 1, says("Fix it"), cwd=str(home))
    done = sessions(home, "resume", "0000", "go on")
    assert (done.returncode, done.stdout) == (0, "Going on.\n")
    said = [line for line in lines_of(path) if line.get("role") == "user"]
    assert [line["content"][0]["text"] for line in said] == ["Fix it", "go on"]


def test_the_options_of_exec_hold_behind_the_id(home: Path) -> None:
    play(home, "Going on.")
    add(home, 1, says("Fix it"), cwd="/gone/for/good")
    assert sessions(home, "resume", "last", "go on").returncode == 1
    done = sessions(home, "resume", "last", "go on", "-C", str(home), "--json", "-m", "other")
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[-1])["msg"]["type"] == "shutdown_complete"


def test_a_fork_is_a_session_of_its_own_up_to_where_it_is_wanted(home: Path) -> None:
    play(home, "Another way.")
    path = add(home, 1, says("one"), says("two"), cwd=str(home))
    before = path.read_bytes()
    done = sessions(home, "fork", "0000", "--up-to", "0")
    forked = done.stdout.strip()
    assert (done.returncode, f"codex-rpc sessions resume {forked[:8]}" in done.stderr) == (0, True)
    items = asked_for(home, "show", forked)["items"]
    assert [entry["item"] for entry in items] == [says("one")]
    turn = sessions(home, "fork", uuid(1), "do it differently")
    assert (turn.returncode, turn.stdout) == (0, "Another way.\n")
    assert path.read_bytes() == before
    assert len(asked_for(home, "list")["sessions"]) == 3
    refused = sessions(home, "fork", uuid(1), "--up-to", "7")
    assert (refused.returncode, "there is no item 7" in refused.stderr) == (2, True)


async def test_without_a_prompt_it_is_said_how_at_a_terminal(home: Path) -> None:
    play(home)
    add(home, 1, says("Fix it"), cwd=str(home))
    async with at_terminal(home, "sessions", "resume", "0000") as terminal:
        assert await terminal.exit_code() == 2
        assert 'codex-rpc sessions resume 0000 "..."' in terminal.text


# Putting in order.


def test_sessions_are_renamed_archived_and_taken_out_again(home: Path) -> None:
    path = add(home, 1, says("Fix it"))
    data = path.read_bytes()
    assert sessions(home, "rename", "0000", "A", "new  title").stderr == (
        "00000001 is now called: A new  title\n"
    )
    assert asked_for(home, "list")["sessions"][0]["title"] == "A new title"
    data = path.read_bytes()
    assert sessions(home, "archive", "last").returncode == 0
    assert not path.exists()
    assert asked_for(home, "list")["sessions"] == []
    assert sessions(home, "unarchive", "0000").returncode == 0
    assert path.read_bytes() == data


def test_what_one_session_refuses_does_not_keep_the_others(home: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    held, other = add(home, 1, says("a")), add(home, 2, says("b"))
    with held.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = sessions(home, "delete", "--yes", uuid(1), uuid(2))
    assert (done.returncode, "is open in another process" in done.stderr) == (1, True)
    assert (held.exists(), other.exists()) == (True, False)


def test_nothing_is_done_if_one_of_several_is_not_found(home: Path) -> None:
    path = add(home, 1, says("a"))
    done = sessions(home, "delete", "--yes", uuid(1), "7777")
    assert (done.returncode, "there is no session '7777'" in done.stderr) == (1, True)
    assert path.exists()


def test_without_a_terminal_nothing_is_deleted_unasked(home: Path) -> None:
    path = add(home, 1, says("a"))
    done = sessions(home, "delete", "last")
    assert (done.returncode, "--yes" in done.stderr, path.exists()) == (1, True, True)


@pytest.mark.parametrize(("key", "is_gone"), [("y", True), ("n", False), ("\r", False)])
async def test_before_deleting_it_is_asked(home: Path, key: str, is_gone: bool) -> None:
    path = add(home, 1, says("Fix it"))
    async with at_terminal(home, "sessions", "delete", "last") as terminal:
        await terminal.until("y/N")
        assert "00000001  Fix it" in terminal.text
        terminal.type(key)
        assert await terminal.exit_code() == (0 if is_gone else 1)
    assert path.exists() is not is_gone


async def test_ctrl_c_at_the_question_deletes_nothing(home: Path) -> None:
    path = add(home, 1, says("Fix it"))
    async with at_terminal(home, "sessions", "delete", "last") as terminal:
        await terminal.until("y/N")
        terminal.type("\x03")
        assert await terminal.exit_code() == 128 + signal.SIGINT
    assert path.exists()


# Damage.


def test_a_repair_shows_what_it_would_add_and_adds_it(home: Path) -> None:
    call = {"type": "function_call", "name": "shell", "call_id": "c1", "arguments": "{}"}
    path = add(home, 1, call, b"garbage\n", b'{"torn')
    before = path.read_bytes()
    dry = sessions(home, "repair", "--dry-run", "last")
    assert dry.returncode == 0
    for said in ("line 3 (7 B)", "line 4 (6 B)", "c1", "would be added:", '"damaged"', "aborted"):
        assert said in dry.stdout
    assert path.read_bytes() == before
    assert "added:" in sessions(home, "repair", "--all").stdout
    assert path.read_bytes().startswith(before + b"\n")
    assert [
        line["output"]
        for line in map(json.loads, path.read_bytes().splitlines()[4:])
        if "output" in line
    ] == ["aborted"]
    assert "nothing is to be added" in sessions(home, "repair", "last").stdout


def test_a_checkup_is_exit_code_one_if_something_is_lost(home: Path) -> None:
    path = add(home, 1, says("hi"))
    fine = sessions(home, "doctor")
    assert (fine.returncode, "nothing is damaged" in fine.stdout) == (0, True)
    with path.open("ab") as file:
        file.write(b"garbage\n")
    broken = sessions(home, "doctor")
    assert (broken.returncode, "line 3 (7 B): it is not valid JSON" in broken.stdout) == (1, True)
    checkup = asked_for(home, "doctor")
    assert checkup["statuses"] == {"clean": 1}
    assert [damage["line"] for damage in checkup["inspections"][0]["damage"]] == [3]


# The command line.


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["show"],
        ["list", "--limit", "0"],
        ["list", "--cursor", "x"],
        ["repair"],
        ["repair", "--all", "x"],
        ["export", "last", "--format", "pdf"],
        ["rename", "last", " "],
        ["-c", "novalue", "list"],
    ],
)
def test_a_wrong_command_line_is_exit_code_two(home: Path, arguments: list[str]) -> None:
    add(home, 1, says("a"))
    done = sessions(home, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "7777"],
        ["show", "last"],
        ["resume", "7777", "x"],
        ["fork", "7777"],
        ["export", "7"],
    ],
)
def test_what_is_not_there_is_one_line_and_exit_code_one(home: Path, arguments: list[str]) -> None:
    done = sessions(home, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


def test_without_any_session_nothing_goes_wrong(home: Path) -> None:
    assert sessions(home).stderr == "there is no session yet\n"
    assert sessions(home, "doctor").returncode == 0
    assert sessions(home, "repair", "--all").returncode == 0
    assert not (home / ".codex/sessions").exists()


def test_a_list_loads_nothing_that_it_does_not_need(home: Path) -> None:
    add(home, 1, says("a"))
    code = (
        "import sys, codex_rpc.cli.main as main\n"
        "try:\n    main.main(sys.argv[1:])\n"
        "except SystemExit:\n    print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    loaded = {}
    for name in ("list", "show"):
        done = subprocess.run(
            [sys.executable, "-c", code, "sessions", name, *(["last"] if name == "show" else [])],
            capture_output=True,
            text=True,
            env=environment(home),
            timeout=15,
        )
        loaded[name] = set(done.stderr.split())
    for modules in loaded.values():
        assert {"codex_rpc.cli.sessions", "rich.text"} <= modules
        assert not {"pygls", "lsprotocol", "httpx", "mcp", "send2trash"} & modules

"""`codex-rpc exec` as a person at a terminal and as a shell script meet it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.client import COMMAND, environment
from support.conversation import completed, message, text_events, write_config
from support.model_server import ModelServer
from support.processes import is_running
from support.terminal import Terminal, at_terminal

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MCP_DEMO = Path(__file__).parents[1] / "support" / "mcp_demo.py"
HELLO = {"text": "Hello there."}
NAMES = {"shell": ["python3", "-c", "import os; print(sorted(os.listdir()))"]}
"""Harmless, but not on the list of trusted commands."""

ASKED = ("-s", "danger-full-access", "-a", "untrusted")
"""Whatever the machine can confine, NAMES is asked about, once."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / ".codex").mkdir(parents=True)
    return home


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    (work / "one.txt").touch()
    return work


def play(home: Path, *responses: Any, **settings: Any) -> None:
    """Let the scripted model give these responses: a step, or a list of steps."""
    script = [r if "steps" in r else {"steps": [r]} for r in map(_response, responses)]
    path = home / "script.json"
    path.write_text(json.dumps({"response": script, **settings}))
    (home / ".codex" / "config.toml").write_text(
        f'model_provider = "scripted"\n[model_providers.scripted]\nscript = {json.dumps(str(path))}'
    )


def _response(response: Any) -> dict[str, Any]:
    return {"steps": response} if isinstance(response, list) else response


def run_exec(
    home: Path, work: Path, *arguments: str, prompt: bytes | None = None, **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end, far from any terminal."""
    return subprocess.run(
        [*COMMAND, "exec", *arguments],
        input=b"" if prompt is None else prompt,
        capture_output=True,
        cwd=work,
        env=environment(home, **more),
        start_new_session=True,
        timeout=15,
    )


def session_files(home: Path) -> list[Path]:
    return sorted((home / ".codex" / "sessions").rglob("*.jsonl"))


def records(home: Path) -> list[dict[str, Any]]:
    (path,) = session_files(home)
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def outputs(home: Path) -> list[str]:
    """What the model was told of its calls."""
    return [r["output"] for r in records(home) if r.get("type") == "function_call_output"]


def last_turn(home: Path) -> dict[str, Any]:
    return [r for r in records(home) if r.get("record_type") == "turn"][-1]


async def wait_until(condition: Any) -> None:
    """Wait for a condition of the outside world."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.01)


# In a pipe.


def test_the_text_goes_to_stdout_and_everything_else_to_stderr(home: Path, work: Path) -> None:
    play(
        home,
        [{"reasoning": "Look first."}, {"text": "I will look."}, {"shell": ["ls"]}],
        {"steps": [{"text": "One file."}], "usage": {"input_tokens": 7, "output_tokens": 3}},
    )
    done = run_exec(home, work, "what is here?")
    assert (done.returncode, done.stdout) == (0, b"I will look.\nOne file.\n")
    shown = done.stderr.decode()
    for part in ("thinking: Look first.", "$ ls", "one.txt", "exit 0", "tokens: 7 in, 3 out"):
        assert part in shown
    assert "look." not in shown
    assert f"exec --resume {records(home)[0]['id']}" in shown
    assert "\x1b" not in shown


def test_a_failed_turn_is_exit_code_one_and_says_why(home: Path, work: Path) -> None:
    play(home, {"error": "rejected", "message": "no such model"})
    done = run_exec(home, work, "hello")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"error: no such model" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        ([], "the prompt is empty", 2),
        (["  "], "the prompt is empty", 2),
        (["-c", "novalue", "hello"], "novalue", 2),
        (["-p", "nowhere", "hello"], "nowhere", 1),
        (["-c", "model_provider=nobody", "hello"], "nobody", 1),
        (["-C", "missing", "hello"], "no directory", 2),
        (["-i", "missing.png", "hello"], "missing.png is no file", 2),
        (["--resume", "missing", "hello"], "no session id", 2),
        (["--resume", "1b4e28ba-2fa1-41d2-883f-0016d3cca427", "hello"], "there is no session", 1),
        (["--resume", "last", "hello"], "there is no session", 1),
    ],
)
def test_what_cannot_begin_is_one_line_and_a_wrong_command_line_is_exit_code_two(
    home: Path, work: Path, arguments: list[str], said: str, code: int
) -> None:
    play(home, HELLO)
    done = run_exec(home, work, *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("codex-rpc: ")
    assert said in line
    assert session_files(home) == []


def test_without_credentials_it_says_what_to_set(home: Path, work: Path) -> None:
    done = run_exec(home, work, "hello")
    assert done.returncode == 1
    assert b"OPENAI_API_KEY" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_json_is_every_event_on_a_line_and_nothing_else(home: Path, work: Path) -> None:
    play(home, [{"text": "I will look."}, {"shell": ["ls"]}], HELLO)
    done = run_exec(home, work, "--json", "what is here?")
    assert (done.returncode, done.stderr) == (0, b"")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["sessionId"] for event in events} == {records(home)[0]["id"]}
    kinds = [event["msg"]["type"] for event in events]
    assert kinds[:3] == ["session_configured", "user_message", "task_started"]
    assert kinds[-2:] == ["task_complete", "shutdown_complete"]
    assert {"agent_message_delta", "agent_message", "exec_command_end"} < set(kinds)
    assert set(events[1]) == {"sessionId", "seq", "id", "msg"}


@pytest.mark.parametrize("arguments", [["-"], []])
def test_the_prompt_comes_from_standard_input(home: Path, work: Path, arguments: list[str]) -> None:
    play(home, HELLO)
    done = run_exec(home, work, *arguments, prompt="Grüße\nvon hier".encode())
    assert done.returncode == 0
    (said,) = [r for r in records(home) if r.get("role") == "user"]
    assert said["content"] == [{"type": "input_text", "text": "Grüße\nvon hier"}]


def test_a_session_is_resumed_as_the_last_one_by_its_id_and_by_its_path(
    home: Path, work: Path
) -> None:
    play(home, *({"text": f"Answer {n}."} for n in range(1, 5)))
    assert run_exec(home, work, "first").stdout == b"Answer 1.\n"
    session_id, path = records(home)[0]["id"], session_files(home)[0]
    (work / "here.jsonl").symlink_to(path)
    for n, name in enumerate(["last", session_id, "here.jsonl"], 2):
        done = run_exec(home, work, "--resume", name, f"question {n}")
        assert (done.returncode, done.stdout) == (0, f"Answer {n}.\n".encode())
    assert session_files(home) == [path]


def test_last_is_the_last_session_of_this_folder(home: Path, work: Path, tmp_path: Path) -> None:
    play(home, HELLO, {"text": "Again."})
    run_exec(home, work, "first")
    (path,) = session_files(home)
    run_exec(home, tmp_path, "elsewhere")
    assert run_exec(home, tmp_path, "-C", "work", "--resume", "last", "hi").stdout == b"Again.\n"
    assert '"hi"' in path.read_text()


def test_options_reach_the_session(home: Path, work: Path) -> None:
    play(home, HELLO)
    with (home / ".codex" / "config.toml").open("a") as config:
        config.write('\n[sandbox_workspace_write]\nwritable_roots = ["/srv"]\n')
    options = ["-m", "o9", "-a", "untrusted", "-s", "workspace-write"]
    assert run_exec(home, work, *options, "hello").returncode == 0
    (context,) = [r for r in records(home) if r.get("record_type") == "context"]
    assert (context["model"], context["approval_policy"]) == ("o9", "untrusted")
    assert context["sandbox_policy"]["mode"] == "workspace-write"
    assert context["sandbox_policy"]["writable_roots"] == ["/srv"]


def test_an_image_is_attached_from_where_the_command_was_typed(
    home: Path, work: Path, tmp_path: Path
) -> None:
    play(home, HELLO)
    png = (
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
        "0000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
    )
    (tmp_path / "dot.png").write_bytes(bytes.fromhex(png))
    done = run_exec(home, tmp_path, "-C", "work", "-i", "dot.png", "what is this?")
    assert done.returncode == 0
    (said,) = [r for r in records(home) if r.get("role") == "user"]
    assert [part["type"] for part in said["content"]] == ["input_text", "input_image"]


def test_without_a_terminal_to_ask_at_the_answer_is_no(home: Path, work: Path) -> None:
    play(home, NAMES, HELLO)
    done = run_exec(home, work, *ASKED, "what is here?")
    assert (done.returncode, done.stdout) == (0, b"Hello there.\n")
    shown = " ".join(done.stderr.decode().split())
    assert "denied: there is no terminal to ask at; `-s danger-full-access -a never`" in shown
    assert outputs(home) == ["exec command rejected by user"]


def test_the_option_that_it_names_lets_the_command_run(home: Path, work: Path) -> None:
    play(home, NAMES, HELLO)
    done = run_exec(home, work, "-s", "danger-full-access", "-a", "never", "what is here?")
    assert done.returncode == 0
    assert "['one.txt']" in outputs(home)[0]


async def test_in_a_pipe_only_complete_messages_count(home: Path, work: Path) -> None:
    cut = text_events(1, "Half a ", "sent")
    cut["events"][4:] = [{"disconnect": True}]
    async with ModelServer({"responses": [cut, text_events(2, "A whole ", "one.")]}) as server:
        write_config(home, server.url)
        done = await anyio.to_thread.run_sync(lambda: run_exec(home, work, "hello"))
    assert (done.returncode, done.stdout) == (0, b"A whole one.\n")
    assert b"trying again" in done.stderr


def test_when_nobody_reads_the_text_the_turn_is_stopped(home: Path, work: Path) -> None:
    play(home, [{"text": "One."}, {"delay_ms": 100}, {"text": "Two."}, {"delay_ms": 60_000}])
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run(
            [*COMMAND, "exec", "hello"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            cwd=work,
            env=environment(home),
            timeout=10,
        )
    assert done.returncode == 1
    assert done.stderr.endswith(b"nobody reads the output any more, so the turn was stopped\n")
    assert last_turn(home)["status"] == "aborted"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_to_end_closes_the_session(home: Path, work: Path, number: int) -> None:
    play(home, [{"text": "Now."}, {"delay_ms": 60_000}])
    # Tests that were started by nohup have SIGHUP ignored, and with them what they start.
    launcher = "import os, signal, sys; signal.signal(int(sys.argv[1]), signal.SIG_DFL); "
    launcher += "os.execv(sys.argv[2], sys.argv[2:])"
    process = await anyio.open_process(
        [sys.executable, "-c", launcher, str(int(number)), *COMMAND, "exec", "hello"],
        cwd=work,
        env=environment(home),
        stdin=subprocess.DEVNULL,
    )
    async with process:
        assert process.stdout is not None
        with anyio.fail_after(10):
            assert await process.stdout.receive() == b"Now.\n"
            process.send_signal(number)
            assert await process.wait() == 128 + number
    assert (last_turn(home)["status"], last_turn(home)["reason"]) == ("aborted", "shutdown")


@pytest.mark.parametrize(
    ("options", "spared"), [([], {"pygls", "lsprotocol"}), (["--json"], {"rich", "pygls"})]
)
def test_it_does_not_load_what_it_does_not_need(
    home: Path, work: Path, options: list[str], spared: set[str]
) -> None:
    play(home, [{"text": "I will look."}, {"shell": ["ls"]}], HELLO)
    program = (
        "import sys\nfrom codex_rpc.cli.main import main\n"
        "try:\n main(['exec', *sys.argv[1:]])\n"
        "finally:\n print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *options, "hello"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=work,
        env=environment(home),
        timeout=10,
    )
    assert done.returncode == 0
    loaded = set(done.stderr.decode().splitlines()[-1].split())
    assert "codex_rpc" in loaded
    assert not loaded & spared


# Patches, plans, and tools of MCP servers.

PATCH = """\
*** Begin Patch
*** Add File: docs/new.txt
+one
+two
*** Delete File: one.txt
*** End Patch
"""


def test_a_patch_is_shown_as_files_and_not_line_by_line(home: Path, work: Path) -> None:
    play(home, [{"call": "apply_patch", "arguments": {"input": PATCH}}], HELLO)
    done = run_exec(home, work, "-s", "workspace-write", "-a", "never", "go")
    assert done.returncode == 0
    assert "\nadd    docs/new.txt +2\ndelete one.txt\n  applied\n" in done.stderr.decode()
    assert "+one" not in done.stderr.decode()
    assert (work / "docs" / "new.txt").read_text() == "one\ntwo\n"


async def test_a_patch_that_is_asked_about_is_shown_line_by_line(home: Path, work: Path) -> None:
    play(home, [{"call": "apply_patch", "arguments": {"input": PATCH}}], HELLO)
    async with at_terminal(home, "exec", *ASKED, "go", cwd=work) as terminal:
        await terminal.until("y yes   n no   q stop the turn\n> ")
        question = terminal.text.partition("Make these changes?")[2]
        assert f"{work}/docs/new.txt +2\n    +one\n    +two\n" in question
        assert f"delete {work}/one.txt" in question
        # There is no such thing as all patches of the session.
        terminal.type("s")
        await terminal.until("one of y, n, q\n> ")
        terminal.type("y")
        assert await terminal.exit_code() == 0
        assert "> yes\n  applied\n" in terminal.text
        assert terminal.text.count("docs/new.txt") == 1
    assert not (work / "one.txt").exists()


def test_a_patch_that_is_not_made_says_why(home: Path, work: Path) -> None:
    patch = PATCH.replace("one.txt", "none.txt")
    play(home, [{"call": "apply_patch", "arguments": {"input": patch}}], HELLO)
    done = run_exec(home, work, "-s", "workspace-write", "-a", "never", "go")
    assert "  failed: Failed to delete file none.txt\n" in done.stderr.decode()
    assert not (work / "docs").exists()


def test_a_plan_is_shown_as_a_list(home: Path, work: Path) -> None:
    plan = [
        {"step": "look", "status": "completed"},
        {"step": "change", "status": "in_progress"},
        {"step": "check", "status": "pending"},
    ]
    arguments = {"explanation": "As you asked.", "plan": plan}
    play(home, [{"call": "update_plan", "arguments": arguments}], HELLO)
    shown = run_exec(home, work, "go").stderr.decode()
    assert "\nAs you asked.\n  [x] look\n  [>] change\n  [ ] check\n" in shown


async def test_a_tool_of_a_server_is_asked_about_and_its_answer_shown(
    home: Path, work: Path
) -> None:
    pytest.importorskip("mcp")
    call = {"call": "demo__echo", "arguments": {"text": "hello"}}
    failing = {"call": "demo__fail", "arguments": {}}
    play(home, [call, call, failing], HELLO)
    with (home / ".codex" / "config.toml").open("a") as config:
        command, script = json.dumps(sys.executable), json.dumps(str(MCP_DEMO))
        config.write(f"\n[mcp_servers.demo]\ncommand = {command}\nargs = [{script}]\n")
    async with at_terminal(home, "exec", "go", cwd=work) as terminal:
        await approval(terminal)
        question = terminal.text.partition("Call this tool?")[2]
        assert 'demo.echo {"text": "hello"}' in question
        assert "NO: MCP servers are programs of your own" in question
        terminal.type("s")
        await approval(terminal, count=2)
        terminal.type("y")
        assert await terminal.exit_code() == 0
        assert len(re.findall(r"\n  echo: hello\n  done", terminal.text)) == 2
        assert re.search(r"it failed\n  failed: the tool says so", terminal.text)


# At a terminal.


async def approval(terminal: Terminal, *, count: int = 1) -> None:
    """Wait for a question, and for the cursor behind it."""
    await terminal.until("q stop the turn\n> ", count=count)


async def test_the_question_says_what_would_run_where_and_that_it_is_unconfined(
    home: Path, work: Path
) -> None:
    play(home, [{"text": "I will look."}, {**NAMES, "justification": "to see"}], HELLO)
    async with at_terminal(home, "exec", *ASKED, "what is here?", cwd=work) as terminal:
        await approval(terminal)
        question = terminal.text.partition("Run this command?")[2]
        assert 'python3 -c "import os; print(sorted(os.listdir()))"' in question.replace("'", '"')
        assert str(work) in question
        assert "NO: it may do whatever you may" in question
        assert "to see" in question
        terminal.type("y")
        await terminal.until("yes, once\n  ['one.txt']\n  exit 0")
        assert await terminal.exit_code() == 0
        assert terminal.text.count("Hello there.") == 1
        assert terminal.text.count("I will look.") == 1
        assert "\x1b[" in terminal.raw


async def test_no_means_that_nothing_runs(home: Path, work: Path) -> None:
    play(home, NAMES, HELLO)
    async with at_terminal(home, "exec", *ASKED, "what is here?", cwd=work) as terminal:
        await approval(terminal)
        terminal.type("n")
        assert await terminal.exit_code() == 0
    assert outputs(home) == ["exec command rejected by user"]


async def test_for_the_session_means_that_the_same_command_is_not_asked_again(
    home: Path, work: Path
) -> None:
    play(home, [NAMES, NAMES], HELLO)
    async with at_terminal(home, "exec", *ASKED, "what is here?", cwd=work) as terminal:
        await approval(terminal)
        terminal.type("s")
        assert await terminal.exit_code() == 0
        assert terminal.text.count("Run this command?") == 1
        assert terminal.text.count("exit 0") == 2


async def test_quitting_stops_the_turn(home: Path, work: Path) -> None:
    play(home, NAMES, HELLO)
    async with at_terminal(home, "exec", *ASKED, "what is here?", cwd=work) as terminal:
        await approval(terminal)
        terminal.type("q")
        assert await terminal.exit_code() == 1
        assert "stopped, as you asked" in terminal.text
    assert (last_turn(home)["status"], last_turn(home)["reason"]) == ("aborted", "abort")


async def test_only_a_key_pressed_after_the_question_is_an_answer(home: Path, work: Path) -> None:
    play(home, [{"text": "Now."}, {"delay_ms": 300}, NAMES], HELLO)
    async with at_terminal(home, "exec", *ASKED, "what is here?", cwd=work) as terminal:
        await terminal.until("Now.")
        terminal.type("y")
        await approval(terminal)
        # Neither a function key (whose last letter is an S) nor Enter is an answer.
        terminal.type("\x1bOS")
        await terminal.until("one of y, s, n, q\n> ")
        terminal.type("\r")
        await terminal.until("one of y, s, n, q\n> ", count=2)
        terminal.type("n")
        assert await terminal.exit_code() == 0
    assert outputs(home) == ["exec command rejected by user"]


async def test_nothing_in_a_question_can_hide(home: Path, work: Path) -> None:
    command = ["sh", "-c", "rm it #\x1b[2K\r\u202eecho ok"]
    play(home, {"shell": command, "justification": "harmless\x1b[8m"}, HELLO)
    async with at_terminal(home, "exec", *ASKED, "go", cwd=work, NO_COLOR="1") as terminal:
        await approval(terminal)
        assert "rm it #\\x1b[2K\\r\\u202eecho ok" in terminal.raw
        assert "harmless\\u001b[8m" in terminal.raw
        assert "\x1b" not in terminal.raw
        terminal.type("n")
        assert await terminal.exit_code() == 0


async def test_the_terminal_is_asked_where_all_streams_are_redirected(
    home: Path, work: Path, tmp_path: Path
) -> None:
    play(home, NAMES, HELLO)
    log = tmp_path / "log"
    with log.open("wb") as err, (work / "one.txt").open("rb") as nothing:
        async with at_terminal(
            *(home, "exec", *ASKED, "go"), cwd=work, stdin=nothing, stdout=err, stderr=err
        ) as terminal:
            await approval(terminal)
            terminal.type("y")
            assert await terminal.exit_code() == 0
    assert "Run this command?" not in log.read_text()
    assert "['one.txt']" in outputs(home)[0]


async def test_what_was_streamed_and_is_void_is_said_to_be(home: Path, work: Path) -> None:
    cut = text_events(1, "Half a ", "sent")
    cut["events"][4:] = [{"disconnect": True}]
    async with ModelServer({"responses": [cut, text_events(2, "A whole ", "one.")]}) as server:
        write_config(home, server.url)
        async with at_terminal(home, "exec", "hello", cwd=work) as terminal:
            assert await terminal.exit_code() == 0
            void = "Half a sent\n(the unfinished text above does not count; it comes again)\n"
            assert void in terminal.text
            assert terminal.text.count("A whole one.\n") == 1


async def test_a_text_is_not_shown_twice_where_the_server_renames_its_item(
    home: Path, work: Path
) -> None:
    response = text_events(1, "Once ", "only.")
    response["events"][-2:] = [
        {"type": "response.output_item.done", "item": message("msg_other", "Once only.")},
        completed(1),
    ]
    async with ModelServer({"responses": [response]}) as server:
        write_config(home, server.url)
        async with at_terminal(home, "exec", "hello", cwd=work) as terminal:
            assert await terminal.exit_code() == 0
            assert terminal.text.count("Once only.\n") == 1


async def test_a_text_cannot_move_the_cursor(home: Path, work: Path) -> None:
    play(home, {"text": "one\x1b[1Atwo\x07", "chunk": 1})
    async with at_terminal(home, "exec", "go", cwd=work, NO_COLOR="1") as terminal:
        assert await terminal.exit_code() == 0
        assert "one\\x1b[1Atwo\\x07\n" in terminal.text
        assert "\x1b" not in terminal.raw


async def test_ctrl_c_stops_the_turn_and_the_command(home: Path, work: Path) -> None:
    command = ["sh", "-c", "echo pid $$; sleep 60"]
    play(home, {"shell": command, "timeout": 60_000})
    async with at_terminal(home, "exec", "-s", "danger-full-access", "go", cwd=work) as terminal:
        await terminal.until("pid ")
        terminal.type("\x03")
        assert await terminal.exit_code() == 130
        assert "interrupting; Ctrl-C again leaves at once" in terminal.text
        assert terminal.text.count("\ninterrupted\n") == 1
        assert "go on with: codex-rpc exec --resume" in terminal.text
    assert (last_turn(home)["status"], last_turn(home)["reason"]) == ("aborted", "interrupted")
    assert "interrupted by the user" in outputs(home)[0]


async def test_ctrl_c_withdraws_the_question_and_gives_the_terminal_back(
    home: Path, work: Path
) -> None:
    play(home, NAMES)
    async with at_terminal(home, "exec", *ASKED, "go", cwd=work) as terminal:
        before = terminal.modes
        await approval(terminal)
        await wait_until(lambda: terminal.modes != before)
        terminal.type("\x03")
        assert await terminal.exit_code() == 130
        assert "(no longer asked)" in terminal.text
        assert terminal.modes == before


@LINUX
async def test_a_second_ctrl_c_leaves_at_once_and_leaves_nothing_running(
    home: Path, work: Path
) -> None:
    command = ["bash", "-c", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done"]
    play(home, {"shell": command, "timeout": 60_000})
    async with at_terminal(home, "exec", "-s", "danger-full-access", "go", cwd=work) as terminal:
        await wait_until(lambda: (work / "pid").exists() and (work / "pid").read_text())
        terminal.type("\x03")
        await terminal.until("leaves at once")
        terminal.type("\x03")
        assert await terminal.exit_code() == 130
        assert "\ninterrupted\n" not in terminal.text
    pid = int((work / "pid").read_text())
    await wait_until(lambda: not is_running(pid))


async def test_ctrl_c_before_the_session_is_open_leaves_none(home: Path, work: Path) -> None:
    play(home, HELLO)
    config = home / ".codex" / "config.toml"
    text = config.read_bytes()
    config.unlink()
    os.mkfifo(config)
    writers: list[int] = []

    def is_being_read() -> bool:
        try:
            writers.append(os.open(config, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    async with at_terminal(home, "exec", "go", cwd=work) as terminal:
        await wait_until(is_being_read)
        terminal.type("\x03")
        await terminal.until("^C")
        os.write(writers[0], text)
        os.close(writers[0])
        assert await terminal.exit_code() == 130
    assert session_files(home) == []


async def test_without_a_prompt_it_says_how_to_give_one(home: Path, work: Path) -> None:
    async with at_terminal(home, "exec", cwd=work) as terminal:
        assert await terminal.exit_code() == 2
        assert 'codex-rpc exec "explain this folder"' in terminal.text


async def test_long_output_is_cut_to_a_screenful(home: Path, work: Path) -> None:
    program = "import sys; [print('line', n) for n in range(1000)]; sys.exit(3)"
    play(home, {"shell": ["python3", "-c", program]}, HELLO)
    async with at_terminal(
        *(home, "exec", "-s", "danger-full-access", "go"), cwd=work, columns=60, rows=20
    ) as terminal:
        assert await terminal.exit_code() == 0
        shown = [line.strip() for line in terminal.text.splitlines()]
        lines = [line for line in shown if line.startswith("line ")]
        assert len(lines) < 20
        assert (lines[0], lines[-1]) == ("line 0", "line 999")
        assert f"… {1000 - len(lines)} lines …" in shown
        # A slow machine also shows how long it took.
        assert any(re.fullmatch(r"exit 3( · .*)?", line) for line in shown)


async def test_why_a_command_did_not_finish_is_shown(home: Path, work: Path) -> None:
    play(home, {"shell": ["sh", "-c", "echo some; sleep 60"], "timeout": 200}, HELLO)
    async with at_terminal(home, "exec", "-s", "danger-full-access", "go", cwd=work) as terminal:
        assert await terminal.exit_code() == 0
        assert "  some\n" in terminal.text
        assert "timed out after 200 ms" in terminal.text
        assert "did not finish" in terminal.text

"""The installed command as an editor or a script meets it: pipes, ends of input, faults."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.client import COMMAND, Client, RpcError, environment, running
from support.conversation import call_events, conversation_of, text_events, write_config
from support.model_server import ModelServer
from support.processes import is_running

LIST = b'{"jsonrpc":"2.0","id":1,"method":"session/list"}\n'
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def session_file(home: Path) -> Path:
    (path,) = (home / ".codex" / "sessions").rglob("*.jsonl")
    return path


def records(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in session_file(home).read_bytes().splitlines()]


async def poll(condition: Any) -> None:
    """Wait until a condition of the outside world holds."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.01)


@pytest.mark.parametrize("command", [COMMAND, [sys.executable, "-m", "codex_rpc"]])
def test_a_request_through_a_shell_pipe_is_answered_before_the_end(
    tmp_path: Path, command: list[str]
) -> None:
    done = subprocess.run(
        [*command], input=LIST, capture_output=True, env=environment(tmp_path), timeout=10
    )
    assert json.loads(done.stdout)["result"]["sessions"] == []
    assert (done.returncode, done.stderr) == (0, b"")


def test_header_framing_is_answered_in_kind(tmp_path: Path) -> None:
    bodies = [LIST.strip(), LIST.strip().replace(b'"id":1', b'"id":2')]
    framed = b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(b), b) for b in bodies)
    done = subprocess.run(
        [*COMMAND], input=framed, capture_output=True, env=environment(tmp_path), timeout=10
    )
    assert done.stdout.startswith(b"Content-Length: ")
    assert done.stdout.count(b'"sessions"') == 2


def test_garbage_is_answered_and_the_server_goes_on(tmp_path: Path) -> None:
    garbage = b'\xff\xfe\n[]\n{"jsonrpc":"2.0","id":null,"method":"x"}\n' + LIST
    done = subprocess.run(
        [*COMMAND], input=garbage, capture_output=True, env=environment(tmp_path), timeout=10
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    codes = [a["error"]["code"] for a in answers if "error" in a]
    assert sorted(codes) == [-32700, -32600, -32600]
    assert any("result" in a for a in answers)


def test_input_from_a_file_and_output_to_a_file_work(tmp_path: Path) -> None:
    source, sink = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(LIST)
    with source.open("rb") as stdin, sink.open("wb") as stdout:
        subprocess.run(
            [*COMMAND],
            stdin=stdin,
            stdout=stdout,
            env=environment(tmp_path),
            timeout=10,
            check=True,
        )
    assert "result" in json.loads(sink.read_bytes())


def test_a_bad_option_says_what_to_write(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "-c", "novalue"], capture_output=True, env=environment(tmp_path), timeout=10
    )
    assert done.returncode == 2
    assert b"novalue" in done.stderr
    assert b"Traceback" not in done.stderr


async def test_two_turns_then_a_resume_in_a_new_process(tmp_path: Path) -> None:
    script = {
        "responses": [
            text_events(1, "one"),
            call_events(2, ["echo", "hi"]),
            text_events(3, "two"),
            text_events(4, "three"),
        ]
    }
    async with ModelServer(script) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            await client.turn(session["sessionId"], "first")
            events = await client.turn(session["sessionId"], "second")
            assert events[-1]["msg"] == {"type": "task_complete", "last_agent_message": "two"}
            seqs = [e["seq"] for e in client.events()]
            assert seqs == list(range(1, len(seqs) + 1))
            assert await client.close_stdin() == 0
        async with running(tmp_path) as client:
            resumed = await client.request("session/resume", {"last": True})
            assert resumed["sessionId"] == session["sessionId"]
            assert resumed["rolloutPath"] == session["rolloutPath"]
            assert resumed["itemCount"] == 6
            await client.turn(resumed["sessionId"], "third")
        before = conversation_of(model.requests[2])
        assert conversation_of(model.requests[3])[: len(before)] == before
    assert session_file(tmp_path).stat().st_mode & 0o777 == 0o600


async def test_events_of_a_submission_come_after_its_answer(tmp_path: Path) -> None:
    async with ModelServer({"responses": [text_events(1, "one")]}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            await client.turn(session["sessionId"], "first")
            kinds = [
                "answer" if "result" in m else m["params"]["msg"]["type"] for m in client.received
            ]
    assert kinds[:5] == ["answer", "session_configured", "answer", "user_message", "task_started"]


@LINUX
async def test_end_of_input_ends_the_running_command_and_saves(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo $$ > pid; echo begun; sleep 600 & sleep 600"]
    async with ModelServer({"responses": [call_events(1, command, timeout=600_000)]}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            await client.say(session["sessionId"], "go")
            await client.wait_event("exec_command_output_delta")
            pid = int((tmp_path / "pid").read_text())
            assert await client.close_stdin() == 0
            await client.wait_for_end()
            types = [e["msg"]["type"] for e in client.events()]
            assert types[-3:] == ["exec_command_end", "turn_aborted", "shutdown_complete"]
    assert not is_running(pid)
    assert records(tmp_path)[-1]["status"] == "aborted"
    outputs = [r for r in records(tmp_path) if r.get("type") == "function_call_output"]
    assert [o["call_id"] for o in outputs] == ["call_1_0"]


@LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_polite_signal_is_a_clean_shutdown(tmp_path: Path, number: signal.Signals) -> None:
    command = ["sh", "-c", "echo $$ > pid; echo begun; sleep 600"]
    async with ModelServer({"responses": [call_events(1, command, timeout=600_000)]}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            await client.say(session["sessionId"], "go")
            await client.wait_event("exec_command_output_delta")
            pid = int((tmp_path / "pid").read_text())
            client.process.send_signal(number)
            await client.wait_for_end()
            assert client.process.returncode == 0
            assert client.events()[-1]["msg"]["type"] == "shutdown_complete"
    assert not is_running(pid)


@LINUX
async def test_a_client_that_does_not_read_costs_no_memory_and_can_still_interrupt(
    tmp_path: Path,
) -> None:
    many = text_events(1, *("some words of a long answer " for _ in range(60_000)))
    async with ModelServer({"responses": [many]}) as model:
        write_config(tmp_path, model.url)
        process = await anyio.open_process([*COMMAND], env=environment(tmp_path))
        async with process:
            client = Client(process)
            async with anyio.create_task_group() as tg:
                tg.start_soon(client.pump)
                session = await client.request("session/configure", {"cwd": str(tmp_path)})
                await client.wait_event("session_configured")
                tg.cancel_scope.cancel()
            assert process.stdin is not None
            # From here on nobody reads.
            status = Path(f"/proc/{process.pid}/status")
            for id_, op in (
                (90, {"type": "user_input", "items": [{"type": "text", "text": "go"}]}),
                (91, {"type": "interrupt"}),
            ):
                if id_ == 91:
                    with anyio.fail_after(10):
                        await model.request(1)
                    await poll(lambda: b'"started"' in session_file(tmp_path).read_bytes())
                    await anyio.sleep(
                        0.3
                    )  # Long enough for all of it to have come in, if it could.
                    peak = memory_mib(status, "VmHWM")
                    assert not any("done" in a and not a["peer_closed"] for a in model.answers)
                params = {"sessionId": session["sessionId"], "op": op}
                request = {
                    "jsonrpc": "2.0",
                    "id": id_,
                    "method": "session/submit",
                    "params": params,
                }
                await process.stdin.send(json.dumps(request).encode() + b"\n")
            await poll(lambda: b'"aborted"' in session_file(tmp_path).read_bytes())
            assert memory_mib(status, "VmHWM") - peak < 8
            # And now somebody does: everything is there, in order and without gaps.
            async with anyio.create_task_group() as tg:
                tg.start_soon(client.pump)
                await client.wait_event("turn_aborted")
                tg.cancel_scope.cancel()
            seqs = [e["seq"] for e in client.events()]
            assert seqs == list(range(1, len(seqs) + 1))
            process.kill()
            await process.wait()


def memory_mib(status: Path, name: str) -> float:
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(tmp_path: Path) -> None:
    many = text_events(1, *("some words of a long answer " for _ in range(60_000)))
    async with ModelServer({"responses": [many]}) as model:
        write_config(tmp_path, model.url)
        process = await anyio.open_process([*COMMAND], env=environment(tmp_path))
        async with process:
            client = Client(process)
            async with anyio.create_task_group() as tg:
                tg.start_soon(client.pump)
                session = await client.request("session/configure", {"cwd": str(tmp_path)})
                tg.cancel_scope.cancel()
            op = {"type": "user_input", "items": [{"type": "text", "text": "go"}]}
            params = {"sessionId": session["sessionId"], "op": op}
            await client.send(
                {"jsonrpc": "2.0", "id": 9, "method": "session/submit", "params": params}
            )
            with anyio.fail_after(10):
                await model.request(1)
                assert process.stdin is not None
                await process.stdin.aclose()
                assert await process.wait() == 0
    assert records(tmp_path)[-1]["status"] == "aborted"


@LINUX
async def test_a_full_disk_is_said_at_once_and_everything_is_written_when_there_is_room(
    tmp_path: Path,
) -> None:
    script = {"responses": [call_events(1, ["touch", "ran"]), text_events(2, "end")]}
    async with ModelServer(script) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            file = Path(session["rolloutPath"])
            pid = client.process.pid
            unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            # The kernel refuses to let the file grow, as it does when the disk is full.
            limit = file.stat().st_size + 10
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, unlimited[1]))
            submission = await client.say(session["sessionId"], "go")
            _, failed = await client.wait_event("storage_failed")
            assert failed["msg"]["code"] == 1006
            assert failed["msg"]["path"] == str(file)
            _, started = await client.wait_event("task_started")
            assert started["unsaved"] is True
            with pytest.raises(RpcError) as caught:
                await client.request("session/close", {"sessionId": session["sessionId"]})
            assert caught.value.code == 1006
            assert not (tmp_path / "ran").exists()
            resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
            await client.wait_event("storage_recovered")
            await client.turn(session["sessionId"], "again")
            assert await client.close_stdin() == 0
    assert submission
    texts = [r["content"][0]["text"] for r in records(tmp_path) if r.get("role") == "user"]
    assert texts == ["go", "again"]


@LINUX
async def test_unsaved_records_make_the_exit_code_1_and_are_counted(tmp_path: Path) -> None:
    async with ModelServer({"responses": []}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path, stderr=subprocess.PIPE) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            size = Path(session["rolloutPath"]).stat().st_size
            hard = resource.prlimit(client.process.pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(client.process.pid, resource.RLIMIT_FSIZE, (size, hard))
            await client.say(session["sessionId"], "go")
            await client.wait_event("storage_failed")
            assert await client.close_stdin() == 1
            assert client.process.stderr is not None
            said = await client.process.stderr.receive()
    assert b"saved" in said
    assert any(character.isdigit() for character in said.decode())


@LINUX
async def test_commands_see_no_key_and_cannot_read_the_servers_memory(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None and os.geteuid() == 0:
        pytest.skip("as root this needs setpriv, to give up root's rights")
    look = ["cat", "/proc/$PPID/environ"]
    if os.geteuid() == 0:
        look = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *look]
    script = "env; " + " ".join(look)
    async with ModelServer({"responses": [call_events(1, ["sh", "-c", script])]}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path, OPENAI_API_KEY="sk-" + "x" * 20, PLAIN="seen") as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            await client.say(session["sessionId"], "go")
            _, event = await client.wait_event("exec_command_end")
    end = event["msg"]
    assert "PLAIN=seen" in end["stdout"]
    assert "sk-x" not in end["stdout"]
    assert "Permission denied" in end["stderr"]


async def test_a_file_that_another_process_holds_is_in_use(tmp_path: Path) -> None:
    async with ModelServer({"responses": [text_events(1, "one")]}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as holder, running(tmp_path) as other:
            session = await holder.request("session/configure", {"cwd": str(tmp_path)})
            await holder.turn(session["sessionId"], "first")
            before = session_file(tmp_path).read_bytes()
            with pytest.raises(RpcError) as caught:
                await other.request("session/resume", {"sessionId": session["sessionId"]})
            assert caught.value.code == 1002
            assert caught.value.data["pid"] == holder.process.pid
            with pytest.raises(RpcError) as caught:
                await other.request("session/resume", {"last": True})
            assert caught.value.code == 1001
            page = await other.request("session/read", {"sessionId": session["sessionId"]})
            assert [i["item"]["role"] for i in page["items"]] == ["user", "assistant"]
            assert session_file(tmp_path).read_bytes() == before
            holder.kill()
            await holder.wait_for_end()
            resumed = await other.request("session/resume", {"last": True})
            assert resumed["sessionId"] == session["sessionId"]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", 1003), (b"\x00\x01garbage\n", 1003), (b'{"id":1}\n', 1003), (None, 1001)],
)
async def test_what_cannot_be_resumed_is_a_clear_error_and_changes_nothing(
    tmp_path: Path, content: bytes | None, code: int
) -> None:
    path = tmp_path / "rollout.jsonl"
    if content is not None:
        path.write_bytes(content)
    async with ModelServer({"responses": []}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            for method, params in (
                ("session/resume", {"path": str(path)}),
                ("session/configure", {"cwd": str(tmp_path), "resumePath": str(path)}),
                (
                    "session/configure",
                    {"cwd": str(tmp_path), "config": {"experimental_resume": str(path)}},
                ),
            ):
                with pytest.raises(RpcError) as caught:
                    await client.request(method, params)
                assert caught.value.code == code
    assert (path.read_bytes() if path.exists() else None) == content
    assert list((tmp_path / ".codex").rglob("*.jsonl")) == []


def test_serving_loads_nothing_heavy_before_a_session_is_configured() -> None:
    code = (
        "import sys; from codex_rpc.cli import serve; "
        "print([m for m in ('httpx', 'httpx_sse', 'pygls', 'lsprotocol', 'rich', 'tree_sitter',"
        " 'mcp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


async def test_refused_initialize_and_shutdown_change_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        for method in ("initialize", "shutdown"):
            with pytest.raises(RpcError) as caught:
                await client.request(method, [1])
            assert caught.value.code == -32602
        assert "capabilities" in await client.request("initialize", {})
        assert await client.request("session/list")
        assert await client.request("shutdown") is None


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
async def test_a_trusted_command_runs_no_program_of_a_planted_repository(tmp_path: Path) -> None:
    planted = tmp_path / "work" / "docs" / "planted"
    git = ["git", "-C", str(planted)]
    subprocess.run(["git", "init", "-q", "--bare", str(planted)], check=True)
    marker = tmp_path / "ran"
    for key, value in (
        ("core.bare", "false"),
        ("core.worktree", ".."),
        ("core.fsmonitor", f"touch {marker}; false"),
    ):
        subprocess.run([*git, "config", key, value], check=True)
    subprocess.run([*git, "status"], check=True, capture_output=True)
    assert marker.exists(), "the trap does not work, so the test would show nothing"
    marker.unlink()
    script = {"responses": [call_events(1, ["git", "status"], workdir="docs/planted")]}
    async with ModelServer(script) as model:
        write_config(tmp_path, model.url, approval_policy='"untrusted"', sandbox_mode='"read-only"')
        async with running(tmp_path) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path / "work")})
            await client.say(session["sessionId"], "go")
            await client.wait_event("exec_command_end")
    assert not marker.exists()

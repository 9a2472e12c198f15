"""Whole conversations with a real model behind a real `llama-server`, over both wire APIs.

    pytest tests/process/test_process_real_model.py \
        --llama-server=llama-server --llama-model=MODEL.gguf [--llama-template=TEMPLATE.jinja]

What the model says is its own affair: only the protocol and files are looked at. A small model
(Qwen2.5-Coder-1.5B-Instruct) on two cores takes some minutes for all of it.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import anyio
import httpx
import pytest
from support.client import Client, running

pytestmark = pytest.mark.timeout(1200)

STARTUP_S = 120
TURN_S = 600
ENOUGH_REQUESTS = 4

TALK = "Tell a long story about the sea, of forty sentences or more, in plain words. Call no tool."

WRITE_IT = (
    "Create the file hello.txt with the single line `hello` in it. Use the shell tool once, with "
    'the command ["bash", "-lc", "echo hello > hello.txt"]. Then say that it is done.'
)


@pytest.fixture(scope="module")
def llama(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server with a model."""
    option = request.config.getoption
    server = option("--llama-server") or shutil.which("llama-server")
    model = option("--llama-model")
    if server is None or model is None:
        pytest.skip("needs a real model: give --llama-server and --llama-model")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [server, "-m", model, "--host", "127.0.0.1", "--port", str(port)]
    command += ["-c", "16384", "-np", "1", "--jinja", "-a", "local"]
    if template := option("--llama-template"):
        command += ["--chat-template-file", template]
    log = tmp_path_factory.mktemp("llama") / "log"
    with log.open("wb") as out, Popen(command, stdin=DEVNULL, stdout=out, stderr=out) as process:
        try:
            _wait_until_it_answers(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _wait_until_it_answers(process: Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + STARTUP_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"no answer in {STARTUP_S} s: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(params=["chat", "responses"])
def home(request: pytest.FixtureRequest, tmp_path: Path, llama: str) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex/config.toml").write_text(
        f"""
        model = "local"
        model_provider = "llamacpp"
        approval_policy = "untrusted"
        sandbox_mode = "danger-full-access"
        model_max_output_tokens = 400

        [model_providers.llamacpp]
        base_url = "{llama}"
        wire_api = "{request.param}"
        """
    )
    return tmp_path


@asynccontextmanager
async def server(home: Path) -> AsyncIterator[Client]:
    async with running(home, timeout_s=TURN_S) as client:
        yield client


async def opened(client: Client, home: Path) -> str:
    params = {"cwd": str(home / "work")}
    session_id: str = (await client.request("session/configure", params))["sessionId"]
    return session_id


async def turn(client: Client, session: str, text: str) -> list[dict[str, Any]]:
    """The events of a whole turn in which every question is answered with yes.

    A small model does not always know when to stop: after some requests it is interrupted.
    """
    start = len(client.received)
    submitted = await client.say(session, text)
    seen: list[dict[str, Any]] = []
    index = start
    while not seen or seen[-1]["type"] not in ("task_complete", "turn_aborted", "error"):
        index, message = await client.wait_for(
            lambda m: m.get("method") == "session/event" and m["params"]["id"] == submitted,
            start=index,
        )
        index += 1
        seen.append(message["params"]["msg"])
        if (
            seen[-1]["type"] == "token_count"
            and kinds(seen).count("token_count") == ENOUGH_REQUESTS
        ):
            await client.submit(session, {"type": "interrupt"})
        elif seen[-1]["type"] == "exec_approval_request":
            answer = {"type": "exec_approval", "id": seen[-1]["call_id"], "decision": "approved"}
            await client.submit(session, answer)
    return seen


async def in_mid_stream(client: Client, session: str) -> None:
    """Start a turn, and come back when the model talks.

    A small model may call a tool instead, unasked: it is told that it must not.
    """
    index = len(client.received)
    await client.say(session, TALK)
    while True:
        index, event = await client.wait_event(
            "agent_message_delta", "exec_approval_request", start=index
        )
        if event["msg"]["type"] == "agent_message_delta":
            return
        answer = {"type": "exec_approval", "id": event["msg"]["call_id"], "decision": "denied"}
        await client.submit(session, answer)
        index += 1


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


async def test_a_plain_answer_is_streamed_and_counted(home: Path) -> None:
    async with server(home) as client:
        session = await opened(client, home)
        seen = await turn(client, session, "Say hello in one short sentence. Call no tool.")
        again = await turn(client, session, "And once more.")
    assert kinds(seen)[-1] == "task_complete"
    text = "".join(e["delta"] for e in seen if e["type"] == "agent_message_delta")
    (message,) = [e["message"] for e in seen if e["type"] == "agent_message"]
    assert message == text != ""
    (count,) = [e for e in seen if e["type"] == "token_count"]
    assert count["input_tokens"] > 100 < count["total_tokens"]
    (started,) = [e for e in again if e["type"] == "task_started"]
    # The server was asked how much it takes, for the first turn at the latest; no table knows a
    # model of this name.
    assert started["model_context_window"] == 16384


async def test_a_tool_call_creates_the_file(home: Path) -> None:
    async with server(home) as client:
        session = await opened(client, home)
        seen = await turn(client, session, WRITE_IT)
    assert "exec_approval_request" in kinds(seen)
    ends = [e for e in seen if e["type"] == "exec_command_end"]
    assert ends
    assert ends[0]["exit_code"] == 0
    assert (home / "work/hello.txt").read_text().strip() == "hello"
    assert kinds(seen)[-1] in ("task_complete", "turn_aborted")


async def test_an_interrupt_in_mid_stream_ends_the_turn_and_the_next_one_works(home: Path) -> None:
    async with server(home) as client:
        session = await opened(client, home)
        start = len(client.received)
        await in_mid_stream(client, session)
        await client.submit(session, {"type": "interrupt"})
        await client.wait_event("turn_aborted", start=start)
        seen = await turn(client, session, "Answer with one word: what colour is the sky?")
        assert kinds(seen)[-1] == "task_complete"


async def test_after_a_sigkill_in_mid_stream_the_session_goes_on(home: Path) -> None:
    async with server(home) as client:
        session = await opened(client, home)
        await turn(client, session, WRITE_IT)
        await in_mid_stream(client, session)
        client.kill()
        await client.wait_for_end()
    async with server(home) as client:
        resumed = await client.request("session/resume", {"last": True})
        assert resumed["sessionId"] == session
        page = await client.request("session/read", {"sessionId": session, "limit": 100})
        items = [entry["item"] for entry in page["items"]]
        calls = [i["call_id"] for i in items if i["type"] == "function_call"]
        outputs = [i["call_id"] for i in items if i["type"] == "function_call_output"]
        assert calls == outputs != []
        said = [i for i in items if i["type"] == "message" and i["role"] == "user"]
        assert said[-1]["content"][0]["text"] == TALK
        seen = await turn(client, session, "Answer with one word: which file was created?")
        assert kinds(seen)[-1] == "task_complete"
        with anyio.fail_after(30):
            assert await client.close_stdin() == 0

"""`codex-rpc demo`: a session with a crash in its middle, on the screen, with its messages.

Owns the story, and the checks that what is told has happened. The model is scripted; the
server, the command, the crash, the file and the resume are real. How messages look is
`demo_stage`'s.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from codex_rpc.cli.demo_stage import DemoFailed, Server, Stage, running_server
from codex_rpc.cli.demo_workspace import SENTENCE, Workspace
from codex_rpc.protocol.frozen import frozen

EXIT_FAILED = 1
EXIT_INTERRUPTED = 128 + signal.SIGINT
SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform != "win32":
    SIGNALS.append(signal.SIGHUP)

QUESTION = "How long are the files here?"
AGAIN = "You were cut off. Please go on."
CUT_AFTER = 70
"""The crash comes when so many characters of the sentence have been seen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How fast, and what is left over."""
    parser.add_argument("--fast", action="store_true", help="without pauses")
    parser.add_argument("--keep", action="store_true", help="keep the folder, and say where it is")


def run(arguments: argparse.Namespace) -> int:
    """Play it; 0 if everything that was shown has really happened."""
    stage = Stage(fast=arguments.fast)
    # Resolved, because that is how it comes back in messages.
    folder = Path(tempfile.mkdtemp(prefix="codex-rpc-demo-")).resolve()
    try:
        place = Workspace.prepare(folder, fast=arguments.fast)
        with place.log.open("w+b") as log:
            return anyio.run(_play, stage, place, log)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        if arguments.keep:
            stage.console.print(f"\nkept: {folder}", soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _play(stage: Stage, place: Workspace, log: IO[bytes]) -> int:
    caught = 0
    failure: BaseException | None = None

    async def watch_signals(tasks: TaskGroup, *, task_status: TaskStatus[None]) -> None:
        nonlocal caught
        with anyio.open_signal_receiver(*SIGNALS) as received:
            task_status.started()
            async for number in received:
                caught = number
                tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            if sys.platform != "win32":
                await tasks.start(watch_signals, tasks)
            await _Story(stage, place, log).play()
            tasks.cancel_scope.cancel()
    except* DemoFailed as group:
        failure = _first(group)
    if failure is not None:
        await stage.remark("✗", f"The demo failed: {failure}", "bold red", pause_s=0)
        sys.stdout.flush()
        log.seek(0)
        sys.stderr.write(log.read().decode("utf-8", "replace"))
        return EXIT_FAILED
    if caught:
        await stage.remark("", "stopped", "yellow", pause_s=0)
        return 128 + caught
    return 0


def _first(group: BaseExceptionGroup[DemoFailed]) -> BaseException:
    exc: BaseException = group
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc


class _Story:
    """From the first server to the second one's end."""

    def __init__(self, stage: Stage, place: Workspace, log: IO[bytes]) -> None:
        self._stage = stage
        self._place = place
        self._log = log

    async def play(self) -> None:
        """Tell it.

        Raises:
            DemoFailed: something did not happen.
        """
        await self._stage.tell(
            "A session that survives a crash",
            "The model is a script, so no key and no network is needed. Everything else is real: "
            "the server, the command, the crash. Each line is a message on the server's stdin (→) "
            "or stdout (←), cut to the width of your screen.",
            pause_s=1.5,
        )
        # Slow enough that the crash comes in the middle of the sentence, on a busy machine too.
        self._place.set_script(last_pace_ms=100 if self._place.fast else 70)
        async with self._server() as server:
            configured = await self._until_the_crash(server)
        announced = _announced(server)
        await self._show_file(Path(configured["rolloutPath"]))
        self._place.set_script(last_pace_ms=0 if self._place.fast else 30)
        async with self._server() as second:
            await self._after_the_crash(second, configured["sessionId"], announced)
        await self._what_next()

    def _server(self) -> Any:
        return running_server(
            self._stage, cwd=self._place.work, codex_home=self._place.home, log=self._log
        )

    async def _until_the_crash(self, server: Server) -> dict[str, Any]:
        stage = self._stage
        await stage.tell(
            f"1. Start the server and a session   $ codex-rpc   (process {server.pid})"
        )
        params = {"cwd": str(self._place.work), "approvalPolicy": "untrusted"}
        configured = await server.request("session/configure", params)
        session_id = configured["sessionId"]
        await server.event("session_configured")

        await stage.tell(f"2. Ask: “{QUESTION}” The model wants to run a command")
        await _say(server, session_id, QUESTION)
        request = await server.event("exec_approval_request")
        command = " ".join(request["command"])
        await stage.remark("?", f"run `{command}`  [y/n]", "bold yellow", pause_s=1.5)
        await stage.remark("y", "(nothing runs before you say so; the demo says it for you)")
        approval = {"type": "exec_approval", "id": request["call_id"], "decision": "approved"}
        await server.request("session/submit", {"sessionId": session_id, "op": approval})
        end = await server.event("exec_command_end")
        if end["exit_code"] != 0:
            raise DemoFailed(f"the command ended with {end['exit_code']}: {end['stderr']}")

        cut_after = 12 if self._place.fast else CUT_AFTER
        await server.until(lambda: len(_begun(server)) >= cut_after, "the answer")
        await server.kill()
        stage.settle()
        if list(server.events("task_complete")):
            raise DemoFailed("the turn was over before the server could be killed; try again")
        await stage.tell(
            f"3. Crash   $ kill -9 {server.pid}",
            f"The server is dead, in the middle of a sentence: “{_begun(server)[-20:]}”",
            pause_s=2,
        )
        return configured

    async def _show_file(self, path: Path) -> None:
        await self._stage.tell(
            "4. What is left: the session's file",
            "Each message was in it before it was announced. Pieces (deltas) announce nothing, so "
            "the half sentence is not there.",
        )
        text = await anyio.Path(path).read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            self._stage.row(f"{number:4}  ", _described(json.loads(line)))
        await self._stage.pause(2.5)

    async def _after_the_crash(
        self, server: Server, session_id: str, announced: list[_Announced]
    ) -> None:
        stage = self._stage
        await stage.tell(f"5. Resume it in a new server   (process {server.pid})")
        resumed = await server.request("session/resume", {"sessionId": session_id})
        await server.event("session_configured")
        if resumed["sessionId"] != session_id or not resumed["resumed"]:
            raise DemoFailed("another session was opened instead of the one that crashed")
        page = await server.request("session/read", {"sessionId": session_id, "limit": 1000})
        items = [entry["item"] for entry in page["items"]]
        missing = [what.name for what in announced if not what.is_in(items)]
        if missing:
            raise DemoFailed(f"announced, but not in the resumed session: {', '.join(missing)}")
        names = ", ".join(what.name for what in announced)
        await stage.remark(
            "✓", f"all {len(announced)} announced items are there: {names}", "green", pause_s=1.5
        )

        await stage.tell(f"6. Go on: “{AGAIN}”")
        await _say(server, session_id, AGAIN)
        closing = await server.event("task_complete", "error", "turn_aborted")
        stage.settle()
        if closing.get("last_agent_message") != SENTENCE:
            raise DemoFailed("the turn after the crash did not bring the whole answer")
        if list(server.events("exec_command_begin")):
            raise DemoFailed("the command ran a second time")
        await stage.remark(
            "✓", "the answer is complete, and the command was not run again", "green"
        )
        code = await server.close()
        if code != 0:
            raise DemoFailed(f"the server ended with exit code {code}")
        await stage.remark("✓", "end of input, everything saved, exit code 0", "green")

    async def _what_next(self) -> None:
        await self._stage.tell("Now with a real model", pause_s=0)
        for text in (
            "export OPENAI_API_KEY=sk-...",
            "codex-rpc exec 'explain this folder'",
            "codex-rpc exec --resume last 'and now test it'",
        ):
            await self._stage.remark("", text, "bold", pause_s=0)
        await self._stage.tell(
            "Or from your editor",
            "It starts `codex-rpc` and speaks as above; `codex-rpc schema` prints every message. "
            "Other providers than OpenAI go into ~/.codex/config.toml.",
            pause_s=0,
        )


async def _say(server: Server, session_id: str, text: str) -> None:
    op = {"type": "user_input", "items": [{"type": "text", "text": text}]}
    await server.request("session/submit", {"sessionId": session_id, "op": op})


def _begun(server: Server) -> str:
    """What has come of the answer after the command."""
    texts = {msg["item_id"]: "" for msg in server.events("agent_message_delta")}
    for msg in server.events("agent_message_delta"):
        texts[msg["item_id"]] += msg["delta"]
    return next((text for text in texts.values() if SENTENCE.startswith(text)), "")


@frozen
class _Announced:
    """Something that an event has announced as completed."""

    name: str
    item_type: str
    needle: str
    """A part of the item's JSON by which it is known."""

    def is_in(self, items: list[dict[str, Any]]) -> bool:
        """Whether there is such an item."""
        needle = json.dumps(self.needle)
        return any(i.get("type") == self.item_type and needle in json.dumps(i) for i in items)


def _announced(server: Server) -> list[_Announced]:
    """What has to come back."""
    found: list[_Announced] = []
    for msg in server.events("user_message"):
        found.append(_Announced("your question", "message", msg["items"][0]["text"]))
    for msg in server.events("agent_reasoning"):
        found.append(_Announced("the reasoning", "reasoning", msg["text"]))
    for msg in server.events("agent_message"):
        found.append(_Announced("the message", "message", msg["message"]))
    for msg in server.events("exec_command_begin"):
        found.append(_Announced("the command", "function_call", msg["call_id"]))
    for msg in server.events("exec_command_end"):
        found.append(_Announced("its output", "function_call_output", msg["call_id"]))
    return found


def _described(line: dict[str, Any]) -> str:
    """A line of a session file in a few words."""
    kind = line.get("record_type") or line.get("type")
    match kind:
        case None:
            return f"session {line['id']}"
        case "turn":
            return f"turn {line['status']}"
        case "context":
            return f"context: model {line['model']}, {line['sandbox_policy']['mode']}"
        case "message":
            texts = [part.get("text", "") for part in line["content"]]
            return f"{line['role']}: {' '.join(texts)}"
        case "reasoning":
            return "reasoning: " + " ".join(part["text"] for part in line["summary"])
        case "function_call":
            return f"call {line['name']} {line['arguments']}"
        case "function_call_output":
            return f"output {line['output']}"
        case _:
            return str(kind)

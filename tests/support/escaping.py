"""A real server whose model tries to get out: attempts of `escapes` as calls in a session."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

from escapes.attempt import Attempt, Mode
from escapes.outsider import Outsider
from escapes.outsiders import OUTSIDERS
from escapes.stage import Stage
from support.client import CLOSINGS, COMMAND, Client, running
from support.conversation import call_events, completed, text_events, write_config
from support.model_server import ModelServer, Script

from codex_rpc.sandbox.means import probe

OUTSIDE_THE_SERVER = ("network", "sockets", "leftovers")

LIVE_FILES = "home/.codex/"
"""Where the server itself writes; only these are nobody's but the user's."""
UNTOUCHED = ("config.toml", "auth.json", "AGENTS.md", "sessions/2025/")


class Field:
    """A session, and everything around it that can be reached or harmed."""

    def __init__(
        self, client: Client, session_id: str, script: Script, stage: Stage, mode: Mode
    ) -> None:
        self.client = client
        self.session_id = session_id
        self.stage = stage
        self._script = script
        self._mode = mode
        self._outsiders: list[Outsider] = []
        self._env: dict[str, str] = {}
        self._intruded = 0
        """How many lines were in the session's file that the server has not written."""

    def surround(self, outsiders: Sequence[Outsider]) -> None:
        """Let these be reachable; the process outside is the server itself."""
        self._outsiders += outsiders
        self._env = {k: v for k, v in self.stage.env.items() if k not in ("PATH", "HOME")}
        for outsider in outsiders:
            self._env |= outsider.env
        self._env["VICTIM"] = str(self.client.process.pid)

    async def attempt(self, row: Attempt) -> tuple[list[str], str]:
        """Have the model call the row's command: what got out, and what the model was told."""
        self._plan_command(row)
        return await self._turn()

    async def patch(self, patch: str) -> tuple[list[str], str]:
        """The same for a patch."""
        n = self._next
        call = {
            "type": "function_call",
            "id": f"fc_{n}",
            "call_id": f"call_{n}_0",
            "name": "apply_patch",
            "arguments": json.dumps({"input": patch}),
        }
        item = {"type": "response.output_item.done", "item": call}
        created = {"type": "response.created", "response": {"id": f"resp_{n}"}}
        self._plan({"events": [created, item, completed(n)]})
        return await self._turn()

    async def question(self, row: Attempt) -> dict[str, Any]:
        """Have the model call the row's command: what the user is asked, or the turn's closing."""
        self._plan_command(row)
        start = await self._begin()
        asked = ("exec_approval_request", *CLOSINGS)
        _, event = await self.client.wait_event(*asked, start=start)
        msg: dict[str, Any] = event["msg"]
        return msg

    async def answer(self, question: Mapping[str, Any], decision: str) -> tuple[list[str], str]:
        """Decide, and wait for the turn's end; then as `attempt`."""
        op = {"type": "exec_approval", "id": question["call_id"], "decision": decision}
        start = len(self.client.received)
        await self.client.submit(self.session_id, op)
        await self.client.wait_event(*CLOSINGS, start=start)
        return self._findings()

    @property
    def _next(self) -> int:
        return len(self._script["responses"]) + 1

    def _plan(self, response: Mapping[str, Any]) -> None:
        """Let the model answer the next request with this, and the one after it with a text."""
        self._script["responses"] += [response, text_events(self._next + 1, "done")]

    def _plan_command(self, row: Attempt) -> None:
        words = [f"{name}={value}" for name, value in self._env.items()]
        self._plan(call_events(self._next, ["env", *words, *row.argv]))

    async def _begin(self) -> int:
        """Look, then let the user speak; the place in what is received where the turn begins."""
        self.stage.look()
        self._intruded = self._lines().count(b"x")
        start = len(self.client.received)
        await self.client.say(self.session_id, "go")
        return start

    async def _turn(self) -> tuple[list[str], str]:
        try:
            start = await self._begin()
            await self.client.wait_event(*CLOSINGS, start=start)
        except (EOFError, OSError):
            return ["the server ended"], ""
        return self._findings()

    def _findings(self) -> tuple[list[str], str]:
        output = self.outputs()[-1]
        return list(self._evidence(output)), output

    def outputs(self) -> list[str]:
        """What the model was told of its calls, as the session's file has it."""
        items = (json.loads(line) for line in self._lines() if line.startswith(b"{"))
        return [i["output"] for i in items if i.get("type") == "function_call_output"]

    def _lines(self) -> list[bytes]:
        sessions = self.stage.codex_home / "sessions"
        found = [path for path in sessions.rglob("*.jsonl") if path.name != "rollout-1.jsonl"]
        return [line for path in found for line in path.read_bytes().splitlines()]

    def _evidence(self, output: str) -> Iterator[str]:
        for damage in self.stage.damage(self._mode):
            name = damage.removeprefix(LIVE_FILES)
            if name == damage or name.startswith(UNTOUCHED):
                yield damage
        if self._lines().count(b"x") > self._intruded:
            yield "something was added to the session"
        yield from self.stage.leaks(output)
        for outsider in self._outsiders:
            yield from outsider.evidence()


@asynccontextmanager
async def field(
    base: Path, *, mode: Mode | None, means: str, approval: str = "never"
) -> AsyncIterator[Field]:
    """A server whose commands are held by `means`; `mode` None: by nothing, as configured."""
    stage = Stage(base)
    script: Script = {"responses": []}
    async with ModelServer(script) as model:
        write_config(
            stage.home,
            model.url,
            **{
                "approval_policy": f'"{approval}"',
                "sandbox_mode": f'"{_sandbox_mode(mode)}"',
                "sandbox_means": '"bubblewrap"' if means == "none" else f'"{means}"',
                "sandbox_deny_read": json.dumps(stage.denied()),
                # What is to be seen here is what gets out, not what is masked when it does.
                "history.redact": "false",
                "sandbox_workspace_write.writable_roots": json.dumps([str(r) for r in stage.roots]),
            },
        )
        secret = {"PROVIDER_KEY": stage.secret}
        command = without_bubblewrap() if means == "none" and mode else COMMAND
        async with running(stage.home, command=command, timeout_s=15, **secret) as client:
            configured = await client.request("session/configure", {"cwd": str(stage.work)})
            if means != "auto":
                assert configured["sandbox"] == means
            watched: Mode = mode or "workspace-write"
            placed = Field(client, configured["sessionId"], script, stage, watched)
            with ExitStack() as stack:
                placed.surround(
                    [stack.enter_context(closing(OUTSIDERS[n](stage))) for n in OUTSIDE_THE_SERVER]
                )
                yield placed


def _sandbox_mode(mode: Mode | None) -> str:
    return "danger-full-access" if mode is None else mode


def without_bubblewrap() -> Sequence[str]:
    """The server where bubblewrap is not to be found: hidden by itself, or not there anyhow."""
    found = probe().bubblewrap
    if found is None:
        return COMMAND
    hide = ["--dev-bind", "/", "/", "--ro-bind", "/dev/null", found.path]
    return [found.path, *hide, "--", *COMMAND]

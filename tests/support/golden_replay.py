"""Plays a recorded run to the real process, driven by its events.

Each submission is sent when what the recorded client had seen before it has come, in our
form. Approvals are addressed by call id, and the log id of the message history is the real one.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from attrs import evolve, frozen
from support.client import CLOSINGS, Client, running
from support.golden import (
    DELTA_TEXTS,
    SESSION,
    Recording,
    Run,
    Timed,
    conversation,
    merged,
)
from support.golden_compare import Json, Pattern, replaced
from support.golden_recorder import printed_to_stderr
from support.model_server import ModelServer

REQUESTS = {
    "exec_approval": "exec_approval_request",
    "patch_approval": "apply_patch_approval_request",
}
"""What each answer of the user answers."""
ANSWERS = (*CLOSINGS, "get_history_entry_response")
"""Events that end what a submission had started."""
API_KEY = "sk-fake"
SYNC_ID = "sync"
RECORDED_LOG_ID = 2385183
"""The log id of the recorded message history, that is its inode; 0 is that of none."""


@frozen
class Place:
    """Where a replay runs: a HOME, and the working directory beside it."""

    home: Path
    cwd: Path
    programs: Path
    """First on the server's PATH."""

    @property
    def history(self) -> Path:
        """The message history."""
        return self.home / ".codex" / "history.jsonl"

    @property
    def placeholders(self) -> list[tuple[str, str]]:
        """How the recordings write its paths."""
        return [(str(self.cwd), "{CWD}"), (str(self.home), "{HOME}")]


@frozen
class Replayed:
    """What one run of ours brought, with the paths written as in the recordings."""

    events: list[Timed]
    """Up to the last one that the recording has."""
    rest: list[Timed]
    """Those after it; the input was closed then."""
    requests: list[tuple[Json, ...]]
    bodies: list[Json]
    header: Json
    rollout: list[Json]
    """The items of the session file when the last event came."""
    path: Path
    result: Json
    """The answer to `session/configure`."""

    def shown(self) -> list[tuple[str, Json]]:
        """The events for the comparison: without those that are new, and warnings."""
        return merged(
            event
            for event in self.events
            if event.type != "user_message"
            and not (event.id == "0" and event.type == "background_event")
            and event.id != SYNC_ID
        )

    def assert_guarantees(self, run: Run) -> None:
        """What the protocol promises of `run`'s events, and no recording shows."""
        assert [event.t for event in self.events] == list(range(1, len(self.events) + 1))
        inputs = [(s.id, s.body["items"]) for s in run.submissions if s.type == "user_input"]
        saved = [(e.id, e.body["items"]) for e in self.events if e.type == "user_message"]
        assert saved == inputs
        texts: dict[tuple[str, int | None], str] = {}
        for event in self.events:
            body = event.body
            key = body.get("item_id", ""), body.get("part")
            match event.type:
                case "agent_message_delta" | "agent_reasoning_delta":
                    texts[key] = texts.get(key, "") + body["delta"]
                case "agent_message":
                    assert texts.pop(key, body["message"]) == body["message"]
                case "agent_reasoning":
                    assert texts.pop(key, body["text"]) == body["text"]
                case "stream_error" | "turn_aborted" | "error":
                    texts.clear()
                case "task_complete":
                    assert not texts
        opened = [e.id for e in self.events if e.type == "task_started"]
        closed = [e.id for e in self.events if e.type in CLOSINGS]
        # What still runs at the end of the input is aborted; otherwise nothing comes any more.
        last_words = ["turn_aborted"] * (len(opened) - len(closed)) + ["shutdown_complete"]
        said = [e.type for e in self.rest if e.type != "stream_error" or opened == closed]
        assert said == last_words


def write_config(place: Place, url: str, tables: str = "") -> None:
    """The configuration that the recordings were made with, and more `tables`."""
    (place.home / ".codex" / "config.toml").write_text(
        f'model_provider = "fake"\n'
        f"[model_providers.fake]\n"
        f'name = "fake"\n'
        f'base_url = "{url}"\n'
        f'wire_api = "responses"\n'
        f'env_key = "OPENAI_API_KEY"\n'
        f"{tables}"
    )


def _records(path: Path) -> Iterator[Json]:
    for line in path.read_bytes().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            # A torn line stays where it is; the record behind it says so.
            continue


async def replay(run: Run, place: Place, model: ModelServer, arguments: Sequence[str]) -> Replayed:
    """Play `run`, whose events are the expected ones, in a process of its own."""
    asked_before = len(model.requests)
    path = f"{place.programs}{os.pathsep}{os.environ['PATH']}"
    async with running(place.home, *arguments, OPENAI_API_KEY=API_KEY, PATH=path) as client:
        result = await client.request("session/configure", {"cwd": str(place.cwd)})
        driver = _Driver(client, run, result["sessionId"], place)
        for submission in run.submissions:
            await driver.wait_for(driver.before(submission))
            await driver.submit(submission)
        end = await driver.wait_for(list(run.events))
        events = driver.seen()[:end]
        rollout = Path(result["rolloutPath"])
        header, *lines = _records(rollout)
        bodies = [request["body"] for request in model.requests[asked_before:]]
        assert await client.close_stdin() == 0
        await client.wait_for_end()
        rest = driver.seen()[end:]
    places = [*place.placeholders, (result["sessionId"], SESSION)]
    return Replayed(
        events=[evolve(e, body=_with_log_id(replaced(e.body, places), place)) for e in events],
        rest=rest,
        requests=[conversation(replaced(body["input"], places)) for body in bodies],
        bodies=bodies,
        header=replaced(header, places),
        rollout=[replaced(line, places) for line in lines if "type" in line],
        path=rollout,
        result=result,
    )


def _with_log_id(body: Json, place: Place) -> Json:
    """`body` with the log id of the recording in the place of the real one."""
    if not place.history.exists():
        return body
    real = place.history.stat().st_ino
    ids = {k: RECORDED_LOG_ID for k, v in body.items() if k.endswith("log_id") and v == real}
    return body | ids


class _Driver:
    def __init__(self, client: Client, run: Run, session_id: str, place: Place) -> None:
        self._client = client
        self._run = run
        self._session_id = session_id
        self._place = place
        self._answered = 0

    def seen(self) -> list[Timed]:
        """What has been announced so far."""
        return [Timed(e["seq"], e["id"], e["msg"]) for e in self._client.events()]

    def before(self, submission: Timed) -> list[Timed]:
        """The events that the recorded client had seen when it sent `submission`."""
        others = [e for e in self._run.events if e.id != submission.id]
        if submission.body["type"] in REQUESTS:
            requests = [n for n, e in enumerate(others) if e.type in REQUESTS.values()]
            return others[: requests[self._answered] + 1]
        # The clock of the recordings counts milliseconds, in which much can happen. An input
        # that comes in the very millisecond in which something ended has waited for that.
        count = len([e for e in others if e.t < submission.t])
        if submission.body["type"] == "user_input":
            ended = [n for n, e in enumerate(others) if e.type in ANSWERS and e.t <= submission.t]
            count = max(count, *(n + 1 for n in ended), 0)
        return others[:count]

    async def wait_for(self, events: Sequence[Timed]) -> int:
        """Wait until as much has come as `events` hold; the number of events until then."""
        if not events:
            return 0
        last = events[-1]
        wanted = sum(_steps(events, last))

        def position() -> int:
            progress = accumulate(_steps(self.seen(), last))
            return next((n for n, done in enumerate(progress, start=1) if done >= wanted), 0)

        await self._client.wait_for(lambda _: position() > 0)
        return position()

    async def submit(self, submission: Timed) -> None:
        """Send it, in our form."""
        op = dict(submission.body)
        if op["type"] in REQUESTS:
            requests = [e for e in self.seen() if e.type in REQUESTS.values()]
            assert (requests[-1].id, requests[-1].type) == (op["id"], REQUESTS[op["type"]])
            op["id"] = requests[-1].body["call_id"]
            self._answered += 1
        if op.get("log_id") == RECORDED_LOG_ID:
            await self._settle()
            op["log_id"] = self._place.history.stat().st_ino
        await self._client.submit(self._session_id, op, submission.id)

    async def _settle(self) -> None:
        """Wait until the entries that were added are in their file, which no event tells."""
        if any(e.id == SYNC_ID for e in self.seen()):
            return
        await self._client.submit(self._session_id, {"type": "list_mcp_tools"}, SYNC_ID)
        await self._client.wait_event("mcp_list_tools_response")


def _steps(events: Iterable[Timed], last: Timed) -> Iterator[int]:
    """How far each event gets on the way to `last`: the length of its delta, or one."""
    member = DELTA_TEXTS.get(last.type)
    for event in events:
        if (event.id, event.type) != (last.id, last.type):
            yield 0
        elif member is None:
            yield 1
        else:
            text = event.body[member]
            yield text.least if isinstance(text, Pattern) else len(text)


def install_stand_ins(recording: Recording, programs: Collection[str], folder: Path) -> None:
    """Put programs into `folder` that print what the recorded ones did, with their exit codes.

    They stand in for programs that not every machine has, or has in the same version.
    """
    commands = {
        event.body["call_id"]: event.body["command"]
        for event in recording.events
        if event.type == "exec_command_begin"
    }
    cases: dict[str, list[str]] = {program: [] for program in programs}
    for event in recording.events:
        program, *arguments = commands.get(event.body.get("call_id", ""), [""])
        if event.type == "exec_command_end" and program in cases:
            assert not event.body["stdout"]
            text = folder / event.body["call_id"]
            text.write_text(printed_to_stderr(recording, event.body["call_id"]), "utf-8")
            said = shlex.quote(shlex.join(arguments))
            exit_code = event.body["exit_code"]
            # Behind the arguments may be options of ours, which keep git from running programs.
            cases[program].append(f"{said}|{said}' --'*) cat {text} >&2; exit {exit_code};;")
    for program, lines in cases.items():
        path = folder / program
        path.write_text("\n".join(["#!/bin/sh", 'case "$*" in', *lines, "esac", "exit 99", ""]))
        path.chmod(0o755)

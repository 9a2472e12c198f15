"""Recorded conversations with the Codex CLI 0.20.

A recording is what its folder holds: what the model server streamed, what was submitted, what
was announced, what the model was asked, and the session file. Nothing of it is ever rewritten
on disk; where we differ on purpose, a rule of `golden_rules` says what to expect instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import evolve, frozen
from support.golden_compare import Json, replaced
from support.model_server import completed

GOLDEN = Path(__file__).parent.parent / "golden"
RECORDINGS = GOLDEN / "codex-0.20"

SESSION = "{SESSION}"
"""Stands for the id of a run's session, as {CWD} and {HOME} stand for its folders."""

BASE = "/recorder"
"""A folder of the recorder's, written {BASE} in the recordings; here it does not exist."""

DELTA_TEXTS = {
    "agent_message_delta": "delta",
    "agent_reasoning_delta": "delta",
    "exec_command_output_delta": "chunk",
}
"""The events that may be merged, and their text."""

INJECTED = ("<environment_context>", "<user_instructions>", "<interrupted_turn>")
"""How the messages begin that every request carries and no session file does."""


@frozen
class Timed:
    """A line that went over the pipe: a submission with `op`, or an event with `msg`."""

    t: float
    id: str
    body: Json

    @property
    def type(self) -> str:
        """The body's tag."""
        kind: str = self.body["type"]
        return kind


@frozen
class Run:
    """One process: what was submitted to it and what it announced."""

    submissions: tuple[Timed, ...]
    events: tuple[Timed, ...]


@frozen
class Recording:
    """One case. `requests` holds the whole input of each, without the injected messages."""

    name: str
    runs: tuple[Run, ...]
    requests: tuple[tuple[Json, ...], ...]
    rollout: tuple[Json, ...]
    """The items of the session file."""
    header: Json
    reasoning: tuple[Json, ...]
    """The `reasoning` member of each request."""
    responses: tuple[Json, ...] = ()
    """What the model server plays."""
    arguments: tuple[str, ...] = ()
    configuration: str = ""
    """Tables that its config.toml had besides the provider's."""
    summaries: tuple[str, ...] = ()
    """What stands for earlier items in requests, and is an item of no response."""
    still_retrying: bool = False
    """It ends before its last turn does: the last request is repeated some more times."""

    @property
    def events(self) -> tuple[Timed, ...]:
        """All runs' events."""
        return tuple(event for run in self.runs for event in run.events)


def load(name: str) -> Recording:
    """The recording in the folder `name`."""
    folder = RECORDINGS / name
    one = (folder / "submissions.jsonl").exists()
    runs = [_run(folder, "")] if one else []
    runs += [_run(folder, f"_{n}") for n in (1, 2) if (folder / f"events_{n}.jsonl").exists()]
    requests = list(_lines(folder / "requests.jsonl"))
    header, *lines = _lines(folder / "rollout.jsonl")
    script: Json = {"responses": [], "args": [], "config_extra": ""}
    if (folder / "script.json").exists():
        script = json.loads(_text(folder / "script.json"))
    recording = Recording(
        name=name,
        runs=tuple(runs),
        requests=tuple(_inputs(requests)),
        rollout=tuple(line for line in lines if "type" in line),
        header=header,
        reasoning=tuple(request["reasoning"] for request in requests),
        responses=tuple(script["responses"]),
        arguments=tuple(script["args"]),
        configuration=script["config_extra"].removeprefix("---TABLES---\n"),
    )
    if recording.responses:
        return recording
    return evolve(recording, responses=tuple(_responses(recording)), arguments=FULL_ACCESS)


FULL_ACCESS = ("-c", 'approval_policy="never"', "-c", 'sandbox_mode="danger-full-access"')
"""What the recordings without a script were started with."""


def _responses(recording: Recording) -> Iterator[Json]:
    """What the model server of a recording without a script has streamed.

    It was a call, and then a message for each response.
    """
    usage = next(e.body for e in recording.events if e.type == "token_count")
    said = {
        "input_tokens": usage["input_tokens"],
        "input_tokens_details": {"cached_tokens": usage["cached_input_tokens"]},
        "output_tokens": usage["output_tokens"],
        "output_tokens_details": {"reasoning_tokens": usage["reasoning_output_tokens"]},
        "total_tokens": usage["total_tokens"],
    }
    call = next(item for item in recording.rollout if item["type"] == "function_call")
    yield {"events": [_done(call), completed("resp_1", said)]}
    texts = [e.body["message"] for e in recording.events if e.type == "agent_message"]
    for n, text in enumerate(texts, start=2):
        item = {"type": "message", "id": f"msg_resp_{n}", "role": "assistant"}
        item["content"] = [{"type": "output_text", "text": text}]
        delta = {"type": "response.output_text.delta", "item_id": item["id"], "delta": text}
        yield {"events": [delta, _done(item), completed(f"resp_{n}", said)]}


def _done(item: Json) -> Json:
    return {"type": "response.output_item.done", "item": item}


def _run(folder: Path, suffix: str) -> Run:
    events = tuple(_timed(_lines(folder / f"events{suffix}.jsonl"), "msg"))
    session_id = events[0].body["session_id"]
    return Run(
        tuple(_timed(_lines(folder / f"submissions{suffix}.jsonl"), "op")),
        tuple(evolve(e, body=replaced(e.body, [(session_id, SESSION)])) for e in events),
    )


def _timed(lines: Iterable[Json], body: str) -> Iterator[Timed]:
    used: set[str] = set()
    for line in lines:
        id_ = line["line"]["id"]
        if body == "op":
            # The old program did not mind an id that was used before.
            while id_ in used:
                id_ += "+"
            used.add(id_)
        yield Timed(line["t"], id_, line["line"][body])


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").replace("{BASE}", BASE)


def _lines(path: Path) -> Iterator[Json]:
    for line in _text(path).splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            # The line that g_resume_truncated has torn on purpose.
            assert line.startswith('{"type":"message"')


def _inputs(requests: Iterable[Json]) -> Iterator[tuple[Json, ...]]:
    so_far: list[Json] = []
    for request in requests:
        so_far = request["input"] if "input" in request else [*so_far, *request["more"]]
        yield conversation(so_far)


def conversation(items: Iterable[Json]) -> tuple[Json, ...]:
    """The items of a request without the injected messages."""
    return tuple(item for item in items if not is_injected(item))


def is_injected(item: Json) -> bool:
    """Whether it is a message that the program writes itself, into each request."""
    return is_user(item) and text_of(item).startswith(INJECTED)


def is_user(item: Json) -> bool:
    """Whether it is a user's message."""
    return item["type"] == "message" and item["role"] == "user"


def is_assistant(item: Json) -> bool:
    """Whether it is the model's message."""
    return item["type"] == "message" and item["role"] == "assistant"


def text_of(item: Json) -> str:
    """The first text of a message."""
    text: str = item["content"][0].get("text", "")
    return text


def script_items(responses: Iterable[Json]) -> dict[str, Json]:
    """The items that the model server completes, by call id, else by item id."""
    items = (
        event["item"]
        for response in responses
        for event in response.get("events", ())
        if event.get("type") == "response.output_item.done"
    )
    return {item.get("call_id") or item["id"]: item for item in items}


def merged(events: Iterable[Timed]) -> list[tuple[str, Json]]:
    """Events with each item's deltas as one.

    A command's output comes as one delta for each stream, at the end of the command or of its
    turn: in which order the pipes are read is chance. Durations are left out.
    """
    done: list[tuple[str, Json]] = []
    output: dict[tuple[str, str], tuple[str, Json]] = {}

    def flush() -> None:
        done.extend(output[key] for key in sorted(output, reverse=True))
        output.clear()

    for event in events:
        msg = {k: v for k, v in event.body.items() if k != "duration"}
        if event.type == "exec_command_output_delta":
            key = (msg["call_id"], msg["stream"])
            last = output.get(key)
            output[key] = (event.id, msg) if last is None else (event.id, _joined(last[1], msg))
            continue
        if event.type in ("exec_command_end", "turn_aborted", "error"):
            flush()
        last = done[-1] if done and event.type in DELTA_TEXTS else None
        if last is not None and (last[0], last[1]["type"]) == (event.id, event.type):
            done[-1] = (event.id, _joined(last[1], msg))
        else:
            done.append((event.id, msg))
    flush()
    return done


def _joined(first: Json, second: Json) -> Json:
    member = DELTA_TEXTS[first["type"]]
    return {**first, member: first[member] + second[member]}

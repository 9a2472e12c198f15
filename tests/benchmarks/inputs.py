"""Saved sessions to measure with: ours are written, those of other programs recorded.

A program that has a format of its own is asked for a session of two turns; what it wrote for the
second is repeated with new ids and texts, so that every line is one of its own.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from attrs import frozen

from .drivers import AcpDriver, AppServerDriver, Saved
from .programs import Program
from .stage import Stage, wait_for

SAID = "@said@"
ITEMS_OF_ROUND = 4
ITEMS_OF_TURN = 2


def words(n: int) -> str:
    """About 120 characters, not the same for any two numbers."""
    return f"{n} " + "lorem ipsum dolor sit amet " * 4


def write_session(stage: Stage, program: Program, home: Path, items: int) -> Saved:
    """A session with so many items, in the format that the program writes."""
    if program.ours or not issubclass(program.driver, AcpDriver | AppServerDriver):
        return _write_ours(home, items)
    recording = record(stage, program)
    return recording.write(home, 0, items // ITEMS_OF_TURN)


# Our format, which is also that of 2025.


def time_of(n: int) -> datetime:
    """When the n-th session was begun: no two in the same second."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=20 * n, seconds=n % 50)


def header(session_id: str, cwd: Path, n: int = 0) -> dict[str, Any]:
    """The first line of a file of ours."""
    return {
        "id": session_id,
        "timestamp": f"{time_of(n):%Y-%m-%dT%H:%M:%S}.000Z",
        "instructions": None,
        "format": 1,
        "cwd": str(cwd),
        "originator": "codex-rpc",
        "version": "0",
    }


def line(value: dict[str, Any]) -> str:
    """A record as its line."""
    return json.dumps(value, separators=(",", ":")) + "\n"


def session_file(home: Path, session_id: str, n: int = 0) -> Path:
    """The path of the n-th session, in an existing folder."""
    when = time_of(n)
    folder = home / ".codex" / "sessions" / f"{when:%Y/%m/%d}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rollout-{when:%Y-%m-%dT%H-%M-%S}-{session_id}.jsonl"
    path.touch(0o600)
    return path


def round_of(n: int) -> str:
    """The lines of a question, a call, its output, an answer."""
    text, call_id = words(n), f"call_{n}"
    content = [{"type": "input_text", "text": text}]
    call = {"type": "function_call", "id": f"fc_{n}", "call_id": call_id, "name": "shell"}
    arguments = json.dumps({"command": ["echo", text]})
    answer = [{"type": "output_text", "text": text}]
    return "".join(
        (
            line({"type": "message", "role": "user", "content": content}),
            line({**call, "arguments": arguments}),
            line({"type": "function_call_output", "call_id": call_id, "output": text}),
            line({"type": "message", "id": f"msg_{n}", "role": "assistant", "content": answer}),
        )
    )


def _write_ours(home: Path, items: int) -> Saved:
    session_id = str(uuid.uuid4())
    path = session_file(home, session_id)
    with path.open("w") as file:
        file.write(line(header(session_id, home)))
        file.writelines(map(round_of, range(items // ITEMS_OF_ROUND)))
    return Saved(session_id, path, items // ITEMS_OF_ROUND * ITEMS_OF_ROUND)


def write_compacted(home: Path, size: int) -> Saved:
    """A file of `size` bytes with a compaction some kilobytes before its end."""
    session_id = str(uuid.uuid4())
    path = session_file(home, session_id)
    block_items = 2_000 * ITEMS_OF_ROUND
    block = "".join(map(round_of, range(2_000)))
    with path.open("w") as file:
        file.write(line(header(session_id, home)))
        items = 0
        while file.tell() < size:
            file.write(block)
            items += block_items
        marker = {"record_type": "compacted", "summary": "lorem ipsum", "replaces": items}
        file.write(line({**marker, "line": items + 2}))
        context = {
            "record_type": "context",
            "timestamp": "2026-11-22T12:00:00.000Z",
            "cwd": str(home),
            "model": "gpt-5",
            "model_provider": "loopback",
            "approval_policy": "never",
            "sandbox_policy": {"mode": "danger-full-access"},
        }
        file.write(line(context))
        file.write(line({"record_type": "state", "previous_response_id": None}))
        file.writelines(map(round_of, range(10)))
    return Saved(session_id, path, items + 10 * ITEMS_OF_ROUND)


# Many of them.


def write_many(stage: Stage, program: Program, home: Path, files: int, file_bytes: int) -> None:
    """So many sessions of about that size.

    Ours are of all the kinds that we read: half of them ours, the others of both kinds of Codex.
    ACP lists no session whose folder is not known, so there the older kind is left out.
    """
    if program.ours:
        speaks_acp = issubclass(program.driver, AcpDriver)
        _write_many_of_ours(home, files, file_bytes, with_folder=speaks_acp)
        return
    recording = record(stage, program)
    turns = max(1, (file_bytes - len(recording.head)) // len(recording.turn))
    for n in range(files):
        recording.write(home, n, turns)


def _write_many_of_ours(home: Path, files: int, file_bytes: int, *, with_folder: bool) -> None:
    rounds = "".join(map(round_of, range(20)))
    enveloped = "".join(
        line(
            {
                "timestamp": "2026-11-22T10:00:01.000Z",
                "type": "response_item",
                "payload": json.loads(item),
            }
        )
        for item in rounds.splitlines()
    )
    for n in range(files):
        session_id = str(uuid.UUID(int=0x01A20422_E39E_7D80_AEB8_000000000000 + n))
        first = header(session_id, home / f"project-{n % 17}", n)
        body = rounds
        if n % 4 == 2 and not with_folder:
            first = {key: first[key] for key in ("id", "timestamp", "instructions")}
        elif n % 4 == 3:
            meta = {"id": session_id, "cwd": first["cwd"], "cli_version": "0.137.0"}
            first = {"timestamp": first["timestamp"], "type": "session_meta", "payload": meta}
            body = enveloped
        path = session_file(home, session_id, n)
        text = line(first)
        repeats = max(1, -(-(file_bytes - len(text)) // len(body)))
        if file_bytes < len(body):
            # Whole lines only.
            body = body[: body.rindex("\n", 0, file_bytes) + 1]
        path.write_text(text + body * repeats)
        set_age(path, n)


def set_age(path: Path, n: int) -> None:
    """Date the n-th file as its session."""
    when = time_of(n).timestamp()
    os.utime(path, (when, when))


# What other programs write.


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
RESPONSE = re.compile(r"resp_\d{8}")
TIMESTAMP = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"')
ORDINAL = re.compile(r'"ordinal":\d+')
PLACE = "\x00{}\x00"


@frozen
class Recording:
    """A program's own session file, to be repeated."""

    session_id: str
    head: str
    """The lines of the first turn and of what is before it."""
    turn: str
    """The lines of the second."""
    ordinals: bool
    """Whether the lines are numbered."""

    def write(self, home: Path, n: int, turns: int) -> Saved:
        """The n-th session: the head, and the turn so many times."""
        session_id = self.session_id[:-12] + f"{0xA00000000000 + n:012x}"
        path = session_file(home, session_id, n)
        head = self.head.replace(SAID, words(n)).replace(self.session_id, session_id)
        with path.open("w") as file:
            file.write(TIMESTAMP.sub(f'"{time_of(n):%Y-%m-%dT%H:%M:%S}.000Z"', head))
            file.writelines(self._turns(session_id, turns))
        set_age(path, n)
        return Saved(session_id, path, (turns + 1) * ITEMS_OF_TURN)

    def _turns(self, session_id: str, turns: int) -> Iterator[str]:
        text = self.turn.replace(self.session_id, session_id)
        ids = {found for found in UUID.findall(text) if found != session_id}
        for found in ids:
            text = text.replace(found, found[:-12] + PLACE.format("n"))
        text = RESPONSE.sub("resp_" + PLACE.format("r"), text)
        text = text.replace("tok0 ", SAID)
        pieces = ORDINAL.split(text)
        ordinals = count(len(self.head.splitlines()))
        for n in range(turns):
            if self.ordinals:
                numbered = [pieces[0]]
                for piece in pieces[1:]:
                    numbered += [f'"ordinal":{next(ordinals)}', piece]
                text = "".join(numbered)
            yield (
                text.replace(PLACE.format("n"), f"{0xB00000000000 + n:012x}")
                .replace(PLACE.format("r"), f"{10_000_000 + n}")
                .replace(SAID, words(n))
            )


_recordings: dict[tuple[int, str], Recording] = {}


def record(stage: Stage, program: Program) -> Recording:
    """What the program writes for two short turns; done once."""
    key = (stage.port, program.name)
    if key not in _recordings:
        _recordings[key] = _record(stage, program)
    return _recordings[key]


def _record(stage: Stage, program: Program) -> Recording:
    home = stage.fresh_home(program, "recording")
    with stage.running(program, home) as driver:
        session = driver.open()
        driver.turn(session, SAID)
        driver.turn(session, SAID)
        (path,) = (home / ".codex" / "sessions").rglob(f"*{session}.jsonl")
        wait_for(lambda: path.read_text().count('"task_complete"') == 2)
    lines = path.read_text().splitlines(keepends=True)
    starts = [n for n, text in enumerate(lines) if '"task_started"' in text]
    head, turn = "".join(lines[: starts[1]]), "".join(lines[starts[1] :])
    return Recording(session, head, turn, bool(ORDINAL.search(head)))

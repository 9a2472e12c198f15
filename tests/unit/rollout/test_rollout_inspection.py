"""What is wrong with files: told for one, for all, and repaired by adding."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.rollout_files import SESSION_ID, by_path, header, lines_of, user, write_session

from codex_rpc.protocol.checkup import Inspection
from codex_rpc.protocol.errors import InvalidState, RolloutInUse, RolloutNotFound
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import Damage
from codex_rpc.rollout.paths import live_path
from codex_rpc.rollout.store import RolloutStore

ENVELOPED = {"type": "session_meta", "payload": {"id": SESSION_ID, "cwd": "/w"}}


@pytest.fixture
def path(home: Path) -> Path:
    return home / f"sessions/2026/rollout-x-{SESSION_ID}.jsonl"


def says(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def calls(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "name": "shell", "call_id": call_id, "arguments": "{}"}


def answers(call_id: str, output: str = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def appended(inspection: Inspection) -> Sequence[Any]:
    return [json.loads(line) for line in inspection.appends.splitlines() if line]


async def test_a_whole_file_needs_nothing(store: RolloutStore, path: Path) -> None:
    write_session(path, says("hi"), calls("a"), answers("a"))
    found = await store.inspect(SESSION_ID)
    assert found == Inspection(
        session_id=SESSION_ID,
        path=str(path),
        origin="codex-rpc",
        item_count=3,
        damage=[],
        mended=[],
        open_calls=[],
        appends="",
    )
    assert found.is_whole
    before = path.read_bytes()
    await store.repair(SESSION_ID)
    assert path.read_bytes() == before


async def test_a_torn_tail_and_open_calls_are_answered_in_one_repair(
    store: RolloutStore, path: Path
) -> None:
    write_session(path, calls("a"), calls("b"), answers("a"), b'{"type":"mess')
    before = path.read_bytes()
    found = await store.inspect(SESSION_ID)
    assert found.damage == [Damage(5, 13, "the last line is unfinished")]
    assert found.open_calls == ["b"]
    assert [line.get("line") or line["output"] for line in appended(found)] == [5, "aborted"]
    assert path.read_bytes() == before

    await store.repair(SESSION_ID)
    assert path.read_bytes() == before + found.appends.encode()
    after = await store.inspect(SESSION_ID)
    assert (after.is_whole, after.mended, after.appends) == (True, [5], "")


@pytest.mark.parametrize(
    ("tail", "appends"),
    [
        (json.dumps(says("hi")).encode(), "\n"),
        (
            b"{",
            (
                '\n{"record_type":"damaged","line":2,"bytes":1,'
                '"reason":"the last line is unfinished"}\n'
            ),
        ),
    ],
)
async def test_a_tail_is_mended_even_if_nothing_else_is_to_be_added(
    store: RolloutStore, path: Path, tail: bytes, appends: str
) -> None:
    write_session(path, tail)
    before = path.read_bytes()
    assert (await store.inspect(SESSION_ID)).appends == appends
    await store.repair(SESSION_ID)
    assert path.read_bytes() == before + appends.encode()


async def test_going_on_adds_nothing_more_after_a_repair(store: RolloutStore, path: Path) -> None:
    write_session(path, calls("a"), b'{"')
    await store.repair(SESSION_ID)
    before = path.read_bytes()
    saved, log = await store.open(by_path(path), fsync="never")
    assert log is not None
    assert [item.kind for item in saved.items] == ["function_call", "function_call_output"]
    await log.append([user("on")])
    await log.close()
    assert path.read_bytes() == before + user("on").raw + b"\n"


async def test_lines_in_the_middle_are_told_by_number_and_stay(
    store: RolloutStore, path: Path
) -> None:
    write_session(path, says("one"), b"garbage\n", b"[]\n", says("two"))
    found = await store.inspect(SESSION_ID)
    assert [(damage.line_no, damage.byte_count) for damage in found.damage] == [(3, 7), (4, 2)]
    assert (found.item_count, found.appends, found.is_whole) == (2, "", False)


async def test_only_calls_after_the_last_compaction_are_answered(
    store: RolloutStore, path: Path
) -> None:
    marker = {"record_type": "compacted", "summary": "s", "replaces": 1, "line": 3}
    context = {"record_type": "context", "cwd": "/w"}
    lines = [calls("old"), marker, context, calls("new")]
    write_session(
        path, *(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    )
    assert (await store.inspect(SESSION_ID)).open_calls == ["new"]


async def test_a_large_part_that_is_gone_or_another_one_is_damage(
    store: RolloutStore, home: Path
) -> None:
    image = "data:image/png;base64," + "A" * 50_000
    value = {"type": "message", "role": "user", "content": [{"type": "i", "image_url": image}]}
    log = await store.create(header(home), [Item.from_value(value)], fsync="never")
    await log.close()
    assert (await store.inspect(SESSION_ID)).is_whole
    (blob,) = (p for p in (home / "sessions/blobs").rglob("*") if p.is_file())
    blob.write_text("another")
    (damage,) = (await store.inspect(SESSION_ID)).damage
    assert (damage.line_no, "not what was stored" in damage.reason) == (3, True)
    blob.unlink()
    (damage,) = (await store.inspect(SESSION_ID)).damage
    assert "cannot be read" in damage.reason


async def test_another_programs_file_is_told_of_and_never_changed(
    store: RolloutStore, path: Path
) -> None:
    call = {"timestamp": "t", "type": "response_item", "payload": calls("a")}
    write_session(path, call, b"garbage\n", b'{"torn', **ENVELOPED)
    before = path.read_bytes()
    found = await store.inspect(SESSION_ID)
    assert [damage.line_no for damage in found.damage] == [3, 4]
    assert (found.origin, found.appends) == ("codex", "")
    with pytest.raises(InvalidState):
        await store.repair(SESSION_ID)
    assert path.read_bytes() == before


async def test_what_cannot_be_read_is_an_answer_and_what_is_not_there_is_none(
    store: RolloutStore, path: Path
) -> None:
    write_session(path).write_bytes(b"garbage\n")
    found = await store.inspect(SESSION_ID)
    assert (found.reason, found.is_whole) == ("its first line is no session header", False)
    with pytest.raises(RolloutNotFound):
        await store.inspect("00000000-0000-4000-8000-000000000000")


async def test_the_end_of_a_session_that_is_open_is_no_damage(
    store: RolloutStore, home: Path, path: Path
) -> None:
    write_session(path, calls("a"), b'{"')
    note(home, SESSION_ID, os.getpid())
    found = await store.inspect(SESSION_ID)
    assert (found.live, found.is_whole, found.appends) == (True, True, "")


async def test_a_session_that_is_held_is_not_repaired(store: RolloutStore, path: Path) -> None:
    write_session(path, b'{"')
    other = RolloutStore(path.parents[2], version="1")
    _, log = await other.open(by_path(path), fsync="never")
    assert log is not None
    try:
        with pytest.raises(RolloutInUse):
            await store.repair(SESSION_ID)
    finally:
        await log.close()


async def test_a_session_is_found_by_its_id_though_its_file_is_called_otherwise(
    store: RolloutStore, home: Path
) -> None:
    path = write_session(home / "sessions/mine.jsonl", says("hi"))
    assert (await store.inspect(SESSION_ID)).path == str(path)
    await store.rename(SESSION_ID, "T")
    assert lines_of(path)[-1]["title"] == "T"
    (file,) = await store.files()
    assert (file.session_id, file.path, file.archived) == (SESSION_ID, str(path), False)


def note(home: Path, session_id: str, pid: int, host: str | None = None) -> Path:
    path = live_path(home, SessionId(session_id))
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps({"pid": pid, "host": host or socket.gethostname()}))
    return path


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


async def test_a_checkup_tells_of_everything_that_is_there(store: RolloutStore, home: Path) -> None:
    def add(number: int, *lines: Any, folder: str = "sessions", **head: Any) -> Path:
        path = home / folder / f"rollout-x-{uuid(number)}.jsonl"
        return write_session(path, *lines, **{"format": 1, **head, "id": uuid(number)})

    add(1, says("fine"))
    add(2, says("hi"), b"garbage\n", {"record_type": "turn", "status": "started"})
    add(3).write_bytes(b"")
    add(4, calls("a"), folder="archived_sessions")
    write_session(home / "sessions/old.jsonl", says("x"), id=uuid(5), instructions=None)
    (home / f"sessions/rollout-x-{uuid(6)}.jsonl").symlink_to("nowhere")
    stale = note(home, uuid(9), 2**22 + 1)
    note(home, uuid(1), os.getpid())
    blob = home / "sessions/blobs/ab" / ("ab" + "0" * 62)
    blob.parent.mkdir(parents=True)
    blob.write_text("nobody's")
    os.utime(blob, (1, 1))

    told: list[tuple[int, int]] = []
    checkup = await store.examine(lambda done, total: told.append((done, total)))
    assert told[-1] == (6, 6)
    assert checkup.origins == {"codex-rpc": 3, "codex": 1}
    assert checkup.statuses == {"clean": 3, "interrupted": 1, "unreadable": 2}
    assert (checkup.archived, checkup.live, checkup.blob_count) == (1, 1, 1)
    told_of = {i.session_id[-1]: (i.is_whole, bool(i.appends)) for i in checkup.inspections}
    assert told_of == {
        "2": (False, False),
        "3": (False, False),
        "4": (True, True),
        "6": (False, False),
    }
    assert checkup.stale_notes == [str(stale)]
    # While some cannot be read, nobody knows what they refer to.
    assert checkup.unreferenced_blobs is None
    assert checkup.locks is None
    assert not checkup.is_healthy

    for number in (2, 3, 6):
        (home / f"sessions/rollout-x-{uuid(number)}.jsonl").unlink()
    checkup = await store.examine()
    assert checkup.unreferenced_blobs == [str(blob)]
    assert checkup.is_healthy


async def test_where_there_is_nothing_a_checkup_is_fine(store: RolloutStore) -> None:
    checkup = await store.examine()
    assert (checkup.statuses, checkup.inspections, checkup.is_healthy) == ({}, [], True)


async def test_what_a_session_refers_to_is_not_unreferenced(
    store: RolloutStore, home: Path
) -> None:
    image = "data:image/png;base64," + "A" * 50_000
    value = {"type": "message", "role": "user", "content": [{"type": "i", "image_url": image}]}
    log = await store.create(header(home), [Item.from_value(value)], fsync="never")
    await log.close()
    (blob,) = (p for p in (home / "sessions/blobs").rglob("*") if p.is_file())
    os.utime(blob, (1, 1))
    checkup = await store.examine()
    assert (checkup.unreferenced_blobs, checkup.blob_count) == ([], 1)

"""Disks that fill up and folders that go away, under the real server; and files that are no
session files, or were."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.client import Client, RpcError, running
from support.conversation import (
    call_events,
    conversation_of,
    text_events,
    text_of,
    write_config,
)
from support.model_server import ModelServer
from support.saved import items_of, kinds_of, records_of
from support.small_disk import make_read_only, small_disk

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits another process's files")
PLACES = 16


def script() -> dict[str, Any]:
    """A turn with a call, and a compaction."""
    return {
        "responses": [
            text_events(1, "Hello."),
            call_events(2, ["sh", "-c", "echo ran >> ran.txt; echo one"]),
            text_events(3, "Ran."),
            text_events(4, "SUMMARY of it."),
            text_events(5, "And on."),
        ]
    }


async def refused(client: Client, method: str, params: dict[str, Any]) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await client.request(method, params)
    return caught.value


async def talk(client: Client, session_id: str) -> None:
    """What the script answers, after its first turn."""
    await client.turn(session_id, "run something")
    start = len(client.received)
    submission = await client.submit(session_id, {"type": "compact"})
    await client.wait_for(
        lambda m: (
            m.get("params", {}).get("id") == submission
            and m["params"]["msg"]["type"] == "task_complete"
        ),
        start=start,
    )
    await client.turn(session_id, "and on")


def plain(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records without what is another in each run: times, ids, folders."""
    chance = ("id", "timestamp", "submission_id", "cwd", "git", "output")
    return [{k: v for k, v in record.items() if k not in chance} for record in records]


@LINUX
@pytest.mark.timeout(120)
async def test_wherever_in_a_file_the_disk_is_full_all_is_written_once_there_is_room(
    tmp_path: Path,
) -> None:
    expected, start, end = await fill_up(tmp_path / "whole", None)
    places = [start + (end - start) * n // PLACES for n in range(PLACES)]
    at_once = anyio.Semaphore(3)

    async def one(size: int) -> None:
        async with at_once:
            records, _, _ = await fill_up(tmp_path / str(size), size)
            assert plain(records) == plain(expected), f"full at {size} of {end} bytes"

    async with anyio.create_task_group() as tg:
        for size in places:
            tg.start_soon(one, size)


async def fill_up(home: Path, size: int | None) -> tuple[list[dict[str, Any]], int, int]:
    """A conversation whose file can grow to `size` for a while; its records in the end, and
    where in the file the conversation begins and ends."""
    home.mkdir()
    async with ModelServer(script()) as model:
        write_config(home, model.url)
        async with running(home, timeout_s=30) as client:
            session = await client.request("session/configure", {"cwd": str(home)})
            session_id, path = session["sessionId"], Path(session["rolloutPath"])
            await client.turn(session_id, "hello")
            begins = path.stat().st_size
            pid = client.process.pid
            unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            async with anyio.create_task_group() as tg:
                if size is not None:
                    # Those who write are refused, in the middle of a record too.
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, unlimited[1]))
                tg.start_soon(talk, client, session_id)
                if size is not None:
                    at, failed = await client.wait_event("storage_failed")
                    assert failed["msg"]["code"] == 1006
                    assert path.stat().st_size <= size
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
                    until, _ = await client.wait_event("storage_recovered", start=at)
            if size is not None:
                said = client.received[at + 1 : until]
                events = [m["params"] for m in said if m.get("method") == "session/event"]
                assert all(event["unsaved"] for event in events)
                begun = {"exec_command_begin", "patch_apply_begin"}
                assert not begun & {event["msg"]["type"] for event in events}
            assert await client.close_stdin() == 0
        ends = path.stat().st_size
        assert (home / "ran.txt").read_text() == "ran\n"
    return records_of(path), begins, ends


@pytest.mark.timeout(60)
async def test_on_a_disk_that_is_really_full_the_session_is_kept_and_can_be_carried_off(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 256) as home:
        async with ModelServer({"default": text_events(1, "Hello.")}) as model:
            write_config(home, model.url)
            async with running(home) as client:
                session = await client.request("session/configure", {"cwd": str(tmp_path)})
                session_id, path = session["sessionId"], Path(session["rolloutPath"])
                await client.turn(session_id, "first")
                saved = path.read_bytes()
                ballast = home / "ballast"
                fill(ballast)
                big = "a long text " * 1000
                await client.say(session_id, big)
                await client.wait_event("storage_failed")
                error = await refused(client, "session/close", {"sessionId": session_id})
                assert error.code == 1006
                # Nor can a new one begin.
                error = await refused(client, "session/configure", {"cwd": str(tmp_path)})
                assert error.code == 1006
                (row,) = (await client.request("session/list", {}))["sessions"]
                assert row["live"]
                target = tmp_path / "export.md"
                params = {"sessionId": session_id, "format": "markdown", "path": str(target)}
                await client.request("session/export", params)
                assert big.strip() in target.read_text()
                assert path.read_bytes().startswith(saved)
                ballast.unlink()
                await client.wait_event("storage_recovered")
                await client.wait_event("task_complete")
                await client.turn(session_id, "third")
                assert await client.close_stdin() == 0
        texts = [text_of(r) for r in records_of(path) if r.get("role") == "user"]
        assert texts == ["first", big, "third"]


def fill(path: Path) -> None:
    """Write until nothing goes any more."""
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


@pytest.mark.timeout(60)
async def test_a_disk_that_cannot_be_written_is_read_and_says_so(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256) as home:
        async with ModelServer({"default": text_events(1, "Hello.")}) as model:
            write_config(home, model.url)
            async with running(home) as client:
                session = await client.request("session/configure", {"cwd": str(tmp_path)})
                this = {"sessionId": session["sessionId"]}
                await client.turn(this["sessionId"], "first")
                assert await client.close_stdin() == 0
            make_read_only(home)
            async with running(home) as client:
                (row,) = (await client.request("session/list", {}))["sessions"]
                assert row["status"] == "clean"
                assert len(await items_of(client, this["sessionId"])) == 2
                result = await client.request("session/export", {**this, "format": "markdown"})
                assert "first" in result["text"]
                for method, more in (
                    ("session/resume", {}),
                    ("session/fork", {}),
                    ("session/rename", {"title": "x"}),
                    ("session/archive", {}),
                    ("session/delete", {}),
                ):
                    error = await refused(client, method, {**this, **more})
                    assert error.code == 1006, method


async def test_a_folder_that_goes_away_is_said_and_what_was_said_can_be_carried_off(
    tmp_path: Path,
) -> None:
    async with ModelServer({"default": text_events(1, "Hello.")}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            session_id = session["sessionId"]
            await client.turn(session_id, "first")
            sessions = tmp_path / ".codex" / "sessions"
            sessions.rename(tmp_path / "elsewhere")
            await client.say(session_id, "second")
            _, failed = await client.wait_event("storage_failed")
            assert failed["msg"]["code"] == 1006
            error = await refused(client, "session/close", {"sessionId": session_id})
            assert error.code == 1006
            params = {"sessionId": session_id, "format": "markdown"}
            result = await client.request("session/export", params)
            assert "second" in result["text"]
            shutil.rmtree(sessions, ignore_errors=True)
            (tmp_path / "elsewhere").rename(sessions)
            await client.wait_event("storage_recovered")
            await client.wait_event("task_complete")
            assert await client.close_stdin() == 0
    texts = [text_of(r) for r in records_of(session["rolloutPath"]) if r.get("role") == "user"]
    assert texts == ["first", "second"]


async def test_what_another_program_does_to_a_live_file_costs_no_record(tmp_path: Path) -> None:
    responses = [text_events(n, f"answer {n}") for n in range(1, 5)]
    async with ModelServer({"responses": responses}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client, running(tmp_path) as reader:
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            session_id, path = session["sessionId"], Path(session["rolloutPath"])
            await client.turn(session_id, "one")
            append(path, b'{"half a line')
            # Half a line is how a file looks to those who read it while it grows.
            assert len(await items_of(reader, session_id)) == 2
            await client.turn(session_id, "two")
            assert len(await items_of(reader, session_id)) == 4
            page = await reader.request("session/read", {"sessionId": session_id})
            assert [damage["bytes"] for damage in page["damage"]] == [13]
            os.truncate(path, path.stat().st_size - 20)
            await client.say(session_id, "three")
            await client.wait_event("storage_failed")
            error = await refused(client, "session/close", {"sessionId": session_id})
            assert error.code == 1006
            fork = await reader.request("session/fork", {"sessionId": session_id})
            assert fork["itemCount"] >= 3
            await client.request("session/close", {"sessionId": session_id, "discard": True})
            resumed = await reader.request("session/resume", {"sessionId": session_id})
            await reader.turn(resumed["sessionId"], "four")
    said = [text_of(i) for i in conversation_of(model.requests[-1]) if i.get("role") == "user"]
    assert said == ["one", "two", "four"]
    assert kinds_of([json.loads(x) for x in whole_lines(path)])[-1] == "turn"


def append(path: Path, data: bytes) -> None:
    """What a program does that knows nothing of locks."""
    with path.open("ab") as file:
        file.write(data)


def whole_lines(path: Path) -> list[bytes]:
    """The lines that are JSON."""

    def is_json(line: bytes) -> bool:
        try:
            json.loads(line)
        except ValueError:
            return False
        return True

    return [line for line in path.read_bytes().splitlines() if is_json(line)]


async def test_what_is_no_session_is_listed_with_its_reason_and_left_as_it_is(
    tmp_path: Path,
) -> None:
    folder = tmp_path / ".codex" / "sessions" / "2026" / "11" / "22"
    folder.mkdir(parents=True)
    ids = [f"00000000-0000-4000-8000-{n:012}" for n in range(8)]
    head = {"timestamp": "2026-11-22T10:00:00.000Z", "instructions": None}
    contents = {
        "empty": b"",
        "binary": os.urandom(5000),
        "no header": b'{"type":"message"}\n',
        "newer": json.dumps({"id": ids[3], **head, "format": 99}).encode() + b"\n",
        "zeros": bytes(4096),
    }
    paths = {}
    for (name, content), session_id in zip(contents.items(), ids, strict=False):
        paths[name] = folder / f"rollout-2026-11-22T10-00-00-{session_id}.jsonl"
        paths[name].write_bytes(content)
    (folder / f"rollout-2026-11-22T10-00-00-{ids[5]}.jsonl").mkdir()
    (folder / f"rollout-2026-11-22T10-00-00-{ids[6]}.jsonl").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / f"rollout-2026-11-22T10-00-00-{ids[7]}.jsonl")
    async with ModelServer({"default": text_events(1, "Hello.")}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            rows = (await client.request("session/list", {}))["sessions"]
            assert {row["status"] for row in rows} == {"unreadable"}
            assert all(row["reason"] for row in rows)
            assert {Path(row["path"]) for row in rows} >= set(paths.values())
            for session_id in ids:
                for method in ("session/resume", "session/read", "session/fork"):
                    error = await refused(client, method, {"sessionId": session_id})
                    assert error.code in (1001, 1003), method
            for path in paths.values():
                error = await refused(client, "session/resume", {"path": str(path)})
                assert error.code == 1003
                assert error.data["reason"]
            error = await refused(client, "session/resume", {"last": True})
            assert error.code == 1001
            # A good one beside them works as ever.
            session = await client.request("session/configure", {"cwd": str(tmp_path)})
            await client.turn(session["sessionId"], "hello")
    assert {name: path.read_bytes() for name, path in paths.items()} == contents

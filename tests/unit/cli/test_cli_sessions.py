"""What people say and read of saved sessions: ids, moments, tables, conversations, progress."""

from __future__ import annotations

import os
import pty
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from anyio import fail_after, wait_readable
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from support.rollout_files import write_session

from codex_rpc.cli import scan_progress
from codex_rpc.cli.quantities import counted, relative, size
from codex_rpc.cli.scan_progress import Scan, shown_scan
from codex_rpc.cli.session_ids import ShortIds, session_id_of
from codex_rpc.cli.session_table import left_out, session_table
from codex_rpc.cli.transcript import Transcript
from codex_rpc.protocol.errors import RolloutNotFound
from codex_rpc.protocol.records import SessionPage, SessionSummary
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.rpc.stdio import writer_for

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=2)))


def drawn(*renderables: RenderableType, columns: int = 100) -> str:
    out = StringIO()
    console = Console(file=out, width=columns, markup=False, highlight=False, emoji=False)
    for renderable in renderables:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=11, minutes=59), "11 h ago"),
        (timedelta(hours=13), "yesterday"),
        (timedelta(hours=35), "yesterday"),
        (timedelta(hours=37), "2 days ago"),
        (timedelta(days=14), "14 days ago"),
        (timedelta(days=15), "2026-11-07"),
        (timedelta(seconds=-3), "just now"),
        (timedelta(hours=-1), "2026-11-22 13:00"),
    ],
)
def test_moments_are_told_as_people_say_them(ago: timedelta, said: str) -> None:
    assert relative((NOW - ago).astimezone(UTC), NOW) == said


def test_after_midnight_the_last_hours_are_still_hours() -> None:
    now = NOW.replace(hour=0, minute=30)
    assert relative(now - timedelta(hours=1), now) == "1 h ago"
    assert relative(now - timedelta(hours=9), now) == "yesterday"


def test_sizes_and_counts_are_told_as_people_say_them() -> None:
    assert [size(n) for n in (0, 1023, 1536, 20 << 10, 3 << 20, 5 << 40)] == [
        *("0 B", "1023 B", "1.5 KiB", "20 KiB", "3.0 MiB", "5120 GiB")
    ]
    assert [counted(n, "file") for n in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]


# Ids.

uuids = st.lists(st.uuids() | st.integers(0, 2**20).map(lambda n: UUID(int=n << 60)), max_size=20)


@settings(deadline=None)
@given(uuids)
def test_a_short_id_is_the_beginning_of_one_id_only(ids: list[UUID]) -> None:
    texts = [str(session_id) for session_id in ids]
    short = ShortIds(texts)
    for text in texts:
        found = {other for other in texts if other.startswith(short.short(text))}
        assert found == {text}
        assert len(short.short(text)) >= 8
        assert not short.short(text).endswith("-")


def test_what_is_no_known_id_is_not_cut() -> None:
    assert ShortIds([]).short("my-own-name-of-a-file") == "my-own-name-of-a-file"


def uuid(number: int) -> str:
    return f"{number:08}-0000-4000-8000-000000000000"


@pytest.fixture
def store(tmp_path: Path) -> RolloutStore:
    for number, mtime in ((12345678, 3), (12399999, 2), (22222222, 4)):
        path = tmp_path / f"sessions/rollout-x-{uuid(number)}.jsonl"
        write_session(path, id=uuid(number), format=1)
        os.utime(path, (mtime, mtime))
    (tmp_path / f"sessions/rollout-x-{uuid(22222222)}.jsonl").write_bytes(b"")
    path = tmp_path / f"archived_sessions/rollout-x-{uuid(33333333)}.jsonl"
    write_session(path, id=uuid(33333333), format=1)
    return RolloutStore(tmp_path, version="1")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("1234", 12345678),
        ("12399999-0000", 12399999),
        (uuid(12345678).upper(), 12345678),
        ("3", 33333333),
        ("last", 12345678),
    ],
)
async def test_a_session_is_named_by_a_beginning_or_as_the_last(
    store: RolloutStore, said: str, meant: int
) -> None:
    assert await session_id_of(store, said) == uuid(meant)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("123", "123 is the beginning of 2 ids: 12345678, 12399999"),
        ("9", "there is no session '9'"),
        ("", "there is no session ''"),
    ],
)
async def test_what_means_no_session_or_several_is_refused(
    store: RolloutStore, said: str, answer: str
) -> None:
    with pytest.raises(RolloutNotFound) as caught:
        await session_id_of(store, said)
    assert answer in caught.value.message


async def test_without_sessions_there_is_no_last_one(tmp_path: Path) -> None:
    with pytest.raises(RolloutNotFound):
        await session_id_of(RolloutStore(tmp_path, version="1"), "last")


# Tables.


def summary(**members: Any) -> SessionSummary:
    given = {
        "session_id": uuid(1),
        "path": "/x",
        "title": "Fix the tests",
        "preview": "",
        "cwd": "/src/project",
        "model": None,
        "model_provider": None,
        "created_at": "2026-11-22T09:57:00.000Z",
        "updated_at": "2026-11-22T09:57:00.000Z",
        "item_count": 1234,
        "size_bytes": 2048,
        "status": "clean",
        "live": False,
        "archived": False,
        "origin": "codex-rpc",
    }
    return SessionSummary(**{**given, **members})


def table(*sessions: SessionSummary, columns: int = 100, with_folder: bool = True) -> str:
    ids = ShortIds(session.session_id for session in sessions)
    drawing = session_table(sessions, ids, now=NOW, columns=columns, with_folder=with_folder)
    return drawn(drawing, columns=columns)


def test_a_row_has_what_there_is_room_for() -> None:
    wide = table(summary()).splitlines()[1]
    assert wide.split() == [
        *("00000001", "3", "min", "ago", "Fix", "the", "tests"),
        *("/src/project", "1,234", "2.0", "KiB"),
    ]
    assert "1,234" not in table(summary(), columns=80)
    assert "/src" not in table(summary(), columns=60)
    assert "/src" not in table(summary(), with_folder=False)


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("title", ["word " * 40, "日志" * 60, "x" * 300, ""])
def test_a_table_is_never_wider_than_the_screen_and_a_row_is_one_line(
    columns: int, title: str
) -> None:
    sessions = [summary(title=title, cwd="/very/long" * 20), summary(title="short")]
    lines = table(*sessions, columns=columns).splitlines()
    assert len(lines) == 3
    assert all(Console(width=500).measure(line).maximum <= columns for line in lines)


def test_what_is_not_as_usual_is_said_before_the_title() -> None:
    text = table(
        summary(status="interrupted"),
        summary(live=True),
        summary(status="unreadable", reason="it is empty", title="x.jsonl"),
        columns=200,
    )
    for said in ("interrupted: Fix", "open: Fix", "unreadable: it is empty (x.jsonl)"):
        assert said in text


def test_nothing_in_a_title_reaches_the_terminal_but_text() -> None:
    text = table(summary(title="a\x1b[2Jb\x07", cwd="/\x1b]0;x", excerpt="\x1b[31m"))
    assert "\x1b" not in text
    assert "\x07" not in text


def test_where_words_were_found_is_below_the_title() -> None:
    lines = table(summary(excerpt="around the needle")).splitlines()
    assert lines[2].strip() == "around the needle"
    assert lines[2].index("around") == lines[1].index("Fix")


def test_what_was_left_out_is_said_in_words() -> None:
    counts = {"cwd": 1, "query": 2, "archived": 3, "unreadableFolders": 1}
    page = SessionPage(sessions=[], filtered_out=counts, next_cursor="x")
    assert left_out(page, archived=False) == (
        "there are more (--limit N); left out: 1 session of other folders, 2 sessions without "
        "these words, 3 archived (--archived), 1 folder that cannot be read"
    )
    assert left_out(SessionPage(sessions=[], filtered_out={"cwd": 0}), archived=False) == ""


# Conversations.


def says(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "text", "text": text}]}


def calls(call_id: str, command: list[str]) -> dict[str, Any]:
    arguments = '{"command": ["' + '", "'.join(command) + '"]}'
    return {"type": "function_call", "name": "shell", "call_id": call_id, "arguments": arguments}


def answers(call_id: str, output: str, exit_code: int = 0) -> dict[str, Any]:
    import json

    text = json.dumps({"output": output, "metadata": {"exit_code": exit_code}})
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def conversation(*items: dict[str, Any], full: bool = False, columns: int = 60) -> str:
    transcript = Transcript(full=full)
    renderables = [line for item in items for line in transcript.take(item)]
    return drawn(*renderables, *transcript.end(), columns=columns)


def test_a_command_is_one_line_with_what_became_of_it() -> None:
    assert conversation(
        says("user", "Fix it"),
        calls("a", ["bash", "-lc", "make test"]),
        calls("b", ["ls"]),
        answers("b", "x\n"),
        answers("a", "one\ntwo\n", 2),
        says("assistant", "Done."),
        calls("c", ["true"]),
    ) == (
        "> Fix it\n\n"
        "  $ ls   exit 0, 1 line\n"
        "  $ make test   exit 2, 2 lines\n\n"
        "Done.\n\n"
        "  $ true   no output"
    )


def test_outputs_and_thoughts_are_shown_when_everything_is_asked_for() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    items = [thought, calls("a", ["ls"]), answers("a", "\x1b[31mred\x1b[0m\nmore\n")]
    assert "Hm." not in conversation(*items)
    assert "red" not in conversation(*items)
    full = conversation(*items, full=True)
    assert "Hm." in full
    assert "    red\n    more" in full
    assert "\x1b" not in full


def test_long_and_multi_line_commands_are_cut_unless_all_is_asked_for() -> None:
    script = "cat <<X\\nsecond line"
    items = [calls("a", ["bash", "-lc", script]), answers("a", "")]
    assert "$ cat <<X …   exit 0, no output" in conversation(*items)
    assert "second line" in conversation(*items, full=True)


def test_texts_are_wrapped_for_the_screen_and_cannot_move_the_cursor() -> None:
    text = conversation(says("user", "word " * 30 + "\x1b[2J"), columns=40)
    assert all(len(line) <= 40 for line in text.splitlines())
    assert all(line.startswith(("> ", "  ")) for line in text.splitlines())
    assert "\x1b" not in text


def test_images_patches_plans_and_unknown_items_are_named() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    patch = "*** Begin Patch\n*** Update File: a.py\n-x\n+y\n+z\n*** End Patch"
    plan = '{"plan": [{"step": "think", "status": "completed"}]}'
    text = conversation(
        {"type": "message", "role": "user", "content": [image]},
        {"type": "custom_tool_call", "name": "apply_patch", "call_id": "p", "input": patch},
        {"type": "function_call", "name": "update_plan", "call_id": "q", "arguments": plan},
        {"type": "invented"},
        full=True,
    )
    for said in ("[image]", "edit a.py +2 -1", "[x] think", "(invented)"):
        assert said in text


# Progress.


def test_a_bar_says_how_far_a_scan_is() -> None:
    scan = Scan()
    assert scan.bar == ""
    scan(500, 2000)
    assert scan.bar == "██████░░░░░░░░░░░░░░░░░░ 500 of 2,000 files"


async def test_a_scan_is_shown_on_a_terminal_and_leaves_nothing_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scan_progress, "PATIENCE_S", 0)
    monkeypatch.setenv("TERM", "xterm")
    master, slave = pty.openpty()
    try:
        shown = b""
        with fail_after(5):
            async with shown_scan(writer_for(os.dup(slave)), slave) as scan:
                scan(1, 2)
                while b"1 of 2 files" not in shown:
                    await wait_readable(master)
                    shown += os.read(master, 4096)
            while not shown.endswith(b"\r\x1b[K"):
                await wait_readable(master)
                shown += os.read(master, 4096)
    finally:
        os.close(master)
        os.close(slave)


async def test_a_scan_is_not_shown_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_progress, "PATIENCE_S", 0)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    async with shown_scan(writer_for(os.dup(writing)), writing) as scan:
        scan(1, 2)
    os.close(writing)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    os.close(reading)

"""Listing session files: rows, filters, order and pages."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from support.rollout_files import Gate, opened, write_session

from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.records import SessionPage, SessionQuery, SessionSummary
from codex_rpc.rollout.catalog import list_sessions
from codex_rpc.rollout.paths import live_path
from codex_rpc.rollout.store import RolloutStore


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def add(
    home: Path, number: int, *lines: Any, mtime: float = 0, folder: str = "sessions", **head: Any
) -> Path:
    """A session file of the id with `number`, last changed at `mtime` (0: at `number`)."""
    path = home / folder / f"2026/11/22/rollout-2026-11-22T10-00-00-{uuid(number)}.jsonl"
    write_session(path, *lines, **{"format": 1, "cwd": "/w", **head, "id": uuid(number)})
    os.utime(path, (mtime or number, mtime or number))
    return path


def says(text: str, role: str = "user", **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": role, "content": content, **more}


def listed(home: Path, live: set[str] = frozenset(), **query: Any) -> SessionPage:  # type: ignore[assignment]
    return list_sessions(home, SessionQuery(**query), live=live)


def numbers(page: SessionPage) -> list[int]:
    return [int(row.session_id[-12:]) for row in page.sessions]


def only(page: SessionPage) -> SessionSummary:
    (row,) = page.sessions
    return row


def test_without_a_folder_there_are_no_sessions(home: Path) -> None:
    assert listed(home) == SessionPage(sessions=[], filtered_out={}, next_cursor=None)


def test_a_row_tells_what_the_file_says_last(home: Path) -> None:
    path = add(
        home,
        1,
        {"record_type": "context", "cwd": "/a", "model": "m1", "model_provider": "p1"},
        says("You are", role="developer"),
        says("  Fix the \n tests  please "),
        {"type": "function_call", "call_id": "c", "arguments": "{}"},
        {"record_type": "context", "cwd": "/b", "model": "m2", "model_provider": "p2"},
        says("second"),
        timestamp="2026-11-22T16:29:43.832Z",
        mtime=86_400.5,
    )
    assert only(listed(home)) == SessionSummary(
        session_id=uuid(1),
        path=str(path),
        title="Fix the tests please",
        preview="Fix the tests please",
        cwd="/b",
        model="m2",
        model_provider="p2",
        created_at="2026-11-22T16:29:43.832Z",
        updated_at="1970-01-02T00:00:00.500Z",
        item_count=4,
        size_bytes=path.stat().st_size,
        status="clean",
        live=False,
        archived=False,
        origin="codex-rpc",
    )


def test_a_session_is_called_by_what_was_said_not_by_what_was_pointed_at(home: Path) -> None:
    file = '<file path="a.py">\nx = 1\n</file>'
    selection = '<selection path="a.py" lines="1-1">\nx = 1\n</selection>'
    parts = [{"type": "input_text", "text": t} for t in (file, selection, "Why?")]
    add(home, 1, {"type": "message", "role": "user", "content": parts})
    add(home, 2, {"type": "message", "role": "user", "content": parts[:1]})
    silent, asked = listed(home).sessions
    assert (asked.title, asked.preview) == ("Why?", "Why?")
    assert silent.title == '<file path="a.py"> x = 1 </file>'


def test_a_title_wins_over_the_first_text_and_long_ones_are_cut(home: Path) -> None:
    text = "word " * 100
    add(home, 1, says(text))
    add(home, 2, says(text), {"record_type": "title", "title": "Named"})
    named, cut = listed(home).sessions
    assert (named.title, len(named.preview)) == ("Named", 200)
    assert (len(cut.title), cut.title[-6:]) == (80, " word…")


@pytest.mark.parametrize(
    ("statuses", "status"),
    [([], "clean"), (["started"], "interrupted"), (["started", "completed"], "clean")],
)
def test_a_turn_without_its_end_is_shown(home: Path, statuses: list[str], status: str) -> None:
    turns = [{"record_type": "turn", "submission_id": "1", "status": s} for s in statuses]
    add(home, 1, says("hi"), *turns)
    assert only(listed(home)).status == status
    live = only(listed(home, live={uuid(1)}))
    assert (live.live, live.status) == (True, "clean")


def test_a_file_without_format_is_of_the_codex_cli(home: Path) -> None:
    path = home / "sessions/x.jsonl"
    write_session(path, {"record_type": "state"}, says("hi"), instructions=None)
    row = only(listed(home))
    assert (row.origin, row.cwd, row.title, row.item_count) == ("codex", None, "hi", 1)


def test_what_cannot_be_read_is_listed_with_the_reason(home: Path) -> None:
    add(home, 1).write_bytes(b"")
    add(home, 2).write_text("garbage\n")
    add(home, 3, format=2)
    pipe = add(home, 4)
    pipe.unlink()
    os.mkfifo(pipe)
    link = add(home, 5)
    link.unlink()
    link.symlink_to("nowhere")
    rows = {int(row.session_id[-1]): row for row in listed(home).sessions}
    assert {row.status for row in rows.values()} == {"unreadable"}
    reasons = {number: row.reason or "" for number, row in rows.items()}
    for number, words in enumerate(["empty", "header", "upgrade", "regular", "nowhere"], start=1):
        assert words in reasons[number]
    assert rows[2].title == f"rollout-2026-11-22T10-00-00-{uuid(2)}.jsonl"


def test_files_at_any_depth_are_listed_but_linked_folders_are_not_entered(
    home: Path, tmp_path: Path
) -> None:
    add(home, 1)
    write_session(home / "sessions/top.jsonl", id=uuid(2))
    write_session(home / "sessions/a/b/c/d/deep.jsonl", id=uuid(3))
    write_session(tmp_path / "outside/x.jsonl", id=uuid(4))
    (home / "sessions/link").symlink_to(tmp_path / "outside")
    (home / "sessions/linked.jsonl").symlink_to(tmp_path / "outside/x.jsonl")
    (home / "sessions/note.json").write_text("{}")
    assert sorted(numbers(listed(home))) == [1, 2, 3, 4]


def test_archived_sessions_are_another_list(home: Path) -> None:
    add(home, 1)
    add(home, 2, folder="archived_sessions")
    page = listed(home)
    assert (numbers(page), page.filtered_out) == ([1], {"archived": 1})
    page = listed(home, archived=True)
    assert (numbers(page), page.filtered_out) == ([2], {"archived": 1})
    assert only(page).archived


def note(home: Path, number: int, pid: int, host: str) -> None:
    """What a process says that holds a session."""
    path = live_path(home, SessionId(uuid(number)))
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps({"pid": pid, "host": host}))


def test_what_another_process_holds_is_live_and_not_interrupted(home: Path) -> None:
    running = {"record_type": "turn", "submission_id": "1", "status": "started"}
    for number in (1, 2, 3):
        add(home, number, says("hi"), running)
    note(home, 1, os.getpid(), socket.gethostname())
    note(home, 2, 2**22 + 1, socket.gethostname())
    note(home, 3, 1, "another-host")
    rows = {int(row.session_id[-1]): (row.live, row.status) for row in listed(home).sessions}
    assert rows == {1: (True, "clean"), 2: (False, "interrupted"), 3: (True, "clean")}


def test_one_session_can_be_asked_for_whatever_its_file_is_called(home: Path) -> None:
    add(home, 1)
    add(home, 2)
    write_session(home / "sessions/x.jsonl", id=uuid(3))
    assert numbers(listed(home, session_id=uuid(2))) == [2]
    assert numbers(listed(home, session_id=uuid(3))) == [3]
    assert numbers(listed(home, session_id=uuid(4))) == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":"m1","type":"message","role":"user","content":"hi"}',
        b'{"type": "message", "role": "user", "content": "hi"}',
        b'{ "role":"user", "content":"hi", "type":"message" }',
    ],
)
def test_items_count_however_their_lines_begin(home: Path, line: bytes) -> None:
    add(home, 1, line + b"\n", line + b"\n", b'{"role": "user"}\n', b"\n", b"[1]\n", line)
    row = only(listed(home))
    assert (row.item_count, row.title) == (3, "hi")


def test_progress_is_told_for_every_file_that_is_looked_at(home: Path) -> None:
    for number in range(1, 4):
        add(home, number)
    told: list[tuple[int, int]] = []
    list_sessions(
        home,
        SessionQuery(query="x"),
        live=frozenset(),
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_name_that_is_no_utf8_does_not_break_the_list(home: Path) -> None:
    path = write_session(home / "sessions/x.jsonl")
    os.rename(path, os.fsencode(path.parent) + b"/\xff.jsonl")
    assert only(listed(home)).path.endswith("/\ufffd.jsonl")


class TestFilters:
    def test_by_folder(self, home: Path) -> None:
        add(home, 1, cwd="/a")
        add(home, 2, cwd="/a/b")
        add(home, 3).write_text("garbage\n")
        page = listed(home, cwd="/a")
        assert (numbers(page), page.filtered_out) == ([1], {"cwd": 2})

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("flaky", [1]),
            ("FLAKY tests", [1]),
            ("flaky parser", []),
            ("cargo", [2]),
            ("src/main.rs", [2]),
            ("pytest -q", [3]),
            ("prüfen", [4]),
            ("PRÜFEN straße", [4]),
            ('"hi"', [5]),
            ("back\\\\slash", [5]),
            ("the title", [5]),
            ("/somewhere", [6]),
            ("in-output", []),
            ("sessions", []),
            ("000000000004", [4]),
            ("", [6, 5, 4, 3, 2, 1]),
            ("  ", [6, 5, 4, 3, 2, 1]),
        ],
    )
    def test_by_words_in_messages_commands_titles_and_paths(
        self, home: Path, query: str, expected: list[int]
    ) -> None:
        output = {"type": "function_call_output", "call_id": "c", "output": "in-output"}
        add(home, 1, says("hello"), says("Fix the Flaky", role="assistant"), says("tests"), output)
        arguments = '{"command": ["cargo", "check", "src/main.rs"]}'
        add(home, 2, says("x"), {"type": "function_call", "call_id": "c", "arguments": arguments})
        action = {"type": "exec", "command": ["pytest", "-q"]}
        add(home, 3, says("x"), {"type": "local_shell_call", "call_id": "c", "action": action})
        escaped = b'{"type": "message", "role": "user", "content": "bitte PR\\u00dcFEN"}\n'
        add(home, 4, says("x"), escaped, says("STRASSE"))
        title = {"record_type": "title", "title": "The Title"}
        add(home, 5, says('Say "hi"'), says("back\\\\slash"), title)
        add(home, 6, cwd="/somewhere/else")
        page = listed(home, query=query)
        assert numbers(page) == expected
        assert page.filtered_out == ({"query": 6 - len(expected)} if query.strip() else {})

    def test_each_filter_counts_what_it_left_out(self, home: Path) -> None:
        add(home, 1, says("word"), cwd="/a")
        add(home, 2, says("other"), cwd="/a")
        add(home, 3, says("word"), cwd="/b")
        page = listed(home, cwd="/a", query="word", limit=1)
        assert (numbers(page), page.filtered_out) == ([1], {"cwd": 1, "query": 1})


class TestOrderAndPages:
    def test_by_time_of_change_or_of_creation_the_latest_first(self, home: Path) -> None:
        add(home, 1, timestamp="2026-11-22T10:00:00.000Z", mtime=300)
        add(home, 2, timestamp="2026-11-22T12:00:00+01:00", mtime=200)
        add(home, 3, timestamp="2026-11-22T09:00:00.000Z", mtime=400)
        assert numbers(listed(home)) == [3, 1, 2]
        assert numbers(listed(home, sort="created")) == [2, 1, 3]

    @pytest.mark.parametrize("sort", ["updated", "created"])
    @pytest.mark.parametrize("query", [{}, {"cwd": "/w"}, {"query": "hi"}])
    @pytest.mark.parametrize("limit", [1, 3, 7, 50])
    def test_every_session_is_on_exactly_one_page_even_if_all_are_of_one_moment(
        self, home: Path, sort: str, query: dict[str, str], limit: int
    ) -> None:
        for number in range(1, 8):
            add(home, number, says("hi"), mtime=1_000, timestamp="2026-11-22T10:00:00.000Z")
        seen: list[int] = []
        cursor: str | None = None
        while True:
            page = listed(home, sort=sort, limit=limit, cursor=cursor, **query)
            assert 0 < len(page.sessions) <= limit
            seen += numbers(page)
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == [1, 2, 3, 4, 5, 6, 7]

    def test_a_session_that_came_meanwhile_moves_nothing_on_the_next_page(self, home: Path) -> None:
        for number in range(1, 5):
            add(home, number)
        first = listed(home, limit=2)
        add(home, 9)
        assert numbers(first) == [4, 3]
        assert numbers(listed(home, limit=2, cursor=first.next_cursor)) == [2, 1]

    @pytest.mark.parametrize("cursor", ["", "x", "é", "W10", "WyJ1cGRhdGVkIl0", "////"])
    def test_a_cursor_that_was_not_given_out_is_refused(self, home: Path, cursor: str) -> None:
        with pytest.raises(InvalidParams) as caught:
            listed(home, cursor=cursor)
        assert caught.value.path == "cursor"

    def test_a_cursor_of_another_order_is_refused(self, home: Path) -> None:
        add(home, 1)
        add(home, 2)
        cursor = listed(home, limit=1).next_cursor
        with pytest.raises(InvalidParams):
            listed(home, sort="created", cursor=cursor)

    @pytest.mark.parametrize("limit", [0, -1, 10**30])
    def test_a_limit_that_no_page_can_have_is_refused(self, home: Path, limit: int) -> None:
        with pytest.raises(InvalidParams) as caught:
            listed(home, limit=limit)
        assert caught.value.path == "limit"


class GatedIds(Set[str]):
    """Ids of live sessions, asked for once for each file; the first time is held up."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.asked = 0

    def __contains__(self, session_id: object) -> bool:
        self.asked += 1
        self.gate.pass_through()
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


async def test_a_list_stops_after_the_file_at_which_it_is_cancelled(home: Path) -> None:
    for number in range(1, 4):
        add(home, number, says("hi"))
    store = RolloutStore(home, version="1")
    live = GatedIds()
    with opened(live.gate), fail_after(5):
        async with anyio.create_task_group() as group:

            async def list_all() -> None:
                await store.list(SessionQuery(), live=live)

            group.start_soon(list_all)
            await anyio.to_thread.run_sync(live.gate.wait_entered)
            group.cancel_scope.cancel()
            live.gate.open()
    assert live.asked == 1

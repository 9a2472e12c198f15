"""Reading a session's items in pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rollout_files import write_session

from codex_rpc.protocol.errors import InvalidParams, RolloutNewer, RolloutNotFound
from codex_rpc.protocol.records import Damage, ReadPage, SessionRef
from codex_rpc.rollout.pages import Direction, read_page
from codex_rpc.rollout.store import RolloutStore

SESSION = "00000000-0000-4000-8000-000000000001"


def item(number: int) -> dict[str, Any]:
    return {"type": "message", "number": number}


def page(path: Path, direction: Direction = "backward", **how: Any) -> ReadPage:
    how.setdefault("cursor", None)
    how.setdefault("limit", 2)
    return read_page(path, direction=direction, **how)


def indexes(page: ReadPage) -> list[int]:
    return [entry.index for entry in page.items]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    state = {"record_type": "state", "previous_response_id": None}
    lines = [line for number in range(5) for line in (item(number), state)]
    return write_session(tmp_path / "session.jsonl", *lines)


def test_backward_begins_with_the_last_items(path: Path) -> None:
    last = page(path)
    assert indexes(last) == [3, 4]
    assert [entry.item for entry in last.items] == [item(3), item(4)]
    middle = page(path, cursor=last.next_cursor)
    first = page(path, cursor=middle.next_cursor)
    assert (indexes(middle), indexes(first)) == ([1, 2], [0])
    assert first.next_cursor is None


def test_forward_begins_with_the_first_items(path: Path) -> None:
    first = page(path, "forward", limit=3)
    second = page(path, "forward", limit=3, cursor=first.next_cursor)
    assert (indexes(first), indexes(second)) == ([0, 1, 2], [3, 4])
    assert second.next_cursor is None


def test_a_page_that_ends_with_the_last_item_has_no_next(path: Path) -> None:
    assert page(path, "forward", limit=5).next_cursor is None
    assert page(path, "backward", limit=5).next_cursor is None


def test_a_session_that_grew_goes_on_where_the_page_ended(path: Path) -> None:
    last = page(path)
    with path.open("ab") as file:
        file.write(b'{"type": "message", "number": 5}\n')
    assert indexes(page(path, cursor=last.next_cursor)) == [1, 2]
    assert indexes(page(path)) == [4, 5]


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(0, 12),
    limit=st.integers(1, 13),
    direction=st.sampled_from(["backward", "forward"]),
)
def test_the_pages_together_are_the_whole_history_once(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    limit: int,
    direction: Literal["backward", "forward"],
) -> None:
    path = tmp_path_factory.mktemp("pages") / "session.jsonl"
    write_session(path, *(item(number) for number in range(count)))
    seen: list[int] = []
    cursor: str | None = None
    while True:
        now = page(path, direction, limit=limit, cursor=cursor)
        assert len(now.items) <= limit
        seen = [*seen, *indexes(now)] if direction == "forward" else [*indexes(now), *seen]
        cursor = now.next_cursor
        if cursor is None:
            break
        assert now.items
    assert seen == list(range(count))


def test_what_was_compacted_is_still_shown(tmp_path: Path) -> None:
    compacted = {"record_type": "compacted", "summary": "s", "replaces": 1}
    path = write_session(tmp_path / "x.jsonl", item(0), compacted, item(1))
    assert [entry.item for entry in page(path, limit=9).items] == [item(0), item(1)]


def test_damage_of_the_whole_file_is_told_on_every_page(tmp_path: Path) -> None:
    path = write_session(
        tmp_path / "x.jsonl", item(0), b"bad\n", b"\n", b"{}\n", item(1), item(2), b'{"to'
    )
    expected = [
        Damage(3, 3, "it is not valid JSON"),
        Damage(5, 2, "it is a response item without a type"),
        Damage(8, 4, "the last line is unfinished"),
    ]
    first = page(path, "forward")
    assert (indexes(first), first.damage) == ([0, 1], expected)
    assert page(path, "forward", cursor=first.next_cursor).damage == expected


def test_without_damage_none_is_told(path: Path) -> None:
    assert page(path).damage is None


@pytest.mark.parametrize("cursor", ["", "x", "é", "WyJiYWNrd2FyZCIsIjEiXQ"])
def test_a_cursor_that_was_not_given_out_is_refused(path: Path, cursor: str) -> None:
    with pytest.raises(InvalidParams):
        page(path, cursor=cursor)


def test_a_cursor_of_the_other_direction_is_refused(path: Path) -> None:
    with pytest.raises(InvalidParams):
        page(path, "forward", cursor=page(path, "backward").next_cursor)


def test_a_limit_that_no_page_can_have_is_refused(path: Path) -> None:
    for limit in (0, 10**30):
        with pytest.raises(InvalidParams):
            page(path, limit=limit)


async def test_sessions_are_found_by_id_also_in_the_archive(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path, version="1")
    write_session(tmp_path / f"archived_sessions/rollout-x-{SESSION}.jsonl", item(7), id=SESSION)
    by_id = SessionRef(session_id=SESSION)
    found = await store.read(by_id, cursor=None, limit=1, direction="backward")
    assert [entry.item for entry in found.items] == [item(7)]
    with pytest.raises(RolloutNotFound):
        await store.open(by_id, fsync="turn")


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = write_session(tmp_path / "x.jsonl", item(0), format=2)
    with pytest.raises(RolloutNewer):
        page(path)

"""Reading a session's items in pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rollout_files import load_path, write_session

from codex_rpc.protocol.errors import InvalidParams, RolloutNewer, RolloutNotFound
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import Damage, ReadPage, SessionRef
from codex_rpc.rollout.blobs import BlobFolder
from codex_rpc.rollout.cursors import cursor_of
from codex_rpc.rollout.files import OS_FILES
from codex_rpc.rollout.lines import CHUNK_BYTES
from codex_rpc.rollout.pages import MAX_PAGE_BYTES, Direction, read_page
from codex_rpc.rollout.store import RolloutStore

SESSION = "00000000-0000-4000-8000-000000000001"


def item(number: int) -> dict[str, Any]:
    return {"type": "message", "number": number}


def said(text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


def compacted(replaces: int) -> dict[str, Any]:
    return {"record_type": "compacted", "summary": "s", "replaces": replaces}


def page(path: Path, direction: Direction = "backward", **how: Any) -> ReadPage:
    how.setdefault("cursor", None)
    how.setdefault("limit", 2)
    return read_page(path, direction=direction, **how)


def indexes(page: ReadPage) -> list[int]:
    return [entry.index for entry in page.items]


def all_pages(path: Path, direction: Direction, **how: Any) -> Iterator[ReadPage]:
    cursor: str | None = None
    while True:
        now = page(path, direction, cursor=cursor, **how)
        yield now
        cursor = now.next_cursor
        if cursor is None:
            return
        assert now.items


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
    for now in all_pages(path, direction, limit=limit):
        assert len(now.items) == limit or now.next_cursor is None
        seen = [*seen, *indexes(now)] if direction == "forward" else [*indexes(now), *seen]
    assert seen == list(range(count))


def test_what_was_compacted_is_still_shown(tmp_path: Path) -> None:
    path = write_session(tmp_path / "x.jsonl", item(0), compacted(1), item(1))
    assert [entry.item for entry in page(path, limit=9).items] == [item(0), item(1)]


def test_pages_know_the_index_from_the_last_compaction(tmp_path: Path) -> None:
    # Were the items before it counted, there would be three.
    more = [{"record_type": "weather"}] * 9
    path = write_session(
        tmp_path / "x.jsonl", item(0), item(1), item(2), *more, compacted(9), item(9), item(10)
    )
    last = page(path)
    assert indexes(last) == [9, 10]
    assert indexes(page(path, cursor=last.next_cursor)) == [7, 8]


def test_indexes_are_those_of_the_session_that_is_resumed(tmp_path: Path) -> None:
    path = write_session(tmp_path / "x.jsonl", item(0), item(1), compacted(2), item(2), item(3))
    session = load_path(path).session
    shown = {entry.index: entry.item for entry in page(path, limit=9).items}
    for k in range(1, len(session.items)):
        assert session.items[k].value() == shown[session.items_before + k - 1]


def test_an_index_does_not_drift_past_a_compaction_where_an_item_was_lost(
    tmp_path: Path,
) -> None:
    path = write_session(
        tmp_path / "x.jsonl", item(0), compacted(1), item(1), b"lost\n", item(3), compacted(4)
    )
    for direction in ("backward", "forward"):
        (first, *_), *_ = [p.items for p in [page(path, direction, limit=9)]]
        assert (first.index, first.item) == (0, item(0))
    assert indexes(page(path, limit=9)) == [0, 2, 3]
    with path.open("ab") as file:
        file.write(b'{"type": "message", "number": 4}\n')
    for direction in ("backward", "forward"):
        last = page(path, direction, limit=9).items[-1]
        assert (last.index, last.item) == (4, item(4))


def test_a_marker_with_a_wrong_line_number_makes_no_damage(tmp_path: Path) -> None:
    path = write_session(tmp_path / "x.jsonl", item(0), {**compacted(1), "line": 7}, item(1))
    shown = page(path, limit=9)
    assert (indexes(shown), shown.damage) == ([0, 1], None)


class TestLargePages:
    def test_a_page_has_no_more_than_fits_but_never_nothing(self, tmp_path: Path) -> None:
        too_large, half = MAX_PAGE_BYTES + 1, MAX_PAGE_BYTES // 2 - 100
        items = [
            {"type": "message", "text": "x" * size} for size in (10, too_large, half, half, 1000)
        ]
        path = write_session(tmp_path / "x.jsonl", *items)
        assert [indexes(p) for p in all_pages(path, "forward", limit=9)] == [[0], [1], [2, 3], [4]]
        backward = [indexes(p) for p in all_pages(path, "backward", limit=9)]
        assert backward == [[3, 4], [2], [1], [0]]

    def test_what_is_stored_beside_the_file_counts(self, tmp_path: Path) -> None:
        refs = [{"pointer": "/number", "bytes": MAX_PAGE_BYTES}, {"bytes": "9"}, None]
        line = {"record_type": "blobs", "refs": refs}
        path = write_session(tmp_path / "x.jsonl", item(0), line, item(1), item(2))
        assert [indexes(p) for p in all_pages(path, "forward", limit=9)] == [[0], [1], [2]]
        assert [indexes(p) for p in all_pages(path, "backward", limit=9)] == [[2], [1], [0]]

    @pytest.mark.parametrize("direction", ["backward", "forward"])
    def test_damage_before_what_did_not_fit_is_told_once(
        self, tmp_path: Path, direction: Direction
    ) -> None:
        large = {"record_type": "blobs", "refs": [{"bytes": MAX_PAGE_BYTES // 2}]}
        path = write_session(tmp_path / "x.jsonl", large, item(0), b"bad\n", large, item(1))
        pages = list(all_pages(path, direction, limit=9))
        assert sorted(index for p in pages for index in indexes(p)) == [0, 1]
        assert [d.line_no for p in pages for d in p.damage or ()] == [4]


class TestStoredStrings:
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> BlobFolder:
        return BlobFolder(tmp_path / "home", OS_FILES)

    @pytest.fixture
    def path(self, tmp_path: Path, blobs: BlobFolder) -> Path:
        stored = blobs.stored(Item.from_value(said("x" * 300_000)))
        assert stored is not None
        refs, rest = stored
        line = {"record_type": "blobs", "refs": refs}
        return write_session(tmp_path / "x.jsonl", item(0), line, rest + b"\n", item(2))

    @pytest.mark.parametrize("direction", ["backward", "forward"])
    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_are_put_back(
        self, path: Path, blobs: BlobFolder, direction: Direction, limit: int
    ) -> None:
        entries = [
            entry for p in all_pages(path, direction, limit=limit, blobs=blobs) for entry in p.items
        ]
        entries.sort(key=lambda entry: entry.index)
        assert [entry.item for entry in entries] == [item(0), said("x" * 300_000), item(2)]

    @pytest.mark.parametrize("direction", ["backward", "forward"])
    def test_that_are_gone_are_damage_and_the_rest_is_shown(
        self, path: Path, blobs: BlobFolder, tmp_path: Path, direction: Direction
    ) -> None:
        shutil.rmtree(tmp_path / "home")
        shown = page(path, direction, limit=9, blobs=blobs)
        assert indexes(shown) == [0, 1, 2]
        assert shown.items[1].item["content"][0]["text"].startswith("xxx")
        (damage,) = shown.damage or ()
        assert damage.line_no == 4

    def test_belong_to_the_line_that_follows_and_no_other(
        self, tmp_path: Path, blobs: BlobFolder
    ) -> None:
        stored = blobs.stored(Item.from_value(said("x" * 300_000)))
        assert stored is not None
        refs = {"record_type": "blobs", "refs": stored[0]}
        rest = stored[1] + b"\n"
        path = write_session(tmp_path / "y.jsonl", refs, b"bad\n", rest, rest, refs, refs, rest)
        for direction in ("backward", "forward"):
            shown = page(path, direction, limit=9, blobs=blobs)
            lengths = [len(entry.item["content"][0]["text"]) for entry in shown.items]
            assert [length == 300_000 for length in lengths] == [False, False, True]


def test_only_as_much_as_the_page_needs_is_read(path: Path) -> None:
    more = [{"record_type": "weather", "report": "x" * 1000}] * 5000
    marker = {**compacted(9), "line": 5011}
    write_session(path, *(item(n) for n in range(9)), *more, marker, item(9), item(10))
    chunk_count = 0

    def check() -> None:
        nonlocal chunk_count
        chunk_count += 1

    last = page(path, check=check)
    assert indexes(last) == [9, 10]
    assert indexes(page(path, "forward", check=check)) == [0, 1]
    assert chunk_count < 8 < path.stat().st_size / CHUNK_BYTES + 4


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_damage_is_told_once_with_the_page_that_covers_it(
    tmp_path: Path, direction: Direction, limit: int
) -> None:
    path = write_session(
        tmp_path / "x.jsonl",
        b"\0\n",
        item(0),
        b"bad\n",
        b"\n",
        b"{}\n",
        item(1),
        {"record_type": "compacted", "summary": 7},
        item(2),
        b'{"to',
    )
    pages = list(all_pages(path, direction, limit=limit))
    assert sorted((d for p in pages for d in p.damage or ()), key=lambda d: d.line_no) == [
        Damage(2, 1, "it is not valid JSON"),
        Damage(4, 3, "it is not valid JSON"),
        Damage(6, 2, "it is a response item without a type"),
        Damage(8, 39, "it is a compacted record without a summary, or without what it replaces"),
        Damage(10, 4, "the last line is unfinished"),
    ]
    for one in pages:
        numbers = [damage.line_no for damage in one.damage or ()]
        assert numbers == sorted(numbers)


def test_an_item_that_only_lacks_its_line_end_is_on_the_last_page(tmp_path: Path) -> None:
    path = write_session(tmp_path / "x.jsonl", item(0), b'{"type": "message", "number": 1}')
    assert [entry.item for entry in page(path).items] == [item(0), item(1)]
    assert [entry.item for entry in page(path, "forward").items] == [item(0), item(1)]


def test_without_damage_none_is_told(path: Path) -> None:
    assert page(path).damage is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "WyJiYWNrd2FyZCIsIjEiXQ",
        cursor_of("backward", 3),
        cursor_of("backward", 0, 1, 0),
        cursor_of("backward", -5, 2, 1),
        cursor_of("backward", 40, 2, 1),
        cursor_of("backward", 1 << 62, 2, 1),
    ],
)
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

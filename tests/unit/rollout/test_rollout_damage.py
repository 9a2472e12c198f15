"""Damaged session files: a clear answer each, no crash, nothing changed, nothing else lost."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from support.rollout_files import by_path, context, header, load_path, texts, user, write_session

from codex_rpc.protocol.errors import RolloutCorrupt, RolloutNotFound
from codex_rpc.protocol.items import Item, summary_message
from codex_rpc.protocol.records import CompactedRecord, Damage, StateRecord
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.lines import CHUNK_BYTES
from codex_rpc.rollout.pages import Direction, read_page
from codex_rpc.rollout.reader import Loaded, load, reading
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.rollout.summaries import row_of

FOLDER = Path(__file__).parents[2] / "golden" / "rollouts"
NOT_JSON = "it is not valid JSON"


def says(text: str) -> dict[str, Any]:
    return user(text).value()


def shown(path: Path, direction: Direction = "backward") -> list[dict[str, Any]]:
    """All items, in pages."""
    found: dict[int, dict[str, Any]] = {}
    cursor = None
    while True:
        page = read_page(path, cursor=cursor, limit=50, direction=direction)
        found.update({entry.index: entry.item for entry in page.items})
        cursor = page.next_cursor
        if cursor is None:
            assert sorted(found) == list(range(len(found)))
            return [found[index] for index in range(len(found))]


def load_while(path: Path, change: Callable[[], None], at_chunk: int) -> Loaded:
    """Read a file that someone changes before a chunk of it is read."""
    chunk_count = 0

    def check() -> None:
        nonlocal chunk_count
        chunk_count += 1
        if chunk_count == at_chunk:
            change()

    with reading(path) as fd:
        return load(fd, path, read_header(fd, path), check=check)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


async def written_by_us(home: Path, compacts: bool = True) -> Path:
    """A file of about eight thousand bytes."""
    log = await RolloutStore(home, version="1").create(
        header(Path("/w")), [context()], fsync="never"
    )
    for number in range(20):
        await log.append([user(f"{number} é\u2028 " + "x" * 200), StateRecord(f"resp_{number}")])
        if compacts and number == 14:
            marker = CompactedRecord("what was", replaces=15)
            await log.append([marker, context("/now"), StateRecord(None)])
    await log.close()
    return log.path


def lines_in(data: bytes) -> list[dict[str, Any]]:
    """The lines that are whole, after the header; read without any code of ours."""
    found = []
    for line in data.split(b"\n")[1:]:
        try:
            found.append(orjson.loads(line))
        except ValueError:
            continue
    return found


class TestCutAnywhereInTheLast4KiB:
    @pytest.fixture(params=["ours", "compacted", "codex-0.20-shell", "codex-0.8-two_turns"])
    def whole(self, request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
        if request.param in ("ours", "compacted"):
            return anyio.run(written_by_us, tmp_path, request.param == "compacted").read_bytes()
        return (FOLDER / f"{request.param}.jsonl").read_bytes()

    def test_a_session_has_every_line_before_the_cut(self, whole: bytes, path: Path) -> None:
        header_size = whole.index(b"\n")
        path.write_bytes(whole)
        for size in range(len(whole), max(len(whole) - 4096, 0), -1):
            data = whole[:size]
            os.truncate(path, size)
            if size < header_size:
                with pytest.raises(RolloutCorrupt):
                    load_path(path)
                continue
            lines = lines_in(data)
            expected: list[dict[str, Any]] = []
            before = 0
            for line in lines:
                if "record_type" not in line:
                    expected.append(line)
                elif line["record_type"] == "compacted":
                    before = len(expected)
                    expected = [summary_message(line["summary"]).value()]
            loaded = load_path(path)
            assert [item.value() for item in loaded.session.items] == expected
            assert loaded.session.items_before == before
            assert len(loaded.session.damage) <= 1
            assert (loaded.tail.size, loaded.tail.line_count) == (size, data.count(b"\n"))
            assert loaded.tail.fragment == data[data.rfind(b"\n") + 1 :]
            if size % 61 == 0:
                items = [line for line in lines if "record_type" not in line]
                assert shown(path) == shown(path, "forward") == items

    @pytest.mark.parametrize("name", ["codex-0.137-plain", "codex-0.169-tools"])
    def test_so_has_one_of_todays_codex(self, path: Path, name: str) -> None:
        whole = (FOLDER / f"{name}.jsonl").read_bytes()
        all_items = shown(FOLDER / f"{name}.jsonl")
        count = len(all_items)
        path.write_bytes(whole)
        for size in range(len(whole), len(whole) - 4096, -1):
            os.truncate(path, size)
            session = load_path(path).session
            found = [item.value() for item in session.items]
            assert found == all_items[: len(found)]
            assert len(found) <= count
            count = len(found)
            assert len(session.damage) <= 1
            if size % 61 == 0:
                assert shown(path) == shown(path, "forward") == found


async def test_writing_goes_on_after_a_cut_without_loss(tmp_path: Path, path: Path) -> None:
    whole = (await written_by_us(tmp_path)).read_bytes()
    store = RolloutStore(tmp_path / "home", version="1")
    for size in range(len(whole), len(whole) - 4096, -61):
        path.write_bytes(whole[:size])
        saved, log = await store.open(by_path(path), fsync="never")
        assert log is not None
        await log.append([user("new")])
        await log.close()
        assert path.read_bytes().startswith(whole[:size])
        session = load_path(path).session
        assert session.items == [*saved.items, user("new")]
        assert [d.line_no for d in session.damage] == [d.line_no for d in saved.damage]


@pytest.mark.parametrize("place", ["before", "within", "after"])
def test_a_line_with_a_broken_byte_is_left_out_and_told(path: Path, place: str) -> None:
    lines = [orjson.dumps(says(str(n))) for n in range(5)]
    broken = {"before": b"\xff" + lines[2][1:], "after": lines[2][:-1] + b"\0"}.get(
        place, lines[2].replace(b'":', b"\0:", 1)
    )
    write_session(path, *(line + b"\n" for line in [*lines[:2], broken, *lines[3:]]))
    before = path.read_bytes()
    session = load_path(path).session
    assert texts(session.items) == ["0", "1", "3", "4"]
    assert session.damage == (Damage(4, len(broken), NOT_JSON),)
    assert shown(path) == [item.value() for item in session.items]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"message","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"\0" * 5000,
        b"\x1b[31mred",
        b'{"type":"message"}{"type":"message"}',
        b'{"type":"message","x":"\\ud800"}',
        b'{"type":"message","x":NaN}',
        bytes(range(11, 256)),
    ],
)
@pytest.mark.parametrize("has_end", [True, False])
def test_a_line_that_no_one_can_read_costs_only_itself(
    path: Path, line: bytes, has_end: bool
) -> None:
    end: list[Any] = [b"\n", says("two")] if has_end else []
    write_session(path, says("one"), line, *end)
    session = load_path(path).session
    assert texts(session.items) == ["one", "two"][: 1 + has_end]
    reason = NOT_JSON if has_end else "the last line is unfinished"
    assert session.damage == (Damage(3, len(line), reason),)
    assert shown(path) == shown(path, "forward") == [item.value() for item in session.items]


def test_a_line_of_a_hundred_megabytes_is_a_line(path: Path) -> None:
    size = 100_000_000
    write_session(path, says("one"), b'{"type":"message","text":"' + b"x" * size + b'"}\n')
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + size)
        file.write(b"\n" + user("two").raw)
    session = load_path(path).session
    assert [len(item.raw) > size for item in session.items] == [False, True, False]
    assert session.damage == (Damage(4, size, NOT_JSON),)
    page = read_page(path, cursor=None, limit=1, direction="backward")
    assert page.items[0].item == says("two")


class TestLineEndsOfOtherSystems:
    def test_are_no_damage(self, path: Path) -> None:
        marker = b'{"record_type":"compacted","summary":"s","replaces":1,"line":3}'
        plain = write_session(path, says("one"), marker + b"\n", context_line(), says("two"))
        plain.write_bytes(plain.read_bytes().replace(b"\n", b"\r\n"))
        session = load_path(path).session
        assert (texts(session.items), session.items_before) == (["s", "two"], 1)
        assert session.damage == ()
        assert session.items[1].raw == user("two").raw
        assert shown(path) == [says("one"), says("two")]

    def test_a_byte_order_mark_in_front_is_no_damage(self, path: Path) -> None:
        write_session(path, says("one"))
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        session = load_path(path).session
        assert (texts(session.items), session.damage) == (["one"], ())
        assert shown(path) == shown(path, "forward") == [says("one")]
        assert row_of(path).item_count == 1


def context_line() -> dict[str, Any]:
    return {"record_type": "context", "cwd": "/w"}


class TestWhatIsNoSession:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "it is empty or begins with an empty line"),
            (b"\n", "it is empty or begins with an empty line"),
            (b"\xef\xbb\xbf", "it is empty or begins with an empty line"),
            (b"\0" * 10_000, "its first line is no session header"),
            (b'{"type":"message"}\n', "its first line is no session header"),
            (b'{"id":"80d91436-7c5d', "its first line is no session header"),
            (b"[" * 100_000, "its first line is no session header"),
            (random.Random(7).randbytes(100_000), "its first line is no session header"),
        ],
    )
    def test_is_refused_with_the_reason(self, path: Path, data: bytes, reason: str) -> None:
        path.write_bytes(data)
        for read in (load_path, shown):
            with pytest.raises(RolloutCorrupt) as caught:
                read(path)
            assert caught.value.data["reason"] == reason
        assert row_of(path).reason == reason
        assert path.read_bytes() == data

    def test_a_directory_is_refused(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(RolloutCorrupt) as caught:
            load_path(path)
        assert caught.value.data["reason"] == "it is a directory"

    def test_a_link_that_leads_nowhere_is_not_found(self, path: Path) -> None:
        path.symlink_to(path.with_name("gone"))
        with pytest.raises(RolloutNotFound):
            load_path(path)

    def test_a_pipe_is_refused_and_not_waited_for(self, path: Path) -> None:
        os.mkfifo(path)
        with pytest.raises(RolloutCorrupt) as caught:
            load_path(path)
        assert caught.value.data["reason"] == "it is not a regular file"


class TestChangedWhileItIsRead:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Three chunks, of which the marker search takes the first three."""
        long = "x" * (CHUNK_BYTES // 2)
        return write_session(tmp_path / "x.jsonl", *(says(f"{n}{long}") for n in range(5)))

    def test_a_file_that_grows_is_read_to_where_it_then_ends(self, path: Path) -> None:
        def grow() -> None:
            with path.open("ab") as file:
                file.write(user("more").raw + b"\n" + b'{"type":"mess')

        loaded = load_while(path, grow, at_chunk=5)
        assert [text[:4] for text in texts(loaded.session.items)][-2:] == ["4xxx", "more"]
        assert loaded.tail.size == path.stat().st_size
        assert [damage.line_no for damage in loaded.session.damage] == [8]

    @pytest.mark.parametrize("at_chunk", range(1, 7))
    def test_a_file_that_is_cut_gives_what_could_still_be_read(
        self, path: Path, at_chunk: int
    ) -> None:
        whole = load_path(path).session.items
        size = path.stat().st_size

        def cut() -> None:
            os.truncate(path, size - CHUNK_BYTES)

        session = load_while(path, cut, at_chunk).session
        assert session.items == whole[: len(session.items)]
        assert len(session.items) >= 2
        assert len(session.damage) <= 1

    @pytest.mark.parametrize("direction", ["backward", "forward"])
    @pytest.mark.parametrize("at_chunk", range(1, 8))
    def test_so_do_pages(self, path: Path, direction: Direction, at_chunk: int) -> None:
        size = path.stat().st_size
        chunk_count = 0

        def check() -> None:
            nonlocal chunk_count
            chunk_count += 1
            if chunk_count == at_chunk:
                os.truncate(path, size - CHUNK_BYTES)

        page = read_page(path, cursor=None, limit=9, direction=direction, check=check)
        for entry in page.items:
            assert Item.from_value(entry.item).kind == "message"

"""Compaction markers: found from the end, and what counts from there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rollout_files import load_path, texts, user, write_session

from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.items import summary_message
from codex_rpc.protocol.records import SavedSession
from codex_rpc.rollout.blobs import BlobFolder
from codex_rpc.rollout.files import OS_FILES
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.lines import CHUNK_BYTES
from codex_rpc.rollout.markers import START, Marker, markers
from codex_rpc.rollout.pages import read_page
from codex_rpc.rollout.reader import load, reading

CONTEXT = {"record_type": "context", "cwd": "/now", "model": "m"}
FILLER = {"record_type": "weather", "report": "x" * 1000}


def says(text: str) -> dict[str, Any]:
    return user(text).value()


def compacted(replaces: int, line: int | None = None, summary: str = "s") -> dict[str, Any]:
    more = {} if line is None else {"line": line}
    return {"record_type": "compacted", "summary": summary, "replaces": replaces, **more}


def found_in(path: Path) -> list[Marker]:
    with reading(path) as fd:
        return list(markers(fd, path.stat().st_size))


def up_to(path: Path, index: int) -> SavedSession:
    with reading(path) as fd:
        return load(fd, path, read_header(fd, path), up_to=index).session


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


def test_they_are_found_from_the_last_to_the_first(path: Path) -> None:
    write_session(path, says("0"), compacted(1, 3), CONTEXT, says("1"), compacted(2), CONTEXT)
    second, first = found_in(path)
    assert (first.line_no, first.replaces, first.is_whole) == (3, 1, True)
    assert (second.line_no, second.replaces, second.is_whole) == (6, 2, True)
    lines = path.read_bytes()
    assert lines[first.offset :].startswith(START)
    assert lines[second.offset :].startswith(START)


@pytest.mark.parametrize("cut", range(-2, len(START) + 4))
def test_one_that_lies_across_what_is_read_at_once_is_found(path: Path, cut: int) -> None:
    write_session(path, says("0"))
    before = path.stat().st_size - 1
    step = orjson.dumps(compacted(1, 3)) + b"\n" + orjson.dumps(CONTEXT) + b"\n"
    start, end = b'{"record_type":"weather","report":"', b'"}\n'
    # What is read first, from the end, begins at the `cut`-th byte of the search text.
    size = before + cut + CHUNK_BYTES
    report = b"x" * (size - before - 1 - len(step + start + end))
    with path.open("ab") as file:
        file.write(step + start + report + end)
    assert path.stat().st_size == size
    (marker,) = found_in(path)
    assert (marker.line_no, marker.is_whole) == (3, True)


def test_one_that_begins_otherwise_is_none_and_everything_counts(path: Path) -> None:
    otherwise = b'{"record_type": "compacted", "summary": "s", "replaces": 1, "line": 3}\n'
    write_session(path, says("0"), otherwise, CONTEXT, says("1"))
    session = load_path(path).session
    assert (texts(session.items), session.items_before) == (["0", "1"], 0)
    assert session.damage == ()
    assert texts(up_to(path, 0).items) == ["0"]


def test_a_text_that_looks_like_one_is_a_text(path: Path) -> None:
    looks = "\n" + START.decode() + ',"summary":"s","replaces":1,"line":3}\n'
    write_session(path, says(looks), says("1"))
    assert found_in(path) == []
    assert texts(load_path(path).session.items) == [looks, "1"]


@pytest.mark.parametrize("line", [None, 0, 1, -3, 10**9, "3", 3.0, True])
def test_one_that_does_not_know_its_line_is_counted(path: Path, line: Any) -> None:
    write_session(path, says("0"), {**compacted(1), "line": line}, CONTEXT, b"bad\n")
    assert [marker.line_no for marker in found_in(path)] == [3]
    assert [damage.line_no for damage in load_path(path).session.damage] == [5]


class TestResume:
    def test_nothing_before_the_last_one_is_parsed(self, path: Path) -> None:
        garbage = b"{" * 50 + b"\n"
        write_session(
            path, *[garbage] * 7, compacted(5, 9, "old"), CONTEXT, compacted(6, 11), CONTEXT
        )
        session = load_path(path).session
        assert session.items == [summary_message("s")]
        assert (session.items_before, session.damage) == (6, ())
        assert session.context.cwd == "/now"

    def test_the_file_before_it_is_not_read(self, path: Path) -> None:
        write_session(
            path,
            *(says(str(n)) for n in range(9)),
            *[FILLER] * 5000,
            compacted(9, 5011),
            CONTEXT,
            says("9"),
        )
        chunk_count = 0

        def check() -> None:
            nonlocal chunk_count
            chunk_count += 1

        with reading(path) as fd:
            loaded = load(fd, path, read_header(fd, path), check=check)
        assert texts(loaded.session.items) == ["s", "9"]
        assert chunk_count < 4 < path.stat().st_size / CHUNK_BYTES

    def test_the_tail_counts_the_lines_of_the_whole_file(self, path: Path) -> None:
        write_session(path, says("0"), says("1"), compacted(2, 4), CONTEXT, says("2"), b'{"ty')
        tail = load_path(path).tail
        assert tail.size == path.stat().st_size
        assert (tail.line_count, tail.fragment) == (6, b'{"ty')

    def test_a_later_one_that_is_torn_is_damage_and_the_one_before_counts(self, path: Path) -> None:
        torn = orjson.dumps(compacted(2, 6))[:-3]
        write_session(path, says("0"), compacted(1, 3), CONTEXT, says("1"), torn)
        session = load_path(path).session
        assert (texts(session.items), session.items_before) == (["s", "1"], 1)
        assert [damage.line_no for damage in session.damage] == [6]

    @pytest.mark.parametrize(
        "invalid",
        [
            b'{"record_type":"compacted","summary":7,"replaces":2,"line":6}\n',
            b'{"record_type":"compacted","summary":"s","line":6}\n',
            b'{"record_type":"compacted","summary":"s","replaces":2,"line":6\n',
            b'{"record_type":"compacted","summary":"s","replaces":2.0,"line":6}\n',
            b'{"record_type":"compacted","summary":"s","replaces":99,"line":6}\n',
        ],
    )
    def test_a_later_one_that_is_not_valid_is_damage_and_the_one_before_counts(
        self, path: Path, invalid: bytes
    ) -> None:
        write_session(
            path, says("0"), compacted(1, 3), CONTEXT, says("1"), invalid, CONTEXT, says("2")
        )
        session = load_path(path).session
        assert (texts(session.items), session.items_before) == (["s", "1", "2"], 1)
        assert [damage.line_no for damage in session.damage] == [6]

    def test_one_whose_context_was_not_written_with_it_keeps_the_one_before(
        self, path: Path
    ) -> None:
        old = {**CONTEXT, "approval_policy": "untrusted"}
        title = {"record_type": "title", "title": "t"}
        write_session(path, old, title, says("0"), compacted(1, 5), b'{"record_type":"con')
        session = load_path(path).session
        assert (texts(session.items), session.items_before) == (["s"], 1)
        assert (session.context.approval_policy, session.title) == ("untrusted", "t")

    def test_one_that_only_lacks_its_line_end_counts(self, path: Path) -> None:
        write_session(path, CONTEXT, says("0"), orjson.dumps(compacted(1, 4)))
        session = load_path(path).session
        assert (texts(session.items), session.items_before) == (["s"], 1)

    def test_state_and_title_after_it_count(self, path: Path) -> None:
        write_session(
            path,
            {"record_type": "title", "title": "old"},
            says("0"),
            compacted(1, 4),
            CONTEXT,
            {"record_type": "state", "previous_response_id": None},
            {"record_type": "title", "title": "new"},
            says("1"),
            {"record_type": "state", "previous_response_id": "resp_1"},
            says("2"),
        )
        session = load_path(path).session
        assert session.title == "new"
        assert (session.previous_response_id, session.seen_item_count) == ("resp_1", 2)

    @pytest.mark.parametrize(
        ("status", "interrupted"),
        [(None, True), ("completed", False), ("failed", False), ("aborted", True)],
    )
    def test_the_turn_that_compacted_counts_as_running_until_its_end(
        self, path: Path, status: str | None, interrupted: bool
    ) -> None:
        turn = {"record_type": "turn", "submission_id": "7"}
        end = [{**turn, "status": status}] if status else []
        write_session(
            path, {**turn, "status": "started"}, says("0"), compacted(1, 4), CONTEXT, *end
        )
        assert load_path(path).session.interrupted is interrupted

    def test_call_ids_get_a_suffix_that_says_which(self, path: Path) -> None:
        write_session(path, says("0"), compacted(1, 3), CONTEXT)
        first = load_path(path).session.call_id_suffix
        assert first
        assert load_path(path).session.call_id_suffix == first
        with path.open("ab") as file:
            file.write(orjson.dumps(says("1")) + b"\n")
            file.write(orjson.dumps(compacted(2, 6)) + b"\n" + orjson.dumps(CONTEXT) + b"\n")
        second = load_path(path).session.call_id_suffix
        assert not second.endswith(first)
        assert not first.endswith(second)

    def test_a_file_cut_short_while_it_is_read_is_read_as_it_is(self, path: Path) -> None:
        write_session(path, says("0"), *[FILLER] * 1100, compacted(1, 1103), CONTEXT)
        size = path.stat().st_size
        calls = 0

        def check() -> None:
            nonlocal calls
            calls += 1
            # The marker has been found, and what begins there is about to be read.
            if calls == 2:
                with path.open("r+b") as file:
                    file.truncate(size - 200_000)

        with reading(path) as fd:
            loaded = load(fd, path, read_header(fd, path), check=check)
        assert texts(loaded.session.items) == ["0"]
        assert loaded.tail.size == size - 200_000


class TestStoredStrings:
    def test_are_put_back_after_the_last_one(self, path: Path, tmp_path: Path) -> None:
        blobs = BlobFolder(tmp_path / "home", OS_FILES)
        stored = blobs.stored(user("y" * 300_000))
        assert stored is not None
        refs = {"record_type": "blobs", "refs": stored[0]}
        rest = stored[1] + b"\n"
        write_session(path, rest, compacted(1, 3), CONTEXT, refs, rest, rest, refs, CONTEXT, rest)
        with reading(path) as fd:
            session = load(fd, path, read_header(fd, path), blobs=blobs).session
        lengths = [len(text) == 300_000 for text in texts(session.items)]
        assert lengths == [False, True, False, False]
        assert session.items[1] == user("y" * 300_000)

    def test_that_are_gone_or_changed_are_damage_and_the_item_stays(
        self, path: Path, tmp_path: Path
    ) -> None:
        blobs = BlobFolder(tmp_path / "home", OS_FILES)
        stored = blobs.stored(user("y" * 300_000))
        assert stored is not None
        refs = {"record_type": "blobs", "refs": stored[0]}
        write_session(path, refs, stored[1] + b"\n")
        (file,) = (entry for entry in (tmp_path / "home").rglob("*") if entry.is_file())
        for change in (lambda: file.write_bytes(b"z" * 300_000), file.unlink):
            change()
            with reading(path) as fd:
                session = load(fd, path, read_header(fd, path), blobs=blobs).session
            assert [item.raw for item in session.items] == [stored[1]]
            assert [damage.line_no for damage in session.damage] == [3]


class TestUpTo:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Items 0 to 7, compacted after 2 and after 5."""
        return write_session(
            tmp_path / "x.jsonl",
            {"record_type": "context", "cwd": "/old"},
            *(says(str(n)) for n in range(3)),
            compacted(3, 6, "first"),
            CONTEXT,
            *(says(str(n)) for n in range(3, 6)),
            compacted(6, 11, "second"),
            CONTEXT,
            *(says(str(n)) for n in range(6, 8)),
            {"record_type": "state", "previous_response_id": "resp_1"},
            {"record_type": "title", "title": "t"},
        )

    @pytest.mark.parametrize(
        ("index", "expected", "before"),
        [
            (0, ["0"], 0),
            (2, ["0", "1", "2"], 0),
            (3, ["first", "3"], 3),
            (5, ["first", "3", "4", "5"], 3),
            (6, ["second", "6"], 6),
            (7, ["second", "6", "7"], 6),
        ],
    )
    def test_items_end_with_the_one_that_is_wanted(
        self, path: Path, index: int, expected: list[str], before: int
    ) -> None:
        session = up_to(path, index)
        assert (texts(session.items), session.items_before) == (expected, before)
        assert (session.previous_response_id, session.seen_item_count) == (None, 0)
        assert (session.title, session.context.cwd) == ("t", "/now")
        assert bool(session.call_id_suffix) == (before > 0)

    @pytest.mark.parametrize("index", [-1, 8, 10**12])
    def test_an_item_that_is_not_there_is_refused(self, path: Path, index: int) -> None:
        with pytest.raises(InvalidParams):
            up_to(path, index)

    def test_without_a_compaction_items_are_counted_from_the_start(self, tmp_path: Path) -> None:
        path = write_session(tmp_path / "y.jsonl", says("0"), b"bad\n", says("1"), says("2"))
        assert texts(up_to(path, 1).items) == ["0", "1"]
        assert up_to(path, 1).damage
        for index in (-1, 3):
            with pytest.raises(InvalidParams):
                up_to(path, index)

    def test_an_index_means_the_item_that_pages_show_under_it(self, tmp_path: Path) -> None:
        # An item was lost since the compaction after it was recorded.
        path = write_session(
            tmp_path / "y.jsonl",
            says("0"),
            b"lost\n",
            says("2"),
            says("3"),
            compacted(4, 6),
            CONTEXT,
            says("4"),
        )
        page = read_page(path, cursor=None, limit=9, direction="backward")
        for entry in page.items:
            session = up_to(path, entry.index)
            assert session.items[-1].value() == entry.item


@settings(deadline=None, max_examples=60)
@given(
    plan=st.lists(
        st.sampled_from(["item", "item", "item", "blank", "bad", "state", "compacted", "torn"]),
        max_size=25,
    ),
    limit=st.integers(1, 5),
)
def test_reading_from_the_last_one_tells_what_reading_everything_tells(
    plan: list[str], limit: int
) -> None:
    lines: list[dict[str, Any] | bytes] = []
    everything: list[dict[str, Any]] = []
    visible: list[dict[str, Any]] = []
    before = 0
    for step in plan:
        match step:
            case "item":
                lines.append(says(str(len(everything))))
                everything.append(says(str(len(everything))))
                visible.append(everything[-1])
            case "blank":
                lines.append(b"\n")
            case "bad":
                lines.append(b'{"type": "mess\n')
            case "state":
                lines.append({"record_type": "state", "previous_response_id": "r"})
            case _ if everything:
                before = len(everything)
                lines.append(compacted(before, len(lines) + 2))
                visible = [summary_message("s").value()]
                if step == "compacted":
                    lines.append(CONTEXT)
    with tempfile.TemporaryDirectory() as folder:
        path = write_session(Path(folder) / "x.jsonl", *lines)
        session = load_path(path).session
        assert [item.value() for item in session.items] == visible
        assert session.items_before == before
        assert load_path(path).tail.line_count == len(lines) + 1
        for direction in ("backward", "forward"):
            shown = {}
            cursor = None
            while True:
                page = read_page(path, cursor=cursor, limit=limit, direction=direction)
                shown.update({entry.index: entry.item for entry in page.items})
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert shown == dict(enumerate(everything))
        for index in range(len(everything)):
            assert up_to(path, index).items[-1].value() == everything[index]

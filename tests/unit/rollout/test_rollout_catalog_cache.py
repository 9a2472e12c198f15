"""The catalog cache: it makes lists faster, and whatever is done to it changes nothing else."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.rollout_files import by_path, write_session

from codex_rpc.protocol.records import Origin, SessionPage, SessionQuery
from codex_rpc.rollout import catalog, catalog_cache
from codex_rpc.rollout.catalog import list_sessions
from codex_rpc.rollout.catalog_cache import CatalogCache
from codex_rpc.rollout.files import read_ahead
from codex_rpc.rollout.places import Place, places_under
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.rollout.summaries import Row


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once, so that no test has to wait for that."""
    monkeypatch.setattr(catalog_cache, "SETTLED_NS", -(10**9))


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def says(text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


def add(home: Path, number: int, *lines: Any, folder: str = "sessions", **head: Any) -> Path:
    path = home / folder / f"2026/rollout-2026-11-22T10-00-00-{uuid(number)}.jsonl"
    write_session(path, *lines, **{"format": 1, "cwd": "/w", **head, "id": uuid(number)})
    os.utime(path, (number, number))
    return path


def listed(home: Path, **query: Any) -> SessionPage:
    return list_sessions(home, SessionQuery(**query), live=frozenset())


def cache_file(home: Path) -> Path:
    return home / "sessions" / ".catalog"


def titles(home: Path) -> list[str]:
    return [row.title for row in listed(home).sessions]


def places(home: Path) -> list[Place]:
    return places_under(home / "sessions").files


def pretend(home: Path, title: str) -> None:
    """Let the cache say of every file that it has this title."""
    cache = CatalogCache(home / "sessions")
    for place in places(home):
        cache.put(place, Row(session_id=uuid(1), title=title, item_count=1))
    cache.save(places(home))


def test_a_file_that_has_not_changed_is_not_read_again(home: Path) -> None:
    add(home, 1, says("one"))
    assert titles(home) == ["one"]
    pretend(home, "cached")
    assert titles(home) == ["cached"]


def test_every_filter_and_order_says_the_same_from_the_cache_as_from_the_files(home: Path) -> None:
    origin = {"id": uuid(9), "path": "/x", "size": 7}
    add(home, 1, says("one"), {"record_type": "title", "title": "Named"}, cwd="/a")
    add(home, 2, says("tüwo"), forked_from=origin, timestamp="2026-11-22T16:29:43.832Z")
    add(home, 3, {"record_type": "turn", "status": "started"})
    add(home, 4).write_bytes(b"")
    queries: list[dict[str, Any]] = [{}, {"cwd": "/a"}, {"query": "one"}, {"sort": "created"}]
    cold = []
    for query in queries:
        cache_file(home).unlink(missing_ok=True)
        cold.append(listed(home, **query))
    assert [listed(home, **query) for query in queries] == cold
    cache = CatalogCache(home / "sessions")
    rows = {place.name[-7]: cache.get(place) for place in places(home)}
    assert rows["2"] is not None
    assert rows["2"].forked_from == Origin(id=uuid(9), path="/x", size=7)
    assert rows["4"] is None


@pytest.mark.parametrize("change", ["append", "other size", "other time", "another file"])
def test_a_file_that_has_changed_in_any_way_is_read_again(home: Path, change: str) -> None:
    path = add(home, 1, says("one"))
    titles(home)
    pretend(home, "cached")
    if change == "append":
        with path.open("ab") as file:
            file.write(b'{"record_type":"title","title":"new"}\n')
    elif change == "other size":
        add(home, 1, says("another"))
    elif change == "other time":
        os.utime(path, (5, 5))
    else:
        copy = path.with_name("copy")
        copy.write_bytes(path.read_bytes())
        copy.replace(path)
        os.utime(path, (1, 1))
    assert titles(home) != ["cached"]


def test_what_changed_a_moment_ago_is_not_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_cache, "SETTLED_NS", 3600 * 10**9)
    add(home, 1, says("one"))
    assert titles(home) == ["one"]
    assert not cache_file(home).exists()


def test_it_is_for_its_owner_only_and_leaves_nothing_beside_it(home: Path) -> None:
    add(home, 1, says("one"))
    titles(home)
    assert stat.S_IMODE(cache_file(home).stat().st_mode) == 0o600
    assert sorted(os.listdir(home / "sessions")) == [".catalog", "2026"]


def test_it_is_only_written_when_something_has_changed(home: Path) -> None:
    add(home, 1, says("one"))
    titles(home)
    before = cache_file(home).stat()
    titles(home)
    listed(home, cwd="/w")
    assert cache_file(home).stat() == before
    add(home, 2, says("two"))
    titles(home)
    assert cache_file(home).stat().st_ino != before.st_ino


def test_it_holds_no_more_of_a_conversation_than_a_list_shows(home: Path) -> None:
    add(home, 1, says("word " * 100 + "secret"), says("another secret"))
    titles(home)
    assert b"secret" not in cache_file(home).read_bytes()


def test_what_it_says_of_a_file_goes_with_the_file(home: Path) -> None:
    path = add(home, 1, says("private"))
    add(home, 2, says("other"))
    titles(home)
    assert b"private" in cache_file(home).read_bytes()
    path.unlink()
    titles(home)
    assert b"private" not in cache_file(home).read_bytes()


async def test_deleting_a_session_takes_it_out_of_the_cache_at_once(home: Path) -> None:
    add(home, 1, says("private"))
    add(home, 2, says("other"))
    titles(home)
    await RolloutStore(home, version="1").delete(uuid(1))
    data = cache_file(home).read_bytes()
    assert b"private" not in data
    assert b"other" in data
    assert titles(home) == ["other"]


async def test_opening_and_reading_do_not_write_it(home: Path) -> None:
    path = add(home, 1, says("one"))
    store = RolloutStore(home, version="1")
    from codex_rpc.protocol.records import SessionRef

    _, log = await store.open(SessionRef(last=True), fsync="never")
    assert log is not None
    await log.close()
    await store.load(by_path(path))
    await store.read(by_path(path), cursor=None, limit=1, direction="forward")
    assert not cache_file(home).exists()


async def test_the_last_session_is_found_with_its_help(home: Path) -> None:
    from codex_rpc.protocol.records import SessionRef

    add(home, 1, says("one"))
    add(home, 2, says("two"), cwd="/other")
    listed(home)
    store = RolloutStore(home, version="1")
    assert (await store.load(SessionRef(last=True, cwd="/w"))).session_id == uuid(1)
    assert (await store.load(SessionRef(last=True))).session_id == uuid(2)


@pytest.mark.parametrize("obstacle", ["directory", "pipe", "dangling link", "read-only folder"])
def test_whatever_is_in_its_place_a_list_is_a_list(home: Path, obstacle: str) -> None:
    add(home, 1, says("one"))
    place = cache_file(home)
    if obstacle == "directory":
        place.mkdir()
    elif obstacle == "pipe":
        os.mkfifo(place)
    elif obstacle == "dangling link":
        place.symlink_to("nowhere/at/all")
    else:
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        place.parent.chmod(0o500)
    try:
        assert titles(home) == ["one"]
        assert titles(home) == ["one"]
    finally:
        place.parent.chmod(0o700)


def test_what_a_killed_writer_left_is_removed_later(home: Path) -> None:
    add(home, 1, says("one"))
    old, new = home / "sessions/.catalog.old", home / "sessions/.catalog.new"
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    new.write_bytes(b"x")
    titles(home)
    assert (old.exists(), new.exists()) == (False, True)


def test_another_version_of_it_is_ignored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(home, 1, says("one"))
    pretend(home, "cached")
    assert titles(home) == ["cached"]
    monkeypatch.setattr(catalog_cache, "FORMAT", catalog_cache.FORMAT + 1)
    assert titles(home) == ["one"]


def test_names_with_any_characters_are_listed_and_kept_if_they_can_be(home: Path) -> None:
    path = add(home, 1, says("one"))
    for name in (b"a\tb.jsonl", b"a\nb.jsonl", b"\xff.jsonl", "ü\u2028.jsonl".encode()):
        copy = os.fsencode(path.parent) + b"/" + name
        Path(os.fsdecode(copy)).write_bytes(path.read_bytes())
    first = sorted(row.path for row in listed(home).sessions)
    assert len(first) == 5
    assert sorted(row.path for row in listed(home).sessions) == first
    pretend(home, "cached")
    assert sorted(titles(home)) == ["cached"] * 4 + ["one"]


def test_a_file_of_odd_name_that_is_gone_leaves_the_others(home: Path) -> None:
    path = add(home, 1, says("one"))
    odd = Path(os.fsdecode(os.fsencode(path.parent) + b"/\xff\t.jsonl"))
    odd.write_bytes(path.read_bytes())
    titles(home)
    pretend(home, "cached")
    odd.unlink()
    assert titles(home) == ["cached"]
    catalog_cache.forget(path, home)
    assert titles(home) == ["one"]


def test_when_a_file_was_changed_is_told_from_the_cache_too(home: Path) -> None:
    path = add(home, 86_400, says("one"))
    assert listed(home) == listed(home)
    (row,) = listed(home).sessions
    assert row.updated_at == "1970-01-02T00:00:00.000Z"
    os.utime(path, (0, 0))
    (row,) = listed(home).sessions
    assert row.updated_at == "1970-01-01T00:00:00.000Z"


def test_each_file_that_is_not_known_is_asked_for_once_before_its_turn(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(catalog, "READ_AHEAD", 3)
    monkeypatch.setattr(catalog, "read_ahead", lambda path: asked.append(path.name))
    paths = [add(home, number, says("hi")) for number in range(9, 0, -1)]
    assert len(listed(home).sessions) == 9
    # The first one's turn is at once.
    assert asked == [path.name for path in paths[1:]]
    asked.clear()
    for number in (7, 5):
        add(home, number, says("changed"))
    listed(home)
    assert asked == [paths[4].name]


@pytest.mark.parametrize("kind", ["file", "nothing", "directory", "pipe"])
def test_anything_can_be_asked_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "file":
        path.write_bytes(b"x")
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    read_ahead(path)


@pytest.mark.parametrize("query", [{}, {"cwd": "/w"}])
def test_a_list_of_files_that_are_known_can_be_stopped(
    home: Path, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any]
) -> None:
    class Stopped(Exception):
        pass

    def check() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Stopped

    for number in range(1, 6):
        add(home, number, says("hi"))
    listed(home)
    monkeypatch.setattr(catalog, "CHECKED_AT_ONCE", 2)
    seen: list[int] = []
    left = 3
    with pytest.raises(Stopped):
        list_sessions(
            home,
            SessionQuery(**query),
            live=frozenset(),
            check=check,
            on_progress=lambda done, _: seen.append(done),
        )
    assert seen == [0, 1, 2, 3]


def test_archived_sessions_have_their_own(home: Path) -> None:
    add(home, 1, says("one"))
    add(home, 2, says("two"), folder="archived_sessions")
    listed(home)
    listed(home, archived=True)
    assert b"two" not in cache_file(home).read_bytes()
    assert b"two" in (home / "archived_sessions/.catalog").read_bytes()
    assert [row.title for row in listed(home, archived=True).sessions] == ["two"]


@st.composite
def garblings(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(["cut", "flip", "insert", "swap lines", "replace"]))
    return kind, draw(st.floats(0, 1)), draw(st.binary(min_size=1, max_size=30))


def garbled(data: bytes, kind: str, where: float, extra: bytes) -> bytes:
    at = int(where * (len(data) - 1))
    match kind:
        case "cut":
            return data[:at]
        case "flip":
            return data[:at] + bytes([data[at] ^ (extra[0] or 1)]) + data[at + 1 :]
        case "insert":
            return data[:at] + extra + data[at:]
        case "swap lines":
            head, *lines = data.split(b"\n")
            return b"\n".join([head, *reversed(lines)])
    return extra


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(garblings())
def test_garbled_in_any_way_it_changes_nothing(home: Path, garbling: Any) -> None:
    if not home.exists():
        for number in range(1, 6):
            add(home, number, says(f"text {number}"), cwd=f"/{number}")
    cache_file(home).unlink(missing_ok=True)
    expected = listed(home)
    kind, where, extra = garbling
    cache_file(home).write_bytes(garbled(cache_file(home).read_bytes(), kind, where, extra))
    assert listed(home) == expected
    assert listed(home) == expected


def test_many_who_list_and_write_at_the_same_time_all_see_the_files(home: Path) -> None:
    for number in range(1, 30):
        add(home, number, says(f"text {number}"))
    expected = listed(home, limit=100).sessions
    wrong = []

    def work(me: int) -> None:
        for turn in range(10):
            if turn % 3 == me % 3:
                cache_file(home).unlink(missing_ok=True)
            if listed(home, limit=100, sort="updated").sessions != expected:
                wrong.append(me)

    threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not wrong

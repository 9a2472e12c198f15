"""Renaming, archiving and deleting sessions that are not open here."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.rollout_files import (
    SESSION_ID,
    FaultyFiles,
    by_path,
    full_disk,
    header,
    lines_of,
    texts,
    user,
    write_session,
)

from codex_rpc.protocol.errors import (
    InvalidParams,
    InvalidState,
    RolloutCorrupt,
    RolloutInUse,
    RolloutNotFound,
    RolloutWriteFailed,
)
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import SessionQuery, SessionRef
from codex_rpc.rollout.store import RolloutStore

OTHER_ID = "11111111-2222-4333-8444-555555555555"
GOLDEN = Path(__file__).parents[2] / "golden" / "rollouts"
FOREIGN = GOLDEN / "codex-0.137-plain.jsonl"
FOREIGN_ID = "01a20425-b0a1-7e42-a6ba-4a8f8d9bd2a5"
LONG_AGO = 1_000_000_000
NAME = f"rollout-2026-11-22T16-29-43-{SESSION_ID}.jsonl"


@pytest.fixture
def path(home: Path) -> Path:
    path = write_session(home / "sessions/2026/11/22" / NAME, user("one").value(), b'{"torn')
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
def foreign(home: Path) -> Path:
    """A session of today's Codex CLI."""
    path = home / f"sessions/2026/11/22/rollout-2026-11-22T16-45-23-{FOREIGN_ID}.jsonl"
    path.parent.mkdir(parents=True)
    first, rest = FOREIGN.read_text().split("\n", 1)
    path.write_text(first.replace(first.split('"id": "')[1][:36], FOREIGN_ID) + "\n" + rest)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def seen(path: Path) -> tuple[str, int, int]:
    """What must not change: content, time and inode."""
    stat = path.stat()
    return hashlib.sha256(path.read_bytes()).hexdigest(), stat.st_mtime_ns, stat.st_ino


class TestArchive:
    async def test_the_file_is_moved_as_it_is_and_back_to_the_folder_of_its_date(
        self, store: RolloutStore, home: Path, path: Path
    ) -> None:
        before = seen(path)
        await store.archive(SESSION_ID)
        archived = home / "archived_sessions" / NAME
        assert not path.exists()
        assert seen(archived) == before
        assert archived.parent.stat().st_mode & 0o777 == 0o700
        await store.archive(SESSION_ID)
        assert seen(archived) == before
        await store.unarchive(SESSION_ID.upper())
        assert not archived.exists()
        assert seen(path) == before
        await store.unarchive(SESSION_ID)
        assert seen(path) == before

    async def test_both_folders_are_made_durable(
        self, store: RolloutStore, files: FaultyFiles, path: Path
    ) -> None:
        await store.archive(SESSION_ID)
        assert files.calls.count("sync_folder") >= 2

    async def test_an_archived_session_is_read_and_listed_as_such_but_not_opened(
        self, store: RolloutStore, path: Path
    ) -> None:
        await store.archive(SESSION_ID)
        ref = SessionRef(session_id=SESSION_ID)
        with pytest.raises(RolloutNotFound):
            await store.open(ref, fsync="turn")
        assert texts((await store.load(ref)).items) == ["one"]
        page = await store.read(ref, cursor=None, limit=9, direction="backward")
        assert len(page.items) == 1
        assert (await store.list(SessionQuery(), live=set())).sessions == []
        (row,) = (await store.list(SessionQuery(archived=True), live=set())).sessions
        assert (row.session_id, row.archived) == (SESSION_ID, True)

    async def test_a_file_of_another_name_goes_to_the_folder_of_its_last_change(
        self, store: RolloutStore, home: Path
    ) -> None:
        path = write_session(home / f"archived_sessions/x-{SESSION_ID}.jsonl")
        os.utime(path, (LONG_AGO, LONG_AGO))
        await store.unarchive(SESSION_ID)
        assert (home / f"sessions/2001/09/09/x-{SESSION_ID}.jsonl").is_file()

    async def test_nothing_is_written_over(
        self, store: RolloutStore, home: Path, path: Path
    ) -> None:
        before = seen(path)
        in_the_way = home / "archived_sessions" / NAME
        in_the_way.mkdir(parents=True)
        with pytest.raises(RolloutWriteFailed, match="already"):
            await store.archive(SESSION_ID)
        in_the_way.rmdir()
        in_the_way.write_text("mine")
        # Now there is one in either place, and each is where it is to be.
        await store.archive(SESSION_ID)
        await store.unarchive(SESSION_ID)
        assert (seen(path), in_the_way.read_text()) == (before, "mine")

    async def test_a_held_session_stays_where_it_is(
        self, store: RolloutStore, home: Path, path: Path
    ) -> None:
        _, log = await store.open(by_path(path), fsync="turn")
        assert log is not None
        for other in (store, RolloutStore(home, version="1")):
            for attempt in (other.archive, other.delete):
                with pytest.raises(RolloutInUse):
                    await attempt(SESSION_ID)
        with pytest.raises(RolloutInUse):
            await store.rename(SESSION_ID, "x")
        assert path.is_file()
        await log.close()
        await store.archive(SESSION_ID)

    async def test_nobody_is_kept_out_afterwards(self, store: RolloutStore, path: Path) -> None:
        await store.archive(SESSION_ID)
        await store.unarchive(SESSION_ID)
        _, log = await store.open(by_path(path), fsync="turn")
        assert log is not None
        await log.append([user("two")])
        await log.close()

    @pytest.mark.parametrize("call", ["open_to_append", "lock", "make_folders"])
    async def test_a_failure_is_said_and_the_file_is_still_there(
        self, store: RolloutStore, files: FaultyFiles, path: Path, call: str
    ) -> None:
        before = seen(path)
        files.next(call, OSError(errno.EIO, "Input/output error"))
        with pytest.raises(RolloutWriteFailed, match="Input/output error"):
            await store.archive(SESSION_ID)
        assert seen(path) == before
        await store.archive(SESSION_ID)

    async def test_another_programs_file_is_moved_unaltered(
        self, store: RolloutStore, home: Path, foreign: Path
    ) -> None:
        before = seen(foreign)
        await store.archive(FOREIGN_ID)
        assert seen(home / "archived_sessions" / foreign.name) == before
        await store.unarchive(FOREIGN_ID)
        assert seen(foreign) == before

    async def test_a_damaged_session_can_be_put_away(self, store: RolloutStore, path: Path) -> None:
        path.write_bytes(b"\0" * 100)
        await store.archive(SESSION_ID)
        assert not path.exists()


class TestRename:
    async def test_the_title_is_a_record_in_the_file(self, store: RolloutStore, path: Path) -> None:
        before = path.read_bytes()
        await store.rename(SESSION_ID, "A ✓ title")
        assert path.read_bytes().startswith(before)
        assert (await store.load(by_path(path))).title == "A ✓ title"
        # The torn line was ended first.
        assert (
            path.read_bytes()[len(before) :].split(b"\n")[1].startswith(b'{"record_type":"damaged"')
        )
        assert not list((path.parents[3] / ".live").glob("*"))

    async def test_an_archived_session_can_be_renamed(
        self, store: RolloutStore, home: Path, path: Path
    ) -> None:
        await store.archive(SESSION_ID)
        await store.rename(SESSION_ID, "new")
        (row,) = (await store.list(SessionQuery(archived=True), live=set())).sessions
        assert row.title == "new"

    async def test_another_programs_file_is_not_touched(
        self, store: RolloutStore, foreign: Path
    ) -> None:
        before = seen(foreign)
        with pytest.raises(InvalidState, match="fork it first"):
            await store.rename(FOREIGN_ID, "x")
        assert seen(foreign) == before

    @pytest.mark.parametrize("call", ["write", "sync", "close"])
    async def test_a_failure_is_said_and_holds_nothing(
        self, store: RolloutStore, files: FaultyFiles, path: Path, call: str
    ) -> None:
        files.next(call, full_disk())
        with pytest.raises(RolloutWriteFailed, match="No space left"):
            await store.rename(SESSION_ID, "x")
        await store.rename(SESSION_ID, "y")
        assert (await store.load(by_path(path))).title == "y"

    async def test_what_is_no_session_is_not_renamed(self, store: RolloutStore, path: Path) -> None:
        with pytest.raises(RolloutNotFound):
            await store.rename(OTHER_ID, "x")
        with pytest.raises(InvalidParams):
            await store.rename("x", "x")
        path.write_bytes(b"no header\n")
        with pytest.raises(RolloutCorrupt):
            await store.rename(SESSION_ID, "x")
        assert path.read_bytes() == b"no header\n"


def large(text: str) -> Item:
    output = text * 300_000
    return Item.from_value({"type": "function_call_output", "call_id": "c", "output": output})


def blobs(home: Path, *, is_settled: bool = True) -> list[Path]:
    found = [path for path in (home / "sessions/blobs").rglob("*") if path.is_file()]
    if is_settled:
        for path in found:
            os.utime(path, (LONG_AGO, LONG_AGO))
    return sorted(found)


async def with_strings(store: RolloutStore, session_id: str, *letters: str) -> Path:
    """A closed session with a large string for each letter."""
    log = await store.create(header(Path("/w"), session_id), [], fsync="turn")
    await log.append([large(letter) for letter in letters])
    await log.close()
    return log.path


class TestDelete:
    async def test_the_file_is_gone_archived_or_not(self, store: RolloutStore, path: Path) -> None:
        await store.delete(SESSION_ID)
        assert not path.exists()
        with pytest.raises(RolloutNotFound):
            await store.delete(SESSION_ID)
        write_session(path)
        await store.archive(SESSION_ID)
        await store.delete(SESSION_ID)
        with pytest.raises(RolloutNotFound):
            await store.load(SessionRef(session_id=SESSION_ID))

    async def test_what_only_it_refers_to_goes_with_it(
        self, store: RolloutStore, home: Path
    ) -> None:
        await with_strings(store, SESSION_ID, "a", "b", "c")
        await with_strings(store, OTHER_ID, "b")
        third = await with_strings(store, FOREIGN_ID, "c", "d")
        await store.archive(FOREIGN_ID)
        assert len(blobs(home)) == 4
        await store.delete(SESSION_ID)
        left = {path.read_text()[0] for path in blobs(home)}
        assert left == {"b", "c", "d"}
        archived = home / "archived_sessions" / third.name
        saved = await store.load(by_path(archived))
        assert [item.raw for item in saved.items] == [large("c").raw, large("d").raw]
        assert saved.damage == ()
        await store.delete(OTHER_ID)
        await store.delete(FOREIGN_ID)
        assert blobs(home) == []

    @pytest.mark.parametrize("other", ["a pipe", "a link to nowhere"])
    async def test_nothing_goes_with_it_if_another_file_cannot_be_read(
        self, store: RolloutStore, home: Path, other: str
    ) -> None:
        path = await with_strings(store, SESSION_ID, "a")
        strange = home / "sessions/strange.jsonl"
        if other == "a pipe":
            os.mkfifo(strange)
        else:
            strange.symlink_to(home / "nowhere")
        assert len(blobs(home)) == 1
        await store.delete(SESSION_ID)
        assert not path.exists()
        assert len(blobs(home)) == 1

    async def test_what_somebody_may_just_have_found_stays(
        self, store: RolloutStore, home: Path
    ) -> None:
        await with_strings(store, SESSION_ID, "a", "b")
        for path in blobs(home):
            if path.read_text()[0] == "b":
                os.utime(path)
        # Another session is about to say that it refers to the same content.
        await store.delete(SESSION_ID)
        assert [path.read_text()[0] for path in blobs(home, is_settled=False)] == ["b"]

    async def test_what_is_found_again_is_not_old_any_more(
        self, store: RolloutStore, home: Path
    ) -> None:
        await with_strings(store, SESSION_ID, "a")
        (blob,) = blobs(home)
        await with_strings(store, OTHER_ID, "a")
        assert blob.stat().st_mtime > LONG_AGO

    async def test_a_string_that_looks_like_a_reference_keeps_nothing(
        self, store: RolloutStore, home: Path
    ) -> None:
        path = await with_strings(store, SESSION_ID, "a")
        record = lines_of(path)[1]
        assert record["record_type"] == "blobs"
        (blob,) = blobs(home)
        text = '{"record_type":"blobs"} ' + blob.name
        write_session(home / f"sessions/x-{OTHER_ID}.jsonl", user(text).value())
        await store.delete(SESSION_ID)
        assert blobs(home) == []

    async def test_a_string_that_cannot_be_removed_does_not_bring_the_session_back(
        self, store: RolloutStore, home: Path
    ) -> None:
        path = await with_strings(store, SESSION_ID, "a")
        (blob,) = blobs(home)
        blob.unlink()
        blob.mkdir()
        os.utime(blob, (LONG_AGO, LONG_AGO))
        await store.delete(SESSION_ID)
        assert not path.exists()

    async def test_a_failure_is_said_and_the_file_is_still_there(
        self, store: RolloutStore, files: FaultyFiles, path: Path
    ) -> None:
        before = seen(path)
        files.next("open_to_append", PermissionError(errno.EACCES, "Permission denied"))
        with pytest.raises(RolloutWriteFailed, match="Permission denied"):
            await store.delete(SESSION_ID)
        assert seen(path) == before


TRASHING = """
import sys, anyio
from pathlib import Path
from codex_rpc.protocol.errors import RolloutWriteFailed
from codex_rpc.rollout.store import RolloutStore

async def main(home, session_id):
    try:
        await RolloutStore(Path(home), version="1", has_trash=True).delete(session_id)
    except RolloutWriteFailed:
        print("failed")

anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into the trash of freedesktop.org")
class TestTrash:
    def delete(self, home: Path, data_home: Path) -> str:
        argv = [sys.executable, "-c", TRASHING, str(home), SESSION_ID]
        environ = {**os.environ, "XDG_DATA_HOME": str(data_home), "HOME": str(data_home)}
        return subprocess.run(
            argv, env=environ, check=True, capture_output=True, text=True, timeout=15
        ).stdout

    async def test_where_there_is_a_trash_everything_goes_there(
        self, store: RolloutStore, home: Path, tmp_path: Path
    ) -> None:
        path = await with_strings(store, SESSION_ID, "a")
        (blob,) = blobs(home)
        (tmp_path / "data").mkdir()
        assert self.delete(home, tmp_path / "data") == ""
        trash = tmp_path / "data/Trash/files"
        assert {entry.name for entry in trash.iterdir()} == {path.name, blob.name}
        assert not path.exists()
        shutil.move(trash / path.name, path)
        shutil.move(trash / blob.name, blob)
        saved = await store.load(by_path(path))
        assert [item.raw for item in saved.items] == [large("a").raw]

    def test_a_trash_that_takes_nothing_is_said(
        self, home: Path, path: Path, tmp_path: Path
    ) -> None:
        before = seen(path)
        (tmp_path / "data").write_text("a file in its way")
        assert self.delete(home, tmp_path / "data") == "failed\n"
        assert seen(path) == before

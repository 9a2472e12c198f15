"""Creating and opening session files: names, modes, locks, and which file is meant."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import anyio
import pytest
from anyio import fail_after
from support.rollout_files import (
    SESSION_ID,
    FaultyFiles,
    Gate,
    by_path,
    context,
    full_disk,
    header,
    lines_of,
    opened,
    texts,
    user,
    write_session,
)

from codex_rpc.protocol.errors import (
    InvalidParams,
    RolloutCorrupt,
    RolloutInUse,
    RolloutNewer,
    RolloutNotFound,
    RolloutWriteFailed,
)
from codex_rpc.protocol.records import (
    CompactedRecord,
    Origin,
    SavedSession,
    SessionRef,
    TitleRecord,
)
from codex_rpc.rollout.files import OS_FILES
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.rollout.writer import RolloutLog

OTHER_ID = "11111111-2222-4333-8444-555555555555"
FOREIGN_LINE = {
    "timestamp": "2026-11-22T16:45:23.858Z",
    "type": "session_meta",
    "payload": {"id": OTHER_ID, "timestamp": "2026-11-22T16:45:23.836Z", "cwd": "/w"},
}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def in_folder(folder: Path, number: int, *lines: object, mtime: int, **head: object) -> Path:
    """A session file with a name as they have, of its own id, last changed at `mtime`."""
    session_id = f"00000000-0000-4000-8000-{number:012}"
    path = folder / f"2026/11/22/rollout-2026-11-22T10-00-00-{session_id}.jsonl"
    head = {"format": 1, "cwd": "/w", **head, "id": session_id}
    write_session(path, *lines, **head)
    os.utime(path, (mtime, mtime))
    return path


ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


class TestCreate:
    async def test_the_file_begins_with_the_header_and_the_first_records(
        self, store: RolloutStore, files: FaultyFiles
    ) -> None:
        log = await store.create(
            header(Path("/w"), instructions="Be brief."), [context()], fsync="turn"
        )
        first, second = lines_of(log.path)
        assert list(first)[:3] == ["id", "timestamp", "instructions"]
        assert first == {
            "id": SESSION_ID,
            "timestamp": "2026-11-22T16:29:43.832Z",
            "instructions": "Be brief.",
            "format": 1,
            "cwd": "/w",
            "originator": "codex-rpc",
            "version": "9.9",
        }
        assert second["record_type"] == "context"
        assert files.calls.count("write") == 1
        await log.close()

    async def test_name_and_time_are_utc(self, store: RolloutStore, home: Path) -> None:
        moment = datetime(2026, 1, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=5)))
        log = await store.create(header(Path("/w"), timestamp=moment), [], fsync="turn")
        name = f"2025/12/31/rollout-2025-12-31T20-02-03-{SESSION_ID}.jsonl"
        assert log.path == home / "sessions" / name
        assert lines_of(log.path)[0]["timestamp"] == "2025-12-31T20:02:03.000Z"
        await log.close()

    @pytest.mark.parametrize("umask", [0, 0o777])
    async def test_modes_do_not_depend_on_the_umask(
        self, store: RolloutStore, home: Path, umask: int, open_umask: None
    ) -> None:
        os.umask(umask)
        log = await store.create(header(Path("/w")), [], fsync="turn")
        os.umask(0)
        assert mode(log.path) == 0o600
        folder = log.path.parent
        while folder != home.parent:
            assert mode(folder) == 0o700
            folder = folder.parent
        note = home / "sessions/.live" / f"{SESSION_ID}.json"
        if umask == 0:
            assert (mode(note), mode(note.parent)) == (0o600, 0o700)
        await log.close()

    async def test_where_a_session_was_forked_from_is_kept(self, store: RolloutStore) -> None:
        for origin, told in (
            (Origin(id=OTHER_ID, path="/x.jsonl", item=3), {"item": 3}),
            (Origin(id=OTHER_ID, path="/x.jsonl", size=70), {"size": 70}),
        ):
            log = await store.create(header(Path("/w"), forked_from=origin), [], fsync="turn")
            expected = {"id": OTHER_ID, "path": "/x.jsonl", **told}
            assert lines_of(log.path)[0]["forked_from"] == expected
            await log.close()
            assert (await store.load(by_path(log.path))).forked_from == origin
            log.path.unlink()

    async def test_the_header_tells_the_repository(
        self, store: RolloutStore, tmp_path: Path
    ) -> None:
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
        log = await store.create(header(tmp_path), [], fsync="turn")
        assert lines_of(log.path)[0]["git"] == {"branch": "main"}
        await log.close()

    @pytest.mark.parametrize("call", ["make_folders", "create", "lock", "write", "sync_folder"])
    async def test_a_failure_leaves_nothing_behind(
        self, store: RolloutStore, files: FaultyFiles, home: Path, call: str
    ) -> None:
        files.next(call, full_disk())
        with pytest.raises(RolloutWriteFailed) as caught:
            await store.create(header(Path("/w")), [user("one")], fsync="turn")
        assert caught.value.reason == "No space left on device"
        assert not [path for path in home.rglob("*") if path.is_file()]
        log = await store.create(header(Path("/w")), [], fsync="turn")
        await log.close()

    async def test_a_disk_that_fills_in_the_middle_leaves_nothing_behind(
        self, store: RolloutStore, files: FaultyFiles, home: Path
    ) -> None:
        files.next("write", 100, full_disk())
        with pytest.raises(RolloutWriteFailed):
            await store.create(header(Path("/w")), [user("one")], fsync="turn")
        assert not [path for path in home.rglob("*") if path.is_file()]

    async def test_a_file_in_the_way_is_an_error_and_stays(
        self, store: RolloutStore, home: Path
    ) -> None:
        first = await store.create(header(Path("/w")), [], fsync="turn")
        await first.close()
        before = first.path.read_bytes()
        with pytest.raises(RolloutWriteFailed, match="exists"):
            await store.create(header(Path("/w")), [], fsync="turn")
        assert first.path.read_bytes() == before
        (home / "sessions/2026/11/23").write_text("")
        tomorrow = datetime(2026, 11, 23, tzinfo=UTC)
        with pytest.raises(RolloutWriteFailed):
            await store.create(header(Path("/w"), timestamp=tomorrow), [], fsync="turn")

    async def test_cancelled_it_leaves_no_file(
        self, store: RolloutStore, files: FaultyFiles, home: Path
    ) -> None:
        gate = Gate()
        files.next("write", gate.pass_through)
        with opened(gate), fail_after(5):
            async with anyio.create_task_group() as group:

                async def create() -> None:
                    await store.create(header(Path("/w")), [], fsync="turn")

                group.start_soon(create)
                await anyio.to_thread.run_sync(gate.wait_entered)
                group.cancel_scope.cancel()
                gate.open()
        assert not [path for path in home.rglob("*") if path.is_file()]
        log = await store.create(header(Path("/w")), [], fsync="turn")
        await log.close()


class TestOpen:
    async def test_what_was_written_is_read_and_written_on(self, store: RolloutStore) -> None:
        log = await store.create(header(Path("/w")), [user("one")], fsync="turn")
        await log.close()
        saved, log = await store.open(SessionRef(session_id=SESSION_ID), fsync="turn")
        assert (saved.session_id, saved.path, texts(saved.items)) == (SESSION_ID, log.path, ["one"])
        await log.append([user("two")])
        await log.close()
        saved, log = await store.open(by_path(log.path), fsync="turn")
        assert texts(saved.items) == ["one", "two"]
        await log.close()

    async def test_opening_and_closing_changes_nothing_on_disk(
        self, store: RolloutStore, home: Path
    ) -> None:
        path = in_folder(home / "sessions", 1, ITEM, b'{"torn', mtime=1_000)
        before = {p: p.stat().st_mtime_ns for p in home.rglob("*")}
        data = path.read_bytes()
        saved, log = await store.open(by_path(path), fsync="turn")
        await log.flush()
        await log.sync()
        await log.close()
        assert {p: p.stat().st_mtime_ns for p in home.rglob("*")} == before
        assert path.read_bytes() == data
        assert saved.updated_at == datetime.fromtimestamp(1_000, UTC)

    async def test_a_held_session_is_in_use_also_for_this_process(
        self, store: RolloutStore, home: Path
    ) -> None:
        log = await store.create(header(Path("/w")), [user("one")], fsync="turn")
        with pytest.raises(RolloutInUse) as caught:
            await store.open(by_path(log.path), fsync="turn")
        assert caught.value.data == {
            "sessionId": SESSION_ID,
            "reason": "it is open in this process",
            "pid": os.getpid(),
        }
        elsewhere = RolloutStore(home, version="")
        with pytest.raises(RolloutInUse) as caught:
            await elsewhere.open(by_path(log.path), fsync="turn")
        assert caught.value.data["pid"] == os.getpid()
        assert caught.value.data["host"]
        await log.close()
        assert not list((home / "sessions/.live").iterdir())
        _, log = await store.open(by_path(log.path), fsync="turn")
        await log.close()

    async def test_who_holds_a_session_is_known_from_its_first_append(
        self, store: RolloutStore, home: Path, tmp_path: Path
    ) -> None:
        path = in_folder(home / "sessions", 1, ITEM, mtime=1_000)
        _, log = await store.open(by_path(path), fsync="turn")
        elsewhere = RolloutStore(home, version="")
        for known in (False, True):
            with pytest.raises(RolloutInUse) as caught:
                await elsewhere.open(by_path(path), fsync="turn")
            assert ("pid" in caught.value.data) == known
            await log.append([user("one")])
        await log.close()

    @pytest.mark.parametrize(
        "note", [b"", b"[]", b'{"pid": 1}', b'{"pid": 4194305, "host": "%s"}', b'{"pid": -1}']
    )
    async def test_a_stale_or_broken_note_is_ignored(
        self, store: RolloutStore, home: Path, note: bytes
    ) -> None:
        path = in_folder(home / "sessions", 1, ITEM, mtime=1_000)
        _, log = await store.open(by_path(path), fsync="turn")
        note_path = home / "sessions/.live/00000000-0000-4000-8000-000000000001.json"
        note_path.parent.mkdir()
        note_path.write_bytes(note.replace(b"%s", os.uname().nodename.encode()))
        with pytest.raises(RolloutInUse) as caught:
            await RolloutStore(home, version="").open(by_path(path), fsync="turn")
        assert "pid" not in caught.value.data
        await log.close()

    @pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
    async def test_without_locks_reading_works_and_writing_is_refused(
        self, store: RolloutStore, files: FaultyFiles, home: Path, code: int
    ) -> None:
        path = in_folder(home / "sessions", 1, ITEM, mtime=1_000)
        files.next("lock", OSError(code, os.strerror(code)), OSError(code, os.strerror(code)))
        for attempt in (
            lambda: store.open(by_path(path), fsync="turn"),
            lambda: store.create(header(Path("/w")), [], fsync="turn"),
        ):
            with pytest.raises(RolloutWriteFailed, match="read and forked"):
                await attempt()
        page = await store.read(by_path(path), cursor=None, limit=9, direction="backward")
        assert [entry.item for entry in page.items] == [ITEM]

    async def test_a_file_that_may_not_be_written_is_refused(
        self, store: RolloutStore, files: FaultyFiles, home: Path
    ) -> None:
        path = in_folder(home / "sessions", 1, ITEM, mtime=1_000)
        files.next("open_to_append", PermissionError(errno.EACCES, "Permission denied"))
        with pytest.raises(RolloutWriteFailed, match="Permission denied; it can be read"):
            await store.open(by_path(path), fsync="turn")

    async def test_cancelled_it_holds_nothing(
        self, store: RolloutStore, files: FaultyFiles, home: Path
    ) -> None:
        path = in_folder(home / "sessions", 1, ITEM, mtime=1_000)
        gate = Gate()
        files.next("lock", gate.pass_through)
        with opened(gate), fail_after(5):
            async with anyio.create_task_group() as group:

                async def resume() -> None:
                    await store.open(by_path(path), fsync="turn")

                group.start_soon(resume)
                await anyio.to_thread.run_sync(gate.wait_entered)
                group.cancel_scope.cancel()
                gate.open()
        _, log = await store.open(by_path(path), fsync="turn")
        await log.close()


class TestWhichFile:
    async def test_an_id_finds_the_file_whose_name_ends_in_it(
        self, store: RolloutStore, home: Path
    ) -> None:
        path = in_folder(home / "sessions/elsewhere", 1, ITEM, mtime=1_000)
        ref = SessionRef(session_id="00000000-0000-4000-8000-000000000001".upper())
        saved, log = await store.open(ref, fsync="turn")
        assert saved.path == path
        await log.close()

    async def test_an_unknown_id_names_the_folder_that_was_searched(
        self, store: RolloutStore, home: Path
    ) -> None:
        with pytest.raises(RolloutNotFound, match=re.escape(str(home / "sessions"))):
            await store.open(SessionRef(session_id=OTHER_ID), fsync="turn")

    @pytest.mark.parametrize("session_id", ["", "x", "../../etc/passwd", OTHER_ID + "0"])
    async def test_what_is_no_uuid_is_not_looked_for(
        self, store: RolloutStore, session_id: str
    ) -> None:
        with pytest.raises(InvalidParams) as caught:
            await store.open(SessionRef(session_id=session_id), fsync="turn")
        assert caught.value.path == "sessionId"

    async def test_a_path_may_lie_anywhere_but_is_absolute(
        self, store: RolloutStore, tmp_path: Path
    ) -> None:
        path = write_session(tmp_path / "anything.txt", ITEM)
        saved, log = await store.open(by_path(path), fsync="turn")
        assert saved.session_id == SESSION_ID
        await log.close()
        with pytest.raises(InvalidParams):
            await store.open(SessionRef(path="anything.txt"), fsync="turn")

    async def test_a_file_named_for_another_session_is_not_opened_by_id(
        self, store: RolloutStore, home: Path
    ) -> None:
        path = home / f"sessions/rollout-x-{OTHER_ID}.jsonl"
        write_session(path, ITEM)
        with pytest.raises(RolloutCorrupt, match=SESSION_ID):
            await store.open(SessionRef(session_id=OTHER_ID), fsync="turn")

    async def test_last_is_the_newest_that_can_be_continued(
        self, store: RolloutStore, home: Path
    ) -> None:
        sessions = home / "sessions"
        in_folder(sessions, 1, ITEM, mtime=1_000)
        expected = in_folder(sessions, 2, ITEM, mtime=2_000)
        in_folder(sessions, 3, mtime=3_000)
        in_folder(home / "archived_sessions", 4, ITEM, mtime=4_000)
        in_folder(sessions, 5, ITEM, mtime=5_000).write_text("no header\n")
        in_folder(sessions, 6, ITEM, mtime=6_000, format=2)
        foreign = in_folder(sessions, 7, ITEM, mtime=7_000)
        write_session(foreign, {**FOREIGN_LINE, "type": "response_item"}, **FOREIGN_LINE)
        saved, log = await store.open(SessionRef(last=True), fsync="turn")
        assert saved.path == expected
        await log.close()

    async def test_last_of_a_folder_is_the_newest_that_was_last_used_there(
        self, store: RolloutStore, home: Path
    ) -> None:
        sessions = home / "sessions"
        in_folder(sessions, 1, ITEM, mtime=1_000, cwd="/here")
        moved = {"record_type": "context", "cwd": "/here"}
        expected = in_folder(sessions, 2, ITEM, moved, mtime=2_000, cwd="/there")
        left = {"record_type": "context", "cwd": "/there"}
        in_folder(sessions, 3, ITEM, left, mtime=3_000, cwd="/here")
        saved, log = await store.open(SessionRef(last=True, cwd="/here"), fsync="turn")
        assert saved.path == expected
        await log.close()
        with pytest.raises(RolloutNotFound, match="/nowhere"):
            await store.open(SessionRef(last=True, cwd="/nowhere"), fsync="turn")

    async def test_last_passes_over_what_others_hold_but_not_over_our_own(
        self, store: RolloutStore, home: Path
    ) -> None:
        older = in_folder(home / "sessions", 1, ITEM, mtime=1_000)
        newer = in_folder(home / "sessions", 2, ITEM, mtime=2_000)
        elsewhere = RolloutStore(home, version="")
        _, held = await elsewhere.open(by_path(newer), fsync="turn")
        saved, ours = await store.open(SessionRef(last=True), fsync="turn")
        assert saved.path == older
        await held.close()
        await ours.close()
        _, ours = await store.open(by_path(newer), fsync="turn")
        with pytest.raises(RolloutInUse, match="000000000002"):
            await store.open(SessionRef(last=True), fsync="turn")
        await ours.close()


class TestWhatCannotBeOpened:
    @pytest.fixture
    def path(self, home: Path) -> Path:
        path = in_folder(home / "sessions", 1, ITEM, mtime=1_000)
        path.unlink()
        return path

    async def refuses(
        self, store: RolloutStore, path: Path, error: type[Exception], match: str | None = None
    ) -> Exception:
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(error, match=match) as caught:
            await store.open(by_path(path), fsync="turn")
        assert before is None or path.read_bytes() == before
        return caught.value

    async def test_a_missing_file(self, store: RolloutStore, path: Path) -> None:
        await self.refuses(store, path, RolloutNotFound)
        await self.refuses(store, path / "below/nothing", RolloutNotFound)
        await self.refuses(store, Path(f"{path}\0"), RolloutNotFound)

    async def test_a_link_that_leads_nowhere(self, store: RolloutStore, path: Path) -> None:
        path.symlink_to(path.with_name("nothing"))
        await self.refuses(store, path, RolloutNotFound)

    async def test_a_path_below_a_file(self, store: RolloutStore, path: Path) -> None:
        path.write_text("")
        await self.refuses(store, path / "x", RolloutNotFound)

    async def test_a_directory(self, store: RolloutStore, path: Path) -> None:
        path.mkdir()
        await self.refuses(store, path, RolloutCorrupt, "directory")

    async def test_a_pipe(self, store: RolloutStore, path: Path) -> None:
        os.mkfifo(path)
        with fail_after(5):
            await self.refuses(store, path, RolloutCorrupt, "regular")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    async def test_a_file_that_may_not_be_read(self, store: RolloutStore, path: Path) -> None:
        write_session(path, ITEM)
        path.chmod(0)
        await self.refuses(store, path, RolloutCorrupt, "denied")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\n",
            b"text\n",
            b"[]\n",
            b"{}\n",
            b'{"id": 7, "timestamp": "t"}\n',
            b'{"id": "80d91436", "timestamp": "t"}\n',
            b'{"id": "80d91436-7c5d-4d24-bc76-3118667a490a"}\n',
            b'{"id": "80d91436-7c5d-4d24-bc76-3118667a490a", "timestamp": "t", "format": "1"}\n',
            b'{"id": "80d91436-7c5d-4d24-bc76-3118667a490a", "timestamp": "t", "format": true}\n',
            b'{"type": "message", "id": "80d91436-7c5d-4d24-bc76-3118667a490a", "timestamp": ""}\n',
            b'\n{"id": "80d91436-7c5d-4d24-bc76-3118667a490a", "timestamp": "t"}\n',
            b'{"id": "80d91436-7c5d-4d24-bc76-3118667a490a", "timest',
            b'{"type": "session_meta", "payload": {}}\n',
            b"\0" * 4096,
        ],
    )
    async def test_a_file_without_a_valid_header(
        self, store: RolloutStore, path: Path, content: bytes
    ) -> None:
        path.write_bytes(content)
        error = await self.refuses(store, path, RolloutCorrupt)
        assert isinstance(error, RolloutCorrupt)
        assert (error.line_no, error.data["line"]) == (1, 1)
        assert error.data["path"] == str(path)

    async def test_a_newer_format(self, store: RolloutStore, path: Path) -> None:
        write_session(path, ITEM, format=2, cwd="/w")
        await self.refuses(store, path, RolloutNewer, "upgrade")


class TestAnotherProgramsFile:
    """Today's Codex CLI's: read, never written; continued in files of ours."""

    @pytest.fixture
    def path(self, home: Path) -> Path:
        path = home / f"sessions/2026/11/22/rollout-2026-11-22T16-45-23-{OTHER_ID}.jsonl"
        write_session(path, self.line("hi"), self.line("there"), **FOREIGN_LINE)
        os.utime(path, (1_000, 1_000))
        return path

    @staticmethod
    def line(text: str) -> dict[str, object]:
        payload = {**ITEM, "content": [{"type": "input_text", "text": text}]}
        return {**FOREIGN_LINE, "type": "response_item", "payload": payload}

    @staticmethod
    def seen(path: Path) -> tuple[str, int, int]:
        stat = path.stat()
        return hashlib.sha256(path.read_bytes()).hexdigest(), stat.st_mtime_ns, stat.st_ino

    @staticmethod
    async def opened(store: RolloutStore) -> tuple[SavedSession, RolloutLog | None]:
        return await store.open(SessionRef(session_id=OTHER_ID), fsync="turn")

    async def continued(
        self, store: RolloutStore, number: int, text: str, origin: Origin | None = None
    ) -> RolloutLog:
        """A file of ours that goes on with the session as it is now, or with `origin`."""
        if origin is None:
            saved, _ = await self.opened(store)
            assert saved.foreign is not None
            origin = saved.foreign
        head = header(
            Path("/w"),
            f"00000000-0000-4000-8000-{number:012}",
            forked_from=origin,
            timestamp=datetime(2026, 11, 23, number, tzinfo=UTC),
        )
        return await store.create(head, [user("hi"), user("there"), user(text)], fsync="turn")

    async def test_it_is_told_whole_and_neither_held_nor_altered(
        self, store: RolloutStore, files: FaultyFiles, path: Path
    ) -> None:
        before = self.seen(path)
        files.calls.clear()
        saved, log = await self.opened(store)
        assert log is None
        assert texts(saved.items) == ["hi", "there"]
        assert saved.foreign == Origin(id=OTHER_ID, path=str(path), size=path.stat().st_size)
        assert files.calls == []
        assert self.seen(path) == before
        fd = os.open(path, os.O_RDONLY)
        assert OS_FILES.lock(fd)
        os.close(fd)

    async def test_its_continuation_is_opened_in_its_place(
        self, store: RolloutStore, path: Path
    ) -> None:
        before = self.seen(path)
        log = await self.continued(store, 1, "and on")
        await log.close()
        for ref in (SessionRef(session_id=OTHER_ID), by_path(path)):
            saved, again = await store.open(ref, fsync="turn")
            assert again is not None
            assert (saved.path, saved.foreign) == (log.path, None)
            assert saved.session_id == "00000000-0000-4000-8000-000000000001"
            assert saved.forked_from == Origin(
                id=OTHER_ID, path=str(path), size=path.stat().st_size
            )
            assert texts(saved.items)[:3] == ["hi", "there", "and on"]
            await again.append([user("more")])
            await again.close()
        assert self.seen(path) == before

    async def test_of_several_the_one_that_was_last_used(
        self, store: RolloutStore, path: Path
    ) -> None:
        saved, _ = await self.opened(store)
        for number, mtime in ((1, 2_000), (2, 4_000), (3, 3_000)):
            log = await self.continued(store, number, str(number), saved.foreign)
            await log.close()
            os.utime(log.path, (mtime, mtime))
        saved, log = await self.opened(store)
        assert texts(saved.items)[-1] == "2"
        await log.close()

    async def test_not_after_it_has_grown(self, store: RolloutStore, path: Path) -> None:
        log = await self.continued(store, 1, "and on")
        await log.close()
        with path.open("ab") as file:
            file.write(b'{"type":"event_msg","payload":{}}\n')
        saved, log = await self.opened(store)
        assert log is None
        assert saved.foreign is not None
        assert saved.foreign.size == path.stat().st_size

    async def test_a_fork_is_no_continuation(self, store: RolloutStore, path: Path) -> None:
        size = path.stat().st_size
        for number, origin in enumerate(
            (
                Origin(id=OTHER_ID, path=str(path)),
                Origin(id=OTHER_ID, path=str(path), item=1),
                Origin(id=SESSION_ID, path=str(path), size=size),
            )
        ):
            log = await self.continued(store, number, "forked", origin)
            await log.close()
        assert (await self.opened(store))[1] is None

    async def test_a_continuation_that_is_open_is_in_use(
        self, store: RolloutStore, home: Path, path: Path
    ) -> None:
        log = await self.continued(store, 1, "and on")
        for other in (store, RolloutStore(home, version="")):
            with pytest.raises(RolloutInUse) as caught:
                await self.opened(other)
            assert caught.value.data["sessionId"] == "00000000-0000-4000-8000-000000000001"
            assert caught.value.data["pid"] == os.getpid()
        await log.close()

    async def test_files_that_cannot_be_read_are_no_continuations(
        self, store: RolloutStore, home: Path, path: Path
    ) -> None:
        head = b'{"forked_from":'
        (home / "sessions/broken.jsonl").write_bytes(head)
        (home / "sessions/nowhere.jsonl").symlink_to(home / "nowhere")
        os.mkfifo(home / "sessions/pipe.jsonl")
        with fail_after(5):
            assert (await self.opened(store))[1] is None

    async def test_an_archived_one_is_loaded_but_not_opened(
        self, store: RolloutStore, path: Path
    ) -> None:
        await store.archive(OTHER_ID)
        with pytest.raises(RolloutNotFound):
            await self.opened(store)
        saved = await store.load(SessionRef(session_id=OTHER_ID), up_to=0)
        assert texts(saved.items) == ["hi"]
        assert saved.foreign is not None


class TestLoad:
    async def test_it_holds_nothing_and_writes_nothing(
        self, store: RolloutStore, files: FaultyFiles, home: Path
    ) -> None:
        path = in_folder(home / "sessions", 1, ITEM, b'{"torn', mtime=1_000)
        before = path.read_bytes()
        _, log = await store.open(by_path(path), fsync="turn")
        files.calls.clear()
        saved = await store.load(by_path(path))
        assert [item.value() for item in saved.items] == [ITEM]
        assert files.calls == []
        assert path.read_bytes() == before
        await log.close()

    async def test_up_to_is_an_index_of_the_session_whatever_was_compacted(
        self, store: RolloutStore
    ) -> None:
        log = await store.create(header(Path("/w")), [context()], fsync="turn")
        await log.append([user(str(number)) for number in range(4)])
        await log.append([CompactedRecord("in short", 4), context(), TitleRecord("t")])
        await log.append([user("4"), user("5")])
        ref = SessionRef(session_id=SESSION_ID)
        whole = await store.load(ref)
        assert (whole.items_before, texts(whole.items)) == (4, ["in short", "4", "5"])
        for up_to, expected in ((0, ["0"]), (3, ["0", "1", "2", "3"]), (4, ["in short", "4"])):
            saved = await store.load(ref, up_to=up_to)
            assert texts(saved.items) == expected
            assert saved.title == "t"
        for up_to in (-1, 6):
            with pytest.raises(InvalidParams):
                await store.load(ref, up_to=up_to)
        await log.close()

"""Large strings beside the session files: stored once, put back only where they were taken out."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rollout_files import (
    SESSION_ID,
    FaultyFiles,
    by_path,
    full_disk,
    header,
    lines_of,
    user,
    write_session,
)

from codex_rpc.protocol.errors import RolloutWriteFailed
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import SessionRef
from codex_rpc.rollout.blobs import (
    EMPTY_IMAGE,
    MAX_IMAGE_BYTES,
    MAX_TEXT_BYTES,
    SHOWN_CHARS,
    BlobDamaged,
    BlobFolder,
    blob_path,
)
from codex_rpc.rollout.files import OS_FILES
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.rollout.writer import RolloutLog

PICTURE = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 100).decode()
LONG = "the beginning\n" + "lines and lines\n" * 20_000 + "the end"


def image(url: str = PICTURE) -> Item:
    part = {"type": "input_image", "image_url": url, "detail": "high"}
    return Item.from_value({"type": "message", "role": "user", "content": [part]})


def output(text: str = LONG, call_id: str = "c1") -> Item:
    value = {"type": "function_call_output", "call_id": call_id, "output": text}
    return Item.from_value(value)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def stored(home: Path) -> set[Path]:
    """Every file below the folder of the blobs."""
    return {path for path in (home / "sessions/blobs").rglob("*") if path.is_file()}


async def create(store: RolloutStore, *items: Item, fsync: Any = "turn") -> RolloutLog:
    log = await store.create(header(Path("/w")), [], fsync=fsync)
    if items:
        await log.append(items)
    return log


async def items_of(store: RolloutStore, path: Path) -> list[dict[str, Any]]:
    return [item.value() for item in (await store.load(by_path(path))).items]


class TestWriting:
    async def test_a_large_string_is_stored_by_its_hash_and_named_by_the_line_before(
        self, store: RolloutStore, home: Path
    ) -> None:
        log = await create(store, user("hi"), image(), output())
        _, first, refs, message, more, answer = lines_of(log.path)
        assert first == user("hi").value()
        reference = {"pointer": "/content/0/image_url", "sha256": sha256(PICTURE)}
        assert refs == {
            "record_type": "blobs",
            "refs": [{**reference, "bytes": len(PICTURE)}],
        }
        assert message["content"] == [
            {"type": "input_image", "image_url": EMPTY_IMAGE, "detail": "high"}
        ]
        assert (more["refs"][0]["pointer"], more["refs"][0]["bytes"]) == ("/output", len(LONG))
        assert answer["output"].startswith(LONG[:SHOWN_CHARS])
        assert answer["output"].endswith(LONG[-SHOWN_CHARS:])
        assert len(answer["output"]) < 3 * SHOWN_CHARS
        assert stored(home) == {blob_path(home, sha256(text)) for text in (PICTURE, LONG)}
        assert blob_path(home, sha256(LONG)).read_text() == LONG
        await log.close()

    def test_what_stands_in_for_an_image_is_one(self) -> None:
        kind, _, data = EMPTY_IMAGE.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data, validate=True).startswith(b"\x89PNG\r\n\x1a\n")

    async def test_blobs_are_written_and_durable_before_the_record_and_its_line_with_it(
        self, store: RolloutStore, files: FaultyFiles
    ) -> None:
        log = await create(store)
        files.calls.clear()
        files.written.clear()
        await log.append([output()])
        assert b"".join(files.written[:-1]).decode() == LONG
        assert files.written[-1].count(b"\n") == 2
        last_write = len(files.calls) - 1 - files.calls[::-1].index("write")
        assert files.calls[:last_write][-4:].count("sync_folder") >= 1
        assert "sync" in files.calls[:last_write]
        await log.close()

    async def test_with_fsync_never_nothing_is_made_durable(
        self, store: RolloutStore, files: FaultyFiles
    ) -> None:
        log = await create(store, output(), fsync="never")
        assert not {"sync", "sync_folder"} & set(files.calls)
        await log.close()

    async def test_the_same_content_is_stored_once(
        self, store: RolloutStore, home: Path, files: FaultyFiles
    ) -> None:
        log = await create(store, image())
        (blob,) = stored(home)
        before = blob.stat().st_ino
        files.calls.clear()
        both = [{"type": "input_image", "image_url": PICTURE} for _ in range(2)]
        await log.append(
            [image(), Item.from_value({"type": "message", "role": "user", "content": both})]
        )
        await log.close()
        elsewhere = RolloutStore(home, version="1", files=files)
        other = await elsewhere.create(
            header(Path("/w"), "11111111-2222-4333-8444-555555555555"), [image()], fsync="turn"
        )
        await other.close()
        assert stored(home) == {blob}
        assert blob.stat().st_ino == before
        assert files.calls.count("create") == 1  # The other session's file.

    @pytest.mark.parametrize("umask", [0, 0o777])
    async def test_modes_do_not_depend_on_the_umask(
        self, store: RolloutStore, home: Path, umask: int, open_umask: None
    ) -> None:
        os.umask(umask)
        log = await create(store, image())
        os.umask(0)
        (blob,) = stored(home)
        assert stat.S_IMODE(blob.stat().st_mode) == 0o600
        for folder in (blob.parent, blob.parent.parent):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        await log.close()

    @pytest.mark.parametrize("call", ["make_folders", "create", "write", "sync", "sync_folder"])
    async def test_what_cannot_be_stored_apart_is_whole_in_the_file(
        self, store: RolloutStore, home: Path, files: FaultyFiles, call: str
    ) -> None:
        log = await create(store)
        files.next(call, full_disk())
        await log.append([image()])
        assert log.unsaved == 0
        assert lines_of(log.path)[1:] == [image().value()]
        # A whole one may have been left, never a part of one.
        assert stored(home) <= {blob_path(home, sha256(PICTURE))}
        await log.append([image()])
        assert lines_of(log.path)[-2]["record_type"] == "blobs"
        assert await items_of(store, log.path) == [image().value()] * 2
        await log.close()

    async def test_a_disk_that_is_full_for_both_keeps_the_whole_item_queued(
        self, store: RolloutStore, home: Path, files: FaultyFiles
    ) -> None:
        log = await create(store)
        files.next("write", 1000, full_disk(), full_disk())
        with pytest.raises(RolloutWriteFailed):
            await log.append([image()])
        assert log.unsaved == 1
        assert not stored(home)
        await log.append([user("after")])
        assert await items_of(store, log.path) == [image().value(), user("after").value()]
        await log.close()

    @pytest.mark.parametrize(
        "item",
        [
            image(PICTURE[: MAX_IMAGE_BYTES - 100]),
            image("https://example.com/" + "x" * 30_000),
            output("x" * MAX_TEXT_BYTES),
            Item.from_value(
                {"type": "function_call", "call_id": "c", "name": "n", "arguments": LONG}
            ),
            Item.from_value({"type": "reasoning", "summary": [], "encrypted_content": LONG}),
        ],
        ids=["small image", "linked image", "just not long", "arguments", "encrypted"],
    )
    async def test_everything_else_stays_where_it_is(
        self, store: RolloutStore, home: Path, item: Item
    ) -> None:
        log = await create(store, item)
        assert lines_of(log.path)[1:] == [item.value()]
        assert not stored(home)
        await log.close()

    async def test_lengths_are_counted_in_bytes(self, store: RolloutStore) -> None:
        log = await create(store, output("é" * (MAX_TEXT_BYTES // 2 + 1)))
        assert lines_of(log.path)[1]["refs"][0]["bytes"] == MAX_TEXT_BYTES + 2
        await log.close()

    async def test_a_session_can_begin_with_large_strings(
        self, store: RolloutStore, home: Path
    ) -> None:
        log = await store.create(header(Path("/w")), [image(), output()], fsync="turn")
        assert len(stored(home)) == 2
        assert await items_of(store, log.path) == [image().value(), output().value()]
        await log.close()


class TestReading:
    async def test_items_are_whole_wherever_they_are_read(self, store: RolloutStore) -> None:
        items = [image().value(), output().value()]
        log = await create(store, image(), output())
        await log.close()
        saved, log = await store.open(SessionRef(session_id=SESSION_ID), fsync="turn")
        assert [item.value() for item in saved.items] == items
        assert saved.damage == ()
        await log.close()
        page = await store.read(by_path(log.path), cursor=None, limit=9, direction="backward")
        assert [entry.item for entry in page.items] == items
        saved = await store.load(by_path(log.path), up_to=0)
        assert [item.value() for item in saved.items] == items[:1]

    async def test_a_string_that_looks_like_a_reference_is_just_a_string(
        self, store: RolloutStore, home: Path
    ) -> None:
        log = await create(store, output())
        (blob,) = stored(home)
        shown = lines_of(log.path)[2]["output"]
        like = [
            json.dumps(lines_of(log.path)[1]),
            json.dumps({"pointer": "/output", "sha256": blob.name}),
            blob.name,
            f"sessions/blobs/{blob.name[:2]}/{blob.name}",
            str(blob),
            shown,
        ]
        items = [output(text, f"c{n}") for n, text in enumerate(like)]
        items.append(image(EMPTY_IMAGE))
        await log.append(items)
        assert await items_of(store, log.path) == [i.value() for i in [output(), *items]]
        await log.close()

    async def test_a_reference_counts_for_the_next_line_only(
        self, store: RolloutStore, home: Path
    ) -> None:
        BlobFolder(home, OS_FILES).stored(output())
        refs = [{"pointer": "/output", "sha256": sha256(LONG), "bytes": len(LONG)}]
        line = {"record_type": "blobs", "refs": refs}
        short = output("short").value()
        path = home / f"sessions/rollout-x-{SESSION_ID}.jsonl"
        write_session(path, line, {"record_type": "title", "title": "t"}, short, line, short, short)
        assert await items_of(store, path) == [short, output().value(), short]

    @pytest.mark.parametrize("mishap", ["missing", "altered", "cut", "no text", "a folder"])
    async def test_what_cannot_be_put_back_stays_out_and_is_damage(
        self, store: RolloutStore, home: Path, mishap: str
    ) -> None:
        log = await create(store, user("before"), output(), user("after"))
        await log.close()
        (blob,) = stored(home)
        match mishap:
            case "missing":
                blob.unlink()
            case "altered":
                blob.write_text(LONG.replace("beginning", "Beginning"))
            case "cut":
                blob.write_text(LONG[:-1])
            case "no text":
                blob.write_bytes(b"\xff" * len(LONG))
            case "a folder":
                blob.unlink()
                blob.mkdir()
        saved, log = await store.open(SessionRef(session_id=SESSION_ID), fsync="turn")
        assert [item.value() for item in saved.items] == [
            user("before").value(),
            lines_of(log.path)[3],
            user("after").value(),
        ]
        (damage,) = saved.damage
        assert damage.line_no == 4
        assert "stored content" in damage.reason
        page = await store.read(by_path(log.path), cursor=None, limit=9, direction="backward")
        assert page.damage == [damage]
        assert page.items[1].item == lines_of(log.path)[3]
        await log.close()

    @pytest.mark.parametrize(
        "ref",
        [
            None,
            "x",
            {},
            {"pointer": "/output"},
            {"pointer": "/output", "sha256": "../../../../etc/passwd"},
            {"pointer": "/output", "sha256": "A" * 64},
            {"pointer": 7, "sha256": sha256(LONG)},
            {"pointer": "", "sha256": sha256(LONG)},
            {"pointer": "output", "sha256": sha256(LONG)},
            {"pointer": "/type", "sha256": sha256(LONG)},
            {"pointer": "/content/" + "9" * 5000, "sha256": sha256(LONG)},
            {"pointer": "/nowhere", "sha256": sha256(LONG)},
            {"pointer": "/output/0", "sha256": sha256(LONG)},
            {"pointer": "/content/0", "sha256": sha256(LONG)},
            {"pointer": "/content/x/y", "sha256": sha256(LONG)},
            {"pointer": "/content/9/text", "sha256": sha256(LONG)},
            {"pointer": "/number", "sha256": sha256(LONG)},
        ],
    )
    async def test_a_reference_that_is_none_changes_nothing(
        self, store: RolloutStore, home: Path, ref: Any
    ) -> None:
        BlobFolder(home, OS_FILES).stored(output())
        item = {"type": "x", "output": "o", "content": [{"text": "t"}], "number": 1}
        good = {"pointer": "/output", "sha256": sha256(LONG)}
        path = write_session(
            home / f"sessions/rollout-x-{SESSION_ID}.jsonl",
            {"record_type": "blobs", "refs": [good, ref]},
            item,
            {"record_type": "blobs", "refs": "x"},
            item,
        )
        saved = await store.load(by_path(path))
        assert [i.value() for i in saved.items] == [item, item]
        assert [damage.line_no for damage in saved.damage] == [3]

    @settings(deadline=None, max_examples=40)
    @given(
        parts=st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["input_text", "input_image", "other"])},
                optional={
                    "text": st.builds(
                        lambda text, times: text * times,
                        st.text(min_size=1, max_size=4),
                        st.sampled_from([1, MAX_TEXT_BYTES // 4, MAX_TEXT_BYTES]),
                    ),
                    "image_url": st.builds(
                        lambda kind, size: kind + "A" * size,
                        st.sampled_from(["data:image/png;base64,", "data:,", "https://x/", ""]),
                        st.sampled_from([0, MAX_IMAGE_BYTES, 40_000]),
                    ),
                    "n": st.one_of(
                        st.none(),
                        st.floats(allow_nan=False, allow_infinity=False),
                        st.integers(0, 9),
                    ),
                },
            ),
            max_size=4,
        ),
        where=st.sampled_from(["content", "output"]),
    )
    def test_any_item_comes_back_exactly(
        self, tmp_path_factory: pytest.TempPathFactory, parts: list[Any], where: str
    ) -> None:
        folder = BlobFolder(tmp_path_factory.mktemp("blobs"), OS_FILES, is_durable=False)
        item = Item.from_value({"type": "message", "role": "user", where: parts})
        taken_out = folder.stored(item)
        if taken_out is None:
            assert not [p for p in parts if len(p.get("text", "").encode()) > MAX_TEXT_BYTES]
            return
        refs, rest = taken_out
        assert len(rest) < len(item.raw)
        assert folder.inline(json.loads(rest), refs) == item.value()

    def test_nothing_is_read_from_outside_the_folder(self, home: Path) -> None:
        with pytest.raises(BlobDamaged):
            BlobFolder(home, OS_FILES).inline(
                {"output": "x"}, [{"pointer": "/output", "sha256": "/" + "0" * 63}]
            )

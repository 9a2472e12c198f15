"""Properties of session files: prefixes, garbage, and faults at any moment."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rollout_files import FaultyFiles, by_path, context, header, load_path, turn, user

from codex_rpc.protocol.errors import RolloutCorrupt, RolloutWriteFailed
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import Record, StateRecord, TitleRecord
from codex_rpc.rollout.encoding import header_line, record_line
from codex_rpc.rollout.store import RolloutStore

few = settings(deadline=None, max_examples=60)

members = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name not in {"type", "record_type", "call_id"}),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ),
    max_size=3,
)
items = st.builds(
    lambda kind, more: Item.from_value({"type": kind, **more}),
    st.sampled_from(["message", "reasoning", "function_call", "unheard_of"]),
    members,
)
records = st.one_of(
    items,
    st.builds(StateRecord, st.none() | st.text(min_size=1, max_size=5)),
    st.builds(TitleRecord, st.text(min_size=1, max_size=5)),
    st.sampled_from([context(), turn("started"), turn("completed")]),
)
garbage = st.one_of(
    st.binary(max_size=30).filter(lambda data: b"\n" not in data),
    st.sampled_from([b'{"type":"mess', b"[]", b"7", b'"{}"', b"{}", b"\0\0\0", b"}{", b"\r", b" "]),
)

HEAD = header_line(header(Path("/w"), instructions="é\u2028"), version="1", git={})


def expected(lines: Sequence[bytes]) -> list[bytes]:
    """The items among `lines`, read without any code of ours."""
    found = []
    for line in lines:
        try:
            value = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"]:
            found.append(line.strip())
    return found


@few
@given(st.lists(records, max_size=8), st.data())
def test_any_prefix_reads_as_a_prefix_and_is_written_on_without_loss(
    recorded: list[Record], data: st.DataObject
) -> None:
    whole = HEAD + b"".join(record_line(record) for record in recorded)
    prefix = whole[: data.draw(st.integers(0, len(whole)))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prefix.jsonl"
        path.write_bytes(prefix)
        before = _write_on(path, [user("new"), StateRecord("resp_new")])
        if before is None:
            assert len(prefix) < len(HEAD) - 1
            assert path.read_bytes() == prefix
            return
        complete = expected([line for line in prefix.split(b"\n")[1:] if line])
        assert [item.raw for item in before] == complete
        after = load_path(path).session
        assert [item.raw for item in after.items] == [*complete, user("new").raw]
        assert (after.previous_response_id, after.seen_item_count) == (
            "resp_new",
            len(complete) + 1,
        )
        assert path.read_bytes().startswith(prefix)


@few
@given(st.lists(st.one_of(records.map(record_line), garbage.map(lambda g: g + b"\n"))), garbage)
def test_garbage_between_records_costs_only_itself(lines: list[bytes], tail: bytes) -> None:
    content = HEAD + b"".join(lines) + tail
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.jsonl"
        path.write_bytes(content)
        found = expected([*(line[:-1] for line in lines), tail])
        before = _write_on(path, [user("new")])
        assert before is not None
        assert [item.raw for item in before] == found
        after = load_path(path).session
        assert [item.raw for item in after.items] == [*found, user("new").raw]
        assert path.read_bytes().startswith(content)
        # Every line that is neither a record nor blank is reported, and no other.
        usable = set(found) | {b""}
        for damage in after.damage:
            line = path.read_bytes().split(b"\n")[damage.line_no - 1]
            assert len(line) == damage.byte_count
            assert line.strip() not in usable


def _write_on(path: Path, new: Sequence[Record]) -> list[Item] | None:
    """Open, append, close; the items that were there, or None if the file has no header."""

    async def work() -> list[Item] | None:
        store = RolloutStore(path.parent / "home", version="1")
        try:
            saved, log = await store.open(by_path(path), fsync="never")
        except RolloutCorrupt:
            return None
        await log.append(new)
        await log.close()
        return saved.items

    return anyio.run(work)


faults = st.one_of(
    st.none(),
    st.integers(0, 40),
    st.sampled_from([errno.ENOSPC, errno.EIO, errno.EINTR, errno.EDQUOT]).map(
        lambda code: OSError(code, "fault")
    ),
)


@few
@given(
    torn=st.sampled_from([b"", b'{"type":"mess', b'{"type":"message"}', b"\0\0"]),
    steps=st.lists(
        st.tuples(
            st.lists(records, min_size=1, max_size=3),
            st.lists(faults, max_size=4),
            st.sampled_from(["nothing", "flush", "sync", "sync fails", "all fails"]),
        ),
        max_size=6,
    ),
    fsync=st.sampled_from(["turn", "record", "never"]),
)
def test_whatever_call_fails_nothing_is_lost_reordered_or_glued(
    torn: bytes, steps: list[tuple[list[Record], list[Any], str]], fsync: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faulty.jsonl"
        path.write_bytes(HEAD + torn)
        anyio.run(_play, path, steps, fsync)
        lines = path.read_bytes().split(b"\n")
        recorded = [record_line(record)[:-1] for step, _, _ in steps for record in step]
        kept = [line for line in lines[1:] if b'"record_type":"damaged"' not in line]
        if torn:
            assert kept[0] == torn
        assert kept[bool(torn) :] == ([*recorded, b""] if recorded or not torn else [])


async def _play(path: Path, steps: list[tuple[list[Record], list[Any], str]], fsync: Any) -> None:
    files = FaultyFiles()
    store = RolloutStore(path.parent / "home", version="1", files=files)
    _, log = await store.open(by_path(path), fsync=fsync)
    handed_over = 0
    for step, outcomes, then in steps:
        files.next("write", *(fault if fault is not None else 1 << 20 for fault in outcomes))
        if "fail" in then:
            files.next("sync", OSError(errno.EIO, "fault"))
        if then == "all fails":
            files.next("overwrite", OSError(errno.EIO, "fault"))
        handed_over += len(step)
        try:
            await log.append(step)
            assert log.unsaved == 0
        except RolloutWriteFailed:
            assert 0 < log.unsaved <= handed_over
        try:
            if then == "flush":
                await log.flush()
            elif then != "nothing":
                await log.sync()
        except RolloutWriteFailed:
            assert log.unsaved > 0
    files.heal()
    await log.close()
    assert log.unsaved == 0

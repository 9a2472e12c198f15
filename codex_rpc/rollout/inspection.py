"""What is wrong with a session file, told for all of it, and what would be added to repair it.

A repair only adds: what an unfinished last line needs so that nothing is glued to it, and an
output for each call that has none. Whoever goes on with the session adds the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from codex_rpc.protocol.checkup import Inspection
from codex_rpc.protocol.errors import RolloutCorrupt
from codex_rpc.protocol.items import INTERRUPTED_OUTPUT, Item, call_output
from codex_rpc.protocol.records import Damage
from codex_rpc.rollout.blobs import BlobDamaged, BlobFolder, hashes_in
from codex_rpc.rollout.encoding import record_line
from codex_rpc.rollout.entries import BEGIN, forward
from codex_rpc.rollout.headers import FileHeader, read_header
from codex_rpc.rollout.lines import UNFINISHED, Lines, never_cancelled, object_in, read_at
from codex_rpc.rollout.paths import id_in_name, text_of
from codex_rpc.rollout.reader import load, reading

_DAMAGED = b'{"record_type":"damaged"'


def inspect(
    path: Path,
    blobs: BlobFolder,
    *,
    live: bool = False,
    check: Callable[[], None] = never_cancelled,
    on_blob: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Look at every line of a file; one that cannot be read is an answer too.

    `on_blob` is told the hash of everything that the file refers to. The end of a `live` file
    may be on its way, and is no damage.

    Raises:
        RolloutNotFound: there is none.
    """
    try:
        with reading(path) as fd:
            header = read_header(fd, path)
            return _inspect(fd, path, header, blobs=blobs, live=live, check=check, on_blob=on_blob)
    except RolloutCorrupt as exc:
        return Inspection(
            session_id=id_in_name(path) or text_of(Path(path.stem)),
            path=text_of(path),
            origin="codex-rpc",
            reason=exc.data["reason"],
            damage=[],
            mended=[],
            open_calls=[],
            appends="",
        )


def open_calls(items: Iterable[Item]) -> list[Item]:
    """The calls that have no output, in their order."""
    found: dict[str | None, Item] = {}
    for item in items:
        if item.is_call:
            found[item.call_id] = item
        elif item.is_output:
            found.pop(item.call_id, None)
    return list(found.values())


def answers(calls: Iterable[Item]) -> list[bytes]:
    """The lines that say of each call that it was interrupted."""
    return [record_line(call_output(call, INTERRUPTED_OUTPUT)) for call in calls]


def _inspect(
    fd: int,
    path: Path,
    header: FileHeader,
    *,
    blobs: BlobFolder,
    live: bool,
    check: Callable[[], None],
    on_blob: Callable[[str], None],
) -> Inspection:
    damage: list[Damage] = []
    exchange: list[Item] = []
    item_count = 0
    for entry in forward(fd, header, BEGIN, check):
        if isinstance(entry, Damage):
            damage.append(entry)
            continue
        item_count += 1
        if "call_id" in entry.value or "call" in entry.value["type"]:
            # Only who called and who answered counts, not what was said.
            exchange.append(Item.from_line(b"", entry.value))
        if entry.refs:
            for sha256 in hashes_in(entry.refs):
                on_blob(sha256)
            try:
                blobs.inline(entry.value, entry.refs)
            except BlobDamaged as exc:
                damage.append(Damage(entry.line_no, len(entry.line), exc.reason))
    mended = _mended(fd, check) if damage and not header.enveloped else set()
    damage = [found for found in damage if found.line_no not in mended]
    if live:
        damage = [found for found in damage if found.reason != UNFINISHED]
    calls: list[Item] = []
    appends = b""
    size = os.fstat(fd).st_size
    is_cut = size > 0 and read_at(fd, size - 1, 1) != b"\n"
    if not header.enveloped and not live and (is_cut or open_calls(exchange)):
        # Only what comes after the last compaction is gone on with.
        loaded = load(fd, path, header, check=check)
        calls = open_calls(loaded.session.items)
        appends = loaded.tail.repair() + b"".join(answers(calls))
    return Inspection(
        session_id=header.session_id,
        path=text_of(path),
        origin=header.origin,
        item_count=item_count,
        damage=damage,
        mended=sorted(mended),
        open_calls=[call.call_id or "" for call in calls],
        appends=appends.decode("utf-8", "replace"),
        live=live,
    )


def _mended(fd: int, check: Callable[[], None]) -> set[int]:
    """The lines of which the record after them says that they were never finished."""
    found: set[int] = set()
    lines = Lines(fd, check)
    line_no = 0
    for batch in lines:
        for line in batch:
            line_no += 1
            if line.startswith(_DAMAGED):
                value = object_in(line) or {}
                if value.get("line") == line_no - 1:
                    found.add(line_no - 1)
    return found

"""Session files as documents to keep, to read and to pass on: Markdown, HTML, JSON.

Owns the way from a file to a document and from there to another file. The whole file is told,
also what is before compactions, whoever wrote it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from codex_rpc.protocol.errors import RolloutWriteFailed
from codex_rpc.protocol.items import Item, string_in
from codex_rpc.protocol.records import ExportFormat
from codex_rpc.rollout.blobs import BlobFolder
from codex_rpc.rollout.exporting.composition import Facts, compose
from codex_rpc.rollout.exporting.records import json_document
from codex_rpc.rollout.exporting.transcript import ContextPart, ItemPart, Part, transcript
from codex_rpc.rollout.files import FILE_MODE, insist_on_mode, reason_of
from codex_rpc.rollout.headers import FileHeader, read_header
from codex_rpc.rollout.lines import BOM, first_line, object_in
from codex_rpc.rollout.paths import text_of
from codex_rpc.rollout.reader import reading

CHUNK_CHARS = 1 << 20


def document(
    path: Path,
    format: ExportFormat,  # noqa: A002
    *,
    blobs: BlobFolder,
    unsaved: Sequence[Item],
    check: Callable[[], None],
) -> str:
    """The session file at `path` as a document, `unsaved` items of it behind it.

    `check` is called again and again and may raise to stop.

    Raises:
        RolloutNotFound, RolloutCorrupt, RolloutNewer: as for any reading.
    """
    with reading(path) as fd:
        header = read_header(fd, path)
        facts = _facts(fd, header)
        parts = _with_unsaved(transcript(fd, header, blobs=blobs, check=check), unsaved)
        return _drawn(parts, facts, format)


def document_without_file(
    session_id: str,
    format: ExportFormat,  # noqa: A002
    *,
    unsaved: Sequence[Item],
) -> str:
    """The same for a live session whose file is gone: `unsaved` is all that is left of it."""
    facts = Facts(session_id=session_id, origin="codex-rpc", updated_at=datetime.now(UTC))
    return _drawn(_with_unsaved(iter(()), unsaved), facts, format)


def _drawn(parts: Iterator[Part], facts: Facts, format: ExportFormat) -> str:  # noqa: A002
    match format:
        case "json":
            return json_document(parts, facts)
        case "markdown":
            from codex_rpc.rollout.exporting.markdown import MarkdownDrawing

            return compose(parts, facts, MarkdownDrawing())
        case "html":
            from codex_rpc.rollout.exporting.html import HtmlDrawing

            return compose(parts, facts, HtmlDrawing())


def write_document(path: Path, text: str) -> None:
    """Write `text` to a file, 0600, that does not exist yet; after an error there is none.

    Raises:
        RolloutWriteFailed: there is something at `path`, or it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        fd = os.open(path, flags | getattr(os, "O_BINARY", 0), FILE_MODE)
        with ExitStack() as undo:
            undo.callback(_remove, path)
            with os.fdopen(fd, "wb") as file:
                insist_on_mode(path, FILE_MODE)
                for start in range(0, len(text), CHUNK_CHARS):
                    file.write(text[start : start + CHUNK_CHARS].encode("utf-8", "replace"))
            undo.pop_all()
    except (OSError, ValueError) as exc:
        reason = reason_of(exc) if isinstance(exc, OSError) else str(exc)
        raise RolloutWriteFailed(text_of(path), reason) from exc


def _remove(path: Path) -> None:
    # What went wrong is about to be said, and is more than that its rest cannot be removed.
    with suppress(OSError):
        path.unlink()


def _facts(fd: int, header: FileHeader) -> Facts:
    value = object_in(first_line(fd).removeprefix(BOM)) or {}
    told: Any = value.get("payload") if header.enveloped else value
    git = told.get("git")
    return Facts(
        session_id=header.session_id,
        origin=header.origin,
        version=string_in(told, "cli_version" if header.enveloped else "version"),
        created_at=header.created_at,
        updated_at=datetime.fromtimestamp(os.fstat(fd).st_mtime, UTC),
        forked_from=header.forked_from,
        instructions=string_in(told, "instructions"),
        git={n: v for n, v in git.items() if isinstance(v, str)} if isinstance(git, dict) else {},
        context=ContextPart(timestamp=None, cwd=header.cwd, model_provider=header.model_provider),
    )


def _with_unsaved(parts: Iterator[Part], unsaved: Sequence[Item]) -> Iterator[Part]:
    index = 0
    for part in parts:
        yield part
        if isinstance(part, ItemPart):
            index = part.index + 1
    for item in unsaved:
        yield ItemPart(index=index, value=item.value(), raw=item.raw, is_saved=False)
        index += 1

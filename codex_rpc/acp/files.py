"""The client's files, as one session sees them: the port `Workspace` over `fs/*`.

The protocol does not tell what is open: a client gives the text of one file when it is asked, with
what its user has not saved. So files are looked at before they are read or changed, and what was
learned of those that are saved is forgotten with the next call. A text is written whole, checked
just before and read again just after: what the client has then is what counts.

Where client and disk differ, the client's text counts as the user's unsaved one, unless it is what
both had before: then the client has not noticed a change on disk yet, and the disk counts.

To be used only with clients that both read and write: else the one would not see the other.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.workspace import (
    DocumentChange,
    EditResult,
    OpenDocument,
    ResourceOperation,
)
from codex_rpc.rpc.outgoing import PeerRefused
from codex_rpc.rpc.stdio import PeerGone

logger = logging.getLogger(__name__)

READ_S = 5.0
"""How long a client may take to give a text before the disk's counts."""
SETTLE_S = 1.0
"""How long a client may take to notice what has become of a file."""
PAUSE_S = 0.05
RECENT_S = 2.0
"""A file that was changed so lately may be news to the client."""

MAX_FILE_BYTES = 32 << 20
MAX_COMPARED = 200_000
"""Characters of texts whose differences are told to the model."""
MAX_NOTE = 4_000

Request = Callable[[str, Any], Awaitable[Any]]
"""Asks the client; as `Outgoing.request`."""


@frozen
class _OnDisk:
    """A file as it is on disk."""

    text: str | None
    """None: it is no text of ours."""
    is_recent: bool


class ClientFiles:
    """Fits `protocol.workspace.Workspace`, for one session."""

    can_edit = True
    can_save = False
    reviews_patches = False
    resource_operations: frozenset[ResourceOperation] = frozenset()

    def __init__(self, request: Request, session_id: str) -> None:
        self._request = request
        self._session_id = session_id
        # Replaced as a whole, since other threads read it.
        self._documents: dict[str, OpenDocument] = {}
        """By resolved path: what the client has given since the last call."""
        self._versions: dict[str, tuple[int, bytes]] = {}
        """Each file's last version, and which text that was."""
        self._in_step: dict[str, bytes] = {}
        """Which text client and disk last had in common."""

    # Reading.

    async def ready(self) -> None:
        """Forget what is saved, and look again at what is not."""
        unsaved = await anyio.to_thread.run_sync(self.unsaved)
        self._documents = {}
        await self.look(unsaved)

    async def look(self, paths: Sequence[Path]) -> None:
        """Ask the client for the texts at `paths`, all at once."""
        async with anyio.create_task_group() as tasks:
            for path in dict.fromkeys(paths):
                tasks.start_soon(self._look_at, path)

    def document(self, path: Path) -> OpenDocument | None:
        """What the client has given of the file at `path`; None: the disk counts."""
        return self._documents.get(_key(path))

    @property
    def has_documents(self) -> bool:
        """Whether any text of the client's is known."""
        return bool(self._documents)

    def unsaved(self) -> Sequence[Path]:
        """The known files that differ from what is on disk, sorted. Reads them."""
        return sorted(
            document.path
            for document in self._documents.values()
            if not _is_saved(document.text, _on_disk(document.path))
        )

    async def _look_at(self, path: Path) -> None:
        text = await self._text_at(path)
        on_disk = await anyio.to_thread.run_sync(_on_disk, path)
        if text is not None and not _is_saved(text, on_disk):
            text = await self._settled(path, text, on_disk)
        await self._keep(path, text)

    async def _settled(self, path: Path, text: str, on_disk: _OnDisk | None) -> str | None:
        """The client's text that is not the disk's, after some time; None: the disk counts."""
        if on_disk is None:
            # Some clients take what does not exist for an empty text.
            return text or None
        is_behind = self._in_step.get(_key(path)) == _mark(text)
        if not is_behind and not on_disk.is_recent:
            return text
        with anyio.move_on_after(SETTLE_S):
            while True:
                await anyio.sleep(PAUSE_S)
                now = await self._text_at(path)
                if now is None or now != text or _is_saved(now, on_disk):
                    return now
        return None if is_behind else text

    async def _text_at(self, path: Path) -> str | None:
        """The client's text; None: it gives none."""
        params = {"sessionId": self._session_id, "path": str(path)}
        try:
            with anyio.fail_after(READ_S):
                answer = await self._request("fs/read_text_file", params)
        except (PeerRefused, PeerGone, TimeoutError) as exc:
            logger.debug("the client gives no text: %s", exc)
            return None
        text = answer.get("content") if isinstance(answer, dict) else None
        return text if isinstance(text, str) else None

    async def _keep(self, path: Path, text: str | None) -> None:
        on_disk = await anyio.to_thread.run_sync(_on_disk, path)
        key = _key(path)
        documents = dict(self._documents)
        documents.pop(key, None)
        if text is not None:
            version, mark = self._versions.get(key, (0, b""))
            if mark != _mark(text):
                version, mark = self._versions[key] = version + 1, _mark(text)
            if _is_saved(text, on_disk):
                self._in_step[key] = mark
            documents[key] = OpenDocument(path=path, text=text, version=version)
        self._documents = documents

    # Writing.

    async def edit(self, changes: Sequence[DocumentChange], *, label: str) -> EditResult:  # noqa: ARG002
        """Have the client write the texts, one after the other: all or, as far as it goes, none.

        Not bounded: a client may show its user what is to be written. What it makes of a text, by
        formatting or by its user's hand, is told in the result's notes.
        """
        await self.look([change.path for change in changes])
        for change in changes:
            document = self.document(change.path)
            if change.after is None or change.before is None or change.moved_to is not None:
                return EditResult("refused", "the editor can only change the texts of files")
            if document is None or document.text != change.before:
                return EditResult("changed", f"{change.path.name} has changed in the editor")
        notes: list[str] = []
        for index, change in enumerate(changes):
            assert change.after is not None
            problem = await self._write(change.path, change.after)
            document = self.document(change.path)
            if problem is not None or document is None:
                reason = problem or f"the editor does not show what has become of {change.path}"
                kept = await self._take_back(changes[: index + 1])
                if kept:
                    reason += f"; what was changed is still there in {', '.join(kept)}"
                return EditResult("refused", reason)
            if not _alike(document.text, change.after):
                notes.append(_note(change.path, change.after, document.text))
        return EditResult("applied", notes=tuple(notes))

    async def save(self, paths: Sequence[Path], *, ask: bool) -> Sequence[Path]:  # noqa: ARG002
        """Clients save by themselves what is written."""
        return ()

    async def show(self, path: Path) -> None:
        """Clients follow the locations of the calls, if their users want that."""

    async def _write(self, path: Path, text: str) -> str | None:
        """Have the client write one text, and find out what it has then; why it did not."""
        before = self.document(path)
        params = {"sessionId": self._session_id, "path": str(path), "content": text}
        problem: str | None = None
        try:
            await self._request("fs/write_text_file", params)
        except PeerRefused as exc:
            problem = exc.message or "the editor answered with an error"
        except PeerGone:
            return "the editor is gone"
        now = await self._text_at(path)
        if before is not None and problem is None and before.text != text:
            with anyio.move_on_after(SETTLE_S):
                while now == before.text:
                    await anyio.sleep(PAUSE_S)
                    now = await self._text_at(path)
            if now == before.text:
                problem = f"the editor has kept {path.name} as it was"
        if now is None and problem is None:
            # It has written, and cannot say what: perhaps the file shows it.
            on_disk = await anyio.to_thread.run_sync(_on_disk, path)
            now = text if _is_saved(text, on_disk) else None
        await self._keep(path, now)
        return problem

    async def _take_back(self, changes: Sequence[DocumentChange]) -> list[str]:
        """Write again what was there before; the names of the files where that cannot be done."""
        kept = []
        await self.look([change.path for change in changes])
        for change in changes:
            document = self.document(change.path)
            assert change.before is not None
            assert change.after is not None
            if document is not None and document.text == change.before:
                continue
            is_ours = document is not None and _alike(document.text, change.after)
            if not is_ours or await self._write(change.path, change.before) is not None:
                kept.append(change.path.name)
        return kept


def _key(path: Path) -> str:
    """The file, whatever it is called."""
    return os.path.realpath(path)


def _on_disk(path: Path) -> _OnDisk | None:
    """The file; None: there is none. Blocks."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            return _OnDisk(None, is_recent=False)
        # newline="": the line ends stay what they are.
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return _OnDisk(None, is_recent=False)
    return _OnDisk(text, is_recent=abs(time.time() - status.st_mtime) < RECENT_S)


def _is_saved(text: str, on_disk: _OnDisk | None) -> bool:
    return on_disk is not None and on_disk.text is not None and _alike(text, on_disk.text)


def _alike(text: str, other: str) -> bool:
    """Whether two texts are the same but for what clients do not show: line ends, a mark."""
    return text is other or _plain(text) == _plain(other)


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def _mark(text: str) -> bytes:
    return hashlib.blake2b(_plain(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _note(path: Path, asked: str, became: str) -> str:
    """What the model is told of a text that is not what it wrote."""
    told = f"{path} is not what the patch made of it: the editor, or its user, has changed it"
    if len(asked) + len(became) > MAX_COMPARED:
        return f"{told}. Look at it again before the next patch."
    from difflib import unified_diff  # seldom wanted

    lines = unified_diff(_plain(asked).split("\n"), _plain(became).split("\n"), n=1, lineterm="")
    diff = "\n".join(list(lines)[2:])
    if len(diff) > MAX_NOTE:
        diff = f"{diff[:MAX_NOTE]}\n[...]"
    return f"{told} further:\n{diff}"

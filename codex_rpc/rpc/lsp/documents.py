"""The editor's open documents, on pygls' workspace.

Owns their texts and versions, and which file each is. Changed by the event loop alone, in the
order in which the editor tells; read by any thread.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from urllib.parse import unquote

from lsprotocol import types
from pygls.workspace import PositionCodec, TextDocument, Workspace

from codex_rpc.protocol.workspace import OpenDocument
from codex_rpc.rpc.lsp.text import PositionEncoding, replaced, split_lines
from codex_rpc.rpc.lsp.uris import path_of

logger = logging.getLogger(__name__)

_BOM = "\ufeff"

MAX_TRACED_CHARS = 20_000_000
"""How much text one message may come to with each of its changes, for each to be told of."""


class Document(TextDocument):
    """One open document. Its lines end where LSP says, which pygls' do not."""

    def __init__(self, item: types.TextDocumentItem, encoding: PositionEncoding) -> None:
        super().__init__(
            item.uri,
            source="",
            version=item.version,
            language_id=item.language_id,
            position_codec=PositionCodec(encoding),
        )
        self.file = path_of(item.uri)
        """None: it is no file, or none of this machine."""
        self.touched = False
        """Whether it was changed since it was opened or saved."""
        self.is_known = True
        """Whether the text is what the editor has: false after a change that made no sense."""
        self._encoding: PositionEncoding = encoding
        self._lock = Lock()
        """Around a change as a whole: who reads meanwhile sees all of it or nothing."""
        self._lines = split_lines(item.text)
        self._text: str | None = item.text
        self._real_name: str | None = None
        self._traces: list[list[str]] = []

    @contextmanager
    def traced(self) -> Iterator[list[str]]:
        """The texts that it gets inside of the block, in order, for the caller to take out. Of a
        message with very much text, only the last."""
        trace: list[str] = []
        self._traces.append(trace)
        try:
            yield trace
        finally:
            self._traces = [one for one in self._traces if one is not trace]

    def change(self, changes: Sequence[types.TextDocumentContentChangeEvent], version: int) -> bool:
        """Apply `changes`, one after the other; whether all were inside of the text."""
        with self._lock:
            inside = True
            is_traced = bool(self._traces) and self._traceable(len(changes))
            for change in changes:
                inside = self._apply(change) and inside
                if is_traced:
                    self._trace()
            if self._traces and not is_traced:
                self._trace()
            self._text = None
            self.version = version
            self.touched = True
        return inside

    def _traceable(self, changes: int) -> bool:
        return changes * sum(map(len, self._lines)) <= MAX_TRACED_CHARS

    def _trace(self) -> None:
        text = "".join(self._lines)
        for trace in self._traces:
            trace.append(text)

    def apply_change(self, change: types.TextDocumentContentChangeEvent) -> None:
        """One change, with the version as it is."""
        self.change([change], self.version or 0)

    def _apply(self, change: types.TextDocumentContentChangeEvent) -> bool:
        if not isinstance(change, types.TextDocumentContentChangePartial):
            self._lines = split_lines(change.text)
            self.is_known = True
            return True
        start, end = change.range.start, change.range.end
        if start.line > len(self._lines):
            self.is_known = False
        return replaced(
            self._lines,
            (start.line, start.character),
            (end.line, end.character),
            change.text,
            self._encoding,
        )

    @property
    def source(self) -> str:
        """The text."""
        return self.state()[0]

    @property
    def lines(self) -> Sequence[str]:
        """The lines with their ends; the last has none."""
        with self._lock:
            return tuple(self._lines)

    def state(self) -> tuple[str, int]:
        """The text and its version."""
        with self._lock:
            if self._text is None:
                self._text = "".join(self._lines)
            return self._text, self.version or 0

    @property
    def real_name(self) -> str:
        """What tells the file from others, whatever links lead to it; "" without a file."""
        if self._real_name is None:
            self._real_name = _real_name(self.file) if self.file is not None else ""
        return self._real_name

    def forget_name(self) -> None:
        """Find out anew which file it is when that is wanted: links may have changed."""
        self._real_name = None

    def opened(self) -> OpenDocument:
        """The document as others see it; it has a file."""
        assert self.file is not None
        text, version = self.state()
        return OpenDocument(path=self.file, text=text, version=version)

    def is_saved(self) -> bool:
        """Whether the file holds the same text; reads it.

        An editor may have other line ends in memory than are in the file, or a last one more,
        and may know the file's encoding, which we do not: as long as nothing was changed in
        it, such a document counts as saved.
        """
        text, _ = self.state()
        try:
            data = _read_regular(self.file) if self.file is not None else None
        except OSError:
            return not self.touched
        if data is None:
            return False
        try:
            saved = data.decode("utf-8").removeprefix(_BOM)
        except UnicodeDecodeError:
            return not self.touched
        text = text.removeprefix(_BOM)
        return saved == text or (not self.touched and alike(saved, text))


def alike(text: str, other: str) -> bool:
    """Whether two texts are the same but for line ends, as editors keep them."""
    return text is other or plain(text) == plain(other)


def plain(text: str) -> str:
    """A text without what editors do in their own way: line ends, and whether the last has one."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def _real_name(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def _read_regular(path: Path) -> bytes | None:
    """The bytes of a file; None: there is none, or it is not the kind that holds text."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


class Documents(Workspace):
    """All open documents, by URI and by path."""

    def __init__(
        self,
        root_uri: str | None,
        folders: Sequence[types.WorkspaceFolder],
        encoding: PositionEncoding,
    ) -> None:
        super().__init__(root_uri, workspace_folders=folders, position_encoding=encoding)
        self.encoding: PositionEncoding = encoding
        self._open: dict[str, Document] = {}
        self._by_file: dict[Path, Document] = {}
        """Of several documents that are one file, the one that was opened last."""
        # What pygls itself looks into.
        self._text_documents = self._open  # type: ignore[assignment]
        self._watchers: list[Callable[[], None]] = []

    def put_text_document(
        self,
        text_document: types.TextDocumentItem,
        notebook_uri: str | None = None,  # noqa: ARG002
    ) -> None:
        """Enter a document; if it was open, it is what the editor says now."""
        if self.get(text_document.uri) is not None:
            logger.info("a document was opened that was open")
        document = self._open[_key(text_document.uri)] = Document(text_document, self.encoding)
        if document.file is not None:
            self._by_file[document.file] = document
        self._tell()

    def change(self, params: types.DidChangeTextDocumentParams) -> None:
        """Change a document as a whole."""
        document = self.get(params.text_document.uri)
        if document is None:
            logger.warning("a document was changed that is not open")
            return
        version = params.text_document.version
        if version <= (document.version or 0):
            logger.warning("a document's version went from %s to %s", document.version, version)
        if not document.change(params.content_changes, version):
            logger.warning("a document was changed outside of its text, in version %s", version)
        self._tell()

    def change_missed(self, uri: str) -> None:
        """A document has changed in a way that is not known."""
        document = self.get(uri)
        if document is not None:
            document.is_known = False
            document.touched = True

    def saved(self, uri: str) -> None:
        """The editor has written the document's file."""
        document = self.get(uri)
        if document is None:
            logger.warning("a document was saved that is not open")
            return
        document.touched = False
        document.forget_name()

    def remove_text_document(self, doc_uri: str) -> None:
        """The editor has closed a document."""
        document = self._open.pop(_key(doc_uri), None)
        if document is None:
            logger.warning("a document was closed that is not open")
        elif document.file is not None and self._by_file.get(document.file) is document:
            del self._by_file[document.file]
        self._tell()

    def files_changed(self) -> None:
        """Something has changed on disk."""
        for document in self._open.values():
            document.forget_name()

    def get(self, uri: str) -> Document | None:
        """The open document of that URI, however it is escaped."""
        return self._open.get(_key(uri))

    def find(self, path: Path) -> Document | None:
        """The document that is open under `path` or another name of the same file."""
        found = self._by_file.get(path)
        if found is not None or not self._open:
            return found
        name = _real_name(path)
        for document in list(self._open.values()):
            if document.real_name == name:
                return document
        return None

    def unsaved(self) -> list[Path]:
        """The files whose documents hold something else, sorted."""
        documents = list(self._open.values())
        return sorted(
            document.file
            for document in documents
            if document.file is not None and not document.is_saved()
        )

    @contextmanager
    def watched(self, watcher: Callable[[], None]) -> Iterator[None]:
        """Have `watcher` called after each change of any document, inside of the block."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            watcher()


def _key(uri: str) -> str:
    # As in `path_of`: else all names that are not UTF-8 would be one.
    return unquote(uri, errors="surrogateescape")

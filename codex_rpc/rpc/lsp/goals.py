"""What is to become of the documents of an edit, and what the editor has made of them.

Owns finding that out, whatever the editor answers. Some leave out an edit for an old version and
say that they have applied it, and some apply it to whatever the text is by then, where its
positions may mean other lines. What a document's text was on the way tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import unquote

from attrs import define, field

from codex_rpc.rpc.lsp.documents import Document, plain
from codex_rpc.rpc.lsp.edits import TextEdit, changed_lines, text_edits
from codex_rpc.rpc.lsp.merging import applied, merged
from codex_rpc.rpc.lsp.text import PositionEncoding, split_lines

MAX_COMPARED_CHARS = 20_000_000
"""How much text is tried out as what the edit may have been applied to."""

Verdict = Literal["done", "not done", "astray", "unclear"]
"""`astray`: in a text that it was not made for; `unclear`: something of it is there."""


@define(eq=False)
class Goal:
    """What is to become of one document."""

    uri: str
    version: int | None
    """The document's as it is; None: it is to be opened."""
    before: str = field(repr=False)
    after: str | None = field(repr=False)
    """None: it is to be closed."""
    encoding: PositionEncoding
    reached: bool = field(default=False, init=False)
    """It was, at least for a moment; who types does not wait for us."""
    _landed: tuple[str, str] | None = field(default=None, init=False, repr=False)
    """The text that the edit was applied to, and what became of it."""
    _expected: dict[str, str] = field(factory=dict, init=False, repr=False)
    """Texts that the document has had, by what the edit would make of them."""
    _compared_chars: int = field(default=0, init=False)
    _edits: Sequence[TextEdit] | None = field(default=None, init=False, repr=False)
    _is_exact: bool = field(init=False)
    _wanted: str | None = field(init=False, repr=False)
    """What counts of `after`."""

    def __attrs_post_init__(self) -> None:
        self._is_exact = self.after is not None and plain(self.before) == plain(self.after)
        self._wanted = None if self.after is None else self._shape(self.after)

    @property
    def is_certain(self) -> bool:
        """Whether every editor tells when it is done."""
        return self.version is not None and self.after is not None

    @property
    def settled(self) -> bool:
        """Whether it is known what the editor has done."""
        return self.reached or self._landed is not None

    @property
    def name(self) -> str:
        """The document's, for people."""
        return unquote(self.uri.rpartition("/")[2])

    def is_outdated(self, document: Document | None) -> bool:
        """Whether the document is not any more what the edit was made for."""
        if not self.is_certain:
            return False
        return document is None or document.state() != (self.before, self.version)

    def presence(self, document: Document | None) -> None:
        """Take notice of a document that comes or goes, if that is what is wanted."""
        if self.is_certain:
            return
        if document is not None:
            self.take(document.source)
        elif self.after is None:
            self.reached = True

    def take(self, text: str) -> None:
        """Take notice of a text that the document has, each in its turn."""
        if self.reached or self._wanted is None:
            return
        shape = self._shape(text)
        if shape == self._wanted:
            self.reached = True
            self._landed = self.before, text
        elif self.is_certain and self._landed is None:
            source = self._expected.get(shape)
            if source is not None:
                self._landed = source, text
                self.reached = self._fits(source)
            self._expect(text, shape)

    def _expect(self, text: str, shape: str) -> None:
        self._compared_chars += len(text)
        if self._compared_chars <= MAX_COMPARED_CHARS:
            result = self._shape(applied(text, self._text_edits(), self.encoding))
            source = self._expected.get(result)
            if result != shape and (source is None or not self._is_half(text, source)):
                self._expected[result] = text

    def _is_half(self, text: str, source: str) -> bool:
        """Whether `text` is `source` with some of the edit: from its end, as editors apply it."""
        edits = self._text_edits()
        self._compared_chars += len(edits) * len(text)
        if self._compared_chars > MAX_COMPARED_CHARS:
            return True
        return any(
            applied(source, edits[at:], self.encoding) == text for at in range(1, len(edits))
        )

    def _fits(self, source: str) -> bool:
        """Whether the edit's positions mean the same in `source`: it differs only below them."""
        last, _ = self._text_edits()[-1].end
        return split_lines(source)[: last + 1] == split_lines(self.before)[: last + 1]

    def _text_edits(self) -> Sequence[TextEdit]:
        if self._edits is None:
            assert self.after is not None
            self._edits = text_edits(self.before, self.after, self.encoding)
        return self._edits

    def verdict(self, document: Document | None) -> Verdict:
        """What the editor has done. The document may never have been exactly what was wanted:
        the user types, and some editors put several changes into one message."""
        if self.settled:
            return "done" if self.reached else "astray"
        if not self.is_certain:
            # What need not be told is believed, unless what is told is something else.
            if document is None or self.after is None or self._resembles(document.source):
                return "done"
            return "not done"
        if document is None or document.source == self.before:
            return "not done"
        now = document.source
        shape = self._shape(now)
        assert self._wanted is not None
        if merged(self._shape(self.before), self._wanted, shape) == shape:
            return "done"
        return "unclear" if self._resembles(now) else "not done"

    def without(self, now: str) -> str | None:
        """`now` without what was done; None: others have changed the same lines since."""
        assert self.after is not None
        source, text = self._landed or (self.before, self.after)
        return merged(text, source, now)

    def _resembles(self, now: str) -> bool:
        assert self.after is not None
        return changed_lines(self.after, now) < changed_lines(self.before, now)

    def _shape(self, text: str) -> str:
        """What of a text counts: editors keep their own line ends, unless those are the point."""
        return text if self._is_exact else plain(text)

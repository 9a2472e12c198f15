"""An editor: what is open in it, in its own arithmetic, and a client that speaks LSP for it.

The arithmetic is on purpose another one than the server's: a text is one sequence of code
units, and positions are counted in it unit by unit.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from attrs import define, field

CODECS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
WIDTHS = {"utf-8": 1, "utf-16": 2, "utf-32": 4}


@define
class Buffer:
    """One document's text, as code units."""

    encoding: str
    data: bytes = b""
    version: int = 0

    @classmethod
    def of(cls, text: str, encoding: str, version: int = 0) -> Buffer:
        return cls(encoding, text.encode(CODECS[encoding]), version)

    @property
    def text(self) -> str:
        return self.data.decode(CODECS[self.encoding])

    def __len__(self) -> int:
        return len(self.data) // WIDTHS[self.encoding]

    def unit(self, index: int) -> int:
        width = WIDTHS[self.encoding]
        return int.from_bytes(self.data[index * width : (index + 1) * width], "little")

    def position(self, index: int) -> dict[str, int]:
        """Where the unit `index` is: its line, and how many units are before it there."""
        line = character = 0
        at = 0
        while at < index:
            unit = self.unit(at)
            at += 1
            if unit == 0x0D and at < index and self.unit(at) == 0x0A:
                at += 1
            if unit in (0x0A, 0x0D):
                line, character = line + 1, 0
            else:
                character += 1
        return {"line": line, "character": character}

    def index(self, position: dict[str, int]) -> int:
        """The unit at a position, which has to be one that exists."""
        for index in range(len(self) + 1):
            if self.is_between_characters(index) and self.position(index) == position:
                return index
        raise ValueError(f"there is no position {position}")

    def is_between_characters(self, index: int) -> bool:
        """Whether a position may point there."""
        if 0 < index < len(self):
            before, after = self.unit(index - 1), self.unit(index)
            if (before, after) == (0x0D, 0x0A):
                return False
            if self.encoding == "utf-16":
                return not 0xDC00 <= after < 0xE000
            if self.encoding == "utf-8":
                return after & 0xC0 != 0x80
        return True

    def splice(self, start: int, end: int, text: str) -> None:
        width = WIDTHS[self.encoding]
        new = text.encode(CODECS[self.encoding])
        self.data = self.data[: start * width] + new + self.data[end * width :]

    def edit(self, start: int, end: int, text: str) -> dict[str, Any]:
        """Put `text` in place of units; the change as `textDocument/didChange` tells it."""
        range_ = {"start": self.position(start), "end": self.position(end)}
        self.splice(start, end, text)
        return {"range": range_, "text": text}

    def apply(self, edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Apply edits that all speak of the text as it is; the changes, to be told in order."""
        places = [
            (self.index(e["range"]["start"]), self.index(e["range"]["end"]), e["newText"])
            for e in edits
        ]
        places.sort(key=lambda place: place[:2])
        for (_, end, _), (start, _, _) in pairwise(places):
            assert end <= start, "edits overlap"
        return [self.edit(*place) for place in reversed(places)]


@define
class Editor:
    """Documents, and how the editor answers `workspace/applyEdit`."""

    encoding: str = "utf-16"
    buffers: dict[str, Buffer] = field(factory=dict)
    edits: list[dict[str, Any]] = field(factory=list)
    """Every edit that was asked for, as it came."""

    def open(self, uri: str, text: str, version: int = 1, language: str = "text") -> Any:
        """The parameters of `textDocument/didOpen`."""
        self.buffers[uri] = Buffer.of(text, self.encoding, version)
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        return {"textDocument": item}

    def type(self, uri: str, start: int, end: int, text: str) -> Any:
        """Have the user type; the parameters of `textDocument/didChange`."""
        buffer = self.buffers[uri]
        return self._changed(uri, [buffer.edit(start, end, text)])

    def _changed(self, uri: str, changes: list[dict[str, Any]]) -> Any:
        buffer = self.buffers[uri]
        buffer.version += 1
        document = {"uri": uri, "version": buffer.version}
        return {"textDocument": document, "contentChanges": changes}

    def apply(self, params: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
        """The answer to `workspace/applyEdit`, and the notifications that come of it."""
        self.edits.append(params)
        operations = params["edit"]["documentChanges"]
        for operation in operations:
            document = operation.get("textDocument")
            if document is None or document["version"] is None:
                continue
            buffer = self.buffers.get(document["uri"])
            if buffer is None or buffer.version != document["version"]:
                return {"applied": False, "failureReason": "another version"}, []
        told: list[tuple[str, Any]] = []
        for operation in operations:
            told += self._operate(operation)
        return {"applied": True}, told

    def _operate(self, operation: dict[str, Any]) -> list[tuple[str, Any]]:
        kind = operation.get("kind")
        if kind == "create":
            return [("textDocument/didOpen", self.open(operation["uri"], ""))]
        if kind == "delete":
            return self._close(operation["uri"])
        if kind == "rename":
            buffer = self.buffers[operation["oldUri"]]
            closed = self._close(operation["oldUri"])
            opened = self.open(operation["newUri"], buffer.text)
            return [*closed, ("textDocument/didOpen", opened)]
        uri = operation["textDocument"]["uri"]
        changes = self.buffers[uri].apply(operation["edits"])
        return [("textDocument/didChange", self._changed(uri, changes))]

    def _close(self, uri: str) -> list[tuple[str, Any]]:
        if self.buffers.pop(uri, None) is None:
            return []
        return [("textDocument/didClose", {"textDocument": {"uri": uri}})]

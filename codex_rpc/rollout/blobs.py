"""Large strings of items, stored beside the session files under their own hash.

Owns which strings of an item are taken out, what stands in their place, and the files they
are in: `sessions/blobs/<2 hex>/<sha256>`, each holding the UTF-8 bytes of one string. The same
content is stored once. A string is only put back where a `blobs` record says so, and only if
the hash is right; one that merely looks like a reference is a string like any other.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import Item
from codex_rpc.rollout.files import FileLayer, open_regular, reason_of
from codex_rpc.rollout.paths import SESSIONS

MAX_TEXT_BYTES = 256 << 10
"""A longer text is stored apart."""
MAX_IMAGE_BYTES = 16 << 10
"""The same for the `data:` URL of an image."""
SHOWN_CHARS = 2048
"""How much of a long text's beginning, and of its end, stays in the item."""
EMPTY_IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)
"""One transparent pixel: what other readers of the file see of an image."""

_HASH = re.compile(r"[0-9a-f]{64}")


class BlobDamaged(Exception):
    """Raised when a stored string is not there, or is another one; `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@frozen
class _Large:
    pointer: str
    holder: dict[str, Any]
    member: str
    stand_in: str

    @property
    def text(self) -> str:
        text: str = self.holder[self.member]
        return text


def blob_path(codex_home: Path, sha256: str) -> Path:
    """Where the string of that hash is."""
    return codex_home / SESSIONS / "blobs" / sha256[:2] / sha256


def hashes_in(refs: object) -> Iterator[str]:
    """The hashes that the `refs` of a record name; what is none is passed over."""
    for ref in refs if isinstance(refs, list) else []:
        sha256 = ref.get("sha256") if isinstance(ref, dict) else None
        if isinstance(sha256, str) and _HASH.fullmatch(sha256):
            yield sha256


class BlobFolder:
    """The stored strings of one CODEX_HOME. Blocks on files."""

    def __init__(self, codex_home: Path, files: FileLayer, *, is_durable: bool = True) -> None:
        self._home = codex_home
        self._files = files
        self._is_durable = is_durable

    def stored(self, item: Item) -> tuple[list[dict[str, Any]], bytes] | None:
        """The `refs` of what was taken out of `item`, and what is left of it as a line's bytes.

        None: nothing in it is large. What is stored is in its file when this returns.

        Raises:
            OSError: a file could not be written.
        """
        if len(item.raw) <= MAX_IMAGE_BYTES:
            return None
        value = item.value()
        refs = []
        for large in list(_large_strings(value)):
            data = large.text.encode()
            sha256 = hashlib.sha256(data).hexdigest()
            self._store(sha256, data)
            refs.append({"pointer": large.pointer, "sha256": sha256, "bytes": len(data)})
            large.holder[large.member] = large.stand_in
        return (refs, orjson.dumps(value)) if refs else None

    def inline(self, value: dict[str, Any], refs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """`value`, an item, with what `refs` list put back; `value` itself is changed.

        Raises:
            BlobDamaged: a reference is no reference, or its content is not there or not that.
        """
        if not isinstance(refs, list):
            raise BlobDamaged("its blobs record has no list of references")
        for ref in refs:
            pointer, sha256 = (
                (ref.get("pointer"), ref.get("sha256")) if isinstance(ref, dict) else (None, None)
            )
            if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
                raise BlobDamaged("a reference in its blobs record names no hash")
            _put(value, pointer, self._load(sha256))
        return value

    def remove(self, sha256: str) -> None:
        """Remove a stored string; nothing if it is not there. Raises OSError."""
        with suppress(FileNotFoundError):
            blob_path(self._home, sha256).unlink()

    def _store(self, sha256: str, data: bytes) -> None:
        path = blob_path(self._home, sha256)
        if _has_size(path, len(data)):
            # Whoever cleans up sees that it has just been found.
            with suppress(OSError):
                os.utime(path)
            return
        made = self._files.make_folders(path.parent)
        # Under another name until it is whole, so that the name that is a hash always is one.
        unfinished = path.with_name(f".{sha256}.{secrets.token_hex(8)}")
        fd = self._files.create(unfinished)
        try:
            view = memoryview(data)
            while view:
                count = self._files.write(fd, view)
                if count <= 0:
                    raise OSError(errno.EIO, "the device took nothing")
                view = view[count:]
            if self._is_durable:
                self._files.sync(fd)
        except OSError:
            self._files.discard(fd, unfinished)
            raise
        os.close(fd)
        unfinished.replace(path)
        if self._is_durable:
            for folder in {path.parent, *(folder.parent for folder in made)}:
                self._files.sync_folder(folder)

    def _load(self, sha256: str) -> str:
        try:
            with open_regular(blob_path(self._home, sha256)) as file:
                data = file.read()
        except OSError as exc:
            raise BlobDamaged(f"its stored content cannot be read: {reason_of(exc)}") from exc
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BlobDamaged("its stored content is not what was stored")
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise BlobDamaged("its stored content is no text") from exc


def _large_strings(value: dict[str, Any]) -> Iterator[_Large]:
    """The strings that are taken out: of messages and outputs, nowhere else.

    A call's arguments are JSON in a string, of which a part would be none.
    """
    for member in ("content", "output"):
        inner = value.get(member)
        if member == "output":
            yield from _if_large(value, member, f"/{member}")
        for index, part in enumerate(inner if isinstance(inner, list) else []):
            if isinstance(part, dict):
                for name in ("text", "image_url"):
                    yield from _if_large(part, name, f"/{member}/{index}/{name}")


def _if_large(holder: dict[str, Any], member: str, pointer: str) -> Iterator[_Large]:
    text = holder.get(member)
    if not isinstance(text, str):
        return
    if member == "image_url":
        if len(text) > MAX_IMAGE_BYTES and text.startswith("data:"):
            yield _Large(pointer, holder, member, EMPTY_IMAGE)
    elif len(text) * 4 > MAX_TEXT_BYTES and len(text.encode()) > MAX_TEXT_BYTES:
        left_out = len(text) - 2 * SHOWN_CHARS
        shown = f"{text[:SHOWN_CHARS]}\n[... {left_out} characters ...]\n{text[-SHOWN_CHARS:]}"
        yield _Large(pointer, holder, member, shown)


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _put(value: Any, pointer: object, text: str) -> None:
    """Put `text` where a JSON pointer leads, in the place of a string that is there."""
    # Without its type an item is none.
    if not isinstance(pointer, str) or not pointer.startswith("/") or pointer == "/type":
        raise BlobDamaged("a reference in its blobs record leads nowhere")
    *path, last = pointer.split("/")[1:]
    for step in path:
        value = _member(value, step)
    if not isinstance(_member(value, last), str):
        raise BlobDamaged("a reference in its blobs record leads to no string")
    value[_key(value, last)] = text


def _member(value: Any, step: str) -> Any:
    try:
        return value[_key(value, step)]
    except (LookupError, TypeError, ValueError) as exc:
        raise BlobDamaged("a reference in its blobs record leads nowhere") from exc


def _key(value: Any, step: str) -> Any:
    if isinstance(value, list):
        return int(step)
    if isinstance(value, dict):
        return step.replace("~1", "/").replace("~0", "~")
    raise TypeError(step)

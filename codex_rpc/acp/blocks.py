"""A prompt's content blocks as what the user hands in.

Owns which blocks are understood, and what a place in a file looks like in a URI. Files are pointed
at and read later, by those who know what may be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ops import (
    ImageInput,
    InputItem,
    MentionInput,
    Position,
    Range,
    SelectionInput,
    TextInput,
)

_LINES = re.compile(r"L?(\d{1,9})(?:[:-]L?(\d{1,9}))?")
"""`#L10`, `#L10:20`, `#L10-L20`: lines counted from 1, the last one included."""


def items_of(blocks: Sequence[Any], *, at: str = "prompt") -> list[InputItem]:
    """What `blocks` hand in, in their order.

    Raises:
        InvalidParams: there are none, or one is not as the protocol says, or of a kind that was
            not offered.
    """
    if not blocks:
        raise InvalidParams(at, "at least one content block")
    return [_item(block, f"{at}[{index}]") for index, block in enumerate(blocks)]


def _item(block: Any, at: str) -> InputItem:
    if not isinstance(block, dict):
        raise InvalidParams(at, "a content block")
    match block.get("type"):
        case "text":
            return TextInput(_text(block, "text", at))
        case "image":
            return _image(_text(block, "data", at), _text(block, "mimeType", at), at)
        case "resource_link":
            return _link(_text(block, "uri", at), block)
        case "resource":
            resource = block.get("resource")
            if not isinstance(resource, dict):
                raise InvalidParams(f"{at}.resource", "object")
            return _embedded(resource, f"{at}.resource")
    raise InvalidParams(f"{at}.type", "text, image, resource_link or resource")


def _text(block: Mapping[str, Any], member: str, at: str) -> str:
    value = block.get(member)
    if not isinstance(value, str):
        raise InvalidParams(f"{at}.{member}", "string")
    return value


def _image(data: str, mime: str, at: str) -> ImageInput:
    if not mime.startswith("image/"):
        raise InvalidParams(f"{at}.mimeType", "that of an image, such as image/png")
    return ImageInput(f"data:{mime};base64,{data}")


def _link(uri: str, block: Mapping[str, Any]) -> InputItem:
    place = _place_of(uri)
    if place is not None:
        return MentionInput(place.path, place.lines)
    # What cannot be read from here, the model may know how to reach.
    title = block.get("title") or block.get("name")
    return TextInput(f"[{title}]({uri})" if isinstance(title, str) else f"<{uri}>")


def _embedded(resource: Mapping[str, Any], at: str) -> InputItem:
    uri = _text(resource, "uri", at)
    mime = resource.get("mimeType")
    blob = resource.get("blob")
    if isinstance(blob, str):
        if isinstance(mime, str) and mime.startswith("image/"):
            return _image(blob, mime, at)
        size = len(blob) * 3 // 4
        return TextInput(f"[not attached: {uri} is {size:,} bytes of {mime or 'binary data'}]")
    text = _text(resource, "text", at)
    place = _place_of(uri)
    if place is not None and place.lines is not None:
        return SelectionInput(place.path, place.lines, text)
    # It brings an HTTP client along, which most prompts do not need.
    from xml.sax.saxutils import quoteattr

    where = f"path={quoteattr(place.path)}" if place is not None else f"uri={quoteattr(uri)}"
    end = "" if text.endswith("\n") else "\n"
    return TextInput(f"<file {where}>\n{text}{end}</file>")


@frozen
class _Place:
    """A file, or lines of it."""

    path: str
    lines: Range | None


def _place_of(uri: str) -> _Place | None:
    """The file that `uri` is about; None: it is about something else."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    is_file = parts.scheme == "file" and parts.netloc in ("", "localhost")
    if not is_file and (parts.scheme or not PurePath(uri).is_absolute()):
        return None
    path = unquote(parts.path)
    if not path:
        return None
    match = _LINES.fullmatch(parts.fragment)
    if match is None:
        return _Place(path, None)
    first = max(int(match[1]), 1)
    last = max(int(match[2] or first), first)
    return _Place(path, Range(Position(first - 1, 0), Position(last, 0)))

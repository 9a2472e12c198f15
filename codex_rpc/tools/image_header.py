"""What the first bytes of an image say: its format, and how many pixels it has.

Owns the four formats that models take. Decodes nothing, so that it can be asked about a file
that nobody should decode.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from codex_rpc.protocol.frozen import frozen


@frozen
class Header:
    """An image as it describes itself."""

    media_type: str
    width: int
    """In pixels, before any rotation that the file asks for; at least 1."""
    height: int

    @property
    def name(self) -> str:
        """The format as people call it."""
        return NAMES[self.media_type]


NAMES = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WebP",
}


def media_type(data: bytes) -> str | None:
    """The format of a file that begins with `data`; None: none of the four."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def read_header(data: bytes) -> Header | None:
    """The header of an image; None: it is none of the four, or it is damaged."""
    kind = media_type(data)
    if kind is None:
        return None
    try:
        size = _SIZES[kind](data)
    except (struct.error, IndexError):
        return None
    return Header(kind, *size) if size is not None and all(size) else None


def _png(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from(">II", data, 16)
    return (width, height) if data[12:16] == b"IHDR" else None


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            # Any number of these may stand before a marker.
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        elif marker in (0xD9, 0xDA):
            return None
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            at += 2 + length
    return None


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of JPEG before a frame's header."""


def _webp(data: bytes) -> tuple[int, int] | None:
    if data[12:16] == b"VP8X":
        width, width_high, height, height_high = struct.unpack_from("<HBHB", data, 24)
        return 1 + width + (width_high << 16), 1 + height + (height_high << 16)
    if data[12:16] == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if data[12:16] == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


_SIZES: Mapping[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}

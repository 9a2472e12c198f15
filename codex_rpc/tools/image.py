"""Local image files for the model: those that it asks for, and those that the user attaches.

Owns what may be attached: the format is told by the file's first bytes and not by its name, so
that no other file is sent anywhere because of what it is called; what is too large for models is
scaled down where Pillow is installed. It does not know which files are denied, only whom to ask.
"""

from __future__ import annotations

import base64
import os
import stat
import struct
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio.to_thread

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.tools import ToolHost, ToolOutcome
from codex_rpc.tools.function_arguments import arguments_of
from codex_rpc.tools.image_header import Header, media_type, read_header

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 2000
"""Pixels. A larger image is scaled down."""

MAX_IMAGE_BYTES = 5 << 20
"""The same for its file, before it becomes text."""

MAX_FILE_BYTES = 64 << 20
"""A larger file is not even looked at."""

MAX_PIXELS = 80_000_000
"""More are not decoded: four bytes each would fill the memory."""

_READ = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    # The path has been resolved; a link that has come since is not followed.
    | getattr(os, "O_NOFOLLOW", 0)
    # Opening a named pipe would wait for its writer.
    | getattr(os, "O_NONBLOCK", 0)
)

MayRead = Callable[[Path], bool]


class FileRules(Protocol):
    """What the session's sandbox says about single files."""

    def may_read(self, path: Path, cwd: Path) -> bool:
        """Whether `path`, as given and resolved, may be read in a session in `cwd`."""
        ...


@frozen
class _Arguments:
    """`function_call.arguments` of `view_image`."""

    path: str


async def view_image(call: Item, host: ToolHost, rules: FileRules) -> ToolOutcome:
    """Answer a `function_call` of `view_image`.

    Raises:
        BadArguments: the arguments do not fit.
        ToolError: as `image_url`.
    """
    cwd = host.context.cwd
    url = await image_url(cwd / arguments_of(call, _Arguments).path, rules, cwd)
    return ToolOutcome([{"type": "input_image", "image_url": url}])


async def image_url(path: Path, rules: FileRules, cwd: Path) -> str:
    """The image at the absolute `path`, in a session in `cwd`, as a `data:` URL.

    At most `MAX_SIDE` pixels on a side and `MAX_IMAGE_BYTES`: a larger one is scaled down.

    Raises:
        ToolError: it may not be read, or cannot be; it is no PNG, JPEG, GIF or WebP; or it is too
            large and cannot be scaled down.
    """
    return await anyio.to_thread.run_sync(_image_url, path, partial(rules.may_read, cwd=cwd))


def _image_url(path: Path, may_read: MayRead) -> str:
    try:
        data = _content(path, may_read)
        if media_type(data) is None:
            raise ToolError("not a PNG, JPEG, GIF or WebP image")
        header = read_header(data)
        if header is None:
            raise ToolError("the image is damaged")
        kind = header.media_type
        if max(header.width, header.height) > MAX_SIDE or len(data) > MAX_IMAGE_BYTES:
            kind, data = _scaled(data, header)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else None
        raise ToolError(f"cannot attach {path}: {reason or exc}") from exc
    except ToolError as exc:
        raise ToolError(f"cannot attach {path}: {exc.message}") from exc
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _content(path: Path, may_read: MayRead) -> bytes:
    real = Path(os.path.realpath(path, strict=True))
    if not (may_read(path) and may_read(real)):
        raise ToolError("sandbox_deny_read denies it")
    # A folder or a device is not opened at all; the file that is opened is looked at again.
    _require_file(real.stat())
    with os.fdopen(os.open(real, _READ), "rb") as file:
        _require_file(os.fstat(file.fileno()))
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ToolError(_too_large_file())
    return data


def _require_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ToolError("not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise ToolError(_too_large_file())


def _too_large_file() -> str:
    return f"larger than {MAX_FILE_BYTES >> 20} MiB"


# Scaling.


def _scaled(data: bytes, header: Header) -> tuple[str, bytes]:
    """The media type and the file of a smaller copy: turned upright, and the first picture of an
    animation."""
    size = f"{header.width} x {header.height} pixels, {len(data) / (1 << 20):.1f} MiB"
    if header.width * header.height > MAX_PIXELS:
        raise ToolError(f"it has too many pixels to be scaled down ({size})")
    try:
        from PIL import Image, ImageOps
    except ImportError as exc:
        raise ToolError(
            f"it is too large ({size}); models take {MAX_SIDE} pixels on a side and "
            f"{MAX_IMAGE_BYTES >> 20} MiB. With Pillow codex-rpc scales it down: "
            "pip install 'codex-rpc[images]'"
        ) from exc
    try:
        with Image.open(BytesIO(data), formats=[header.name]) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ToolError("it has more pixels than it says")
            image = _smooth(opened)
            image.thumbnail((MAX_SIDE, MAX_SIDE))
            image = ImageOps.exif_transpose(image)
        return _saved(image, header.media_type)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise ToolError("it has more pixels than it says") from exc
    except _DAMAGED as exc:
        raise ToolError("the image is damaged") from exc


_DAMAGED: tuple[type[Exception], ...] = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError),
    *(struct.error, zlib.error),
)
"""What Pillow raises for files that are not what they should be."""


def _smooth(image: Image) -> Image:
    """`image` with colours of its own: of a palette's no mixture can be made, so that scaling
    would leave pixels out, and writing with them."""
    if image.mode == "P":
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _saved(image: Image, kind: str) -> tuple[str, bytes]:
    """`image` as a PNG if it was no JPEG and that is small enough, else as a JPEG."""
    if kind != "image/jpeg":
        if image.mode not in ("L", "LA", "RGB", "RGBA", "I;16"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        data = _encoded(image, "PNG")
        if len(data) <= MAX_IMAGE_BYTES:
            return "image/png", data
    # 2,000 pixels square come to 5 MiB at the most, whatever they show.
    return "image/jpeg", _encoded(_opaque(image), "JPEG")


def _opaque(image: Image) -> Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    from PIL import Image

    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _encoded(image: Image, name: str) -> bytes:
    out = BytesIO()
    image.save(out, name, quality=85)
    return out.getvalue()

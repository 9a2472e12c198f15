"""Local image files for the model.

Owns what counts as an image: the formats that models take, told by the file's first bytes and
not by its name, so that no other file is sent anywhere because of what it is called.
"""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import anyio.to_thread

from codex_rpc.protocol.errors import ToolError

MAX_IMAGE_BYTES = 20 << 20


async def image_url(path: Path) -> str:
    """The image at `path` as a `data:` URL.

    Raises:
        ToolError: it cannot be read, is no PNG, JPEG, GIF or WebP, or is larger than
            `MAX_IMAGE_BYTES`.
    """
    return await anyio.to_thread.run_sync(_image_url, path)


def _image_url(path: Path) -> str:
    try:
        # Looked at before it is opened: opening a named pipe would wait for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ToolError(f"cannot attach {path}: not a regular file")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_IMAGE_BYTES:
                raise ToolError(f"cannot attach {path}: larger than {MAX_IMAGE_BYTES >> 20} MiB")
            data = file.read(MAX_IMAGE_BYTES)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else None
        raise ToolError(f"cannot attach {path}: {reason or exc}") from exc
    media_type = _media_type(data)
    if media_type is None:
        raise ToolError(f"cannot attach {path}: not a PNG, JPEG, GIF or WebP image")
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _media_type(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None

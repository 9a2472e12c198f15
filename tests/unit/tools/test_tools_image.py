"""Local images for the model."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import pytest
from anyio import fail_after
from tools_support import toolbox

from codex_rpc.protocol.errors import ToolError
from codex_rpc.tools.image import MAX_IMAGE_BYTES

IMAGES = {
    "image/png": b"\x89PNG\r\n\x1a\n...",
    "image/jpeg": b"\xff\xd8\xff\xe0...",
    "image/gif": b"GIF89a...",
    "image/webp": b"RIFF\0\0\0\0WEBP...",
}


@pytest.mark.parametrize("media_type", IMAGES)
async def test_an_image_becomes_a_data_url_of_what_it_is(tmp_path: Path, media_type: str) -> None:
    path = tmp_path / "misnamed.txt"
    path.write_bytes(IMAGES[media_type])
    with fail_after(5):
        url = await toolbox(tmp_path).read_image(path)
    expected = base64.b64encode(IMAGES[media_type]).decode()
    assert url == f"data:{media_type};base64,{expected}"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.png", "No such file or directory"),
        ("folder", "not a regular file"),
        ("notes.png", "not a PNG, JPEG, GIF or WebP image"),
        ("empty.png", "not a PNG, JPEG, GIF or WebP image"),
        ("huge.png", "larger than 20 MiB"),
        ("a\0b", "embedded null byte"),
        ("a" * 300, "File name too long"),
    ],
)
async def test_what_cannot_be_attached_says_why(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.png").write_text("a secret")
    (tmp_path / "empty.png").write_text("")
    (tmp_path / "huge.png").touch()
    os.truncate(tmp_path / "huge.png", MAX_IMAGE_BYTES + 1)
    with fail_after(5), pytest.raises(ToolError) as caught:
        await toolbox(tmp_path).read_image(tmp_path / name)
    assert caught.value.message.endswith(reason)
    assert "a secret" not in caught.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
async def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with fail_after(5), pytest.raises(ToolError, match="not a regular file"):
        await toolbox(tmp_path).read_image(tmp_path / "pipe.png")

"""Local images for the model."""

from __future__ import annotations

import base64
import os
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from anyio import fail_after
from hypothesis import given, settings
from hypothesis import strategies as st
from tools_support import Host, context, function_call, toolbox

from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.tools import ToolOutcome
from codex_rpc.tools.image import MAX_FILE_BYTES, MAX_IMAGE_BYTES
from codex_rpc.tools.image_header import NAMES, media_type, read_header

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def drawn(name: str, size: tuple[int, int] = (7, 5), mode: str = "RGB", **options: Any) -> bytes:
    """An image file in the format `name`."""
    out = BytesIO()
    Image.new(mode, size, "red").save(out, name, **options)
    return out.getvalue()


def noise(name: str, size: tuple[int, int]) -> bytes:
    """One that cannot be compressed."""
    out = BytesIO()
    Image.frombytes("RGB", size, os.urandom(3 * size[0] * size[1])).save(out, name, quality=95)
    return out.getvalue()


def png_of(width: int, height: int) -> bytes:
    """The header of a PNG that says it has so many pixels, and almost nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")


SMALL = {
    "image/png": drawn("PNG"),
    "image/jpeg": drawn("JPEG"),
    "image/gif": drawn("GIF"),
    "image/webp": drawn("WEBP"),
}


async def attached(path: Path, **settings: Any) -> tuple[str, bytes]:
    """The media type and the bytes of what `path` becomes."""
    with fail_after(10):
        url = await toolbox(path.parent, **settings).read_image(path, path.parent)
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), base64.b64decode(data)


async def refused(path: Path, **settings: Any) -> str:
    with fail_after(10), pytest.raises(ToolError) as caught:
        await toolbox(path.parent, **settings).read_image(path, path.parent)
    assert caught.value.message.startswith(f"cannot attach {path}: ")
    return caught.value.message


@pytest.mark.parametrize("kind", SMALL)
async def test_an_image_is_attached_unchanged_as_what_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "misnamed.txt"
    path.write_bytes(SMALL[kind])
    assert await attached(path) == (kind, SMALL[kind])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.png", "No such file or directory"),
        ("folder", "not a regular file"),
        ("notes.png", "not a PNG, JPEG, GIF or WebP image"),
        ("empty.png", "not a PNG, JPEG, GIF or WebP image"),
        ("torn.png", "the image is damaged"),
        ("huge.png", "larger than 64 MiB"),
        ("loop.png", "Too many levels of symbolic links"),
        ("a\0b", "embedded null byte"),
        ("a" * 300, "File name too long"),
    ],
)
async def test_what_cannot_be_attached_says_why(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.png").write_text("a secret")
    (tmp_path / "empty.png").write_text("")
    (tmp_path / "torn.png").write_bytes(SMALL["image/png"][:20])
    (tmp_path / "huge.png").touch()
    os.truncate(tmp_path / "huge.png", MAX_FILE_BYTES + 1)
    (tmp_path / "loop.png").symlink_to("loop.png")
    message = await refused(tmp_path / name)
    assert message.endswith(reason)
    assert "a secret" not in message


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
async def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in await refused(tmp_path / "pipe.png")


# Denied files.


async def test_relative_patterns_hold_where_the_turn_is(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "private").mkdir(parents=True)
    face = elsewhere / "private" / "face.png"
    face.write_bytes(SMALL["image/png"])
    box = toolbox(tmp_path / "configured", deny_read=("private/**",))
    with fail_after(5), pytest.raises(ToolError, match="sandbox_deny_read denies it"):
        await box.read_image(face, elsewhere)


@pytest.mark.parametrize("name", ["private/face.png", "link.png", "folder/face.png"])
async def test_a_denied_image_is_not_attached_by_any_of_its_names(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "face.png").write_bytes(SMALL["image/png"])
    (tmp_path / "link.png").symlink_to("private/face.png")
    (tmp_path / "folder").symlink_to("private")
    box = toolbox(tmp_path, deny_read=("private/**",))
    with fail_after(5), pytest.raises(ToolError, match="sandbox_deny_read denies it"):
        await box.read_image(tmp_path / name, tmp_path)
    outcome = await view(tmp_path, name, deny_read=("private/**",))
    assert outcome.output == f"cannot attach {tmp_path / name}: sandbox_deny_read denies it"


async def test_auth_json_is_denied_also_as_an_image(tmp_path: Path) -> None:
    cwd, secret = tmp_path / "work", tmp_path / "codex-home" / "auth.json"
    cwd.mkdir()
    secret.parent.mkdir()
    secret.write_bytes(SMALL["image/png"])
    assert "sandbox_deny_read denies it" in str((await view(cwd, str(secret))).output)
    assert "sandbox_deny_read denies it" in str((await view(cwd, "../codex-home/auth.json")).output)


# The model's tool.


async def view(cwd: Path, path: object, **settings: Any) -> ToolOutcome:
    host = Host(context(cwd, approval="untrusted", mode="read-only"))
    with fail_after(5):
        outcome = await toolbox(cwd, **settings).call(
            function_call("view_image", {"path": path}), host
        )
    assert (outcome.events, host.announced, host.asked) == ((), [], [])
    return outcome


async def test_the_model_gets_the_image_as_content(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(SMALL["image/png"])
    encoded = base64.b64encode(SMALL["image/png"]).decode()
    expected = [{"type": "input_image", "image_url": f"data:image/png;base64,{encoded}"}]
    for path in ("red.png", str(tmp_path / "red.png")):
        assert (await view(tmp_path, path)).output == expected


async def test_the_model_is_told_what_is_wrong(tmp_path: Path) -> None:
    assert str((await view(tmp_path, "no.png")).output).endswith("No such file or directory")
    assert (await view(tmp_path, 5)).output == (
        "failed to parse function arguments: path: expected string"
    )


# Large ones.


@pytest.mark.parametrize(
    ("name", "mode", "kind"),
    [
        ("PNG", "RGB", "image/png"),
        ("PNG", "RGBA", "image/png"),
        ("PNG", "P", "image/png"),
        ("PNG", "I;16", "image/png"),
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("JPEG", "CMYK", "image/jpeg"),
        ("GIF", "P", "image/png"),
        ("WEBP", "RGBA", "image/png"),
    ],
)
async def test_too_many_pixels_are_scaled_down(
    tmp_path: Path, name: str, mode: str, kind: str
) -> None:
    path = tmp_path / "wide"
    out = BytesIO()
    Image.new(mode, (4000, 100)).save(out, name)
    path.write_bytes(out.getvalue())
    shown, data = await attached(path)
    assert shown == kind == media_type(data)
    with Image.open(BytesIO(data)) as image:
        image.load()
        assert image.size == (2000, 50)


@pytest.mark.parametrize(("name", "mode"), [("GIF", "P"), ("PNG", "P"), ("PNG", "1")])
async def test_thin_lines_do_not_vanish_when_they_are_scaled(
    tmp_path: Path, name: str, mode: str
) -> None:
    image = Image.new("1", (4000, 40))
    for x in range(0, 4000, 4):
        image.paste(1, (x + 1, 0, x + 2, 40))
    image.convert(mode).save(tmp_path / "lines", name)
    _, data = await attached(tmp_path / "lines")
    with Image.open(BytesIO(data)) as shown:
        low, high = shown.convert("L").crop((100, 0, 1900, 20)).getextrema()
    assert high > 0
    assert high - low < 255


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
async def test_a_large_file_becomes_a_smaller_one_with_as_many_pixels(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "noise"
    path.write_bytes(noise(name, (1999, 1900)) + b"\0" * (1 << 20))
    assert path.stat().st_size > MAX_IMAGE_BYTES - (2 << 20)
    os.truncate(path, max(path.stat().st_size, MAX_IMAGE_BYTES + 1))
    kind, data = await attached(path)
    assert kind == "image/jpeg"
    assert len(data) <= MAX_IMAGE_BYTES
    header = read_header(data)
    assert header is not None
    assert (header.width, header.height) == (1999, 1900)


async def test_a_photo_that_says_how_it_was_held_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.jpg"
    path.write_bytes(drawn("JPEG", (4000, 2000), exif=exif))
    _, data = await attached(path)
    with Image.open(BytesIO(data)) as image:
        assert image.size == (1000, 2000)
        assert not image.getexif().get(0x0112)


async def test_what_was_transparent_becomes_white_where_it_has_to_be_a_jpeg(
    tmp_path: Path,
) -> None:
    image = Image.frombytes("RGBA", (1500, 1500), os.urandom(4 * 1500 * 1500))
    image.paste((0, 0, 0, 0), (0, 0, 100, 100))
    image.save(tmp_path / "noise.png")
    kind, data = await attached(tmp_path / "noise.png")
    assert kind == "image/jpeg"
    with Image.open(BytesIO(data)) as shown:
        assert min(shown.getpixel((50, 50))) > 245


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (1, 1 << 31), (80_001, 1000)])
async def test_a_decompression_bomb_is_not_decoded(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(width, height))
    assert "too many pixels to be scaled down" in await refused(path)


@pytest.mark.parametrize("side", [9200, 60_000])
async def test_an_image_that_hides_its_size_is_not_decoded(tmp_path: Path, side: int) -> None:
    # The first header is for those who look, the second for those who decode.
    honest, huge = drawn("JPEG", (3000, 10)), drawn("JPEG", (10, 10))
    frame = huge.index(b"\xff\xc0")
    hidden = huge[frame : frame + 5] + struct.pack(">HH", side, side) + huge[frame + 9 :]
    start = honest.index(b"\xff\xda")
    path = tmp_path / "two.jpg"
    path.write_bytes(honest[:start] + hidden)
    assert "it has more pixels than it says" in await refused(path)


async def test_damage_that_shows_when_it_is_decoded_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    path.write_bytes(drawn("PNG", (4000, 4000))[:-500])
    assert "the image is damaged" in await refused(path)


def test_without_pillow_it_says_what_would_help(tmp_path: Path) -> None:
    (tmp_path / "wide.png").write_bytes(drawn("PNG", (2001, 1)))
    (tmp_path / "small.png").write_bytes(drawn("PNG", (2000, 1)))
    program = (
        "import anyio, sys\n"
        "from pathlib import Path\n"
        "sys.modules['PIL'] = None\n"
        "from codex_rpc.tools.image import image_url\n"
        "class Rules:\n"
        "    def may_read(self, path, cwd): return True\n"
        "for name in ('small.png', 'wide.png'):\n"
        "    print(anyio.run(image_url, Path(sys.argv[1], name), Rules(), Path('/'))[:15])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=15
    )
    assert done.stdout == "data:image/png;\n"
    assert "(2001 x 1 pixels, 0.0 MiB); models take 2000 pixels on a side" in done.stderr
    assert "pip install 'codex-rpc[images]'" in done.stderr


# Headers.


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"comment": b"\xff\xd9" * 50, "exif": b"Exif\0\0" + b"\xff\xc0" * 50}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0something"}),
    ],
)
@settings(deadline=None, max_examples=15)
@given(size=st.tuples(st.integers(1, 600), st.integers(1, 600)))
def test_the_size_is_read_as_pillow_reads_it(
    name: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    header = read_header(drawn(name, size, **options))
    assert header is not None
    assert (header.name.upper(), header.width, header.height) == (name, *size)


@pytest.mark.parametrize(
    "before",
    [
        b"\xff\xc4\x00\x08tables",
        b"\xff\xcc\x00\x06more",
        b"\xff\xff\xff",
        b"\xff\x01",
        b"\xff\xd0",
        b"\xff\xfe\x00\x06\xff\xc0\xff\xc0",
    ],
)
def test_in_a_jpeg_only_a_frame_says_the_size(before: bytes) -> None:
    whole = SMALL["image/jpeg"]
    header = read_header(whole[:2] + before + whole[2:])
    assert header is not None
    assert (header.width, header.height) == (7, 5)


def test_a_jpeg_without_a_frame_is_damaged() -> None:
    whole = SMALL["image/jpeg"]
    for rest in (b"\xff\xd9", b"\xff\xda\x00\x02" + whole[2:], b"\x00" + whole[2:]):
        assert read_header(whole[:2] + b"\xff\xe0\x00\x02" + rest) is None


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(list(SMALL)), st.data())
def test_a_header_that_was_cut_or_changed_is_never_an_error(kind: str, data: st.DataObject) -> None:
    whole = bytearray(SMALL[kind])
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, min(len(whole), 60) - 1))] = data.draw(st.integers(0, 255))
    header = read_header(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    if header is not None:
        assert header.media_type in NAMES
        assert min(header.width, header.height) > 0

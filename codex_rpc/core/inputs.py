"""What the user hands in, as the model is given it.

Owns the form of each kind of input item. What is in files and documents, and whether it may be
read, is the tools' affair.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from codex_rpc.core.ports import ToolBox
from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.ops import (
    ImageInput,
    InputItem,
    LocalImageInput,
    MentionInput,
    Range,
    SelectionInput,
    TextInput,
)


async def content_of(
    item: InputItem, tools: ToolBox, cwd: Path, on_problem: Callable[[str], None]
) -> dict[str, Any]:
    """The content part of a message that `item` becomes, in a turn in `cwd`.

    What cannot be read is told to `on_problem`, and the model is told what it does not see:
    the rest of the input still counts.
    """
    try:
        match item:
            case TextInput():
                return _text(item.text)
            case ImageInput():
                return _image(item.image_url)
            case LocalImageInput():
                return _image(await tools.read_image(cwd / item.path, cwd))
            case MentionInput():
                said = await tools.read_text(cwd / item.path, item.range, cwd)
                return _text(_quoted("file", item.path, item.range, said))
            case SelectionInput():
                selected = item.text
                if selected is None:
                    selected = await tools.read_text(cwd / item.path, item.range, cwd)
                return _text(_quoted("selection", item.path, item.range, selected))
    except ToolError as exc:
        on_problem(exc.message)
        what = "image" if isinstance(item, LocalImageInput) else "file"
        return _text(f"[{what} not attached: {exc.message}]")


def _text(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def _image(url: str) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url}


def _quoted(tag: str, path: str, part: Range | None, text: str) -> str:
    # It brings an HTTP client along, which most sessions never need.
    from xml.sax.saxutils import quoteattr

    lines = ""
    if part is not None:
        # A range that ends before the first character of a line has nothing of that line.
        last = part.end.line - (part.end.character == 0 and part.end.line > part.start.line)
        lines = f' lines="{part.start.line + 1}-{last + 1}"'
    end = "" if text.endswith("\n") else "\n"
    return f"<{tag} path={quoteattr(path)}{lines}>\n{text}{end}</{tag}>"

"""Content of the protocol: blocks of texts, images and diffs."""

from __future__ import annotations

import re
from typing import Any

Block = dict[str, Any]
"""A `ToolCallContent`."""

MAX_TEXT = 64 * 1024
"""Characters of a text that are shown; of a longer one its beginning and end are."""

_DATA_URL = re.compile(r"data:([^;,]+);base64,(.*)", re.DOTALL)


def text(said: str) -> dict[str, Any]:
    """A text as a `ContentBlock`."""
    return {"type": "text", "text": said}


def text_block(said: str) -> Block:
    """A text as the content of a call."""
    return {"type": "content", "content": text(said)}


def fenced(said: str, language: str = "") -> Block:
    """A text that is shown as it is, whatever it holds."""
    longest = max((len(run) for run in re.findall("`+", said)), default=0)
    fence = "`" * max(3, longest + 1)
    end = "" if said.endswith("\n") else "\n"
    return text_block(f"{fence}{language}\n{said}{end}{fence}")


def shortened(text: str) -> str:
    """`text`, or its beginning and end if it is too long, which is said between them."""
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[… {left_out:,} characters left out …]\n{text[-half:]}"


def diff(path: str, old: str | None, new: str) -> Block:
    """A change of the file at `path`, which is absolute; None: there was nothing."""
    return {"type": "diff", "path": path, "oldText": old, "newText": new}


def image_or_link(url: str) -> dict[str, Any]:
    """An image as a `ContentBlock`, or a link where it is somewhere else."""
    match = _DATA_URL.fullmatch(url)
    if match is None:
        return text(f"[an image]({url})")
    return {"type": "image", "mimeType": match[1], "data": match[2]}

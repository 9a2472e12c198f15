"""What slash commands ask of the model: our own texts, one file each."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


def review(target: str) -> str:
    """A review of `target`, a noun in the words of the user or of ours."""
    return _text("review").replace("$TARGET", target)


def init() -> str:
    """A first AGENTS.md."""
    return _text("init")


@cache
def _text(name: str) -> str:
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")

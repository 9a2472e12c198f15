"""What models are told: our own texts, one file each, read when they are first needed.

Owns which text goes to which family of models. A session keeps the text that it began with,
so that what a server has cached stays valid.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from codex_rpc.config.families import family_of

_FOLDER = Path(__file__).parent


def base_instructions(model: str) -> str:
    """The built-in system prompt for `model`.

    It says how to work and how to use what every session has. What is true of one session only
    (folder, policies, AGENTS.md) comes as messages of the conversation, and each tool describes
    itself. Models that run on people's own machines get a short one: they read slowly.
    """
    return _text("base_small" if family_of(model).is_small else "base")


def compaction_instructions() -> str:
    """How a conversation is to be summarised."""
    return _text("compaction")


def interruption_note() -> str:
    """What the model is told of a turn that did not come to its end."""
    return _text("interrupted").strip()


@cache
def _text(name: str) -> str:
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")

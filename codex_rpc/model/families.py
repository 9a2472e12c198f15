"""What is known of models by the beginning of their names. It asks nobody."""

from __future__ import annotations

_CONTEXT_WINDOWS = {
    "gpt-5": 272_000,
    "gpt-4.1": 1_047_576,
    "gpt-4o": 128_000,
    "gpt-4-turbo": 128_000,
    "gpt-4": 8_192,
    "gpt-3.5-turbo": 16_385,
    "gpt-oss": 131_072,
    "o4-mini": 200_000,
    "o3": 200_000,
    "o1": 200_000,
    "codex-mini": 200_000,
}
"""In tokens, by prefix; the longest prefix that fits counts."""


def context_window(model: str) -> int | None:
    """The context window of `model` in tokens; None if the name says nothing.

    A vendor in front, as in `openai/o3`, is passed over.
    """
    name = model.rsplit("/", 1)[-1].lower()
    known = [prefix for prefix in _CONTEXT_WINDOWS if name.startswith(prefix)]
    return _CONTEXT_WINDOWS[max(known, key=len)] if known else None


_WITHOUT_REASONING = ("gpt-4", "gpt-3.5")


def may_reason(model: str) -> bool:
    """Whether reasoning may be asked for: false where the family is known to refuse that."""
    return not model.rsplit("/", 1)[-1].lower().startswith(_WITHOUT_REASONING)

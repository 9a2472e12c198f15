"""Secrets by their value: what must not be written to a session file.

Owns which values those are. They are exact values that this process knows; nothing is guessed
from how a text looks, so that nothing else is masked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from codex_rpc.config.settings import Provider, ShellEnvironment

MIN_CHARS = 16
"""A shorter value is no secret that is worth its false alarms."""
MIN_BITS_PER_CHAR = 3.0


def known_secrets(
    environ: Mapping[str, str], shell_environment: ShellEnvironment, provider: Provider
) -> tuple[str, ...]:
    """The provider's key, and what commands are not given of `environ` if it looks random."""
    found = {
        value
        for name, value in environ.items()
        if shell_environment.hides(name) and looks_random(value)
    }
    named = {environ.get(name, "") for name in shell_environment.always_exclude}
    named.add(provider.api_key or "")
    found |= {value for value in named if len(value) >= MIN_CHARS}
    return tuple(sorted(found))


def looks_random(value: str) -> bool:
    """Whether `value` is one long word of letters and digits that no person would write.

    A path, an address or a sentence is none, and neither is `00000000-0000-...`.
    """
    if len(value) < MIN_CHARS or not value.isascii() or any(c in " \t\r\n\\:" for c in value):
        return False
    if value.startswith(("/", "~", ".")):
        return False
    if not any(c.isdigit() for c in value) or not any(c.isalpha() for c in value):
        return False
    counts = Counter(value)
    shares = (count / len(value) for count in counts.values())
    return -sum(share * math.log2(share) for share in shares) >= MIN_BITS_PER_CHAR

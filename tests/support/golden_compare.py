"""How recorded and seen are compared: what stands for what is not known, and one form for both.

It does not know what a recording is, nor where we differ from one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from attrs import frozen

Json = dict[str, Any]


@frozen
class Cut:
    """A text of which the recording kept the beginning of each piece, and its length."""

    pieces: tuple[tuple[str, int], ...]

    def fits(self, text: object) -> bool:
        """Whether `text` can be what was recorded."""
        if not isinstance(text, str):
            return False
        at = 0
        for start, length in self.pieces:
            if not text.startswith(start, at):
                return False
            at += length
        return at == len(text)


@frozen
class Pattern:
    """Any text that the regular expression matches as a whole."""

    regex: str
    least: int = 0
    """The length of the shortest of them, where it is waited for."""

    def fits(self, text: object) -> bool:
        """Whether `text` is one of them."""
        return isinstance(text, str) and re.fullmatch(self.regex, text) is not None


@frozen
class AnyInteger:
    """Any whole number."""

    def fits(self, number: object) -> bool:
        """Whether `number` is one."""
        return type(number) is int


def replaced(value: Any, texts: Sequence[tuple[str, str]]) -> Any:
    """`value` with each first text in its strings replaced by the second."""
    if isinstance(value, str):
        for old, new in texts:
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        # Paths are also the names of a patch's changes.
        return {replaced(key, texts): replaced(member, texts) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(replaced(member, texts) for member in value)
    return value


def told(item: Json) -> Json:
    """A call's output with what it says in JSON taken apart, and without its duration."""
    output = item.get("output")
    if isinstance(output, str) and output.startswith('{"output":') and output.endswith("}"):
        said = json.loads(output)
        del said["metadata"]["duration_seconds"]
        return {**item, "output": said}
    return item


def assert_fits(expected: Any, seen: Any, where: str) -> None:
    """`seen` has what `expected` has; objects may have more members, lists no more elements.

    A `null` is the same as no member.
    """
    match expected:
        case Cut() | Pattern() | AnyInteger():
            assert expected.fits(seen), f"{where}: {expected}, not {seen!r}"
        case dict():
            assert isinstance(seen, dict), f"{where}: {expected!r}, not {seen!r}"
            for key, member in expected.items():
                if member is not None or seen.get(key) is not None:
                    assert key in seen, f"{where}.{key}: is missing in {seen!r}"
                    assert_fits(member, seen[key], f"{where}.{key}")
        case list() | tuple():
            assert isinstance(seen, list | tuple), f"{where}: {expected!r}, not {seen!r}"
            for n, (one, other) in enumerate(zip(expected, seen, strict=False)):
                assert_fits(one, other, f"{where}[{n}]")
            n = min(len(expected), len(seen))
            more = f"missing {expected[n:]!r}" if len(expected) > n else f"besides {seen[n:]!r}"
            assert len(expected) == len(seen), f"{where}: {more}"
        case _:
            assert seen == expected, f"{where}: {expected!r}, not {seen!r}"

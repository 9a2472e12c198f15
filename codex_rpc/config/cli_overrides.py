"""`-c key=value`: one setting, given on the command line.

Owns how key and value are told apart and what the value means. Whether the key exists and the
value fits is `schema`'s to say; it is asked at once, so that a bad option stops the program
where it was given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import field

from codex_rpc.config.keys import ROOT
from codex_rpc.config.schema import Source, check, dotted
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.frozen import frozen

FLAG_SOURCE = Source(label="-c", is_flag=True)


@frozen
class Override:
    """A key and the value that it has instead of config.toml's."""

    key: tuple[str, ...]
    value: Any = field(repr=False)
    """As TOML or JSON would give it; it may be a secret."""


def parse_override(text: str) -> Override:
    """The setting that `-c TEXT` makes.

    White space around key and value does not count. A value that is not exactly one TOML
    value is its own text, without one matching pair of quotes around it.

    Raises:
        ConfigError: there is no key or no `=`, or the value does not fit the key.
    """
    key, rest = _split_key(text, ends_at="=")
    if rest is None:
        name = dotted(key)
        raise ConfigError(
            f"-c {name} has no value; write -c KEY=VALUE, for example -c model=o3 "
            f"or -c '{name}=\"text\"'",
            key=name,
        )
    override = Override(key, parse_value(rest))
    check(ROOT, nested(override.key, override.value), FLAG_SOURCE)
    return override


def parse_key(text: str) -> tuple[str, ...]:
    """The names in a dotted key such as `a."b.c".d`.

    Raises:
        ConfigError: it is none.
    """
    key, _ = _split_key(text, ends_at=None)
    return key


def parse_value(text: str) -> Any:
    """What the text after `=` means."""
    import tomllib  # only wanted where there is a -c

    text = text.strip()
    try:
        value = tomllib.loads(f"_ = {text}")["_"]
        # A value can also stand between brackets. What brings keys of its own on further lines
        # cannot, nor can a value with a comment, which is more likely to be a text like `1#2`.
        tomllib.loads(f"_ = [{text}]")
    except (ValueError, RecursionError):
        return _literal(text)
    return value


def nested(key: tuple[str, ...], value: Any) -> dict[str, Any]:
    """`value` in as many tables as the key has names."""
    for name in reversed(key):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def with_value(table: Mapping[str, Any], key: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of `table` with `value` in place of whatever was at `key`."""
    name, *rest = key
    if rest:
        below = table.get(name)
        value = with_value(below if isinstance(below, dict) else {}, tuple(rest), value)
    return {**table, name: value}


def _literal(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


_SEGMENT = re.compile(
    r"""\s* (?: (?P<basic>"(?:[^"\\]|\\.)*") | '(?P<literal>[^']*)' | (?P<bare>[^.="'\s]+) ) \s*""",
    re.VERBOSE,
)


def _split_key(text: str, *, ends_at: str | None) -> tuple[tuple[str, ...], str | None]:
    """The key that `text` begins with, and what follows `ends_at`; None if that is missing.

    Raises:
        ConfigError: `text` does not begin with a key.
    """
    names: list[str] = []
    position = 0
    while match := _SEGMENT.match(text, position):
        names.append(_name(match))
        position = match.end()
        following = text[position : position + 1]
        if following == "":
            return tuple(names), None
        if following == ends_at:
            return tuple(names), text[position + 1 :]
        if following != ".":
            break
        position += 1
    what = "-c KEY=VALUE" if ends_at else f"config: {text!r}"
    raise ConfigError(
        f"{what}: there is no key at character {position + 1}; a key is names with dots between "
        'them, such as history.persistence or a."b.c".d'
    )


def _name(match: re.Match[str]) -> str:
    basic = match["basic"]
    if basic is None:
        return match["literal"] if match["literal"] is not None else match["bare"]
    value = parse_value(basic)
    assert isinstance(value, str)
    return value

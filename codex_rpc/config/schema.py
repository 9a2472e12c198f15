"""How a value is held against what a key accepts, and what is said when it does not fit.

Owns the kinds of values and the wording. It does not know any key; `keys` does. Messages name
the source, the key and what is accepted, and never the value, which may be a secret; a path
with control characters is the one exception, because the remedy is to write it differently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field

from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.frozen import frozen

Key = tuple[str | int, ...]
"""Where a value is: names of tables and keys, and indexes into arrays."""


def _anything(value: Any) -> bool:  # noqa: ARG001 - the shape of a test
    return True


@frozen
class Leaf:
    """A single value."""

    accepted: str
    """In words, to follow "must be"."""
    types: tuple[type, ...]
    """Compared exactly, so that `true` is no integer."""
    valid: Callable[[Any], bool] = _anything
    """What is asked of a value of the right type."""
    is_path: bool = False


@frozen
class Array:
    """A TOML array of like values."""

    of: Leaf


@frozen
class Table:
    """A TOML table whose keys are known."""

    keys: Mapping[str, Node]


@frozen
class Entries:
    """A TOML table with keys of the user's choosing."""

    of: Node


Node = Leaf | Array | Table | Entries


@frozen(kw_only=True)
class Source:
    """Where values were written, for messages."""

    label: str
    """What a message begins with."""
    file: str | None = None
    is_flag: bool = False
    """Whether it is the command line's `-c`."""

    def error(self, key: Key, message: str) -> ConfigError:
        """The exception for something wrong with `key`."""
        name = dotted(key)
        return ConfigError(f"{self.label}: {name} {message}", file=self.file, key=name)


@frozen
class UnknownKey:
    """A key that no table knows, and the keys that would have been known in its place."""

    key: Key
    source: Source
    known: Mapping[str, Node] = field(repr=False)


_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(key: Key) -> str:
    """A key as it would be written: `a."b.c".d`, `a.b[0]`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False)
        text += f".{name}" if text else name
    return text


def check(node: Node, value: Any, source: Source, key: Key = ()) -> list[UnknownKey]:
    """Make sure that `value` fits; returns the keys in it that are not known.

    Raises:
        ConfigError: the first value that does not fit, with what is accepted.
    """
    match node:
        case Leaf():
            _check_leaf(node, value, source, key)
            return []
        case Array():
            if not isinstance(value, list):
                message = f"must be an array of values, each {node.of.accepted}, not "
                raise source.error(key, message + _type_name(value))
            for index, item in enumerate(value):
                _check_leaf(node.of, item, source, (*key, index))
            return []
        case Table() | Entries():
            if not isinstance(value, dict):
                raise source.error(key, f"must be a table, not {_type_name(value)}")
            return _check_table(node, value, source, key)


def _check_table(
    node: Table | Entries, table: dict[str, Any], source: Source, key: Key
) -> list[UnknownKey]:
    unknown: list[UnknownKey] = []
    for name, item in table.items():
        inner = node.of if isinstance(node, Entries) else node.keys.get(name)
        if inner is None:
            assert isinstance(node, Table)
            unknown.append(UnknownKey((*key, name), source, node.keys))
        else:
            unknown += check(inner, item, source, (*key, name))
    return unknown


def _check_leaf(leaf: Leaf, value: Any, source: Source, key: Key) -> None:
    if leaf.types and type(value) not in leaf.types:
        message = f"must be {leaf.accepted}, not {_type_name(value)}"
        if source.is_flag and leaf.types == (str,) and not isinstance(value, list | dict):
            message += f"; for a string, write -c '{dotted(key)}=\"...\"'"
        raise source.error(key, message)
    if leaf.is_path and _CONTROL.search(value):
        raise source.error(key, _control_message(value, source, key))
    if not leaf.valid(value):
        raise source.error(key, f"must be {leaf.accepted}")


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    words = {
        bool: "a boolean",
        int: "an integer",
        float: "a float",
        str: "a string",
        list: "an array",
        dict: "a table",
    }
    return words.get(type(value), "a date or time")


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPES = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}


def _control_message(path: str, source: Source, key: Key) -> str:
    """What to write instead of a path whose backslashes were taken for escapes."""
    meant = _CONTROL.sub(lambda m: _ESCAPES.get(m[0], f"\\u{ord(m[0]):04x}"), path)
    if source.file is None and not source.is_flag:
        return (
            "holds a control character, as if a backslash had been taken for an escape; "
            f"in JSON, write each backslash twice: {json.dumps(meant, ensure_ascii=False)}"
        )
    if "'" in meant:
        how = "write each backslash twice"
        quoted = '"' + meant.replace("\\", "\\\\").replace('"', '\\"') + '"'
    else:
        how = "in single quotes a backslash is a backslash; write"
        quoted = f"'{meant}'"
    if all(isinstance(part, str) for part in key):
        assignment = f"-c {dotted(key)}={quoted}" if source.is_flag else f"{dotted(key)} = {quoted}"
    else:
        assignment = quoted
    return (
        "holds a control character, because in double quotes a backslash begins an escape; "
        f"{how}: {assignment}"
    )


def warnings_for(unknown: list[UnknownKey], root: Table) -> tuple[str, ...]:
    """A sentence for each key, however often it was written, in order."""
    first = {dotted(entry.key): entry for entry in reversed(unknown)}
    names = dict.fromkeys(dotted(entry.key) for entry in unknown)
    return tuple(_warning(first[name], root) for name in names)


def _warning(entry: UnknownKey, root: Table) -> str:
    from difflib import get_close_matches  # only wanted when something is wrong

    *parents, name = entry.key
    text = f"{entry.source.label}: unknown key {dotted(entry.key)} is ignored"
    if parents and name in root.keys:
        return f"{text}; did you mean {name}, which stands above the first [table]?"
    close = get_close_matches(str(name), entry.known, n=1)
    if close:
        return f"{text}; did you mean {dotted((*parents, close[0]))}?"
    return text

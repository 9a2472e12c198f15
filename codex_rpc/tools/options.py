"""Command lines as `getopt_long` reads them, for rules that know every option they allow.

Owns the reading only. An option that is not named makes the line not understood, and so does an
abbreviation: which option that is depends on the version of the program.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field

from codex_rpc.protocol.frozen import frozen


def words(text: str) -> frozenset[str]:
    """The words in `text`."""
    return frozenset(text.split())


@frozen(kw_only=True)
class Options:
    """The options that a rule allows. All are given as words in one string."""

    flags: str = ""
    """Letters without a value."""
    values: str = ""
    """Letters with one: `-k2`, `-k 2`."""
    long: frozenset[str] = field(default="", converter=words)
    """Long names without a value, or with one that may be left out: `--color`, `--color=never`."""
    long_values: frozenset[str] = field(default="", converter=words)
    """Long names with a value: `--key=2`, `--key 2`."""

    def operands(self, arguments: Sequence[str]) -> list[str] | None:
        """What is no option and no option's value; None: there is something that is not allowed."""
        found: list[str] = []
        rest = list(arguments)
        while rest:
            argument = rest.pop(0)
            if argument == "--":
                return found + rest
            if not argument.startswith("-") or argument == "-":
                found.append(argument)
                continue
            takes_next = self._takes_next(argument)
            if takes_next is None or (takes_next and not rest):
                return None
            if takes_next:
                del rest[0]
        return found

    def _takes_next(self, argument: str) -> bool | None:
        """Whether the next word is this one's value; None: not allowed."""
        if argument.startswith("--"):
            name, equals, _ = argument[2:].partition("=")
            if name in self.long_values:
                return not equals
            return False if name in self.long else None
        for position, letter in enumerate(argument[1:], start=2):
            if letter in self.values:
                return position == len(argument)
            if letter not in self.flags:
                return None
        return False


def names_option(argument: str, *options: str) -> bool:
    """Whether `argument` is one of the long `options`, with a value or abbreviated."""
    name = argument.partition("=")[0]
    return len(name) > 2 and any(option.startswith(name) for option in options)


def is_short(argument: str) -> bool:
    """Whether `argument` is one or several options of one letter."""
    return len(argument) > 1 and argument.startswith("-") and not argument.startswith("--")

"""A shell script taken apart into plain commands, if that is all it is.

Owns the reading of `bash -lc` scripts with tree-sitter. Whatever is not understood completely
makes the whole script not understood: every node has to be of a known kind, and every byte has
to belong to one. It does not know which commands are harmless.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from codex_rpc.protocol.frozen import frozen

if TYPE_CHECKING:
    from tree_sitter import Language, Node

MAX_SCRIPT_BYTES = 16 * 1024

_BLANKS = b" \t"
_SEQUENCES = {"program": _BLANKS + b"\n", "list": _BLANKS, "pipeline": _BLANKS}
_OPERATORS = frozenset({"&&", "||", ";", "|"})
_PLAIN = frozenset(string.ascii_letters + string.digits + "_./,:=@%+-")
_PATTERN = frozenset("*?[]^~#")
"""What some shell may expand to file names."""


@frozen
class Word:
    """One word of a command."""

    text: str
    """Unquoted; file name patterns are as they were written."""
    expands: bool = False
    """Whether some shell may put something else in its place: it has a pattern, a tilde, …"""
    may_be_option: bool = False
    """Whether that may be an option: there are files called `--pre=x`."""
    end: int = 0
    """Where in the script, in bytes of UTF-8, the word ends."""


@frozen
class PlainCommand:
    """One command of a script: its name and its arguments."""

    words: tuple[Word, ...]

    @property
    def argv(self) -> tuple[str, ...]:
        return tuple(word.text for word in self.words)


class _NotPlain(Exception):
    """Raised when something in the script is more than a plain command."""


def plain_commands(script: str) -> list[PlainCommand] | None:
    """The commands of `script` in order; None if there is nothing, or anything else.

    Accepted are words, numbers and quoted strings without expansions, joined to commands, and
    commands joined by `&&`, `||`, `;`, `|` and line ends.
    """
    from tree_sitter import Parser

    try:
        source = script.encode()
    except UnicodeEncodeError:
        return None
    if len(source) > MAX_SCRIPT_BYTES or b"\0" in source:
        return None
    # A parser is cheap, and must not be used by two threads at a time.
    root = Parser(_language()).parse(source).root_node
    if root.type != "program" or root.has_error:
        return None
    try:
        commands = [_command(node, source) for node in _command_nodes(root, source)]
    except _NotPlain:
        return None
    return commands or None


def with_insertions(script: str, insertions: Iterable[tuple[int, str]]) -> str:
    """`script` with texts put in at the given places, in bytes of its UTF-8."""
    source = script.encode()
    for at, text in sorted(insertions, reverse=True):
        source = source[:at] + text.encode() + source[at:]
    return source.decode()


@cache
def _language() -> Language:
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())


def _command_nodes(root: Node, source: bytes) -> Iterator[Node]:
    """The command nodes below `root`, in order.

    Works without recursion, because a chain of a thousand `&&` is a thousand levels deep.
    """
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.is_missing:
            raise _NotPlain
        if node.type == "command":
            yield node
        elif node.type in _SEQUENCES and node.is_named:
            _check_gaps(node, source, _SEQUENCES[node.type], whole=node is root)
            waiting.extend(reversed(node.children))
        elif node.is_named or node.type not in _OPERATORS:
            raise _NotPlain


def _check_gaps(node: Node, source: bytes, blanks: bytes, *, whole: bool = False) -> None:
    """All bytes of `node` (`whole`: of the source) that belong to no child have to be blank.

    Neighbours that are not joined by an operator have to be apart: by a blank in a command, by a
    line end between commands. (The grammar sometimes sees two words where the shell sees one.)
    """
    at, end = (0, len(source)) if whole else (node.start_byte, node.end_byte)
    before = None
    for child in node.children:
        gap = source[at : child.start_byte]
        if gap.strip(blanks):
            raise _NotPlain
        if before is not None and before.is_named and child.is_named:
            apart = b"\n" in gap if node.type == "program" else bool(gap)
            if not apart and node.type != "concatenation":
                raise _NotPlain
        at, before = child.end_byte, child
    if source[at:end].strip(blanks):
        raise _NotPlain


def _command(node: Node, source: bytes) -> PlainCommand:
    _check_gaps(node, source, _BLANKS)
    name, *arguments = node.children
    if name.type != "command_name" or len(name.children) != 1:
        raise _NotPlain
    return PlainCommand(tuple(_word(word, source) for word in (name.children[0], *arguments)))


def _word(node: Node, source: bytes) -> Word:
    parts = [node]
    if node.type == "concatenation":
        _check_gaps(node, source, b"")
        parts = node.children
    values = [_part(part, source) for part in parts]
    text = "".join(value for value, _ in values)
    start, start_is_pattern = values[0]
    # zsh puts the path of the program `ls` in the place of `=ls`.
    is_program = _is_bare(parts[0]) and text[:1] == "=" and len(text) > 1
    if not is_program and not any(is_pattern for _, is_pattern in values):
        return Word(text, end=node.end_byte)
    # A home folder is an absolute path, so that what follows it is no option.
    is_open = not text.startswith("~/") and (
        not start or start[0] in "-=" or (start_is_pattern and start[0] in _PATTERN)
    )
    return Word(text, expands=True, may_be_option=is_open, end=node.end_byte)


def _is_bare(node: Node) -> bool:
    """Whether the word begins without a quote."""
    return node.type not in ("raw_string", "string")


def _part(node: Node, source: bytes) -> tuple[str, bool]:
    """The text of a word or string, and whether a shell may expand it to file names."""
    if node.is_missing:
        raise _NotPlain
    text = source[node.start_byte : node.end_byte].decode()
    match node.type:
        case "word" | "number" if not node.children:
            return _unquoted(text)
        case "raw_string":
            if len(text) < 2 or text[0] != "'" or text[-1] != "'" or "'" in text[1:-1]:
                raise _NotPlain
            return text[1:-1], False
        case "string" if all(child.type in ('"', "string_content", "$") for child in node.children):
            if len(text) < 2 or text[0] != '"' or text[-1] != '"':
                raise _NotPlain
            return _double_quoted(text[1:-1]), False
    raise _NotPlain


def _unquoted(text: str) -> tuple[str, bool]:
    value, is_pattern = [], False
    characters = iter(text)
    for character in characters:
        if character == "\\":
            character = next(characters, "")
            if not (character.isascii() and character.isprintable() and character):
                raise _NotPlain
        elif character in _PATTERN:
            is_pattern = True
        elif character not in _PLAIN:
            raise _NotPlain
        value.append(character)
    return "".join(value), is_pattern


def _double_quoted(text: str) -> str:
    value = []
    characters = iter(enumerate(text, start=1))
    for end, character in characters:
        if character == "\\":
            _, escaped = next(characters, (0, ""))
            if not escaped or escaped == "\n":
                raise _NotPlain
            value.append(escaped if escaped in '$`"\\' else character + escaped)
        elif character in '`"' or (character == "$" and end < len(text)):
            # A dollar at the very end is only a dollar, as in "foo$".
            raise _NotPlain
        else:
            value.append(character)
    return "".join(value)

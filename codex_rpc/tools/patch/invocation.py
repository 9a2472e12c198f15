"""Commands that are really patches.

Owns which commands count as a call of the patch tool. Only those of which nothing but the
patch can come: what a shell would expand, redirect or run besides makes it an ordinary command.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from codex_rpc.protocol.frozen import frozen
from codex_rpc.tools.trusted import SHELLS

PROGRAMS = frozenset({"apply_patch", "applypatch"})

_SHELLS = frozenset(f"{folder}{name}" for folder in ("", "/bin/", "/usr/bin/") for name in SHELLS)
_SCRIPT_OPTIONS = frozenset({"-c", "-lc"})
_HEAD = re.compile(
    r"(?:(?P<cd>.*)&&)?[ \t]*(?P<program>\w+)[ \t]*<<[ \t]*"
    r"(?:'(?P<single>\w+)'|\"(?P<double>\w+)\"|(?P<bare>\w+))[ \t]*"
)
_EXPANDED = frozenset("$`\\")
_PATTERN = frozenset("*?[]^~#")


@frozen
class PatchCall:
    """A patch, and where its relative paths begin."""

    patch: str
    cwd: Path


def patch_of_command(argv: Sequence[str], workdir: Path) -> PatchCall | None:
    """The patch that `argv`, to be run in `workdir`, would apply; None: it is something else.

    `apply_patch PATCH`, or a shell with nothing but `apply_patch` and the patch as a heredoc,
    perhaps behind `cd DIR &&`.
    """
    if len(argv) == 2 and argv[0] in PROGRAMS:
        return PatchCall(argv[1], workdir)
    if (
        len(argv) != 3
        or argv[1] not in _SCRIPT_OPTIONS
        or argv[0] not in _SHELLS
        or not any(program in argv[2] for program in PROGRAMS)
    ):
        return None
    head, _, rest = argv[2].lstrip(" \t\n").partition("\n")
    match = _HEAD.fullmatch(head)
    if match is None or match["program"] not in PROGRAMS:
        return None
    folder = "" if match["cd"] is None else _folder_of(match["cd"])
    word = match["single"] or match["double"] or match["bare"]
    body = _body(rest, word)
    if folder is None or body is None or (match["bare"] and not _EXPANDED.isdisjoint(body)):
        return None
    # As a shell does it: `..` takes back the name before it, also if that is a link.
    return PatchCall(body, Path(os.path.normpath(workdir / folder)))


def _body(text: str, word: str) -> str | None:
    """The lines up to the one that is `word`, if nothing follows that."""
    lines = text.split("\n")
    if word not in lines:
        return None
    end = lines.index(word)
    if any(line.strip(" \t") for line in lines[end + 1 :]):
        return None
    return "".join(f"{line}\n" for line in lines[:end])


def _folder_of(command: str) -> str | None:
    """Where `command`, the script up to its last `&&`, leads, if it is `cd DIR`."""
    from codex_rpc.tools.script import plain_commands

    if command.rstrip(" \t").endswith((";", "\\")):
        # Behind a semicolon no operator can stand, and an escaped one is none.
        return None
    commands = plain_commands(command)
    if commands is None or len(commands) != 1 or len(commands[0].argv) != 2:
        return None
    program, folder = commands[0].argv
    if program != "cd" or not folder or folder[0] == "-" or not _PATTERN.isdisjoint(folder):
        return None
    return folder

"""The user's own slash commands: `$CODEX_HOME/prompts/NAME.md`.

Owns what is taken for one, and how arguments get into it. Files that cannot be used are left out:
somebody who types their name sees that nothing has come of it.
"""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path

from attrs import field

from codex_rpc.protocol.frozen import frozen

MAX_PROMPTS = 200
MAX_BYTES = 64 * 1024
"""Of a file; a longer one is no prompt."""
MAX_DESCRIPTION = 120

_NAME = re.compile(r"[^\s/:]+")
_HEAD = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_PLACE = re.compile(r"\$(?:(\$)|([1-9])|(ARGUMENTS)\b|([A-Z][A-Z0-9_]*)\b)")
_NAMED = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)


@frozen(kw_only=True)
class CustomPrompt:
    """One of the user's prompts."""

    name: str
    description: str
    hint: str | None
    """What its arguments are, for whoever types them; None: it takes none."""
    template: str = field(repr=False)

    def filled(self, arguments: str) -> str:
        """The text with `arguments` in their places.

        `$ARGUMENTS` is all of them, `$1` to `$9` one each (words, quotes as in a shell), `$NAME`
        what is given as `NAME=value`, `$$` a dollar sign. A name that is not given stays as it is,
        since it may be a shell's variable. What has no place comes behind the text.
        """
        words = _words(arguments)
        named = {match[1]: match[2] for word in words if (match := _NAMED.fullmatch(word))}
        placed = [word for word in words if not _NAMED.fullmatch(word)]

        def fill(match: re.Match[str]) -> str:
            if match[1]:
                return "$"
            if match[2]:
                index = int(match[2]) - 1
                return placed[index] if index < len(placed) else ""
            return arguments if match[3] else named.get(match[4], match[0])

        text = _PLACE.sub(fill, self.template)
        if arguments and not _takes(self.template, named):
            text = f"{text.rstrip()}\n\n{arguments}\n"
        return text


def _takes(template: str, named: Mapping[str, str]) -> bool:
    """Whether arguments have a place in it."""
    return any(m[2] or m[3] or m[4] in named for m in _PLACE.finditer(template))


def _words(arguments: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError:
        return arguments.split()


def read_custom_prompts(folder: Path) -> dict[str, CustomPrompt]:
    """Those in `folder`, which need not exist, by name and in its order. Blocks."""
    try:
        files = sorted(folder.glob("*.md"))[:MAX_PROMPTS]
    except OSError:
        return {}
    prompts = (_read(file) for file in files if _NAME.fullmatch(file.stem))
    return {prompt.name: prompt for prompt in prompts if prompt is not None}


def _read(file: Path) -> CustomPrompt | None:
    try:
        status = file.stat()
        # A pipe or a device in this place would be waited for.
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            return None
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    head = _HEAD.match(text)
    said = _members(head[1]) if head is not None else {}
    template = text[head.end() :] if head is not None else text
    if not template.strip():
        return None
    first_line = template.strip().split("\n", 1)[0].lstrip("# ").strip()
    description = said.get("description") or first_line
    hint = said.get("argument-hint") or ("arguments" if _has_places(template) else None)
    return CustomPrompt(
        name=file.stem,
        description=description[:MAX_DESCRIPTION],
        hint=hint,
        template=template,
    )


def _has_places(template: str) -> bool:
    return any(m[2] or m[3] for m in _PLACE.finditer(template))


def _members(head: str) -> dict[str, str]:
    """`key: value` lines; of YAML that is all that such heads use."""
    members = {}
    for line in head.splitlines():
        key, colon, value = line.partition(":")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if colon and value:
            members[key.strip().lower()] = value
    return members

"""The changes of a patch as a person reads them: as a list of files, and line by line.

Knows nothing of when they are shown, nor where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from rich.text import Text

from codex_rpc.cli.terminal import exact, home_relative
from codex_rpc.protocol.events import Changes, FileChange

LINE_STYLES = {"+": "green", "-": "red", "@": "cyan"}

Change = Literal["delete"] | FileChange


def listed(changes: Changes, cwd: str) -> Text:
    """A line for each file: what happens to it, and how many lines come and go."""
    name = partial(_within, cwd)
    return Text("\n").join(_headline(path, change, name) for path, change in changes.items())


def spelt_out(changes: Changes) -> Text:
    """All of it, nothing hidden: each file, and every line that comes or goes."""
    lines: list[Text] = []
    for path, change in changes.items():
        lines.append(_headline(path, change, str))
        lines += [Text(exact(line), style=_style(line)) for line in _body(change)]
    return Text("\n").join(lines)


def _headline(path: str, change: Change, name: Callable[[str], str]) -> Text:
    verb, target = "edit", ""
    if change == "delete":
        verb = "delete"
    elif change.add is not None:
        verb = "add"
    elif change.update is not None and change.update.move_path is not None:
        verb, target = "move", f" -> {name(change.update.move_path)}"
    parts: list[tuple[str, str]] = [(f"{verb:<7}", ""), (_exact_name(name(path) + target), "bold")]
    lines = list(_body(change))
    for sign in "+-":
        count = sum(line.startswith(sign) for line in lines)
        if count:
            parts.append((f" {sign}{count}", LINE_STYLES[sign]))
    return Text.assemble(*parts)


def _body(change: Change) -> Iterator[str]:
    if change == "delete":
        return
    if change.add is not None and change.add.content:
        yield from (f"+{line}" for line in change.add.content.removesuffix("\n").split("\n"))
    if change.update is not None and change.update.unified_diff:
        yield from change.update.unified_diff.removesuffix("\n").split("\n")


def _exact_name(name: str) -> str:
    # A line end in a name must not look like a line of ours.
    return exact(name).replace("\n", "\\n")


def _style(line: str) -> str:
    return LINE_STYLES.get(line[:1], "")


def _within(folder: str, path: str) -> str:
    """`path` as it is called from `folder`, if it is inside."""
    try:
        return str(Path(path).relative_to(folder))
    except ValueError:
        return home_relative(path)

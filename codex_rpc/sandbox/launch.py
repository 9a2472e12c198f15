"""A command in the form in which it is started.

The seam between what decides how a command is confined (`confinement`) and what starts and
ends processes (`process`). Knows neither.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from attrs import field

from codex_rpc.protocol.frozen import frozen

Wrapper = Literal["none", "bubblewrap", "supervisor"]
"""What the started process is: the command itself, or a program that holds the command.

`bubblewrap` ends with the command, and everything the command left behind dies with it.
`supervisor` is our launcher: it reports the command's end, adopts what the command leaves
behind, and lives until the last of that is gone.
"""


@frozen(kw_only=True)
class Launch:
    """What is started for a command, and what it inherits."""

    argv: tuple[str, ...]
    """An element that is `placeholder(n)` becomes the number of a file descriptor from which the
    started program reads `contents[n]`."""
    env: Mapping[str, str] = field(repr=False)
    contents: tuple[bytes, ...] = field(default=(), repr=False)
    wrapper: Wrapper = "none"
    stdin: str = os.devnull
    """What the command reads, and can do to it what it may do to a file that it has opened."""


def placeholder(index: int) -> str:
    """Stands in `Launch.argv` for the descriptor of `Launch.contents[index]`.

    It begins with a NUL, which no argument of a program can contain.
    """
    return f"\0{index}"


@frozen(kw_only=True)
class LandlockRules:
    """What a command may do to files and the network, in terms that Landlock can enforce.

    Paths are absolute, resolved, and exist. Names in folders may be listed everywhere.
    """

    readable: tuple[str, ...]
    """Files and trees that may be read and executed."""
    writable: tuple[str, ...]
    """Trees, and single files, that may also be changed in any way."""
    network: bool
    change_metadata: bool
    """Whether modes, owners, times and extended attributes may be changed at all; Landlock
    does not look at these, so it is all or nothing."""

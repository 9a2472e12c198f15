"""What would stay in memory until Python happens to look for garbage.

What goes away by itself goes away at once. What holds itself in a circle waits for the collector,
with all that hangs on it: a conversation, a connection, a whole session.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def leftovers() -> Iterator[list[Any]]:
    """What has become garbage within the block and would have waited; filled at its end."""
    found: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def kinds(found: list[Any], *packages: str) -> set[str]:
    """The names of the types of what was found, of those that are of `packages`."""
    types = {type(each) for each in found}
    return {
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in types
        if kind.__module__.split(".")[0] in packages
    }

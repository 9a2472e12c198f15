"""The names under which the model calls the servers' tools.

Owns the step from (server, tool) to a name that the Responses API takes, and no two tools share.
It does not know what a tool does, nor which are offered.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

MAX_LENGTH = 64
SEPARATOR = "__"

_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_-]")
_DIGEST_LENGTH = 10

ToolKey = tuple[str, str]
"""A server's name and its tool's."""


def tool_names(keys: Iterable[ToolKey]) -> dict[str, ToolKey]:
    """The tools by name, sorted by name.

    A name is `server__tool` where that is valid and nobody else's. Else what is not allowed
    becomes `_`, and where that is too long, or several tools would share it, all of those get a
    digest of server and tool instead of the end. So a name depends on the set of tools, never on
    the order in which they came.
    """
    unique = sorted(set(keys))
    plain = {key: _NOT_ALLOWED.sub("_", SEPARATOR.join(key)) for key in unique}
    uses = Counter(plain.values())
    taken: dict[str, ToolKey] = {}
    marked: list[ToolKey] = []
    for key, name in plain.items():
        if uses[name] == 1 and len(name) <= MAX_LENGTH:
            taken[name] = key
        else:
            marked.append(key)
    for key in marked:
        # Another round only if someone has called a tool what our digest would have given.
        round_ = 0
        while (name := _with_digest(plain[key], key, round_)) in taken:
            round_ += 1
        taken[name] = key
    return dict(sorted(taken.items()))


def _with_digest(name: str, key: ToolKey, round_: int) -> str:
    data = "\0".join((*key, str(round_))).encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(data).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: MAX_LENGTH - 1 - _DIGEST_LENGTH]}_{digest}"

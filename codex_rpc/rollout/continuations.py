"""Which file of ours goes on with a session of another program.

Nothing is remembered: the headers of our files say it.
"""

from __future__ import annotations

import os
from pathlib import Path

from codex_rpc.protocol.errors import RolloutCorrupt, RolloutNotFound
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.paths import SESSIONS, walk
from codex_rpc.rollout.reader import reading

_MARK = b'"forked_from"'
_HEAD_BYTES = 1 << 16


def newest_continuation(codex_home: Path, session_id: str, size: int) -> Path | None:
    """The youngest file that continues `session_id` as it was when it had `size` bytes."""
    found: list[tuple[int, Path]] = []
    for path in walk(codex_home / SESSIONS).files:
        try:
            with reading(path) as fd:
                # Most files are no continuations, and that is seen without parsing them.
                if _MARK not in os.read(fd, _HEAD_BYTES).partition(b"\n")[0]:
                    continue
                origin = read_header(fd, path).forked_from
                if origin is not None and (origin.id, origin.size) == (session_id, size):
                    found.append((os.fstat(fd).st_mtime_ns, path))
        except (RolloutCorrupt, RolloutNotFound):
            continue
    return max(found)[1] if found else None

"""The filters that repositories configure, found out by asking git.

Owns the question. What filters are, and how they are turned off, is `git_commands`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.sandbox.confinement import Confinement
from codex_rpc.sandbox.pipes import Stream
from codex_rpc.sandbox.process import ProcessResult, run_process
from codex_rpc.tools.git_commands import FILTERS_QUERY, filters_of

DEADLINE_S = 5.0
MAX_ANSWER = 1 << 16

_FOUND, _NOT_FOUND = 0, 1
"""What git exits with."""


async def repository_filters(
    folders: Sequence[Path], confinement: Confinement, env: Mapping[str, str]
) -> frozenset[str] | None:
    """The filters that the repositories around `folders` configure for themselves.

    None: git did not tell. It reads its configuration for this, and runs nothing.
    """
    found: frozenset[str] = frozenset()
    for folder in folders:
        if not await anyio.Path(folder).is_dir():
            continue
        answer = await _answer(folder, confinement, env)
        if answer is None:
            return None
        found |= filters_of(answer)
    return found


async def _answer(folder: Path, confinement: Confinement, env: Mapping[str, str]) -> str | None:
    answer = bytearray()

    async def take(stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            answer.extend(data[: MAX_ANSWER + 1 - len(answer)])

    try:
        with confinement.launched(FILTERS_QUERY, env) as launch:
            result = await run_process(launch, cwd=folder, deadline_s=DEADLINE_S, on_output=take)
    except SandboxUnavailable:
        return None
    if not isinstance(result, ProcessResult) or result.exit_code not in (_FOUND, _NOT_FOUND):
        return None
    return None if len(answer) > MAX_ANSWER else answer.decode("utf-8", "surrogateescape")

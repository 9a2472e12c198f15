"""When a request to the model is tried again, and how long before that.

One budget for a run of failures; an answer that completed begins it anew. It does not know
what is asked: what can be continued and what is repeated is the turn's to decide.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import anyio

from codex_rpc.protocol.errors import ModelError
from codex_rpc.protocol.events import EventMsg, StreamError

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0


class Retries:
    """The failures of one turn's requests."""

    def __init__(self, max_retries: int, announce: Callable[[EventMsg], Awaitable[None]]) -> None:
        self._max_retries = max_retries
        self._announce = announce
        self._failures = 0

    def succeeded(self) -> None:
        """The next failure is a first one again."""
        self._failures = 0

    async def pause(self, exc: ModelError) -> bool:
        """Say that a retry follows, and wait until it is time for it.

        False, at once, if trying again is of no use or has been done enough. Then `exc` is the
        caller's to raise: raised here, where it is an argument, it would hold itself by its
        traceback, and with it the turn.
        """
        self._failures += 1
        if not exc.retryable or self._failures > self._max_retries:
            return False
        pause_s = exc.retry_after_s
        if pause_s is None:
            backoff_s = min(FIRST_PAUSE_S * 2.0 ** (self._failures - 1), LONGEST_PAUSE_S)
            pause_s = backoff_s * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, no secret
        await self._announce(
            StreamError(
                message=exc.message,
                attempt=self._failures,
                max_attempts=self._max_retries,
                retry_in_ms=round(pause_s * 1000),
            )
        )
        await anyio.sleep(pause_s)
        return True

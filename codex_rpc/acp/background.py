"""What is done for a client that waits for no answer to it.

Owns the tasks; each is started in the order in which it was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

Errand = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """The errands of one connection."""

    def __init__(self) -> None:
        self._arrivals: deque[Errand] = deque()
        self._wake = anyio.Event()

    def later(self, errand: Errand) -> None:
        """Begin with `errand` when whoever calls this waits next. It raises nothing."""
        self._arrivals.append(errand)
        self._wake.set()

    async def run(self) -> None:
        """Do what there is to do, until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._wake = anyio.Event()
                while self._arrivals:
                    tasks.start_soon(self._arrivals.popleft())
                await self._wake.wait()

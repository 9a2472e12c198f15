"""Somebody or something outside that can be reached, told, read or harmed."""

from __future__ import annotations

from collections.abc import Iterator

from .stage import Stage


class Outsider:
    """One of them; the constructor starts it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.env: dict[str, str] = {}
        self.descriptors: tuple[int, ...] = ()
        """What an unconfined child inherits."""

    def evidence(self) -> Iterator[str]:
        """What happened to it, if anything."""
        yield from ()

    def close(self) -> None:
        """End it and restore what was changed."""

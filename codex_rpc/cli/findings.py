"""What a check of `doctor` is given and what it brings.

Owns these shapes, and how what is looked at is put together. It does not know the checks.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from anyio import to_thread
from attrs import field

from codex_rpc.cli.composition import compose
from codex_rpc.config.cli_overrides import Override, parse_override
from codex_rpc.config.loader import resolve_codex_home
from codex_rpc.config.settings import Config
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.params import SessionOverrides

Status = Literal["ok", "warning", "error"]


@frozen
class Finding:
    """What a check found."""

    name: str
    """Of the check; for programs, so it does not change."""
    status: Status
    """`error`: it is broken, and what it is for does not work."""
    text: str
    """One line."""
    details: Sequence[str] = ()
    """More lines, each for itself."""
    data: Mapping[str, Any] = field(factory=dict)
    """The same for programs."""
    is_fatal: bool = True
    """Of an error: no session can do anything before it is mended."""


class Waits:
    """What is being waited for, for people who wonder."""

    def __init__(self) -> None:
        self._names: list[str] = []

    @contextmanager
    def named(self, name: str) -> Iterator[None]:
        """Within this, `name` is waited for."""
        self._names.append(name)
        try:
            yield
        finally:
            self._names.remove(name)

    def __str__(self) -> str:
        """All of it in a line; "" if it is nothing."""
        return ", ".join(self._names)


@frozen(kw_only=True)
class Installation:
    """What is looked at."""

    environ: Mapping[str, str] = field(repr=False)
    cwd: Path
    codex_home: Path | None
    """None: it is not known, as `problem` says."""
    config: Config | None
    """None: it cannot be loaded."""
    problem: ConfigError | None = None
    overrides: Sequence[Override] = ()
    """What was said after `-c`; none if one of them is the problem."""
    is_offline: bool = False
    """Nothing is asked, and no server is started."""
    waits: Waits = field(factory=Waits, repr=False)

    @classmethod
    def load(
        cls, cwd: Path, overrides: Sequence[str], *, profile: str | None, is_offline: bool
    ) -> Installation:
        """That of a session in `cwd`, with `overrides` as after `-c`."""
        home, config, problem = None, None, None
        parsed: list[Override] = []
        environ = dict(os.environ)
        try:
            home = resolve_codex_home(environ)
            parsed = [parse_override(text) for text in overrides]
            configure = compose(overrides).configure
            config = configure(cwd=cwd, overrides=SessionOverrides(profile=profile))
        except ConfigError as exc:
            problem = exc
        return cls(
            environ=environ,
            cwd=cwd,
            codex_home=home,
            config=config,
            problem=problem,
            overrides=parsed,
            is_offline=is_offline,
        )


Look = Callable[[Installation], Awaitable[Finding | None]]
"""None: there is nothing to say, because something else is missing."""


@frozen
class Check:
    """One thing to look at."""

    name: str
    """That of its finding."""
    look: Look


def in_thread(look: Callable[[Installation], Finding | None]) -> Look:
    """A check that waits for nothing but files and programs of this machine."""

    async def look_there(installation: Installation) -> Finding | None:
        return await to_thread.run_sync(look, installation)

    return look_there


def counted(count: int, what: str) -> str:
    """`1 server`, `2 servers`."""
    return f"{count} {what}" if count == 1 else f"{count:,} {what}s"


def listed(names: Sequence[str], at_most: int) -> str:
    """`a, b, c and 4 more`."""
    more = len(names) - at_most
    text = ", ".join(names[:at_most])
    return text if more <= 0 else f"{text} and {more:,} more"


def address(url: str) -> str:
    """Where a URL leads, without anything in it that may be a secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "an address that is none"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path}"

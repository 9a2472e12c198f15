"""What a check of `doctor` is given and what it brings.

Owns the two shapes, and how what is looked at is put together. It does not know the checks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from attrs import field

from codex_rpc.cli.composition import compose
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
    """`error`: no session can start."""
    text: str
    """One line."""
    details: Sequence[str] = ()
    """More lines, each for itself."""
    data: Mapping[str, Any] = field(factory=dict)
    """The same for programs."""


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

    @classmethod
    def load(cls, cwd: Path, overrides: Sequence[str], *, profile: str | None) -> Installation:
        """That of a session in `cwd`, with `overrides` as after `-c`."""
        home, environ = None, dict(os.environ)
        try:
            home = resolve_codex_home(environ)
            configure = compose(overrides).configure
            config = configure(cwd=cwd, overrides=SessionOverrides(profile=profile))
        except ConfigError as exc:
            return cls(environ=environ, cwd=cwd, codex_home=home, config=None, problem=exc)
        return cls(environ=environ, cwd=cwd, codex_home=home, config=config)


Check = Callable[[Installation], Finding | None]
"""None: there is nothing to say, because something else is missing."""


def counted(count: int, what: str) -> str:
    """`1 server`, `2 servers`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"

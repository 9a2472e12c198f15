"""A home, a folder to work in, and one call that loads what was written there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from config_support import Load

from codex_rpc.config.cli_overrides import parse_override
from codex_rpc.config.loader import load_config
from codex_rpc.config.settings import Config
from codex_rpc.protocol.params import SessionOverrides


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def load(home: Path, cwd: Path) -> Load:
    """Write config.toml, then load it with these `-c` options and session parameters."""

    def load(
        toml: str | None = None,
        *,
        c: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> Config:
        if toml is not None:
            (home / "config.toml").write_text(toml, encoding="utf-8")
        return load_config(
            codex_home=home,
            environ={} if env is None else env,
            cwd=cwd,
            cli_overrides=[parse_override(text) for text in c],
            overrides=SessionOverrides(**parameters),
        )

    return load

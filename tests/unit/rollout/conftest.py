"""Where sessions are kept in the tests of this room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rollout_files import FaultyFiles

from codex_rpc.rollout.store import RolloutStore


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def store(home: Path, files: FaultyFiles) -> RolloutStore:
    return RolloutStore(home, version="9.9", files=files)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Whatever is created gets just the mode that it was asked for."""
    before = os.umask(0)
    yield
    os.umask(before)

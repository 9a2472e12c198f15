"""Fixtures of the foreign clients."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from acp_world import npm_packages


@pytest.fixture(scope="session")
def npm() -> Path:
    """The folder in which the npm packages are installed."""
    try:
        return npm_packages()
    except RuntimeError as exc:
        pytest.skip(str(exc))

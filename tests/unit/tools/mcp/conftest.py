"""The `mcp` package is imported once, before any test looks at the clock."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _package() -> None:
    import codex_rpc.tools.mcp.connection  # noqa: F401

"""The shape of the `load` fixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from codex_rpc.config.settings import Config


class Load(Protocol):
    def __call__(
        self,
        toml: str | None = None,
        *,
        c: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> Config: ...

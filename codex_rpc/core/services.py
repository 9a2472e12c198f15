"""Everything that the composition root plugs into core."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codex_rpc.core.ports import Backends, Clock, Configurator, RolloutStore
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SessionId


@frozen(kw_only=True)
class Services:
    """One process's outside, shared by its sessions."""

    store: RolloutStore
    configure: Configurator
    backends: Backends
    clock: Clock
    new_session_id: Callable[[], SessionId]
    version: str
    providers: Callable[[], Sequence[str]]
    """The names of the configured model providers; never raises."""

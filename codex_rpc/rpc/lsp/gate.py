"""The way to the LSP engine, which is loaded when nobody waits for anything else.

Owns the order of the editor's notifications while the engine is not there yet, and when it is
loaded: off the event loop, at once if someone needs it, else as soon as every request that has
come is answered, which is when a session was opened. A client that speaks no LSP never has one.
Imports nothing of LSP itself.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from codex_rpc.protocol.errors import InvalidState
from codex_rpc.rpc.calls import Call, Calls
from codex_rpc.rpc.dispatch import Listener, Method
from codex_rpc.rpc.lsp.client import LspClient, read_client
from codex_rpc.rpc.lsp.features import (
    DOCUMENT_NOTIFICATIONS,
    QUIET_NOTIFICATIONS,
    Feature,
    Features,
)
from codex_rpc.rpc.outgoing import Outgoing

if TYPE_CHECKING:
    from codex_rpc.rpc.lsp.documents import Documents
    from codex_rpc.rpc.lsp.engine import Engine

logger = logging.getLogger(__name__)

IDLE_S = 0.2
"""How long no request may have come before the engine is loaded unasked."""

MAX_WAITING = 10_000
"""How many notifications wait before the engine is loaded without waiting for idleness."""

DELIVERED_AT_ONCE = 50
"""How many notifications are delivered before others get their turn."""


class Gate:
    """The editor's side of one connection, from its first byte."""

    def __init__(self, outgoing: Outgoing, calls: Calls, *, version: str) -> None:
        self._outgoing = outgoing
        self._calls = calls
        self._version = version
        self.client = LspClient()
        """What is known of the client; before `initialize`, nothing."""
        self.engine: Engine | None = None
        """None: it is not loaded."""
        self._features = Features()
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._taken = 0
        """How many notifications have ever waited."""
        self._delivered = 0
        self._wanted = anyio.Event()
        self._urgent = anyio.Event()
        self._loaded = anyio.Event()
        """Set also when loading has failed."""
        self._progress = anyio.Event()
        """Set and replaced when notifications were delivered."""

    def offer(self, features: Features) -> None:
        """Say what there is beside documents. To be called before anything is taken."""
        self._features = features

    @property
    def documents(self) -> Documents | None:
        """What is open in the editor, as far as it has been delivered; None: nothing yet."""
        return self.engine.documents if self.engine is not None else None

    @property
    def listeners(self) -> dict[str, Listener]:
        """What is done on which notification of LSP."""
        quiet: dict[str, Listener] = dict.fromkeys(QUIET_NOTIFICATIONS, _nothing)
        taken = {name: partial(self._take, name) for name in DOCUMENT_NOTIFICATIONS}
        return {**quiet, **taken, **self._features.listeners}

    def initialize(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What `initialize` answers to this client about LSP; nothing to one without it."""
        self.client = read_client(params)
        if not self.client.speaks_lsp:
            return {}
        self._wanted.set()
        encoding = {"positionEncoding": self.client.position_encoding}
        return {**encoding, **self._features.capabilities}

    def method(self, name: str) -> Method | None:
        """How a request of LSP is answered; None: not here, or not to this client."""
        feature = self._features.requests.get(name)
        if feature is None or not self.client.speaks_lsp:
            return None
        return Method(partial(self._answer, name, feature))

    def _take(self, method: str, params: dict[str, Any]) -> None:
        if not self.client.speaks_lsp:
            return
        if self._loaded.is_set() and not self._waiting:
            if self.engine is not None:
                self.engine.notify(method, params)
            return
        self._waiting.append((method, params))
        self._taken += 1
        if len(self._waiting) > MAX_WAITING:
            self._urgent.set()

    async def ready(self) -> None:
        """Wait until every notification that has come is known to the engine."""
        taken = self._taken
        if self._delivered < taken:
            self._urgent.set()
        while self._delivered < taken:
            await self._progress.wait()

    async def load(self) -> Engine:
        """The engine, with every notification that has come; loads it if it is not there.

        Raises:
            InvalidState: there is none for this client.
        """
        if self.client.speaks_lsp:
            self._urgent.set()
            await self._loaded.wait()
            await self.ready()
        if self.engine is None:
            raise InvalidState("there is no editor that speaks LSP on this connection")
        return self.engine

    async def run(self) -> None:
        """Load the engine when it is time, and deliver what has come meanwhile."""
        await self._wanted.wait()
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(self._press_when_idle)
            await self._urgent.wait()
            waiting.cancel_scope.cancel()
        try:
            self.engine = await anyio.to_thread.run_sync(self._build, abandon_on_cancel=True)
        except ImportError as exc:
            logger.error("the editor's documents are not known: cannot load %s", exc.name)
        self._loaded.set()
        while self._waiting:
            for _ in range(min(len(self._waiting), DELIVERED_AT_ONCE)):
                # Taken out last: what comes meanwhile has to wait behind it.
                if self.engine is not None:
                    self.engine.notify(*self._waiting[0])
                self._waiting.popleft()
                self._delivered += 1
            self._progress.set()
            self._progress = anyio.Event()
            await anyio.lowlevel.checkpoint()

    async def _press_when_idle(self) -> None:
        begun = -1
        while begun != self._calls.begun:
            await self._calls.all_settled()
            begun = self._calls.begun
            await anyio.sleep(IDLE_S)
        self._urgent.set()

    def _build(self) -> Engine:
        from codex_rpc.rpc.lsp.engine import Engine

        return Engine(self.client, self._outgoing, version=self._version)

    async def _answer(self, name: str, feature: Feature, params: dict[str, Any], call: Call) -> Any:
        engine = await self.load()
        result = await feature.handler(engine.structured(name, params), call)
        return engine.unstructured(result)


def _nothing(_params: dict[str, Any]) -> None:
    """What is done on a notification of no consequence."""

"""What the session loop sees of the outside: small Protocols, fitted by shape.

`model`, `tools` and `rollout` implement these without importing them; `cli` plugs them in.
Each port has one contract suite in tests/ that is run against the real thing and its fake.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence, Set
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from codex_rpc.config.settings import Config
from codex_rpc.protocol.events import EventMsg, HistoryEntry, TakenOverBy
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import ModelEvent, Prompt
from codex_rpc.protocol.ops import Range
from codex_rpc.protocol.params import SessionOverrides
from codex_rpc.protocol.policy import SandboxMeans, SandboxPolicy
from codex_rpc.protocol.records import (
    ExportFormat,
    Header,
    ReadPage,
    Record,
    SavedSession,
    SessionPage,
    SessionQuery,
    SessionRef,
)
from codex_rpc.protocol.tools import ToolHost, ToolOutcome, TurnContext
from codex_rpc.protocol.workspace import Workspace

if TYPE_CHECKING:
    # Those who only serve do not wait for it.
    from codex_rpc.protocol.checkup import Checkup, Inspection, SessionFile

Fsync = Literal["turn", "record", "never"]


class Clock(Protocol):
    """The time of day; durations and pauses are anyio's."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class ModelClient(Protocol):
    """One provider, ready to be asked."""

    def context_window(self, model: str) -> int | None:
        """Of `model`, in tokens: configured, else told by the server, else known or assumed.

        It may change until `stream` has been entered once. None: there is no limit.
        """
        ...

    @property
    def stores_responses(self) -> bool:
        """Whether `previous_response_id` may be used instead of sending everything."""
        ...

    @property
    def max_retries(self) -> int:
        """How many times the turn may try again after retryable errors."""
        ...

    async def prepare(self) -> None:
        """Load what the first request will need. Idempotent; called when a client is waiting
        for nothing else."""
        ...

    async def models(self) -> Sequence[str]:
        """The names of what the provider offers to talk to, asked anew; (): it does not tell.

        Takes two seconds at most, and does not raise.
        """
        ...

    async def aclose(self) -> None:
        """Close kept connections. Idempotent."""
        ...

    def stream(self, prompt: Prompt) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        """Ask the model once; no retries inside.

        The iterator ends after `ResponseCompleted`. Leaving the context, also by
        cancellation, closes the connection. What the server sends is read ahead, within
        bounds, while the caller is busy; time in which we do not read is not idleness.

        Raises (from entering or from iterating):
            ModelError: `retryable` says whether the same prompt may be tried again.
        """
        ...


class ToolBox(Protocol):
    """What the model may call."""

    async def sandbox_means(self, policy: SandboxPolicy) -> SandboxMeans:
        """What confines commands under `policy` on this machine."""
        ...

    async def prepare(self) -> None:
        """Load what the first call would have to wait for. Idempotent."""
        ...

    async def run(self, announce: Callable[[EventMsg], None]) -> None:
        """Keep alive what the tools need between calls (MCP servers), until cancelled.

        To be run once, in the session's group. `announce` takes what belongs to no turn.
        Whoever is cancelled here returns only after everything it started is dead.
        """
        ...

    async def ready(self) -> None:
        """Wait until `specs` offers everything that will be offered; bounded by the servers'
        startup timeouts. At once where `run` has nothing to start."""
        ...

    def specs(self, context: TurnContext) -> Sequence[dict[str, Any]]:
        """Tool definitions in the Responses API's form, in stable order."""
        ...

    async def mcp_tools(self) -> dict[str, Any]:
        """The MCP servers' tools by the name that the model calls them, in stable order."""
        ...

    async def call(self, call: Item, host: ToolHost) -> ToolOutcome:
        """Run one call to its end.

        What the model did wrong is an outcome, not an exception. When cancelled, it returns
        only after everything it started is dead, and has left the outcome of what it had
        begun with `host.abandon`.
        """
        ...

    async def read_image(self, path: Path, cwd: Path) -> str:
        """A local image as a `data:` URL, for a turn in `cwd`.

        Raises:
            ToolError: it cannot be read, is no image, or may not be read.
        """
        ...

    async def read_text(self, path: Path, part: Range | None, cwd: Path) -> str:
        """A text file, or a part of it, as the user sees it: from the editor if it is open there.

        What is too long loses its end, which is said in its place.

        Raises:
            ToolError: it cannot be read, is no text, or may not be read.
        """
        ...

    async def working_diff(self, context: TurnContext) -> str:
        """What is not committed in the folder of `context`, as git tells it; "": nothing.

        Nothing is run for it but git, and that as confined as what only reads.

        Raises:
            ToolError: there is no repository, or git cannot be asked.
        """
        ...

    async def aclose(self) -> None:
        """Remove what the tools keep on disk between calls. Idempotent."""
        ...


class RolloutLog(Protocol):
    """The open session file: append only, one writer, locked until closed."""

    @property
    def path(self) -> Path: ...

    @property
    def unsaved(self) -> int:
        """How many records are queued because writing failed."""
        ...

    async def append(self, records: Sequence[Record]) -> None:
        """Write one step with one `write(2)`, after whatever is still queued.

        Returns when it is written (`fsync = "record"`: and durable). Cancellation is
        delivered only after the write has ended, never in its middle.

        Raises:
            RolloutWriteFailed: the unwritten bytes are queued in order and go first next time.
        """
        ...

    async def flush(self) -> None:
        """Try again to write what is queued; nothing if nothing is.

        Raises:
            RolloutWriteFailed: as `append`.
        """
        ...

    async def sync(self) -> None:
        """Make everything written durable, unless `fsync = "never"`.

        Raises:
            RolloutWriteFailed: the device says that it is not.
        """
        ...

    async def wanted(self) -> TakenOverBy:
        """Wait until another process of the same user asks to take the session over."""
        ...

    async def close(self, *, discard: bool = False) -> None:
        """Flush, sync, unlock, close. Idempotent.

        Raises:
            RolloutWriteFailed: records are unsaved; the log stays open unless `discard`.
        """
        ...


class RolloutStore(Protocol):
    """All session files of one CODEX_HOME."""

    async def create(self, header: Header, first: Sequence[Record], *, fsync: Fsync) -> RolloutLog:
        """Create a session's file, with its header and first records written.

        Raises:
            RolloutWriteFailed: nothing is left behind.
        """
        ...

    @property
    def has_trash(self) -> bool:
        """Whether what is deleted goes to the system's trash, or is gone."""
        ...

    async def serve(self) -> None:
        """Answer other processes that want to take over a session held here, until cancelled."""
        ...

    async def open(
        self, ref: SessionRef, *, fsync: Fsync, takeover: bool = False
    ) -> tuple[SavedSession, RolloutLog | None]:
        """Read a session and hold its file. Writes nothing; the first append repairs the tail.

        `last` passes over sessions without items, those that cannot be read, and those that
        another process holds; one that this process holds is in use.

        Another program's file is never held: its newest continuation is opened in its place if
        there is one and the file has not grown since; else `SavedSession.foreign` says that it
        is to be continued in a new file, and there is no log.

        `takeover` asks another process that holds the session to let go, and waits for that.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutNewer, RolloutWriteFailed
            RolloutInUse: `data.sessionId` is held, by this process or another one.
        """
        ...

    async def load(self, ref: SessionRef, *, up_to: int | None = None) -> SavedSession:
        """Read a session without holding it, archived ones and other programs' too.

        `up_to` is the index in the session of the last item that is wanted; None: all of what
        the next request would need.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutNewer
            InvalidParams: there is no item `up_to`.
        """
        ...

    async def rename(self, session_id: str, title: str) -> None:
        """Give a session that is not open here another title.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutInUse, RolloutWriteFailed
            InvalidState: it is another program's.
        """
        ...

    async def archive(self, session_id: str) -> None:
        """Move a session's file, unaltered, to the archived ones. Nothing if it is there.

        Raises:
            RolloutNotFound, RolloutInUse, RolloutWriteFailed
        """
        ...

    async def unarchive(self, session_id: str) -> None:
        """Move an archived session's file back. Nothing if it is there.

        Raises:
            RolloutNotFound, RolloutInUse, RolloutWriteFailed
        """
        ...

    async def delete(self, session_id: str) -> None:
        """Move a session's file to the system's trash, or remove it where there is none.

        Raises:
            RolloutNotFound, RolloutInUse, RolloutWriteFailed
        """
        ...

    async def export(
        self,
        session_id: str,
        format: ExportFormat,  # noqa: A002
        *,
        path: Path | None,
        unsaved: Sequence[Item],
    ) -> str | None:
        """A session as text, or written to `path`, a file that does not exist yet.

        `unsaved` are items of a live session that its file does not hold.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutNewer
            RolloutWriteFailed: `path` exists, or cannot be written.
        """
        ...

    async def list(
        self,
        query: SessionQuery,
        *,
        live: Set[str],
        on_progress: Callable[[int, int], None] | None = None,
    ) -> SessionPage:
        """The session files, whoever wrote them; `live` are the ids open in this process.

        `on_progress` is told, in another thread, how many files of how many were looked at.
        """
        ...

    async def files(self) -> Sequence[SessionFile]:
        """Every session file of which it can be told whose it is, archived ones last."""
        ...

    async def inspect(self, session_id: str) -> Inspection:
        """What is wrong with a session's file, also where it cannot be read.

        Raises:
            RolloutNotFound
        """
        ...

    async def repair(self, session_id: str) -> None:
        """Add to a session's file what going on with it would add first.

        Raises:
            RolloutNotFound, RolloutCorrupt, RolloutInUse, RolloutWriteFailed
            InvalidState: it is another program's.
        """
        ...

    async def examine(self, on_progress: Callable[[int, int], None] | None = None) -> Checkup:
        """All session files, and what stands beside them, looked at; `on_progress` as `list`."""
        ...

    async def read(
        self,
        ref: SessionRef,
        *,
        cursor: str | None,
        limit: int,
        direction: Literal["backward", "forward"],
    ) -> ReadPage:
        """A page of a session's items, whether or not someone holds it."""
        ...


class MessageHistory(Protocol):
    """What the user typed, over all sessions (`history.jsonl`)."""

    async def stat(self) -> tuple[int, int]:
        """Its log id (0: there is none yet) and how many entries it has."""
        ...

    async def append(self, session_id: SessionId, text: str) -> None:
        """Add an entry, unless `history.persistence = "none"`.

        Raises:
            OSError: it could not be written.
        """
        ...

    async def entry(self, offset: int, log_id: int) -> HistoryEntry | None:
        """The entry at `offset`, counted from 0, if `log_id` is still the file's."""
        ...


class Notifier(Protocol):
    """The user's `notify` program."""

    async def turn_ended(self, program: Sequence[str], payload: dict[str, Any]) -> None:
        """Start `program` with `payload` as its last argument; does not wait for its end.

        Raises:
            OSError: it could not be started.
        """
        ...


class Configurator(Protocol):
    """Reads the configuration anew for a session that is being opened or reconfigured."""

    def __call__(self, *, cwd: Path, overrides: SessionOverrides) -> Config:
        """Raises ConfigError; blocks on small files."""
        ...


class Backends(Protocol):
    """Makes what depends on a session's configuration."""

    def model(self, config: Config) -> ModelClient:
        """Raises ConfigError: no credentials, unknown provider. Imports nothing heavy."""
        ...

    def tools(self, config: Config, workspace: Workspace) -> ToolBox: ...

    def message_history(self, config: Config) -> MessageHistory: ...

    def notifier(self, config: Config) -> Notifier: ...

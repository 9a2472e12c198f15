"""The sessions of one process: opened, found, closed.

Owns the table of live sessions and their task group. New or resumed is decided before a
session exists: first a source is resolved (new, or a saved session that is held), which
gives the id, the recorder and the history; then the session is constructed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
from attrs import asdict

from codex_rpc.config.settings import Config
from codex_rpc.core.history import History
from codex_rpc.core.opening import (
    Opened,
    absolute_path,
    construct,
    describe,
    overrides_of,
)
from codex_rpc.core.ports import RolloutLog
from codex_rpc.core.reconfiguration import (
    context_of,
    existing_directory,
    is_empty,
    normalised,
)
from codex_rpc.core.saved_sessions import SavedSessions
from codex_rpc.core.services import Services
from codex_rpc.core.session import Session
from codex_rpc.core.sources import Sources, answer_open_calls, history_of
from codex_rpc.core.surroundings import context_record
from codex_rpc.protocol.converter import utc_text
from codex_rpc.protocol.errors import (
    InvalidState,
    RolloutInUse,
    RolloutWriteFailed,
    SessionClosed,
    SessionNotFound,
)
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.params import (
    ConfigureParams,
    ConfigureResult,
    ForkParams,
    ForkResult,
    ResumeParams,
    ResumeResult,
    SessionOverrides,
)
from codex_rpc.protocol.records import (
    Header,
    Origin,
    Record,
    SavedSession,
    SessionRef,
    TitleRecord,
)
from codex_rpc.protocol.workspace import NoEditor, Workspace


class SessionManager:
    """All live sessions; an async context manager, within which they run."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._live: dict[str, Session] = {}
        self._closed: set[str] = set()
        self.saved_sessions = SavedSessions(services.store, self._live)
        """The saved sessions."""
        self.workspace_of: Callable[[SessionId], Workspace] = lambda _session_id: NoEditor()
        """The client's editor as a session sees it, for those that are opened from now on."""
        self._resuming = anyio.Lock()
        self._was_configured = False
        self._sources = Sources(services)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._tasks.start_soon(self._services.store.serve)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        # Sessions end by being closed; only what serves them is left by then.
        self._tasks.cancel_scope.cancel()
        return await self._stack.__aexit__(exc_type, exc, traceback)

    @property
    def providers(self) -> Sequence[str]:
        """The names of the configured model providers."""
        return self._services.providers()

    async def config(self, cwd: str) -> Config:
        """The configuration of a session in `cwd` for which nothing else is said.

        Raises:
            InvalidParams, ConfigError
        """
        return await self._sources.config(existing_directory(cwd, "cwd"), SessionOverrides())

    # Opening.

    async def configure(self, params: ConfigureParams) -> Opened:
        """Start a session, or resume the one that `resume_path` or the configuration names.

        Cancelled, it leaves no session and no file.

        Raises:
            InvalidParams, ConfigError, RolloutError
        """
        cwd = existing_directory(params.cwd, "cwd")
        overrides = overrides_of(params)
        if params.resume_path is not None:
            ref = SessionRef(path=absolute_path(params.resume_path, "resumePath"))
            return await self._resume(ref, cwd, overrides)
        # Claimed before anything waits: of two requests that come together one is the first.
        is_first, self._was_configured = not self._was_configured, True
        config = await self._sources.config(cwd, overrides)
        if config.experimental_resume is not None and is_first:
            ref = SessionRef(path=str(config.experimental_resume))
            return await self._resume(ref, cwd, overrides)
        return await self._start(config, overrides)

    async def resume(self, params: ResumeParams) -> Opened:
        """Continue a saved session; the same one again if it is live here already.

        Raises:
            InvalidParams, InvalidState, ConfigError, RolloutError: nothing was written.
        """
        ref = SessionRef(
            session_id=params.session_id,
            path=absolute_path(params.path, "path") if params.path is not None else None,
            last=bool(params.last),
            cwd=normalised(params.cwd) if params.last else None,
        )
        cwd = existing_directory(params.cwd, "cwd") if params.cwd is not None else None
        takeover = bool(params.takeover)
        return await self._resume(ref, cwd, overrides_of(params), takeover=takeover)

    async def _start(self, config: Config, overrides: SessionOverrides) -> Opened:
        return await self._create(History(), config, overrides)

    async def fork(self, params: ForkParams) -> Opened:
        """Start a session with the items of another one, up to one of them.

        Cancelled, it leaves no session and no file.

        Raises:
            InvalidParams, ConfigError, RolloutError
        """
        ref = SessionRef(
            session_id=params.session_id,
            path=absolute_path(params.path, "path") if params.path is not None else None,
        )
        if params.session_id in self._live:
            ref = SessionRef(path=self._live[params.session_id].configured.rollout_path)
        cwd = existing_directory(params.cwd, "cwd") if params.cwd is not None else None
        saved = await self._services.store.load(ref, up_to=params.up_to)
        origin = Origin(id=saved.session_id, path=str(saved.path), item=params.up_to)
        return await self._branch(saved, origin, cwd, overrides_of(params), resumed=False)

    async def _resume(
        self,
        ref: SessionRef,
        cwd: Path | None,
        overrides: SessionOverrides,
        *,
        takeover: bool = False,
    ) -> Opened:
        async with self._resuming:
            while (live := self._find_live(ref)) is not None and live.closing is not None:
                await live.closing.wait()
            if live is not None:
                return self._again(live, cwd, overrides)
            fsync = (await self._sources.config(cwd or Path("/"), overrides)).history.fsync
            try:
                saved, log = await self._services.store.open(ref, fsync=fsync, takeover=takeover)
            except RolloutInUse as exc:
                # The newest session, or a path spelt in another way, may be one of ours.
                live = self._live.get(exc.data["sessionId"])
                if live is None:
                    raise
                return self._again(live, cwd, overrides)
            if log is None:
                assert saved.foreign is not None
                return await self._branch(saved, saved.foreign, cwd, overrides, resumed=True)
            try:
                return await self._revive(saved, log, cwd, overrides)
            except BaseException:
                # Nothing was written yet, or what was could not be: there is nothing to keep.
                with anyio.CancelScope(shield=True):
                    await log.close(discard=True)
                raise

    def _find_live(self, ref: SessionRef) -> Session | None:
        for session in self._live.values():
            if ref.session_id == session.id or ref.path == session.configured.rollout_path:
                return session
        return None

    def _again(self, session: Session, cwd: Path | None, overrides: SessionOverrides) -> Opened:
        if cwd not in (None, session.env.context.cwd) or not is_empty(overrides):
            raise InvalidState(
                f"session {session.id} is live here already; it is returned only when nothing "
                "is to be changed (use the op configure_session or override_turn_context)"
            )
        session.announce_again()
        described = describe(session, resumed=True)
        result = ResumeResult(
            **asdict(described, recurse=False),
            updated_at=utc_text(self._services.clock.now()),
            warnings=[],
            already_live=True,
        )
        return Opened(session, result)

    async def _revive(
        self,
        saved: SavedSession,
        log: RolloutLog,
        cwd: Path | None,
        overrides: SessionOverrides,
    ) -> Opened:
        if saved.session_id in self._live:
            raise InvalidState(f"session {saved.session_id} is live here from another file")
        config, told, warnings = await self._sources.of_saved(saved, cwd, overrides)
        history = history_of(saved)
        workspace = self.workspace_of(saved.session_id)
        parts = await self._sources.parts(config, workspace)
        session = construct(self._services, saved.session_id, history, log, config, told, parts)
        session.env.title = saved.title
        session.env.interrupted = saved.interrupted
        answers = answer_open_calls(history)
        with anyio.CancelScope(shield=True):
            await log.append([*answers, session.env.context_record()])
        self._closed.discard(saved.session_id)
        self._go_live(session)
        forked_from = saved.forked_from.id if saved.forked_from is not None else None
        result = ResumeResult(
            **asdict(describe(session, resumed=True), recurse=False),
            updated_at=utc_text(saved.updated_at),
            warnings=warnings,
            forked_from=forked_from,
        )
        return Opened(session, result)

    async def _branch(
        self,
        saved: SavedSession,
        origin: Origin,
        cwd: Path | None,
        overrides: SessionOverrides,
        *,
        resumed: bool,
    ) -> Opened:
        """Go on with what `saved` holds in a file of its own."""
        config, told, warnings = await self._sources.of_saved(saved, cwd, overrides)
        # The model server's stored response may be that of an item that was left behind, and
        # what a summary stands for stays in the file that it came from.
        history = History(list(saved.items), call_id_suffix=saved.call_id_suffix)
        answer_open_calls(history)
        opened = await self._create(history, config, told, origin=origin, title=saved.title)
        opened.session.env.interrupted = saved.interrupted and origin.item is None
        described = asdict(opened.result, recurse=False)
        result: ConfigureResult
        if resumed:
            described["resumed"] = True
            result = ResumeResult(
                **described,
                updated_at=utc_text(saved.updated_at),
                warnings=warnings,
                forked_from=origin.id,
            )
        else:
            result = ForkResult(**described, warnings=warnings, forked_from=origin.id)
        return Opened(opened.session, result)

    async def _create(
        self,
        history: History,
        config: Config,
        overrides: SessionOverrides,
        *,
        origin: Origin | None = None,
        title: str | None = None,
    ) -> Opened:
        """A session in a new file, which holds `history` from the start."""
        session_id = self._services.new_session_id()
        parts = await self._sources.parts(config, self.workspace_of(session_id))
        now = self._services.clock.now()
        header = Header(
            id=session_id,
            timestamp=now,
            instructions=config.user_instructions,
            cwd=config.cwd,
            version=self._services.version,
            forked_from=origin,
        )
        first: list[Record] = [context_record(context_of(config), config.provider.id, now)]
        first += history.items
        if title is not None:
            first.append(TitleRecord(title))
        log = await self._services.store.create(header, first, fsync=config.history.fsync)
        # From here to the answer nothing waits, so a cancellation cannot leave half of it.
        session = construct(self._services, session_id, history, log, config, overrides, parts)
        session.env.title = title
        session.env.recorded_context = session.env.context
        self._go_live(session)
        return Opened(session, describe(session, resumed=False))

    def _go_live(self, session: Session) -> None:
        self._live[session.id] = session
        self._tasks.start_soon(self._run, session)

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            del self._live[session.id]
            self._closed.add(session.id)
            if session.closing is not None:
                session.closing.set()

    # Live sessions.

    def session(self, session_id: str) -> Session:
        """The live session of that id.

        Raises:
            SessionNotFound: it was never live here.
            SessionClosed: it was, and is not any more.
        """
        session = self._live.get(session_id)
        if session is not None:
            return session
        if session_id in self._closed:
            raise SessionClosed(f"session {session_id} is closed; resume it to go on")
        raise SessionNotFound(
            f"no session {session_id} is open here; use session/configure or session/resume"
        )

    async def close(self, session_id: str, *, discard: bool = False) -> None:
        """Close a live session; when this returns, its events have ended with
        `shutdown_complete`.

        Raises:
            SessionNotFound, SessionClosed
            RolloutWriteFailed: records are unsaved and `discard` is false.
        """
        await self.session(session_id).close(discard=discard)

    async def close_all(self) -> int:
        """Close every session; how many records could not be saved."""
        unsaved = 0

        async def close(session: Session) -> None:
            nonlocal unsaved
            try:
                await session.close()
            except RolloutWriteFailed:
                unsaved += session.unsaved
                await session.close(discard=True)

        async with anyio.create_task_group() as tg:
            for session in list(self._live.values()):
                tg.start_soon(close, session)
        return unsaved

"""The sessions of one process: opened, found, closed.

Owns the table of live sessions and their task group. New or resumed is decided before a
session exists: first a source is resolved (new, or a saved session that is held), which
gives the id, the recorder and the history; then the session is constructed once.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    saved_directory,
)
from codex_rpc.core.ports import RolloutLog
from codex_rpc.core.reconfiguration import (
    existing_directory,
    is_empty,
    normalised,
    with_saved_model,
    with_stricter_policies,
)
from codex_rpc.core.services import Services
from codex_rpc.core.session import Session
from codex_rpc.protocol.converter import utc_text
from codex_rpc.protocol.errors import (
    InvalidState,
    RolloutInUse,
    RolloutWriteFailed,
    SessionClosed,
    SessionNotFound,
)
from codex_rpc.protocol.items import call_output
from codex_rpc.protocol.params import (
    ConfigureParams,
    ListParams,
    ReadParams,
    ResumeParams,
    ResumeResult,
    SessionOverrides,
)
from codex_rpc.protocol.records import (
    ContextRecord,
    Header,
    ReadPage,
    SavedSession,
    SessionPage,
    SessionQuery,
    SessionRef,
)

INTERRUPTED_OUTPUT = "aborted"


class SessionManager:
    """All live sessions; an async context manager, within which they run."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._live: dict[str, Session] = {}
        self._closed: set[str] = set()
        self._resuming = anyio.Lock()
        self._was_configured = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if exc is not None:
            self._tasks.cancel_scope.cancel()
        return await self._stack.__aexit__(exc_type, exc, traceback)

    @property
    def providers(self) -> Sequence[str]:
        """The names of the configured model providers."""
        return self._services.providers()

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
        config = await self._load(cwd, overrides)
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
        return await self._resume(ref, cwd, overrides_of(params))

    async def _load(self, cwd: Path, overrides: SessionOverrides) -> Config:
        return await anyio.to_thread.run_sync(
            lambda: self._services.configure(cwd=cwd, overrides=overrides)
        )

    async def _start(self, config: Config, overrides: SessionOverrides) -> Opened:
        model = self._services.backends.model(config)
        tools = self._services.backends.tools(config)
        session_id = self._services.new_session_id()
        now = self._services.clock.now()
        header = Header(
            id=session_id,
            timestamp=now,
            instructions=config.user_instructions,
            cwd=config.cwd,
            version=self._services.version,
        )
        means = await tools.sandbox_means(config.sandbox_policy)
        counts = await self._services.backends.message_history(config).stat()
        context = ContextRecord(
            timestamp=now,
            cwd=str(config.cwd),
            model=config.model,
            model_provider=config.provider.id,
            approval_policy=config.approval_policy,
            sandbox_policy=config.sandbox_policy,
        )
        log = await self._services.store.create(header, [context], fsync=config.history.fsync)
        # From here to the answer nothing waits, so a cancellation cannot leave half of it.
        session = construct(
            self._services,
            session_id,
            History(),
            log,
            config,
            overrides,
            model,
            tools,
            means,
            counts,
        )
        session.env.recorded_context = session.env.context
        self._go_live(session)
        return Opened(session, describe(session, resumed=False))

    async def _resume(
        self, ref: SessionRef, cwd: Path | None, overrides: SessionOverrides
    ) -> Opened:
        async with self._resuming:
            while (live := self._find_live(ref)) is not None and live.closing is not None:
                await live.closing.wait()
            if live is not None:
                return self._again(live, cwd, overrides)
            fsync = (await self._load(cwd or Path("/"), overrides)).history.fsync
            try:
                saved, log = await self._services.store.open(ref, fsync=fsync)
            except RolloutInUse as exc:
                # The newest session, or a path spelt in another way, may be one of ours.
                live = self._live.get(exc.data["sessionId"])
                if live is None:
                    raise
                return self._again(live, cwd, overrides)
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
        cwd = cwd or saved_directory(saved)
        base = await self._load(cwd, overrides)
        told, warnings = with_saved_model(overrides, saved.context, base.providers)
        config = await self._load(cwd, told)
        config, loosened = with_stricter_policies(config, overrides, saved.context)
        warnings += loosened
        warnings += [f"line {d.line_no} was left out: {d.reason}" for d in saved.damage]
        model = self._services.backends.model(config)
        tools = self._services.backends.tools(config)
        history = History(
            saved.items,
            previous_response_id=saved.previous_response_id,
            seen_item_count=saved.seen_item_count,
            used_call_ids=saved.used_call_ids,
        )
        means = await tools.sandbox_means(config.sandbox_policy)
        counts = await self._services.backends.message_history(config).stat()
        session = construct(
            self._services,
            saved.session_id,
            history,
            log,
            config,
            told,
            model,
            tools,
            means,
            counts,
        )
        session.env.interrupted = saved.interrupted
        answers = [call_output(call, INTERRUPTED_OUTPUT) for call in history.open_calls()]
        for answer in answers:
            history.add(answer)
        with anyio.CancelScope(shield=True):
            await log.append([*answers, session.env.context_record()])
        self._closed.discard(saved.session_id)
        self._go_live(session)
        result = ResumeResult(
            **asdict(describe(session, resumed=True), recurse=False),
            updated_at=utc_text(saved.updated_at),
            warnings=warnings,
        )
        return Opened(session, result)

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

    # Saved sessions.

    async def list(self, params: ListParams) -> SessionPage:
        """A page of the session files."""
        query = SessionQuery(
            cwd=normalised(params.cwd),
            query=params.query,
            cursor=params.cursor,
            limit=params.limit,
            sort=params.sort,
            archived=params.archived,
        )
        return await self._services.store.list(query, live=frozenset(self._live))

    async def read(self, params: ReadParams) -> ReadPage:
        """A page of one session's items."""
        path = absolute_path(params.path, "path") if params.path is not None else None
        return await self._services.store.read(
            SessionRef(session_id=params.session_id, path=path),
            cursor=params.cursor,
            limit=params.limit,
            direction=params.direction,
        )

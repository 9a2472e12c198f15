"""A live session: takes operations in order, and runs its turns one at a time.

Owns the submission loop. Three tasks: the loop, which never waits for turn, disk, model or
client; the worker, which runs turns and changes of context; the errands, which belong to no
turn. Nothing outside these tasks changes the session.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from attrs import define, evolve, field

from codex_rpc.config.settings import Config
from codex_rpc.core.errands import Errands
from codex_rpc.core.events import EventQueue
from codex_rpc.core.inbox import (
    CloseRequest,
    InterruptRequest,
    Lane,
    Mailbox,
    RenameRequest,
    Submission,
)
from codex_rpc.core.prompts import base_instructions
from codex_rpc.core.reconfiguration import existing_directory, merged, overridden, reconfigured
from codex_rpc.core.recorder import STORAGE_FAILED_CODE
from codex_rpc.core.redaction import Redactor
from codex_rpc.core.services import Services
from codex_rpc.core.surroundings import Surroundings
from codex_rpc.core.turn import Aborted, Completed, Ending, Failed, Turn
from codex_rpc.protocol.errors import (
    AnswerFiltered,
    CodexError,
    ConfigError,
    InvalidParams,
    RolloutWriteFailed,
    SessionClosed,
)
from codex_rpc.protocol.events import (
    BackgroundEvent,
    Error,
    EventMsg,
    SessionConfigured,
    SessionTakenOver,
    ShutdownComplete,
)
from codex_rpc.protocol.ids import SESSION_SUBMISSION, SessionId, SubmissionId
from codex_rpc.protocol.model import StopReason
from codex_rpc.protocol.ops import (
    AddToHistory,
    Compact,
    ConfigureSession,
    ExecApproval,
    GetHistoryEntryRequest,
    Interrupt,
    ListMcpTools,
    Op,
    OverrideTurnContext,
    PatchApproval,
    Shutdown,
    UserInput,
)
from codex_rpc.protocol.params import SessionOverrides
from codex_rpc.protocol.policy import SandboxMode, SandboxPolicy
from codex_rpc.protocol.records import Record

logger = logging.getLogger(__name__)

NOT_CONFIGURED_CODE = 1004

TOOLS_LATER_S = 0.3
"""How long after the client of the model the tools are loaded: a call of the model, which loads
them too, comes later than that."""

LANES: dict[type[Op], Lane] = {
    UserInput: "turn",
    Compact: "turn",
    OverrideTurnContext: "turn",
    ConfigureSession: "turn",
    AddToHistory: "errand",
    GetHistoryEntryRequest: "errand",
    ListMcpTools: "errand",
}
"""Operations that wait for room, and where; all others enter at once."""


@define(eq=False)
class Session:
    """One conversation, open in this process; `run` it in a task of its own."""

    env: Surroundings
    config: Config
    overrides: SessionOverrides
    services: Services
    _errands: Errands
    configured: SessionConfigured
    """What was announced when the session was opened or reconfigured."""
    _arrivals: Mailbox = field(factory=Mailbox, init=False)
    _used_ids: set[str] = field(factory=lambda: {SESSION_SUBMISSION}, init=False)
    _turn: Turn | None = field(default=None, init=False)
    _idle: bool = field(default=True, init=False)
    """No turn runs, and no input waits for one."""
    _starting: SubmissionId | None = field(default=None, init=False)
    """The input that was taken while idle, until its turn has begun."""
    _stopped_early: set[SubmissionId] = field(factory=set, init=False)
    """Inputs that were interrupted before their turn had begun."""
    _slot: anyio.Lock = field(factory=anyio.Lock, init=False)
    """Held while a turn or a change of context is under way."""
    closing: anyio.Event | None = field(default=None, init=False)
    """There from the moment closing is asked for; fires when the session has ended, or stays
    open after all."""
    _closed: bool = field(default=False, init=False)
    _tools_running: anyio.CancelScope | None = field(default=None, init=False)
    """What the tools keep alive; cancelled when other tools take their place."""

    @property
    def id(self) -> SessionId:
        """The session's id; never changes."""
        return self.env.session_id

    @property
    def events(self) -> EventQueue:
        """Where its events come out."""
        return self.env.events

    @property
    def cwd(self) -> Path:
        """Where the next turn works."""
        return self.env.context.cwd

    @property
    def unsaved(self) -> int:
        """How many records are not in the file."""
        return self.env.recorder.log.unsaved

    async def configured_sandbox(self, mode: SandboxMode) -> SandboxPolicy:
        """What the user's configuration makes of `mode`: its writable roots and its network.

        Raises:
            ConfigError
        """
        said = {**(self.overrides.config or {}), "sandbox_mode": mode}
        overrides = evolve(self.overrides, config=said, sandbox_policy=None)
        cwd = self.env.context.cwd
        config = await anyio.to_thread.run_sync(
            lambda: self.services.configure(cwd=cwd, overrides=overrides)
        )
        return config.sandbox_policy

    async def working_diff(self) -> str:
        """What is not committed in the session's folder; "": nothing.

        Raises:
            ToolError: there is no repository, or git cannot be asked.
        """
        return await self.env.tools.working_diff(self.env.context)

    # For clients.

    async def submit(self, op: Op, submission_id: str | None = None) -> SubmissionId:
        """Queue `op`. Operations are taken in the order of these calls.

        Waits only where too many inputs or errands wait already.

        Raises:
            SessionClosed: the session has ended.
            InvalidParams: the id was used, a path in `op` is no directory, or an approval wants
                something changed that was not shown.
            InvalidState: an approval that nobody waits for.
        """
        self._ensure_open()
        self._check_id(submission_id)
        if isinstance(op, ExecApproval | PatchApproval):
            op = evolve(op, id=self.env.approvals.claim(op))
        elif isinstance(op, OverrideTurnContext | ConfigureSession) and op.cwd is not None:
            op = evolve(op, cwd=str(existing_directory(op.cwd, "op.cwd")))
        elif isinstance(op, Shutdown):
            self._ask_to_close()
        # What was refused until here has not used up its id.
        id_ = SubmissionId(submission_id if submission_id is not None else str(uuid.uuid4()))
        self._used_ids.add(id_)
        lane = LANES.get(type(op))
        if lane is not None:
            await self.env.gate.enter(lane)
            try:
                self._ensure_open()
            except SessionClosed:
                # It may stay open after all, and then has its room.
                self.env.gate.leave(lane)
                raise
        self._arrivals.put(Submission(id_, op))
        return id_

    def announce_again(self) -> None:
        """Announce what a client that comes anew has to know: the session, and open questions."""
        self.env.announce_now(SESSION_SUBMISSION, self.configured)
        for waiter in self.env.approvals.waiting():
            self.env.announce_now(waiter.turn_id, waiter.request)

    async def close(self, *, discard: bool = False) -> None:
        """End the session: abort its turn, save, unlock, announce `shutdown_complete`.

        Idempotent. Cancelling the wait does not stop the closing.

        Raises:
            RolloutWriteFailed: records cannot be saved and `discard` is false; it stays open.
        """
        if self._closed:
            return
        self._ask_to_close()
        request = CloseRequest(discard=discard)
        self._arrivals.put(Submission(SESSION_SUBMISSION, request))
        await request.settled.wait()
        if request.failure is not None:
            raise request.failure

    def interrupt(self, turn_id: SubmissionId) -> None:
        """Stop that turn, also if it has not begun yet, and no other one. Never waits."""
        self._arrivals.put(Submission(SESSION_SUBMISSION, InterruptRequest(turn_id)))

    async def rename(self, title: str) -> None:
        """Give the session another title.

        Raises:
            SessionClosed: the session has ended.
            RolloutWriteFailed: it is not saved, or not yet.
        """
        self._ensure_open()
        request = RenameRequest(title)
        self._errands.put(Submission(SESSION_SUBMISSION, request))
        await request.settled.wait()
        if request.failure is not None:
            raise request.failure
        if not request.is_saved:
            self._ensure_open()
            raise SessionClosed(f"session {self.id} was closed before it got its title")

    def _ensure_open(self) -> None:
        if self.closing is not None or self._closed:
            raise SessionClosed(f"session {self.id} is closed; resume it to go on")

    def _check_id(self, submission_id: str | None) -> None:
        if submission_id == "" or submission_id in self._used_ids:
            raise InvalidParams("id", 'a string that is not "0", not empty and not used before')

    def _ask_to_close(self) -> None:
        # From here on nothing is accepted any more, although the loop closes a moment later.
        if self.closing is None:
            self.closing = anyio.Event()

    # The tasks.

    async def run(self) -> None:
        """Live until closed. The first event is `session_configured`."""
        self.env.announce_now(SESSION_SUBMISSION, self.configured)
        for warning in self.config.warnings:
            self.env.announce_now(SESSION_SUBMISSION, BackgroundEvent(warning))
        last: Submission | None = None
        try:
            async with anyio.create_task_group() as tg:
                scopes = [
                    _started(tg, self._work),
                    _started(tg, self._errands.run),
                    _started(tg, self.env.recorder.run),
                    _started(tg, self._prepare),
                    _started(tg, self._keep_tools),
                    _started(tg, self._yield_to_others),
                ]
                last = await self._loop()
                for scope in scopes:
                    scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._end(last)

    async def _loop(self) -> Submission:
        while True:
            await self._arrivals.wait()
            submission = self._arrivals.take()
            assert submission is not None
            if isinstance(submission.op, Shutdown | CloseRequest):
                if await self._try_close(submission):
                    return submission
            elif not isinstance(submission.op, RenameRequest):
                self._take(submission, submission.op)

    def _take(self, submission: Submission, op: Op | InterruptRequest) -> None:
        match op:
            case InterruptRequest(turn_id):
                if self._turn is not None and self._turn.id == turn_id:
                    self._turn.stop("interrupted")
                elif not self._idle:
                    self._stopped_early.add(turn_id)
            case Interrupt():
                if self._turn is not None:
                    self._turn.stop("interrupted")
                elif self._starting is not None:
                    self._stopped_early.add(self._starting)
            case ExecApproval() | PatchApproval():
                self._decide(op)
            case AddToHistory() | GetHistoryEntryRequest() | ListMcpTools():
                self._errands.put(submission)
            case _:
                # Taking an input while idle is where its turn begins, although the worker
                # runs a moment later: an interrupt behind it is meant for it.
                if self._idle and isinstance(op, UserInput | Compact):
                    self._idle = False
                    self._starting = submission.id
                self.env.inbox.put(submission)

    def _decide(self, op: ExecApproval | PatchApproval) -> None:
        if op.decision != "abort":
            self.env.approvals.resolve(op)
        elif self._turn is not None and self.env.approvals.turn_of(op.id) == self._turn.id:
            # Another turn may run by now, whose end nobody has asked for.
            self._turn.stop("abort")

    async def _try_close(self, submission: Submission) -> bool:
        self._ask_to_close()
        request = submission.op
        discard = isinstance(request, CloseRequest) and request.discard
        by = request.by if isinstance(request, CloseRequest) else None
        if self._turn is not None:
            self._turn.stop("shutdown" if by is None else "taken_over")
        async with self._slot:
            try:
                await self._keep_waiting_overrides()
                if by is not None:
                    # Said while the file is still ours: the other one writes as soon as it can.
                    await self.env.recorder.log.flush()
                    self.env.announce_now(submission.id, SessionTakenOver(by))
                await self.env.recorder.close(discard=discard)
            except RolloutWriteFailed as exc:
                closing, self.closing = self.closing, None
                if closing is not None:
                    closing.set()
                if isinstance(request, CloseRequest):
                    request.fail(exc)
                else:
                    error = Error(exc.message, STORAGE_FAILED_CODE)
                    self.env.announce_now(submission.id, error)
                return False
        return True

    async def _keep_waiting_overrides(self) -> None:
        # What was chosen, and was to hold for the next turn, holds when the session goes on.
        for submission in self.env.inbox.waiting():
            if isinstance(submission.op, OverrideTurnContext):
                self.env.context = overridden(self.env.context, submission.op)
        if self.env.context_changed:
            await self.env.recorder.record_now(self.env.context_record())

    async def _end(self, last: Submission | None) -> None:
        self._closed = True
        self.env.gate.open()
        if last is None:
            # Cancelled from outside, or a bug: save what can be saved before going down.
            await self.env.recorder.close(discard=True)
        await self.env.tools.aclose()
        await self.env.model.aclose()
        id_ = last.id if last is not None else SESSION_SUBMISSION
        self.env.announce_now(id_, ShutdownComplete())
        self.events.close()
        self._errands.close()
        left = last or self._arrivals.take()
        while left is not None:
            if isinstance(left.op, CloseRequest):
                left.op.settled.set()
            left = self._arrivals.take()

    async def _prepare(self) -> None:
        # What the first request needs is loaded once the client has its answer, so that
        # neither waits for the other.
        await self.events.wait_for_reader()
        await self.env.model.prepare()
        # Who sent the first turn at once has it answered before this takes the processor.
        await anyio.sleep(TOOLS_LATER_S)
        await self.env.tools.prepare()

    async def _yield_to_others(self) -> None:
        while True:
            by = await self.env.recorder.log.wanted()
            self._ask_to_close()
            request = CloseRequest(discard=False, by=by)
            self._arrivals.put(Submission(SESSION_SUBMISSION, request))
            # With unsaved records it stays open, and may be asked again.
            await request.settled.wait()

    async def _keep_tools(self) -> None:
        def announce(msg: EventMsg) -> None:
            self.env.announce_now(SESSION_SUBMISSION, msg)

        while True:
            with anyio.CancelScope() as self._tools_running:
                await self.env.tools.run(announce)

    # Turns and changes of context.

    async def _work(self) -> None:
        while True:
            await self.env.inbox.wait()
            await self.events.wait_for_room()
            async with self._slot:
                submission = None if self.closing is not None else self.env.inbox.take()
                if submission is not None:
                    self.env.gate.leave("turn")
                    await self._do(submission)
                    self._idle = self.env.inbox.is_empty and self._starting is None

    async def _do(self, submission: Submission) -> None:
        op = submission.op
        match op:
            case UserInput() | Compact():
                await self._run_turn(submission)
            case OverrideTurnContext():
                self.env.context = overridden(self.env.context, op)
                if self.env.context_changed:
                    await self.env.recorder.record_now(self.env.context_record())
            case _:
                assert isinstance(op, ConfigureSession)
                await self._reconfigure(submission.id, op)

    async def _run_turn(self, submission: Submission) -> None:
        turn = self._turn = Turn(
            self.env,
            submission.id,
            self.env.context,
            auto_compact_limit=self.config.auto_compact_token_limit,
            max_requests=self.config.max_turn_requests,
        )
        if self._starting == submission.id:
            self._starting = None
        if submission.id in self._stopped_early:
            turn.stop("interrupted")
        ending: Ending = Aborted("shutdown")
        try:
            with turn.scope:
                ending = await turn.run(submission)
            if turn.scope.cancelled_caught:
                ending = Aborted(turn.reason)
        except CodexError as exc:
            stop_reason: StopReason | None = "refusal" if isinstance(exc, AnswerFiltered) else None
            ending = Failed(exc.message, _code(exc), stop_reason)
        except Exception as exc:
            logger.exception("a turn failed in a way that was not foreseen")
            ending = Failed(f"internal error ({type(exc).__name__}); the session can go on")
        finally:
            with anyio.CancelScope(shield=True):
                await turn.close(ending)
            self._turn = None
            self._idle = self.env.inbox.is_empty
            self._stopped_early.discard(submission.id)
            if self._idle:
                # Those that joined another turn are never looked for.
                self._stopped_early.clear()
        if isinstance(submission.op, UserInput):
            await self._notify(turn, ending)

    async def _notify(self, turn: Turn, ending: Ending) -> None:
        if not self.config.notify:
            return
        kind = {Completed: "complete", Aborted: "aborted", Failed: "failed"}[type(ending)]
        payload = {
            "type": f"agent-turn-{kind}",
            "turn-id": turn.id,
            "session-id": self.id,
            "cwd": str(turn.context.cwd),
            "input-messages": turn.inputs,
            "last-assistant-message": turn.last_agent_message,
        }
        try:
            notifier = self.services.backends.notifier(self.config)
            await notifier.turn_ended(self.config.notify, payload)
        except OSError as exc:
            message = f"the notify program {self.config.notify[0]!r} could not be started: {exc}"
            self.env.announce_now(SESSION_SUBMISSION, BackgroundEvent(message))

    async def _reconfigure(self, id_: SubmissionId, op: ConfigureSession) -> None:
        overrides = merged(self.overrides, op)
        try:
            cwd = existing_directory(op.cwd or str(self.env.context.cwd), "op.cwd")
            config = await anyio.to_thread.run_sync(
                lambda: self.services.configure(cwd=cwd, overrides=overrides)
            )
            model = self.services.backends.model(config)
            context = reconfigured(self.env.context, op, config)
        except CodexError as exc:
            self.env.announce_now(id_, Error(exc.message, _code(exc)))
            return
        old_model, old_tools = self.env.model, self.env.tools
        self.env.model = model
        self.env.tools = self.services.backends.tools(config, self.env.workspace)
        self.env.redactor = Redactor(config.secrets if config.history.redact else ())
        self.env.instructions = config.base_instructions or base_instructions(config.model)
        self.env.user_instructions = config.user_instructions
        self.env.model_provider = config.provider.id
        self.env.context = context
        self.config, self.overrides = config, overrides
        if self._tools_running is not None:
            self._tools_running.cancel()
        await old_tools.aclose()
        await old_model.aclose()
        # A stored response belongs to the provider that made it.
        state = self.env.history.forget_response()
        records: list[Record] = [self.env.context_record()]
        if state is not None:
            records.append(state)
        await self.env.recorder.record_now(*records)
        means = await self.env.tools.sandbox_means(context.sandbox_policy)
        self.configured = evolve(self.configured, model=context.model, sandbox=means)
        self.env.announce_now(id_, self.configured)


def _started(tasks: TaskGroup, work: Callable[[], Awaitable[None]]) -> anyio.CancelScope:
    """What ends `work`, which has become one of `tasks`.

    The scope of `tasks` would do that as well. But a cancellation that a task ends with is kept by
    its own traceback, and with it the session, until garbage happens to be looked for.
    """
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await work()

    tasks.start_soon(run)
    return scope


def _code(exc: CodexError) -> int | None:
    if isinstance(exc, RolloutWriteFailed):
        return STORAGE_FAILED_CODE
    return NOT_CONFIGURED_CODE if isinstance(exc, ConfigError) else None

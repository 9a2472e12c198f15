"""The making of a session, once its id, its file and its history are known.

Constructs it whole and describes it to whoever opened it; decides nothing and waits for
nothing, so that a cancelled request cannot leave half a session.
"""

from __future__ import annotations

from pathlib import Path

from attrs import fields

from codex_rpc.config.settings import Config
from codex_rpc.core.approvals import Approvals
from codex_rpc.core.errands import Errands
from codex_rpc.core.events import EventQueue
from codex_rpc.core.history import History
from codex_rpc.core.inbox import Gate, Mailbox
from codex_rpc.core.ports import ModelClient, RolloutLog, ToolBox
from codex_rpc.core.prompts import base_instructions
from codex_rpc.core.reconfiguration import context_of
from codex_rpc.core.recorder import Recorder
from codex_rpc.core.redaction import Redactor
from codex_rpc.core.services import Services
from codex_rpc.core.session import Session
from codex_rpc.core.surroundings import Surroundings
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.events import EventMsg, SessionConfigured
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SESSION_SUBMISSION, SessionId
from codex_rpc.protocol.params import ConfigureResult, SessionOverrides
from codex_rpc.protocol.policy import SandboxMeans
from codex_rpc.protocol.records import SavedSession
from codex_rpc.protocol.workspace import Workspace


@frozen
class Opened:
    """A session and what is said about it to whoever opened it."""

    session: Session
    result: ConfigureResult


@frozen(kw_only=True)
class Parts:
    """What a session's configuration, and the client's editor, alone decide."""

    model: ModelClient
    tools: ToolBox
    workspace: Workspace
    sandbox_means: SandboxMeans
    message_history_counts: tuple[int, int]
    """The message history's log id, and how many entries it has."""


def construct(
    services: Services,
    session_id: SessionId,
    history: History,
    log: RolloutLog,
    config: Config,
    overrides: SessionOverrides,
    parts: Parts,
) -> Session:
    """A session over a file that is held."""
    events = EventQueue()

    def announce(msg: EventMsg) -> None:
        env.announce_now(SESSION_SUBMISSION, msg)

    env = Surroundings(
        session_id=session_id,
        history=history,
        recorder=Recorder(log, announce),
        events=events,
        approvals=Approvals(),
        inbox=Mailbox(),
        gate=Gate(),
        model=parts.model,
        tools=parts.tools,
        workspace=parts.workspace,
        clock=services.clock,
        redactor=Redactor(config.secrets if config.history.redact else ()),
        instructions=config.base_instructions or base_instructions(config.model),
        user_instructions=config.user_instructions,
        context=context_of(config),
        model_provider=config.provider.id,
    )
    log_id, entry_count = parts.message_history_counts
    configured = SessionConfigured(
        session_id=session_id,
        model=config.model,
        history_log_id=log_id,
        history_entry_count=entry_count,
        rollout_path=str(log.path),
        sandbox=parts.sandbox_means,
    )
    return Session(
        env=env,
        config=config,
        overrides=overrides,
        services=services,
        errands=Errands(env, services.backends.message_history(config)),
        configured=configured,
    )


def overrides_of(params: SessionOverrides) -> SessionOverrides:
    """Only what every way of opening has in common."""
    return SessionOverrides(**{a.name: getattr(params, a.name) for a in fields(SessionOverrides)})


def absolute_path(path: str, at: str) -> str:
    """`path`; raises InvalidParams, naming `at`, if it is relative."""
    if not Path(path).is_absolute():
        raise InvalidParams(at, "an absolute path")
    return path


def saved_directory(saved: SavedSession) -> Path:
    """Where a saved session ran; raises InvalidParams if that is unknown or gone."""
    if saved.context.cwd is None:
        raise InvalidParams(
            "cwd", "a directory", "cwd: the file does not say where the session ran; give one"
        )
    cwd = Path(saved.context.cwd)
    if not cwd.is_dir():
        raise InvalidParams(
            "cwd",
            "a directory",
            f"cwd: the session ran in {cwd}, which does not exist any more; give another one",
        )
    return cwd


def moved_warning(saved: SavedSession, cwd: Path) -> str | None:
    """What to say if a session goes on elsewhere because its folder is gone."""
    before = saved.context.cwd
    if before is None or Path(before) == cwd or Path(before).is_dir():
        return None
    return f"the session ran in {before}, which does not exist any more; it goes on in {cwd}"


def describe(session: Session, *, resumed: bool) -> ConfigureResult:
    """What the answer to opening `session` says."""
    context, configured = session.env.context, session.configured
    return ConfigureResult(
        session_id=session.id,
        model=context.model,
        model_provider=session.env.model_provider,
        cwd=str(context.cwd),
        approval_policy=context.approval_policy,
        sandbox_policy=context.sandbox_policy,
        sandbox=configured.sandbox or "none",
        rollout_path=configured.rollout_path,
        history_log_id=configured.history_log_id,
        history_entry_count=configured.history_entry_count,
        resumed=resumed,
        item_count=len(session.env.history),
    )

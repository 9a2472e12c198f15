"""In-memory stand-ins for core's ports, scripted by the test; each honours its port's contract."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from attrs import define, evolve, field

from codex_rpc.config.settings import Config, Provider
from codex_rpc.core.manager import SessionManager
from codex_rpc.core.services import Services
from codex_rpc.protocol.errors import (
    RolloutInUse,
    RolloutNotFound,
    RolloutWriteFailed,
    ToolError,
)
from codex_rpc.protocol.events import EventMsg, HistoryEntry, TakenOverBy
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import (
    ItemDone,
    ModelEvent,
    Prompt,
    ResponseCompleted,
    TextDelta,
    Usage,
)
from codex_rpc.protocol.ops import Range
from codex_rpc.protocol.policy import SandboxMeans, SandboxPolicy
from codex_rpc.protocol.records import (
    Header,
    ReadEntry,
    ReadPage,
    Record,
    SavedContext,
    SavedSession,
    SessionRef,
)
from codex_rpc.protocol.tools import ToolHost, ToolOutcome, TurnContext
from codex_rpc.protocol.workspace import NoEditor, Workspace

Step = ModelEvent | Exception | Callable[[], Awaitable[None]]
"""Of a scripted response: an event, an error to raise, or something to wait for."""


def message(text: str, item_id: str = "msg_1") -> Item:
    """An assistant's message."""
    content = [{"type": "output_text", "text": text}]
    return Item.from_value(
        {"type": "message", "id": item_id, "role": "assistant", "content": content}
    )


def call(call_id: str, name: str = "tool", arguments: str = "{}") -> Item:
    """A function call."""
    return Item.from_value(
        {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    )


def saying(text: str, *, item_id: str = "msg_1", response_id: str = "resp_1") -> list[Step]:
    """A whole response with one message, streamed in two pieces."""
    middle = len(text) // 2
    return [
        TextDelta(item_id, text[:middle]),
        TextDelta(item_id, text[middle:]),
        ItemDone(message(text, item_id)),
        ResponseCompleted(response_id, Usage(10, 5, 15)),
    ]


def calling(*calls: Item, response_id: str = "resp_1") -> list[Step]:
    """A whole response that calls tools."""
    return [*map(ItemDone, calls), ResponseCompleted(response_id, Usage(10, 5, 15))]


@define
class FakeModel:
    """Plays responses in order and keeps the prompts; without a script left it says "ok"."""

    responses: list[list[Step]] = field(factory=list)
    prompts: list[Prompt] = field(factory=list)
    stores_responses: bool = False
    max_retries: int = 3
    window: int | None = 1000
    offered: Sequence[str] = ()
    """The names of models, if anyone asks."""
    open_streams: int = 0
    prepared: anyio.Event = field(factory=anyio.Event)

    def context_window(self, model: str) -> int | None:
        return self.window

    async def prepare(self) -> None:
        self.prepared.set()

    async def models(self) -> Sequence[str]:
        return self.offered

    async def aclose(self) -> None:
        pass

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        # The input is a view of a list that grows, so what was sent is what it holds now.
        self.prompts.append(evolve(prompt, input=list(prompt.input)))
        steps = self.responses.pop(0) if self.responses else saying("ok")
        self.open_streams += 1
        try:
            yield self._play(steps)
        finally:
            self.open_streams -= 1

    async def _play(self, steps: Sequence[Step]) -> AsyncIterator[ModelEvent]:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            if callable(step):
                await step()
            else:
                yield step

    def sent(self, index: int = -1) -> list[dict[str, Any]]:
        """The conversation items of a prompt, without the injected messages."""
        items = [item.value() for item in self.prompts[index].input]
        return [i for i in items if not _is_injected(i)]


def _is_injected(item: dict[str, Any]) -> bool:
    if item.get("role") != "user":
        return False
    text = item["content"][0].get("text", "")
    return text.startswith(("<environment_context>", "<user_instructions>", "<interrupted_turn>"))


Handler = Callable[[Item, ToolHost], Awaitable[ToolOutcome]]


async def _answer(item: Item, host: ToolHost) -> ToolOutcome:
    return ToolOutcome(f"output of {item.call_id}")


@define
class FakeTools:
    """One tool, whose behaviour the test gives."""

    handler: Handler = _answer
    calls: list[Item] = field(factory=list)
    images: dict[str, str] = field(factory=dict)
    texts: dict[str, str] = field(factory=dict)
    closed: bool = False
    starting: anyio.Event | None = None
    """Fires when all tools are offered; None: they are from the start."""
    news: list[EventMsg] = field(factory=list)
    """Announced as soon as the tools run."""
    running: int = 0

    async def sandbox_means(self, policy: SandboxPolicy) -> SandboxMeans:
        return "none"

    async def prepare(self) -> None:
        pass

    async def run(self, announce: Callable[[EventMsg], None]) -> None:
        self.running += 1
        try:
            for msg in self.news:
                announce(msg)
            await anyio.sleep_forever()
        finally:
            self.running -= 1

    async def ready(self) -> None:
        if self.starting is not None:
            await self.starting.wait()

    async def mcp_tools(self) -> dict[str, Any]:
        return {"server__tool": {"name": "tool"}}

    def specs(self, context: TurnContext) -> Sequence[dict[str, Any]]:
        return [{"type": "function", "name": "tool"}]

    async def call(self, call: Item, host: ToolHost) -> ToolOutcome:
        self.calls.append(call)
        return await self.handler(call, host)

    async def read_image(self, path: Path, cwd: Path) -> str:
        return self.images[str(path)]

    async def read_text(self, path: Path, part: Range | None, cwd: Path) -> str:
        if str(path) not in self.texts:
            raise ToolError(f"cannot read {path}")
        text = self.texts[str(path)]
        return text if part is None else f"{part.start.line}:{part.end.line} of {text}"

    async def working_diff(self, context: TurnContext) -> str:
        raise ToolError(f"{context.cwd} is in no repository")

    async def aclose(self) -> None:
        self.closed = True


@define
class FakeLog:
    """A session file as a list of records; `failing` makes every write fail."""

    path: Path
    records: list[Record] = field(factory=list)
    queue: list[Record] = field(factory=list)
    failing: bool = False
    sync_count: int = 0
    open: bool = True
    before_append: Callable[[], Awaitable[None]] | None = None
    wanted_by: list[TakenOverBy] = field(factory=list)
    asked: anyio.Event = field(factory=anyio.Event)

    def want(self, by: TakenOverBy) -> None:
        """Have another process ask for the session."""
        self.wanted_by.append(by)
        self.asked.set()

    async def wanted(self) -> TakenOverBy:
        await self.asked.wait()
        self.asked = anyio.Event()
        return self.wanted_by.pop(0)

    @property
    def unsaved(self) -> int:
        return len(self.queue)

    async def append(self, records: Sequence[Record]) -> None:
        assert self.open
        self.queue.extend(records)
        if self.before_append is not None:
            await self.before_append()
        await self.flush()

    async def flush(self) -> None:
        if self.failing and self.queue:
            raise RolloutWriteFailed(str(self.path), "no space left on device")
        self.records.extend(self.queue)
        self.queue.clear()

    async def sync(self) -> None:
        self.sync_count += 1

    async def close(self, *, discard: bool = False) -> None:
        if not self.open:
            return
        if not discard:
            await self.flush()
        self.open = False

    def items(self) -> list[dict[str, Any]]:
        """The items on "disk", as JSON values."""
        return [r.value() for r in self.records if isinstance(r, Item)]


@define
class FakeStore:
    """Session files in memory."""

    logs: dict[str, FakeLog] = field(factory=dict)
    saved: dict[str, SavedSession] = field(factory=dict)
    headers: dict[str, Header] = field(factory=dict)
    refuse: Exception | None = None
    done: list[tuple[Any, ...]] = field(factory=list)
    """What was asked for besides opening, in order."""

    async def serve(self) -> None:
        await anyio.sleep_forever()

    async def create(self, header: Header, first: Sequence[Record], *, fsync: str) -> FakeLog:
        if self.refuse is not None:
            raise self.refuse
        log = self.logs[header.id] = FakeLog(Path(f"/sessions/{header.id}.jsonl"), list(first))
        self.headers[header.id] = header
        return log

    async def open(
        self, ref: SessionRef, *, fsync: str, takeover: bool = False
    ) -> tuple[SavedSession, FakeLog | None]:
        if self.refuse is not None:
            if not takeover:
                raise self.refuse
            self.done.append(("take over", ref.session_id))
        for saved in reversed(self.saved.values()):
            log = self.logs.get(saved.session_id)
            if ref.last and log is not None and log.open:
                raise RolloutInUse(saved.session_id, "it is open in this process")
            if ref.last or ref.session_id == saved.session_id or ref.path == str(saved.path):
                if saved.foreign is not None:
                    return saved, None
                log = self.logs.setdefault(saved.session_id, FakeLog(saved.path))
                log.open = True
                return saved, log
        raise RolloutNotFound(f"no session {ref.session_id or ref.path}")

    async def load(self, ref: SessionRef, *, up_to: int | None = None) -> SavedSession:
        for saved in self.saved.values():
            if ref.session_id == saved.session_id or ref.path == str(saved.path):
                items = saved.items if up_to is None else saved.items[: up_to + 1]
                return evolve(saved, items=items)
        raise RolloutNotFound(f"no session {ref.session_id or ref.path}")

    async def read(
        self, ref: SessionRef, *, cursor: str | None, limit: int, direction: str
    ) -> ReadPage:
        (log,) = [log for log in self.logs.values() if str(log.path) == ref.path]
        entries = [ReadEntry(i, item) for i, item in enumerate(log.items())]
        return ReadPage(items=entries[-limit:])

    async def rename(self, session_id: str, title: str) -> None:
        self.done.append(("rename", session_id, title))

    async def archive(self, session_id: str) -> None:
        self.done.append(("archive", session_id))

    async def unarchive(self, session_id: str) -> None:
        self.done.append(("unarchive", session_id))

    async def delete(self, session_id: str) -> None:
        self.done.append(("delete", session_id))

    async def export(
        self, session_id: str, kind: str, *, path: Path | None, unsaved: Sequence[Item]
    ) -> str | None:
        self.done.append(("export", session_id, kind, path, [i.value() for i in unsaved]))
        return None if path is not None else "text"

    def keep(self, session_id: str, items: list[Item], **more: Any) -> SavedSession:
        """Have a saved session on "disk"."""
        more.setdefault("context", SavedContext(cwd="/"))
        saved = self.saved[session_id] = SavedSession(
            session_id=SessionId(session_id),
            path=Path(f"/sessions/{session_id}.jsonl"),
            items=items,
            updated_at=datetime(2026, 11, 22, tzinfo=UTC),
            **more,
        )
        return saved


@define
class FakeMessageHistory:
    """history.jsonl in memory."""

    entries: list[HistoryEntry] = field(factory=list)
    failure: OSError | None = None

    async def stat(self) -> tuple[int, int]:
        return (7, len(self.entries)) if self.entries else (0, 0)

    async def append(self, session_id: SessionId, text: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.entries.append(HistoryEntry(session_id, 1, text))

    async def entry(self, offset: int, log_id: int) -> HistoryEntry | None:
        in_range = 0 <= offset < len(self.entries)
        return self.entries[offset] if log_id == 7 and in_range else None


@define
class FakeNotifier:
    """Keeps what it was told."""

    told: list[dict[str, Any]] = field(factory=list)
    before: Callable[[], Awaitable[None]] | None = None

    async def turn_ended(self, program: Sequence[str], payload: dict[str, Any]) -> None:
        if self.before is not None:
            await self.before()
        self.told.append(payload)


class FakeClock:
    """A second passes between any two looks."""

    def __init__(self) -> None:
        self._seconds = itertools.count()

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=next(self._seconds))


@define
class World:
    """Everything around a SessionManager, in the test's hands."""

    workspace: Workspace = field(factory=NoEditor)
    """What the newest session's tools were given."""
    model: FakeModel = field(factory=FakeModel)
    tools: FakeTools = field(factory=FakeTools)
    store: FakeStore = field(factory=FakeStore)
    history: FakeMessageHistory = field(factory=FakeMessageHistory)
    notifier: FakeNotifier = field(factory=FakeNotifier)
    config: Config = field(
        factory=lambda: Config(
            codex_home=Path("/home/.codex"),
            cwd=Path("/"),
            model="model-1",
            provider=Provider(id="fake", name="Fake"),
            providers={"fake": Provider(id="fake", name="Fake")},
        )
    )
    session_ids: Any = field(factory=itertools.count)

    def configure(self, *, cwd: Path, overrides: Any) -> Config:
        config = evolve(self.config, cwd=cwd)
        for name in ("model", "approval_policy", "sandbox_policy"):
            if getattr(overrides, name) is not None:
                config = evolve(config, **{name: getattr(overrides, name)})
        return config

    def manager(self) -> SessionManager:
        """A manager of this world's sessions."""
        world = self

        class Backends:
            def model(self, config: Config) -> FakeModel:
                return world.model

            def tools(self, config: Config, workspace: Workspace) -> FakeTools:
                world.workspace = workspace
                return world.tools

            def message_history(self, config: Config) -> FakeMessageHistory:
                return world.history

            def notifier(self, config: Config) -> FakeNotifier:
                return world.notifier

        return SessionManager(
            Services(
                store=self.store,  # type: ignore[arg-type]
                configure=self.configure,
                backends=Backends(),  # type: ignore[arg-type]
                clock=FakeClock(),
                new_session_id=lambda: SessionId(f"session-{next(self.session_ids)}"),
                version="0",
                providers=lambda: ["fake"],
            )
        )

"""Whatever is submitted in whatever order: turns close once, begins end, calls are answered."""

from __future__ import annotations

from collections import Counter

import anyio
import anyio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st
from support.driving import says
from support.fakes import Step, World, call, saying

from codex_rpc.core.events import EventsEnded
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.errors import InvalidState, ModelRejected, StreamInterrupted
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import ItemDone, ResponseCompleted, TextDelta, Usage
from codex_rpc.protocol.params import ConfigureParams
from codex_rpc.protocol.tools import ToolHost, ToolOutcome

CALL_STYLES = ("quick", "slow", "slow", "ask", "ask then run")

STEPS = ("text", "wait", "break", "refuse", "fail to save", "same id", *CALL_STYLES, *CALL_STYLES)
responses = st.lists(st.sampled_from(STEPS), max_size=4)
ACTIONS = (
    "input",
    "interrupt",
    "interrupt",
    "approved",
    "approved_for_session",
    "denied",
    "abort",
    "release",
    "override",
    "disk back",
    "read",
)
actions = st.lists(st.tuples(st.sampled_from(ACTIONS), st.booleans()), max_size=20)
"""What is done, and whether everything is let run until it waits before the next."""


async def let_run() -> None:
    """Give every task its turn, many times over; nothing here waits for the outside."""
    for _ in range(60):
        await anyio.lowlevel.checkpoint()


class Run:
    """One generated conversation."""

    def __init__(self, scripts: list[list[str]]) -> None:
        self.world = World()
        self.release = anyio.Event()
        self.seen: list[ev.Event] = []
        self.world.model.responses = [self.response(n, s) for n, s in enumerate(scripts)]
        self.world.tools.handler = self.tool

    def response(self, n: int, script: list[str]) -> list[Step]:
        steps: list[Step] = [TextDelta(f"m{n}", "some ")]
        for k, what in enumerate(script):
            match what:
                case "text":
                    steps += saying("words", item_id=f"m{n}.{k}")[:3]
                case "wait":
                    steps.append(self.wait)
                case "break":
                    steps.append(StreamInterrupted("gone", retry_after_s=0))
                case "refuse":
                    steps.append(ModelRejected("no"))
                case "fail to save":
                    steps.append(self.break_disk)
                case "same id":
                    steps.append(ItemDone(call("same", name="quick")))
                case style:
                    steps.append(ItemDone(call(f"c{n}.{k}", name=style)))
        return [*steps, ResponseCompleted(f"r{n}", Usage(1, 1, 2))]

    async def wait(self) -> None:
        await self.release.wait()

    async def break_disk(self) -> None:
        for log in self.world.store.logs.values():
            log.failing = True

    async def tool(self, item: Item, host: ToolHost) -> ToolOutcome:
        call_id, style = item.call_id or "", item.value()["name"]
        if style.startswith("ask"):
            request = ev.ExecApprovalRequest(call_id, ["x"], "/", "none", True)
            if await host.ask(request, scope=style) == "denied":
                return ToolOutcome("rejected")
        end = ev.ExecCommandEnd(call_id, "", "", 0, ev.Duration(0, 0))
        await host.announce(ev.ExecCommandBegin(call_id, ["x"], "/"))
        if style in ("slow", "ask then run"):
            try:
                await self.release.wait()
            except anyio.get_cancelled_exc_class():
                host.abandon(ToolOutcome("stopped", (end,)))
                raise
        return ToolOutcome("done", (end,))

    async def act(self, session: Session, action: str, n: int) -> None:
        match action:
            case "input":
                await session.submit(says(f"input {n}"), f"i{n}")
            case "interrupt":
                await session.submit(ops.Interrupt())
            case "approved" | "approved_for_session" | "denied" | "abort":
                waiting = [w.request.call_id for w in session.env.approvals.waiting()]
                try:
                    await session.submit(ops.ExecApproval((waiting or ["none"])[0], action))
                except InvalidState:
                    assert not waiting
            case "release":
                self.release.set()
                self.release = anyio.Event()
            case "override":
                await session.submit(ops.OverrideTurnContext(model=f"model-{n}"))
            case "disk back":
                for log in self.world.store.logs.values():
                    log.failing = False
            case _:
                self.seen += session.events.take(100)

    async def play(self, script: list[tuple[str, bool]]) -> None:
        with anyio.fail_after(15):
            async with self.world.manager() as manager:
                session = (await manager.configure(ConfigureParams(cwd="/"))).session
                session.env.recorder.first_retry_s = 0.001
                session.env.recorder.patience_s = 0.02
                for n, (action, settle) in enumerate(script):
                    await self.act(session, action, n)
                    if settle:
                        await let_run()
                await manager.close_all()
                try:
                    while True:
                        self.seen.append(await session.events.next())
                except EventsEnded:
                    self.check(session)

    def check(self, session: Session) -> None:
        running: str | None = None
        begun: set[str] = set()
        for event in self.seen:
            msg = event.msg
            match msg:
                case ev.TaskStarted():
                    assert running is None, "two turns at once"
                    running = event.id
                case ev.TaskComplete() | ev.TurnAborted():
                    assert event.id == running
                    assert not begun, "a begin without its end"
                    running = None
                case ev.Error() if event.id == running:
                    assert not begun
                    running = None
                case ev.ExecCommandBegin():
                    assert msg.call_id not in begun
                    begun.add(msg.call_id)
                case ev.ExecCommandEnd():
                    begun.remove(msg.call_id)
        assert running is None, "a turn without its closing"
        assert self.seen[-1].msg == ev.ShutdownComplete()

        items = list(session.env.history.items)
        calls = Counter(i.call_id for i in items if i.is_call)
        outputs = Counter(i.call_id for i in items if i.is_output)
        assert calls == outputs
        assert not calls or max(calls.values()) == 1, "a call id was used twice"
        log = self.world.store.logs[session.id]
        recorded = [r for r in [*log.records, *log.queue] if isinstance(r, Item)]
        assert recorded == items, "history and file differ"
        announced = [e.id for e in self.seen if isinstance(e.msg, ev.UserMessage)]
        assert len(announced) == len(set(announced))


@settings(max_examples=150, deadline=None)
@given(st.lists(responses, max_size=6), actions)
def test_any_conversation_keeps_the_invariants(
    scripts: list[list[str]], script: list[tuple[str, bool]]
) -> None:
    async def main() -> None:
        # Event objects belong to a running loop, so the run is made inside it.
        await Run(scripts).play([("input", True), *script])

    anyio.run(main)

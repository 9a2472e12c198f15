"""What the tests of the tools and the sandbox share: a host that records, and calls to make."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import orjson
from attrs import define, field

from codex_rpc.config.settings import Config, Provider
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    EventMsg,
    ExecCommandEnd,
    ExecCommandOutputDelta,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import (
    ApprovalPolicy,
    Decision,
    SandboxMeans,
    SandboxMode,
    SandboxPolicy,
)
from codex_rpc.protocol.tools import Review, ToolOutcome, TurnContext
from codex_rpc.protocol.workspace import NoEditor, Workspace
from codex_rpc.sandbox.launch import Launch
from codex_rpc.sandbox.supervisor import supervised

if TYPE_CHECKING:
    from codex_rpc.tools.box import ToolBox
    from codex_rpc.tools.shell import Shell


def context(
    cwd: Path,
    *,
    approval: ApprovalPolicy = "never",
    mode: SandboxMode = "danger-full-access",
    model: str = "gpt-5",
) -> TurnContext:
    return TurnContext(
        cwd=cwd, approval_policy=approval, sandbox_policy=SandboxPolicy(mode), model=model
    )


async def no_hindrance(msg: EventMsg) -> None:
    """A client that reads at once."""


@define
class Host:
    """A turn that answers every question alike and keeps what it is told."""

    context: TurnContext
    decision: Decision | Sequence[Decision] = "approved"
    """To every question, or to one after the other."""
    before_announcing: Callable[[EventMsg], Awaitable[None]] = no_hindrance
    announced: list[EventMsg] = field(factory=list)
    asked: list[ApprovalRequest] = field(factory=list)
    scopes: list[Hashable | None] = field(factory=list)
    abandoned: list[ToolOutcome] = field(factory=list)
    news: anyio.Event = field(factory=anyio.Event)
    turn_id: SubmissionId = field(default=SubmissionId("1"))

    async def announce(self, msg: EventMsg) -> None:
        await self.before_announcing(msg)
        self.announced.append(msg)
        self.news.set()
        self.news = anyio.Event()

    async def ask(self, request: ApprovalRequest, *, scope: Hashable | None = None) -> Decision:
        self.asked.append(request)
        self.scopes.append(scope)
        if isinstance(self.decision, str):
            return self.decision
        return self.decision[len(self.asked) - 1]

    async def review(self, request: ApplyPatchApprovalRequest) -> Review:
        return Review(await self.ask(request))

    def abandon(self, outcome: ToolOutcome) -> None:
        self.abandoned.append(outcome)

    def shown(self, stream: str = "stdout") -> str:
        """The deltas of one stream, joined."""
        return "".join(
            msg.chunk
            for msg in self.announced
            if isinstance(msg, ExecCommandOutputDelta) and msg.stream == stream
        )

    async def until_shown(self, text: str) -> None:
        """Wait until the client was shown `text` on stdout."""
        while text not in self.shown():
            await self.news.wait()


def config(cwd: Path, **settings: Any) -> Config:
    return Config(
        # Not inside: it is protected from commands and patches.
        codex_home=cwd.parent / "codex-home",
        cwd=cwd,
        model="gpt-5",
        provider=Provider(id="fake", name="Fake"),
        **settings,
    )


def toolbox(cwd: Path, *, workspace: Workspace | None = None, **settings: Any) -> ToolBox:
    from codex_rpc.tools.box import ToolBox

    return ToolBox(
        config(cwd, **settings), environ=dict(os.environ), workspace=workspace or NoEditor()
    )


@define
class StageConfinement:
    """Holds nothing, but the command can tell under what it would have been: `$HELD`."""

    mode: SandboxMode
    means: SandboxMeans
    network: bool
    gaps: tuple[str, ...] = ()

    @contextmanager
    def launched(self, argv: Sequence[str], env: Mapping[str, str]) -> Iterator[Launch]:
        yield supervised(argv, {**env, "HELD": self.mode})

    def denial(self, output: str, cwd: Path) -> str | None:
        held = self.mode != "danger-full-access"
        return "oh no" if held and "oh no" in output else None


@define
class StageSandbox:
    """A sandbox whose abilities a test chooses."""

    means: SandboxMeans = "bubblewrap"
    gaps: tuple[str, ...] = ()
    secrets: frozenset[Path] = frozenset()
    """What may not be read."""
    confined: int = 0
    """How often a confinement was worked out."""

    async def confine(self, policy: SandboxPolicy, cwd: Path) -> StageConfinement:
        self.confined += 1
        return StageConfinement(policy.mode, self.means, policy.has_network, self.gaps)

    def unconfined(self) -> StageConfinement:
        return StageConfinement("danger-full-access", "none", network=True)

    def may_read(self, path: Path, cwd: Path) -> bool:
        return Path(os.path.realpath(path)) not in self.secrets


def shell_tool(
    cwd: Path,
    sandbox: StageSandbox | None = None,
    *,
    workspace: Workspace | None = None,
    **settings: Any,
) -> Shell:
    """The shell tool alone, on a stage."""
    from codex_rpc.tools.shell import Shell

    return Shell(
        config(cwd, **settings),
        environ=dict(os.environ),
        sandbox=sandbox or StageSandbox(),  # type: ignore[arg-type]
        patches=None,
        workspace=workspace or NoEditor(),
    )


def function_call(name: str, arguments: Any, call_id: str = "call_0") -> Item:
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return Item.from_value(
        {"type": "function_call", "name": name, "call_id": call_id, "arguments": text}
    )


def shell(command: Sequence[str], **arguments: Any) -> Item:
    return function_call("shell", {"command": list(command), **arguments})


def told(outcome: ToolOutcome) -> dict[str, Any]:
    """What the model is told, taken apart."""
    assert isinstance(outcome.output, str)
    value: dict[str, Any] = orjson.loads(outcome.output)
    return value


def end_of(outcome: ToolOutcome) -> ExecCommandEnd:
    (end,) = outcome.events
    assert isinstance(end, ExecCommandEnd)
    return end

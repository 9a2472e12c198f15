"""What the model may call: a table of tools, and the one door to them.

Owns the names under which the model calls them, the parts that they share, and turns whatever
goes wrong inside a tool into its output. What a tool does is its own module's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from codex_rpc.config.settings import Config
from codex_rpc.protocol.errors import CodexError
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    Duration,
    EventMsg,
    ExecCommandBegin,
    ExecCommandEnd,
    McpToolCallBegin,
    McpToolCallEnd,
    PatchApplyBegin,
    PatchApplyEnd,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.ops import Range
from codex_rpc.protocol.policy import Decision, SandboxMeans, SandboxPolicy
from codex_rpc.protocol.tools import Review, ToolHost, ToolOutcome, TurnContext
from codex_rpc.protocol.workspace import Workspace
from codex_rpc.tools.specs import specs_for

if TYPE_CHECKING:
    from codex_rpc.sandbox.confinement import Sandbox
    from codex_rpc.tools.mcp.servers import McpServers
    from codex_rpc.tools.patch.tool import PatchTool
    from codex_rpc.tools.shell import Shell

Handler = Callable[[Item, ToolHost], Awaitable[ToolOutcome]]

_LOADED_AHEAD = ("codex_rpc.tools.shell", "codex_rpc.tools.patch.tool", "codex_rpc.sandbox.plan")
"""What most sessions need. An editor waits for the start, not for these."""


class ToolBox:
    """The tools of one session."""

    def __init__(self, config: Config, *, environ: Mapping[str, str], workspace: Workspace) -> None:
        """`environ` is the server's environment, of which commands get what `config` says; what
        is open in `workspace` is read and changed there."""
        self._config = config
        self._environ = environ
        self._workspace = workspace
        self._handlers: dict[tuple[str, str], Callable[[], Handler]] = {
            ("function_call", "shell"): lambda: self._shell.call_function,
            ("function_call", "container.exec"): lambda: self._shell.call_function,
            ("local_shell_call", ""): lambda: self._shell.call_local,
            ("function_call", "apply_patch"): lambda: self._patches.call_function,
            ("custom_tool_call", "apply_patch"): lambda: self._patches.call_custom,
            ("function_call", "update_plan"): self._plan_tool,
            ("function_call", "view_image"): lambda: self._view_image,
        }

    # The parts, each made when it is first needed, in the event loop's thread.

    @cached_property
    def _sandbox(self) -> Sandbox:
        from codex_rpc.sandbox.confinement import Sandbox

        return Sandbox(self._config, environ=self._environ)

    @cached_property
    def _patches(self) -> PatchTool:
        from codex_rpc.tools.patch.tool import PatchTool

        return PatchTool(self._sandbox, workspace=self._workspace, review=self._config.patch_review)

    @cached_property
    def _shell(self) -> Shell:
        from codex_rpc.tools.shell import Shell

        return Shell(
            self._config,
            environ=self._environ,
            sandbox=self._sandbox,
            patches=self._patches,
            workspace=self._workspace,
        )

    @cached_property
    def _mcp(self) -> McpServers | None:
        """None: no server is configured."""
        if not self._config.mcp_servers:
            return None
        from codex_rpc.tools.mcp.servers import McpServers

        return McpServers(
            self._config.mcp_servers,
            cwd=self._config.cwd,
            environ=self._environ,
            max_output_bytes=self._config.tool_output_max_bytes,
        )

    @staticmethod
    def _plan_tool() -> Handler:
        from codex_rpc.tools.plan import update_plan

        return update_plan

    async def _view_image(self, call: Item, host: ToolHost) -> ToolOutcome:
        from codex_rpc.tools.image import view_image

        return await view_image(call, host, self._sandbox)

    # The port.

    async def sandbox_means(self, policy: SandboxPolicy) -> SandboxMeans:
        """What confines commands under `policy` on this machine."""
        return await self._sandbox.means(policy)

    async def prepare(self) -> None:
        """Load what the first call would have to wait for. Idempotent."""
        for module in _LOADED_AHEAD:
            await to_thread.run_sync(import_module, module)

    async def run(self, announce: Callable[[EventMsg], None]) -> None:
        """Keep the MCP servers alive until cancelled; then nothing of them runs any more."""
        if self._mcp is None:
            await anyio.sleep_forever()
        else:
            await self._mcp.run(announce)

    async def ready(self) -> None:
        """Wait until each MCP server offers its tools or is known not to."""
        if self._mcp is not None:
            await self._mcp.ready()

    def specs(self, context: TurnContext) -> Sequence[dict[str, Any]]:
        """Tool definitions in the Responses API's form, in stable order."""
        mcp = self._mcp.specs() if self._mcp is not None else []
        return [*specs_for(context), *mcp]

    async def mcp_tools(self) -> dict[str, Any]:
        """The MCP servers' tools by the name that the model calls them, in stable order."""
        return self._mcp.tools() if self._mcp is not None else {}

    async def call(self, call: Item, host: ToolHost) -> ToolOutcome:
        """Run one call to its end.

        What the model did wrong, and also what we did wrong, is an outcome. When cancelled, it
        returns only after everything it started is dead, and has left the outcome of what it
        had begun with `host.abandon`.
        """
        value = call.value()
        name = value.get("name")
        name = name if isinstance(name, str) else ""
        watched = _WatchedHost(host)
        try:
            handler = self._handler(call.kind, name)
            if handler is None:
                return ToolOutcome(f"unsupported call: {name or call.kind}")
            # A call is about what the user sees when it is made.
            await self._workspace.ready()
            return await handler(call, watched)
        except CodexError as exc:
            return ToolOutcome(exc.message, watched.ends(exc.message))
        except Exception as exc:
            # A bug of ours must not end the turn. The text is for the model and, through it,
            # for the user; it does not hold what the exception holds.
            return ToolOutcome(
                f"the tool failed because of an error in codex-rpc itself ({type(exc).__name__}); "
                "it is not known how much of the call was done",
                watched.ends("error in codex-rpc itself"),
            )

    def _handler(self, kind: str, name: str) -> Handler | None:
        """What answers such a call; None: nothing does."""
        make = self._handlers.get((kind, name))
        if make is not None:
            return make()
        if kind == "function_call" and self._mcp is not None and self._mcp.knows(name):
            return self._mcp.call
        return None

    async def read_image(self, path: Path, cwd: Path) -> str:
        """A local image as a `data:` URL, for a turn in `cwd`.

        Raises:
            ToolError: it cannot be read, is no image, is too large, or may not be read.
        """
        from codex_rpc.tools.image import image_url

        return await image_url(path, self._sandbox, cwd)

    async def read_text(self, path: Path, part: Range | None, cwd: Path) -> str:
        """A text file, or a part of it, for a turn in `cwd`; if it is open in the editor, as it
        is there.

        What is too long loses its end, which is said in its place.

        Raises:
            ToolError: it cannot be read, is no text, or may not be read.
        """
        from codex_rpc.tools.files import text_of

        await self._workspace.ready()
        return await text_of(path, part, workspace=self._workspace, rules=self._sandbox, cwd=cwd)

    async def working_diff(self, context: TurnContext) -> str:
        """What is not committed in the folder of `context`, as git tells it; "": nothing.

        Raises:
            ToolError: there is no repository, or git cannot be asked.
        """
        from codex_rpc.tools.working_diff import working_diff

        return await working_diff(self._shell, context)

    async def aclose(self) -> None:
        """Let go of the MCP servers, and remove what the sandbox keeps on disk. Idempotent."""
        if self.__dict__.get("_mcp") is not None:
            self.__dict__["_mcp"].let_go()
        if "_sandbox" in self.__dict__:
            await self._sandbox.aclose()


class _WatchedHost:
    """A host that remembers what has begun, so that even after a bug it can be ended."""

    def __init__(self, host: ToolHost) -> None:
        self._host = host
        self._begun: ExecCommandBegin | PatchApplyBegin | McpToolCallBegin | None = None

    @property
    def context(self) -> TurnContext:
        return self._host.context

    @property
    def turn_id(self) -> SubmissionId:
        return self._host.turn_id

    async def announce(self, msg: EventMsg) -> None:
        await self._host.announce(msg)
        if isinstance(msg, ExecCommandBegin | PatchApplyBegin | McpToolCallBegin):
            self._begun = msg

    async def ask(self, request: ApprovalRequest, *, scope: Hashable | None = None) -> Decision:
        return await self._host.ask(request, scope=scope)

    async def review(self, request: ApplyPatchApprovalRequest) -> Review:
        return await self._host.review(request)

    def abandon(self, outcome: ToolOutcome) -> None:
        self._host.abandon(outcome)

    def ends(self, reason: str) -> tuple[EventMsg, ...]:
        """The end of what has begun, and failed for `reason`."""
        match self._begun:
            case None:
                return ()
            case ExecCommandBegin(call_id=call_id):
                return (ExecCommandEnd(call_id, "", reason, -1, Duration(0, 0)),)
            case PatchApplyBegin(call_id=call_id):
                return (PatchApplyEnd(call_id, "", reason, success=False),)
            case McpToolCallBegin(call_id=call_id, invocation=invocation):
                return (McpToolCallEnd(call_id, invocation, Duration(0, 0), {"Err": reason}),)

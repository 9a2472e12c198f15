"""What the model may call: a table of tools, and the one door to them.

Owns the names and definitions that the model is offered, and turns whatever goes wrong inside
a tool into its output. What a tool does is its own module's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from codex_rpc.config.settings import Config
from codex_rpc.protocol.errors import CodexError
from codex_rpc.protocol.events import (
    ApprovalRequest,
    Duration,
    EventMsg,
    ExecCommandBegin,
    ExecCommandEnd,
)
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.params import SandboxMeans
from codex_rpc.protocol.policy import Decision
from codex_rpc.protocol.tools import ToolHost, ToolOutcome, TurnContext
from codex_rpc.sandbox.means import sandbox_means

if TYPE_CHECKING:
    from codex_rpc.tools.shell import Shell

Handler = Callable[[Item, ToolHost], Awaitable[ToolOutcome]]

LOCAL_SHELL_MODELS = frozenset({"codex-mini-latest"})
"""Models that know a shell tool of their own and need no definition of ours."""

SHELL_SPEC: dict[str, Any] = {
    "type": "function",
    "name": "shell",
    "description": (
        "Run a program on the user's machine and get what it printed. The program is started "
        "directly, not by a shell, with an empty stdin; for pipes, redirections and the like "
        'start one: ["bash", "-lc", "..."]. Processes that are still in the background when '
        "the program ends are stopped. Depending on the user's settings the user is asked "
        "first, and may decline."
    ),
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {
            "command": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The program and its arguments.",
            },
            "workdir": {
                "type": "string",
                "description": "Where to run it; relative to, and by default, the session's "
                "working directory.",
            },
            "timeout": {
                "type": "number",
                "description": "After how many milliseconds it is stopped; 10000 by default.",
            },
            "with_escalated_permissions": {
                "type": "boolean",
                "description": "Ask the user to let it run outside the sandbox. Only for what "
                "cannot work inside.",
            },
            "justification": {
                "type": "string",
                "description": "One sentence for the user: why it should be allowed.",
            },
        },
        "required": ["command"],
        "additionalProperties": False,
    },
}


class ToolBox:
    """The tools of one session."""

    def __init__(self, config: Config, *, environ: Mapping[str, str]) -> None:
        """`environ` is the server's environment, of which commands get what `config` says."""
        self._config = config
        self._environ = environ
        self._handlers: dict[tuple[str, str], Callable[[], Handler]] = {
            ("function_call", "shell"): lambda: self._shell.call_function,
            ("function_call", "container.exec"): lambda: self._shell.call_function,
            ("local_shell_call", ""): lambda: self._shell.call_local,
        }

    @cached_property
    def _shell(self) -> Shell:
        # Imported when it is needed: an editor waits for the start, not for this.
        from codex_rpc.tools.shell import Shell

        return Shell(self._config, environ=self._environ)

    async def prepare(self) -> None:
        """Load what the first call would have to wait for. Idempotent."""
        await to_thread.run_sync(lambda: self._shell)

    @property
    def sandbox_means(self) -> SandboxMeans:
        """What confines commands on this machine."""
        return sandbox_means()

    def specs(self, context: TurnContext) -> Sequence[dict[str, Any]]:
        """Tool definitions in the Responses API's form, in stable order."""
        if context.model in LOCAL_SHELL_MODELS:
            return [{"type": "local_shell"}]
        return [SHELL_SPEC]

    async def call(self, call: Item, host: ToolHost) -> ToolOutcome:
        """Run one call to its end.

        What the model did wrong, and also what we did wrong, is an outcome. When cancelled, it
        returns only after everything it started is dead, and has left the outcome of what it
        had begun with `host.abandon`.
        """
        value = call.value()
        name = value.get("name")
        name = name if isinstance(name, str) else ""
        handler = self._handlers.get((call.kind, name))
        if handler is None:
            return ToolOutcome(f"unsupported call: {name or call.kind}")
        watched = _WatchedHost(host)
        try:
            return await handler()(call, watched)
        except CodexError as exc:
            return ToolOutcome(exc.message, watched.ends())
        except Exception as exc:
            # A bug of ours must not end the turn. The text is for the model and, through it,
            # for the user; it does not hold what the exception holds.
            return ToolOutcome(
                f"the tool failed because of an error in codex-rpc itself ({type(exc).__name__}); "
                "it is not known how much of the call was done",
                watched.ends(),
            )

    async def read_image(self, path: Path) -> str:
        """A local image as a `data:` URL.

        Raises:
            ToolError: it cannot be read, is no image, or is too large.
        """
        from codex_rpc.tools.image import image_url

        return await image_url(path)

    async def aclose(self) -> None:
        """Stop what the tools keep running: nothing outlives its call. Idempotent."""


class _WatchedHost:
    """A host that remembers what has begun, so that even after a bug it can be ended."""

    def __init__(self, host: ToolHost) -> None:
        self._host = host
        self._begun: ExecCommandBegin | None = None

    @property
    def context(self) -> TurnContext:
        return self._host.context

    async def announce(self, msg: EventMsg) -> None:
        await self._host.announce(msg)
        if isinstance(msg, ExecCommandBegin):
            self._begun = msg

    async def ask(self, request: ApprovalRequest, *, scope: Hashable | None = None) -> Decision:
        return await self._host.ask(request, scope=scope)

    def abandon(self, outcome: ToolOutcome) -> None:
        self._host.abandon(outcome)

    def ends(self) -> tuple[EventMsg, ...]:
        """The end of what has begun."""
        if self._begun is None:
            return ()
        reason = "error in codex-rpc itself"
        return (ExecCommandEnd(self._begun.call_id, "", reason, -1, Duration(0, 0)),)

"""Slash commands: which there are, and what becomes of a prompt that is one.

Owns the built-in ones and what they say. Some are answered at once, without the model; the others
become an operation of the session. A prompt with an unknown name is an ordinary prompt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import anyio.to_thread

from codex_rpc.acp import prompts
from codex_rpc.acp.custom_prompts import CustomPrompt, read_custom_prompts
from codex_rpc.acp.settings import SessionSettings
from codex_rpc.core.session import Session
from codex_rpc.protocol.errors import ToolError
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ops import Compact, InputItem, TextInput, UserInput

Usage = Callable[[], tuple[int, int | None] | None]
"""Tokens that the last request held, and how many fit; None: nothing was asked yet."""

PREFIX = "prompts:"
"""In front of the name of a custom prompt: always possible, needed only beside a built-in one."""


@frozen
class Told:
    """An answer that needs no turn."""

    text: str


Resolved = UserInput | Compact | Told


@frozen
class _Builtin:
    description: str
    hint: str | None = None


BUILTIN = {
    "compact": _Builtin("Summarise the conversation so far, and go on from the summary"),
    "status": _Builtin("Show the session's model, mode, folder and use of tokens"),
    "diff": _Builtin("Show what is not committed, files unknown to git included"),
    "review": _Builtin(
        "Review the changes that are not committed", "what to review, if it is something else"
    ),
    "init": _Builtin("Write an AGENTS.md for this project"),
}

_COMMAND = re.compile(r"\s*/(\S+)(?:\s+(.*))?\Z", re.DOTALL)


class SessionCommands:
    """Those of one session."""

    def __init__(self, session: Session, settings: SessionSettings, usage: Usage) -> None:
        self._session = session
        self._settings = settings
        self._usage = usage

    async def available(self) -> list[dict[str, Any]]:
        """All of them, as `AvailableCommand`s: ours first, then the user's own."""
        commands = [_described(n, c.description, c.hint) for n, c in BUILTIN.items()]
        for name, prompt in (await self._custom()).items():
            shown = f"{PREFIX}{name}" if name in BUILTIN else name
            commands.append(_described(shown, prompt.description, prompt.hint))
        return commands

    async def resolve(self, items: Sequence[InputItem]) -> Resolved | None:
        """What to do instead, if the prompt is a command; None: it is none."""
        first = items[0] if items else None
        match = _COMMAND.match(first.text) if isinstance(first, TextInput) else None
        if match is None:
            return None
        name, arguments = match[1], (match[2] or "").strip()
        rest = items[1:]
        match name:
            case "compact":
                return Compact()
            case "status":
                return Told(await self._status())
            case "diff":
                return Told(await self._diff())
            case "review":
                target = arguments or "the changes in this folder that are not committed yet"
                return _asked(prompts.review(target), rest)
            case "init":
                return await self._init(rest)
        prompt = (await self._custom()).get(name.removeprefix(PREFIX))
        return None if prompt is None else _asked(prompt.filled(arguments), rest)

    async def _custom(self) -> dict[str, CustomPrompt]:
        folder = self._session.config.codex_home / "prompts"
        return await anyio.to_thread.run_sync(read_custom_prompts, folder)

    async def _init(self, rest: Sequence[InputItem]) -> Resolved:
        if await anyio.Path(self._session.cwd / "AGENTS.md").exists():
            return Told("There is an AGENTS.md in this folder already, which is left as it is.")
        return _asked(prompts.init(), rest)

    async def _diff(self) -> str:
        try:
            diff = await self._session.working_diff()
        except ToolError as exc:
            return f"There is nothing to compare: {exc.message}"
        if not diff:
            return "Everything is committed."
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", diff)), default=0))
        return f"{fence}diff\n{diff.rstrip()}\n{fence}"

    async def _status(self) -> str:
        session, chosen = self._session, self._settings.chosen
        env, sandbox = session.env, chosen.sandbox_policy
        held = await env.tools.sandbox_means(sandbox)
        network = "with" if sandbox.has_network else "without"
        roots = "".join(f", also writable: `{root}`" for root in sandbox.writable_roots)
        title = f" ({env.title})" if env.title else ""
        lines = [
            f"Session: `{session.id}`{title}",
            f"Model: `{chosen.model}`, served by {env.model_provider}",
            f"Reasoning effort: {chosen.effort or 'none'}",
            f"Folder: `{chosen.cwd}`",
            f"Mode: {self._settings.mode_name}",
            f"Approvals: {chosen.approval_policy}",
            f"Sandbox: {sandbox.mode}, {network} network, held by {held}{roots}",
            f"Tokens: {self._tokens()}",
            f"Saved in: `{session.configured.rollout_path}`",
        ]
        return "\n".join(f"- {line}" for line in lines)

    def _tokens(self) -> str:
        usage = self._usage()
        if usage is None:
            return "none yet"
        used, window = usage
        if not window:
            return f"{used:,}"
        return f"{used:,} of {window:,} ({used / window:.0%})"


def _asked(text: str, rest: Sequence[InputItem]) -> UserInput:
    return UserInput([TextInput(text), *rest])


def _described(name: str, description: str, hint: str | None) -> dict[str, Any]:
    command: dict[str, Any] = {"name": name, "description": description}
    if hint is not None:
        command["input"] = {"hint": hint}
    return command

"""Documents that the editor has not saved when a command is to run.

Owns whether they are saved first, and what the model is told of those that are not: a command
sees only what is on disk.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

from codex_rpc.protocol.tools import TurnContext
from codex_rpc.protocol.workspace import Workspace
from codex_rpc.sandbox.roots import is_inside

MAX_NAMED = 10

SAVE_S = 30.0
"""How long the editor may take to save if nobody is asked."""


class UnsavedFiles:
    """What is not saved in the folders of a session."""

    def __init__(
        self,
        workspace: Workspace,
        save_before_run: Literal["ask", "always", "never"],
        *,
        save_s: float = SAVE_S,
    ) -> None:
        """`save_s` is how long the editor may take if nobody is asked."""
        self._workspace = workspace
        self._save = save_before_run
        self._save_s = save_s

    async def find(self, context: TurnContext) -> Sequence[Path]:
        """What is not saved."""
        if not self._workspace.has_documents:
            return ()
        return await anyio.to_thread.run_sync(self._look, context)

    def may_save(self, unsaved: Sequence[Path]) -> bool:
        """Whether the editor is to be asked to save."""
        return bool(unsaved) and self._save != "never" and self._workspace.can_save

    async def save(self, unsaved: Sequence[Path]) -> None:
        """Have the editor save, and wait: for its user as long as that takes.

        Cancelled while it waits, nothing has been started.
        """
        ask = self._save == "ask"
        with anyio.move_on_after(math.inf if ask else self._save_s):
            await self._workspace.save(unsaved, ask=ask)

    def _look(self, context: TurnContext) -> Sequence[Path]:
        unsaved = self._workspace.unsaved()
        if not unsaved:
            return ()
        folders = (str(context.cwd), *context.sandbox_policy.writable_roots)
        roots = [os.path.realpath(folder) for folder in folders]
        return [path for path in unsaved if is_inside(os.path.realpath(path), roots)]


def unsaved_note(unsaved: Sequence[Path], cwd: Path) -> str:
    """What the model is told when a command runs although something is `unsaved`."""
    names = [_name(path, cwd) for path in unsaved[:MAX_NAMED]]
    more = len(unsaved) - len(names)
    if more:
        names.append(f"and {more} more")
    return f"unsaved in the editor, so the command saw the older text on disk: {', '.join(names)}"


def _name(path: Path, cwd: Path) -> str:
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)

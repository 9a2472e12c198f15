"""Documents that the editor has not saved when a command is to run.

Owns whether they are saved first, and what the model is told of those that are not: a command
sees only what is on disk.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import anyio.to_thread

from codex_rpc.protocol.tools import TurnContext
from codex_rpc.protocol.workspace import NoEditor, Workspace
from codex_rpc.sandbox.roots import is_inside

MAX_NAMED = 10


class UnsavedFiles:
    """What is not saved in the folders of a session."""

    def __init__(
        self, workspace: Workspace, save_before_run: Literal["ask", "always", "never"]
    ) -> None:
        self._workspace = workspace
        self._save = save_before_run

    async def after_saving(self, context: TurnContext) -> str | None:
        """Have the editor save what it may, and wait; what to tell the model about the rest.

        Cancelled while it waits, nothing has been started.
        """
        if isinstance(self._workspace, NoEditor):
            return None
        unsaved = await self._find(context)
        if unsaved and self._save != "never" and self._workspace.can_save:
            await self._workspace.save(unsaved, ask=self._save == "ask")
            unsaved = await self._find(context)
        if not unsaved:
            return None
        names = [_name(path, context.cwd) for path in unsaved[:MAX_NAMED]]
        more = len(unsaved) - len(names)
        if more:
            names.append(f"and {more} more")
        return "unsaved in the editor, so the command saw the older text on disk: " + ", ".join(
            names
        )

    async def _find(self, context: TurnContext) -> Sequence[Path]:
        return await anyio.to_thread.run_sync(self._look, context)

    def _look(self, context: TurnContext) -> Sequence[Path]:
        unsaved = self._workspace.unsaved()
        if not unsaved:
            return ()
        folders = (str(context.cwd), *context.sandbox_policy.writable_roots)
        roots = [os.path.realpath(folder) for folder in folders]
        return [path for path in unsaved if is_inside(os.path.realpath(path), roots)]


def _name(path: Path, cwd: Path) -> str:
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)

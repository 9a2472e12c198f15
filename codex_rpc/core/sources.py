"""What a session is made of, before there is one: its configuration, its history, its parts.

Owns what a saved session contributes to each. It opens no file and starts nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio.to_thread
from attrs import evolve

from codex_rpc.config.settings import Config
from codex_rpc.core.history import History
from codex_rpc.core.opening import Parts, moved_warning, saved_directory
from codex_rpc.core.reconfiguration import with_saved_model, with_stricter_policies
from codex_rpc.core.services import Services
from codex_rpc.protocol.items import INTERRUPTED_OUTPUT, Item, call_output
from codex_rpc.protocol.params import SessionOverrides
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.records import SavedSession
from codex_rpc.protocol.workspace import Workspace


def _may_write(config: Config) -> bool:
    return config.sandbox_policy.mode == "workspace-write"


def _is_in(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def history_of(saved: SavedSession) -> History:
    """The history that a saved session goes on with."""
    return History(
        saved.items,
        previous_response_id=saved.previous_response_id,
        seen_item_count=saved.seen_item_count,
        items_before=saved.items_before,
        call_id_suffix=saved.call_id_suffix,
    )


def answer_open_calls(history: History) -> list[Item]:
    """Answer the calls that never got an output; the answers."""
    answers = [call_output(call, INTERRUPTED_OUTPUT) for call in history.open_calls()]
    for answer in answers:
        history.add(answer)
    return answers


class Sources:
    """Makes the parts, from what the composition root has plugged in."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def config(self, cwd: Path, overrides: SessionOverrides) -> Config:
        """The configuration in `cwd`; raises ConfigError."""
        return await anyio.to_thread.run_sync(
            lambda: self._services.configure(cwd=cwd, overrides=overrides)
        )

    async def of_saved(
        self, saved: SavedSession, cwd: Path | None, overrides: SessionOverrides
    ) -> tuple[Config, SessionOverrides, list[str]]:
        """What a saved session goes on under: its configuration, what was said for it, and what
        the user should know.

        Raises:
            InvalidParams: nobody says where it is to run, or that folder is gone.
            ConfigError: it cannot be configured.
        """
        is_cwd_saved = cwd is None
        cwd = cwd or saved_directory(saved)
        base = await self.config(cwd, overrides)
        told, warnings = with_saved_model(overrides, saved.context, base.providers)
        config = await self.config(cwd, told)
        config, loosened = with_stricter_policies(config, overrides, saved.context)
        warnings += loosened
        # The folder that may be written is not for a file from anywhere to choose.
        is_said = not is_cwd_saved or overrides.sandbox_policy is not None
        if not is_said and _may_write(config) and not _is_in(saved.path, config.codex_home):
            config = evolve(config, sandbox_policy=SandboxPolicy("read-only"))
            warnings.append(
                f"the file is not in {config.codex_home}, so the folder that it names, {cwd}, "
                "is not made writable; give cwd or sandboxPolicy to have it so"
            )
        if (moved := moved_warning(saved, cwd)) is not None:
            warnings.append(moved)
        warnings += [f"line {d.line_no} was left out: {d.reason}" for d in saved.damage]
        return config, told, warnings

    async def parts(self, config: Config, workspace: Workspace) -> Parts:
        """What depends on the configuration alone.

        Raises:
            ConfigError: there are no credentials.
        """
        backends = self._services.backends
        model, tools = backends.model(config), backends.tools(config, workspace)
        return Parts(
            model=model,
            tools=tools,
            workspace=workspace,
            sandbox_means=await tools.sandbox_means(config.sandbox_policy),
            message_history_counts=await backends.message_history(config).stat(),
        )

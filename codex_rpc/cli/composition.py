"""The composition root: plugs the rooms into core, and reads the environment for them.

Nothing here decides anything about sessions; each function makes one part from what the
process was started with.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from codex_rpc import __version__
from codex_rpc.config.builtin_providers import BUILTIN_PROVIDERS
from codex_rpc.config.cli_overrides import Override, parse_override
from codex_rpc.config.loader import load_config, resolve_codex_home
from codex_rpc.config.settings import Config
from codex_rpc.core.ports import MessageHistory, ModelClient, Notifier, ToolBox
from codex_rpc.core.services import Services
from codex_rpc.model.registry import make_model
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.params import SessionOverrides
from codex_rpc.protocol.workspace import Workspace
from codex_rpc.rollout.message_history import MessageHistory as MessageHistoryFile
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.tools.box import ToolBox as RealToolBox


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment in UTC."""
        return datetime.now(UTC)


@frozen
class Configurator:
    """Loads the configuration that this process was started with."""

    codex_home: Path
    environ: Mapping[str, str]
    cli_overrides: Sequence[Override]

    def __call__(self, *, cwd: Path, overrides: SessionOverrides) -> Config:
        """The configuration of one session; raises ConfigError."""
        return load_config(
            codex_home=self.codex_home,
            environ=self.environ,
            cwd=cwd,
            cli_overrides=self.cli_overrides,
            overrides=overrides,
        )

    def providers(self) -> list[str]:
        """The configured providers' names; the built-in ones if nothing can be loaded."""
        try:
            return sorted(self(cwd=Path("/"), overrides=SessionOverrides()).providers)
        except ConfigError:
            return sorted(BUILTIN_PROVIDERS)


@frozen
class Backends:
    """What depends on a session's configuration."""

    codex_home: Path
    environ: Mapping[str, str]

    def model(self, config: Config) -> ModelClient:
        """The configured provider's client; raises ConfigError without credentials."""
        return make_model(config)

    def tools(self, config: Config, workspace: Workspace) -> ToolBox:
        """What the model may call; open documents are seen and changed through `workspace`."""
        return RealToolBox(config, environ=self.environ, workspace=workspace)

    def message_history(self, config: Config) -> MessageHistory:
        """The history of what the user typed."""
        return MessageHistoryFile(
            self.codex_home,
            persistence=config.history.persistence,
            max_bytes=config.history.max_bytes,
        )

    def notifier(self, config: Config) -> Notifier:
        """What starts the user's notify program."""
        from codex_rpc.tools.notify import Notifier as NotifyProgram

        return NotifyProgram(environ=self.environ, policy=config.shell_environment)


def _has_trash(environ: Mapping[str, str]) -> bool:
    """Whether what is deleted can be had back: on Linux, if a desktop has made a trash."""
    if sys.platform != "linux":
        return True
    home = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME") or "/") / ".local/share")
    return (Path(home) / "Trash").is_dir()


def compose(overrides: Sequence[str]) -> Services:
    """Everything that core needs, for the `-c key=value` texts in `overrides`.

    Raises:
        ConfigError: CODEX_HOME or an override cannot be used.
    """
    environ = dict(os.environ)
    codex_home = resolve_codex_home(environ)
    configurator = Configurator(codex_home, environ, [parse_override(text) for text in overrides])
    return Services(
        store=RolloutStore(codex_home, version=__version__, has_trash=_has_trash(environ)),
        configure=configurator,
        backends=Backends(codex_home, environ),
        clock=SystemClock(),
        new_session_id=lambda: SessionId(str(uuid.uuid4())),
        version=__version__,
        providers=configurator.providers,
    )

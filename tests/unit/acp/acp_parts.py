"""What the tests of ACP's parts share: a client that answers, and a world that is configured."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from attrs import define, field
from support.fakes import World

from codex_rpc.config.loader import load_config
from codex_rpc.config.settings import Config
from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol.params import ConfigureParams

Answer = Callable[[str, Any], Awaitable[Any]]


@define
class Client:
    """Keeps what it is asked, and answers as the test says."""

    answer: Answer
    asked: list[tuple[str, Any]] = field(factory=list)
    given_up: list[str] = field(factory=list)
    """Methods whose answer was not waited for."""

    async def request(self, method: str, params: Any) -> Any:
        self.asked.append((method, params))
        try:
            return await self.answer(method, params)
        except anyio.get_cancelled_exc_class():
            self.given_up.append(method)
            raise


class ConfiguredWorld(World):
    """A world whose sessions are configured by a config.toml in `home`."""

    home: Path

    def configure(self, *, cwd: Path, overrides: Any) -> Config:
        environ = {"HOME": str(self.home), "OPENAI_API_KEY": "k"}
        return load_config(
            codex_home=self.home, environ=environ, cwd=cwd, cli_overrides=[], overrides=overrides
        )


def configured_world(home: Path, config: str = "") -> ConfiguredWorld:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(config)
    world = ConfiguredWorld()
    world.home = home
    return world


@asynccontextmanager
async def opened(world: World, cwd: Path) -> AsyncIterator[tuple[SessionManager, Session]]:
    """A session in `cwd`, closed behind the block."""
    async with world.manager() as manager:
        session = (await manager.configure(ConfigureParams(cwd=str(cwd)))).session
        yield manager, session
        with anyio.fail_after(5):
            await manager.close_all()

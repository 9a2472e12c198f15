"""A world of fakes, a manager of its sessions, and one session that was just configured."""

from __future__ import annotations

import anyio
import pytest
from support.driving import next_of
from support.fakes import World

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol.params import ConfigureParams


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def manager(world: World):
    async with world.manager() as manager:
        yield manager
        with anyio.fail_after(5):
            await manager.close_all()


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    await next_of(session, ev.SessionConfigured)
    return session

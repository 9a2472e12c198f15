"""What a session leaves behind when it has been closed: nothing but that it was there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from support.driving import next_of, says, until_closing
from support.fakes import World, call, calling
from support.leftovers import kinds, leftovers

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol.errors import ModelRejected
from codex_rpc.protocol.ops import Compact, Interrupt, Op
from codex_rpc.protocol.params import ConfigureParams

Turns = Callable[[World, Session], Awaitable[None]]


async def _turn(session: Session, op: Op) -> None:
    await session.submit(op)
    await until_closing(session)


async def _completed(world: World, session: Session) -> None:
    world.model.responses = [calling(call("call_1"))]
    await _turn(session, says("run something"))
    await _turn(session, Compact())


async def _interrupted(world: World, session: Session) -> None:
    world.model.responses = [[anyio.sleep_forever]]
    await session.submit(says("go"))
    await anyio.wait_all_tasks_blocked()
    await _turn(session, Interrupt())


async def _failed(world: World, session: Session) -> None:
    async def refuse() -> None:
        raise ModelRejected("no", status=400)

    world.model.responses = [[refuse], [refuse]]
    await _turn(session, says("go"))
    await _turn(session, says("go"))
    world.model.responses = [[refuse]]
    await _turn(session, Compact())


async def _unsaved_for_a_while(world: World, session: Session) -> None:
    log = world.store.logs[session.id]
    session.env.recorder.first_retry_s = 0.01
    log.failing = True
    await session.submit(says("go"))
    await next_of(session, ev.StorageFailed)
    log.failing = False
    await until_closing(session)


async def _life(world: World, manager: SessionManager, turns: Turns) -> None:
    """A session from its opening to its end."""
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    await turns(world, session)
    await manager.close(session.id)
    while not session.events.ended:
        session.events.take(100)
    # Its tasks let go of it a moment later.
    await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize("turns", [_completed, _interrupted, _failed, _unsaved_for_a_while])
async def test_a_closed_session_leaves_nothing(world: World, turns: Turns) -> None:
    async with world.manager() as manager:
        await _life(world, manager, turns)
        with leftovers() as found:
            await _life(world, manager, turns)
    assert kinds(found, "codex_rpc") == set()

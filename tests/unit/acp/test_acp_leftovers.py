"""What is left of a session that a client of the Agent Client Protocol has closed: nothing."""

from __future__ import annotations

from pathlib import Path

import anyio
from acp_parts import configured_world, opened
from support.leftovers import kinds, leftovers

from codex_rpc.acp.calls import looks_of
from codex_rpc.acp.live import LiveSession, LiveSessions


async def _life(home: Path) -> None:
    async with opened(configured_world(home), home) as (_, session):
        sessions = LiveSessions()
        live = LiveSession(session.id, session, looks_of({}), sessions.order(session.id))
        sessions.add(live)
        await live.commands.available()
        sessions.remove(live)
    await anyio.wait_all_tasks_blocked()


async def test_a_closed_session_leaves_nothing(tmp_path: Path) -> None:
    await _life(tmp_path)
    with leftovers() as found:
        await _life(tmp_path)
    assert not [kind for kind in kinds(found, "codex_rpc") if kind.startswith("codex_rpc.acp.")]

"""Going on with saved sessions in the terminal: `sessions resume` and `sessions fork`.

The turn itself is `exec`'s; here a session is found, and forked before if that is wanted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import anyio

from codex_rpc.cli import exec as exec_command
from codex_rpc.cli.composition import compose
from codex_rpc.cli.main import OSS
from codex_rpc.cli.process import keep_memory_private
from codex_rpc.cli.session_ids import session_id_of, short_ids
from codex_rpc.core.manager import SessionManager
from codex_rpc.core.services import Services
from codex_rpc.protocol.errors import CodexError
from codex_rpc.protocol.params import ForkParams

DONE, USAGE = 0, 2


def resume(said: argparse.Namespace) -> int:
    """Have a turn in a saved session; the exit code is that of `exec`."""
    services = compose(said.overrides)
    turn = _turn(said, "resume")
    session_id = anyio.run(session_id_of, services.store, said.id)
    if turn.prompt is None and _is_terminal():
        _hint("what is to be done next? As in", "resume", said.id)
        return USAGE
    turn.resume = session_id
    return exec_command.run(turn)


def fork(said: argparse.Namespace) -> int:
    """A new session with the items of another one, and a turn in it if there is a prompt."""
    turn = _turn(said, "fork")
    # The configuration that a fork begins with holds keys.
    keep_memory_private()
    services = compose(turn.overrides)
    cwd = None if turn.cd is None else str(Path.cwd() / turn.cd)
    forked, short = anyio.run(_fork, services, said.id, turn.up_to, cwd)
    if turn.prompt is None:
        print(forked)
        _hint("go on with", "resume", short)
        return DONE
    turn.resume = forked
    return exec_command.run(turn)


async def _fork(
    services: Services, said: str, up_to: int | None, cwd: str | None
) -> tuple[str, str]:
    """The new session's id, and how it can be called; raises CodexError."""
    session_id = await session_id_of(services.store, said)
    problem: CodexError | None = None
    async with SessionManager(services) as manager:
        try:
            opened = await manager.fork(ForkParams(session_id=session_id, up_to=up_to, cwd=cwd))
            await manager.close(opened.session.id)
        except CodexError as exc:
            # It would come out of the manager in a group of its own.
            problem = exc
    if problem is not None:
        raise problem
    forked = opened.session.id
    return forked, (await short_ids(services.store)).short(forked)


def _turn(said: argparse.Namespace, action: str) -> argparse.Namespace:
    """What was said behind the id: a prompt, and the options of `exec`."""
    parser = argparse.ArgumentParser(prog=f"codex-rpc sessions {action} ID", allow_abbrev=False)
    parser.add_argument("-c", "--config", dest="overrides", action="append", default=[])
    parser.add_argument("--oss", action="store_true")
    if action == "fork":
        parser.add_argument("--up-to", type=int, metavar="INDEX")
    exec_command.add_arguments(parser)
    turn = parser.parse_args(said.rest)
    turn.overrides = [*([OSS] if turn.oss else ()), *said.overrides, *turn.overrides]
    turn.log_file = said.log_file
    return turn


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _hint(what: str, action: str, session: str) -> None:
    print(f'{what}: codex-rpc sessions {action} {session} "..."', file=sys.stderr)

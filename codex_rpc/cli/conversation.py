"""One session in this process, opened for one turn: from the user's input to its closing.

Owns the order of things, and what signals do to them. Does not know how events are shown or
questions asked: both are handed in.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn, Protocol

import anyio
from anyio.abc import TaskGroup, TaskStatus

from codex_rpc.core.events import EventsEnded
from codex_rpc.core.manager import SessionManager
from codex_rpc.core.opening import Opened
from codex_rpc.core.session import Session
from codex_rpc.protocol.errors import CodexError, InvalidState, SessionClosed
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    Event,
    TaskComplete,
    TurnClosing,
)
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ops import ExecApproval, Interrupt, PatchApproval, UserInput
from codex_rpc.protocol.params import ConfigureParams, ConfigureResult, ResumeParams
from codex_rpc.protocol.policy import Decision
from codex_rpc.rpc.stdio import PeerGone
from codex_rpc.sandbox.tree import ProcessTree

logger = logging.getLogger(__name__)

EXIT_NOT_COMPLETED = 1

STALL_S = 1.5
"""At the end, how long whoever reads us may take nothing before what is left is dropped."""

Ask = Callable[[ApprovalRequest], Awaitable[Decision]]


class View(Protocol):
    """Where the events go."""

    async def opened(self, result: ConfigureResult, turn_id: str) -> None:
        """Before any event: the session, and the turn that it was opened for."""
        ...

    async def show(self, event: Event) -> None:
        """Raises PeerGone: nobody can see it."""
        ...

    async def asked(self, call_id: str) -> None:
        """The user is about to be asked about that call."""
        ...

    async def say(self, text: str) -> None:
        """A remark on what we do. Raises PeerGone: nobody can see it."""
        ...


@frozen
class Wish:
    """What the user wants."""

    opening: ConfigureParams | ResumeParams
    input: UserInput


async def converse(manager: SessionManager, wish: Wish, view: View, ask: Ask) -> int:
    """Have the turn; the process's exit code. The session is closed when this returns."""
    conversation = _Conversation(manager, wish, view, ask)
    async with anyio.create_task_group() as tasks:
        await tasks.start(conversation.watch_signals, tasks)
        code = await conversation.run()
        tasks.cancel_scope.cancel()
    return code


class _Conversation:
    def __init__(self, manager: SessionManager, wish: Wish, view: View, ask: Ask) -> None:
        self._manager = manager
        self._wish = wish
        self._view = view
        self._ask = ask
        self._session: Session | None = None
        self._turn_id = ""
        self._closing: TurnClosing | None = None
        self._signal = 0
        """The last one that came."""
        self._unread = False
        """Nobody reads what the view shows."""
        self._opening = anyio.CancelScope()
        self._over = anyio.Event()
        """The turn is, or is to be: the session can be closed."""
        self._showing = anyio.Lock()
        self._asking = anyio.Lock()
        self._question = anyio.CancelScope()
        """The one that the user is looking at."""
        self._withdrawn = False
        """No answer counts any more."""

    async def run(self) -> int:
        """From the opening of the session to its end; the exit code."""
        with self._opening:
            try:
                opened = await self._open()
            except CodexError as exc:
                _complain(exc.message)
                return EXIT_NOT_COMPLETED
        if self._opening.cancel_called:
            # The signal may have come too late to keep the session from being opened.
            return self._exit_code(await self._manager.close_all())
        self._session = opened.session
        self._turn_id = await opened.session.submit(self._wish.input)
        async with anyio.create_task_group() as tasks:
            shown = await tasks.start(self._show_all, opened, tasks)
            await self._over.wait()
            self._withdraw_questions()
            unsaved = await self._manager.close_all()
            with anyio.move_on_after(STALL_S):
                await shown.wait()
            tasks.cancel_scope.cancel()
        return self._exit_code(unsaved)

    async def _open(self) -> Opened:
        if isinstance(self._wish.opening, ResumeParams):
            return await self._manager.resume(self._wish.opening)
        return await self._manager.configure(self._wish.opening)

    # Events.

    async def _show_all(
        self, opened: Opened, tasks: TaskGroup, *, task_status: TaskStatus[anyio.Event]
    ) -> None:
        """Show events until there are no more, or nobody to see them."""
        done = anyio.Event()
        task_status.started(done)
        events = opened.session.events
        try:
            async with self._showing:
                await self._view.opened(opened.result, self._turn_id)
            while True:
                await self._show(await events.next(), tasks)
        except EventsEnded:
            done.set()
        except PeerGone:
            self._unread = True
            done.set()
        finally:
            self._over.set()

    async def _show(self, event: Event, tasks: TaskGroup) -> None:
        async with self._showing:
            await self._view.show(event)
            if isinstance(event.msg, ApprovalRequest):
                await self._view.asked(event.msg.call_id)
                tasks.start_soon(self._answer, event.msg)
        if isinstance(event.msg, TurnClosing) and event.id == self._turn_id:
            self._closing = event.msg
            self._over.set()

    async def _answer(self, request: ApprovalRequest) -> None:
        async with self._asking:
            if self._withdrawn:
                return
            with anyio.CancelScope() as self._question:
                decision = await self._ask(request)
            if self._question.cancelled_caught:
                return
        is_patch = isinstance(request, ApplyPatchApprovalRequest)
        answer = PatchApproval if is_patch else ExecApproval
        await self._submit(answer(request.call_id, decision))

    def _withdraw_questions(self) -> None:
        self._withdrawn = True
        self._question.cancel()

    async def _submit(self, op: ExecApproval | PatchApproval | Interrupt) -> None:
        assert self._session is not None
        try:
            await self._session.submit(op)
        except (InvalidState, SessionClosed) as exc:
            # The turn has ended meanwhile, and with it what this was about.
            logger.info("%s came too late: %s", op.type, exc)

    # Signals.

    async def watch_signals(self, tasks: TaskGroup, *, task_status: TaskStatus[None]) -> None:
        """Interrupt the turn on Ctrl-C, close the session when told to end; twice: at once."""
        if sys.platform == "win32":
            # The event loop knows no signals there; Ctrl-C cancels everything.
            task_status.started()
            return
        # What was ignored when we were started (nohup, a background job) stays ignored.
        wanted = [
            number
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        with anyio.open_signal_receiver(*wanted) as received:
            task_status.started()
            async for number in received:
                if self._signal in (number, signal.SIGTERM, signal.SIGHUP):
                    leave_at_once(128 + number)
                self._signal = number
                await self._stop(number, tasks)

    async def _stop(self, number: int, tasks: TaskGroup) -> None:
        if self._session is None:
            self._opening.cancel()
        elif number == signal.SIGINT:
            self._withdraw_questions()
            await self._submit(Interrupt())
            # Not here: a terminal that takes nothing must not keep the next signal waiting.
            tasks.start_soon(self._say, "interrupting; Ctrl-C again leaves at once")
        else:
            self._over.set()

    async def _say(self, text: str) -> None:
        async with self._showing:
            try:
                await self._view.say(text)
            except PeerGone:
                self._unread = True
                self._over.set()

    def _exit_code(self, unsaved: int) -> int:
        if self._unread:
            _complain("nobody reads the output any more, so the turn was stopped")
        if unsaved:
            _complain(f"{unsaved} records could not be saved")
        elif isinstance(self._closing, TaskComplete):
            return 0
        elif self._signal:
            return 128 + self._signal
        return EXIT_NOT_COMPLETED


def leave_at_once(code: int) -> NoReturn:
    """End this process without any more waiting, and the commands that it runs.

    What was announced is in the session file already.
    """
    for pid in _children():
        ProcessTree(pid).kill()
    os._exit(code)


def _children() -> list[int]:
    """The processes that we have started, where the system says so."""
    pids: list[int] = []
    try:
        for file in Path("/proc/self/task").glob("*/children"):
            pids += map(int, file.read_text().split())
    except OSError as exc:
        logger.info("cannot look for the processes of commands: %s", exc)
    return pids


def _complain(message: str) -> None:
    print(f"codex-rpc: {message}", file=sys.stderr)

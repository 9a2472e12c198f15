"""Questions to the user, put to the client: `session/request_permission`.

Owns which answers are offered, what each covers, and what an answer comes to. Only a clear yes
lets anything happen: an error, an answer that makes no sense and an option that was not offered
are a no, after which the turn goes on. What a tool call looks like is for others to say.
"""

from __future__ import annotations

import logging
import shlex
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from attrs import define, field

from codex_rpc.core.session import Session
from codex_rpc.protocol.errors import CodexError
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    Error,
    Event,
    ExecApprovalRequest,
    McpToolCallApprovalRequest,
    TaskComplete,
    TurnAborted,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.ops import ExecApproval, PatchApproval
from codex_rpc.protocol.policy import Decision
from codex_rpc.rpc.messages import Unencodable
from codex_rpc.rpc.outgoing import PeerRefused
from codex_rpc.rpc.stdio import PeerGone

logger = logging.getLogger(__name__)

METHOD = "session/request_permission"

MAX_SHOWN_COMMAND = 80
"""Characters of a command in the name of an option."""

Request = Callable[[str, Any], Awaitable[Any]]
"""Asks the client; as `Outgoing.request`."""

Described = Callable[[str, ApprovalRequest], Mapping[str, Any]]
"""What the call that is asked about looks like, in a session: members of a `ToolCallUpdate`."""

DECISIONS: dict[str, Decision] = {
    "allow_once": "approved",
    "allow_always": "approved_for_session",
    "reject_once": "denied",
}
"""By the option's id, which is also its kind. Nothing is remembered of a no, so none is offered
that would say so."""


def call_id_of(request: ApprovalRequest) -> str:
    """The call that is asked about; a second question about one has another id."""
    return request.call_id.partition("#")[0]


def options_of(request: ApprovalRequest) -> list[dict[str, Any]]:
    """What the user may answer, the most usual first: one option of each kind."""
    scope = _scope(request)
    options = [_option("allow_once", "Allow once")]
    if scope is not None:
        options.append(_option("allow_always", f"Allow in this session: {scope}"))
    options.append(_option("reject_once", "Reject, and go on without it"))
    return options


def decision_of(answer: Any, options: list[dict[str, Any]]) -> Decision:
    """What the client's answer to `options` comes to."""
    match answer:
        case {"outcome": {"outcome": "cancelled"}}:
            # Clients say this of a turn that is to end, and of nothing else.
            return "abort"
        case {"outcome": {"outcome": "selected", "optionId": str(chosen)}}:
            if any(option["optionId"] == chosen for option in options):
                return DECISIONS[chosen]
    return "denied"


def explanation_of(request: ApprovalRequest) -> str:
    """Why it is asked about, and what the command would run under."""
    sentences = [request.reason] if request.reason else []
    if isinstance(request, ExecApprovalRequest):
        sentences.append(f"It would run in {request.cwd} {_held(request)}.")
    return "\n\n".join(sentences)


def _option(kind: str, name: str) -> dict[str, Any]:
    return {"optionId": kind, "name": name, "kind": kind}


def _scope(request: ApprovalRequest) -> str | None:
    """What an approval for the session covers, in words; None: there is no such approval."""
    match request:
        case ExecApprovalRequest(command=command):
            shown = shlex.join(command)
            if len(shown) > MAX_SHOWN_COMMAND:
                shown = f"{shown[:MAX_SHOWN_COMMAND]}…"
            return f"exactly {shown}, in this folder, {_held(request)}"
        case McpToolCallApprovalRequest(invocation=invocation):
            return f"every call of {invocation.tool} of the MCP server {invocation.server}"
    return None


def _held(request: ExecApprovalRequest) -> str:
    sandbox = "without a sandbox"
    if request.sandbox != "none":
        sandbox = f"in the {request.sandbox} sandbox"
    return f"{sandbox}, {'with' if request.network else 'without'} network"


@define(eq=False)
class _Question:
    """One that is put to the client, until it is answered or nobody waits any more."""

    session_id: str
    turn_id: SubmissionId
    request: ApprovalRequest
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)


class Permissions:
    """The questions of one connection."""

    def __init__(
        self, request: Request, session: Callable[[str], Session], described: Described
    ) -> None:
        """`session` finds a live session; it raises CodexError if there is none."""
        self._request = request
        self._session = session
        self._described = described
        self._open: dict[tuple[str, str], _Question] = {}
        self._arrivals: deque[_Question] = deque()
        self._wake = anyio.Event()

    def observe(self, session_id: str, event: Event) -> None:
        """Take notice of an event that leaves for the client. Never waits."""
        match event.msg:
            case (
                ExecApprovalRequest() | ApplyPatchApprovalRequest() | McpToolCallApprovalRequest()
            ) as request:
                key = session_id, request.call_id
                # A session that is opened anew announces what is already being asked.
                if key not in self._open:
                    question = self._open[key] = _Question(session_id, event.id, request)
                    self._arrivals.append(question)
                    self._wake.set()
            case TaskComplete() | TurnAborted() | Error():
                for question in self._open.values():
                    if (question.session_id, question.turn_id) == (session_id, event.id):
                        question.scope.cancel()

    async def run(self) -> None:
        """Ask what there is to ask, until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._wake = anyio.Event()
                while self._arrivals:
                    tasks.start_soon(self._put, self._arrivals.popleft())
                await self._wake.wait()

    async def _put(self, question: _Question) -> None:
        try:
            with question.scope:
                if not question.scope.cancel_called:
                    await self._ask(question)
        finally:
            del self._open[question.session_id, question.request.call_id]

    async def _ask(self, question: _Question) -> None:
        request = question.request
        options = options_of(request)
        try:
            decision = decision_of(await self._asked(question, options), options)
        except PeerRefused as exc:
            logger.info("the question about %s was not answered: %s", request.call_id, exc)
            decision = "denied"
        except PeerGone:
            return
        await self._answer(question, decision)

    async def _asked(self, question: _Question, options: list[dict[str, Any]]) -> Any:
        call = self._tool_call(question)
        params = {"sessionId": question.session_id, "toolCall": call, "options": options}
        try:
            return await self._request(METHOD, params)
        except (Unencodable, RecursionError):
            # Arguments that no JSON holds are not shown; what is asked about is in the title.
            shown = {k: v for k, v in call.items() if k != "rawInput"}
            return await self._request(METHOD, {**params, "toolCall": shown})

    def _tool_call(self, question: _Question) -> dict[str, Any]:
        request = question.request
        call = dict(self._described(question.session_id, request))
        explanation = explanation_of(request)
        if explanation:
            block = {"type": "content", "content": {"type": "text", "text": explanation}}
            call["content"] = [*(call.get("content") or ()), block]
        return {"toolCallId": call_id_of(request)} | call | {"status": "pending"}

    async def _answer(self, question: _Question, decision: Decision) -> None:
        request = question.request
        is_patch = isinstance(request, ApplyPatchApprovalRequest)
        op = (PatchApproval if is_patch else ExecApproval)(request.call_id, decision)
        try:
            await self._session(question.session_id).submit(op)
        except CodexError as exc:
            # The turn, or the session, has ended meanwhile.
            logger.debug("the answer about %s came too late: %s", request.call_id, exc.message)

"""What a session announces, as `session/update`s.

Owns what the client has been told so far: which message grows, which calls are open. Messages and
calls end in what their items say, so that loading the session tells the same. Pure: events in,
updates out.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from codex_rpc.acp import calls, content, outcomes, questions
from codex_rpc.acp.calls import Looks, ShownCall, Update
from codex_rpc.acp.increments import Growing, Kind, Names, Output
from codex_rpc.acp.permissions import call_id_of
from codex_rpc.protocol.converter import utc_text
from codex_rpc.protocol.events import (
    AgentMessage,
    AgentMessageDelta,
    AgentReasoning,
    AgentReasoningDelta,
    ApprovalRequest,
    BackgroundEvent,
    ContextCompacted,
    Error,
    Event,
    ExecCommandBegin,
    ExecCommandOutputDelta,
    ItemRecorded,
    McpToolCallBegin,
    PatchApplyBegin,
    SessionTakenOver,
    StorageFailed,
    StorageRecovered,
    StreamError,
    TaskComplete,
    TaskStarted,
    TokenCount,
    TurnAborted,
    UserMessage,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import string_in
from codex_rpc.protocol.ops import TextInput
from codex_rpc.protocol.shapes import (
    Call,
    Message,
    Outcome,
    Plan,
    Reasoning,
    Shape,
    clean,
    shape_of,
)
from codex_rpc.protocol.titles import spoken, title_of

Severity = Literal["info", "warning", "error"]


def said(text: str, message_id: str) -> Update:
    """More of what the agent says."""
    return _chunk("agent_message_chunk", message_id, text)


def thought(text: str, message_id: str) -> Update:
    """More of what the agent thinks."""
    return _chunk("agent_thought_chunk", message_id, text)


def told(text: str, looks: Looks, severity: Severity = "info") -> Update:
    """Something beside the conversation."""
    if looks.notices:
        return {"sessionUpdate": "notice", "severity": severity, "title": text or "…"}
    return thought(text, new_message_id())


def new_message_id() -> str:
    """For a message that is no item of the session."""
    return str(uuid.uuid4())


def thought_id(item_id: str, part: int) -> str:
    """The message id of one part of a thought."""
    return f"{item_id}.{part}"


def _chunk(kind: str, message_id: str, text: str) -> Update:
    return {"sessionUpdate": kind, "messageId": message_id, "content": content.text(text)}


class SessionUpdates:
    """Those of one open session."""

    def __init__(
        self,
        *,
        cwd: Callable[[], Path],
        looks: Looks,
        has_title: bool,
        names: Names,
        now: Callable[[], datetime],
    ) -> None:
        """`cwd`: where paths begin at present; `has_title`: the client can know what it is called;
        `now`: the clock."""
        self._cwd = cwd
        self._looks = looks
        self._has_title = has_title
        self._names = names
        self._now = now
        self._message = Growing()
        self._thought = Growing()
        self._calls: dict[str, ShownCall] = {}
        self._outputs: dict[str, Output] = {}
        self._asked: set[str] = set()
        """Calls that are asked about: their content is the question's at present."""
        self._turn_id: SubmissionId | None = None
        self._window: int | None = None
        self.usage: tuple[int, int | None] | None = None
        """Tokens that the last request held, and how many fit; None: nothing was asked yet."""

    def of(self, event: Event) -> Iterable[Update]:
        """What `event` tells."""
        msg = event.msg
        match msg:
            case AgentMessageDelta(item_id, delta):
                message_id = self._names.of("message", item_id)
                self._message.more(message_id, delta)
                return (said(delta, message_id),)
            case AgentReasoningDelta(item_id, part, delta):
                message_id = thought_id(self._names.of("reasoning", item_id), part)
                self._thought.more(message_id, delta)
                return (thought(delta, message_id),)
            case ExecCommandOutputDelta():
                return self._output(msg)
            case AgentMessage(item_id, message):
                message_id = self._names.of("message", item_id)
                rest = self._message.rest(message_id, message)
                return (said(rest, message_id),) if rest else ()
            case AgentReasoning(item_id, part, text):
                message_id = thought_id(self._names.of("reasoning", item_id), part)
                rest = self._thought.rest(message_id, text)
                return (thought(rest, message_id),) if rest else ()
            case ItemRecorded(item):
                return self._recorded(item.value())
            case ExecCommandBegin() | PatchApplyBegin() | McpToolCallBegin():
                return self._begun(msg.call_id)
        return self._others(event)

    def described(self, request: ApprovalRequest) -> Update:
        """Members of a `ToolCallUpdate` for what is asked about."""
        call = self._calls.get(call_id_of(request))
        if call is None:
            return questions.described(request)
        self._asked.add(call.call_id)
        members = {k: v for k, v in call.update.items() if k not in ("sessionUpdate", "status")}
        # A terminal is the call's own; in a question it would be drawn a second time.
        shown = [b for b in call.content if b["type"] != "terminal"]
        members.pop("_meta", None)
        if shown:
            members["content"] = shown
        else:
            members.pop("content", None)
        return members

    def said(self, text: str) -> Update:
        """Something that the agent says without a model."""
        return said(text, new_message_id())

    # Calls.

    def _recorded(self, item: dict[str, Any]) -> Sequence[Update]:
        shape = shape_of(item)
        self._names.recorded(_grown(shape), has_id=string_in(item, "id") is not None)
        match shape:
            case Call(action=Plan() as plan):
                return (calls.plan_update(plan),)
            case Call(call_id):
                call = calls.shown(shape, item, self._cwd(), self._looks)
                if call.update["status"] == "pending":
                    self._calls[call_id] = call
                return (call.update,)
            case Outcome(call_id=call_id):
                opened = self._calls.pop(call_id, None)
                output = self._outputs.pop(call_id, None) or Output()
                self._asked.discard(call_id)
                if opened is None:
                    return ()
                end = outcomes.ended(opened, shape)
                if opened.ends_in_terminal(shape) and (rest := output.rest(shape.text)):
                    return (outcomes.in_terminal(call_id, rest), end)
                return (end,)
        return ()

    def _begun(self, call_id: str) -> Sequence[Update]:
        call = self._calls.get(call_id)
        if call is None:
            return ()
        if call_id not in self._asked:
            return (call.changed(status="in_progress"),)
        # The question's words, put in place of the call's content, have had their answer.
        self._asked.discard(call_id)
        return (call.changed(status="in_progress", content=list(call.content)),)

    def _output(self, msg: ExecCommandOutputDelta) -> Sequence[Update]:
        call = self._calls.get(msg.call_id)
        if call is None:
            return ()
        self._outputs.setdefault(msg.call_id, Output()).more(msg.chunk)
        if call.has_terminal:
            more = outcomes.in_terminal(msg.call_id, msg.chunk)
            # A second run is asked about, and does not begin anew.
            return (*self._begun(msg.call_id), more) if msg.call_id in self._asked else (more,)
        # Only what is new: what a client wants to keep of it comes once more with the end.
        return (call.changed(content=[content.fenced(clean(msg.chunk))]),)

    # The rest.

    def _others(self, event: Event) -> Sequence[Update]:
        match event.msg:
            case TaskStarted(model_context_window=window):
                self._turn_id, self._window = event.id, window
            case UserMessage(items=items) if not self._has_title:
                return self._titled(items)
            case TokenCount(total_tokens=total):
                self.usage = total, self._window
                if self._window is not None:
                    update = {"sessionUpdate": "usage_update", "used": total, "size": self._window}
                    return (update,)
            case Error(message=message) if event.id != self._turn_id:
                return (told(message, self._looks, "error"),)
            case TaskComplete() | TurnAborted() | Error():
                return self._closed(event.msg)
            case msg:
                return self._beside(msg)
        return ()

    def _beside(self, msg: object) -> Sequence[Update]:
        """What the user is to be told of an event beside the conversation."""
        severity: Severity = "info"
        match msg:
            case BackgroundEvent(text):
                pass
            case ContextCompacted():
                text = "The conversation was summarised, and goes on from the summary."
            case StreamError(message, attempt, max_attempts):
                self._forget_unfinished()
                text = f"{message} (attempt {attempt} of {max_attempts} follows)"
                severity = "warning"
            case StorageFailed(message=text):
                severity = "error"
            case StorageRecovered(saved):
                text = f"The session is saved again ({saved} records that were not)."
            case SessionTakenOver(by):
                text = f"Process {by.pid} on {by.host} has taken the session over."
                severity = "warning"
            case _:
                return ()
        return (told(text, self._looks, severity),)

    def _forget_unfinished(self) -> None:
        self._message.forget()
        self._thought.forget()
        self._names.forget()

    def _titled(self, items: Sequence[Any]) -> Sequence[Update]:
        texts = [item.text for item in items if isinstance(item, TextInput)]
        title = title_of(spoken(texts))
        if not title:
            return ()
        self._has_title = True
        return ({"sessionUpdate": "session_info_update", "title": title},)

    def _closed(self, closing: TaskComplete | TurnAborted | Error) -> list[Update]:
        self._turn_id = None
        updates = [outcomes.left_open(call) for call in self._calls.values()]
        self._calls.clear()
        self._outputs.clear()
        self._asked.clear()
        self._forget_unfinished()
        if isinstance(closing, Error) and closing.stop_reason is not None:
            # The answer to the prompt has no words for it.
            updates.append(told(closing.message, self._looks, "error"))
        now = utc_text(self._now())
        updates.append({"sessionUpdate": "session_info_update", "updatedAt": now})
        return updates


def _grown(shape: Shape) -> Kind | None:
    """What an item was while it grew."""
    match shape:
        case Message("assistant"):
            return "message"
        case Reasoning():
            return "reasoning"
    return None

"""One turn: from the user's input to one closing event, whatever happens in between.

Owns the order "record, announce, act", the retries, and the running of calls. Invariants:

- An item enters the history and the recorder in one uncancellable step, then it is announced.
- A call is recorded before it is approved or run; its output before its end is announced.
- Every begin has an end and every call an output, also when the turn is cancelled.
- Nothing runs twice: an attempt that completed items is continued, not repeated.
"""

from __future__ import annotations

import uuid
from typing import Any

import anyio
import anyio.lowlevel
from attrs import define, field

from codex_rpc.core import compaction
from codex_rpc.core.calls import CallHost
from codex_rpc.core.inbox import Submission
from codex_rpc.core.injection import environment_message, injected_messages, interruption_message
from codex_rpc.core.inputs import content_of
from codex_rpc.core.redaction import RedactedStream
from codex_rpc.core.retries import Retries
from codex_rpc.core.surroundings import Surroundings
from codex_rpc.protocol.converter import unstructure
from codex_rpc.protocol.errors import ContextFull, ModelError, PreviousResponseUnknown
from codex_rpc.protocol.events import (
    AbortReason,
    AgentMessage,
    AgentMessageDelta,
    AgentReasoning,
    AgentReasoningDelta,
    BackgroundEvent,
    ContextCompacted,
    Error,
    EventMsg,
    ItemRecorded,
    TaskComplete,
    TaskStarted,
    TokenCount,
    TurnAborted,
    UserMessage,
)
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import CallId, SubmissionId
from codex_rpc.protocol.items import (
    CALL_OUTPUT_KINDS,
    Item,
    call_output,
    is_refusal,
    message_text,
    part_texts,
    text_message,
    user_message,
)
from codex_rpc.protocol.model import (
    ItemDone,
    ModelEvent,
    ModelNotice,
    Prompt,
    ReasoningDelta,
    ResponseCompleted,
    StopReason,
    TextDelta,
    Usage,
)
from codex_rpc.protocol.ops import Compact, TextInput, UserInput
from codex_rpc.protocol.records import Record, StateRecord, TitleRecord, TurnRecord
from codex_rpc.protocol.tools import ToolOutcome, TurnContext

ABORTED_OUTPUT = "aborted by the user"
GO_ON = "Go on with the task."
"""What a request ends with whose conversation ends with the model's own words."""
CUT_OFF_OUTPUT = (
    "not run: your answer reached the limit of its length in the middle of this call. "
    "Say less at once: split the work into smaller calls."
)


@frozen
class Completed:
    """The model had nothing more to say, or was not let."""

    last_agent_message: str | None
    stop_reason: StopReason | None = None


@frozen
class Aborted:
    """Someone stopped the turn."""

    reason: AbortReason


@frozen
class Failed:
    """The turn could not go on."""

    message: str
    code: int | None = None
    stop_reason: StopReason | None = None


Ending = Completed | Aborted | Failed


@define
class _Attempt:
    """What one model request has brought so far."""

    items: int = 0
    calls: int = 0
    stop_reason: StopReason | None = None
    text_item_id: str = ""
    """The item of the last text delta, for a server whose items carry no id."""
    texts: dict[str, RedactedStream] = field(factory=dict)
    """Messages on their way to the client, by item."""


@define
class Turn:
    """A running turn; `run` it once, then `close` it."""

    env: Surroundings
    id: SubmissionId
    context: TurnContext
    reason: AbortReason = "interrupted"
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    inputs: list[str] = field(factory=list)
    """The texts of the user's inputs."""
    last_agent_message: str | None = None
    usage: dict[str, int] = field(factory=dict)
    note: tuple[int, Item] | None = None
    """What the model is told of the turn before, and before which item."""
    abandoned: dict[CallId, ToolOutcome] = field(factory=dict)
    """What cancelled calls left to be recorded."""
    auto_compact_limit: int | None = None
    """As configured (`compaction.is_due`)."""
    max_requests: int | None = None
    """How many answers of the model are asked for; None: as many as it wants to give."""

    def stop(self, reason: AbortReason) -> None:
        """Cancel the turn; the first reason counts."""
        if not self.scope.cancel_called:
            self.reason = reason
            self.scope.cancel()

    async def announce(self, msg: EventMsg) -> None:
        """Announce when there is room."""
        await self.env.announce(self.id, msg)

    async def run(self, first: Submission) -> Completed:
        """The turn, up to its closing.

        Raises:
            ModelError: the model cannot answer, after all retries.
            RolloutWriteFailed: storage did not come back.
        """
        await self._begin(first)
        retries = Retries(self.env.model.max_retries, self.announce)
        if isinstance(first.op, Compact):
            await self._compact(retries)
            return Completed(None)
        fresh, shortened = True, False
        answers = 0
        while True:
            if fresh:
                await self._join()
                if compaction.is_due(self.env, self.context.model, self.auto_compact_limit):
                    await self._compact(retries)
            attempt = _Attempt()
            continued = False
            try:
                continued = await self._request(attempt)
            except PreviousResponseUnknown:
                if not await self._forget_response():
                    raise
                fresh = attempt.items > 0
                continue
            except ContextFull as exc:
                # What the server counts is not what we count; once is enough to find out.
                if shortened or not compaction.is_possible(self.env):
                    raise compaction.too_long(exc) from exc
                await self.announce(
                    BackgroundEvent(f"{exc.message}; it is summarised, and sent again")
                )
                await self._compact(retries)
                fresh = shortened = True
                continue
            except ModelError as exc:
                if not await retries.pause(exc):
                    raise
                fresh = attempt.items > 0
                continue
            retries.succeeded()
            fresh, shortened = True, False
            answers += 1
            if not continued:
                return Completed(self.last_agent_message, attempt.stop_reason)
            if answers == self.max_requests:
                await self.announce(BackgroundEvent(_out_of_requests(answers)))
                return Completed(self.last_agent_message, "max_turn_requests")

    async def _begin(self, first: Submission) -> None:
        # A turn that begins is announced as a whole, so that its closing has its opening;
        # being interrupted in between only means that the first request is never made.
        with anyio.CancelScope(shield=True):
            if self.env.interrupted:
                self.note = (len(self.env.history), interruption_message())
            records: list[Record] = []
            if self.env.context_changed:
                records.append(self.env.context_record())
            records.append(self._turn_record("started"))
            if isinstance(first.op, UserInput):
                await self._take_input(first.id, first.op, records)
            else:
                await self.env.recorder.record_now(*records)
            self.env.announce_now(
                self.id, TaskStarted(self.env.model.context_window(self.context.model))
            )
        await self.env.recorder.wait_for_storage()

    async def _join(self) -> None:
        # An interrupted turn takes no more inputs: they start the next one.
        await anyio.lowlevel.checkpoint_if_cancelled()
        while (submission := self.env.inbox.take_input()) is not None:
            self.env.gate.leave("turn")
            assert isinstance(submission.op, UserInput)
            with anyio.CancelScope(shield=True):
                await self._take_input(submission.id, submission.op, [])
            await self.env.recorder.wait_for_storage()

    async def _take_input(self, id_: SubmissionId, op: UserInput, before: list[Record]) -> None:
        redactor = self.env.redactor
        inputs = [redactor.input(given) for given in op.items]
        content = [
            await content_of(given, self.env.tools, self.context.cwd, self._complain)
            for given in inputs
        ]
        # What is in files may hold secrets too.
        item = redactor.item(user_message(content))
        self.inputs.extend(given.text for given in inputs if isinstance(given, TextInput))
        self.env.history.add(item)
        await self.env.recorder.record_now(*before, item)
        self._tell_now(item)
        self.env.announce_now(id_, UserMessage(inputs, self.id))

    def _complain(self, problem: str) -> None:
        self.env.announce_now(self.id, BackgroundEvent(problem))

    async def _forget_response(self) -> bool:
        record = self.env.history.forget_response()
        if record is None:
            return False
        await self.env.recorder.record(record)
        return True

    # One request.

    def _prompt(self) -> Prompt:
        env, context = self.env, self.context
        stores = env.model.stores_responses
        previous, conversation = env.history.prompt(
            injected_messages(context, env.user_instructions), continues=stores, note=self.note
        )
        environment = environment_message(context)
        if previous is not None and environment.raw != env.sent_environment:
            conversation = [environment, *conversation]
        env.sent_environment = environment.raw
        if previous is None and _is_said_by_assistant(conversation[-1]):
            # After a summary, or an answer that broke off. Who is given its own words last writes
            # their end and nothing else, as llama.cpp does, or refuses, as Mistral does.
            conversation = [*conversation, text_message(GO_ON)]
        return Prompt(
            instructions=env.instructions,
            input=conversation,
            tools=env.tools.specs(context),
            model=context.model,
            session_id=env.session_id,
            effort=context.effort,
            summary=context.summary,
            previous_response_id=previous,
            store=stores,
        )

    async def _request(self, attempt: _Attempt) -> bool:
        """Ask once; whether the model expects another request, with the outputs of its calls."""
        await self.env.tools.ready()
        async with self.env.model.stream(self._prompt()) as events:
            async for event in events:
                await self._on_model_event(event, attempt)
        return attempt.calls > 0

    async def _on_model_event(self, event: ModelEvent, attempt: _Attempt) -> None:
        match event:
            case TextDelta():
                attempt.text_item_id = event.item_id
                stream = attempt.texts.get(event.item_id)
                if stream is None:
                    stream = attempt.texts[event.item_id] = self.env.redactor.stream()
                if shown := stream.feed(event.delta):
                    await self.announce(AgentMessageDelta(event.item_id, shown))
            case ReasoningDelta():
                await self.announce(AgentReasoningDelta(event.item_id, event.part, event.delta))
            case ItemDone():
                await self._on_item(event, attempt)
            case ResponseCompleted():
                if event.is_cut_off:
                    attempt.stop_reason = "max_tokens"
                await self._on_completed(event)
            case ModelNotice():
                await self.announce(BackgroundEvent(event.message))

    async def _on_completed(self, event: ResponseCompleted) -> None:
        if self.env.model.stores_responses:
            state = self.env.history.response_completed(event.response_id)
            if state is not None:
                await self.env.recorder.record(state)
        if event.usage is not None:
            self._count(event.usage)
            self.env.history.count(event.usage.total_tokens)
            await self.announce(token_count(event.usage))

    def _count(self, usage: Usage) -> None:
        """Add one response's cost to the turn's."""
        for name, tokens in unstructure(usage).items():
            self.usage[name] = self.usage.get(name, 0) + tokens

    async def _on_item(self, event: ItemDone, attempt: _Attempt) -> None:
        item = event.item
        if item.kind in CALL_OUTPUT_KINDS and item.call_id is None:
            # Every call is answered, and an answer needs something to refer to.
            item = item.with_call_id(CallId(f"call_{uuid.uuid4().hex}"))
        if item.is_call:
            item = self.env.history.with_unique_call_id(item)
        attempt.items += 1
        item = self.env.redactor.item(item)
        self.env.history.add(item)
        await self.env.recorder.record(item)
        await self._tell(item)
        if item.kind == "message":
            value = item.value()
            item_id = event.item_id or _item_id(value, attempt.text_item_id)
            stream = attempt.texts.get(item_id)
            if stream is not None and (rest := stream.rest()):
                await self.announce(AgentMessageDelta(item_id, rest))
            if is_refusal(value):
                attempt.stop_reason = "refusal"
            await self._announce_message(value, item_id)
        elif item.kind == "reasoning":
            value = item.value()
            await self._announce_reasoning(value, event.item_id or _item_id(value, ""))
        elif item.is_call:
            attempt.calls += 1
            await self._run_call(item)

    async def _announce_message(self, value: dict[str, Any], item_id: str) -> None:
        if value.get("role") != "assistant":
            return
        text = message_text(value)
        self.last_agent_message = text
        await self.announce(AgentMessage(item_id, text))

    async def _announce_reasoning(self, value: dict[str, Any], item_id: str) -> None:
        texts = part_texts(value.get("summary"), "summary_text", "text")
        # Open models have no summary: what they think is all there is.
        texts = texts or part_texts(value.get("content"), "reasoning_text", "text")
        for part, text in enumerate(texts):
            await self.announce(AgentReasoning(item_id, part, text))

    async def _run_call(self, call: Item) -> None:
        host = CallHost(self.env, self.id, self.context, self.abandoned, call)
        if call.value().get("status") == "incomplete":
            # Half of a command is another command.
            outcome = ToolOutcome(CUT_OFF_OUTPUT)
        else:
            outcome = await self.env.tools.call(call, host)
        output = self.env.redactor.item(call_output(call, outcome.output))
        self.env.history.add(output)
        try:
            await self.env.recorder.record(output)
        finally:
            host.finish()
            self._tell_now(output)
            for msg in outcome.events:
                self.env.announce_now(self.id, self.env.redactor.event(msg))

    async def _tell(self, item: Item) -> None:
        if self.env.events.tells_items:
            await self.env.events.wait_for_room()
            self._tell_now(item)

    def _tell_now(self, item: Item) -> None:
        if self.env.events.tells_items:
            self.env.announce_now(self.id, ItemRecorded(item))

    # Compaction.

    async def _compact(self, retries: Retries) -> None:
        """Put a summary in the place of the conversation.

        Raises:
            ModelError: there is no summary; the conversation is as it was.
            RolloutWriteFailed: storage did not come back.
        """
        env = self.env
        if not env.history.items:
            await self.announce(BackgroundEvent("there is nothing to compact yet"))
            return
        summary, usage = await compaction.ask_for_summary(env, self.context, retries)
        retries.succeeded()
        if usage is not None:
            self._count(usage)
            await self.announce(token_count(usage))
        summary = compaction.with_running_task(summary, self.inputs)
        with anyio.CancelScope(shield=True):
            # What is needed to go on follows the marker, so that nothing before it is read.
            records: list[Record] = [env.history.compact(summary), env.context_record()]
            records.append(StateRecord(None))
            if env.title is not None:
                records.append(TitleRecord(env.title))
            await env.recorder.record_now(*records)
        env.announce_now(self.id, ContextCompacted(summary))
        await env.recorder.wait_for_storage()

    # The end.

    def _turn_record(self, status: Any, reason: str | None = None) -> TurnRecord:
        return TurnRecord(
            timestamp=self.env.clock.now(),
            submission_id=self.id,
            status=status,
            reason=reason,
            usage=self.usage or None,
        )

    async def close(self, ending: Ending) -> None:
        """Record and announce how the turn ended: answers to open calls, then one closing."""
        records: list[Record] = []
        ends: list[EventMsg | ItemRecorded] = []
        for call in self.env.history.open_calls():
            assert call.call_id is not None
            outcome = self.abandoned.get(call.call_id, ToolOutcome(ABORTED_OUTPUT))
            output = self.env.redactor.item(call_output(call, outcome.output))
            self.env.history.add(output)
            records.append(output)
            if self.env.events.tells_items:
                ends.append(ItemRecorded(output))
            ends.extend(map(self.env.redactor.event, outcome.events))
        closing: EventMsg
        match ending:
            case Completed():
                records.append(self._turn_record("completed"))
                closing = TaskComplete(ending.last_agent_message, ending.stop_reason)
            case Aborted():
                records.append(self._turn_record("aborted", ending.reason))
                closing = TurnAborted(ending.reason)
            case Failed():
                records.append(self._turn_record("failed", ending.message))
                closing = Error(ending.message, ending.code, ending.stop_reason)
        untold = self.note is not None and isinstance(ending, Failed)
        self.env.interrupted = untold or isinstance(ending, Aborted)
        await self.env.recorder.record_now(*records)
        for msg in ends:
            self.env.announce_now(self.id, msg)
        await self.env.recorder.sync_now()
        self.env.approvals.turn_ended(self.id)
        self.env.announce_now(self.id, closing)


def token_count(usage: Usage) -> TokenCount:
    """One response's cost as an event."""
    return TokenCount(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
    )


def _out_of_requests(count: int) -> str:
    requests = "request" if count == 1 else "requests"
    return (
        f"the turn ends here after {count} {requests} to the model (max_turn_requests); "
        "say so if it is to go on"
    )


def _is_said_by_assistant(item: Item) -> bool:
    return item.kind == "message" and item.value().get("role") == "assistant"


def _item_id(value: dict[str, Any], fallback: str) -> str:
    item_id = value.get("id")
    return item_id if isinstance(item_id, str) else fallback

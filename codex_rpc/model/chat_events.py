"""From the chunks of one Chat Completions stream to model events.

Owns the gathering of a message and its calls, which this API sends in fragments, and what each
reason to finish means. Servers differ in nearly everything: what is unknown is passed over,
and what is missing is made up where that can do no harm. It does no I/O.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from codex_rpc.model.advice import Asked
from codex_rpc.model.chat_calls import Calls
from codex_rpc.model.errors import content_filtered, interrupted, stream_error
from codex_rpc.model.stream_data import count, detail, parse
from codex_rpc.protocol.errors import ModelError
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import (
    ItemDone,
    ModelEvent,
    ModelNotice,
    ReasoningDelta,
    ResponseCompleted,
    TextDelta,
    Usage,
)

CUT_OFF = "the answer was cut off: it reached the largest number of output tokens"

_CUT_OFF_REASONS = frozenset(("length", "model_length", "max_tokens"))
_FAILED_REASONS = frozenset(("error", "abort", "insufficient_system_resource"))
"""That the server gave up: as OpenRouter, vLLM and DeepSeek say it."""


class ChatEvents:
    """Reads one response."""

    def __init__(self, asked: Asked) -> None:
        self.completed = False
        """Whether `ResponseCompleted` was among the events; nothing counts after it."""
        self._asked = asked
        self._text = _Gathered("text")
        self._reasoning = _Gathered("reasoning")
        self._calls = Calls()
        self._finish: str | None = None
        self._response_id: str | None = None
        self._name = ""
        self._usage: Usage | None = None

    @property
    def finished(self) -> bool:
        """Whether a reason to finish has come, and every call with its arguments: what follows
        is the cost at most."""
        return self._finish is not None and self._calls.are_whole

    def read(self, data: str) -> Sequence[ModelEvent]:
        """What `data` says.

        Raises:
            ModelError: the server says that the response has failed, or its content filter
                stopped it.
        """
        self._refuse_filtered()
        if data.strip() == "[DONE]":
            return self._complete()
        chunk = parse(data)
        if chunk is None:
            return ()
        self._refuse_failed(chunk)
        if self._response_id is None:
            self._begin(chunk)
        self._usage = _usage(chunk.get("usage")) or self._usage
        events: list[ModelEvent] = []
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            # Only one answer was asked for.
            if isinstance(choice, dict) and choice.get("index", 0) in (0, None):
                events += self._choice(choice)
        if self._finish is not None and choices == [] and _usage(chunk.get("usage")):
            # The last chunk. Not every server says `[DONE]`, or closes.
            events += self._complete()
        return events

    def end(self) -> Sequence[ModelEvent]:
        """What is left to say when the input has ended: some servers just stop.

        Raises:
            StreamInterrupted: no reason to finish was given.
            ModelRejected: as `read`.
        """
        self._refuse_filtered()
        if self._finish is None:
            raise interrupted("the server closed the stream before the response was complete")
        return self._complete()

    # Failures.

    def _refuse_filtered(self) -> None:
        # Raised a moment after the chunk that says so, whose text has to get out before.
        if self._finish == "content_filter":
            raise content_filtered(self._asked)

    def _refuse_failed(self, chunk: dict[str, Any]) -> None:
        error = chunk.get("error")
        if error is not None and error is not False:
            raise self._failure(error)
        if chunk.get("object") == "error":
            raise self._failure(chunk)

    def _failure(self, error: object) -> ModelError:
        if isinstance(error, dict):
            return stream_error(error, self._asked)
        if isinstance(error, str) and error:
            return stream_error({"message": error}, self._asked)
        return interrupted("the server says that the response failed, and not why")

    # What is said.

    def _begin(self, chunk: dict[str, Any]) -> None:
        id_, created = _string(chunk.get("id")), count(chunk.get("created"))
        if id_:
            self._response_id = id_
            # The ids of some servers are numbers below a thousand.
            self._name = f"{id_}-{created}" if created else id_
        elif not self._name:
            # Azure tells the id in its second chunk, some servers never.
            self._name = uuid.uuid4().hex

    def _choice(self, choice: dict[str, Any]) -> list[ModelEvent]:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            # A server that does not stream although it was asked to.
            delta = choice.get("message")
        events = self._delta(delta) if isinstance(delta, dict) else []
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            if finish in _FAILED_REASONS:
                raise self._failure(choice.get("error"))
            self._finish = finish
            events += self._finished()
        return events

    def _delta(self, delta: dict[str, Any]) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        thought, text = _said(delta)
        if thought:
            events.append(ReasoningDelta(self._reasoning.add(thought, self._name), 0, thought))
        if text:
            events += self._reasoning_done()
            events.append(TextDelta(self._text.add(text, self._name), text))
        calls = delta.get("tool_calls")
        for fragment in calls if isinstance(calls, list) else ():
            if isinstance(fragment, dict):
                self._calls.add(fragment)
        if isinstance(function := delta.get("function_call"), dict):
            # How a call looked before there could be several.
            self._calls.add({"index": 0, "function": function})
        return events

    # What is done.

    def _reasoning_done(self) -> list[ModelEvent]:
        item_id, thought = self._reasoning.take()
        if not thought:
            return []
        summary = [{"type": "summary_text", "text": thought}]
        return [ItemDone(Item.from_value({"type": "reasoning", "summary": summary}), item_id)]

    def _texts_done(self) -> list[ModelEvent]:
        events = self._reasoning_done()
        item_id, text = self._text.take()
        if text:
            content = [{"type": "output_text", "text": text}]
            message = {"type": "message", "role": "assistant", "content": content}
            events.append(ItemDone(Item.from_value(message), item_id))
        return events

    def _finished(self) -> list[ModelEvent]:
        """What is whole now that the server has given a reason to finish."""
        events = self._texts_done()
        if self._finish == "content_filter":
            return events
        is_cut_off = self._finish in _CUT_OFF_REASONS
        if is_cut_off or self._calls.are_whole:
            # Else the server may have spoken too soon: what is still to come is waited for.
            events += self._calls.take(cut_off=is_cut_off)
        if is_cut_off:
            events.append(ModelNotice(CUT_OFF))
        return events

    def _complete(self) -> Sequence[ModelEvent]:
        if self.completed:
            return ()
        self.completed = True
        is_cut_off = self._finish in _CUT_OFF_REASONS
        calls = self._calls
        events = [*self._texts_done(), *calls.take(cut_off=is_cut_off)]
        return (*events, ResponseCompleted(self._response_id, self._usage, is_cut_off))


class _Gathered:
    """The pieces of an item, and what they are called."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._pieces: list[str] = []
        self._id = ""
        self._count = 0

    def add(self, piece: str, name: str) -> str:
        """Add a piece; the id of the item. `name` is the response's."""
        if not self._pieces:
            self._id = f"{name}-{self._kind}-{self._count}"
            self._count += 1
        self._pieces.append(piece)
        return self._id

    def take(self) -> tuple[str, str]:
        """The item's id and all of its pieces, which then are gone."""
        pieces, self._pieces = self._pieces, []
        return self._id, "".join(pieces)


def _said(delta: dict[str, Any]) -> tuple[str, str]:
    """The reasoning and the text of a delta."""
    thought = _string(delta.get("reasoning_content")) or _string(delta.get("reasoning"))
    content = delta.get("content")
    if not isinstance(content, list):
        return thought, _string(content) or _string(delta.get("refusal"))
    text = ""
    for part in content:
        if isinstance(part, dict):
            text += _string(part.get("text"))
            thoughts = part.get("thinking")
            for piece in thoughts if isinstance(thoughts, list) else ():
                thought += _string(piece.get("text")) if isinstance(piece, dict) else ""
    return thought, text


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    tokens_in, tokens_out = count(value.get("prompt_tokens")), count(value.get("completion_tokens"))
    if tokens_in is None or tokens_out is None:
        return None
    total = count(value.get("total_tokens"))
    cached = detail(value.get("prompt_tokens_details"), "cached_tokens")
    if cached is None:
        cached = count(value.get("prompt_cache_hit_tokens"))
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        total_tokens=tokens_in + tokens_out if total is None else total,
        cached_input_tokens=cached,
        reasoning_output_tokens=detail(value.get("completion_tokens_details"), "reasoning_tokens"),
    )

"""From the data of one Responses stream to model events.

Owns what the event types mean and which of them count; everything unknown is passed over, for
servers differ and grow. It does no I/O: it is fed the `data` of one server-sent event after
the other, for one response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from codex_rpc.model.advice import Asked
from codex_rpc.model.errors import content_filtered, interrupted, stream_error
from codex_rpc.model.stream_data import count, detail, parse
from codex_rpc.protocol.errors import ModelError
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import (
    UNNAMED,
    ItemDone,
    ModelEvent,
    ModelNotice,
    ReasoningDelta,
    ResponseCompleted,
    TextDelta,
    Usage,
)

Events = Sequence[ModelEvent]


class ResponseEvents:
    """Reads one response."""

    def __init__(self, asked: Asked) -> None:
        self.completed = False
        """Whether `ResponseCompleted` was among the events; nothing counts after it."""
        self._asked = asked
        self._ids = _ItemIds()
        self._done: set[bytes] = set()
        """The items, as they were said."""

    @property
    def finished(self) -> bool:
        """Whether the answer is whole."""
        return self.completed

    def read(self, data: str) -> Events:
        """What `data` says, mostly one event or none.

        Raises:
            ModelError: the server says that the response has failed.
        """
        message = parse(data)
        if message is None:
            return ()
        kind = message.get("type", "error" if "error" in message else None)
        handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
        return () if handler is None else handler(self, message)

    def end(self) -> Events:
        """Nothing, for `response.completed` has not come.

        Raises:
            StreamInterrupted
        """
        raise interrupted("the server closed the stream before the response was complete")

    # Deltas.

    def _on_text(self, message: dict[str, Any]) -> Events:
        delta = message.get("delta")
        if not isinstance(delta, str) or not delta:
            return ()
        return (TextDelta(self._ids.of_delta(message, "message"), delta),)

    def _on_reasoning(self, message: dict[str, Any]) -> Events:
        delta = message.get("delta")
        if not isinstance(delta, str) or not delta:
            return ()
        part = count(message.get("summary_index")) or 0
        return (ReasoningDelta(self._ids.of_delta(message, "reasoning"), part, delta),)

    # Items.

    def _on_added(self, message: dict[str, Any]) -> Events:
        item = message.get("item")
        if isinstance(item, dict):
            self._ids.added(message, item)
        return ()

    def _on_done(self, message: dict[str, Any]) -> Events:
        item = _item(message.get("item"))
        if item is None:
            return ()
        if item.raw in self._done and item.call_id is not None:
            # Said twice, it is still one item: no call is to run twice.
            return ()
        self._done.add(item.raw)
        return (ItemDone(item, self._ids.done(item)),)

    # Ends.

    def _on_completed(self, message: dict[str, Any]) -> Events:
        return self._completed(message, is_cut_off=False)

    def _completed(self, message: dict[str, Any], *, is_cut_off: bool) -> Events:
        response = message.get("response")
        response = response if isinstance(response, dict) else {}
        self.completed = True
        events: list[ModelEvent] = []
        output = response.get("output")
        if not self._done and isinstance(output, list):
            # Some servers tell what the items are only here.
            events += [ItemDone(item) for item in map(_item, output) if item is not None]
        response_id = response.get("id")
        events.append(
            ResponseCompleted(
                response_id if isinstance(response_id, str) else None,
                _usage(response.get("usage")),
                is_cut_off=is_cut_off,
            )
        )
        return events

    def _on_incomplete(self, message: dict[str, Any]) -> Events:
        response = message.get("response")
        details = response.get("incomplete_details") if isinstance(response, dict) else None
        reason = details.get("reason") if isinstance(details, dict) else None
        if reason == "content_filter":
            raise content_filtered(self._asked)
        said = "the answer was cut off"
        is_too_long = reason == "max_output_tokens"
        if is_too_long:
            said += ": it reached the largest number of output tokens"
        events = map(_cut_off, self._completed(message, is_cut_off=is_too_long))
        return (ModelNotice(said), *events)

    def _on_failed(self, message: dict[str, Any]) -> Events:
        response = message.get("response")
        error = response.get("error") if isinstance(response, dict) else None
        raise self._failure(error)

    def _on_error(self, message: dict[str, Any]) -> Events:
        raise self._failure(message.get("error") or message)

    def _failure(self, error: object) -> ModelError:
        if isinstance(error, dict):
            return stream_error(error, self._asked)
        if isinstance(error, str) and error:
            return stream_error({"message": error}, self._asked)
        return interrupted("the server says that the response failed, and not why")

    _HANDLERS: ClassVar[Mapping[str, Callable[[Any, dict[str, Any]], Events]]] = {
        "response.output_text.delta": _on_text,
        "response.reasoning_summary_text.delta": _on_reasoning,
        "response.output_item.added": _on_added,
        "response.output_item.done": _on_done,
        "response.completed": _on_completed,
        "response.incomplete": _on_incomplete,
        "response.failed": _on_failed,
        "error": _on_error,
    }


class _ItemIds:
    """Gives each delta the id of the item that it belongs to, as the item's own event told it.

    Servers differ in what they tell: deltas may carry the item's id, another one, or none, and
    items and deltas may carry an index or not.
    """

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        """The ids of the items that were added, each under itself."""
        self._aliases: dict[str, str] = {}
        """The same, and what else deltas call the items of the moment."""
        self._by_index: dict[int, str] = {}
        self._open: dict[str, str] = {}
        """The item of each type that was added last and is not done."""
        self._done = 0
        self._given: set[str] = set()
        """The ids that deltas were given."""
        self._last: dict[str, str] = {}
        """The one that was given last, by the kind of the item that is not done yet."""

    def added(self, message: dict[str, Any], item: dict[str, Any]) -> None:
        item_id, kind = item.get("id"), item.get("type")
        if not isinstance(item_id, str) or not item_id:
            return
        self._told[item_id] = item_id
        self._aliases = dict(self._told)
        index = count(message.get("output_index"))
        if index is not None:
            self._by_index[index] = item_id
        if isinstance(kind, str):
            self._open[kind] = item_id

    def done(self, item: Item) -> str:
        """What the deltas of `item` were called, or would have been; never `""`."""
        own = item.value().get("id")
        own = own if isinstance(own, str) else ""
        last = self._last.pop(item.kind, "")
        name = own if own in self._given else last or own or f"{UNNAMED}{self._done}"
        self._done += 1
        self._open.pop(item.kind, None)
        self._aliases = dict(self._told)
        return name

    def of_delta(self, message: dict[str, Any], kind: str) -> str:
        """The item's id; never `""`."""
        given = message.get("item_id")
        if not isinstance(given, str):
            given = ""
        known = self._aliases.get(given)
        if known is None:
            known = self._find(given, count(message.get("output_index")), kind)
            if given:
                self._aliases[given] = known
        if self._last.get(kind) != known:
            self._last[kind] = known
            self._given.add(known)
        return known

    def _find(self, given: str, index: int | None, kind: str) -> str:
        if index is not None and self._by_index:
            added = self._by_index.get(index)
        else:
            added = self._open.get(kind)
        return added or given or f"{UNNAMED}{self._done if index is None else index}"


def _cut_off(event: ModelEvent) -> ModelEvent:
    """A call that is told only at the end of an answer that was cut off, and may be half of one."""
    if not isinstance(event, ItemDone) or not event.item.is_call:
        return event
    value = event.item.value()
    if value.get("status") == "completed":
        return event
    return ItemDone(Item.from_value({**value, "status": "incomplete"}), event.item_id)


def _item(value: object) -> Item | None:
    if not isinstance(value, dict):
        return None
    try:
        return Item.from_value(value)
    except (ValueError, TypeError):
        # TypeError: nested deeper than can be written again.
        return None


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    tokens_in, tokens_out = count(value.get("input_tokens")), count(value.get("output_tokens"))
    if tokens_in is None or tokens_out is None:
        return None
    total = count(value.get("total_tokens"))
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        total_tokens=tokens_in + tokens_out if total is None else total,
        cached_input_tokens=detail(value.get("input_tokens_details"), "cached_tokens"),
        reasoning_output_tokens=detail(value.get("output_tokens_details"), "reasoning_tokens"),
    )

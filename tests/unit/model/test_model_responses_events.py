"""What the events of a Responses stream mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import HOME, a_provider

from codex_rpc.model.errors import Asked
from codex_rpc.model.responses_events import ResponseEvents
from codex_rpc.protocol.errors import ModelError, ModelRejected, RateLimited, StreamInterrupted
from codex_rpc.protocol.model import (
    ItemDone,
    ModelEvent,
    ModelNotice,
    ReasoningDelta,
    ResponseCompleted,
    TextDelta,
    Usage,
)


def new() -> ResponseEvents:
    return ResponseEvents(
        Asked(provider=a_provider(), model="gpt-5", path="/responses", codex_home=HOME)
    )


def read(*messages: dict[str, Any] | str) -> list[ModelEvent]:
    events = new()
    data = [m if isinstance(m, str) else json.dumps(m) for m in messages]
    return [event for d in data for event in events.read(d)]


def text(delta: str, **members: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "delta": delta, **members}


def added(item_id: str | None, kind: str = "message", **members: Any) -> dict[str, Any]:
    item = {"type": kind, "id": item_id}
    return {"type": "response.output_item.added", "item": item, **members}


def done(item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": item}


def completed(**response: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"id": "resp_1", **response}}


def test_a_text_delta_carries_its_item() -> None:
    assert read(added("m"), text("Hi", item_id="m")) == [TextDelta("m", "Hi")]


@pytest.mark.parametrize(
    ("messages", "ids"),
    [
        # No event for the item at all: what the delta says, else its index, else a count.
        ([text("a", item_id="x")], ["x"]),
        ([text("a", output_index=3)], ["item_3"]),
        ([text("a")], ["item_0"]),
        ([text("a"), done({"type": "message"}), text("b")], ["item_0", "item_1"]),
        ([text("a", item_id="")], ["item_0"]),
        ([text("a", item_id=["x"])], ["item_0"]),
        # The item's own id counts.
        ([added("m", output_index=0), text("a", output_index=0)], ["m"]),
        ([added("m", output_index=0), text("a", item_id="x", output_index=0)], ["m"]),
        ([added("m"), text("a")], ["m"]),
        ([added("m"), text("a", item_id="x"), text("b", item_id="x")], ["m", "m"]),
        (
            [
                added("m", output_index=0),
                added("n", output_index=1),
                text("a", output_index=0),
                text("b", output_index=1),
                text("c", item_id="m"),
            ],
            ["m", "n", "m"],
        ),
        # An index that no item was added under belongs to another item.
        ([added("m", output_index=0), text("a", item_id="x", output_index=1)], ["x"]),
        # An id that is the same for all deltas follows the item of the moment.
        (
            [
                added("m"),
                text("a", item_id="x"),
                done({"type": "message", "id": "m"}),
                added("n"),
                text("b", item_id="x"),
            ],
            ["m", "n"],
        ),
        # What is done takes no more text.
        ([added("m"), text("a"), done({"type": "message", "id": "m"}), text("b")], ["m", "item_1"]),
        (
            [
                added("m"),
                text("a", item_id="x"),
                done({"type": "message", "id": "m"}),
                text("b", item_id="x"),
            ],
            ["m", "x"],
        ),
        # A call that is being told does not take the text.
        ([added("m"), added("f", "function_call"), text("a")], ["m"]),
        ([added(None), text("a", item_id="x")], ["x"]),
    ],
)
def test_deltas_carry_the_id_that_the_items_own_event_told(
    messages: list[dict[str, Any]], ids: list[str]
) -> None:
    assert [e.item_id for e in read(*messages) if isinstance(e, TextDelta)] == ids


def test_a_reasoning_delta_carries_its_part() -> None:
    kind = "response.reasoning_summary_text.delta"
    assert read(
        added("r", "reasoning"),
        {"type": kind, "item_id": "r", "summary_index": 1, "delta": "a"},
        {"type": kind, "delta": "b"},
    ) == [ReasoningDelta("r", 1, "a"), ReasoningDelta("r", 0, "b")]


def test_an_item_of_any_type_is_kept_whole() -> None:
    item = {"type": "mystery", "id": "z", "deep": {"n": 1.5, "list": [None, True]}}
    (event,) = read(done(item))
    assert isinstance(event, ItemDone)
    assert event.item.kind == "mystery"
    assert event.item.value() == item


@pytest.mark.parametrize(
    "message",
    [
        "{broken",
        "",
        "[DONE]",
        "null",
        "[1]",
        '"text"',
        "3",
        {},
        {"type": "x.unknown"},
        {"type": None},
        {"type": ["list"]},
        {"type": "response.created", "response": {"id": "resp_1"}},
        {"type": "response.reasoning_text.delta", "delta": "raw"},
        {"type": "response.output_item.done"},
        done({"id": "no type"}),
        done({"type": ""}),
        done({"type": 7}),
        done("text"),
        {"type": "response.output_item.added", "item": 1},
        text("", item_id="m"),
        {"type": "response.output_text.delta", "item_id": "m"},
    ],
)
def test_what_cannot_be_used_is_passed_over(message: dict[str, Any] | str) -> None:
    assert read(message) == []


def test_half_a_surrogate_pair_does_not_lose_the_event() -> None:
    data = '{"type":"response.output_text.delta","item_id":"m","delta":"a\\ud83d"}'
    assert read(data) == [TextDelta("m", "a\ufffd")]


def test_an_item_with_half_a_surrogate_pair_is_kept() -> None:
    data = (
        '{"type":"response.output_item.done","item":{"type":"function_call","arguments":"\\uDE00"}}'
    )
    (event,) = read(data)
    assert isinstance(event, ItemDone)
    assert event.item.value() == {"type": "function_call", "arguments": "\ufffd"}


def test_a_completed_response_tells_id_and_usage() -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 10},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 105,
    }
    assert read(completed(usage=usage)) == [
        ResponseCompleted("resp_1", Usage(100, 5, 105, 10, 2)),
    ]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ("many", None),
        ({}, None),
        ({"input_tokens": 1}, None),
        ({"input_tokens": 1, "output_tokens": True}, None),
        ({"input_tokens": 1, "output_tokens": 2}, Usage(1, 2, 3)),
        (
            {"input_tokens": 1, "output_tokens": 2, "input_tokens_details": None},
            Usage(1, 2, 3),
        ),
        (
            {"input_tokens": 31, "output_tokens": 9, "total_tokens": 41},
            Usage(31, 9, 41),
        ),
    ],
)
def test_usage_may_be_missing_or_in_part(usage: Any, expected: Usage | None) -> None:
    assert read(completed(usage=usage)) == [ResponseCompleted("resp_1", expected)]


def test_a_response_that_completes_without_a_body_is_complete() -> None:
    assert read({"type": "response.completed"}) == [ResponseCompleted(None, None)]


def test_items_that_are_told_only_at_the_end_are_not_lost() -> None:
    events = read(completed(output=[{"type": "message", "id": "m"}, {"id": "no type"}]))
    assert [type(event) for event in events] == [ItemDone, ResponseCompleted]


def test_items_that_were_told_before_are_not_told_again_at_the_end() -> None:
    item = {"type": "message", "id": "m"}
    events = read(done(item), completed(output=[item]))
    assert [type(event) for event in events] == [ItemDone, ResponseCompleted]


def test_an_answer_that_was_cut_off_is_complete_with_a_notice() -> None:
    events = new()
    response = {"id": "resp_1", "incomplete_details": {"reason": "max_output_tokens"}}
    notice, end = events.read(json.dumps({"type": "response.incomplete", "response": response}))
    assert isinstance(notice, ModelNotice)
    assert "output tokens" in notice.message
    assert end == ResponseCompleted("resp_1", None, is_cut_off=True)
    assert events.completed


def test_an_answer_that_the_filter_stopped_is_rejected() -> None:
    response = {"incomplete_details": {"reason": "content_filter"}}
    with pytest.raises(ModelRejected, match="content filter"):
        read({"type": "response.incomplete", "response": response})


LIMIT = {"code": "rate_limit_exceeded", "message": "Please try again in 1.5s."}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "response.failed", "response": {"error": LIMIT}},
        {"type": "error", **LIMIT},
        {"type": "error", "error": LIMIT},
        {"error": LIMIT},
    ],
)
def test_a_failure_is_told_in_any_of_its_forms(message: dict[str, Any]) -> None:
    with pytest.raises(RateLimited, match="Please try again") as raised:
        read(message)
    assert raised.value.retry_after_s == 1.5


@pytest.mark.parametrize(
    "message",
    [
        {"type": "response.failed"},
        {"type": "response.failed", "response": {"error": None}},
        {"type": "error"},
        {"type": "error", "error": "overloaded"},
    ],
)
def test_a_failure_without_a_reason_may_be_tried_again(message: dict[str, Any]) -> None:
    with pytest.raises(StreamInterrupted):
        read(message)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
KINDS = [
    "response.output_text.delta",
    "response.reasoning_summary_text.delta",
    "response.output_item.added",
    "response.output_item.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
]
MEMBERS = ["item", "item_id", "delta", "output_index", "summary_index", "response", "error"]


@settings(deadline=None, max_examples=300)
@given(
    kind=st.sampled_from(KINDS) | json_values,
    members=st.dictionaries(st.sampled_from(MEMBERS), json_values),
)
def test_no_shape_of_an_event_is_more_than_a_model_error(kind: Any, members: Any) -> None:
    try:
        events = read({"type": kind, **members})
    except ModelError:
        return
    assert all(isinstance(event, ModelEvent) for event in events)


REASONING = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}]}
WHY = {"type": "response.reasoning_summary_text.delta", "delta": "why"}


@pytest.mark.parametrize(
    "messages",
    [
        [added("m"), text("a", item_id="m"), done({"type": "message", "id": "m"})],
        [text("a"), done({"type": "message"})],
        [text("a"), done({"type": "message"}), text("b"), done({"type": "message"})],
        [done({"type": "message"}), text("b"), done({"type": "message"})],
        [added("one"), text("a"), done({"type": "message", "id": "another"})],
        [WHY, done(REASONING), text("a"), done({"type": "message", "id": "m"})],
    ],
)
def test_an_item_is_called_what_its_deltas_were_and_like_no_other(
    messages: list[dict[str, Any]],
) -> None:
    called: list[str] = []
    pending = ""
    for event in read(*messages):
        if isinstance(event, TextDelta | ReasoningDelta):
            pending = event.item_id
        elif isinstance(event, ItemDone):
            assert event.item_id
            assert pending in ("", event.item_id)
            called.append(event.item_id)
            pending = ""
    assert len(called) == len(set(called)) >= 1


CALL = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"}


def test_an_item_that_is_said_twice_is_one_item() -> None:
    other = {**CALL, "id": "fc2", "call_id": "c2"}
    events = read(done(CALL), done(CALL), done(other))
    assert [e.item.call_id for e in events if isinstance(e, ItemDone)] == ["c", "c2"]


@pytest.mark.parametrize(
    ("status", "kept"),
    [("completed", "completed"), ("in_progress", "incomplete"), (None, "incomplete")],
)
def test_a_call_that_only_the_end_of_a_cut_off_answer_tells_is_marked(
    status: str | None, kept: str
) -> None:
    call = CALL if status is None else {**CALL, "status": status}
    details = {"incomplete_details": {"reason": "max_output_tokens"}}
    told = {"type": "response.incomplete", "response": {"id": "r", "output": [call], **details}}
    [item] = [e.item for e in read(told) if isinstance(e, ItemDone)]
    assert item.value()["status"] == kept

"""What the chunks of a Chat Completions stream mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import HOME, a_provider

from codex_rpc.model.chat_events import CUT_OFF, ChatEvents
from codex_rpc.model.errors import Asked
from codex_rpc.protocol.errors import (
    ContextFull,
    ModelError,
    ModelRejected,
    RateLimited,
    StreamInterrupted,
)
from codex_rpc.protocol.model import (
    ItemDone,
    ModelEvent,
    ModelNotice,
    ReasoningDelta,
    ResponseCompleted,
    TextDelta,
    Usage,
)

DONE = "[DONE]"
END = ResponseCompleted("c", None)


def new() -> ChatEvents:
    provider = a_provider()
    return ChatEvents(
        Asked(provider=provider, model="m", path="/chat/completions", codex_home=HOME)
    )


def read(*data: dict[str, Any] | str, events: ChatEvents | None = None) -> list[ModelEvent]:
    events = events or new()
    told = [m if isinstance(m, str) else json.dumps(m) for m in data]
    return [event for d in told for event in events.read(d)]


def whole(*data: dict[str, Any] | str) -> list[ModelEvent]:
    """What a stream says that just ends."""
    events = new()
    return [*read(*data, events=events), *events.end()]


def chunk(
    delta: Any = None, finish: str | None = None, *, index: Any = 0, **more: Any
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    head = {"id": "c", "object": "chat.completion.chunk"}
    return {**head, "choices": [choice], **more}


def text(delta: str) -> dict[str, Any]:
    return chunk({"content": delta})


def finish(reason: str = "stop") -> dict[str, Any]:
    return chunk({}, reason)


def usage(**counts: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [], "usage": counts}


def fragment(**members: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [members]})


def call(
    index: int | None, call_id: str | None, name: str | None, arguments: Any = ""
) -> dict[str, Any]:
    """A chunk with a fragment of a call, without the members that are None."""
    function = {"name": name, "arguments": arguments}
    members = {"index": index, "id": call_id, "type": "function"}
    return fragment(
        **{k: v for k, v in members.items() if v is not None},
        function={k: v for k, v in function.items() if v is not None},
    )


def a_call(call_id: str, name: str, arguments: str, **more: str) -> dict[str, Any]:
    item = {"type": "function_call", "name": name, "arguments": arguments, "call_id": call_id}
    return item | more


def a_message(said: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": said}]
    return {"type": "message", "role": "assistant", "content": content}


def a_reasoning(said: str) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": said}]}


def items(events: Sequence[ModelEvent]) -> list[dict[str, Any]]:
    return [event.item.value() for event in events if isinstance(event, ItemDone)]


# Texts.


def test_a_text_is_told_as_it_comes_and_is_an_item_when_it_is_finished() -> None:
    first, second, done = read(text("Hel"), text("lo"), finish())
    assert isinstance(first, TextDelta)
    assert isinstance(done, ItemDone)
    assert (first.delta, second) == ("Hel", TextDelta(first.item_id, "lo"))
    assert (done.item.value(), done.item_id) == (a_message("Hello"), first.item_id)


def test_nothing_is_final_before_the_server_gives_a_reason_to_finish() -> None:
    assert items(read(text("Hello"), call(0, "a", "tool", "{}"))) == []


def test_the_items_of_different_responses_are_called_differently() -> None:
    first, second = (read(chunk({"content": "a"}, id=id_))[0] for id_ in ("c1", "c2"))
    assert isinstance(first, TextDelta)
    assert isinstance(second, TextDelta)
    assert first.item_id != second.item_id


@pytest.mark.parametrize("end", [[finish(), DONE], [finish()], [DONE], [finish(), " [DONE] "]])
def test_servers_end_a_stream_in_their_own_ways(end: list[Any]) -> None:
    events = new()
    told = read(text("Hello"), *end, events=events)
    told += events.end() if not events.completed else ()
    assert items(told) == [a_message("Hello")]
    assert told[-1] == END


def test_an_end_without_a_reason_is_no_answer() -> None:
    events = new()
    assert read(text("Hel"), call(0, "a", "tool", "{}"), events=events)
    with pytest.raises(StreamInterrupted) as raised:
        events.end()
    assert raised.value.retryable


def test_an_empty_answer_is_an_answer() -> None:
    assert whole(chunk({"role": "assistant", "content": ""}), finish()) == [END]


def test_a_refusal_is_a_text() -> None:
    said = whole(chunk({"refusal": "I must not.", "content": None}), finish())
    assert items(said) == [a_message("I must not.")]


def test_a_content_of_parts_is_a_text() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}, 3, {"type": "x"}]
    assert items(whole(chunk({"content": parts}), finish())) == [a_message("Hello")]


def test_a_server_that_does_not_stream_is_understood() -> None:
    function = {"name": "tool", "arguments": "{}"}
    message = {
        "role": "assistant",
        "content": "Hello",
        "tool_calls": [{"id": "a", "type": "function", "function": function}],
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    said = whole({"id": "c", "object": "chat.completion", "choices": [choice]})
    assert items(said) == [a_message("Hello"), a_call("a", "tool", "{}")]


def test_only_the_first_of_several_answers_counts() -> None:
    said = whole(text("one"), chunk({"content": "two"}, index=1), finish())
    assert items(said) == [a_message("one")]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "hello",
        "[1]",
        "{}",
        {"choices": None},
        {"choices": [None, 3, {"index": 0}]},
        chunk("no object"),
        chunk({"content": 3, "reasoning": [], "tool_calls": "none"}),
        chunk({"tool_calls": [None, 3]}),
        chunk({"role": "assistant"}, usage=None),
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
        {"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {}}]},
    ],
)
def test_what_is_unknown_is_passed_over(data: Any) -> None:
    assert read(data) == []


def test_half_a_character_is_replaced() -> None:
    said = whole('{"choices":[{"delta":{"content":"a\\ud83d"}}]}', finish())
    assert items(said) == [a_message("a\N{REPLACEMENT CHARACTER}")]


def test_nothing_is_said_twice() -> None:
    events = new()
    assert read(text("a"), finish(), DONE, events=events)
    assert read(DONE, events=events) == []
    assert list(events.end()) == []
    assert events.completed


# Reasoning.


@pytest.mark.parametrize("member", ["reasoning", "reasoning_content"])
def test_reasoning_is_an_item_before_the_text(member: str) -> None:
    said = whole(chunk({member: "Let "}), chunk({member: "me see"}), text("Hi"), finish())
    first, second, done, *rest = said
    assert isinstance(first, ReasoningDelta)
    assert isinstance(done, ItemDone)
    assert (first.part, first.delta) == (0, "Let ")
    assert second == ReasoningDelta(first.item_id, 0, "me see")
    assert (done.item.value(), done.item_id) == (a_reasoning("Let me see"), first.item_id)
    assert items(rest) == [a_message("Hi")]


def test_thoughts_among_the_parts_of_a_content_are_reasoning() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    said = whole(chunk({"content": [thinking]}), chunk({"content": "Hi"}), finish())
    assert items(said) == [a_reasoning("Hm"), a_message("Hi")]


def test_reasoning_that_is_told_twice_counts_once() -> None:
    told = {"reasoning": "Hm", "reasoning_content": "Hm", "reasoning_details": [{"text": "Hm"}]}
    assert items(whole(chunk(told), finish())) == [a_reasoning("Hm")]


def test_an_empty_content_beside_reasoning_does_not_end_it() -> None:
    said = whole(
        chunk({"content": "", "reasoning": "a"}), chunk({"content": "", "reasoning": "b"}), finish()
    )
    assert items(said) == [a_reasoning("ab")]


def test_reasoning_comes_before_a_call() -> None:
    said = whole(chunk({"reasoning": "Hm"}), call(0, "a", "tool", "{}"), finish("tool_calls"))
    assert items(said) == [a_reasoning("Hm"), a_call("a", "tool", "{}")]


def test_a_model_that_thinks_again_has_a_second_reasoning() -> None:
    said = whole(
        chunk({"reasoning": "one"}),
        text("a"),
        chunk({"reasoning": "two"}),
        text("b"),
        finish(),
    )
    done = [event for event in said if isinstance(event, ItemDone)]
    assert items(done) == [a_reasoning("one"), a_reasoning("two"), a_message("ab")]
    deltas = [event.item_id for event in said if isinstance(event, ReasoningDelta)]
    assert deltas == [event.item_id for event in done[:2]]
    assert len(set(deltas)) == 2


# Calls.


def test_a_call_is_put_together_from_its_fragments() -> None:
    said = whole(
        call(0, "a", "shell", ""),
        call(0, None, None, '{"command":'),
        call(0, None, None, ' ["ls"]}'),
        finish("tool_calls"),
    )
    assert items(said) == [a_call("a", "shell", '{"command": ["ls"]}')]
    assert said[-1] == END


def test_a_text_comes_before_its_calls() -> None:
    said = whole(call(0, "a", "tool", "{}"), text("Let me look."), finish("tool_calls"))
    assert items(said) == [a_message("Let me look."), a_call("a", "tool", "{}")]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_calls_are_the_same_however_they_are_cut_and_mixed(data: st.DataObject) -> None:
    expected = []
    queues: list[list[dict[str, Any]]] = []
    for n in range(data.draw(st.integers(1, 4))):
        value = data.draw(st.dictionaries(st.text(max_size=4), st.text(max_size=8), max_size=3))
        arguments = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=6)))
        pieces = [arguments[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        head = call(n, f"call_{n}", "tool", data.draw(st.sampled_from(["", None])))
        queues.append([head, *(call(n, None, None, piece) for piece in pieces)])
        expected.append(a_call(f"call_{n}", "tool", arguments))
    # The heads come in order, everything else in any.
    told = [queues[0].pop(0)]
    begun = 1
    while any(queues):
        ready = [n for n in range(min(begun + 1, len(queues))) if queues[n]]
        n = data.draw(st.sampled_from(ready))
        begun = max(begun, n + 1)
        told.append(queues[n].pop(0))
    assert items(whole(*told, finish("tool_calls"))) == expected


@pytest.mark.parametrize(
    "fragments",
    [
        # Each call whole, none numbered.
        [call(None, "a", "one", "{}"), call(None, "b", "two", '{"x":1}')],
        # All numbered 0, apart by their ids.
        [call(0, "a", "one", "{}"), call(0, "b", "two", '{"x":1}')],
        # In pieces, all numbered 0, without ids or with empty ones behind the first.
        [
            call(0, "a", "one", ""),
            call(0, "", None, "{}"),
            call(0, "b", "two", ""),
            call(0, "", None, '{"x":1}'),
        ],
        # In pieces, all numbered 0, with the id in each.
        [
            call(0, "a", "one", ""),
            call(0, "a", None, "{}"),
            call(0, "b", "two", '{"x"'),
            call(0, "b", None, ":1}"),
        ],
        # In pieces, none numbered.
        [
            call(None, "a", "one", "{"),
            call(None, None, None, "}"),
            call(None, "b", "two", '{"x"'),
            call(None, None, None, ":1}"),
        ],
        # None numbered, and the arguments before the name.
        [
            call(None, "a", None, "{"),
            call(None, "a", "one", "}"),
            call(None, "b", None, '{"x"'),
            call(None, "b", "two", ":1}"),
        ],
        # The id is repeated, none numbered, and mixed.
        [
            call(None, "a", "one", "{"),
            call(None, "b", "two", '{"x"'),
            call(None, "a", None, "}"),
            call(None, "b", None, ":1}"),
        ],
        # Name and id are repeated, or the name is empty.
        [
            call(0, "a", "one", "{"),
            call(0, "a", "one", "}"),
            call(1, "b", "two", '{"x"'),
            call(1, "b", "", ":1}"),
        ],
        # Each fragment has an id of its own.
        [
            call(0, "a", "one", "{"),
            call(0, "a2", None, "}"),
            call(1, "b", "two", '{"x":1}'),
            call(1, "b2", None, ""),
        ],
        # Not from 0.
        [call(1, "a", "one", "{}"), call(2, "b", "two", '{"x":1}')],
        # Arguments that are no text.
        [call(0, "a", "one", {}), call(1, "b", "two", {"x": 1})],
        # Null instead of an empty text.
        [
            fragment(index=0, id="a", function={"name": "one", "arguments": None}),
            fragment(index=1, id="b", function={"name": "two", "arguments": None}),
            fragment(index=1, id=None, function={"name": None, "arguments": '{"x":1}'}),
        ],
        # Both in one chunk.
        [
            chunk(
                {
                    "tool_calls": [
                        {"index": 0, "id": "a", "function": {"name": "one", "arguments": "{}"}},
                        {
                            "index": 1,
                            "id": "b",
                            "function": {"name": "two", "arguments": '{"x":1}'},
                        },
                    ]
                }
            )
        ],
    ],
)
def test_servers_number_the_fragments_of_calls_in_their_own_ways(fragments: list[Any]) -> None:
    assert items(whole(*fragments, finish("tool_calls"))) == [
        a_call("a", "one", "{}"),
        a_call("b", "two", '{"x":1}'),
    ]


def test_calls_without_ids_and_numbers_are_told_apart_by_their_whole_arguments() -> None:
    said = items(
        whole(
            call(0, "", "tool", '{"x":1}'),
            call(0, "", "tool", '{"x":2}'),
            call(0, "", "tool", ""),
            finish(),
        )
    )
    assert [item["arguments"] for item in said] == ['{"x":1}', '{"x":2}']
    ids = {item["call_id"] for item in said}
    assert len(ids) == 2
    assert all(ids)


def test_a_name_that_is_repeated_in_every_fragment_begins_no_call() -> None:
    said = whole(
        call(0, None, "tool", ""),
        call(0, None, "tool", '{"a":{'),
        call(0, None, "tool", "}}"),
        finish(),
    )
    (item,) = items(said)
    assert item["arguments"] == '{"a":{}}'


def test_arguments_that_look_like_two_are_one() -> None:
    said = whole(call(0, None, "tool", '{"a":"}'), call(0, None, "tool", '{"}'), finish())
    (item,) = items(said)
    assert item["arguments"] == '{"a":"}{"}'


def test_a_call_of_the_older_kind_is_one() -> None:
    said = whole(
        chunk({"function_call": {"name": "tool", "arguments": '{"x"'}}),
        chunk({"function_call": {"arguments": ":1}"}}),
        finish("function_call"),
    )
    (item,) = items(said)
    assert (item["name"], item["arguments"]) == ("tool", '{"x":1}')


def test_a_call_that_says_nothing_is_none() -> None:
    said = whole(text("Done."), fragment(index=0, id="", type="function"), finish("tool_calls"))
    assert items(said) == [a_message("Done.")]


def test_a_call_without_arguments_has_none() -> None:
    assert items(whole(call(0, "a", "tool"), finish("tool_calls"))) == [a_call("a", "tool", "{}")]


def test_broken_arguments_are_given_to_whoever_runs_the_call() -> None:
    said = whole(call(0, "a", "tool", '{"x":'), finish("tool_calls"))
    assert items(said) == [a_call("a", "tool", '{"x":')]


@pytest.mark.parametrize("reason", ["tool_calls", "stop", "function_call", "end_turn"])
def test_calls_count_whatever_the_reason_to_finish_is_called(reason: str) -> None:
    assert items(whole(call(0, "a", "tool", "{}"), finish(reason))) == [a_call("a", "tool", "{}")]


def test_what_comes_behind_the_reason_to_finish_still_counts() -> None:
    said = whole(
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "one"}}]}, "tool_calls"),
        chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "two"}}]}, "tool_calls"),
    )
    assert [item["name"] for item in items(said)] == ["one", "two"]


def test_a_call_that_goes_on_behind_the_reason_to_finish_is_waited_for() -> None:
    said = whole(call(0, "a", "tool", '{"x"'), finish("tool_calls"), call(0, None, None, ":1}"))
    assert items(said) == [a_call("a", "tool", '{"x":1}')]


# Ends.


def test_the_chunk_with_the_usage_is_the_last_one() -> None:
    counts = {"prompt_tokens": 5, "completion_tokens": 2}
    events = new()
    assert read(text("a"), finish(), usage(**counts), events=events)[-1] == ResponseCompleted(
        "c", Usage(5, 2, 7)
    )
    assert events.completed


@pytest.mark.parametrize("reason", ["length", "model_length", "max_tokens"])
def test_an_answer_that_was_cut_off_says_so(reason: str) -> None:
    said = whole(text("Hel"), finish(reason))
    assert items(said) == [a_message("Hel")]
    assert said[-2:] == [ModelNotice(CUT_OFF), evolve(END, is_cut_off=True)]


@pytest.mark.parametrize("arguments", ["", '{"x":', '{"x":1', "3"])
def test_a_call_that_was_cut_off_is_incomplete(arguments: str) -> None:
    said = whole(
        call(0, "a", "one", "{}"),
        call(1, "b", "two", arguments),
        finish("length"),
    )
    assert items(said) == [
        a_call("a", "one", "{}"),
        a_call("b", "two", arguments, status="incomplete"),
    ]
    assert ModelNotice(CUT_OFF) in said


def test_a_content_filter_keeps_the_text_and_fails() -> None:
    events = new()
    told = read(chunk({"reasoning": "Hm"}), text("Hel"), finish("content_filter"), events=events)
    assert items(told) == [a_reasoning("Hm"), a_message("Hel")]
    with pytest.raises(ModelRejected, match="content filter") as raised:
        events.read(DONE)
    assert not raised.value.retryable
    with pytest.raises(ModelRejected, match="content filter"):
        events.end()


def test_a_content_filter_lets_no_call_through() -> None:
    events = new()
    assert read(call(0, "a", "tool", "{}"), finish("content_filter"), events=events) == []
    with pytest.raises(ModelRejected):
        events.end()


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_a_server_that_gives_up_may_be_asked_again(reason: str) -> None:
    with pytest.raises(StreamInterrupted):
        read(text("Hel"), finish(reason))


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        ({"error": {"message": "boom", "type": "server_error"}}, StreamInterrupted, "boom"),
        ({"error": "boom"}, StreamInterrupted, "boom"),
        ({"error": {}}, StreamInterrupted, "failed"),
        ({"error": 3}, StreamInterrupted, "failed"),
        ({"error": {"message": "slow down", "code": 429}, "choices": []}, RateLimited, "slow"),
        ({"error": {"message": "no", "code": 403}}, ModelRejected, "no"),
        ({"error": {"message": "gone", "code": 502}}, ModelError, "gone"),
        (
            {"error": {"message": "over", "code": 400, "type": "exceed_context_size_error"}},
            ContextFull,
            "over",
        ),
        (
            {"object": "error", "message": "bad thing", "type": "BadRequestError", "code": 400},
            ModelRejected,
            "bad thing",
        ),
        (
            chunk({"content": ""}, "error", error={"code": 502, "message": "lost"}),
            ModelError,
            "lost",
        ),
    ],
)
def test_an_error_in_the_stream_is_an_error(data: Any, kind: type[ModelError], words: str) -> None:
    events = new()
    read(text("Hel"), events=events)
    with pytest.raises(kind, match=words):
        events.read(json.dumps(data))


def test_no_error_is_no_error() -> None:
    assert items(whole(chunk({"content": "Hi"}, error=None), finish())) == [a_message("Hi")]


# Usage.


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 9},
            Usage(input_tokens=5, output_tokens=2, total_tokens=9),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 2},
            Usage(input_tokens=5, output_tokens=2, total_tokens=7),
        ),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
            Usage(5, 2, 7, 3, 1),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 4},
            Usage(5, 2, 7, 4),
        ),
        ({"prompt_tokens": 5}, None),
        ({"prompt_tokens": -5, "completion_tokens": True}, None),
        ({}, None),
    ],
)
def test_usage_is_told_where_the_server_counts(counts: Any, expected: Usage | None) -> None:
    assert read(text("a"), finish(), usage(**counts), DONE)[-1] == ResponseCompleted("c", expected)


def test_the_last_usage_counts() -> None:
    counts = {"prompt_tokens": 5, "completion_tokens": 2}
    running = chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1})
    end = read(running, finish(), usage(**counts), chunk({}, usage=None), DONE)[-1]
    assert end == ResponseCompleted("c", Usage(5, 2, 7))


def test_an_answer_without_an_id_has_none() -> None:
    first = {"id": "", "choices": []}
    assert read(first, {"choices": [{"finish_reason": "stop"}]}, DONE) == [
        ResponseCompleted(None, None)
    ]


@pytest.mark.parametrize("call_id", ["a", None])
def test_a_call_that_is_repeated_behind_the_end_is_one_call(call_id: str | None) -> None:
    function = {"name": "shell", "arguments": '{"command":["ls"]}'}
    said = {"tool_calls": [{"index": 0, "id": call_id, "function": function}]}
    again = {"choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}]}
    done = read(chunk(said), finish("tool_calls"), chunk(said, "tool_calls"), again, DONE)
    assert len(items(done)) == 1

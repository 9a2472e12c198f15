"""What Chat Completions servers are asked: messages made from items, and the options."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import a_config, a_prompt, a_provider

from codex_rpc.model.chat_messages import IMAGES, IMAGES_FOLLOW, ORPHAN, messages_of
from codex_rpc.model.chat_request import ChatBody
from codex_rpc.model.http_request import CHUNK_BYTES
from codex_rpc.protocol.items import INTERRUPTED_OUTPUT, Item, text_message, user_message

IMAGE = "data:image/png;base64,AAAA"
IMAGE_PART = {"type": "image_url", "image_url": {"url": IMAGE}}
SYSTEM = {"role": "system", "content": "Be nice."}


def a_message(role: str, *parts: Any) -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": part} if isinstance(part, str) else part for part in parts]
    return Item.from_value({"type": "message", "role": role, "content": content})


def said(text: str) -> Item:
    return a_message("assistant", text)


def a_call(call_id: str, name: str = "shell", arguments: str = "{}", **more: Any) -> Item:
    value = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return Item.from_value(value | more)


def an_output(call_id: str, output: Any = "done", kind: str = "function_call_output") -> Item:
    return Item.from_value({"type": kind, "call_id": call_id, "output": output})


def messages(*items: Item) -> list[dict[str, Any]]:
    """What these become, behind the system's message."""
    first, *rest = messages_of("Be nice.", items)
    assert first == SYSTEM
    return rest


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: str | None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def calling(call_id: str, name: str = "shell", arguments: str = "{}") -> list[dict[str, Any]]:
    function = {"name": name, "arguments": arguments}
    return [{"id": call_id, "type": "function", "function": function}]


def tool(call_id: str, content: str = "done") -> dict[str, Any]:
    return {"role": "tool", "content": content, "tool_call_id": call_id}


# Messages.


def test_a_conversation_is_the_system_the_user_and_the_assistant() -> None:
    assert messages(text_message("hi"), said("hello"), text_message("bye")) == [
        user("hi"),
        assistant("hello"),
        user("bye"),
    ]


def test_without_instructions_there_is_no_system() -> None:
    assert list(messages_of("", [text_message("hi")])) == [user("hi")]


def test_neighbours_of_one_role_are_one_message() -> None:
    told = messages(text_message("a"), a_message("user", "b", "c"), said("d"), said("e"))
    assert told == [user("a\n\nb\n\nc"), assistant("d\n\ne")]


def test_the_parts_of_one_answer_are_one_text() -> None:
    assert messages(a_message("assistant", "Hel", "lo")) == [assistant("Hello")]


def test_a_refusal_is_what_the_assistant_said() -> None:
    refusal = {"type": "refusal", "refusal": "I must not."}
    assert messages(a_message("assistant", refusal)) == [assistant("I must not.")]


def test_a_content_that_is_a_plain_text_is_one() -> None:
    item = Item.from_value({"type": "message", "role": "user", "content": "hi"})
    assert messages(item) == [user("hi")]


@pytest.mark.parametrize("content", [None, [], {}, 3, [None, 3, {}, {"text": 4}], ""])
def test_a_message_that_says_nothing_is_left_out(content: Any) -> None:
    item = Item.from_value({"type": "message", "role": "user", "content": content})
    assert messages(item, said("hello")) == [assistant("hello")]


def test_images_stand_where_they_stood() -> None:
    image = {"type": "input_image", "image_url": IMAGE}
    told = messages(a_message("user", "before", image, "behind"), text_message("more"))
    texts = [{"type": "text", "text": text} for text in ("before", "behind", "more")]
    assert told == [user([texts[0], IMAGE_PART, texts[1], texts[2]])]


@pytest.mark.parametrize("role", ["developer", "system"])
def test_a_developer_belongs_to_the_system_before_all_others_and_then_to_the_user(
    role: str,
) -> None:
    first, second = a_message(role, "one"), a_message(role, "two")
    assert list(messages_of("Be nice.", [first, text_message("hi"), said("hello"), second])) == [
        {"role": "system", "content": "Be nice.\n\none"},
        user("hi"),
        assistant("hello"),
        user("two"),
    ]


def test_what_has_no_place_is_left_out() -> None:
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    others = [reasoning, {"type": "web_search_call", "id": "ws_1"}]
    assert messages(text_message("hi"), *map(Item.from_value, others), text_message("you")) == [
        user("hi\n\nyou")
    ]


# Calls.


def test_a_call_and_its_output_follow_what_was_said_before() -> None:
    arguments = '{"command": ["ls"]}'
    told = messages(said("Let me look."), a_call("a", arguments=arguments), an_output("a"))
    assert told == [
        assistant("Let me look.", tool_calls=calling("a", arguments=arguments)),
        tool("a"),
    ]


def test_reasoning_between_a_text_and_its_call_does_not_part_them() -> None:
    reasoning = Item.from_value({"type": "reasoning", "id": "rs_1", "summary": []})
    told = messages(said("Let me look."), reasoning, a_call("a"), an_output("a"))
    assert told[0] == assistant("Let me look.", tool_calls=calling("a"))


def test_several_calls_are_each_followed_by_their_output() -> None:
    told = messages(a_call("a"), a_call("b"), an_output("b", "B"), an_output("a", "A"))
    assert told == [
        assistant(None, tool_calls=calling("a")),
        tool("a", "A"),
        assistant(None, tool_calls=calling("b")),
        tool("b", "B"),
    ]


def test_a_call_that_was_never_answered_is_answered() -> None:
    assert messages(a_call("a"), text_message("well?")) == [
        assistant(None, tool_calls=calling("a")),
        tool("a", INTERRUPTED_OUTPUT),
        user("well?"),
    ]


def test_an_output_without_its_call_is_told_by_the_user() -> None:
    assert messages(an_output("a", "text"), said("ok")) == [
        user(f"{ORPHAN}\n\ntext"),
        assistant("ok"),
    ]


def test_a_second_output_of_a_call_is_not_lost() -> None:
    told = messages(a_call("a"), an_output("a", "one"), an_output("a", "two"))
    assert told[1:] == [tool("a", "one"), user(f"{ORPHAN}\n\ntwo")]


def test_calls_of_one_id_have_an_output_each() -> None:
    told = messages(a_call("a"), an_output("a", "one"), a_call("a"), an_output("a", "two"))
    assert [m["content"] for m in told] == [None, "one", None, "two"]
    assert messages(a_call("a"), a_call("a"), an_output("a", "one"), an_output("a", "two")) == told


def test_an_id_that_openai_would_refuse_is_made_shorter_in_the_call_and_its_output() -> None:
    ids = [f"chatcmpl-tool-{n:032}" for n in range(2)]
    items = [item for i in ids for item in (a_call(i), an_output(i, i))]
    first, answer, second, _ = told = messages(*items)
    sent = [message["tool_calls"][0]["id"] for message in (first, second)]
    assert sent[0] != sent[1]
    assert max(map(len, sent)) <= 40
    assert answer == tool(sent[0], ids[0])
    assert messages(*items) == told


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("mcp__files__read-1", "mcp__files__read-1"),
        ("functions.shell", "functions_shell"),
        ("größe lesen", "gr__e_lesen"),
        ("x" * 70, "x" * 64),
    ],
)
def test_a_name_that_openai_would_refuse_is_made_valid(name: str, sent: str) -> None:
    call, _ = messages(a_call("a", name))
    assert call["tool_calls"] == calling("a", sent)


def test_a_call_without_an_id_is_given_one() -> None:
    item = Item.from_value({"type": "function_call", "name": "shell", "arguments": "{}"})
    call, answer = messages(item)
    assert call["tool_calls"][0]["id"] == answer["tool_call_id"] != ""


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{ "a": 1 }', '{ "a": 1 }'),
        ("", "{}"),
        ('{"a":', '{"arguments":"{\\"a\\":"}'),
        ("[1]", '{"arguments":"[1]"}'),
        (None, "{}"),
    ],
)
def test_arguments_are_always_an_object(arguments: Any, sent: str) -> None:
    (call, _) = messages(a_call("a", arguments=arguments))
    assert call["tool_calls"] == calling("a", arguments=sent)


def test_the_models_own_shell_is_ours() -> None:
    action = {
        "type": "exec",
        "command": ["ls"],
        "timeout_ms": 5,
        "working_directory": "/x",
        "env": {"A": "b"},
        "user": None,
    }
    item = Item.from_value({"type": "local_shell_call", "id": "ls_1", "action": action})
    call, answer = messages(item, an_output("ls_1"))
    function = call["tool_calls"][0]["function"]
    assert function["name"] == "shell"
    assert json.loads(function["arguments"]) == {
        "command": ["ls"],
        "timeout": 5,
        "workdir": "/x",
        "env": {"A": "b"},
    }
    assert answer == tool("ls_1")


def test_a_tool_with_a_free_text_has_an_input() -> None:
    value = {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": "*** x"}
    told = messages(Item.from_value(value), an_output("a", "ok", "custom_tool_call_output"))
    assert told == [
        assistant(None, tool_calls=calling("a", "apply_patch", '{"input":"*** x"}')),
        tool("a", "ok"),
    ]


def test_the_images_of_an_output_follow_it() -> None:
    image = {"type": "input_image", "image_url": IMAGE}
    text = {"type": "input_text", "text": "a.png"}
    told = messages(a_call("a"), an_output("a", [text, image]), text_message("nice"))
    parts = [{"type": "text", "text": IMAGES}, IMAGE_PART, {"type": "text", "text": "nice"}]
    assert told[1:] == [tool("a", "a.png"), user(parts)]
    assert messages(a_call("a"), an_output("a", [image]))[1] == tool("a", IMAGES_FOLLOW)


@pytest.mark.parametrize(
    ("output", "sent"),
    [("", ""), ([], ""), ({"content": "x"}, '{"content":"x"}'), (None, "null")],
)
def test_an_output_of_any_shape_is_a_text(output: Any, sent: str) -> None:
    assert messages(a_call("a"), an_output("a", output))[1] == tool("a", sent)


# Any history.

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
images = st.just({"type": "input_image", "image_url": IMAGE})


@st.composite
def blocks(draw: st.DrawFn) -> list[Item]:
    """Items that belong together: after them no call waits for its output."""
    match draw(st.integers(0, 5)):
        case 0:
            parts = draw(st.lists(texts | images, min_size=1, max_size=3))
            return [a_message(draw(st.sampled_from(["user", "developer"])), *parts)]
        case 1:
            return [said(draw(texts))]
        case 2:
            reasoning = {"type": "reasoning", "summary": [], "id": "rs"}
            return [Item.from_value(reasoning)]
        case 3:
            return [an_output("gone", draw(texts))]
        case _:
            ids = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True))
            calls = [a_call(i, draw(texts), draw(texts)) for i in ids]
            answered = draw(st.permutations(ids))
            outputs = [
                an_output(i, draw(texts | st.lists(images, min_size=1, max_size=2)))
                for i in answered
            ]
            if draw(st.booleans()):
                return [*calls, *outputs]
            by_id = {output.call_id: output for output in outputs}
            return [item for call in calls for item in (call, by_id[call.call_id])]


def parts_of(item: Item) -> list[str]:
    """What an item says, in pieces that have to arrive."""
    value = item.value()
    content = value.get("content", value.get("output"))
    if isinstance(content, str):
        return [content]
    return [p.get("text") or p["image_url"] for p in content or []]


def texts_in(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, list):
        return "\n".join(p.get("text") or p["image_url"]["url"] for p in content)
    return content or ""


@settings(deadline=None, max_examples=100)
@given(st.lists(blocks(), max_size=8), st.booleans())
def test_of_any_history_nothing_is_lost_and_every_call_is_answered_at_once(
    history: list[list[Item]], torn: bool
) -> None:
    items = [item for block in history for item in block]
    if torn:
        # As after a crash.
        items = items[: len(items) // 2]
    told = list(messages_of("Be nice.", items))
    everything = "\n".join(map(texts_in, told))
    for item in items:
        if item.kind != "reasoning":
            assert all(part in everything for part in parts_of(item))
    called = 0
    for n, message in enumerate(told):
        if message.get("tool_calls"):
            (call,) = message["tool_calls"]
            assert told[n + 1]["role"] == "tool"
            assert told[n + 1]["tool_call_id"] == call["id"]
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
            called += 1
        if message["role"] == "tool":
            assert told[n - 1].get("tool_calls")
    assert called == sum(item.is_call for item in items)
    spoken = [m["role"] for m in told if m["role"] != "tool" and not m.get("tool_calls")]
    assert spoken.count("system") == 1
    for before, after in pairwise(told):
        assert before["role"] != after["role"] or before.get("tool_calls")


def extends(before: Any, after: Any) -> bool:
    """Whether the message `after` says what `before` does, and perhaps more behind it."""
    more = {key: value for key, value in after.items() if key not in ("role", "content")}
    rest = {key: value for key, value in before.items() if key not in ("role", "content")}
    return (
        before["role"] == after["role"]
        and (rest in ({}, more))
        and texts_in(after).replace("\n\n", "\n").startswith(texts_in(before).replace("\n\n", "\n"))
    )


@settings(deadline=None, max_examples=100)
@given(st.lists(blocks(), min_size=1, max_size=8), st.data())
def test_a_history_that_grows_changes_the_last_message_only(
    history: list[list[Item]], data: st.DataObject
) -> None:
    size = data.draw(st.integers(0, len(history)))
    before = list(messages_of("Be nice.", [item for block in history[:size] for item in block]))
    after = list(messages_of("Be nice.", [item for block in history for item in block]))
    assert after[: len(before) - 1] == before[:-1]
    assert extends(before[-1], after[len(before) - 1])


# The body.


def chunks_of(body: ChatBody) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [chunk async for chunk in body]

    return anyio.run(collect)


def parsed(items: Sequence[Item] | None = None, **settings: Any) -> dict[str, Any]:
    config = a_config(settings.pop("provider", None), **settings.pop("config", {}))
    content = b"".join(chunks_of(ChatBody(config, a_prompt(items, **settings))))
    body: dict[str, Any] = json.loads(content)
    return body


@settings(deadline=None, max_examples=50)
@given(
    history=st.lists(blocks(), max_size=6),
    instructions=st.text(st.characters(exclude_categories=["Cs"])),
    pad=st.integers(0, 3 * CHUNK_BYTES),
)
def test_the_body_is_json_and_as_long_as_it_says(
    history: list[list[Item]], instructions: str, pad: int
) -> None:
    items = [item for block in history for item in block]
    items += [text_message("x" * pad), said("y" * pad)]
    body = ChatBody(a_config(), a_prompt(items, instructions=instructions))
    chunks = chunks_of(body)
    assert len(b"".join(chunks)) == body.length
    value = json.loads(b"".join(chunks))
    assert value["messages"] == list(messages_of(instructions, items))
    assert chunks_of(body) == chunks


def test_a_large_body_comes_in_chunks() -> None:
    items = [text_message("x" * 150), said("y" * 150)] * 10_000
    chunks = chunks_of(ChatBody(a_config(), a_prompt(items)))
    assert len(chunks) > 10
    assert max(map(len, chunks)) < CHUNK_BYTES + 1000


def test_nothing_to_say_is_still_a_request() -> None:
    assert parsed([], instructions="")["messages"] == []


def test_a_plain_request_has_exactly_these_members() -> None:
    assert parsed() == {
        "model": "gpt-5",
        "messages": [SYSTEM, user("hi")],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_nothing_is_stored_and_nothing_continued() -> None:
    body = parsed(store=True, previous_response_id="resp_1")
    assert not {"store", "previous_response_id"} & set(body)


def test_tools_are_functions() -> None:
    parameters = {"type": "object", "properties": {}}
    specs: list[dict[str, Any]] = [
        {
            "type": "function",
            "name": "one",
            "description": "First.",
            "strict": False,
            "parameters": parameters,
        },
        {"type": "function", "name": "two", "strict": True, "parameters": parameters},
        {"type": "custom", "name": "three", "description": "Text.", "format": {"type": "text"}},
        {"type": "local_shell"},
        {"type": "web_search"},
    ]
    body = parsed(tools=specs)
    assert body["tool_choice"] == "auto"
    assert all(tool["type"] == "function" for tool in body["tools"])
    one, two, three, shell = [tool["function"] for tool in body["tools"]]
    assert one == {"name": "one", "description": "First.", "parameters": parameters}
    assert two == {"name": "two", "parameters": parameters, "strict": True}
    assert three["parameters"]["required"] == ["input"]
    assert shell["name"] == "shell"


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("gpt-5", "high", "high"),
        ("gpt-5", None, None),
        ("gpt-4o", "high", None),
        ("x", "low", None),
    ],
)
def test_effort_is_asked_of_models_that_reason(
    model: str, effort: str | None, sent: str | None
) -> None:
    assert parsed(model=model, effort=effort).get("reasoning_effort") == sent


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("mine", "max_tokens"),
        ("oss", "max_tokens"),
        ("openai", "max_completion_tokens"),
        ("azure", "max_completion_tokens"),
    ],
)
def test_the_longest_answer_is_told_only_if_configured(provider: str, name: str) -> None:
    asked = a_provider(id=provider)
    body = parsed(provider=asked, config={"model_max_output_tokens": 100})
    assert body[name] == 100
    assert not {"max_tokens", "max_completion_tokens"} & set(parsed(provider=asked))


def test_images_of_the_user_are_sent() -> None:
    item = user_message([{"type": "input_image", "image_url": IMAGE}])
    assert parsed([item])["messages"][1] == user([IMAGE_PART])

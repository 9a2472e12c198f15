"""The scripted model: what it plays, and where it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import a_config, a_prompt, ask, text_of

from codex_rpc.config.settings import Provider
from codex_rpc.model.script import Failure, Output, Pause, Reasoning, Response, Script, Step, Text
from codex_rpc.model.scripted import ScriptedModel
from codex_rpc.protocol.errors import ModelError, RateLimited, StreamInterrupted
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import Item, call_output, text_message
from codex_rpc.protocol.model import (
    ItemDone,
    ModelEvent,
    Prompt,
    ReasoningDelta,
    ResponseCompleted,
    TextDelta,
    Usage,
)

CALL = Output({"type": "function_call", "name": "shell", "arguments": '{"command":["ls"]}'})


def text(*pieces: str) -> Text:
    return Text(pieces, 0)


def fails(times: int = 1) -> Failure:
    return Failure("interrupted", "gone", None, times)


def model(*responses: Sequence[Step], loop: bool = False) -> ScriptedModel:
    script = Script(tuple(Response(tuple(steps)) for steps in responses), loop)
    return ScriptedModel(a_config(), script)


def done(events: list[ModelEvent]) -> list[Item]:
    return [event.item for event in events if isinstance(event, ItemDone)]


class Conversation:
    """Does what the session loop does: keeps what is done, answers calls, asks again."""

    def __init__(self, model: ScriptedModel) -> None:
        self.model = model
        self.items: list[Item] = [text_message("go")]

    def prompt(self) -> Prompt:
        return a_prompt(self.items)

    async def ask(self, *, stop_after: int | None = None) -> list[ModelEvent]:
        """One request; left after so many events, as a killed process would."""
        seen: list[ModelEvent] = []
        async with self.model.stream(self.prompt()) as events:
            async for event in events:
                if len(seen) == stop_after:
                    break
                seen.append(event)
                if isinstance(event, ItemDone):
                    self.items.append(event.item)
                    if event.item.is_call:
                        self.items.append(call_output(event.item, "done"))
        return seen

    async def said(self) -> str:
        return text_of(await self.ask())


async def test_a_response_is_played_as_a_server_would_stream_it() -> None:
    script = Script(
        (Response((Reasoning((("th", "ink"),), 0), text("a", "b"), CALL), Usage(1, 2, 3)),)
    )
    events = await ask(ScriptedModel(a_config(), script))
    thought, said, call = done(events)
    assert events == [
        ReasoningDelta("rs_1_1", 0, "th"),
        ReasoningDelta("rs_1_1", 0, "ink"),
        ItemDone(thought),
        TextDelta("msg_1_2", "a"),
        TextDelta("msg_1_2", "b"),
        ItemDone(said),
        ItemDone(call),
        ResponseCompleted("resp_1", Usage(1, 2, 3)),
    ]
    assert thought.value()["summary"] == [{"type": "summary_text", "text": "think"}]
    assert said.value()["content"] == [{"type": "output_text", "text": "ab"}]
    assert (said.value()["role"], said.value()["id"]) == ("assistant", "msg_1_2")
    assert (call.call_id, call.value()["id"], call.is_call) == ("call_1_3", "fc_1_3", True)


async def test_each_request_plays_the_next_response_and_the_end_says_so() -> None:
    talk = Conversation(model([text("one"), CALL], [text("two")]))
    assert [await talk.said() for _ in range(4)] == [
        "one",
        "two",
        "The script has ended.",
        "The script has ended.",
    ]
    values = [item.value() for item in talk.items]
    ids = [value["id"] for value in values if "id" in value]
    assert ids == ["msg_1_1", "fc_1_2", "msg_2_1", "msg_3_1", "msg_4_1"]


async def test_a_loop_begins_again_under_new_ids() -> None:
    talk = Conversation(model([CALL], [text("b")], loop=True))
    for _ in range(5):
        await talk.ask()
    calls = [item.call_id for item in talk.items if item.is_call]
    assert calls == ["call_1_1", "call_3_1", "call_5_1"]


async def test_an_empty_script_has_ended() -> None:
    assert text_of(await ask(model(loop=True))) == "The script has ended."


async def test_after_a_restart_the_script_goes_on_where_it_was() -> None:
    responses = ([text("one"), CALL], [text("two")], [text("three")])
    talk = Conversation(model(*responses))
    await talk.ask()
    talk.model = model(*responses)
    assert await talk.said() == "two"
    talk.model = model(*responses)
    assert await talk.said() == "three"


async def test_a_response_that_was_stopped_before_its_first_item_is_played_again() -> None:
    talk = Conversation(model([text("a", "b"), CALL]))
    assert await talk.ask(stop_after=1) == [TextDelta("msg_1_1", "a")]
    assert len(done(await talk.ask())) == 2


async def test_a_response_that_was_stopped_between_items_is_continued() -> None:
    talk = Conversation(model([text("a"), CALL], [text("b")]))
    await talk.ask(stop_after=2)
    talk.model = model([text("a"), CALL], [text("b")])
    assert [item.kind for item in done(await talk.ask())] == ["function_call"]
    assert await talk.said() == "b"


async def test_a_response_that_was_stopped_behind_its_last_item_is_over() -> None:
    responses = ([text("a"), Pause(60_000), fails()], [text("b")])
    talk = Conversation(model(*responses))
    with anyio.move_on_after(0.05):
        await talk.ask()
    talk.model = model(*responses)
    assert await talk.said() == "b"


async def test_an_error_happens_once_and_then_the_script_goes_on_behind_it() -> None:
    talk = Conversation(model([text("a"), fails(), text("b")], [fails()], [text("c")]))
    with pytest.raises(StreamInterrupted, match="gone"):
        await talk.ask()
    assert await talk.said() == "b"
    with pytest.raises(StreamInterrupted):
        await talk.ask()
    assert await talk.said() == "c"


async def test_an_error_behind_the_last_item_ends_its_response() -> None:
    talk = Conversation(model([text("a"), fails()], [text("b")]))
    with pytest.raises(StreamInterrupted):
        await talk.ask()
    assert await talk.said() == "b"


async def test_an_error_can_happen_several_times() -> None:
    talk = Conversation(model([fails(times=3), text("a")]))
    for _ in range(3):
        with pytest.raises(StreamInterrupted):
            await talk.ask()
    assert await talk.said() == "a"


async def test_an_error_tells_what_the_script_says() -> None:
    with pytest.raises(RateLimited, match="slow down") as raised:
        await ask(model([Failure("rate_limited", "slow down", 1500, 1)]))
    assert raised.value.retry_after_s == 1.5


async def test_a_response_without_items_is_played_once() -> None:
    talk = Conversation(model([], [text("b")]))
    assert await talk.ask() == [ResponseCompleted("resp_1", None)]
    assert await talk.said() == "b"


async def test_compaction_does_not_lose_the_place() -> None:
    talk = Conversation(model([text("a")], [text("b")]))
    await talk.ask()
    talk.items = [text_message("summary")]
    assert await talk.said() == "b"


async def test_sessions_do_not_share_a_place() -> None:
    played = model([text("a")], [text("b")])
    other = SessionId("22222222-2222-4222-8222-222222222222")
    assert text_of(await ask(played)) == "a"
    assert text_of(await ask(played, a_prompt(session_id=other))) == "a"


async def test_an_id_that_is_only_quoted_marks_no_place() -> None:
    quoted = text_message('look: "id":"msg_7_1"')
    output = Item.from_value(
        {"type": "function_call_output", "call_id": "c", "output": [{"id": "msg_7_1"}]}
    )
    assert text_of(await ask(model([text("a")]), a_prompt([quoted, output]))) == "a"


async def test_a_raw_item_gets_the_ids_that_it_lacks() -> None:
    raw = [
        Output({"type": "local_shell_call", "action": {}}),
        Output({"type": "mystery", "id": "mine"}),
        Output({"type": "custom_tool_call", "call_id": "mine"}),
    ]
    local, mystery, custom = done(await ask(model(raw)))
    assert (local.call_id, local.value()["id"]) == ("call_1_1", "item_1_1")
    assert mystery.value()["id"] == "mine"
    assert custom.call_id == "mine"


async def test_a_long_text_lets_others_run() -> None:
    ran = anyio.Event()

    async def other() -> None:
        ran.set()

    stream = model([text(*"x" * 1000)]).stream(a_prompt())
    async with anyio.create_task_group() as group, stream as events:
        await anext(events)
        group.start_soon(other)
        for _ in range(500):
            await anext(events)
        assert ran.is_set()


STEPS = st.sampled_from(
    [text("t"), CALL, fails(), fails(times=2), Pause(0), Reasoning((("r",),), 0)]
)
MARKS = {Text: "msg", Output: "fc", Reasoning: "rs"}


@settings(deadline=None, max_examples=100)
@given(
    responses=st.lists(st.lists(STEPS, max_size=4), max_size=4),
    disturbances=st.lists(st.tuples(st.none() | st.integers(0, 6), st.booleans()), max_size=20),
)
def test_however_it_is_stopped_every_item_is_played_once_and_in_order(
    responses: list[list[Step]], disturbances: list[tuple[int | None, bool]]
) -> None:
    async def play() -> list[str]:
        talk = Conversation(model(*responses))
        # In the end it is left alone for long enough.
        for stop_after, restarts in [*disturbances, *[(None, False)] * 40]:
            if restarts:
                talk.model = model(*responses)
            try:
                await talk.ask(stop_after=stop_after)
            except ModelError:
                continue
        return [value["id"] for value in (i.value() for i in talk.items) if "id" in value]

    expected = [
        f"{MARKS[type(step)]}_{n}_{k}"
        for n, steps in enumerate(responses, 1)
        for k, step in enumerate(steps, 1)
        if type(step) in MARKS
    ]
    played = anyio.run(play)
    assert played[: len(expected)] == expected
    rest = played[len(expected) :]
    assert rest
    assert rest == [f"msg_{len(responses) + n}_1" for n in range(1, len(rest) + 1)]


def test_settings_come_from_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("response = []")
    provider = Provider(id="scripted", name="Scripted", script=path, stream_max_retries=2)
    config: Any = a_config(provider, model_context_window=123)
    played = ScriptedModel.from_config(config)
    assert (played.max_retries, played.context_window("m"), played.stores_responses) == (
        2,
        123,
        False,
    )

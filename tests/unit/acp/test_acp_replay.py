"""A saved conversation is told as it was told when it happened."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.acp_client import conversation
from support.acp_schema import check

from codex_rpc.acp.calls import Looks
from codex_rpc.acp.increments import Names
from codex_rpc.acp.replay import Replay
from codex_rpc.acp.updates import SessionUpdates
from codex_rpc.protocol import events as ev
from codex_rpc.protocol.events import Event
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import Item, message_text, part_texts

CWD = Path("/w")
TURN = SubmissionId("t1")
PIXEL = "data:image/png;base64,iVBORw0KGgo="

Update = dict[str, Any]
Value = dict[str, Any]


def replayed(items: Iterable[Value], looks: Looks = Looks()) -> list[Update]:  # noqa: B008
    replay = Replay(CWD, looks)
    updates = [update for n, item in enumerate(items) for update in replay.take(n, item)]
    updates += replay.end()
    for update in updates:
        check("SessionUpdate", update)
    return updates


def message(text: str, item_id: str | None = None) -> Value:
    content = [{"type": "output_text", "text": text}]
    item = {"type": "message", "role": "assistant", "content": content}
    return item if item_id is None else {"id": item_id, **item}


def call(call_id: str, name: str, arguments: Any) -> Value:
    text = json.dumps(arguments)
    return {"type": "function_call", "name": name, "call_id": call_id, "arguments": text}


def output(call_id: str, said: Any) -> Value:
    return {"type": "function_call_output", "call_id": call_id, "output": said}


# What it is made of.


def test_what_the_user_said_and_handed_in_comes_back() -> None:
    content = [
        {"type": "input_text", "text": '<file path="/a">\nx\n</file>'},
        {"type": "input_text", "text": "Look."},
        {"type": "input_image", "image_url": PIXEL},
    ]
    updates = replayed([{"type": "message", "role": "user", "content": content}])
    assert {u["sessionUpdate"] for u in updates} == {"user_message_chunk"}
    assert {u["messageId"] for u in updates} == {"item-0"}
    assert [u["content"]["type"] for u in updates] == ["text", "text", "image"]
    assert updates[2]["content"]["data"] == "iVBORw0KGgo="


def test_messages_thoughts_and_plans() -> None:
    summary = [{"type": "summary_text", "text": text} for text in ("one", "two")]
    updates = replayed(
        [
            {"type": "reasoning", "id": "r1", "summary": summary, "encrypted_content": "x"},
            {"type": "reasoning", "summary": [], "encrypted_content": "x"},
            message("Hello", "m1"),
            message("Hello"),
            message(""),
            call("c1", "update_plan", {"plan": [{"step": "a", "status": "pending"}]}),
            output("c1", "Plan updated"),
        ]
    )
    assert [(u["sessionUpdate"], u.get("messageId")) for u in updates] == [
        ("agent_thought_chunk", "r1.0"),
        ("agent_thought_chunk", "r1.1"),
        ("agent_message_chunk", "m1"),
        ("agent_message_chunk", "item-3"),
        ("plan", None),
    ]


def test_a_refusal_is_what_was_said() -> None:
    refusal = message("") | {"content": [{"type": "refusal", "refusal": "I will not."}]}
    (update,) = replayed([refusal])
    assert update["content"]["text"] == "I will not."


def test_a_call_without_an_answer_was_interrupted() -> None:
    shown, end = replayed([call("c1", "shell", {"command": ["make"]})])
    assert shown["status"] == "pending"
    assert end["status"] == "failed"
    assert end["content"][-1]["content"]["text"] == "interrupted"


def test_the_recorded_output_is_told_to_a_terminal_at_once() -> None:
    told = json.dumps({"output": "a\nb\n", "metadata": {"exit_code": 0, "duration_seconds": 1}})
    items = [call("c1", "shell", {"command": ["make"]}), output("c1", told)]
    shown, text, end = replayed(items, Looks(terminals=True))
    assert shown["content"] == [{"type": "terminal", "terminalId": "c1"}]
    assert text["_meta"] == {"terminal_output": {"terminal_id": "c1", "data": "a\nb\n"}}
    assert end["status"] == "completed"


def test_what_is_not_for_the_user_is_left_out() -> None:
    items: list[Value] = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "message", "role": "system", "content": "x"},
        output("nobody", "x"),
        {"type": "ghost_snapshot"},
        {},
    ]
    assert replayed(items) == []


def test_calls_that_another_program_did_not_name_are_told_apart() -> None:
    searched = {"type": "web_search_call", "action": {"query": "a"}}
    named = {**searched, "id": "ws_1"}
    updates = replayed([searched, searched, named])
    assert [u["toolCallId"] for u in updates] == ["item-0", "item-1", "ws_1"]
    assert {u["status"] for u in updates} == {"completed"}


# Live and loaded.


@frozen
class Said:
    """A message of the model, and how it was cut while it was streamed."""

    text: str
    cuts: Sequence[int]
    has_id: bool


@frozen
class Thought:
    parts: Sequence[str]
    cuts: Sequence[int]


@frozen
class Ran:
    """A command, what it printed and what was noted of it."""

    script: str
    printed: str
    cuts: Sequence[int]
    shown: int
    """How many pieces of it were streamed."""
    note: str
    exit_code: int
    is_asked: bool


@frozen
class Called:
    """Any other call, and the output that it got."""

    name: str
    arguments: Any
    output: Any


Step = Said | Thought | Ran | Called

texts = st.text(max_size=12) | st.text("ab\n`\x1b[1m", min_size=1, max_size=150)
cuts = st.lists(st.integers(0, 150), max_size=4)
patches = st.lists(
    st.sampled_from(["*** Update File: a", "*** Add File: b", "@@", "+x", "-y", " z", ""]),
    max_size=6,
).map(lambda lines: {"input": "\n".join(["*** Begin Patch", *lines, "*** End Patch"])})
outputs = (
    texts
    | st.sampled_from(
        [
            "aborted",
            "err: x",
            "patch rejected by user",
            json.dumps({"output": "done", "metadata": {"exit_code": 0, "duration_seconds": 1}}),
        ]
    )
    | st.just([{"type": "input_image", "image_url": PIXEL}, {"type": "input_text", "text": "a"}])
)
steps = st.one_of(
    st.builds(Said, texts, cuts, st.booleans()),
    st.builds(Thought, st.lists(texts, max_size=3), cuts),
    st.builds(
        Ran,
        st.sampled_from(["make", "cat a", "rg x", "echo " + "long " * 40]),
        texts,
        cuts,
        st.integers(0, 6),
        st.sampled_from(["", "[killed]\n"]),
        st.sampled_from([0, 1, -1]),
        st.booleans(),
    ),
    st.builds(Called, st.just("apply_patch"), patches, outputs),
    st.builds(
        Called,
        st.sampled_from(["shell", "view_image", "files__list", "update_plan"]),
        st.sampled_from(
            [
                {"command": ["ls", "a b"]},
                {"path": "a.png"},
                {"plan": [{"step": "a", "status": "in_progress"}]},
                {},
                [],
            ]
        ),
        outputs,
    ),
)


def pieces(text: str, cuts: Sequence[int]) -> Iterator[str]:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, end in itertools.pairwise(places):
        if start < end:
            yield text[start:end]


def happening(n: int, step: Step) -> Iterator[tuple[Value | None, list[Any]]]:
    """Each item that a step records, and the events behind it; those before it come with None."""
    call_id, item_id = f"c{n}", f"i{n}"
    match step:
        case Said(text, cuts, has_id):
            yield None, [ev.AgentMessageDelta(item_id, piece) for piece in pieces(text, cuts)]
            item = message(text, item_id if has_id else None)
            yield item, [ev.AgentMessage(item_id, message_text(item))]
        case Thought(parts, cuts):
            yield (
                None,
                [
                    ev.AgentReasoningDelta(item_id, part, piece)
                    for part, text in enumerate(parts)
                    for piece in pieces(text, cuts)
                ],
            )
            summary = [{"type": "summary_text", "text": text} for text in parts]
            told = part_texts(summary, "summary_text", "text")
            yield (
                {"type": "reasoning", "id": item_id, "summary": summary},
                [ev.AgentReasoning(item_id, part, text) for part, text in enumerate(told)],
            )
        case Ran():
            argv = ["bash", "-lc", step.script]
            item = call(call_id, "shell", {"command": argv})
            events: list[Any] = [ev.ItemRecorded(Item.from_value(item))]
            if step.is_asked:
                events.append(
                    ev.ExecApprovalRequest(call_id, argv, "/w", sandbox="none", network=True)
                )
            events.append(ev.ExecCommandBegin(call_id, argv, "/w"))
            shown = list(pieces(step.printed, step.cuts))[: step.shown]
            events += [ev.ExecCommandOutputDelta(call_id, "stdout", piece) for piece in shown]
            yield item, events
            metadata = {"exit_code": step.exit_code, "duration_seconds": 0.1}
            told = json.dumps({"output": step.printed + step.note, "metadata": metadata})
            item = output(call_id, told)
            end = ev.ExecCommandEnd(call_id, step.printed, "", step.exit_code, ev.Duration(0, 0))
            yield item, [ev.ItemRecorded(Item.from_value(item)), end]
        case Called(name, arguments, came_back):
            for item in (call(call_id, name, arguments), output(call_id, came_back)):
                yield item, [ev.ItemRecorded(Item.from_value(item))]


def numbered(updates: Iterable[Update]) -> list[Update]:
    """With the ids of messages in place of which a file may have none."""
    names: dict[str, str] = {}
    return [
        u | {"messageId": names.setdefault(u["messageId"], f"message {len(names)}")}
        if "messageId" in u
        else u
        for u in updates
    ]


@settings(deadline=None, max_examples=150)
@given(st.lists(steps, max_size=6), st.booleans())
@example([Thought(["one", "two"], [1])], False)
@example([Called("shell", {"command": ["ls"]}, "exec command rejected by user")], True)
def test_a_loaded_session_tells_what_was_told_live(story: list[Step], in_terminals: bool) -> None:
    looks = Looks(terminals=in_terminals)
    live = SessionUpdates(
        cwd=lambda: CWD,
        looks=looks,
        has_title=True,
        names=Names(0, lambda: True),
        now=lambda: datetime.now(UTC),
    )
    items: list[Value] = []
    updates = [*live.of(Event(TURN, ev.TaskStarted(100)))]
    for n, step in enumerate(story):
        for item, msgs in happening(n, step):
            if item is not None:
                items.append(item)
            for msg in msgs:
                updates += live.of(Event(TURN, msg))
                if isinstance(msg, ev.ExecApprovalRequest):
                    check("ToolCallUpdate", {"toolCallId": msg.call_id} | live.described(msg))
    updates += live.of(Event(TURN, ev.TaskComplete(None)))
    for update in updates:
        check("SessionUpdate", update)
    loaded = replayed(items, looks)
    assert numbered(conversation(loaded)) == numbered(conversation(updates))

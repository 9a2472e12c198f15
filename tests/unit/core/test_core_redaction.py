"""Secrets that are known by their value."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from support.driving import messages, next_of, says, until_closing
from support.fakes import World, call, calling, message, saying

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.redaction import MASK, Redactor
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.ids import CallId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import ItemDone, ResponseCompleted, TextDelta
from codex_rpc.protocol.params import ConfigureParams
from codex_rpc.protocol.tools import ToolHost, ToolOutcome

SECRET = "sk-0123456789abcdef"


@pytest.fixture
async def session(world: World, manager: SessionManager) -> Session:
    world.config = evolve(world.config, secrets=(SECRET,))
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    await next_of(session, ev.SessionConfigured)
    return session


async def test_a_pasted_key_is_masked_before_it_is_kept_sent_or_announced(
    world: World, session: Session
) -> None:
    await session.submit(says(f"use {SECRET}, please"))
    seen = await until_closing(session)
    (told,) = messages(seen, ev.UserMessage)
    assert told.items == [ops.TextInput(f"use {MASK}, please")]
    assert world.model.sent()[0]["content"][0]["text"] == f"use {MASK}, please"
    assert SECRET not in str(world.store.logs[session.id].records)


async def test_what_a_command_prints_is_masked_also_across_its_pieces(
    world: World, session: Session
) -> None:
    async def prints(item: Item, host: ToolHost) -> ToolOutcome:
        id_ = item.call_id or ""
        await host.announce(ev.ExecCommandBegin(id_, ["env"], "/"))
        for chunk in ("KEY=", SECRET[:7], SECRET[7:], "\nsk-0", "12"):
            await host.announce(ev.ExecCommandOutputDelta(id_, "stdout", chunk))
        text = f"KEY={SECRET}\nsk-012"
        end = ev.ExecCommandEnd(id_, text, "", 0, ev.Duration(0, 0))
        return ToolOutcome(text, (end,))

    world.tools.handler = prints
    world.model.responses = [calling(call("c", arguments=f'{{"k":"{SECRET}"}}'))]
    await session.submit(says("go"))
    seen = await until_closing(session)
    shown = "".join(d.chunk for d in messages(seen, ev.ExecCommandOutputDelta))
    assert shown == f"KEY={MASK}\nsk-012"
    (end,) = messages(seen, ev.ExecCommandEnd)
    assert end.stdout == shown
    sent_call, output = world.model.sent()[1:3]
    assert output["output"] == shown
    # What the model said to a tool has to come back to it as it was.
    assert SECRET in sent_call["arguments"]


async def test_what_the_model_says_is_masked_and_its_deltas_make_the_message(
    world: World, session: Session
) -> None:
    said = f"your key is {SECRET}."
    deltas = [TextDelta("m", said[i : i + 3]) for i in range(0, len(said), 3)]
    world.model.responses = [
        [*deltas, ItemDone(message(said, "m")), ResponseCompleted("r", None)],
        saying("sk-0"),
    ]
    await session.submit(says("go"))
    seen = await until_closing(session)
    (told,) = messages(seen, ev.AgentMessage)
    assert told.message == f"your key is {MASK}."
    assert "".join(d.delta for d in messages(seen, ev.AgentMessageDelta)) == told.message
    await session.submit(says("again"))
    seen = await until_closing(session)
    assert "".join(d.delta for d in messages(seen, ev.AgentMessageDelta)) == "sk-0"


async def test_redaction_can_be_switched_off(world: World, manager: SessionManager) -> None:
    history = evolve(world.config.history, redact=False)
    world.config = evolve(world.config, secrets=(SECRET,), history=history)
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    await session.submit(says(SECRET))
    await until_closing(session)
    assert world.model.sent()[0]["content"][0]["text"] == SECRET


async def test_the_message_history_is_masked(world: World, session: Session) -> None:
    await session.submit(ops.AddToHistory(f"my {SECRET}"))
    await session.submit(ops.Shutdown())
    await next_of(session, ev.ShutdownComplete)
    assert [entry.text for entry in world.history.entries] == [f"my {MASK}"]


def test_a_secret_in_escaped_json_is_found() -> None:
    raw = SECRET.replace("s", "\\u0073", 1)
    line = f'{{"type":"message","content":[{{"type":"input_text","text":"{raw}"}}]}}'.encode()
    item = Redactor([SECRET]).item(Item(line, "message"))
    assert item.value()["content"][0]["text"] == MASK


def test_an_image_and_an_encrypted_text_stay_as_they_are() -> None:
    content = [{"type": "input_image", "image_url": f"data:{SECRET}"}]
    picture = Item.from_value({"type": "message", "content": content})
    thought = Item.from_value({"type": "reasoning", "encrypted_content": SECRET})
    redactor = Redactor([SECRET])
    assert redactor.item(picture) == picture
    assert redactor.item(thought) is thought
    output = Item(b"{}", "function_call_output", CallId("c"))
    assert redactor.item(output) is output


_pieces = st.lists(st.text("abc", max_size=6), max_size=12)


@settings(deadline=None, max_examples=200)
@given(
    secrets=st.lists(st.text("abc", min_size=2, max_size=5), min_size=1, max_size=3), pieces=_pieces
)
def test_pieces_give_no_secret_away_and_lose_nothing(secrets: list[str], pieces: list[str]) -> None:
    stream = Redactor(secrets).stream()
    shown = "".join(stream.feed(piece) for piece in pieces) + stream.rest()
    assert not any(secret in part for secret in secrets for part in shown.split(MASK))
    if not any(secret in "".join(pieces) for secret in secrets):
        assert shown == "".join(pieces)

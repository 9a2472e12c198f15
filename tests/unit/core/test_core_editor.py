"""What the editor shows: mentions, selections and answers to patches that were reviewed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.driving import as_text, messages, next_of, says, until_closing
from support.fakes import World, call, calling, saying

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.errors import InvalidState
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.params import ConfigureParams
from codex_rpc.protocol.tools import Review, ToolHost, ToolOutcome
from codex_rpc.protocol.workspace import NoEditor

REQUEST = ev.ApplyPatchApprovalRequest(
    "c1", {}, files={"/a.py": ev.ProposedFile("old\n", "new\n", 3)}
)


def lines(first: int, last: int, character: int = 0) -> ops.Range:
    return ops.Range(ops.Position(first, 0), ops.Position(last, character))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (ops.MentionInput("a.py"), '<file path="a.py">\nwhole\n</file>'),
        (
            ops.MentionInput("a.py", lines(1, 3, 2)),
            '<file path="a.py" lines="2-4">\n1:3 of whole\n</file>',
        ),
        (
            # It ends before the first character of the fourth line.
            ops.SelectionInput("/b c.py", lines(0, 3), "chosen"),
            '<selection path="/b c.py" lines="1-3">\nchosen\n</selection>',
        ),
        (
            ops.SelectionInput("a.py", lines(2, 2)),
            '<selection path="a.py" lines="3-3">\n2:2 of whole\n</selection>',
        ),
        (ops.MentionInput('"<x>'), '[file not attached: cannot read /"<x>]'),
    ],
)
async def test_the_model_is_given_the_text_that_the_user_points_at(
    world: World, session: Session, given: ops.InputItem, told: str
) -> None:
    world.tools.texts = {"/a.py": "whole\n"}
    await session.submit(ops.UserInput([ops.TextInput("look: "), given]))
    seen = await until_closing(session)
    assert [as_text(item) for item in world.model.sent()] == [f"look: {told}"]
    problems = [m.message for m in messages(seen, ev.BackgroundEvent)]
    assert problems == (['cannot read /"<x>'] if "not attached" in told else [])
    # What the user sees again is what they handed in.
    (user_message,) = messages(seen, ev.UserMessage)
    assert user_message.items[1] == given


async def test_the_answer_to_a_reviewed_patch_reaches_the_tool_whole(
    world: World, session: Session
) -> None:
    answers: list[Review] = []

    async def review(item: Item, host: ToolHost) -> ToolOutcome:
        answers.append(await host.review(REQUEST))
        answers.append(await host.review(REQUEST))
        return ToolOutcome("done")

    world.tools.handler = review
    world.model.responses = [calling(call("c1")), saying("ok")]
    await session.submit(says("go"))
    first = await next_of(session, ev.ApplyPatchApprovalRequest)
    assert first == REQUEST
    with pytest.raises(InvalidState):
        await session.submit(ops.ExecApproval("c1", "approved"))
    await session.submit(
        ops.PatchApproval("c1", "approved", edited={"/a.py": "mine\n"}, hunks={"/b.py": [0, 2]})
    )
    second = await next_of(session, ev.ApplyPatchApprovalRequest)
    assert second.call_id == "c1#2"
    await session.submit(ops.PatchApproval("c1#2", "denied"))
    await until_closing(session)
    assert answers == [
        Review("approved", {"/a.py": "mine\n"}, {"/b.py": [0, 2]}),
        Review("denied"),
    ]


async def test_sessions_are_given_the_editor_of_their_client(
    world: World, manager: SessionManager
) -> None:
    editor = manager.workspace = NoEditor()
    opened = await manager.configure(ConfigureParams(cwd="/"))
    assert world.workspace is editor
    world.workspace = NoEditor()
    await opened.session.submit(ops.ConfigureSession(cwd=str(Path("/"))))
    await next_of(opened.session, ev.SessionConfigured)
    await next_of(opened.session, ev.SessionConfigured)
    assert world.workspace is editor

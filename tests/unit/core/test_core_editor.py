"""What the editor shows: mentions, selections and answers to patches that were reviewed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from support.driving import as_text, messages, next_of, says, until_closing
from support.fakes import World, call, calling, saying

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.session import Session
from codex_rpc.protocol import events as ev
from codex_rpc.protocol import ops
from codex_rpc.protocol.converter import structure
from codex_rpc.protocol.errors import InvalidParams, InvalidState
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.params import ConfigureParams
from codex_rpc.protocol.tools import Review, ToolHost, ToolOutcome
from codex_rpc.protocol.workspace import NoEditor

REQUEST = ev.ApplyPatchApprovalRequest(
    "c1",
    {
        "/a.py": ev.FileChange(update=ev.UpdateFile("@@ -1 +1 @@\n-old\n+new\n", None)),
        "/b.py": "delete",
    },
    files={"/a.py": ev.ProposedFile("old\n", "new\n", 3)},
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


@pytest.mark.parametrize("place", ["start.line", "end.character"])
def test_a_place_before_the_first_one_makes_no_sense(place: str) -> None:
    range_: dict[str, Any] = {
        end: {"line": 1, "character": 1} | {p.split(".")[1]: -1 for p in [place] if end in p}
        for end in ("start", "end")
    }
    item = {"type": "mention", "path": "a.py", "range": range_}
    with pytest.raises(InvalidParams) as raised:
        structure({"type": "user_input", "items": [item]}, ops.Op)
    assert raised.value.path == f"items[0].range.{place}"


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
        ops.PatchApproval("c1", "approved", edited={"/a.py": "mine\n"}, hunks={"/b.py": [0, 0]})
    )
    second = await next_of(session, ev.ApplyPatchApprovalRequest)
    assert second.call_id == "c1#2"
    await session.submit(ops.PatchApproval("c1#2", "denied"))
    await until_closing(session)
    assert answers == [
        Review("approved", {"/a.py": "mine\n"}, {"/b.py": [0, 0]}),
        Review("denied"),
    ]


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"edited": {"/a.PY": ""}}, "op.edited"),
        ({"hunks": {"a.py": [0]}}, "op.hunks"),
        ({"hunks": {"/a.py": [0, 2]}}, "op.hunks"),
        ({"hunks": {"/a.py": [-1]}}, "op.hunks"),
        ({"hunks": {"/new": [1]}}, "op.hunks"),
        # It is shown as changes only.
        ({"edited": {"/new": ""}}, "op.edited"),
    ],
)
async def test_an_answer_that_does_not_fit_the_question_is_refused_and_the_question_stays(
    world: World, session: Session, answer: dict[str, Any], path: str
) -> None:
    decisions: list[str] = []

    async def review(item: Item, host: ToolHost) -> ToolOutcome:
        decisions.append((await host.review(request)).decision)
        return ToolOutcome("done")

    diff = "@@ -1 +1 @@\n-a\n+b\n@@ -9 +9 @@\n-@@ x\n+@@ y\n"
    changes: ev.Changes = {
        "/a.py": ev.FileChange(update=ev.UpdateFile(diff, None)),
        "/new": ev.FileChange(add=ev.AddFile("@@ z\n@@ z\n")),
    }
    request = evolve(REQUEST, changes=changes)
    world.tools.handler = review
    world.model.responses = [calling(call("c1")), saying("ok")]
    await session.submit(says("go"))
    await next_of(session, ev.ApplyPatchApprovalRequest)
    with pytest.raises(InvalidParams) as raised:
        await session.submit(ops.PatchApproval("c1", "approved", **answer))
    assert raised.value.path == path
    await session.submit(
        ops.PatchApproval("c1", "approved", {"/a.py": ""}, {"/a.py": [1, 0, 1], "/new": [0]})
    )
    await until_closing(session)
    assert decisions == ["approved"]


async def test_who_was_shown_no_texts_cannot_edit_them_but_say_no(
    world: World, session: Session
) -> None:
    async def review(item: Item, host: ToolHost) -> ToolOutcome:
        return ToolOutcome(await host.ask(evolve(REQUEST, files=None)))

    world.tools.handler = review
    world.model.responses = [calling(call("c1")), saying("ok")]
    await session.submit(says("go"))
    await next_of(session, ev.ApplyPatchApprovalRequest)
    with pytest.raises(InvalidParams):
        await session.submit(ops.PatchApproval("c1", "approved", edited={"/a.py": ""}))
    await session.submit(ops.PatchApproval("c1", "denied", edited={"/a.py": ""}))
    seen = await until_closing(session)
    assert messages(seen, ev.TaskComplete)


async def test_a_secret_in_what_the_user_points_at_is_masked(
    world: World, manager: SessionManager
) -> None:
    world.config = evolve(world.config, secrets=("hush-hush",))
    opened = (await manager.configure(ConfigureParams(cwd="/"))).session
    world.tools.texts = {"/.env": "KEY=hush-hush\n"}
    selected = ops.SelectionInput("a", lines(0, 0, 9), "hush-hush")
    await opened.submit(ops.UserInput([ops.MentionInput(".env"), selected]))
    seen = await until_closing(opened)
    told = "".join(as_text(item) for item in world.model.sent())
    assert "KEY=[redacted]" in told
    assert "hush-hush" not in told
    (message,) = messages(seen, ev.UserMessage)
    assert "hush-hush" not in repr(message)


async def test_a_secret_in_what_the_user_made_of_a_patch_is_masked(
    world: World, manager: SessionManager
) -> None:
    async def apply(item: Item, host: ToolHost) -> ToolOutcome:
        said = "the user changed what you proposed.\n+KEY=hush-hush\n"
        return ToolOutcome(said, (ev.PatchApplyEnd("c1", said, "", success=True),))

    world.config = evolve(world.config, secrets=("hush-hush",))
    session = (await manager.configure(ConfigureParams(cwd="/"))).session
    world.tools.handler = apply
    world.model.responses = [calling(call("c1")), saying("ok")]
    await session.submit(says("go"))
    seen = await until_closing(session)
    (end,) = messages(seen, ev.PatchApplyEnd)
    assert end.stdout.endswith("+KEY=[redacted]\n")
    assert "hush-hush" not in repr(world.model.sent())


async def test_sessions_are_given_the_editor_of_their_client(
    world: World, manager: SessionManager
) -> None:
    editor, asked = NoEditor(), list[str]()

    def workspace_of(session_id: SessionId) -> NoEditor:
        asked.append(session_id)
        return editor

    manager.workspace_of = workspace_of
    opened = await manager.configure(ConfigureParams(cwd="/"))
    assert asked == [opened.session.id]
    assert world.workspace is editor
    world.workspace = NoEditor()
    await opened.session.submit(ops.ConfigureSession(cwd=str(Path("/"))))
    await next_of(opened.session, ev.SessionConfigured)
    await next_of(opened.session, ev.SessionConfigured)
    assert world.workspace is editor

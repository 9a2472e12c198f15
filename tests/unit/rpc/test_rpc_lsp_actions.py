"""Code actions and commands: what is offered, what is done, and in which session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from rpc_support import Client, FakeManager, connected, request, submit, user_input

from codex_rpc.protocol.ops import (
    Interrupt,
    MentionInput,
    Position,
    Range,
    SelectionInput,
    TextInput,
    UserInput,
)

TEXT = "a\n𝄞 = 1\r\nlast"
LITERALS = {"codeActionKind": {"valueSet": ["quickfix", "refactor"]}}
CODE_ACTIONS = {"textDocument": {"codeAction": {"codeActionLiteralSupport": LITERALS}}}
FIRST_LINE = {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}
NOWHERE = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 0}}
DIAGNOSTIC = {
    "range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 2}},
    "message": "undefined name\n𝄞",
    "severity": 2,
    "source": "flakes",
    "code": "F1",
    "data": {"kept": [1]},
}


@asynccontextmanager
async def editor(
    manager: FakeManager, *folders: Path, capabilities: Any = CODE_ACTIONS, **members: Any
) -> AsyncIterator[Client]:
    """A client that has opened `folders`."""
    named = [{"uri": folder.as_uri(), "name": folder.name} for folder in folders]
    async with connected(manager) as client:
        params = {"capabilities": capabilities, "workspaceFolders": named, **members}
        await client.call("initialize", params)
        yield client


def opening(uri: str, text: str = TEXT) -> dict[str, Any]:
    item = {"uri": uri, "languageId": "python", "version": 1, "text": text}
    return {"method": "textDocument/didOpen", "params": {"textDocument": item}}


async def offered(client: Client, range_: Any, *diagnostics: Any, **context: Any) -> Any:
    given = {"diagnostics": list(diagnostics), **context}
    params = {"textDocument": {"uri": "file:///w/a.py"}, "range": range_, "context": given}
    return await client.call("textDocument/codeAction", params)


async def run(client: Client, command: str, **argument: Any) -> Any:
    """The answer to a command, all other messages being passed over."""
    await client.send(request(command, "workspace/executeCommand", executed(command, **argument)))
    while (message := await client.next()) is not None:
        if message.get("id") == command:
            return message.get("result", message.get("error"))
    raise AssertionError("no answer")


def executed(command: str, **argument: Any) -> dict[str, Any]:
    return {"command": command, "arguments": [argument]}


def items_of(manager: FakeManager) -> list[Any]:
    """What the sessions were given, flat."""
    ops = [op for session in manager.live.values() for _, op in session.submitted]
    return [item for op in ops if isinstance(op, UserInput) for item in op.items]


async def test_a_selection_can_be_explained_tested_and_asked_about() -> None:
    async with editor(FakeManager()) as client:
        actions = await offered(client, FIRST_LINE)
    assert [(a["title"], a["kind"], a["command"]["command"]) for a in actions] == [
        ("Codex: Explain", "refactor", "codex.explain"),
        ("Codex: Add tests", "refactor", "codex.addTests"),
        ("Codex: Ask…", "refactor", "codex.ask"),
    ]
    argument = {"uri": "file:///w/a.py", "range": FIRST_LINE}
    assert all(a["command"]["arguments"] == [argument] for a in actions)


async def test_a_diagnostic_can_be_fixed_where_it_is_and_is_handed_on_whole() -> None:
    async with editor(FakeManager()) as client:
        fix, *others = await offered(client, NOWHERE, DIAGNOSTIC)
        selected, *_ = await offered(client, FIRST_LINE, DIAGNOSTIC)
    assert (fix["title"], fix["kind"]) == ("Codex: Fix: undefined name 𝄞", "quickfix")
    assert fix["diagnostics"] == [DIAGNOSTIC]
    (argument,) = fix["command"]["arguments"]
    assert fix["command"]["command"] == "codex.fix"
    assert argument["range"] == DIAGNOSTIC["range"]
    assert argument["diagnostics"] == [DIAGNOSTIC]
    assert selected["command"]["arguments"][0]["range"] == FIRST_LINE
    assert all(a["command"]["arguments"][0]["diagnostics"] == [DIAGNOSTIC] for a in others)


async def test_a_long_message_is_cut_in_the_title() -> None:
    async with editor(FakeManager()) as client:
        fix, *_ = await offered(client, NOWHERE, DIAGNOSTIC | {"message": "m" * 500})
    assert fix["title"] == f"Codex: Fix: {'m' * 59}…"
    assert fix["diagnostics"][0]["message"] == "m" * 500


@pytest.mark.parametrize(
    ("only", "kinds"),
    [
        (["quickfix"], {"quickfix"}),
        (["refactor"], {"refactor"}),
        (["refactor.extract", "source"], set()),
        ([""], {"quickfix", "refactor"}),
    ],
)
async def test_only_kinds_that_are_wanted_are_offered(only: list[str], kinds: set[str]) -> None:
    async with editor(FakeManager()) as client:
        actions = await offered(client, FIRST_LINE, DIAGNOSTIC, only=only)
    assert {action["kind"] for action in actions} == kinds


async def test_without_a_selection_nothing_is_offered_to_who_only_moves_the_cursor() -> None:
    async with editor(FakeManager()) as client:
        assert await offered(client, NOWHERE, triggerKind=2) == []
        assert len(await offered(client, NOWHERE, triggerKind=1)) == 3
        assert len(await offered(client, FIRST_LINE, triggerKind=2)) == 3


async def test_a_client_without_literals_gets_commands() -> None:
    async with editor(FakeManager(), capabilities={}) as client:
        commands = await offered(client, FIRST_LINE, DIAGNOSTIC)
    assert [c["command"] for c in commands] == [
        "codex.fix",
        "codex.explain",
        "codex.addTests",
        "codex.ask",
    ]
    assert all(isinstance(c["arguments"], list) for c in commands)


async def test_a_client_without_lsp_is_offered_nothing() -> None:
    async with connected(FakeManager()) as client:
        result = await client.call("initialize", {})
        assert "executeCommandProvider" not in result["capabilities"]
        error = await client.call("workspace/executeCommand", executed("codex.sessions"))
        assert error["code"] == -32601


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_a_selection_is_said_in_characters_with_the_documents_text(
    encoding: str, tmp_path: Path
) -> None:
    manager = FakeManager()
    file = tmp_path / "a.py"
    file.write_text("on disk it is something else\n")
    width = {"utf-8": 4, "utf-16": 2, "utf-32": 1}[encoding]
    range_ = {
        "start": {"line": 1, "character": width},
        "end": {"line": 2, "character": 2},
    }
    capabilities = {"general": {"positionEncodings": [encoding]}}
    async with editor(manager, tmp_path, capabilities=capabilities) as client:
        await client.send(opening(file.as_uri()))
        await run(client, "codex.explain", uri=file.as_uri(), range=range_)
        selection, text = items_of(manager)
    characters = Range(Position(1, 1), Position(2, 2))
    assert selection == SelectionInput(str(file), characters, " = 1\r\nla")
    assert text == TextInput("Explain this code.")


async def test_a_file_that_is_not_open_is_read(tmp_path: Path) -> None:
    manager = FakeManager()
    file = tmp_path / "ä b.py"
    file.write_bytes(TEXT.encode())
    range_ = {"start": {"line": 9, "character": 9}, "end": {"line": 1, "character": 2}}
    async with editor(manager, tmp_path) as client:
        await run(client, "codex.addTests", uri=file.as_uri(), range=range_)
        selection, _ = items_of(manager)
    # A range that leaves the text, and is the wrong way round, is put right.
    assert selection == SelectionInput(
        str(file), Range(Position(1, 1), Position(2, 4)), " = 1\r\nlast"
    )


async def test_nothing_selected_is_a_mention_of_the_file(tmp_path: Path) -> None:
    manager = FakeManager()
    uri = (tmp_path / "a.py").as_uri()
    async with editor(manager, tmp_path) as client:
        await run(client, "codex.explain", uri=uri, range=NOWHERE, prompt="In French, please.")
        items = items_of(manager)
    assert items == [
        MentionInput(str(tmp_path / "a.py")),
        TextInput("Explain this code.\n\nIn French, please."),
    ]


async def test_a_document_that_is_no_file_is_shown_as_a_whole(tmp_path: Path) -> None:
    manager = FakeManager()
    async with editor(manager, tmp_path) as client:
        await client.send(opening("untitled:New", "x\ny\n"))
        await run(client, "codex.explain", uri="untitled:New", range=NOWHERE)
        selection, _ = items_of(manager)
        assert [str(call.cwd) for _, call in manager.calls] == [str(tmp_path)]
    assert selection == SelectionInput(
        "untitled:New", Range(Position(0, 0), Position(2, 0)), "x\ny\n"
    )


async def test_what_the_editor_reports_is_told_to_the_model(tmp_path: Path) -> None:
    manager = FakeManager()
    uri = (tmp_path / "a.py").as_uri()
    strange: list[Any] = [7, {"message": None}, {"message": "bare", "range": [], "severity": "x"}]
    async with editor(manager, tmp_path) as client:
        await run(client, "codex.fix", uri=uri, diagnostics=[DIAGNOSTIC, *strange])
        _, text = items_of(manager)
    assert text.text == (
        "Fix what is wrong with this code.\n\n"
        "The editor reports:\n"
        "- warning, line 2: undefined name\n  𝄞 (flakes F1)\n"
        "- error: bare"
    )


async def test_what_was_offered_can_be_executed_as_it_came(tmp_path: Path) -> None:
    manager = FakeManager()
    (tmp_path / "a.py").write_text(TEXT)
    uri = (tmp_path / "a.py").as_uri()
    params = {"textDocument": {"uri": uri}, "range": FIRST_LINE}
    async with editor(manager, tmp_path) as client:
        context = {"diagnostics": [DIAGNOSTIC]}
        actions = await client.call("textDocument/codeAction", params | {"context": context})
        answers = []
        for action in actions[:-1]:
            command = action["command"]
            answers.append(await run(client, command["command"], **command["arguments"][0]))
        assert len(items_of(manager)) == 6
    assert len({answer["sessionId"] for answer in answers}) == 1
    assert len({answer["submissionId"] for answer in answers}) == 3


async def test_a_new_session_works_in_the_folder_and_its_events_follow_the_answer(
    tmp_path: Path,
) -> None:
    manager = FakeManager()
    inner = tmp_path / "inner"
    inner.mkdir()
    uri = (inner / "deep" / "a.py").as_uri()
    async with editor(manager, tmp_path, inner) as client:
        answer = await client.call("workspace/executeCommand", executed("codex.explain", uri=uri))
        event = await client.next()
        assert event is not None
        assert event["method"] == "session/event"
        assert event["params"]["sessionId"] == answer["sessionId"]
        assert event["params"]["seq"] == 1
        assert event["params"]["msg"]["type"] == "session_configured"
        (session,) = manager.live.values()
        assert session.cwd == inner
        assert [id_ for id_, _ in session.submitted] == [answer["submissionId"]]


async def test_the_session_of_the_folder_that_was_used_last_goes_on(tmp_path: Path) -> None:
    manager = FakeManager()
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    uri = (ours / "a.py").as_uri()
    async with editor(manager, ours, theirs) as client:
        first = await client.opened(cwd=str(ours / "below"))
        second = await client.opened(cwd=str(ours))
        await client.opened(cwd=str(theirs))
        assert (await run(client, "codex.explain", uri=uri))["sessionId"] == second
        await run(client, "codex.explain", uri=uri, sessionId=first)
        assert (await run(client, "codex.explain", uri=uri))["sessionId"] == first
        manager.end(first)
        assert (await run(client, "codex.explain", uri=uri))["sessionId"] == second
        manager.end(second)
        third = (await run(client, "codex.explain", uri=uri))["sessionId"]
        assert third not in (first, second)
        assert manager.live[third].cwd == ours


async def test_commands_that_come_together_share_the_new_session(tmp_path: Path) -> None:
    manager = FakeManager()
    asked, let_go = anyio.Event(), anyio.Event()

    async def slowly() -> None:
        asked.set()
        await let_go.wait()

    manager.before["configure"] = slowly
    uri = (tmp_path / "a.py").as_uri()
    async with editor(manager, tmp_path) as client:
        params = executed("codex.explain", uri=uri)
        await client.send(*(request(f"c{i}", "workspace/executeCommand", params) for i in range(3)))
        with fail_after(5):
            await asked.wait()
        let_go.set()
        answers = [m for m in await client.some(4) if "id" in m]
    assert [m["id"] for m in answers] == ["c0", "c1", "c2"]
    assert len({m["result"]["sessionId"] for m in answers}) == 1


async def test_folders_that_are_opened_later_count(tmp_path: Path) -> None:
    manager = FakeManager()
    added = tmp_path / "added"
    added.mkdir()
    async with editor(manager, tmp_path) as client:
        change = {"added": [{"uri": added.as_uri(), "name": ""}], "removed": []}
        await client.send(
            {"method": "workspace/didChangeWorkspaceFolders", "params": {"event": change}}
        )
        await run(client, "codex.explain", uri=(added / "deep" / "a.py").as_uri())
        (session,) = manager.live.values()
        assert session.cwd == added


async def test_without_a_folder_the_work_is_done_beside_the_file(tmp_path: Path) -> None:
    manager = FakeManager()
    async with editor(manager) as client:
        await run(client, "codex.explain", uri=(tmp_path / "a.py").as_uri())
        (session,) = manager.live.values()
        assert session.cwd == tmp_path
        inside = (tmp_path / "deep" / "b.py").as_uri()
        answer = await run(client, "codex.explain", uri=inside)
        assert answer["sessionId"] == session.id
        await client.send(opening("untitled:New"))
        error = await run(client, "codex.explain", uri="untitled:New")
        assert (error["code"], error["data"]["path"]) == (-32602, "arguments[0].sessionId")


async def test_the_root_of_an_older_editor_is_its_folder(tmp_path: Path) -> None:
    manager = FakeManager()
    async with editor(manager, rootUri=tmp_path.as_uri()) as client:
        await run(client, "codex.explain", uri=(tmp_path / "deep" / "a.py").as_uri())
        (session,) = manager.live.values()
        assert session.cwd == tmp_path


async def test_the_session_used_last_is_interrupted_or_the_one_that_is_named() -> None:
    manager = FakeManager()
    async with editor(manager) as client:
        error = await run(client, "codex.interrupt")
        assert error["code"] == 1007
        first, second = await client.opened(), await client.opened()
        answer = await run(client, "codex.interrupt")
        assert answer["sessionId"] == second
        assert manager.live[second].submitted == [(answer["submissionId"], Interrupt())]
        assert (await run(client, "codex.interrupt", sessionId=first))["sessionId"] == first
        assert (await run(client, "codex.interrupt", sessionId="other"))["code"] == 1001


async def test_sessions_are_listed_as_ever() -> None:
    manager = FakeManager()
    async with editor(manager) as client:
        expected = await client.call("session/list", {"query": "q", "limit": 3})
        assert await run(client, "codex.sessions", query="q", limit=3) == expected
        asked = [params for name, params in manager.calls if name == "list"]
        assert asked[0] == asked[1]
        bare = {"command": "codex.sessions"}
        await client.send(request("bare", "workspace/executeCommand", bare))
        answer = await client.next()
        assert answer is not None
        assert answer["result"] == expected


@pytest.mark.parametrize(
    ("command", "argument", "path"),
    [
        ("codex.ask", {"uri": "file:///w/a.py"}, "arguments[0].prompt"),
        ("codex.ask", {"uri": "file:///w/a.py", "prompt": " \n"}, "arguments[0].prompt"),
        ("codex.explain", {}, "arguments[0].uri"),
        ("codex.explain", {"uri": "untitled:Gone"}, "arguments[0].uri"),
        ("codex.explain", {"uri": "file:///w/none", "range": FIRST_LINE}, "arguments[0].uri"),
        ("codex.explain", {"uri": "file:///dev/zero", "range": FIRST_LINE}, "arguments[0].uri"),
        ("codex.explain", {"uri": "file:///w/a", "where": 1}, "arguments[0].where"),
        ("codex.explain", {"uri": "file:///w/a", "range": {}}, "arguments[0].range.start"),
        ("codex.interrupt", {"sessionId": 1}, "arguments[0].sessionId"),
        ("codex.sessions", {"limit": 0}, "limit"),
        ("codex.dance", {}, "command"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_opens_no_session(
    command: str, argument: Any, path: str
) -> None:
    manager = FakeManager()
    async with editor(manager) as client:
        error = await run(client, command, **argument)
        assert manager.live == {}
    assert error["code"] == -32602
    assert error["data"]["path"] == path


async def test_asking_without_a_question_says_what_to_give() -> None:
    async with editor(FakeManager()) as client:
        error = await run(client, "codex.ask", uri="file:///w/a.py")
    assert "`prompt`" in error["message"]


async def test_a_command_is_answered_while_a_turn_runs(tmp_path: Path) -> None:
    manager = FakeManager()
    async with editor(manager, tmp_path) as client:
        session = await client.opened(cwd=str(tmp_path))
        await client.send(submit(1, session, user_input("work"), "turn"))
        assert (await client.some(1))[0]["id"] == 1
        uri = (tmp_path / "a.py").as_uri()
        answer = await run(client, "codex.ask", uri=uri, prompt="why?")
        assert answer["sessionId"] == session
        assert items_of(manager)[-1] == TextInput("why?")

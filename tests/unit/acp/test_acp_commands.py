"""Slash commands, built-in ones and the user's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from acp_parts import ConfiguredWorld, configured_world, opened
from support.fakes import FakeTools

from codex_rpc.acp.commands import BUILTIN, SessionCommands, Told
from codex_rpc.acp.custom_prompts import MAX_BYTES, read_custom_prompts
from codex_rpc.acp.settings import SessionSettings
from codex_rpc.protocol.ops import Compact, MentionInput, TextInput, UserInput
from codex_rpc.protocol.tools import TurnContext


class DiffTools(FakeTools):
    """Has one answer to what is not committed."""

    diff = ""

    async def working_diff(self, context: TurnContext) -> str:
        return self.diff


@asynccontextmanager
async def commands(
    tmp_path: Path,
    world: ConfiguredWorld | None = None,
    usage: tuple[int, int | None] | None = None,
) -> AsyncIterator[SessionCommands]:
    world = world or configured_world(tmp_path / "home", 'model = "one"')
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    async with opened(world, folder) as (_, session):
        yield SessionCommands(session, SessionSettings(session), lambda: usage)


def write_prompt(tmp_path: Path, name: str, text: str) -> Path:
    folder = tmp_path / "home" / "prompts"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.md"
    file.write_text(text)
    return file


def text_of(resolved: object) -> str:
    """The one text that the model is given instead."""
    assert isinstance(resolved, UserInput)
    (item,) = resolved.items
    assert isinstance(item, TextInput)
    return item.text


@pytest.mark.parametrize(
    "text",
    ["hello", "", "/", "/ status", "/unknown", "/usr/bin is a folder", "what is /status?", "//x"],
)
async def test_other_prompts_are_left_as_they_are(text: str, tmp_path: Path) -> None:
    async with commands(tmp_path) as it:
        assert await it.resolve([TextInput(text)]) is None


async def test_a_prompt_without_text_is_no_command(tmp_path: Path) -> None:
    async with commands(tmp_path) as it:
        assert await it.resolve([MentionInput("/status")]) is None
        assert await it.resolve([]) is None


async def test_compact_is_an_operation(tmp_path: Path) -> None:
    async with commands(tmp_path) as it:
        assert await it.resolve([TextInput(" /compact \n")]) == Compact()


async def test_status_tells_what_holds_for_the_next_turn(tmp_path: Path) -> None:
    async with commands(tmp_path, usage=(12_345, 200_000)) as it:
        await it._settings.set_mode("full")
        told = await it.resolve([TextInput("/status")])
    assert isinstance(told, Told)
    assert "Model: `one`, served by openai" in told.text
    assert f"Folder: `{tmp_path}/project`" in told.text
    assert "Mode: Full Access" in told.text
    assert "Sandbox: danger-full-access, with network" in told.text
    assert "12,345 of 200,000 (6%)" in told.text


@pytest.mark.parametrize(
    ("usage", "told"), [(None, "Tokens: none yet"), ((7, None), "Tokens: 7"), ((7, 0), "Tokens: 7")]
)
async def test_status_tells_of_tokens_what_is_known(
    usage: tuple[int, int | None] | None, told: str, tmp_path: Path
) -> None:
    async with commands(tmp_path, usage=usage) as it:
        answer = await it.resolve([TextInput("/status")])
    assert isinstance(answer, Told)
    assert f"{told}\n" in answer.text


async def test_review_asks_for_what_is_not_committed_or_for_what_the_user_names(
    tmp_path: Path,
) -> None:
    async with commands(tmp_path) as it:
        usual = text_of(await it.resolve([TextInput("/review")]))
        named = text_of(await it.resolve([TextInput("/review the last commit, $TARGET")]))
    assert usual.startswith("Review the changes in this folder that are not committed yet.")
    assert named.startswith("Review the last commit, $TARGET.")


async def test_init_asks_for_an_agents_file_only_where_there_is_none(tmp_path: Path) -> None:
    async with commands(tmp_path) as it:
        assert "AGENTS.md" in text_of(await it.resolve([TextInput("/init")]))
        (tmp_path / "project" / "AGENTS.md").write_text("rules")
        assert isinstance(await it.resolve([TextInput("/init")]), Told)


async def test_what_comes_with_a_command_goes_with_it(tmp_path: Path) -> None:
    mention = MentionInput("/a")
    async with commands(tmp_path) as it:
        resolved = await it.resolve([TextInput("/review"), mention])
    assert isinstance(resolved, UserInput)
    assert resolved.items[1:] == [mention]


async def test_diff_is_shown_as_a_block_that_nothing_in_it_ends(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home")
    world.tools = tools = DiffTools()
    async with commands(tmp_path, world) as it:
        assert await it.resolve([TextInput("/diff")]) == Told("Everything is committed.")
        tools.diff = "+```\n+text\n"
        assert await it.resolve([TextInput("/diff")]) == Told("````diff\n+```\n+text\n````")


async def test_diff_says_why_there_is_none(tmp_path: Path) -> None:
    async with commands(tmp_path) as it:
        told = await it.resolve([TextInput("/diff")])
    assert isinstance(told, Told)
    assert "is in no repository" in told.text


async def test_all_commands_are_offered_with_what_they_take(tmp_path: Path) -> None:
    write_prompt(tmp_path, "fix", "---\ndescription: Fix it\nargument-hint: '[issue]'\n---\nFix $1")
    write_prompt(tmp_path, "status", "My own status")
    async with commands(tmp_path) as it:
        offered = {command["name"]: command for command in await it.available()}
    assert list(offered) == [*BUILTIN, "fix", "prompts:status"]
    assert offered["fix"] == {
        "name": "fix",
        "description": "Fix it",
        "input": {"hint": "[issue]"},
    }
    assert "input" not in offered["compact"]
    assert all(command["description"] for command in offered.values())


async def test_a_custom_prompt_never_takes_the_place_of_a_built_in_command(tmp_path: Path) -> None:
    write_prompt(tmp_path, "status", "My own status")
    async with commands(tmp_path) as it:
        assert isinstance(await it.resolve([TextInput("/status")]), Told)
        assert text_of(await it.resolve([TextInput("/prompts:status")])) == "My own status"


async def test_a_custom_prompt_is_read_anew_each_time(tmp_path: Path) -> None:
    async with commands(tmp_path) as it:
        assert await it.resolve([TextInput("/fix")]) is None
        write_prompt(tmp_path, "fix", "one")
        assert text_of(await it.resolve([TextInput("/fix")])) == "one"
        write_prompt(tmp_path, "fix", "two")
        assert text_of(await it.resolve([TextInput("/prompts:fix")])) == "two"


@pytest.mark.parametrize(
    ("template", "arguments", "text"),
    [
        ("Fix $ARGUMENTS now", "a  'b c'", "Fix a  'b c' now"),
        ("$2 before $1", "one 'two words'", "two words before one"),
        ("$1 and $3", "one", "one and "),
        ("In $FILE", "FILE=a.py", "In a.py"),
        ("In $FILE: $1", "x FILE='a b' y", "In a b: x"),
        ("echo $HOME", "", "echo $HOME"),
        ("costs $$5 and $5", "", "costs $5 and "),
        ("Fix it.", "the parser", "Fix it.\n\nthe parser\n"),
        ("Fix it.\n", "", "Fix it.\n"),
        ("$1", "it's", "it's"),
        ("$ARGUMENTS", "$1 $ARGUMENTS $$", "$1 $ARGUMENTS $$"),
        ("$ARGUMENTSX", "", "$ARGUMENTSX"),
    ],
)
def test_arguments_go_to_their_places(
    template: str, arguments: str, text: str, tmp_path: Path
) -> None:
    file = write_prompt(tmp_path, "p", template)
    assert read_custom_prompts(file.parent)["p"].filled(arguments) == text


@pytest.mark.parametrize(
    ("text", "description", "hint"),
    [
        ("# Title\nmore", "Title", None),
        ("Fix $1", "Fix $1", "arguments"),
        ('---\r\ndescription: "Quoted: yes"\r\n---\r\nBody', "Quoted: yes", None),
        ("---\nargument-hint: FILE=\n---\nBody $FILE", "Body $FILE", "FILE="),
        ("---\nno end", "---", None),
        ("---\n---\nBody", "Body", None),
    ],
)
def test_a_head_says_what_a_prompt_is_for(
    text: str, description: str, hint: str | None, tmp_path: Path
) -> None:
    prompt = read_custom_prompts(write_prompt(tmp_path, "p", text).parent)["p"]
    assert (prompt.description, prompt.hint) == (description, hint)
    assert "description:" not in prompt.template


def test_files_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    folder = write_prompt(tmp_path, "good", "text").parent
    write_prompt(tmp_path, "two words", "text")
    write_prompt(tmp_path, "empty", "---\ndescription: x\n---\n\n")
    write_prompt(tmp_path, "long", "x" * (MAX_BYTES + 1))
    (folder / "binary.md").write_bytes(b"\xff\xfe")
    (folder / "folder.md").mkdir()
    (folder / "note.txt").write_text("text")
    (folder / "gone.md").symlink_to(folder / "nowhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.md")
    assert list(read_custom_prompts(folder)) == ["good"]
    assert read_custom_prompts(tmp_path / "nowhere") == {}

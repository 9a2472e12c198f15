"""What models are told, pinned whole: a change of a text is seen in review.

`pytest tests/unit/core/test_core_prompts.py --update-golden` writes tests/golden/prompts anew.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve
from support.driving import as_text, says, until_closing
from support.fakes import FakeTools, World, saying

from codex_rpc.core.manager import SessionManager
from codex_rpc.core.prompts import (
    base_instructions,
    compaction_instructions,
    interruption_note,
)
from codex_rpc.core.session import Session
from codex_rpc.protocol import ops
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import Prompt
from codex_rpc.protocol.params import ConfigureParams
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.tools import TurnContext
from codex_rpc.tools.specs import specs_for

PROJECT = Path(__file__).parents[3]
GOLDEN = PROJECT / "tests" / "golden" / "prompts"

HOSTED, SMALL = "gpt-5", "qwen2.5-coder:7b"

WORKSPACE = SandboxPolicy("workspace-write", writable_roots=("/srv/shared",))


class RealSpecs(FakeTools):
    """Tools that are described as the real ones are."""

    def specs(self, context: TurnContext) -> Sequence[dict[str, Any]]:
        return specs_for(context)


@pytest.fixture
def world() -> World:
    world = World(tools=RealSpecs())
    world.config = evolve(world.config, sandbox_policy=WORKSPACE)
    return world


async def opened(manager: SessionManager, model: str) -> Session:
    params = ConfigureParams(cwd="/", model=model)
    return (await manager.configure(params)).session


async def converse(session: Session, *texts: str) -> None:
    for text in texts:
        await session.submit(says(text))
        await until_closing(session)


async def interrupted(world: World, session: Session, text: str) -> None:
    """A turn that is stopped in the middle of its answer."""
    reached = anyio.Event()

    async def hang() -> None:
        reached.set()
        await anyio.sleep_forever()

    world.model.responses = [[hang]]
    await session.submit(says(text))
    with anyio.fail_after(5):
        await reached.wait()
    await session.submit(ops.Interrupt())
    await until_closing(session)


# Every case drives a session, and the last prompt that it sends is pinned.


async def hosted(world: World, manager: SessionManager) -> None:
    world.config = evolve(world.config, user_instructions="Use tabs.")
    await converse(await opened(manager, HOSTED), "Fix the bug.")


async def small(world: World, manager: SessionManager) -> None:
    await converse(await opened(manager, SMALL), "Fix the bug.")


async def compaction(world: World, manager: SessionManager) -> None:
    session = await opened(manager, HOSTED)
    await converse(session, "Fix the bug.")
    world.model.responses = [saying("The bug is fixed.")]
    await session.submit(ops.Compact())
    await until_closing(session)


async def after_compaction(world: World, manager: SessionManager) -> None:
    session = await opened(manager, HOSTED)
    await converse(session, "Fix the bug.")
    world.model.responses = [saying("The bug is fixed.")]
    await session.submit(ops.Compact())
    await until_closing(session)
    await converse(session, "Fix the other one.")


async def after_interruption(world: World, manager: SessionManager) -> None:
    session = await opened(manager, SMALL)
    await interrupted(world, session, "Fix the bug.")
    await converse(session, "Fix the other one.")


CASES = [hosted, small, compaction, after_compaction, after_interruption]


def rendered(prompt: Prompt) -> str:
    """A prompt as text: what is said in it, by whom, and which tools there are."""
    tools = [tool_line(tool) for tool in prompt.tools]
    parts = ["== instructions", prompt.instructions.rstrip("\n")]
    for item in prompt.input:
        parts += [f"== {who(item)}", said(item)]
    return "\n".join([*parts, "== tools", *tools, ""])


def who(item: Item) -> str:
    value = item.value()
    return str(value.get("role", item.kind))


def said(item: Item) -> str:
    value = item.value()
    return as_text(value) if item.kind == "message" else json.dumps(value)


def tool_line(tool: dict[str, Any]) -> str:
    return f"{tool['name']}({', '.join(tool['parameters']['properties'])})"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_what_is_sent_is_what_was_reviewed(
    case: Any, world: World, manager: SessionManager, *, update_golden: bool
) -> None:
    await case(world, manager)
    sent = rendered(world.model.prompts[-1])
    file = GOLDEN / f"{case.__name__}.txt"
    if update_golden:
        file.parent.mkdir(exist_ok=True)
        file.write_text(sent, encoding="utf-8")
    assert sent == file.read_text(encoding="utf-8")


def test_no_pinned_prompt_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == {case.__name__ for case in CASES}


async def test_a_configured_prompt_replaces_ours(world: World, manager: SessionManager) -> None:
    world.config = evolve(world.config, base_instructions="Be a pirate.")
    await converse(await opened(manager, SMALL), "hi")
    assert world.model.prompts[-1].instructions == "Be a pirate."


async def test_a_session_keeps_the_text_that_it_began_with(
    world: World, manager: SessionManager
) -> None:
    session = await opened(manager, HOSTED)
    await session.submit(ops.OverrideTurnContext(model=SMALL))
    await converse(session, "hi")
    assert world.model.prompts[-1].model == SMALL
    assert world.model.prompts[-1].instructions == base_instructions(HOSTED)


# The texts themselves.


def test_the_small_prompt_is_small() -> None:
    small_prompt, prompt = base_instructions(SMALL), base_instructions(HOSTED)
    assert len(small_prompt.encode()) < 2_500
    assert len(small_prompt) < len(prompt) / 2
    assert len(prompt.encode()) < 6_000


@pytest.mark.parametrize("model", [HOSTED, SMALL])
def test_a_prompt_names_only_tools_and_members_that_there_are(model: str) -> None:
    context = TurnContext(
        cwd=Path("/"), model=model, approval_policy="on-request", sandbox_policy=WORKSPACE
    )
    names = set()
    for tool in specs_for(context):
        names |= {tool["name"], *tool["parameters"]["properties"]}
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", base_instructions(model)))
    assert named
    assert named <= names


@pytest.mark.parametrize("model", [HOSTED, SMALL])
def test_the_messages_that_a_prompt_explains_are_those_that_are_sent(model: str) -> None:
    tags = set(re.findall(r"`<(\w+)>`", base_instructions(model)))
    assert tags == {"environment_context", "user_instructions", "interrupted_turn"}


def test_the_texts_are_plain_lines() -> None:
    for file in texts():
        text = file.read_text(encoding="utf-8")
        assert text.isascii(), file.name
        assert text.endswith("\n"), file.name
        assert max(map(len, text.splitlines())) <= 100, file.name
    assert interruption_note() == interruption_note().strip()


def texts() -> list[Any]:
    folder = resources.files("codex_rpc.core.prompts")
    return [file for file in folder.iterdir() if file.name.endswith(".md")]


def test_every_text_is_used() -> None:
    used = {base_instructions(HOSTED), base_instructions(SMALL), compaction_instructions()}
    contents = {file.name: file.read_text(encoding="utf-8") for file in texts()}
    note = contents.pop("interrupted.md")
    assert note.strip() == interruption_note()
    assert set(contents.values()) == used


def test_every_text_is_in_the_wheel() -> None:
    # Hatch takes all of a package but what git ignores or the project's own rules leave out.
    build = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"] == {"packages": ["codex_rpc"]}
    assert set(build) == {"targets"}
    if not (PROJECT / ".git").exists():
        pytest.skip("not in a git checkout: what git ignores cannot be told")
    files = [str(file) for file in texts()]
    ignored = subprocess.run(["git", "check-ignore", *files], cwd=PROJECT, capture_output=True)
    assert ignored.stdout == b""


def test_no_text_is_read_before_it_is_needed() -> None:
    script = (
        "import sys\n"
        "opened = []\n"
        "def watch(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('.md'): opened.append(args[0])\n"
        "sys.addaudithook(watch)\n"
        "import codex_rpc.core.manager, codex_rpc.core.turn\n"
        "from codex_rpc.core.prompts import base_instructions\n"
        "assert opened == [], opened\n"
        "base_instructions('gpt-5'); base_instructions('gpt-4o')\n"
        "print(len(opened))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=20
    )
    assert (done.stdout, done.stderr) == ("1\n", "")

"""Session files that the real Codex programs wrote, and ours as those programs read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.rollout_files import by_path, context, header, load_path, turn, user

from codex_rpc.protocol.items import Item
from codex_rpc.protocol.records import Origin, SavedContext, SessionQuery, StateRecord, TitleRecord
from codex_rpc.rollout.store import RolloutStore

FOLDER = Path(__file__).parents[2] / "golden" / "rollouts"

PLAIN = {
    # The number of items, and of damaged lines.
    "codex-0.8-two_turns": (6, 0),
    "codex-0.20-agents_md": (2, 0),
    "codex-0.20-compact": (6, 0),
    "codex-0.20-denied": (8, 0),
    "codex-0.20-interrupt_command": (3, 0),
    "codex-0.20-local_shell": (6, 0),
    "codex-0.20-mcp": (10, 0),
    "codex-0.20-parallel": (7, 0),
    "codex-0.20-patch_misc": (24, 0),
    "codex-0.20-plain": (2, 0),
    "codex-0.20-reasoning": (5, 0),
    "codex-0.20-resume": (8, 0),
    "codex-0.20-resume_truncated": (7, 1),
    "codex-0.20-shell": (40, 0),
    "codex-0.20-two_turns": (6, 0),
}
ENVELOPED = {
    # The texts of the conversation, from its first to its last message.
    "codex-0.137-plain": ["hi there", "Hello, world!", "again", "second", "third", "third reply"],
    "codex-0.137-allow_once": ["run", "end"],
    "codex-0.169-resume": ["first", "one", "second", "two"],
    "codex-0.169-tools": ["run", "done"],
}


def upstream_items(path: Path) -> tuple[list[dict[str, Any]], int]:
    """As the 0.20 program reads: a header, then every line that is a response item.

    Also how many lines it could not read.
    """
    first, *lines = path.read_bytes().split(b"\n")
    meta = json.loads(first)
    assert isinstance(meta["id"], str)
    assert isinstance(meta["timestamp"], str)
    assert isinstance(meta["instructions"], str | None)
    items = []
    unreadable = 0
    for line in filter(None, lines):
        try:
            value = json.loads(line)
        except ValueError:
            unreadable += 1
            continue
        if "record_type" not in value:
            items.append(value)
    return items, unreadable


@pytest.fixture
def store(tmp_path: Path) -> RolloutStore:
    return RolloutStore(tmp_path / "home", version="9.9")


def test_every_golden_file_is_used() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {*PLAIN, *ENVELOPED}


@pytest.mark.parametrize("name", PLAIN)
async def test_a_file_of_the_codex_cli_opens_with_exactly_its_items(
    store: RolloutStore, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "copy.jsonl"
    shutil.copyfile(FOLDER / f"{name}.jsonl", path)
    items, unreadable = upstream_items(path)
    assert (len(items), unreadable) == PLAIN[name]
    saved, log = await store.open(by_path(path), fsync="turn")
    assert [item.value() for item in saved.items] == items
    assert len(saved.damage) == unreadable
    assert saved.context == SavedContext()
    assert (saved.previous_response_id, saved.seen_item_count) == (None, 0)
    assert saved.interrupted is False
    before = path.read_bytes()
    await log.append([context(), user("and on"), StateRecord("resp_9")])
    await log.close()
    assert path.read_bytes().startswith(before)
    saved, log = await store.open(by_path(path), fsync="turn")
    assert [item.value() for item in saved.items] == [*items, user("and on").value()]
    assert saved.context.model == "gpt-5"
    assert saved.previous_response_id is None
    await log.close()


@pytest.mark.parametrize("name", ENVELOPED)
async def test_a_file_in_todays_format_is_read_and_listed_and_never_altered(
    store: RolloutStore, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "home/sessions/2026/11/22/rollout-x.jsonl"
    path.parent.mkdir(parents=True)
    shutil.copyfile(FOLDER / f"{name}.jsonl", path)
    before = path.read_bytes()
    page = await store.read(by_path(path), cursor=None, limit=99, direction="backward")
    messages = [entry.item for entry in page.items if entry.item["type"] == "message"]
    said = [message["content"][0]["text"] for message in messages]
    assert said == ENVELOPED[name]
    assert page.damage is None
    (row,) = (await store.list(SessionQuery(), live=set())).sessions
    assert (row.origin, row.status, row.cwd) == ("codex", "clean", "{CWD}")
    assert row.preview == said[0]
    assert row.item_count == len(page.items)
    assert row.model
    session, log = await store.open(by_path(path), fsync="turn")
    assert log is None
    assert session.foreign == Origin(id=session.session_id, path=str(path), size=len(before))
    assert [item.value() for item in session.items] == [entry.item for entry in page.items]
    assert (session.damage, session.interrupted) == ((), False)
    assert (session.context.cwd, session.context.model) == ("{CWD}", row.model)
    assert session.context.model_provider == "fake"
    assert session.context.approval_policy in ("on-request", "untrusted", "never")
    assert session.context.sandbox_policy is not None
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["codex-0.137-allow_once", "codex-0.169-tools"])
def test_calls_of_todays_format_come_with_their_outputs(name: str) -> None:
    items = load_path(FOLDER / f"{name}.jsonl").session.items
    calls = [item.call_id for item in items if item.is_call]
    assert len(calls) > 2
    assert calls == [item.call_id for item in items if item.is_output]
    assert {"function_call", "custom_tool_call"} <= {item.kind for item in items}
    # What its writer keeps to itself is in none of its own requests either.
    assert not any(b'"internal_chat' in item.raw for item in items)


async def test_a_file_of_ours_reads_upstream_as_its_items(store: RolloutStore) -> None:
    reasoning = Item.from_value({"type": "reasoning", "summary": [], "encrypted_content": "e"})
    log = await store.create(header(Path("/w"), instructions="i"), [context()], fsync="turn")
    await log.append([turn("started"), user("one")])
    await log.append([reasoning, StateRecord("resp_1")])
    await log.append([TitleRecord("t"), turn("completed")])
    await log.close()
    assert upstream_items(log.path) == ([user("one").value(), reasoning.value()], 0)

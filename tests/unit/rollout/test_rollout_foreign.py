"""Sessions of today's Codex CLI: what of them goes on here."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rollout_files import load_path

from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.items import summary_message
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.records import Damage, Origin, SavedContext, SavedSession
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.pages import read_page
from codex_rpc.rollout.reader import load, reading
from codex_rpc.rollout.summaries import row_of

ID = "01a20422-e779-7460-8b25-47ea37d5da10"
META = {"id": ID, "cwd": "/w", "timestamp": "2026-11-22T16:42:06.079Z", "model_provider": "fake"}


def says(text: str, role: str = "user") -> dict[str, Any]:
    part = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": part, "text": text}]}


def event(kind: str, **members: Any) -> tuple[str, dict[str, Any]]:
    return "event_msg", {"type": kind, **members}


Line = tuple[str, Any] | dict[str, Any] | bytes


def write(path: Path, *lines: Line, ordinals: bool = True, meta: Any = None) -> Path:
    """A session file; an item stands for the line that carries it."""
    written = []
    for number, line in enumerate((("session_meta", meta or META), *lines)):
        if isinstance(line, bytes):
            written.append(line)
            continue
        kind, payload = line if isinstance(line, tuple) else ("response_item", line)
        value = {"timestamp": "2026-11-22T16:42:06.142Z"}
        if ordinals:
            value["ordinal"] = number  # type: ignore[assignment]
        written.append(orjson.dumps({**value, "type": kind, "payload": payload}) + b"\n")
    path.write_bytes(b"".join(written))
    return path


def session_of(path: Path, up_to: int | None = None) -> SavedSession:
    with reading(path) as fd:
        return load(fd, path, read_header(fd, path), up_to=up_to).session


def texts(session: SavedSession) -> list[str]:
    return [item.value()["content"][0]["text"] for item in session.items]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


@pytest.mark.parametrize("ordinals", [True, False])
def test_the_whole_conversation_is_kept(path: Path, ordinals: bool) -> None:
    items = [
        says("hi"),
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA="},
        {"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "c1"},
        {"type": "function_call_output", "call_id": "c1", "output": "out"},
        {"type": "local_shell_call", "id": "lsh_1", "status": "completed", "action": {}},
        {"type": "function_call_output", "call_id": "lsh_1", "output": "out"},
        {"type": "custom_tool_call", "name": "apply_patch", "input": "x", "call_id": "c2"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text"}]},
        {"type": "web_search_call", "status": "completed"},
        {"type": "unheard_of", "field": 1},
        says("bye", "assistant"),
    ]
    session = session_of(write(path, *items, ordinals=ordinals))
    assert [item.value() for item in session.items] == items
    call_ids = [item.call_id for item in session.items]
    assert call_ids[2:8] == ["c1", "c1", "lsh_1", "lsh_1", "c2", "c2"]
    assert (session.session_id, session.damage, session.interrupted) == (ID, (), False)
    assert (session.items_before, session.call_id_suffix) == (0, "")


def test_what_its_writer_told_the_model_in_its_own_name_is_left_out(path: Path) -> None:
    write(
        path,
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "ghost_snapshot", "ghost_commit": {}},
        says("be nice", "developer"),
        says("be nice", "system"),
        says("<environment_context>\n<cwd>/w</cwd>\n</environment_context>"),
        says("  <user_instructions>\n\nbe nice"),
        says("# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nbe nice\n</INSTRUCTIONS>"),
        ("world_state", {"full": True}),
        ("response_item", {"role": "user"}),
        ("response_item", "text"),
        says("hi"),
        event("agent_message", message="hi"),
        ("token_usage_record", {}),
    )
    session = session_of(path)
    assert (texts(session), session.damage) == (["hi"], ())


def test_members_that_its_writer_keeps_to_itself_are_left_out(path: Path) -> None:
    session = session_of(write(path, {**says("hi"), "id": "msg_1", "internal_metadata": {"a": 1}}))
    assert session.items[0].value() == {**says("hi"), "id": "msg_1"}


def test_it_is_told_as_another_programs_with_its_size(path: Path) -> None:
    write(path, says("hi"))
    size = path.stat().st_size
    assert session_of(path).foreign == Origin(id=ID, path=str(path), size=size)


def test_the_repeated_header_of_a_parent_is_skipped(path: Path) -> None:
    parent = ("session_meta", {**META, "id": "01a20422-0000-7460-8b25-47ea37d5da10", "cwd": "/p"})
    session = session_of(write(path, says("hi"), parent, says("bye")))
    assert (session.session_id, session.context.cwd) == (ID, "/w")
    assert (texts(session), session.damage) == (["hi", "bye"], ())


class TestContext:
    def test_that_of_the_last_turn_counts(self, path: Path) -> None:
        old = {"cwd": "/old", "model": "old", "approval_policy": "never"}
        new = {
            "cwd": "/new",
            "model": "gpt-6.1-sol",
            "approval_policy": "on-request",
            "sandbox_policy": {"type": "read-only"},
        }
        write(path, ("turn_context", old), says("hi"), ("turn_context", new), says("bye"))
        assert session_of(path).context == SavedContext(
            cwd="/new",
            model="gpt-6.1-sol",
            model_provider="fake",
            approval_policy="on-request",
            sandbox_policy=SandboxPolicy("read-only"),
        )

    def test_without_one_the_header_says_the_folder(self, path: Path) -> None:
        assert session_of(write(path)).context == SavedContext(cwd="/w", model_provider="fake")

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"mode": "read-only"}, SandboxPolicy("read-only")),
            ({"type": "readOnly"}, SandboxPolicy("read-only")),
            ("read-only", SandboxPolicy("read-only")),
            ({"type": "dangerFullAccess"}, SandboxPolicy("danger-full-access")),
            ({"mode": "danger-full-access"}, SandboxPolicy("danger-full-access")),
            ({"type": "workspace-write"}, SandboxPolicy("workspace-write")),
            (
                {
                    "mode": "workspace-write",
                    "writable_roots": ["/a", "b", 7],
                    "network_access": True,
                    "exclude_slash_tmp": False,
                },
                SandboxPolicy("workspace-write", ("/a",), True),
            ),
            (
                {"type": "workspaceWrite", "writableRoots": ["/a"], "networkAccess": "enabled"},
                SandboxPolicy("workspace-write", ("/a",), True),
            ),
            (
                {"type": "workspace-write", "writable_roots": "/a", "network_access": "restricted"},
                SandboxPolicy("workspace-write"),
            ),
            ({"type": "external-sandbox"}, None),
            ({"mode": 7}, None),
            ({}, None),
            (None, None),
            ([], None),
            (7, None),
        ],
    )
    def test_a_sandbox_policy_is_understood_in_each_form_or_not_told(
        self, path: Path, value: Any, expected: SandboxPolicy | None
    ) -> None:
        context = session_of(write(path, ("turn_context", {"sandbox_policy": value}))).context
        assert context.sandbox_policy == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("untrusted", "untrusted"),
            ("unless-trusted", "untrusted"),
            ("onFailure", "on-failure"),
            ("on-request", "on-request"),
            ("never", "never"),
            ("always", None),
            ({"granular": {}}, None),
            (None, None),
        ],
    )
    def test_an_approval_policy_is_understood_or_not_told(
        self, path: Path, value: Any, expected: str | None
    ) -> None:
        context = session_of(write(path, ("turn_context", {"approval_policy": value}))).context
        assert context.approval_policy == expected


@pytest.mark.parametrize(
    ("events", "interrupted"),
    [
        (["task_started"], True),
        (["task_started", "task_complete"], False),
        (["task_started", "turn_aborted"], True),
        (["task_started", "turn_aborted", "task_started", "task_complete"], False),
        (["turn_started", "turn_complete"], False),
        (["task_started", "token_count"], True),
        ([], False),
    ],
)
def test_a_last_turn_that_was_aborted_or_has_no_end_was_interrupted(
    path: Path, events: list[str], interrupted: bool
) -> None:
    assert session_of(write(path, *map(event, events))).interrupted is interrupted


class TestCompaction:
    def test_a_replacement_history_takes_the_place_of_what_was_before(self, path: Path) -> None:
        kept = {"type": "compaction", "encrypted_content": "gAAA="}
        replacement = [says("be nice", "developer"), says("one"), kept, 7, {"no": "type"}]
        write(
            path,
            says("one"),
            says("two", "assistant"),
            ("compacted", {"message": "", "replacement_history": replacement}),
            says("three"),
        )
        items = [item.value() for item in session_of(path).items]
        assert items == [says("one"), kept, says("three")]

    def test_a_summary_that_is_in_it_is_not_said_twice(self, path: Path) -> None:
        replacement = [says("one"), says("What was done so far:\nall of it")]
        payload = {"message": "all of it", "replacement_history": replacement}
        assert texts(session_of(write(path, says("one"), ("compacted", payload)))) == [
            "one",
            "What was done so far:\nall of it",
        ]

    @pytest.mark.parametrize("more", [{}, {"replacement_history": None}])
    def test_without_one_the_summary_follows_the_users_last_words(
        self, path: Path, more: dict[str, Any]
    ) -> None:
        write(
            path,
            says("x" * 90_000),
            says("one"),
            says("two", "assistant"),
            says("three"),
            ("compacted", {"message": "the summary", **more}),
            says("four"),
        )
        session = session_of(path)
        assert texts(session) == ["one", "three", "the summary", "four"]
        assert session.items[2] == summary_message("the summary")

    def test_pages_show_what_was_before_it(self, path: Path) -> None:
        payload = {"message": "", "replacement_history": [says("sum")]}
        write(path, says("one"), ("compacted", payload), says("two"))
        page = read_page(path, cursor=None, limit=9, direction="backward")
        assert [(e.index, e.item) for e in page.items] == [(0, says("one")), (1, says("two"))]


class TestTakenBackTurns:
    @pytest.mark.parametrize(
        ("turns", "expected"),
        [
            (1, ["one", "1", "bye"]),
            (2, ["bye"]),
            (9, ["bye"]),
            (0, ["one", "1", "two", "2", "bye"]),
            (-1, ["one", "1", "two", "2", "bye"]),
            ("1", ["one", "1", "two", "2", "bye"]),
            (None, ["one", "1", "two", "2", "bye"]),
        ],
    )
    def test_are_no_part_of_the_conversation(
        self, path: Path, turns: Any, expected: list[str]
    ) -> None:
        write(
            path,
            says("<environment_context></environment_context>"),
            says("one"),
            says("1", "assistant"),
            says("two"),
            says("2", "assistant"),
            event("thread_rolled_back", num_turns=turns),
            says("bye"),
        )
        assert texts(session_of(path)) == expected

    def test_before_any_turn_change_nothing(self, path: Path) -> None:
        assert texts(session_of(write(path, event("thread_rolled_back", num_turns=1)))) == []


class TestUpTo:
    def test_items_end_with_the_one_that_pages_show_under_the_index(self, path: Path) -> None:
        payload = {"message": "", "replacement_history": [says("sum")]}
        write(
            path,
            says("<environment_context></environment_context>"),
            says("0"),
            says("1"),
            ("compacted", payload),
            says("2"),
            event("thread_rolled_back", num_turns=1),
            says("3"),
            ("turn_context", {"cwd": "/last"}),
        )
        assert [texts(session_of(path, index)) for index in range(4)] == [
            ["0"],
            ["0", "1"],
            ["sum", "2"],
            ["sum", "3"],
        ]
        assert session_of(path, 0).context.cwd == "/last"
        for index in (-1, 4):
            with pytest.raises(InvalidParams):
                session_of(path, index)


class TestDamage:
    def test_is_told_and_costs_only_itself(self, path: Path) -> None:
        write(path, says("one"), b"bad\n", b"\n", b"[]\n", says("two"), b'{"timestamp":"')
        session = session_of(path)
        assert texts(session) == ["one", "two"]
        assert session.damage == (
            Damage(3, 3, "it is not valid JSON"),
            Damage(5, 2, "it is not a JSON object"),
            Damage(7, 14, "the last line is unfinished"),
        )

    def test_a_last_line_that_only_lacks_its_end_counts(self, path: Path) -> None:
        write(path, says("one"), says("two"))
        path.write_bytes(path.read_bytes()[:-1])
        assert texts(session_of(path)) == ["one", "two"]

    @settings(deadline=None, max_examples=100)
    @given(st.data())
    def test_payloads_of_any_form_are_read_without_an_error(self, data: st.DataObject) -> None:
        anything = st.recursive(
            st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "type",
                            "role",
                            "content",
                            "text",
                            "message",
                            "replacement_history",
                            "mode",
                        ]
                    ),
                    inner | st.sampled_from(["message", "user", "thread_rolled_back"]),
                    max_size=3,
                )
            ),
            max_leaves=6,
        )
        kinds = ["response_item", "compacted", "turn_context", "event_msg", "session_meta", "new"]
        lines = data.draw(st.lists(st.tuples(st.sampled_from(kinds), anything), max_size=6))
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder) / "x.jsonl", *lines)
            session = session_of(path)
            page = read_page(path, cursor=None, limit=99, direction="forward")
            assert session.damage == ()
            assert page.damage is None
            assert row_of(path).item_count == len(page.items)


def test_the_file_is_listed_and_can_be_continued(path: Path) -> None:
    write(path, event("task_started"), says("hi"), event("turn_complete"))
    row = row_of(path)
    assert row.can_be_continued
    assert (row.is_running, row.item_count, row.title) == (False, 1, "hi")


def test_the_tail_is_that_of_the_file(path: Path) -> None:
    write(path, says("hi"), b'{"')
    tail = load_path(path).tail
    assert (tail.size, tail.line_count, tail.fragment) == (path.stat().st_size, 2, b'{"')

"""Reading a session file: what counts, what is damage, what is skipped."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.rollout_files import load_path, texts, user, write_session

from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.records import Damage, Origin, SavedContext
from codex_rpc.rollout.headers import read_header
from codex_rpc.rollout.lines import CHUNK_BYTES
from codex_rpc.rollout.reader import load, reading


def says(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **more}


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "name": "shell", "arguments": "{}", "call_id": call_id}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


def test_items_keep_their_bytes_and_their_order(path: Path) -> None:
    lines = [
        b'{"type": "message",  "id": null, "future": [1.50, {"a": "\\u00e9"}]}\n',
        b'{"call_id": "c1", "type": "function_call"}\n',
        b'{"type": "local_shell_call", "id": "lsh_1"}\n',
        b'{"type": "unheard_of"}\n',
    ]
    items = load_path(write_session(path, *lines)).session.items
    assert [item.raw for item in items] == [line[:-1] for line in lines]
    assert [(item.kind, item.call_id) for item in items] == [
        ("message", None),
        ("function_call", "c1"),
        ("local_shell_call", "lsh_1"),
        ("unheard_of", None),
    ]


ABSENT = object()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=st.lists(
        st.tuples(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from(
                        ["message", "function_call", "local_shell_call", "custom", "", 7, ABSENT]
                    ),
                    "call_id": st.sampled_from(["c1", "c2", "", None, 7, ["c1"], ABSENT]),
                    "id": st.sampled_from(["i1", 7, ABSENT]),
                }
            ),
            st.sampled_from([b"\n", b" \n", b"\r\n"]),
        )
    )
)
def test_an_item_is_what_it_is_by_itself(
    path: Path, lines: list[tuple[dict[str, Any], bytes]]
) -> None:
    said = [
        ({name: member for name, member in value.items() if member is not ABSENT}, end)
        for value, end in lines
    ]
    session = load_path(
        write_session(path, *(orjson.dumps(value) + end for value, end in said))
    ).session
    expected = []
    for value, _ in said:
        with suppress(ValueError):
            expected.append(Item.from_line(orjson.dumps(value), value))
    assert session.items == expected
    assert len(session.damage) == len(said) - len(expected)


def test_line_ends_of_other_systems_and_blank_lines_are_no_damage(path: Path) -> None:
    session = load_path(write_session(path, user("one").raw + b"\r\n", b"\n", b" \t\n")).session
    assert [item.raw for item in session.items] == [user("one").raw]
    assert session.damage == ()


def test_what_cannot_be_used_is_damage_with_its_line_and_size(path: Path) -> None:
    write_session(
        path,
        says("one"),
        b"garbage\n",
        b"[1, 2]\n",
        b'{"id": "no type"}\n',
        b'{"type": ""}\n',
        b'{"type": 7}\n',
        b'{"type": "message", "text": "\xff"}\n',
        says("two"),
    )
    session = load_path(path).session
    assert texts(session.items) == ["one", "two"]
    assert session.damage == (
        Damage(3, 7, "it is not valid JSON"),
        Damage(4, 6, "it is not a JSON object"),
        Damage(5, 17, "it is a response item without a type"),
        Damage(6, 12, "it is a response item without a type"),
        Damage(7, 11, "it is a response item without a type"),
        Damage(8, 32, "it is not valid JSON"),
    )


def test_unknown_record_types_and_members_are_skipped(path: Path) -> None:
    write_session(
        path,
        {"record_type": "weather", "type": "message"},
        {"record_type": "blobs", "refs": []},
        {"record_type": "damaged", "line": 2, "bytes": 3, "reason": "r"},
        says("one", unknown=1),
    )
    session = load_path(path).session
    assert (texts(session.items), session.damage) == (["one"], ())


def test_a_torn_last_line_is_left_out_and_reported(path: Path) -> None:
    loaded = load_path(write_session(path, says("one"), b'{"type": "mess'))
    assert texts(loaded.session.items) == ["one"]
    assert loaded.session.damage == (Damage(3, 14, "the last line is unfinished"),)
    assert loaded.tail.fragment == b'{"type": "mess'


def test_a_last_line_that_only_lacks_its_end_counts(path: Path) -> None:
    loaded = load_path(write_session(path, says("one"), user("two").raw))
    assert texts(loaded.session.items) == ["one", "two"]
    assert loaded.session.damage == ()
    assert loaded.tail.repair() == b"\n"


def test_a_header_that_only_lacks_its_end_counts(path: Path) -> None:
    write_session(path)
    path.write_bytes(path.read_bytes()[:-1])
    loaded = load_path(path)
    assert (loaded.session.items, loaded.session.damage) == ([], ())
    assert loaded.tail.repair() == b"\n"


def test_lines_longer_than_what_is_read_at_once_are_put_together(path: Path) -> None:
    long = "x" * (2 * CHUNK_BYTES + 17)
    session = load_path(write_session(path, says("one"), says(long), says("two"))).session
    assert texts(session.items) == ["one", long, "two"]
    assert session.damage == ()


class TestState:
    def test_the_last_state_counts_and_items_after_it_are_unseen(self, path: Path) -> None:
        write_session(
            path,
            says("one"),
            {"record_type": "state", "previous_response_id": "resp_1"},
            says("two"),
            {"record_type": "state", "previous_response_id": "resp_2"},
            says("three"),
        )
        session = load_path(path).session
        assert (session.previous_response_id, session.seen_item_count) == ("resp_2", 2)

    @pytest.mark.parametrize("value", [{}, {"previous_response_id": None}])
    def test_a_state_without_a_response_means_that_nothing_was_seen(
        self, path: Path, value: dict[str, Any]
    ) -> None:
        seen = {"record_type": "state", "previous_response_id": "resp_1"}
        write_session(path, says("one"), seen, {"record_type": "state", **value})
        session = load_path(path).session
        assert (session.previous_response_id, session.seen_item_count) == (None, 0)

    def test_in_a_file_without_format_state_is_ignored(self, path: Path) -> None:
        state = {"record_type": "state", "previous_response_id": "resp_1"}
        session = load_path(write_session(path, says("one"), state, instructions="")).session
        assert (session.previous_response_id, session.seen_item_count) == (None, 0)


class TestContext:
    def test_the_last_context_counts(self, path: Path) -> None:
        write_session(
            path,
            {"record_type": "context", "cwd": "/old", "model": "old"},
            {
                "record_type": "context",
                "cwd": "/new",
                "model": "gpt-5",
                "model_provider": "openai",
                "approval_policy": "never",
                "sandbox_policy": {"mode": "workspace-write", "writable_roots": ["/x"]},
                "unknown": 1,
            },
        )
        assert load_path(path).session.context == SavedContext(
            cwd="/new",
            model="gpt-5",
            model_provider="openai",
            approval_policy="never",
            sandbox_policy=SandboxPolicy("workspace-write", ("/x",)),
        )

    @pytest.mark.parametrize("member", ["model", "approval_policy", "sandbox_policy"])
    @pytest.mark.parametrize("value", [None, 7, "", [], {"mode": "loose"}, "always"])
    def test_a_member_that_is_not_valid_does_not_take_the_others_with_it(
        self, path: Path, member: str, value: object
    ) -> None:
        good = {"model": "m", "approval_policy": "never", "sandbox_policy": {"mode": "read-only"}}
        expected = SavedContext(
            cwd="/w",
            model="m",
            approval_policy="never",
            sandbox_policy=SandboxPolicy("read-only"),
        )
        if member == "model" and value == "always":
            value = 1.5
        write_session(path, {"record_type": "context", **good, member: value})
        context = load_path(path).session.context
        assert getattr(context, member) is None
        for other in {"cwd", *good} - {member}:
            assert getattr(context, other) == getattr(expected, other)

    def test_without_a_context_the_header_says_the_folder(self, path: Path) -> None:
        assert load_path(write_session(path)).session.context == SavedContext(cwd="/w")


class TestTurns:
    @pytest.mark.parametrize(
        ("statuses", "interrupted"),
        [
            ([], False),
            (["1 started"], True),
            (["1 started", "1 completed"], False),
            (["1 started", "1 aborted"], True),
            (["1 started", "1 aborted", "2 started", "2 completed"], False),
            (["1 started", "1 failed", "2 started"], True),
            (["1 started", "2 completed"], True),
        ],
    )
    def test_a_last_turn_that_was_aborted_or_has_no_end_was_interrupted(
        self, path: Path, statuses: list[str], interrupted: bool
    ) -> None:
        turns = [
            {"record_type": "turn", "submission_id": text.split()[0], "status": text.split()[1]}
            for text in statuses
        ]
        assert load_path(write_session(path, *turns)).session.interrupted == interrupted


class TestCompaction:
    def test_a_summary_stands_for_what_is_before_it(self, path: Path) -> None:
        write_session(
            path,
            says("one"),
            call("c1"),
            b"garbage\n",
            {"record_type": "state", "previous_response_id": "resp_1"},
            {"record_type": "compacted", "summary": "what was", "replaces": 2, "line": 6},
            says("two"),
            call("c2"),
        )
        session = load_path(path).session
        summary = {"type": "output_text", "text": "what was"}
        assert session.items[0].value() == {
            "type": "message",
            "role": "assistant",
            "content": [summary],
        }
        assert [item.kind for item in session.items] == ["message", "message", "function_call"]
        assert (session.previous_response_id, session.seen_item_count) == (None, 0)
        assert session.items_before == 2
        assert session.call_id_suffix.startswith("-c6-")
        assert session.damage == ()

    def test_what_is_written_after_it_counts_from_there(self, path: Path) -> None:
        write_session(
            path,
            says("one"),
            says("two"),
            {"record_type": "compacted", "summary": "s", "replaces": 2},
            {"record_type": "state", "previous_response_id": "resp_2"},
            b"garbage\n",
        )
        session = load_path(path).session
        assert (session.previous_response_id, session.seen_item_count) == ("resp_2", 1)
        assert [damage.line_no for damage in session.damage] == [6]

    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"summary": "s"},
            {"summary": "s", "replaces": "1"},
            {"summary": "s", "replaces": True},
            {"summary": "s", "replaces": 0},
            {"summary": "s", "replaces": -1},
            {"summary": "s", "replaces": 2},
            {"summary": None, "replaces": 1},
            {"replaces": 1},
        ],
    )
    def test_one_that_does_not_say_what_it_replaces_by_what_is_damage(
        self, path: Path, members: dict[str, Any]
    ) -> None:
        write_session(path, says("one"), {"record_type": "compacted", **members})
        session = load_path(path).session
        assert (texts(session.items), session.items_before) == (["one"], 0)
        assert [damage.line_no for damage in session.damage] == [3]

    def test_without_one_call_ids_need_no_suffix(self, path: Path) -> None:
        session = load_path(write_session(path, call("c1"))).session
        assert (session.items_before, session.call_id_suffix) == (0, "")


class TestOrigin:
    def test_the_header_says_where_a_fork_came_from(self, path: Path) -> None:
        origin = {"id": "x", "path": "/y", "size": 7, "item": 2, "unknown": 1}
        write_session(path, format=1, forked_from=origin)
        assert load_path(path).session.forked_from == Origin(id="x", path="/y", size=7, item=2)

    @pytest.mark.parametrize(
        "value", [None, 7, {}, {"id": "x"}, {"path": "/y"}, {"id": "", "path": "/y"}]
    )
    def test_what_is_not_told_as_it_should_be_is_not_known(self, path: Path, value: Any) -> None:
        write_session(path, format=1, forked_from=value)
        assert load_path(path).session.forked_from is None


def test_title_and_time_of_the_last_change_are_told(path: Path) -> None:
    write_session(path, {"record_type": "title", "title": "a"}, {"record_type": "title"})
    os.utime(path, (86_400, 86_400))
    session = load_path(path).session
    assert (session.title, session.updated_at) == ("a", datetime(1970, 1, 2, tzinfo=UTC))


def test_garbage_collection_is_as_it_was_afterwards(path: Path) -> None:
    write_session(path, says("one"))
    load_path(path)
    assert gc.isenabled()
    gc.disable()
    try:
        load_path(path)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_reading_can_be_stopped_between_chunks(path: Path) -> None:
    class Stopped(BaseException):
        pass

    def stop() -> None:
        raise Stopped

    write_session(path, says("one"))
    with pytest.raises(Stopped), reading(path) as fd:
        load(fd, path, read_header(fd, path), check=stop)
    assert gc.isenabled()

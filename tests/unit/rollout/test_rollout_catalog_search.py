"""Finding sessions by words: what is searched, and what of it is shown."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.rollout_files import write_session

from codex_rpc.protocol.records import SessionQuery, SessionSummary
from codex_rpc.rollout.catalog import list_sessions
from codex_rpc.rollout.search import find_words
from codex_rpc.rollout.summaries import Row, row_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home/sessions/rollout-x-80d91436-7c5d-4d24-bc76-3118667a490a.jsonl"


def says(text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def calls(**arguments: Any) -> dict[str, Any]:
    return {
        "type": "function_call",
        "name": "shell",
        "call_id": "c",
        "arguments": json.dumps(arguments),
    }


def is_found(path: Path, query: str) -> bool:
    return not find_words(path, row_of(path), query).missing


def row(path: Path, query: str) -> SessionSummary:
    (found,) = list_sessions(path.parents[1], SessionQuery(query=query), live=frozenset()).sessions
    return found


@pytest.mark.parametrize(
    ("item", "query"),
    [
        (says("Straße"), "STRASSE"),
        (says("STRASSE"), "straße"),
        (says("der \u212aelvin"), "kelvin"),
        (says("ﬁle"), "FILE"),
        (says("a/b.py"), "A/B.PY"),
        (says('say "hi"'), '"HI"'),
        (says("tab\there"), "here"),
        (says("日志"), "日志"),
        (calls(command=["bash", "-lc", 'grep "two words" x']), '"two'),
        (calls(command=["cat", "über.txt"]), "ÜBER.TXT"),
        (calls(input="*** Update File: src/deep/x.rs"), "deep/x.rs"),
        ({"type": "custom_tool_call", "name": "apply_patch", "input": "+new line"}, "+new"),
        ({"type": "local_shell_call", "action": {"command": ["make", "-j2"]}}, "-j2"),
        ({"type": "web_search_call", "action": {"query": "anyio cancel"}}, "cancel"),
    ],
)
@pytest.mark.parametrize("is_escaped", [False, True])
@pytest.mark.parametrize("is_enveloped", [False, True])
def test_what_was_said_or_run_is_found_however_it_was_written(
    path: Path, item: dict[str, Any], query: str, is_escaped: bool, is_enveloped: bool
) -> None:
    head: dict[str, Any] = {}
    if is_enveloped:
        item = {"timestamp": "t", "type": "response_item", "payload": item}
        payload = {"id": "80d91436-7c5d-4d24-bc76-3118667a490a", "cwd": "/w"}
        head = {"type": "session_meta", "payload": payload}
    line = json.dumps(item, ensure_ascii=is_escaped).encode() + b"\n"
    write_session(path, line, **head)
    if is_enveloped:
        # The support's header has members of ours too, which no reader of envelopes minds.
        assert row_of(path).reason is None
    assert is_found(path, query)
    assert not is_found(path, query + "zzz")


@pytest.mark.parametrize(
    "line",
    [
        {"type": "function_call_output", "call_id": "c", "output": "needle"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "needle"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "needle"}]},
        {"type": "reasoning", "encrypted_content": "needle"},
        {"record_type": "state", "previous_response_id": "needle"},
        {"type": "message", "id": "needle", "role": "user", "content": []},
        b'{"type":"message","role":"user","content":"needle"',
        b"needle\n",
    ],
)
def test_nothing_else_is_searched(path: Path, line: Any) -> None:
    write_session(path, line)
    assert not is_found(path, "needle")


def test_words_may_be_in_different_messages(path: Path) -> None:
    write_session(path, says("the flaky one"), says("a parser", "assistant"))
    assert is_found(path, "parser FLAKY")
    assert not is_found(path, "parser flaky missing")


def test_the_last_line_counts_without_its_end(path: Path) -> None:
    write_session(path, json.dumps(says("needle")).encode())
    assert is_found(path, "needle")


def test_a_file_that_is_gone_meanwhile_is_not_found(path: Path) -> None:
    write_session(path, says("hello"), says("needle"))
    known = row_of(path)
    path.unlink()
    assert find_words(path, known, "needle").missing == ["needle"]


def test_what_is_in_the_row_is_found_without_the_file(path: Path) -> None:
    known = Row(session_id="80d9", title="The Title", cwd="/some/where")
    assert not find_words(path, known, "title /SOME 80d9").missing


def test_an_excerpt_shows_what_is_around_the_first_word_that_was_found(path: Path) -> None:
    text = "first line\n" + "before " * 20 + "the Needle is here " + "after " * 40
    write_session(path, says("hello"), says(text))
    excerpt = row(path, "needle").excerpt or ""
    assert "the Needle is here after" in excerpt
    assert excerpt.startswith("…before")
    assert excerpt.endswith("…")
    assert "\n" not in excerpt
    assert len(excerpt) < 180


def test_there_is_no_excerpt_of_a_title_or_without_words(path: Path) -> None:
    write_session(
        path, says("hello"), {"record_type": "title", "title": "Named"}, cwd="/w", format=1
    )
    assert row(path, "named").excerpt is None
    (plain,) = list_sessions(path.parents[1], SessionQuery(), live=frozenset()).sessions
    assert plain.excerpt is None


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(min_size=1, max_size=12),
    st.text(max_size=8),
    st.sampled_from([str.lower, str.upper, str.casefold, str.swapcase, str]),
    st.booleans(),
)
def test_every_word_of_a_message_is_found_in_any_case(
    path: Path, text: str, around: str, turned: Any, is_escaped: bool
) -> None:
    words = text.split()
    # What has another length or other letters after a change of case and back is no case.
    words = [word for word in words if turned(word).casefold() in f"{around}{text}".casefold()]
    words = [word for word in words if unicodedata.category(word[0]) != "Cs"]
    if not words:
        return
    line = json.dumps(says(around + text), ensure_ascii=is_escaped)
    write_session(path, line.encode() + b"\n")
    assert is_found(path, " ".join(map(turned, words)))

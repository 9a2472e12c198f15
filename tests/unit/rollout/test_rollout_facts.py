"""What a list shows of a file: the same whether lines are looked at one by one or many at once."""

from __future__ import annotations

import tempfile
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codex_rpc.rollout import facts
from codex_rpc.rollout.envelopes import conversational
from codex_rpc.rollout.headers import FileHeader
from codex_rpc.rollout.lines import never_cancelled
from codex_rpc.rollout.paths import session_id_of

ID = session_id_of("00000000-0000-4000-8000-000000000001")
HEADS = {
    False: orjson.dumps({"id": ID, "timestamp": "2026-11-22T10:00:00Z"}),
    True: orjson.dumps({"timestamp": "t", "type": "session_meta", "payload": {"id": ID}}),
}

texts = st.sampled_from(
    [
        *(
            "hi",
            "",
            "  ",
            "ü",
            '"quoted"',
            "\\",
            "#1 is broken",
            "<b>",
            "\u3000<user_instructions>",
        ),
        *("<environment_context>", " <user_instructions>", "# AGENTS.md instructions for /w"),
    ]
)
parts = st.one_of(
    st.builds(lambda text: {"type": "input_text", "text": text}, texts),
    st.builds(lambda text: {"text": text, "type": "input_text"}, texts),
    st.just({"type": "input_image", "image_url": "data:"}),
)
messages = st.builds(
    lambda head, role, content, more: {**head, "role": role, "content": content, **more},
    st.sampled_from(
        [{"type": "message"}, {"type": "message", "id": "m"}, {"type": "m\u00e9ssage"}]
    ),
    st.sampled_from(["user", "assistant", "developer", "system", "critic", None]),
    st.one_of(texts, st.lists(parts, max_size=2)),
    st.sampled_from([{}, {"internal_note": 1}]),
)
items = st.one_of(
    messages,
    st.sampled_from(
        [
            {"type": "function_call", "name": "shell", "arguments": "{}"},
            {"id": "r", "type": "reasoning"},
            {"role": "user", "content": "turned round", "type": "message"},
            *({"type": kind} for kind in ("other", "ghost_snapshot", "others", "", "x-y", None)),
        ]
    ),
)
records = st.sampled_from(
    [
        {"record_type": "context", "cwd": "/a", "model": "m1"},
        {"record_type": "context", "cwd": "", "model_provider": "p"},
        {"record_type": "title", "title": "Named"},
        {"record_type": "turn", "status": "started", "submission_id": "s"},
        {"record_type": "turn", "status": "completed", "submission_id": "s"},
        {"record_type": "state", "previous_response_id": None},
        {"record_type": "titles", "title": "Not this"},
    ]
)
events = st.builds(
    lambda kind: {"type": kind, "turn_id": "t"},
    st.sampled_from(["task_started", "task_complete", "turn_aborted", "token_count", "task"]),
)
envelopes = st.builds(
    lambda time, ordinal, body: {"timestamp": time, **ordinal, "type": body[0], "payload": body[1]},
    st.sampled_from(["2026-11-22T10:00:01.000Z", "", "a,b", "\n", "x" * 40]),
    st.sampled_from([{}, {"ordinal": 7}, {"ordinal": 10**12}]),
    st.one_of(
        st.tuples(st.just("response_item"), items),
        st.tuples(st.just("event_msg"), events),
        st.tuples(st.sampled_from(["turn_context", "world"]), st.just({"cwd": "/b", "model": "m"})),
        st.tuples(st.sampled_from(["response_item", "event_msg", "compacted"]), st.none()),
    ),
)
garbage = st.sampled_from(
    [b"", b"\r", b"{}", b"[1]", b"\xff", b'{"type":"', b'{"record_type":"tur']
)


def lines_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[bytes]]:
    compact = values.map(orjson.dumps)
    airy = values.map(lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2))
    one_line = airy.map(lambda text: text.replace(b"\n", b" "))
    return st.lists(st.one_of(compact, compact, one_line, garbage), max_size=8)


def expected(lines: list[bytes], *, enveloped: bool) -> dict[str, Any]:
    """How many items there are and what the last records say, with every line parsed."""
    count, title, cwd, model, running = 0, None, None, None, None
    for line in lines:
        try:
            value = orjson.loads(line)
        except ValueError:
            continue
        if not isinstance(value, dict):
            continue
        payload = value.get("payload")
        if enveloped and isinstance(payload, dict):
            match value["type"], payload.get("type"):
                case "response_item", _:
                    count += conversational(payload) is not None
                case "turn_context", _:
                    cwd, model = payload["cwd"], payload["model"]
                case "event_msg", "task_started":
                    running = "t"
                case "event_msg", "task_complete" | "turn_aborted":
                    running = None
        elif not enveloped:
            match value:
                case {"record_type": "context"}:
                    cwd, model = value["cwd"] or cwd, value.get("model") or model
                case {"record_type": "title"}:
                    title = value["title"]
                case {"record_type": "turn"}:
                    running = "s" if value["status"] == "started" else None
                case {"type": str(kind)} if kind:
                    count += 1
    return {"count": count, "title": title, "cwd": cwd, "model": model, "running": running}


def found(data: bytes, *, enveloped: bool, chunk_bytes: int) -> dict[str, Any]:
    header = FileHeader(session_id=ID, created_at=None, origin="codex", enveloped=enveloped)  # type: ignore[arg-type]
    with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        file.write(data)
        file.flush()
        patch.setattr(facts, "CHUNK_BYTES", chunk_bytes)
        said = facts.facts_in(file.fileno(), header, never_cancelled)
    return {
        "count": said.item_count,
        "title": said.title,
        "cwd": said.cwd,
        "model": said.model,
        "running": said.running,
        "first": said.first_text,
    }


def check(lines: list[bytes], end: bytes, chunk_bytes: int, *, enveloped: bool) -> None:
    data = b"\n".join([HEADS[enveloped], *lines]) + end
    said = found(data, enveloped=enveloped, chunk_bytes=chunk_bytes)
    assert said == found(data, enveloped=enveloped, chunk_bytes=1)
    del said["first"]
    assert said == expected(lines, enveloped=enveloped)


ends = st.sampled_from([b"", b"\n", b"\n\n"])
chunk_sizes = st.sampled_from([7, 100, 1 << 20])


@settings(deadline=None)
@given(lines_of(st.one_of(items, records)), ends, chunk_sizes)
def test_of_our_files(lines: list[bytes], end: bytes, chunk_bytes: int) -> None:
    # One without the name of its kind counts, because its beginning is all that is looked at.
    whole = [line for line in lines if line not in (b'{"type":"', b'{"type":""}')]
    check(whole, end, chunk_bytes, enveloped=False)


@settings(deadline=None)
@given(lines_of(envelopes), ends, chunk_sizes)
@example([b""] * 3, b"", 7)
def test_of_files_of_todays_codex(lines: list[bytes], end: bytes, chunk_bytes: int) -> None:
    check(lines, end, chunk_bytes, enveloped=True)


SAID = (
    b'{"timestamp":"t","type":"response_item","payload":'
    b'{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}}'
)
CALLED = b'{"timestamp":"t","type":"response_item","payload":{"type":"function_call","name":'
ANSWERED = SAID.replace(b"user", b"assistant")


@pytest.mark.parametrize("chunk_bytes", [5, 1 << 20])
def test_a_line_that_is_broken_counts_if_its_beginning_tells_all_but_the_last_message_does_not(
    chunk_bytes: int,
) -> None:
    data = b"\n".join([HEADS[True], CALLED, SAID, CALLED, ANSWERED[:-2], SAID, ANSWERED[:-2]])
    assert found(data, enveloped=True, chunk_bytes=chunk_bytes)["count"] == 5

"""What a tool brought, for the model and for the client."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.protocol.errors import BadArguments, ToolError
from codex_rpc.tools.mcp.results import (
    MAX_EVENT_BYTES,
    MAX_IMAGE_CHARACTERS,
    checked,
    for_client,
    for_model,
    parsed_arguments,
)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(data: str = "aGVsbG8=", kind: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "data": data, "mimeType": kind}


def test_the_model_gets_the_json_text_of_the_content() -> None:
    result = {"content": [{"type": "text", "text": "echo: hello"}], "isError": True}
    assert for_model(result, max_bytes=0) == '[{"text":"echo: hello","type":"text"}]'


def test_structured_content_stands_in_for_no_content() -> None:
    assert for_model({"content": [], "structuredContent": {"b": 1}}, max_bytes=0) == '{"b":1}'
    assert for_model({"content": []}, max_bytes=0) == "[]"


def test_images_become_images_and_keep_their_places() -> None:
    content = [_text("a"), _text("b"), _image(), _image(), _text("c")]
    assert for_model({"content": content}, max_bytes=0) == [
        {
            "type": "input_text",
            "text": '[{"text":"a","type":"text"},{"text":"b","type":"text"}]',
        },
        {"type": "input_image", "image_url": "data:image/png;base64,aGVsbG8="},
        {"type": "input_image", "image_url": "data:image/png;base64,aGVsbG8="},
        {"type": "input_text", "text": '[{"text":"c","type":"text"}]'},
    ]


@pytest.mark.parametrize("block", [_image(kind="image/svg+xml"), _image("not base64!"), _image("")])
def test_an_image_that_models_do_not_take_is_told_as_text(block: dict[str, Any]) -> None:
    assert isinstance(for_model({"content": [block]}, max_bytes=0), str)


def test_images_that_are_too_large_together_are_left_out_with_a_note() -> None:
    half = _image("A" * (MAX_IMAGE_CHARACTERS // 2))
    output = for_model({"content": [half, half]}, max_bytes=0)
    assert isinstance(output, list)
    assert [part["type"] for part in output] == ["input_image", "input_text"]
    assert "an image is left out" in output[1]["text"]


@given(
    st.lists(st.text(max_size=40).map(_text) | st.just(_image()), max_size=6),
    st.integers(min_value=1, max_value=100),
)
@settings(deadline=None, max_examples=100)
def test_texts_are_cut_to_the_limit(content: list[dict[str, Any]], max_bytes: int) -> None:
    output = for_model({"content": content}, max_bytes=max_bytes)
    texts = [output] if isinstance(output, str) else [p["text"] for p in output if "text" in p]
    kept = 0
    for text in texts:
        lines = text.split("\n")
        kept += sum(len(line.encode()) for line in lines if "left out ...]" not in line)
    assert kept <= max(max_bytes, len(texts))


def test_a_huge_result_is_cut_for_the_client_too() -> None:
    result = {"content": [_text("x" * MAX_EVENT_BYTES)], "isError": True, "structuredContent": {}}
    made = for_client(result, max_bytes=1000)["Ok"]
    assert made["isError"] is True
    assert "structuredContent" not in made
    assert len(orjson.dumps(made)) < 2000


def test_the_client_gets_what_the_server_sent() -> None:
    result = {
        "content": [_text("a")],
        "isError": False,
        "_meta": {"x": 1},
        "resultType": "complete",
    }
    assert for_client(result, max_bytes=10) == {"Ok": {"content": [_text("a")], "isError": False}}


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"resultType": "input_required"}, "asks for more input"),
        ({"content": [], "structuredContent": {"a": 1 << 70}}, "numbers that are too large"),
    ],
)
def test_what_cannot_be_told_is_an_error(result: dict[str, Any], reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        checked(result)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{bad", "expected a string key"), ("[1]", "a JSON object"), (None, "in a string")],
)
def test_bad_arguments_say_what_was_expected(text: Any, reason: str) -> None:
    with pytest.raises(BadArguments, match=reason):
        parsed_arguments(text)


def test_no_arguments_are_none() -> None:
    assert parsed_arguments(" ") is None
    assert parsed_arguments('{"a": null}') == {"a": None}

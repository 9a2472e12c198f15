"""What a prompt's blocks hand in."""

from __future__ import annotations

from typing import Any

import pytest

from codex_rpc.acp.blocks import items_of
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.ops import (
    ImageInput,
    MentionInput,
    Position,
    Range,
    SelectionInput,
    TextInput,
)


def link(uri: str) -> dict[str, Any]:
    return {"type": "resource_link", "name": "a name", "uri": uri}


def lines(first: int, last: int) -> Range:
    return Range(Position(first - 1, 0), Position(last, 0))


@pytest.mark.parametrize(
    ("uri", "item"),
    [
        ("file:///a/b%20c.txt", MentionInput("/a/b c.txt")),
        ("file://localhost/a", MentionInput("/a")),
        ("/a/b", MentionInput("/a/b")),
        ("file:///a#L3", MentionInput("/a", lines(3, 3))),
        ("file:///a#L3:7", MentionInput("/a", lines(3, 7))),
        ("file:///a#L3-L7", MentionInput("/a", lines(3, 7))),
        ("file:///a#L7:3", MentionInput("/a", lines(7, 7))),
        ("file:///a#section", MentionInput("/a")),
        ("file://other.host/a", TextInput("[a name](file://other.host/a)")),
        ("https://x.test/a", TextInput("[a name](https://x.test/a)")),
        ("file://[bad", TextInput("[a name](file://[bad)")),
    ],
)
def test_a_link_points_at_a_file_of_this_machine_or_is_told(uri: str, item: object) -> None:
    assert items_of([link(uri)]) == [item]


def test_what_is_embedded_is_handed_in_as_it_is() -> None:
    def embedded(**resource: Any) -> Any:
        return items_of([{"type": "resource", "resource": resource}])[0]

    assert embedded(uri="file:///a#L2", text="x") == SelectionInput("/a", lines(2, 2), "x")
    assert embedded(uri="file:///a", text="x\n") == TextInput('<file path="/a">\nx\n</file>')
    assert embedded(uri="m://a", text="x") == TextInput('<file uri="m://a">\nx\n</file>')
    pixel = embedded(uri="m://a", blob="AAAA", mimeType="image/png")
    assert pixel == ImageInput("data:image/png;base64,AAAA")
    assert "3 bytes of binary data" in embedded(uri="m://a", blob="AAAA").text


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ("x", "prompt[0]"),
        ({"type": "audio", "data": "", "mimeType": "audio/wav"}, "prompt[0].type"),
        ({"type": "text"}, "prompt[0].text"),
        ({"type": "image", "data": "AAAA", "mimeType": "text/html"}, "prompt[0].mimeType"),
        ({"type": "resource", "resource": None}, "prompt[0].resource"),
        ({"type": "resource", "resource": {"uri": "m://a"}}, "prompt[0].resource.text"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is(block: Any, place: str) -> None:
    with pytest.raises(InvalidParams) as raised:
        items_of([block])
    assert place in str(raised.value.data) or place in raised.value.message

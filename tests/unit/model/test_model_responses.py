"""Streams of the Responses API, in bytes of every cut."""

from __future__ import annotations

import json

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from model_support import HELLO, ask_for, sse, text_of
from support.model_server import completed

from codex_rpc.protocol.model import ItemDone, ResponseCompleted, TextDelta, Usage

# As the server of llama.cpp streams: no indexes, no sequence numbers, few fields, no [DONE].
LLAMA = (
    b"event: response.created\n"
    b'data: {"type":"response.created","response":{"id":"resp_q","object":"response",'
    b'"status":"in_progress"}}\n\n'
    b"event: response.in_progress\n"
    b'data: {"type":"response.in_progress","response":{"id":"resp_q","object":"response",'
    b'"status":"in_progress"}}\n\n'
    b"event: response.output_item.added\n"
    b'data: {"type":"response.output_item.added","item":{"content":[],"id":"msg_A",'
    b'"role":"assistant","status":"in_progress","type":"message"}}\n\n'
    b"event: response.content_part.added\n"
    b'data: {"type":"response.content_part.added","item_id":"msg_A",'
    b'"part":{"type":"output_text","text":""}}\n\n'
    b"event: response.output_text.delta\n"
    b'data: {"type":"response.output_text.delta","item_id":"msg_A","delta":"Hello"}\n\n'
    b"event: response.output_text.delta\n"
    b'data: {"type":"response.output_text.delta","item_id":"msg_A","delta":"!"}\n\n'
    b"event: response.output_text.done\n"
    b'data: {"type":"response.output_text.done","item_id":"msg_A","text":"Hello!"}\n\n'
    b"event: response.output_item.done\n"
    b'data: {"type":"response.output_item.done","item":{"type":"message","status":"completed",'
    b'"id":"msg_A","content":[{"type":"output_text","annotations":[],"logprobs":[],'
    b'"text":"Hello!"}],"role":"assistant"}}\n\n'
    b"event: response.output_item.added\n"
    b'data: {"type":"response.output_item.added","item":{"id":"fc_X","arguments":"",'
    b'"call_id":"call_X","name":"write_file","type":"function_call","status":"in_progress"}}\n\n'
    b"event: response.function_call_arguments.delta\n"
    b'data: {"type":"response.function_call_arguments.delta","delta":"{","item_id":"fc_X"}\n\n'
    b"event: response.output_item.done\n"
    b'data: {"type":"response.output_item.done","item":{"id":"fc_X","type":"function_call",'
    b'"status":"completed","arguments":"{\\"path\\": \\"hello.py\\"}","call_id":"call_X",'
    b'"name":"write_file"}}\n\n'
    b"event: response.completed\n"
    b'data: {"type":"response.completed","response":{"id":"resp_q","object":"response",'
    b'"created_at":1795365536,"status":"completed","model":"m","output":[],'
    b'"usage":{"input_tokens":321,"output_tokens":32,"total_tokens":353,'
    b'"input_tokens_details":{"cached_tokens":320}}},"timings":{"cache_n":320}}\n\n'
)


def cuts(content: bytes) -> st.SearchStrategy[list[bytes]]:
    """`content` cut anywhere, into up to ten pieces or into single bytes."""
    places = st.lists(st.integers(0, len(content)), max_size=9).map(sorted)
    pieces = places.map(
        lambda at: [
            content[a:b] for a, b in zip([0, *at], [*at, len(content)], strict=True) if a < b
        ]
    )
    single = st.just([content[i : i + 1] for i in range(len(content))])
    return pieces | single


@settings(deadline=None, max_examples=60)
@given(data=st.data(), content=st.sampled_from([HELLO, HELLO.replace(b"\n", b"\r\n"), LLAMA]))
def test_any_cut_of_the_bytes_gives_the_same_events(data: st.DataObject, content: bytes) -> None:
    whole = anyio.run(ask_for, [content])
    assert isinstance(whole[-1], ResponseCompleted)
    assert anyio.run(ask_for, data.draw(cuts(content))) == whole


async def test_a_response_is_deltas_then_the_item_then_the_end() -> None:
    first, second, item, end = await ask_for([HELLO])
    assert (first, second) == (TextDelta("msg_1", "Hello, "), TextDelta("msg_1", "wörld! 😀"))
    assert isinstance(item, ItemDone)
    assert item.item.value()["content"][0]["text"] == "Hello, wörld! 😀"
    assert end == ResponseCompleted("resp_1", Usage(3, 2, 5))


async def test_the_stream_of_llama_cpp_is_understood() -> None:
    events = await ask_for([LLAMA])
    assert text_of(events) == "Hello!"
    assert {e.item_id for e in events if isinstance(e, TextDelta)} == {"msg_A"}
    items = [event.item for event in events if isinstance(event, ItemDone)]
    assert [item.kind for item in items] == ["message", "function_call"]
    assert items[1].call_id == "call_X"
    assert events[-1] == ResponseCompleted("resp_q", Usage(321, 32, 353, 320))


async def test_only_line_feeds_and_returns_end_a_line() -> None:
    # What str.splitlines would take for line ends is allowed within JSON.
    odd = "a\u2028b\u2029c\u0085d\x7f"
    event = {"type": "response.output_text.delta", "item_id": "m", "delta": odd}
    content = f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
    events = await ask_for([content, sse(completed())])
    assert text_of(events) == odd


async def test_comments_unknown_events_and_broken_data_are_passed_over() -> None:
    events = await ask_for(
        [
            b": keep-alive\n\n",
            b"event: response.output_text.delta\ndata: {broken\n\n",
            b'event: x.unknown\ndata: {"type":"x.unknown"}\n\n',
            b"retry: 10\nid: 7\n\n",
            b"data: \xff\xfe\n\n",
            HELLO,
        ]
    )
    assert text_of(events) == "Hello, wörld! 😀"

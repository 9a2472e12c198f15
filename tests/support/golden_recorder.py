"""How the recordings are written, and not what they say: rules that hold for each.

The recorder cut long texts and byte lists; `Cut` stands for what is left of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import evolve
from support.golden import Recording, Timed
from support.golden_compare import Cut, Json

Rule = Callable[[Recording], Recording]
"""Turns a recording into another."""

CUT_TEXT = re.compile(r"(?P<start>.*)…<(?P<length>\d+) characters>", re.DOTALL)


def with_events(
    recording: Recording, change: Callable[[tuple[Timed, ...]], Iterable[Timed]]
) -> Recording:
    """`recording` with each run's events changed."""
    runs = tuple(evolve(run, events=tuple(change(run.events))) for run in recording.runs)
    return evolve(recording, runs=runs)


def with_body(event: Timed, **members: Any) -> Timed:
    return evolve(event, body={**event.body, **members})


def with_items(
    recording: Recording, change: Callable[[tuple[Json, ...]], Iterable[Json]]
) -> Recording:
    """`recording` with the items of each request and of the session file changed."""
    return evolve(
        recording,
        requests=tuple(tuple(change(request)) for request in recording.requests),
        rollout=tuple(change(recording.rollout)),
    )


def cut_texts_are_known_in_part(recording: Recording) -> Recording:
    """The recorder cut texts of more than 1500 characters, so only their beginning is known."""

    def known(value: Any) -> Any:
        if isinstance(value, str) and (cut := CUT_TEXT.fullmatch(value)):
            return Cut(((cut["start"], int(cut["length"])),))
        if isinstance(value, dict):
            return {key: known(member) for key, member in value.items()}
        return [known(member) for member in value] if isinstance(value, list) else value

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        return (evolve(event, body=known(event.body)) for event in events)

    return with_items(with_events(recording, change), lambda items: map(known, items))


def chunks_are_text(recording: Recording) -> Recording:
    """Output is text on our wire, not byte numbers, and comes in pieces of other sizes.

    A command's deltas become one for each stream, in the place of its first. The recorder kept
    16 bytes of a longer chunk; where the end of the command repeats the whole output, that is
    what is expected, else the kept bytes in their places.
    """

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        ends = {e.body["call_id"]: e.body for e in events if e.type == "exec_command_end"}
        chunks: dict[tuple[str, str], list[list[Any]]] = {}
        for event in events:
            if event.type == "exec_command_output_delta":
                key = event.body["call_id"], event.body["stream"]
                chunks.setdefault(key, []).append(event.body["chunk"])
        for event in events:
            if event.type != "exec_command_output_delta":
                yield event
            elif pieces := chunks.pop((event.body["call_id"], event.body["stream"]), None):
                end = ends.get(event.body["call_id"], {})
                text = _output_text(pieces, end.get(event.body["stream"]))
                yield with_body(event, chunk=text)

    return with_events(recording, change)


def _output_text(chunks: list[list[Any]], at_end: Any) -> str | Cut:
    pieces: list[tuple[str, int]] = []
    for chunk in chunks:
        *kept, last = chunk
        length = len(chunk)
        if isinstance(last, str):
            length = int(last.removeprefix("… ").removesuffix(" bytes"))
        else:
            kept = chunk
        pieces.append((bytes(kept).decode(errors="replace"), length))
    total = sum(length for _, length in pieces)
    if isinstance(at_end, str) and (len(at_end) == total or "{CWD}" in at_end):
        # The recorder's paths stayed in byte lists, and became placeholders elsewhere.
        return at_end
    if all(len(start) == length for start, length in pieces):
        return "".join(start for start, _ in pieces)
    return Cut(tuple(pieces))


COMMON_RULES: tuple[Rule, ...] = (chunks_are_text, cut_texts_are_known_in_part)


def printed_to_stderr(recording: Recording, call_id: str) -> str:
    """All that a recorded command printed there, filled up where the recording was cut."""
    text = ""
    for event in recording.events:
        if event.body.get("call_id") != call_id:
            continue
        if event.type == "exec_command_output_delta":
            text = event.body["chunk"]
        elif event.type == "exec_command_end" and isinstance(text, Cut):
            ((_, length),) = text.pieces
            ((start, _),) = event.body["stderr"].pieces
            text = start + "x" * (length - len(start))
    return text

"""Where we differ from the recorded program on purpose: one rule for each, and why.

A rule turns a recording into what we should do instead. It is used in the cases that name it
and nowhere else, it must change something there, and it fails where the recording is not what
it was written for; so what no rule names has to be equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve, frozen
from support.golden import Recording, Run, Timed, is_assistant, is_user, script_items, text_of
from support.golden_compare import AnyInteger, Json, Pattern
from support.golden_recorder import Rule, with_body, with_events, with_items

INTERRUPTED = " Turn interrupted"
COMPACTED = "Compact task completed"
SUMMARY_REQUEST = "Write the summary now."
INTERRUPTED_NOTE = r"\[interrupted by the user after \d+\.\d s; what still ran was stopped\]\n"


# The difference table of the protocol.


def raw_reasoning_is_not_shown(recording: Recording) -> Recording:
    """The events of `show_raw_agent_reasoning` are no part of our protocol."""
    return with_events(
        recording,
        lambda events: (e for e in events if not e.type.startswith("agent_reasoning_raw_content")),
    )


def retries_are_stream_errors(recording: Recording) -> Recording:
    """What the old program said in a `background_event`, we say in a `stream_error`."""

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        for event in events:
            if event.type != "background_event":
                yield event
                continue
            said = re.search(r"retrying (\d)/(\d) in \d+ms…$", event.body["message"])
            assert said is not None
            attempt, attempts = map(int, said.groups())
            body = {"type": "stream_error", "attempt": attempt, "max_attempts": attempts}
            yield evolve(event, body=body)

    return with_events(recording, change)


def refused_requests_are_stream_errors(recording: Recording) -> Recording:
    """The old program said nothing about answers like 429 that it tried again; we have one
    budget for all retries, and announce each."""
    refused = [r for r in recording.responses if r.get("status", 200) != 200]

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        for event in events:
            yield event
            if event.type == "task_started":
                for n in range(len(refused)):
                    body = {"type": "stream_error", "attempt": n + 1, "max_attempts": 5}
                    yield evolve(event, body=body)

    assert len([e for e in recording.events if e.type == "task_started"]) == 1
    return with_events(recording, change)


def interrupted_turns_are_aborted(recording: Recording) -> Recording:
    """An interrupted turn ends what had begun and closes with `turn_aborted`, not `error`.

    What had begun is a command: its end has what it had printed, and no exit code.
    """

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        begun: dict[str, Timed] = {}
        printed: dict[str, str] = {}
        for event in events:
            call_id = event.body.get("call_id", "")
            match event.type:
                case "exec_command_begin":
                    begun[call_id] = event
                case "exec_command_output_delta":
                    printed[call_id] = event.body["chunk"]
                case "exec_command_end":
                    del begun[call_id]
            if event.type != "error" or event.body["message"] != INTERRUPTED:
                yield event
                continue
            for open_id in begun:
                body = {
                    "type": "exec_command_end",
                    "call_id": open_id,
                    "stdout": printed.get(open_id, ""),
                    "stderr": Pattern(INTERRUPTED_NOTE),
                    "exit_code": -1,
                }
                yield evolve(event, body=body)
            begun.clear()
            reason = "abort" if _was_aborted(recording, event.id) else "interrupted"
            yield evolve(event, body={"type": "turn_aborted", "reason": reason})

    return with_events(recording, change)


def _was_aborted(recording: Recording, turn: str) -> bool:
    submissions = (s.body for run in recording.runs for s in run.submissions)
    return any(op.get("id") == turn and op.get("decision") == "abort" for op in submissions)


def deltas_come_until_the_interrupt(recording: Recording) -> Recording:
    """How much of a stream has come when an interrupt arrives is chance; at least what had come
    when the recorded interrupt was sent, for that is what the replay waits for."""
    aborted = {e.id for e in recording.events if e.type == "turn_aborted"}

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        texts = [e.body["delta"] for e in events if e.id in aborted and "delta" in e.body]
        token = texts[0]
        assert set(texts) == {token}
        pending = True
        for event in events:
            if event.id not in aborted or "delta" not in event.body:
                yield event
            elif pending:
                pending = False
                least = len(texts) * len(token)
                yield with_body(event, delta=Pattern(f"({token}){{{len(texts)},}}", least))

    return with_events(recording, change)


def a_waiting_input_starts_the_next_turn(recording: Recording) -> Recording:
    """Input that no request of the running turn takes starts the next turn; the old program let
    it wait for a further input, and then sent it behind that one, twice.

    Its turn gets the answer of the recorded second turn, and the third turn the third answer,
    which the old program never asked for.
    """
    (run,) = recording.runs
    _, waiting, late = run.submissions
    texts = [s.body["items"][0]["text"] for s in run.submissions]
    first, second = recording.requests
    assert [text_of(i) for i in second if is_user(i)] == [texts[0], texts[2], texts[1], texts[1]]
    said = {text_of(item): item for item in second if is_user(item)}
    answers = [item for item in recording.rollout if is_assistant(item)]
    answers += list(script_items(recording.responses[2:]).values())

    start = next(n for n, e in enumerate(run.events) if e.id == late.id)
    its_own = [evolve(e, id=waiting.id, t=run.events[start - 1].t) for e in run.events[start:]]
    again = [_answering(e, text_of(answers[1]), text_of(answers[2])) for e in run.events[start:]]
    before_second = (said[texts[0]], answers[0], said[texts[1]])
    before_third = (*before_second, answers[1], said[texts[2]])
    assert first == (said[texts[0]],)
    return evolve(
        recording,
        runs=(Run(run.submissions, (*run.events[:start], *its_own, *again)),),
        requests=(first, before_second, before_third),
        rollout=(*before_third, answers[2]),
        reasoning=(*recording.reasoning, recording.reasoning[-1]),
    )


def _answering(event: Timed, old: str, new: str) -> Timed:
    """The event of a turn that is answered with `new`, in its first delta, instead of `old`."""
    body = dict(event.body)
    if event.type == "agent_message_delta":
        body["delta"] = new if old.startswith(body["delta"]) else ""
    elif event.type == "agent_message":
        body["message"] = new
    elif event.type == "task_complete":
        body["last_agent_message"] = new
    return evolve(event, body=body)


def a_call_is_recorded_when_it_is_made(recording: Recording) -> Recording:
    """The old program recorded a call with its output; we do before anyone is asked about it.

    So the call that still waits for its approval at the end is in our file.
    """
    last = recording.events[-1]
    assert last.type == "exec_approval_request"
    call = script_items(recording.responses)[last.body["call_id"]]
    return evolve(recording, rollout=(*recording.rollout, call))


def the_last_turn_is_still_retrying(recording: Recording) -> Recording:
    """The recorded events end with the first announced retry of the last turn, while the
    requests go on; how many more there are by then is a matter of the two retry budgets."""
    last = recording.requests[-1]
    at = recording.requests.index(last)
    assert all(request == last for request in recording.requests[at:])
    return evolve(
        recording,
        requests=recording.requests[: at + 1],
        reasoning=recording.reasoning[: at + 1],
        still_retrying=True,
    )


def history_has_its_own_times(recording: Recording) -> Recording:
    """When an entry of the message history was added is not ours to repeat."""

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        for event in events:
            entry = event.body.get("entry")
            yield with_body(event, entry={**entry, "ts": AnyInteger()}) if entry else event

    return with_events(recording, change)


# What the old program did wrong.


def assistant_texts_are_sent_once(recording: Recording) -> Recording:
    """**BUG**: what was streamed was kept beside what was completed.

    The kept text is that of all deltas since the last completed message. Where the message
    followed at once, both were joined into one message without an id ("oneone"): we send what
    the session file has. Where a reasoning item came in between, or where nothing was completed
    any more, it stood there as a message of its own: we do not send that.
    """
    streamed = list(_streamed(recording))
    answers = [item for item in recording.rollout if is_assistant(item)]

    def change(request: tuple[Json, ...]) -> Iterator[Json]:
        segments, completed = iter(streamed), iter(answers)
        for item in request:
            if not is_assistant(item):
                yield item
                continue
            if item["id"] is not None:
                assert item == next(completed)
                yield item
                continue
            text = text_of(item)
            deltas, final = next(segments)
            if final is not None and text == deltas + final:
                answer = next(completed)
                assert text_of(answer) == final
                yield answer
            else:
                assert text == deltas

    requests = tuple(tuple(change(request)) for request in recording.requests)
    return evolve(recording, requests=requests)


def _streamed(recording: Recording) -> Iterator[tuple[str, str | None]]:
    """What was streamed before each message was completed, and that message."""
    for run in recording.runs:
        deltas = ""
        for event in run.events:
            match event.type:
                case "agent_message_delta":
                    deltas += event.body["delta"]
                case "agent_message":
                    yield deltas, event.body["message"]
                    deltas = ""
                case "task_complete" | "error" | "turn_aborted" if deltas:
                    yield deltas, None
                    deltas = ""


def aborted_calls_stay(recording: Recording) -> Recording:
    """**BUG**: a call in flight was dropped when its turn was aborted. We keep the call, and say
    in its output what became of it."""
    items = script_items(recording.responses)
    (run,) = recording.runs
    kept: dict[str, list[Json]] = {}
    """By the text of the input that follows the abort."""
    open_calls: dict[str, Any] = {}
    for event in run.events:
        call_id = event.body.get("call_id", "")
        match event.type:
            case "exec_approval_request":
                open_calls[call_id] = "aborted by the user"
            case "exec_command_end" if event.body["stderr"] == Pattern(INTERRUPTED_NOTE):
                said = Pattern(re.escape(event.body["stdout"]) + INTERRUPTED_NOTE)
                open_calls[call_id] = {"output": said, "metadata": {"exit_code": -1}}
            case "turn_aborted":
                following = next(s for s in run.submissions if s.t >= event.t)
                kept[following.body["items"][0]["text"]] = [
                    item
                    for id_, output in open_calls.items()
                    for item in (items[id_], _call_output(id_, output))
                ]
                open_calls.clear()

    def change(request: tuple[Json, ...]) -> Iterator[Json]:
        for item in request:
            if is_user(item):
                yield from kept.get(text_of(item), ())
            yield item

    return with_items(recording, change)


def _call_output(call_id: str, output: Any) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def unknown_items_are_kept(recording: Recording) -> Recording:
    """The old program skipped items of unknown types; we keep what the model's server made."""
    items = script_items(recording.responses)
    known = [item.get("call_id") or item.get("id") for item in recording.rollout]
    unknown = [item for key, item in items.items() if key not in known]
    assert [item["type"] for item in unknown] == ["mystery"]
    at = next(n for n, item in enumerate(recording.rollout) if is_assistant(item))
    rollout = (*recording.rollout[:at], *unknown, *recording.rollout[at:])
    return evolve(recording, rollout=rollout)


# Compaction.


def a_compaction_is_announced(recording: Recording) -> Recording:
    """`context_compacted` with the summary, not an agent message that says that it was done."""

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        for event in events:
            if event.body.get("message") == COMPACTED:
                yield evolve(
                    event, body={"type": "context_compacted", "summary": _summary(recording)}
                )
            else:
                yield event

    return with_events(recording, change)


def a_summary_is_asked_for_in_our_words(recording: Recording) -> Recording:
    """What the model is told to do is not taken over; and nobody is shown how it thought about
    that, so no summary of its reasoning is asked for."""

    def change(items: tuple[Json, ...]) -> Iterator[Json]:
        for item in items:
            if _is_summary_request(item):
                yield {**item, "content": [{**item["content"][0], "text": SUMMARY_REQUEST}]}
            else:
                yield item

    reasoning = (
        {**asked, "summary": None} if any(map(_is_summary_request, request)) else asked
        for request, asked in zip(recording.requests, recording.reasoning, strict=True)
    )
    return evolve(with_items(recording, change), reasoning=tuple(reasoning))


def _is_summary_request(item: Json) -> bool:
    return is_user(item) and text_of(item) == "Start Summarization"


def a_summary_is_sent_alone(recording: Recording) -> Recording:
    """**BUG**: the summary was joined to the text that had been streamed before it. We send it
    as a message of its own; the requests before it are as in `assistant_texts_are_sent_once`."""
    summary = _summary(recording)
    *before, (joined, *after) = recording.requests
    assert text_of(joined).endswith(summary)
    assert text_of(joined) != summary
    alone = {**joined, "content": [{**joined["content"][0], "text": summary}]}
    fixed = assistant_texts_are_sent_once(evolve(recording, requests=tuple(before)))
    return evolve(fixed, requests=(*fixed.requests, (alone, *after)), summaries=(summary,))


def _summary(recording: Recording) -> str:
    """What the model answered when it was told to summarise: the one message that is no item."""
    said = [text_of(item) for item in script_items(recording.responses).values()]
    kept = [text_of(item) for item in recording.rollout if is_assistant(item)]
    (summary,) = (text for text in said if text not in kept)
    return summary


# What commands print, and what the model is told of it.


@frozen
class Ours:
    """How a command ends for us: its end, and what the model is told. None: as recorded."""

    stdout: Any = None
    stderr: Any = None
    exit_code: int | None = None
    told: Any = None
    """The model's output: with an exit code in JSON, as the text that is there; else as it is."""
    in_json: bool = True
    printed: Any = None
    """The text of the deltas on stdout."""


def our_outputs(outputs: Mapping[str, Ours]) -> Rule:
    """A rule that puts our results in the place of the recorded ones, by call id.

    Why they differ stands beside each.
    """

    def change(events: tuple[Timed, ...]) -> Iterator[Timed]:
        for event in events:
            ours = outputs.get(event.body.get("call_id", ""), Ours())
            members: Json = {}
            if event.type == "exec_command_end":
                members = {"stdout": ours.stdout, "stderr": ours.stderr}
                members["exit_code"] = ours.exit_code
            elif event.type == "exec_command_output_delta" and event.body["stream"] == "stdout":
                members = {"chunk": ours.printed}
            yield with_body(event, **{k: v for k, v in members.items() if v is not None})

    def retold(items: tuple[Json, ...]) -> Iterator[Json]:
        for item in items:
            ours = outputs.get(item.get("call_id", ""), Ours())
            if item["type"] != "function_call_output" or ours.told is None:
                yield item
            elif ours.in_json:
                metadata = {"exit_code": ours.exit_code}
                yield {**item, "output": {"output": ours.told, "metadata": metadata}}
            else:
                yield {**item, "output": ours.told}

    def rule(recording: Recording) -> Recording:
        called = {e.body.get("call_id") for e in recording.events}
        assert outputs.keys() <= called
        return with_items(with_events(recording, change), retold)

    return rule

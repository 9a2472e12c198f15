"""The recorded conversations of the Codex CLI 0.20, with the real process in its place.

What differs on purpose is in `support.golden_rules` and `support.golden_tools`; here stands which
rule holds for which recording, and what our commands print where theirs did not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import pytest
from support.client import running
from support.golden import (
    BASE,
    RECORDINGS,
    Recording,
    conversation,
    is_assistant,
    is_user,
    load,
    merged,
    script_items,
    text_of,
)
from support.golden_compare import Json, Pattern, assert_fits, told
from support.golden_recorder import COMMON_RULES, Rule, printed_to_stderr
from support.golden_replay import (
    API_KEY,
    Place,
    Replayed,
    install_stand_ins,
    replay,
    write_config,
)
from support.golden_rules import (
    Ours,
    a_call_is_recorded_when_it_is_made,
    a_compaction_is_announced,
    a_summary_is_asked_for_in_our_words,
    a_summary_is_sent_alone,
    a_waiting_input_starts_the_next_turn,
    aborted_calls_stay,
    assistant_texts_are_sent_once,
    deltas_come_until_the_interrupt,
    history_has_its_own_times,
    interrupted_turns_are_aborted,
    our_outputs,
    raw_reasoning_is_not_shown,
    refused_requests_are_stream_errors,
    retries_are_stream_errors,
    the_last_turn_is_still_retrying,
    unknown_items_are_kept,
)
from support.golden_tools import (
    Added,
    asked_about_without_a_sandbox,
    more_commands_are_patches,
    our_server_says_more,
    patches_are_no_commands,
    refusals_are_announced,
    servers_tools_are_listed,
    tools_are_told_by,
    turn_diffs_come_when_they_change,
)
from support.model_server import ModelServer


def numbers(first: int, last: int) -> str:
    """What `seq` prints."""
    return "".join(f"{n}\n" for n in range(first, last + 1))


ROWS = "".join(f"{n:04} {'y' * 95}\n" for n in range(400))


def shortened(text: str) -> Ours:
    """A command that printed too much: `text` is what is kept of it."""
    return Ours(stdout=text, exit_code=0, told=text)


def printing(text: str | Pattern) -> Ours:
    """A command that prints something else here, and nothing else."""
    return Ours(stdout=text, exit_code=0, told=text, printed=text)


def not_started(reason: str) -> Ours:
    """A command that could not be started."""
    return Ours(stderr=reason, told=f"execution error: {reason}", in_json=False)


SHELL_OUTPUTS = {
    # Both streams are told, whatever the exit code; the old program told one of them.
    "call_1": Ours(exit_code=3, told="out\nerr\n"),
    "call_11": Ours(
        # Which of two pipes is read first is chance.
        exit_code=0,
        told=Pattern(r"(o1\ne1|e1\no1)\n(o2\ne2|e2\no2)\n(o3\ne3|e3\no3)\n"),
    ),
    # What was printed before the deadline is not lost.
    "call_2": Ours(
        stdout="before\n",
        stderr="[timed out after 400 ms; what still ran was stopped]\n",
        exit_code=-1,
        told="before\n[timed out after 400 ms; what still ran was stopped]\n",
    ),
    "call_10": Ours(
        stderr="[killed by signal 9 (SIGKILL)]\n",
        exit_code=-1,
        told="[killed by signal 9 (SIGKILL)]\n",
    ),
    # Of what is too long the head and the tail are kept, half of the limit each; the old
    # program kept the head and did not say so. The client is shown the same as the model.
    "call_3": shortened(
        f"{numbers(1, 128)}[... 2976 bytes in 744 lines left out ...]\n{numbers(873, 1000)}"
    ),
    "call_4": shortened(f"{'x' * 5120}\n[... 39761 bytes in 1 line left out ...]\n{'x' * 5119}\n"),
    "call_5": shortened(
        f"{ROWS[:5120]}\n[... 30160 bytes in 300 lines left out ...]\n{ROWS[-5120:]}"
    ),
    "call_14": shortened(
        f"{numbers(1, 128)}[... 587722 bytes in 99744 lines left out ...]\n{numbers(99873, 100000)}"
    ),
    "call_15": shortened(numbers(1, 256)),
    "call_16": shortened(
        f"{numbers(1, 128)}[... 4 bytes in 1 line left out ...]\n{numbers(130, 257)}"
    ),
    # What was not found is named.
    "call_6": not_started("No such file or directory: 'no-such-command-zz'"),
    "call_17": not_started("No such file or directory: '/no/such/dir'"),
    # The recorder's CODEX_HOME and HOME were one folder.
    "call_13": printing("CODEX_HOME={HOME}/.codex\nHOME={HOME}\n"),
    # A command ends when its program does; the old program waited for what it had left in the
    # background, even beyond the deadline.
    "call_18": Ours(
        exit_code=0,
        told="started\n[stopped 1 background process that the command left running]\n",
    ),
}

LOCAL_SHELL_OUTPUTS = {
    "call_ls2": Ours(
        stderr="[timed out after 300 ms; what still ran was stopped]\n",
        exit_code=-1,
        told="[timed out after 300 ms; what still ran was stopped]\n",
    )
}

TRUSTED_OUTPUTS = {
    # These two tell about the machine.
    "call_0": printing(Pattern(r"total \d+\n([-d][-rwx]{9}\S* +\d+ .+ (\.|\.\.|x)\n){3}")),
    "call_17": printing(Pattern(r"/(usr/)?bin/ls\n")),
    "call_22": not_started("No such file or directory: 'cd'"),
}
STAND_INS = ("git", "cargo", "rg")


def usage_is_shown_whole(recording: Recording) -> Recording:
    """The end of a command shows as much as the model is told, not half of it (`git diff`)."""
    text = printed_to_stderr(recording, "call_24")
    assert len(text) > 5120
    return our_outputs({"call_24": Ours(stderr=text, exit_code=129, told=text)})(recording)


PATCHES = {
    "call_9": Added("sub/incd.txt", "incd.txt", "here\n"),
    "call_10": Added("ap2.txt", "ap2.txt", "x\n"),
}

PLAN_OUTPUTS = {
    # Where it is wrong is told by path, not by column.
    "call_2": "failed to parse function arguments: plan[0].status: "
    'expected "pending" | "in_progress" | "completed"',
}

MCP_OUTPUTS = {
    # The words are those of the library that parses.
    "call_3": Pattern(r"err: .*: line 1 column 2 .*"),
}

CASES: dict[str, tuple[Rule, ...]] = {
    "a_multi_messages": (),
    "a_plain": (),
    "a_reasoning": (raw_reasoning_is_not_shown, assistant_texts_are_sent_once),
    "b_agents_md": (),
    "b_input_while_running": (a_waiting_input_starts_the_next_turn,),
    "b_two_turns": (assistant_texts_are_sent_once,),
    "c_local_shell": (our_outputs(LOCAL_SHELL_OUTPUTS),),
    "c_parallel": (),
    "c_shell": (our_outputs(SHELL_OUTPUTS),),
    "d_abort": (
        interrupted_turns_are_aborted,
        aborted_calls_stay,
        a_call_is_recorded_when_it_is_made,
    ),
    "d_approved": (),
    "d_denied": (),
    "d_trusted_list": (
        asked_about_without_a_sandbox("call_2", "call_10", "call_18", "call_24"),
        our_outputs(TRUSTED_OUTPUTS),
        usage_is_shown_whole,
    ),
    "e_patch_auto": (patches_are_no_commands, turn_diffs_come_when_they_change),
    "e_patch_misc": (
        patches_are_no_commands,
        turn_diffs_come_when_they_change,
        more_commands_are_patches(PATCHES),
        refusals_are_announced("call_5"),
    ),
    "e_patch_untrusted_approved": (patches_are_no_commands, turn_diffs_come_when_they_change),
    "f_interrupt_command": (interrupted_turns_are_aborted, aborted_calls_stay),
    "f_interrupt_stream": (
        assistant_texts_are_sent_once,
        interrupted_turns_are_aborted,
        deltas_come_until_the_interrupt,
    ),
    "h_429_retry_after": (refused_requests_are_stream_errors,),
    "h_disconnect_then_ok": (
        assistant_texts_are_sent_once,
        retries_are_stream_errors,
        the_last_turn_is_still_retrying,
    ),
    "h_malformed_sse": (unknown_items_are_kept,),
    "j_update_plan": (tools_are_told_by(PLAN_OUTPUTS),),
    "k_compact": (
        a_compaction_is_announced,
        a_summary_is_asked_for_in_our_words,
        a_summary_is_sent_alone,
    ),
    "k_history": (history_has_its_own_times,),
    "l_mcp": (
        servers_tools_are_listed,
        our_server_says_more,
        tools_are_told_by(MCP_OUTPUTS),
    ),
}
"""Which differences each recording shows; what they do not name is equal."""

RESUMES: dict[str, tuple[Rule, ...]] = {
    "g_resume": (assistant_texts_are_sent_once,),
    "g_resume_truncated": (assistant_texts_are_sent_once,),
}
"""The recordings of two processes, the second of which resumed."""

PATCHED = {"old.txt": "a\nb\nc\n", "gone.txt": "bye\n", "mv.txt": "x\ny\n"}
FILES = {
    "d_trusted_list": {"x": "a\n"},
    "b_agents_md": {"AGENTS.md": "Repo rule: be brief.\n"},
    "e_patch_auto": PATCHED,
    "e_patch_misc": PATCHED,
    "e_patch_untrusted_approved": PATCHED,
}
"""What lies in the working directory."""


def recorded(name: str) -> Recording:
    """The recording `name` as it was made."""
    return reduce(lambda so_far, rule: rule(so_far), COMMON_RULES, load(name))


def expected_of(name: str) -> Recording:
    """The recording `name` as we should have made it."""
    recording = recorded(name)
    for rule in (CASES | RESUMES)[name]:
        changed = rule(recording)
        assert changed != recording, f"{rule} has nothing to do in {name}"
        recording = changed
    return recording


def assert_as_expected(expected: Recording, runs: Sequence[Replayed]) -> None:
    """What the process did is what was recorded, in what both have."""
    for n, (run, replayed) in enumerate(zip(expected.runs, runs, strict=True)):
        assert_fits(merged(run.events), replayed.shown(), f"run {n}: events")
        replayed.assert_guarantees(run)
    requests = [request for replayed in runs for request in replayed.requests]
    reasoning = [body.get("reasoning") for replayed in runs for body in replayed.bodies]
    if expected.still_retrying:
        count = len(expected.requests)
        assert all(request == requests[count - 1] for request in requests[count:])
        requests, reasoning = requests[:count], reasoning[:count]
    assert_fits(_told(expected.requests), _told(requests), "requests")
    assert_fits(expected.reasoning, reasoning, "reasoning")
    # The old program stored responses with every provider, and made no use of it.
    assert not any(body["store"] for replayed in runs for body in replayed.bodies)
    session = [replayed for replayed in runs if replayed.path == runs[0].path][-1]
    assert_fits(_told([expected.rollout]), _told([session.rollout]), "rollout")
    assert session.header["instructions"] == expected.header["instructions"]
    assert_verbatim(expected, [item for items in (*requests, session.rollout) for item in items])


def _told(conversations: Sequence[Sequence[Json]]) -> list[list[Json]]:
    return [[told(item) for item in items] for items in conversations]


def assert_verbatim(expected: Recording, items: Sequence[Json]) -> None:
    """What the model made is kept and sent as it came, with what the old program dropped."""
    made = list(script_items(expected.responses).values())
    for item in items:
        if is_assistant(item) and "id" not in item and text_of(item) in expected.summaries:
            continue
        if not is_user(item) and item["type"] != "function_call_output":
            assert item in made, item


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty HOME and working directory, and a folder for programs that stand in."""
    made = Place(*(tmp_path / name for name in ("home", "work", "bin")))
    for folder in (made.home / ".codex", made.cwd, made.programs):
        folder.mkdir(parents=True)
    return made


@pytest.mark.parametrize("name", CASES)
async def test_a_recorded_conversation_goes_as_recorded(name: str, place: Place) -> None:
    expected = expected_of(name)
    for path, text in FILES.get(name, {}).items():
        (place.cwd / path).write_text(text)
    if name == "d_trusted_list":
        install_stand_ins(recorded(name), STAND_INS, place.programs)
    if name == "b_agents_md":
        (place.cwd / ".git").mkdir()
        (place.home / ".codex" / "AGENTS.md").write_text("Home rule: be polite.")
    async with ModelServer({"responses": list(expected.responses)}) as model:
        write_config(place, model.url, configured(expected))
        runs = [await replay(run, place, model, expected.arguments) for run in expected.runs]
    assert_as_expected(expected, runs)
    if name == "b_agents_md":
        said = text_of(runs[0].bodies[0]["input"][1])
        assert expected.header["instructions"].strip() in said
    if name == "k_history":
        assert_history_is_as_recorded(place, runs[0])


def configured(recording: Recording) -> str:
    """The recording's tables of config.toml; its MCP server is one of ours."""
    if not recording.configuration:
        return ""
    pytest.importorskip("mcp")
    script = Path(__file__).parents[1] / "support" / "mcp_demo.py"
    tables = recording.configuration.replace(f"{BASE}/mcp_demo.py", str(script))
    return tables.replace('"python3"', json.dumps(sys.executable))


def assert_history_is_as_recorded(place: Place, run: Replayed) -> None:
    """The message history's file differs in nothing but session and times."""
    ours, theirs = (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for path in (place.history, RECORDINGS / "k_history" / "history.jsonl")
    )
    assert all(entry["session_id"] == run.result["sessionId"] for entry in ours)
    assert all(entry["ts"] > 1_700_000_000 for entry in ours)
    assert [entry["text"] for entry in ours] == [entry["text"] for entry in theirs]
    assert [list(entry) for entry in ours] == [list(entry) for entry in theirs]


@pytest.mark.parametrize("name", RESUMES)
async def test_a_session_of_ours_goes_on_in_a_second_process_as_recorded(
    name: str, place: Place
) -> None:
    expected = expected_of(name)
    async with ModelServer({"responses": list(expected.responses)}) as model:
        write_config(place, model.url)
        first = await replay(expected.runs[0], place, model, expected.arguments)
        if name == "g_resume_truncated":
            tear(first.path)
        arguments = [*expected.arguments, "-c", f'experimental_resume="{first.path}"']
        second = await replay(expected.runs[1], place, model, arguments)
    assert_as_expected(expected, [first, second])
    assert second.result["sessionId"] == first.result["sessionId"]
    assert second.result["resumed"]
    assert second.path == first.path


def tear(path: Path) -> None:
    """Cut the file where the recorded one was: in the middle of the last message."""
    data = path.read_bytes()
    message = data.rindex(b'"msg_resp_3"')
    content = b'"content":[{"type":'
    path.write_bytes(data[: data.index(content, message) + len(content)])


@pytest.mark.parametrize("name", RESUMES)
async def test_the_recorded_session_file_goes_on_as_recorded(name: str, place: Place) -> None:
    expected = expected_of(name)
    data = (RECORDINGS / name / "rollout.jsonl").read_bytes()
    lines = data.splitlines(keepends=True)
    # As it was when the recorded second process opened it.
    third = next(n for n, line in enumerate(lines) if b'"third"' in line)
    before = b"".join(lines[:third]).removesuffix(b'{"record_type": "state"}\n')
    path = session_path(place, expected)
    path.write_bytes(before)
    async with ModelServer({"responses": [expected.responses[-1]]}) as model:
        write_config(place, model.url)
        arguments = [*expected.arguments, "-c", f'experimental_resume="{path}"']
        run = await replay(expected.runs[1], place, model, arguments)
    assert_fits(merged(expected.runs[1].events), run.shown(), "events")
    run.assert_guarantees(expected.runs[1])
    assert_fits(_told(expected.requests[-1:]), _told(run.requests), "requests")
    assert_fits(_told([expected.rollout]), _told([run.rollout]), "rollout")
    assert path.read_bytes().startswith(before)
    assert run.result["sessionId"] == expected.header["id"]
    assert run.path == path


@pytest.mark.parametrize("name", RESUMES)
async def test_the_recorded_session_file_is_resumed_as_it_stands(name: str, place: Place) -> None:
    expected = expected_of(name)
    data = (RECORDINGS / name / "rollout.jsonl").read_bytes()
    path = session_path(place, expected)
    path.write_bytes(data)
    async with ModelServer({"responses": [expected.responses[-1]]}) as model:
        write_config(place, model.url)
        async with running(place.home, *expected.arguments, OPENAI_API_KEY=API_KEY) as client:
            params = {"sessionId": expected.header["id"], "cwd": str(place.cwd)}
            result = await client.request("session/resume", params)
            events = await client.turn(result["sessionId"], "fourth")
        (request,) = model.requests
    assert events[-1]["msg"] == {"type": "task_complete", "last_agent_message": "three"}
    *history, last = conversation(request["body"]["input"])
    # Resuming changes nothing in an item, not even `"id": null`.
    assert history == list(load(name).rollout)
    assert text_of(last) == "fourth"
    assert result["itemCount"] == len(history)
    assert path.read_bytes().startswith(data)


def session_path(place: Place, recording: Recording) -> Path:
    """Where the recorded program had put its session file."""
    day = place.home / ".codex" / "sessions" / "2026" / "11" / "22"
    day.mkdir(parents=True)
    return day / f"rollout-2026-11-22T16-39-27-{recording.header['id']}.jsonl"


def test_every_recording_has_its_test() -> None:
    assert {folder.name for folder in RECORDINGS.iterdir()} == {*CASES, *RESUMES}
